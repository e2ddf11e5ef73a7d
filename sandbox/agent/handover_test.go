package agent

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestALaneWhoseProgramStandsStillIsServed(t *testing.T) {
	a, first := startAgent(t, nil)
	t.Cleanup(func() { first.Close() })
	s, programs := attachLanes(t, a, 3)
	c, err := Dial(testContext(t), s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(testContext(t)) })
	// So many requests have used every lane.
	for range 2 * len(programs) {
		if err := c.Ping(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range programs {
		if err := p.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		defer p.Process.Signal(syscall.SIGCONT)
	}
	for range 2 * len(programs) {
		if err := c.Ping(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALaneThatCannotBeHandedOverIsCopied(t *testing.T) {
	a, first := startAgent(t, nil)
	t.Cleanup(func() { first.Close() })
	down, downTheirs := net.Pipe()
	up, upTheirs := net.Pipe()
	ended := make(chan error, 1)
	go func() {
		args := AttachArgs{Socket: a.socket, Stream: newID(), Wait: patience}
		ended <- runAttach(args.List()[2:], downTheirs, upTheirs)
	}()
	c, err := Dial(testContext(t), &overLanes{up: NewPieceReader(bufio.NewReader(up)), down: []io.WriteCloser{down}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(testContext(t)); err != nil {
		t.Error(err)
	}
	c.Detach()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the lane did not end with its stream")
	}
}

func TestTheEndOfAHandedSocketIsSeenThoughOthersHaveItOpen(t *testing.T) {
	peer, mine := socketPair(t)
	defer mine.Close() // as a launcher would keep it
	lane, _, answer, err := offered(t, func(c net.Conn) { _ = sendFiles(c, mine, mine) })
	if err != nil || answer != handoverTaken {
		t.Fatalf("got %q, %v", answer, err)
	}
	lane.Close()
	if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}

// offered has takeOver answer a program that does what send says after it was asked for
// the lane's ends.
func offered(t *testing.T, send func(net.Conn)) (lane, greeted io.ReadWriteCloser, answer byte, err error) {
	t.Helper()
	mine, f := socketPair(t)
	theirs, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	t.Cleanup(func() { mine.Close(); theirs.Close() })
	answers := make(chan byte, 1)
	go func() {
		defer close(answers)
		var b [1]byte
		if _, err := io.ReadFull(mine, b[:]); err != nil || b[0] != handoverReady {
			return
		}
		send(mine)
		if _, err := io.ReadFull(mine, b[:]); err == nil {
			answers <- b[0]
		}
	}()
	greeted = &duplex{}
	lane, err = takeOver(theirs, greeted, false)
	if err != nil {
		theirs.Close()
	}
	return lane, greeted, <-answers, err
}

func TestHostileEndsOfALane(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	t.Run("files that cannot be awaited", func(t *testing.T) {
		lane, greeted, answer, err := offered(t, func(c net.Conn) { _ = sendFiles(c, r, file) })
		if err != nil || lane != greeted || answer != handoverRefused {
			t.Errorf("got %v, %v, %q", lane, err, answer)
		}
	})
	t.Run("one end", func(t *testing.T) {
		if _, _, _, err := offered(t, func(c net.Conn) { _ = sendFiles(c, r) }); err == nil || !strings.Contains(err.Error(), "1 descriptors") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no ends", func(t *testing.T) {
		if _, _, _, err := offered(t, func(c net.Conn) { _, _ = c.Write([]byte{0}) }); err == nil {
			t.Error("was taken")
		}
	})
	t.Run("an end of the connection", func(t *testing.T) {
		if _, _, _, err := offered(t, func(c net.Conn) { c.Close() }); !errors.Is(err, io.EOF) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a program that goes", func(t *testing.T) {
		var program net.Conn
		lane, _, answer, err := offered(t, func(c net.Conn) {
			program = c
			_ = sendFiles(c, r, w)
		})
		if err != nil || answer != handoverTaken {
			t.Fatalf("got %q, %v", answer, err)
		}
		program.Close()
		if _, err := lane.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}
