package agent

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const fionread = unix.TIOCINQ // FIONREAD's other name, ioctl_tty(2)

const defaultEOF = 4 // ^D

// eofByte is the terminal's end-of-file character.
func (t *terminal) eofByte() byte {
	c := byte(defaultEOF)
	_ = t.control(func(fd int) error {
		tio, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err == nil && tio.Cc[unix.VEOF] != 0 {
			c = tio.Cc[unix.VEOF]
		}
		return err
	})
	return c
}

// widenPipe gives a busy pipe the size that a user may ask for without privileges
// (pipe(7)), so that more is moved at once.
func widenPipe(r io.Reader) {
	f, ok := r.(*os.File)
	if !ok {
		return
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		if n, err := unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0); err == nil && n < 1<<20 {
			_, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 1<<20)
		}
	})
}
