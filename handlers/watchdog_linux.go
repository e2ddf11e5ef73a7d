package handlers

import (
	"errors"

	"golang.org/x/sys/unix"
)

// processWatch holds a process by a descriptor, so that a reused number is never taken
// for the client (pidfd_open(2)).
type processWatch struct {
	fd  int
	pid int
}

func watchProcess(pid int) *processWatch {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		fd = -1 // gone already, or a kernel before 5.3
	}
	return &processWatch{fd: fd, pid: pid}
}

// alive asks at this moment. A descriptor is readable once its process has ended.
func (w *processWatch) alive() bool {
	if w.fd < 0 {
		err := unix.Kill(w.pid, 0)
		return err == nil || errors.Is(err, unix.EPERM)
	}
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, 0)
	return err != nil || n == 0
}

func (w *processWatch) close() {
	if w.fd >= 0 {
		_ = unix.Close(w.fd)
	}
}
