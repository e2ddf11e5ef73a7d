package local

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"

	"glue-lsp/sandbox"
)

// privateFolder is a sandbox's HOME or its caches as the host changes them. Commands may
// have filled it before, with links to anywhere: nothing here leads out of it.
type privateFolder struct{ *os.Root }

func openPrivate(dir string) (privateFolder, error) {
	root, err := os.OpenRoot(dir)
	return privateFolder{root}, err
}

// link makes a link, and the folders above it. Where commands have put something else it
// is left out, since it is only a convenience; the error is a disk that takes nothing.
func (f privateFolder) link(name, target string) error {
	if dir := path.Dir(name); dir != "." {
		if err := f.MkdirAll(dir, 0o700); err != nil {
			return diskTrouble(err)
		}
	}
	return diskTrouble(f.Symlink(target, name))
}

// folder makes a folder where there is none, in place of whatever else commands left there.
func (f privateFolder) folder(name string) error {
	info, err := f.Lstat(name)
	if err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		if err := f.Remove(name); err != nil {
			return err
		}
	}
	if err := f.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// linkIn makes a link in a private folder.
func linkIn(dir, name, target string) error {
	private, err := openPrivate(dir)
	if err == nil {
		err = private.link(name, target)
		_ = private.Close()
	}
	if err != nil {
		return &sandbox.Error{Kind: sandbox.Unavailable, Op: "open", Path: dir, Message: err.Error(), Err: err}
	}
	return nil
}

// diskTrouble passes over errors that come from what commands left.
func diskTrouble(err error) error {
	for _, trouble := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO, syscall.EACCES} {
		if errors.Is(err, trouble) {
			return err
		}
	}
	return nil
}
