package agent

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"glue-lsp/sandbox"
)

// mkdir makes a directory. Recursively, parents are made and a directory that is
// there already is fine.
func (f *files) mkdir(p string, recursive bool) error {
	const op = "createDirectory"
	name, err := f.abs(op, p)
	if err != nil {
		return err
	}
	if !recursive {
		return fileError(op, name, os.Mkdir(name, newDirMode))
	}
	err = os.MkdirAll(name, newDirMode)
	if errors.Is(err, syscall.ENOTDIR) {
		// As mkdir -p says it: the name itself is taken, by a file.
		if info, lerr := os.Stat(name); lerr == nil && !info.IsDir() {
			err = syscall.EEXIST
		}
	}
	return fileError(op, name, err)
}

// remove follows rm(1): a missing path is an error unless force is set, a directory
// needs recursive even if it is empty, a link goes and not what it leads to. What
// cannot be removed as a whole for a reason that is known beforehand is refused
// before anything is.
func (f *files) remove(p string, recursive, force bool) error {
	const op = "delete"
	name, err := f.abs(op, p)
	if err != nil {
		return err
	}
	info, err := os.Lstat(name)
	if err != nil {
		if force && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) {
			return nil
		}
		return fileError(op, name, err)
	}
	if err := f.guard(op, name); err != nil {
		return err
	}
	if !info.IsDir() {
		return forgiving(force, fileError(op, name, os.Remove(name)))
	}
	if !recursive {
		return &sandbox.Error{
			Kind: sandbox.IsADirectory, Op: op, Path: name,
			Message: "it is a directory", Hint: "ask for recursive to remove it with what is in it",
		}
	}
	if at := mountBelow(name); at != "" {
		return refuse(sandbox.Unsupported, op, name, at+" is a mount point, which cannot be removed")
	}
	return fileError(op, name, os.RemoveAll(name))
}

// forgiving is for a path that somebody else removed in the same moment.
func forgiving(force bool, err error) error {
	if force && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// mountBelow names a mount point at dir or below it, "" if there is none.
func mountBelow(dir string) string {
	for _, at := range mountPoints() {
		if within(dir, at) {
			return at
		}
	}
	return ""
}
