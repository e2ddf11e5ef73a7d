//go:build linux || darwin

package tree

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func newStat(s *unix.Stat_t) stat {
	return stat{
		dev:   uint64(s.Dev), //nolint:unconvert // 32 bits on some systems
		ino:   s.Ino,
		size:  s.Size,
		mtime: s.Mtim.Nano(),
		ctime: s.Ctim.Nano(),
		mode:  uint32(s.Mode), //nolint:unconvert // 16 bits on macOS
	}
}

// lstatAt stats name in the folder dir without following a link.
func lstatAt(dir int, name string) (stat, error) {
	var s unix.Stat_t
	err := again(func() error { return unix.Fstatat(dir, name, &s, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return stat{}, err
	}
	return newStat(&s), nil
}

func fstat(fd int) (stat, error) {
	var s unix.Stat_t
	if err := again(func() error { return unix.Fstat(fd, &s) }); err != nil {
		return stat{}, err
	}
	return newStat(&s), nil
}

func (s stat) kind() uint32 { return s.mode & unix.S_IFMT }
func (s stat) isDir() bool  { return s.kind() == unix.S_IFDIR }
func (s stat) isFile() bool { return s.kind() == unix.S_IFREG }
func (s stat) isLink() bool { return s.kind() == unix.S_IFLNK }
func (s stat) perm() uint32 { return s.mode & 0o777 }

// gitMode is the mode that git records; like git it asks the owner's x bit only.
func (s stat) gitMode() Mode {
	switch {
	case s.isLink():
		return Symlink
	case !s.isFile():
		return Absent
	case s.mode&0o100 != 0:
		return Executable
	default:
		return Regular
	}
}

// kindName says what a special file is.
func (s stat) kindName() string {
	switch s.kind() {
	case unix.S_IFSOCK:
		return "socket"
	case unix.S_IFIFO:
		return "named pipe"
	case unix.S_IFCHR:
		return "character device"
	case unix.S_IFBLK:
		return "block device"
	case unix.S_IFDIR:
		return "folder"
	}
	return "special file"
}

// openFolder opens the folder name in dir, refusing a link. What is not a folder
// gives ENOTDIR, or ELOOP where the system says so of links.
func openFolder(dir int, name string) (int, error) {
	return openAt(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
}

// openRoot opens the folder that the caller named, links followed.
func openRoot(path string) (int, error) {
	return openAt(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

// openFile opens a file for reading. O_NONBLOCK keeps a pipe that was swapped in
// from blocking; it means nothing for regular files.
func openFile(dir int, name string) (int, error) {
	return openAt(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
}

func openAt(dir int, name string, flags int, perm uint32) (fd int, err error) {
	err = again(func() error {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, perm)
		return err
	})
	return fd, err
}

// readLink gives a link's target. Targets are at most PATH_MAX bytes.
func readLink(dir int, name string, buf []byte) (target []byte, err error) {
	n := 0
	err = again(func() error {
		n, err = unix.Readlinkat(dir, name, buf)
		return err
	})
	if err != nil {
		return nil, err
	}
	return buf[:n], nil
}

// again repeats what a signal interrupted (signal(7): network and FUSE file systems
// may return EINTR even for calls that restart elsewhere).
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR { //nolint:errorlint // an errno, never wrapped
			return err
		}
	}
}

// borrow lends b as a string for the length of one call that does not keep it.
func borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
