package agent

import (
	"io"
	"net"
	"testing"
)

// passedIn gives terminals that another end makes, until that is closed.
func passedIn(t *testing.T, serve func(*net.UnixConn)) (terminals, func()) {
	t.Helper()
	mine, theirs := socketPair(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(mine.(*net.UnixConn))
	}()
	get, err := newTerminalClient(theirs)
	if err != nil {
		t.Fatal(err)
	}
	stop := func() { mine.Close(); <-done }
	t.Cleanup(stop)
	return get, stop
}

func TestTerminalsCanBePassedIn(t *testing.T) {
	get, stop := passedIn(t, func(c *net.UnixConn) { _ = ServeTerminals(c) })
	for range 3 {
		master, slave, err := get()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := slave.WriteString("hello\n"); err != nil {
			t.Error(err)
		}
		b := make([]byte, 16)
		if n, err := master.Read(b); err != nil || string(b[:n]) != "hello\r\n" {
			t.Errorf("got %q, %v", b[:n], err)
		}
		master.Close()
		slave.Close()
	}
	stop()
	if _, _, err := get(); err == nil {
		t.Error("a terminal from nobody")
	}
}

func TestATerminalThatCannotBeMadeIsAnError(t *testing.T) {
	for name, answer := range map[string][]byte{"refused": {28}, "no descriptors": {0}} {
		get, _ := passedIn(t, func(c *net.UnixConn) {
			var ask [1]byte
			if _, err := io.ReadFull(c, ask[:]); err == nil {
				_, _ = c.Write(answer)
			}
		})
		if m, _, err := get(); err == nil || m != nil {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}
