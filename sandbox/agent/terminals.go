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
	rights := syscall.UnixRights(int(master.Fd()), int(slave.Fd()))
	_, _, err = conn.WriteMsgUnix([]byte{0}, rights, nil)
	return err
}

// newTerminalClient asks a ServeTerminals at the other end of f, which it takes over.
func newTerminalClient(f *os.File) (terminals, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("it is no unix socket")
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

func askTerminal(conn *net.UnixConn) (master, slave *os.File, err error) {
	if _, err := conn.Write([]byte{0}); err != nil {
		return nil, nil, err
	}
	var answer [1]byte
	rights := make([]byte, syscall.CmsgSpace(2*4))
	n, m, _, _, err := conn.ReadMsgUnix(answer[:], rights) // sets close-on-exec
	switch {
	case err != nil:
		return nil, nil, err
	case n == 0:
		return nil, nil, io.ErrUnexpectedEOF
	case m == 0 && answer[0] != 0:
		return nil, nil, syscall.Errno(answer[0])
	}
	messages, err := syscall.ParseSocketControlMessage(rights[:m])
	if err != nil || len(messages) != 1 {
		return nil, nil, errors.Join(errors.New("an answer that does not decode"), err)
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 2 {
		for _, fd := range fds {
			syscall.Close(fd)
		}
		return nil, nil, errors.Join(errors.New("an answer without a pair"), err)
	}
	return os.NewFile(uintptr(fds[0]), "ptmx"), os.NewFile(uintptr(fds[1]), "tty"), nil
}
