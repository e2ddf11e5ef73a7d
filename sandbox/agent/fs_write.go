package agent

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"glue-lsp/sandbox"
)

// newFileMode is a new file's mode, directories are 0755; the umask of the agent
// takes away from the latter only.
const (
	newFileMode = 0o644
	newDirMode  = 0o755
)

// maxLinks bounds a chain of symbolic links, as Linux does (path_resolution(7)).
const maxLinks = 40

// pendingWrite is a file that is being written under a temporary name beside its
// place. Until commit nothing of it shows; abort takes it back.
type pendingWrite struct {
	*os.File
	op      string
	target  string
	replace bool
}

// create checks everything that can be known before the content comes, and opens a
// temporary file for it. Writing through a symbolic link writes its target; the link
// stays. Hard links to the old content keep the old content.
func (f *files) create(p string, opts sandbox.WriteOptions) (*pendingWrite, error) {
	const op = "writeFile"
	name, err := f.abs(op, p)
	if err != nil {
		return nil, err
	}
	target, info, err := followLinks(name)
	if err != nil {
		return nil, fileError(op, name, err)
	}
	switch {
	case info == nil && !opts.Create:
		return nil, refuse(sandbox.FileNotFound, op, name, "there is no such file, and none was to be created")
	case info != nil && info.IsDir():
		return nil, fileError(op, name, syscall.EISDIR)
	case info != nil && !opts.Overwrite:
		return nil, refuse(sandbox.FileExists, op, name, "it exists already, and was not to be overwritten")
	case info != nil && !info.Mode().IsRegular():
		return nil, refuse(sandbox.Unsupported, op, name, "it is a pipe, socket or device, not a file")
	case info == nil:
		if err := os.MkdirAll(path.Dir(target), newDirMode); err != nil {
			return nil, fileError(op, name, err)
		}
	}
	mode := fs.FileMode(newFileMode)
	if info != nil {
		mode = info.Mode().Perm()
	}
	if opts.Mode != nil {
		mode = opts.Mode.Perm()
	}
	tmp, err := f.tempFile(path.Dir(target), mode)
	if err != nil {
		return nil, fileError(op, name, err)
	}
	if info != nil {
		keepOwner(tmp, info)
	}
	return &pendingWrite{File: tmp, op: op, target: target, replace: opts.Overwrite}, nil
}

// commit puts the file in its place.
func (w *pendingWrite) commit() error {
	err := w.Close()
	if err == nil {
		err = move(w.Name(), w.target, w.replace)
	}
	if err != nil {
		os.Remove(w.Name())
	}
	return fileError(w.op, w.target, err)
}

func (w *pendingWrite) abort() {
	w.Close()
	os.Remove(w.Name())
}

// followLinks finds the file that writing to name would write: name itself, or what
// a chain of links at its end leads to, which need not exist. info is nil when there
// is nothing.
func followLinks(name string) (target string, info fs.FileInfo, err error) {
	for range maxLinks {
		info, err = os.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return name, nil, nil
		}
		if err != nil {
			return "", nil, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			return name, info, nil
		}
		to, err := os.Readlink(name)
		if err != nil {
			return "", nil, err
		}
		if !strings.HasPrefix(to, "/") {
			// Not cleaned: ".." after a link is the business of the kernel.
			to = path.Dir(name) + "/" + to
		}
		name = to
	}
	return "", nil, syscall.ELOOP
}

// tempFile makes a file in dir that only the agent writes. Its short name fits where
// the final one does.
func (f *files) tempFile(dir string, mode fs.FileMode) (*os.File, error) {
	for {
		file, err := os.OpenFile(f.tempName(dir), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := file.Chmod(mode); err != nil {
			file.Close()
			os.Remove(file.Name())
			return nil, err
		}
		return file, nil
	}
}

func (f *files) tempName(dir string) string {
	var b [6]byte
	rand.Read(b[:])
	return dir + "/" + f.temp + hex.EncodeToString(b[:])
}

// keepOwner gives a file the owner of the one that it replaces, as far as the agent
// may.
func keepOwner(file *os.File, old fs.FileInfo) {
	st, ok := old.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	info, err := file.Stat()
	if err != nil {
		return
	}
	if now, ok := info.Sys().(*syscall.Stat_t); ok && (now.Uid != st.Uid || now.Gid != st.Gid) {
		// chown(2) drops the set-id bits, which are not kept anyway.
		_ = file.Chown(int(st.Uid), int(st.Gid))
	}
}
