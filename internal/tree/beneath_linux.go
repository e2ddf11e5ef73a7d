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

// renameExclusive renames within dir, failing with EEXIST if something is at to.
// errors.ErrUnsupported where the file system cannot.
func renameExclusive(dir int, from, to string) error {
	return orUnsupported(unix.Renameat2(dir, from, dir, to, unix.RENAME_NOREPLACE))
}

// exchange swaps two names within dir. errors.ErrUnsupported where the file system
// cannot. Watchers hear of two moves, that of name's file first: the last that they hear
// of name is that a file came, not that one went.
func exchange(dir int, name, other string) error {
	return orUnsupported(unix.Renameat2(dir, name, dir, other, unix.RENAME_EXCHANGE))
}

// orUnsupported tells the ways in which kernels and file systems say that they do
// not know a flag of renameat2(2).
func orUnsupported(err error) error {
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EPERM), errors.Is(err, unix.ENOTSUP):
		return errors.ErrUnsupported
	}
	return err
}
