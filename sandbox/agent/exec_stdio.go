package agent

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"glue-lsp/sandbox"
)

// stdio are the two ends of a command's standard streams.
type stdio struct {
	child [3]*os.File
	in    *os.File
	out   map[sandbox.Stream]*os.File
	pty   *terminal
}

// terminal is the master of a command's pseudo-terminal.
type terminal struct{ f *os.File }

func openStdio(req startRequest, t terminals) (*stdio, error) {
	io := &stdio{out: map[sandbox.Stream]*os.File{}}
	err := io.open(req, t)
	if err != nil {
		io.closeChild()
		io.closeParent()
		return nil, err
	}
	return io, nil
}

func (io *stdio) open(req startRequest, t terminals) (err error) {
	if req.PTY != nil {
		return io.openPTY(*req.PTY, t)
	}
	if req.Stdin {
		if io.child[0], io.in, err = os.Pipe(); err != nil {
			return err
		}
	} else if io.child[0], err = os.Open(os.DevNull); err != nil {
		return err
	}
	for i, s := range [2]sandbox.Stream{sandbox.Stdout, sandbox.Stderr} {
		if io.out[s], io.child[i+1], err = os.Pipe(); err != nil {
			return err
		}
	}
	return nil
}

func (io *stdio) openPTY(size sandbox.Winsize, t terminals) error {
	master, slave, err := t()
	if err != nil {
		return err
	}
	io.child = [3]*os.File{slave, slave, slave}
	// The master comes blocking, so that closing would not end a read.
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	master.Close()
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(fd), "ptmx")
	io.pty = &terminal{f}
	io.in = f
	io.out[sandbox.Stdout] = f
	return io.pty.resize(size)
}

func (io *stdio) closeChild() {
	for i, f := range io.child {
		if f != nil && (i == 0 || f != io.child[0]) {
			f.Close()
		}
	}
}

func (io *stdio) closeParent() {
	if io.in != nil {
		io.in.Close()
	}
	for _, f := range io.out {
		if f != nil && f != io.in {
			f.Close()
		}
	}
}

// control runs an ioctl on the terminal, without making it blocking as Fd would.
func (t *terminal) control(do func(fd int) error) error {
	raw, err := t.f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}
	return inner
}

func (t *terminal) resize(w sandbox.Winsize) error {
	return t.control(func(fd int) error {
		return os.NewSyscallError("TIOCSWINSZ", unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: w.Rows, Col: w.Cols}))
	})
}

// foreground is the process group that the terminal's keys go to, or 0.
func (t *terminal) foreground() int {
	group := 0
	_ = t.control(func(fd int) (err error) {
		group, err = unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		return err
	})
	return group
}

// pendingBytes is how much an output holds that was not read yet.
func pendingBytes(f *os.File) int {
	n := 0
	raw, err := f.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), fionread) })
	return n
}

// signalName is like "SIGTERM"; a real-time signal has only a number.
func signalName(s syscall.Signal) string {
	if name := unix.SignalName(s); name != "" {
		return name
	}
	return s.String()
}
