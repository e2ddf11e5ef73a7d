package agent

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/creack/pty"
)

// terminals makes a pseudo-terminal.
type terminals func() (master, slave *os.File, err error)

// openTerminal makes one here.
func openTerminal() (master, slave *os.File, err error) { return pty.Open() }

// A confinement that lets commands open pseudo-terminals by their names, all of them in
// one folder, lets them open the person's own terminals too, and read what is typed
// there. So a process outside makes each pair and passes it in: one byte asks, one byte
// answers with both descriptors (SCM_RIGHTS in unix(7)), or with none for a failure whose
// number it is.

// ServeTerminals answers an agent's requests for terminals until conn ends.
func ServeTerminals(conn *net.UnixConn) error {
	var ask [1]byte
	for {
		if _, err := io.ReadFull(conn, ask[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := answerTerminal(conn); err != nil {
			return err
		}
	}
}

func answerTerminal(conn *net.UnixConn) error {
	master, slave, err := openTerminal()
	if err != nil {
		number := syscall.EIO
		errors.As(err, &number)
		_, err := conn.Write([]byte{byte(number)})
		return err
	}
	defer master.Close()
	defer slave.Close()
	return sendFiles(conn, master, slave)
}

// newTerminalClient asks a ServeTerminals at the other end of f, which it takes over.
func newTerminalClient(f *os.File) (terminals, error) {
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	return func() (*os.File, *os.File, error) {
		mu.Lock()
		defer mu.Unlock()
		master, slave, err := askTerminal(conn)
		if err != nil {
			return nil, nil, fmt.Errorf("making a terminal: %w", err)
		}
		return master, slave, nil
	}, nil
}

func askTerminal(conn net.Conn) (master, slave *os.File, err error) {
	if _, err := conn.Write([]byte{0}); err != nil {
		return nil, nil, err
	}
	answer, fds, err := receiveFiles(conn, 2)
	switch {
	case err != nil:
		return nil, nil, err
	case len(fds) == 0 && answer != 0:
		return nil, nil, syscall.Errno(answer)
	case len(fds) == 0:
		return nil, nil, errors.New("an answer without a pair")
	}
	return os.NewFile(uintptr(fds[0]), "ptmx"), os.NewFile(uintptr(fds[1]), "tty"), nil
}
