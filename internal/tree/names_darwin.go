package tree

import (
	"os"

	"golang.org/x/sys/unix"
)

// readNames calls each for every name in the folder fd but "." and "..", from its
// beginning, with whether it surely is a folder or surely is none; known is false
// when the file system does not say. The name is only lent.
func readNames(fd int, _ []byte, each func(name []byte, isDir, known bool)) error {
	own, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(own), ".")
	defer f.Close()
	names, err := f.Readdirnames(-1)
	for _, name := range names {
		each([]byte(name), false, false)
	}
	return err
}
