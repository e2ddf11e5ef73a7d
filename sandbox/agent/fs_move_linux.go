package agent

import (
	"errors"

	"golang.org/x/sys/unix"
)

// move renames from to to. Without replace, something at to is an error, with no
// moment between looking and renaming where the system can promise it.
func move(from, to string, replace bool) error {
	if replace {
		return renamePath(from, to)
	}
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	// rename(2): EINVAL where the file system does not know the flag, ENOSYS where
	// the kernel does not.
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return moveUnlessThere(from, to)
	}
	return err
}
