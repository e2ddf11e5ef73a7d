package agent

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"glue-lsp/sandbox"
)

// rename moves a file or directory, by its own rules of rename(2): a directory is
// replaced only while it is empty, and never by a file. Between file systems it
// copies and then removes, as mv does.
func (f *files) rename(from, to string, overwrite bool) error {
	const op = "rename"
	from, to, err := f.both(op, from, to)
	if err != nil {
		return err
	}
	if err := f.guard(op, from); err != nil {
		return err
	}
	if _, err := os.Lstat(from); err != nil {
		return fileError(op, from, err)
	}
	if from == to {
		return nil
	}
	if within(from, to) {
		return refuse(sandbox.InvalidParams, op, to, "a directory cannot be moved into itself")
	}
	err = move(from, to, overwrite)
	if errors.Is(err, syscall.EXDEV) {
		return f.moveAcross(op, from, to, overwrite)
	}
	return fileError(op, to, err)
}

// moveAcross moves between file systems.
func (f *files) moveAcross(op, from, to string, overwrite bool) error {
	if err := f.copyTree(op, from, to, overwrite); err != nil {
		return err
	}
	return fileError(op, from, os.RemoveAll(from))
}

// moveUnlessThere renames where the system has no rename that refuses to replace. A
// file is linked first, which is as good; a directory has a moment in which another
// process could make one of that name, and rename(2) then replaces it only if empty.
func moveUnlessThere(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() {
		err := os.Link(from, to)
		if err == nil {
			return os.Remove(from)
		}
		if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if _, err := os.Lstat(to); err == nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: syscall.EEXIST}
	}
	return renamePath(from, to)
}

// renamePath is rename(2) as it is: package os turns its answers about directories
// into one.
func renamePath(from, to string) error {
	if err := syscall.Rename(from, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}
