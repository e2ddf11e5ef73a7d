//go:build linux || darwin

package tree

import (
	"errors"

	"golang.org/x/sys/unix"
)

// walkBeneath opens the folder dir below root component by component, none of which
// may be a link.
func walkBeneath(root int, dir string) (int, error) {
	c := cursor{root: root}
	defer c.close()
	parent, name := splitPath(dir)
	fd, err := c.enter(parent)
	if err != nil {
		return -1, err
	}
	return openFolder(fd, name)
}

// renameNew renames within dir, failing with EEXIST if something is at to.
func renameNew(dir int, from, to string) error {
	err := renameExclusive(dir, from, to)
	if errors.Is(err, errors.ErrUnsupported) {
		return linkNew(dir, from, to)
	}
	return err
}

// linkNew is renameNew by two calls: link(2) fails with EEXIST as well, also when
// from is a symbolic link itself.
func linkNew(dir int, from, to string) error {
	err := unix.Linkat(dir, from, dir, to, 0)
	switch {
	case err == nil:
		return unix.Unlinkat(dir, from, 0)
	case errors.Is(err, unix.EEXIST):
		return err
	}
	// A file system without either: between the look and the change is a moment.
	if _, err := lstatAt(dir, to); err == nil {
		return unix.EEXIST
	}
	return unix.Renameat(dir, from, dir, to)
}
