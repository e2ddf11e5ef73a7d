package tree

import (
	"errors"

	"golang.org/x/sys/unix"
)

// openBeneath opens the folder dir below root; ELOOP or ENOTDIR when a component is
// a link.
func openBeneath(root int, dir string) (int, error) { return walkBeneath(root, dir) }

// renameExclusive renames within dir, failing with EEXIST if something is at to.
// errors.ErrUnsupported where the file system cannot.
func renameExclusive(dir int, from, to string) error {
	return orUnsupported(unix.RenameatxNp(dir, from, dir, to, unix.RENAME_EXCL))
}

// exchange swaps two names within dir. errors.ErrUnsupported where the file system
// cannot. Watchers hear of two moves, that of name's file first: the last that they hear
// of name is that a file came, not that one went.
func exchange(dir int, name, other string) error {
	return orUnsupported(unix.RenameatxNp(dir, name, dir, other, unix.RENAME_SWAP))
}

// orUnsupported: see renameatx_np in rename(2) of macOS.
func orUnsupported(err error) error {
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EINVAL) {
		return errors.ErrUnsupported
	}
	return err
}
