package modal

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// packetPair gives the two ends of a socket that keeps messages apart: descriptors come
// with the ticket that they were sent with.
func packetPair() (*net.UnixConn, *os.File, error) {
	conn, theirs, err := connPair(packetSocket)
	if err != nil {
		return nil, nil, err
	}
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		theirs.Close()
		return nil, nil, fmt.Errorf("a socket pair is a %T", conn)
	}
	return unix, theirs, nil
}

// streamPair gives the two ends of a stream: one for this process, one to pass on.
func streamPair() (net.Conn, *os.File, error) { return connPair(syscall.SOCK_STREAM) }

func connPair(kind int) (net.Conn, *os.File, error) {
	mine, theirs, err := socketPair(kind)
	if err != nil {
		return nil, nil, err
	}
	defer mine.Close()
	conn, err := net.FileConn(mine)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn, theirs, nil
}

func socketPair(kind int) (mine, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, kind, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "socketpair"), os.NewFile(uintptr(fds[1]), "socketpair"), nil
}

func sendDescriptors(control *net.UnixConn, ticket string, files []*os.File) error {
	fds := make([]int, len(files))
	for i, f := range files {
		// Fd would make it blocking here, and so for who gets it.
		raw, err := f.SyscallConn()
		if err != nil {
			return err
		}
		if err := raw.Control(func(fd uintptr) { fds[i] = int(fd) }); err != nil {
			return err
		}
	}
	n, oobn, err := control.WriteMsgUnix([]byte(ticket), syscall.UnixRights(fds...), nil)
	if err == nil && (n != len(ticket) || oobn == 0) {
		err = fmt.Errorf("only %d bytes of the ticket went out", n)
	}
	return err
}
