package tree

import (
	"errors"

	"golang.org/x/sys/unix"
)

// openBeneath opens the folder dir below root; ELOOP or ENOTDIR when a component is
// a link. openat2(2) does it in one call, where the kernel (5.6) and whatever
// filters system calls let it.
func openBeneath(root int, dir string) (int, error) {
	how := unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	fd := -1
	err := again(func() (err error) {
		fd, err = unix.Openat2(root, dir, &how)
		return err
	})
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM), errors.Is(err, unix.EINVAL),
		errors.Is(err, unix.E2BIG), errors.Is(err, unix.EAGAIN):
		return walkBeneath(root, dir)
	}
	return fd, err
}

// renameNew renames within dir, failing with EEXIST if something is at to.
func renameNew(dir int, from, to string) error {
	err := unix.Renameat2(dir, from, dir, to, unix.RENAME_NOREPLACE)
	if !lacksFlag(err) {
		return err
	}
	// link(2) fails with EEXIST as well, also for a link itself.
	err = unix.Linkat(dir, from, dir, to, 0)
	switch {
	case err == nil:
		return unix.Unlinkat(dir, from, 0)
	case errors.Is(err, unix.EEXIST):
		return err
	}
	// A file system without either: the check and the change are two steps.
	if _, err := lstatAt(dir, to); err == nil {
		return unix.EEXIST
	}
	return unix.Renameat(dir, from, dir, to)
}

// exchange swaps two names within dir. errors.ErrUnsupported where the file system
// cannot.
func exchange(dir int, a, b string) error {
	err := unix.Renameat2(dir, a, dir, b, unix.RENAME_EXCHANGE)
	if lacksFlag(err) {
		return errors.ErrUnsupported
	}
	return err
}

// lacksFlag reports that the kernel or the file system does not know a flag of
// renameat2(2).
func lacksFlag(err error) bool {
	return errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM)
}
