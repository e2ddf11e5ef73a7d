package agent

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// A program that is a lane only because a sandbox starts it with the lane's pipes does
// better to give those that it uses to the agent than to copy what comes through them,
// which would wake one more process for every piece. So the agent, asked by the greeting,
// answers one byte; the program sends them (SCM_RIGHTS in unix(7)); the agent says by
// another byte whether it uses them itself from here on. The program stays as long as the
// connection does: its end is the lane's, and the lane's end is its.
const (
	handoverReady   = 'r'
	handoverTaken   = 't'
	handoverRefused = 'n'
)

// canHandOver gives the ends that a lane uses if they are all files of which another
// process can await what comes, else none.
func canHandOver(a AttachArgs, stdin io.Reader, stdout io.Writer) (ends []*os.File) {
	use := []any{stdin}
	if !a.Down {
		use = append(use, stdout)
	}
	for _, end := range use {
		f, ok := end.(*os.File)
		if !ok || !canBeAwaited(f) {
			return nil
		}
		ends = append(ends, f)
	}
	return ends
}

func canBeAwaited(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}

// handOver offers a lane's ends to the agent, whose greeting was answered. If it did not
// take them, they are as they were; if it did, they are closed here.
func handOver(conn net.Conn, from io.Reader, ends []*os.File) (taken bool, err error) {
	var answer [1]byte
	if _, err := io.ReadFull(from, answer[:]); err != nil {
		return false, err
	}
	if answer[0] != handoverReady {
		return false, protocolError("a lane's ends were answered by %q", answer[0])
	}
	if err := sendFiles(conn, ends...); err != nil {
		return false, err
	}
	if _, err := io.ReadFull(from, answer[:]); err != nil {
		return false, err
	}
	if answer[0] != handoverTaken {
		return false, nil
	}
	// The peer of a pipe learns of its end when nothing leads to it any more.
	closeAll(ends)
	return true, nil
}

// takeOver is the agent's part. The lane is the one that was greeted if the ends that came
// are of no use.
func takeOver(rw, greeted io.ReadWriteCloser, down bool) (io.ReadWriteCloser, error) {
	conn, ok := rw.(net.Conn)
	if !ok {
		return nil, protocolError("a lane's ends can come over a socket only")
	}
	if err := conn.SetDeadline(time.Now().Add(greetingTimeout)); err != nil {
		return nil, err
	}
	if _, err := conn.Write([]byte{handoverReady}); err != nil {
		return nil, err
	}
	want := 2
	if down {
		want = 1
	}
	_, fds, err := receiveFiles(conn, want)
	if err == nil && len(fds) == 0 {
		err = errors.New("no descriptors came")
	}
	if err != nil {
		return nil, fmt.Errorf("a lane's ends: %w", err)
	}
	ends, err := awaited(fds)
	answer := byte(handoverTaken)
	if err != nil {
		answer = handoverRefused
	}
	if _, err := conn.Write([]byte{answer}); err != nil {
		closeAll(ends)
		return nil, err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil || answer == handoverRefused {
		closeAll(ends)
		return greeted, err
	}
	lane := &handedLane{duplex: duplex{r: ends[0]}, holder: conn}
	if !down {
		lane.w = ends[1]
	}
	go func() {
		// Nothing more comes over it: whatever Read says means that its program has gone.
		var b [1]byte
		_, _ = conn.Read(b[:])
		lane.Close()
	}()
	return lane, nil
}

// handedLane is a lane whose ends another program has handed over.
type handedLane struct {
	duplex
	holder net.Conn // to that program
}

func (l *handedLane) Close() error {
	for _, end := range []any{l.r, l.w} {
		if f, ok := end.(*os.File); ok {
			hangUp(f)
		}
	}
	return errors.Join(l.duplex.Close(), l.holder.Close())
}

// hangUp tells the peer of a socket that it has ended, whoever else has it open, a
// launcher for one. Of a pipe it does nothing.
func hangUp(f *os.File) {
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) })
	}
}

// awaited makes files of descriptors whose Close ends a read and a write in progress. It
// takes them over, also when they are of no use.
func awaited(fds []int) (files []*os.File, err error) {
	for _, fd := range fds {
		err = errors.Join(err, syscall.SetNonblock(fd, true))
		f := os.NewFile(uintptr(fd), "lane")
		files = append(files, f)
		if !canBeAwaited(f) {
			err = errors.Join(err, errors.New("neither a pipe nor a socket"))
		}
	}
	if err != nil {
		closeAll(files)
		return nil, err
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

var errNoUnixSocket = errors.New("descriptors can be passed over a unix socket only")

// sendFiles sends one byte, and files with it.
func sendFiles(conn net.Conn, files ...*os.File) error {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return errNoUnixSocket
	}
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	_, _, err := uc.WriteMsgUnix([]byte{0}, syscall.UnixRights(fds...), nil)
	return err
}

// receiveFiles reads one byte and the descriptors that came with it: want of them, or none.
func receiveFiles(conn net.Conn, want int) (b byte, fds []int, err error) {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, nil, errNoUnixSocket
	}
	var data [1]byte
	rights := make([]byte, syscall.CmsgSpace(want*4))
	n, m, _, _, err := uc.ReadMsgUnix(data[:], rights) // sets close-on-exec
	switch {
	case err != nil:
		return 0, nil, err
	case n == 0:
		return 0, nil, io.ErrUnexpectedEOF
	case m == 0:
		return data[0], nil, nil
	}
	messages, err := syscall.ParseSocketControlMessage(rights[:m])
	if err != nil || len(messages) != 1 {
		return 0, nil, errors.Join(errors.New("an answer that does not decode"), err)
	}
	fds, err = syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != want {
		for _, fd := range fds {
			syscall.Close(fd)
		}
		return 0, nil, errors.Join(fmt.Errorf("%d descriptors came instead of %d", len(fds), want), err)
	}
	return data[0], fds, nil
}
