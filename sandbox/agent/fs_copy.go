package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"glue-lsp/sandbox"
)

// copy copies a file, a link as a link, or a directory with all that is in it. The
// copy is made under a temporary name beside its place and then renamed, so that
// either all of it is there or none. As with rename, a directory replaces only an
// empty directory.
func (f *files) copy(from, to string, overwrite bool) error {
	const op = "copy"
	from, to, err := f.both(op, from, to)
	if err != nil {
		return err
	}
	return f.copyTree(op, from, to, overwrite)
}

func (f *files) copyTree(op, from, to string, overwrite bool) error {
	src, err := os.Lstat(from)
	if err != nil {
		return fileError(op, from, err)
	}
	if from == to {
		if overwrite {
			return nil
		}
		return fileError(op, to, syscall.EEXIST)
	}
	if src.IsDir() && within(from, to) {
		return refuse(sandbox.InvalidParams, op, to, "a directory cannot be copied into itself")
	}
	if err := mayReplace(src, to, overwrite); err != nil {
		return fileError(op, to, err)
	}
	tmp := f.tempName(path.Dir(to))
	err = copyAny(op, from, tmp, src)
	if err == nil {
		err = fileError(op, to, move(tmp, to, overwrite))
	}
	if err != nil {
		removeCopy(tmp)
	}
	return err
}

// mayReplace tells early what the final rename would say, before gigabytes are
// copied for nothing.
func mayReplace(src fs.FileInfo, to string, overwrite bool) error {
	dst, err := os.Lstat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		_, err := os.Stat(path.Dir(to))
		return err
	case err != nil:
		return err
	case !overwrite:
		return syscall.EEXIST
	case dst.IsDir() && !src.IsDir():
		return syscall.EISDIR
	case !dst.IsDir() && src.IsDir():
		return syscall.ENOTDIR
	case dst.IsDir():
		list, err := os.ReadDir(to)
		if err == nil && len(list) > 0 {
			return syscall.ENOTEMPTY
		}
		return err
	}
	return nil
}

func copyAny(op, from, to string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return copyDir(op, from, to, info)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err == nil {
			err = os.Symlink(target, to)
		}
		return fileError(op, from, err)
	case info.Mode().IsRegular():
		return copyFile(op, from, to)
	}
	return refuse(sandbox.Unsupported, op, from, "it is a pipe, socket or device, which cannot be copied")
}

func copyDir(op, from, to string, info fs.FileInfo) error {
	// Writable until it is filled.
	if err := os.Mkdir(to, 0o700); err != nil {
		return fileError(op, to, err)
	}
	list, err := os.ReadDir(from)
	if err != nil {
		return fileError(op, from, err)
	}
	for _, d := range list {
		child, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed while we copy
		}
		if err == nil {
			err = copyAny(op, from+"/"+d.Name(), to+"/"+d.Name(), child)
		}
		if err != nil {
			return fileError(op, from+"/"+d.Name(), err)
		}
	}
	return fileError(op, to, os.Chmod(to, info.Mode().Perm()))
}

func copyFile(op, from, to string) (err error) {
	src, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fileError(op, from, err)
	}
	defer src.Close()
	if _, err := ordinary(op, from, src); err != nil {
		return err
	}
	info, err := src.Stat()
	if err != nil {
		return fileError(op, from, err)
	}
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fileError(op, to, err)
	}
	defer func() {
		if cerr := dst.Close(); err == nil {
			err = fileError(op, to, cerr)
		}
	}()
	// Between two files this is copy_file_range(2) on Linux, which shares blocks
	// where the file system can.
	if _, err := io.Copy(dst, src); err != nil {
		return fileError(op, to, fmt.Errorf("copying: %w", err))
	}
	return fileError(op, to, dst.Chmod(info.Mode().Perm()))
}

// removeCopy takes an unfinished copy away, also from directories whose mode forbids it.
func removeCopy(p string) {
	if os.RemoveAll(p) == nil {
		return
	}
	_ = filepath.WalkDir(p, func(at string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(at, 0o700)
		}
		return nil
	})
	_ = os.RemoveAll(p)
}
