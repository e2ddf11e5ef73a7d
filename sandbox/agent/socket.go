package agent

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// maxSocketPath is what fits into a sockaddr_un with its final NUL, see unix(7);
// other systems have four bytes less.
const maxSocketPath = 103

// errNoSocket says that something else lies where the socket was.
func errNoSocket(path string) error { return fmt.Errorf("%s is not a socket", path) }

// Listen listens on a unix socket that only this user can reach, in a folder that
// only this user can enter.
func Listen(path string) (net.Listener, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); info.Mode().Perm()&0o077 != 0 || (ok && int(st.Uid) != os.Geteuid()) {
		return nil, fmt.Errorf("%s must belong to this user and be closed to others, but is %s", dir, info.Mode())
	}
	// A socket file of an agent that died is in the way.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	short, done, err := shortSocket(path)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.ListenUnix("unix", unixAddr(short))
	if err != nil {
		return nil, err
	}
	if short != path {
		l.SetUnlinkOnClose(false) // the short name is gone by then
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// unixAddr is the address of a socket. What net's own Dial and Listen would take as text
// brings a resolver of names with it, a twentieth of the agent's size.
func unixAddr(path string) *net.UnixAddr { return &net.UnixAddr{Name: path, Net: "unix"} }

func dialUnix(path string) (net.Conn, error) {
	conn, err := net.DialUnix("unix", nil, unixAddr(path))
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// DialSocket connects to an agent's socket. Commands can put anything in its place, so
// a link is not followed: it could lead to any socket of this machine.
func DialSocket(path string) (net.Conn, error) {
	conn, err := dialNoFollow(path)
	if err != nil {
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("%w: nobody listens on its socket", ErrGone)
		}
		return nil, err
	}
	if err := checkPeer(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// closeListedOnExec keeps what a folder of descriptors lists, but for the standard ones,
// from the processes that this one starts.
func closeListedOnExec(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, d := range list {
		if fd, err := strconv.Atoi(d.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	return nil
}
