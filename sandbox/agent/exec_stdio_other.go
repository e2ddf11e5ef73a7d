//go:build !linux

package agent

import (
	"io"

	"golang.org/x/sys/unix"
)

const fionread = 0x4004667f // FIONREAD in <sys/filio.h> of the BSDs and macOS

func (t *terminal) eofByte() byte {
	c := byte(4)
	_ = t.control(func(fd int) error {
		tio, err := unix.IoctlGetTermios(fd, unix.TIOCGETA)
		if err == nil && tio.Cc[unix.VEOF] != 0 {
			c = tio.Cc[unix.VEOF]
		}
		return err
	})
	return c
}

func widenPipe(io.Reader) {}
