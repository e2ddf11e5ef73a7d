package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glue-lsp/sandbox"
)

// withOps gives a client of an agent in this process that has more operations.
func withOps(t *testing.T, more ops) *Client {
	t.Helper()
	d, err := newDaemon(config{root: "/"})
	if err != nil {
		t.Fatal(err)
	}
	for name, h := range more {
		d.ops[name] = h
	}
	mine, theirs := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- d.serve(theirs) }()
	c, err := Dial(testContext(t), mine, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Detach()
		<-served
		d.shutdown()
		d.wait()
	})
	return c
}

func TestAPanicInAnOperationIsItsError(t *testing.T) {
	c := withOps(t, ops{"bad": unary(func(context.Context, nothing) (nothing, error) { panic("oh") })})
	if err := c.do(testContext(t), "bad", "", nothing{}, nil); kind(err) != sandbox.Unavailable || !strings.Contains(err.Error(), "oh") {
		t.Errorf("got %v", err)
	}
	if err := c.Ping(testContext(t)); err != nil {
		t.Error(err)
	}
}

func TestAnUnknownOperationSaysSo(t *testing.T) {
	c := withOps(t, nil)
	if err := c.do(testContext(t), "none", "", nothing{}, nil); kind(err) != sandbox.Unsupported {
		t.Errorf("got %v", err)
	}
}

func TestAnErrorKeepsItsKindPathAndHint(t *testing.T) {
	want := sandbox.Error{Kind: sandbox.NoSpace, Op: "x", Path: "/\xff", Message: "full", Hint: "make room"}
	c := withOps(t, ops{"x": unary(func(context.Context, nothing) (nothing, error) { e := want; return nothing{}, &e })})
	err := c.do(testContext(t), "x", "ignored", nothing{}, nil)
	var got *sandbox.Error
	if !errors.As(err, &got) || *got != want {
		t.Errorf("got %+v", got)
	}
}

func TestAReplyThatWasCutIsNotAnEnd(t *testing.T) {
	c := withOps(t, ops{"cut": streaming(func(_ context.Context, _ nothing, s *stream) error {
		if err := s.send(nothing{}); err != nil {
			return err
		}
		_, err := s.Write([]byte("half of it"))
		s.c.Close() // no end frame
		return err
	})})
	s, err := c.call(testContext(t), "cut", "/f", nothing{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b, err := io.ReadAll(s)
	if kind(err) != sandbox.ExecutorDead || string(b) != "half of it" {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestBothSidesCanSendMessagesAndBytes(t *testing.T) {
	c := withOps(t, ops{"echo": func(_ context.Context, args json.RawMessage, s *stream) (any, error) {
		for {
			var n int
			err := s.recv(&n)
			if errors.Is(err, io.EOF) {
				return "done", nil
			}
			if err != nil {
				return nil, err
			}
			b := make([]byte, n)
			if _, err := io.ReadFull(s, b); err != nil {
				return nil, err
			}
			if err := s.send(n); err != nil {
				return nil, err
			}
			if _, err := s.Write(b); err != nil {
				return nil, err
			}
		}
	}})
	s, err := c.open(testContext(t), "echo", "", true, nothing{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.gather()
	sizes := []int{0, 1, 70_000, 0, 3 << 20, 5}
	go func() {
		for i, n := range sizes {
			_ = s.send(n)
			_, _ = s.Write(filled(n, byte(i)))
		}
		_ = s.end(nil)
	}()
	for i, want := range sizes {
		var n int
		if err := s.recv(&n); err != nil || n != want {
			t.Fatalf("message %d: %d, %v", i, n, err)
		}
		b, err := io.ReadAll(s)
		if err != nil || string(b) != string(filled(n, byte(i))) {
			t.Fatalf("bytes %d: %d of %d, %v", i, len(b), n, err)
		}
	}
	var last string
	if err := s.recv(&last); err != nil || last != "done" {
		t.Fatalf("got %q, %v", last, err)
	}
	if err := s.expectEnd(); err != nil {
		t.Error(err)
	}
}

func filled(n int, b byte) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = b
	}
	return p
}

func TestCancellingACallEndsItsOperation(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	c := withOps(t, ops{"long": unary(func(ctx context.Context, _ nothing) (nothing, error) {
		close(begun)
		<-ctx.Done()
		close(ended)
		return nothing{}, ctx.Err()
	})})
	ctx, cancel := contextWithCancel(t)
	failed := make(chan error, 1)
	go func() { failed <- c.do(ctx, "long", "", nothing{}, nil) }()
	<-begun
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the operation goes on")
	}
}

func TestWithoutAClientTheAgentEndsEverythingAfterItsGrace(t *testing.T) {
	a, conn := startAgent(t, func(args *Args) { args.Grace = 1500 * time.Millisecond })
	c, err := Dial(testContext(t), conn, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Start(testContext(t), sandbox.ExecRequest{Command: "setsid -f sh -c 'echo $$ >p1; exec sleep 1000'; sleep 1000"}); err != nil {
		t.Fatal(err)
	}
	pids := escapees(t, a.root, "")
	c.Detach()
	ended := make(chan error, 1)
	go func() { ended <- a.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the agent ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the agent stays")
	}
	assertGone(t, pids)
}

func TestTheAgentsLifeCanBeCapped(t *testing.T) {
	c, _ := connect(t, func(args *Args) { args.Life = 1500 * time.Millisecond })
	select {
	case <-c.Done():
	case <-time.After(patience):
		t.Fatal("the agent stays")
	}
}

func TestTheSocketIsClosedToOthers(t *testing.T) {
	_, a := connect(t, nil)
	for path, want := range map[string]os.FileMode{filepath.Dir(a.socket): 0o700, a.socket: 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	open := filepath.Join(t.TempDir(), "open")
	mkdir(t, open)
	if _, err := Listen(filepath.Join(open, "s")); err == nil {
		t.Error("a socket in a folder that is open to others")
	}
}

func TestASocketWithALongPathWorks(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("long", 40), "s")
	_, _ = connect(t, func(args *Args) { args.Socket = filepath.Join(long, "agent.sock") })
	until(t, "the socket answers", func() bool {
		conn, err := DialSocket(filepath.Join(long, "agent.sock"))
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}

func TestANewConnectionOfAClientTakesTheOldOnesPlace(t *testing.T) {
	c, a, _ := reconnecting(t)
	// An answer shows that the agent has taken the first one in.
	if err := c.Ping(testContext(t)); err != nil {
		t.Fatal(err)
	}
	conn, err := DialSocket(a.socket)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	first := c.cur
	c.mu.Unlock()
	greeted, _, err := greetAgent(testContext(t), conn, clientHello{Client: c.id}, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer greeted.Close()
	select {
	case <-first.sess.CloseChan():
	case <-time.After(patience):
		t.Error("the agent keeps both")
	}
}

func TestX12_ALinkInTheSocketsPlaceIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "other.sock")
	l, err := net.Listen("unix", secret)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	link, file := filepath.Join(dir, "agent.sock"), filepath.Join(dir, "file")
	if err := os.Symlink(secret, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, file} {
		if conn, err := DialSocket(path); err == nil {
			conn.Close()
			t.Errorf("%s was connected to", path)
		}
	}
	conn, err := DialSocket(secret)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if _, err := DialSocket(filepath.Join(dir, "none")); !errors.Is(err, ErrGone) {
		t.Errorf("nothing there: %v", err)
	}
}
