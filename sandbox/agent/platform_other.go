//go:build !linux

package agent

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// becomeReaper does nothing: there are no subreapers here.
func becomeReaper() error { return nil }

// closeAllOnExec keeps what this process inherited from its children.
func closeAllOnExec() error { return closeListedOnExec("/dev/fd") }

func (t *execTable) reapOrphans() {}

// reapKilled does nothing: see reapOrphans.
func (t *execTable) reapKilled() {}

// checkPeer refuses another user at the other end, see LOCAL_PEERCRED in unix(4).
func checkPeer(conn net.Conn) error {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("a client that is no unix socket")
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Xucred
	var cerr error
	if err := raw.Control(func(fd uintptr) {
		cred, cerr = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	}); err != nil {
		return err
	}
	if cerr != nil {
		return cerr
	}
	if int(cred.Uid) != os.Geteuid() {
		return fmt.Errorf("refused a connection with user %d", cred.Uid)
	}
	return nil
}

func shortSocket(path string) (short string, done func(), err error) {
	if len(path) > maxSocketPath {
		return "", nil, fmt.Errorf("%s is too long for a unix socket", path)
	}
	return path, func() {}, nil
}

// dialNoFollow connects to a socket that is not reached by a link.
func dialNoFollow(path string) (net.Conn, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Type() != os.ModeSocket {
		return nil, errNoSocket(path)
	}
	short, done, err := shortSocket(path)
	if err != nil {
		return nil, err
	}
	defer done()
	return dialUnix(short)
}
