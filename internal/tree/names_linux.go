package tree

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// readNames calls each for every name in the folder fd but "." and "..", from its
// beginning, with whether it surely is a folder or surely is none; known is false
// when the file system does not say. The name is only lent. buf is scratch space.
//
// The records are linux_dirent64 of getdents64(2), which looks alike on every
// architecture; package os would allocate each name and sort.
func readNames(fd int, buf []byte, each func(name []byte, isDir, known bool)) error {
	const typeAt, nameAt = 18, 19
	if _, err := unix.Seek(fd, 0, 0); err != nil {
		return err
	}
	for {
		n, err := 0, error(nil)
		err = again(func() error {
			n, err = unix.Getdents(fd, buf)
			return err
		})
		if err != nil {
			return err
		}
		if n <= 0 {
			return nil
		}
		for rest := buf[:n]; len(rest) >= nameAt; {
			size := int(binary.NativeEndian.Uint16(rest[16:]))
			if size < nameAt || size > len(rest) {
				return unix.EIO
			}
			name := untilNUL(rest[nameAt:size])
			kind := rest[typeAt]
			rest = rest[size:]
			if len(name) == 0 || string(name) == "." || string(name) == ".." {
				continue
			}
			each(name, kind == unix.DT_DIR, kind != unix.DT_UNKNOWN)
		}
	}
}

func untilNUL(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}
