package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"glue-lsp/sandbox"
)

// cuttable is a client's stream that a test can cut.
type cuttable struct {
	mu  sync.Mutex
	cur net.Conn
}

func (c *cuttable) use(conn net.Conn) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cur = conn
	return conn
}

func (c *cuttable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cur.Close()
}

// reconnecting gives a client that finds its agent again, and the means to cut it.
func reconnecting(t *testing.T) (*Client, *agentProcess, *cuttable) {
	t.Helper()
	a, conn := startAgent(t, nil)
	link := &cuttable{}
	c, err := Dial(testContext(t), link.use(conn), Options{Redial: func(context.Context) (io.ReadWriteCloser, error) {
		conn, err := DialSocket(a.socket)
		if err != nil {
			return nil, err
		}
		return link.use(conn), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(testContext(t)) })
	return c, a, link
}

func TestF28_ALostStreamLosesNoOutputAndNoCommand(t *testing.T) {
	c, _, link := reconnecting(t)
	const lines = 300_000
	p, err := c.Start(testContext(t), sandbox.ExecRequest{Command: "seq 300000; seq 300000 >&2; exit 9"})
	if err != nil {
		t.Fatal(err)
	}
	var out [2]bytes.Buffer
	cuts := 0
	res, err := p.Wait(testContext(t), func(s sandbox.Stream, off int64, b []byte) error {
		if int64(out[index(s)].Len()) != off {
			t.Errorf("offset %d after %d", off, out[index(s)].Len())
		}
		out[index(s)].Write(b)
		if (out[0].Len()+out[1].Len())/400_000 > cuts {
			cuts++
			link.cut()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if cuts < 5 {
		t.Errorf("the stream was cut only %d times", cuts)
	}
	var want bytes.Buffer
	for i := range lines {
		want.WriteString(itoa(i+1) + "\n")
	}
	for i := range out {
		if !bytes.Equal(out[i].Bytes(), want.Bytes()) {
			t.Errorf("stream %d: %d bytes of %d", i+1, out[i].Len(), want.Len())
		}
	}
	if res.ExitCode != 9 || res.Lost != (sandbox.Offsets{}) {
		t.Errorf("got %+v", res)
	}
}

func itoa(n int) string {
	var b [20]byte
	i := len(b)
	for ; n > 0 || i == len(b); n /= 10 {
		i--
		b[i] = byte('0' + n%10)
	}
	return string(b[i:])
}

func TestF28_U6_ACommandGoesOnWithoutAClient(t *testing.T) {
	a, conn := startAgent(t, nil)
	c, err := Dial(testContext(t), conn, Options{})
	if err != nil {
		t.Fatal(err)
	}
	command := "while [ ! -e go ]; do sleep 0.01; done; echo finished; exit 4"
	if _, err := c.Start(testContext(t), sandbox.ExecRequest{ID: "x", Command: "echo begun; " + command}); err != nil {
		t.Fatal(err)
	}
	c.Detach()
	write(t, filepath.Join(a.root, "go"), "", 0o644)
	conn2, err := DialSocket(a.socket)
	if err != nil {
		t.Fatal(err)
	}
	c2, err := Dial(testContext(t), conn2, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c2.Detach()
	p, err := c2.Attach(testContext(t), "x", sandbox.Offsets{Stdout: 6})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	res, err := p.Wait(testContext(t), func(_ sandbox.Stream, off int64, b []byte) error {
		if off != int64(6+out.Len()) {
			t.Errorf("offset %d", off)
		}
		out.Write(b)
		return nil
	})
	if err != nil || out.String() != "finished\n" || res.ExitCode != 4 {
		t.Errorf("got %q, %+v, %v", out.String(), res, err)
	}
	// An ended command can be read again, from the start.
	p, err = c2.Attach(testContext(t), "x", sandbox.Offsets{})
	if err != nil {
		t.Fatal(err)
	}
	if got := wait(t, p); got.out != "begun\nfinished\n" || got.ExitCode != 4 {
		t.Errorf("got %+v", got)
	}
}

func TestX8_WhatNobodyTookIsCounted(t *testing.T) {
	a, conn := startAgent(t, nil)
	c, err := Dial(testContext(t), conn, Options{})
	if err != nil {
		t.Fatal(err)
	}
	command := "while [ ! -e go ]; do sleep 0.01; done; head -c 40000000 /dev/zero"
	if _, err := c.Start(testContext(t), sandbox.ExecRequest{ID: "flood", Command: command + "; echo; >ended"}); err != nil {
		t.Fatal(err)
	}
	c.Detach()
	write(t, filepath.Join(a.root, "go"), "", 0o644)
	until(t, "the command ends although nobody reads", func() bool {
		_, err := os.Stat(filepath.Join(a.root, "ended"))
		return err == nil
	})
	conn2, err := DialSocket(a.socket)
	if err != nil {
		t.Fatal(err)
	}
	c2, err := Dial(testContext(t), conn2, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c2.Detach()
	p, err := c2.Attach(testContext(t), "flood", sandbox.Offsets{})
	if err != nil {
		t.Fatal(err)
	}
	var got, first int64
	res, err := p.Wait(testContext(t), func(_ sandbox.Stream, off int64, b []byte) error {
		if got == 0 {
			first = off
		}
		got += int64(len(b))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Beside what is kept, the pipe may still hold something when the command ends.
	if got == 0 || got > maxKeep+(1<<20) || res.Lost.Stdout != first || res.Lost.Stdout+got != 40_000_001 {
		t.Errorf("%d bytes from %d on, lost %+v", got, first, res.Lost)
	}
}

func TestU11_LargeOutputArrivesWholeWhileOtherCallsGoOn(t *testing.T) {
	c, _ := connect(t, nil)
	const size = 200 << 20
	p, err := c.Start(testContext(t), sandbox.ExecRequest{Argv: []string{"head", "-c", "209715200", "/dev/zero"}})
	if err != nil {
		t.Fatal(err)
	}
	half := make(chan struct{})
	var once sync.Once
	calls := make(chan error, 1)
	go func() {
		<-half
		for range 50 {
			if err := c.Ping(testContext(t)); err != nil {
				calls <- err
				return
			}
		}
		calls <- nil
	}()
	n := 0
	res, err := p.Wait(testContext(t), func(_ sandbox.Stream, _ int64, b []byte) error {
		if n += len(b); n > size/2 {
			once.Do(func() {
				close(half)
				// The reader stands still: others must not.
				if err := <-calls; err != nil {
					t.Error(err)
				}
			})
		}
		return nil
	})
	if err != nil || n != size || res.ExitCode != 0 {
		t.Errorf("%d bytes of %d, %+v, %v", n, size, res, err)
	}
}

func TestASlowReaderHoldsTheCommandBack(t *testing.T) {
	c, a := connect(t, nil)
	p, err := c.Start(testContext(t), sandbox.ExecRequest{Command: "head -c 100000000 /dev/zero; >ended"})
	if err != nil {
		t.Fatal(err)
	}
	first := true
	n := 0
	if _, err := p.Wait(testContext(t), func(_ sandbox.Stream, _ int64, b []byte) error {
		n += len(b)
		if first {
			first = false
			// Everything that can be on its way would have arrived by the time that as
			// many calls were answered.
			for range 200 {
				if err := c.Ping(testContext(t)); err != nil {
					return err
				}
			}
			if _, err := os.Stat(filepath.Join(a.root, "ended")); err == nil {
				t.Error("100 MB were written although nobody read")
			}
		}
		return nil
	}); err != nil || n != 100_000_000 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestASinksErrorEndsTheDeliveryNotTheCommand(t *testing.T) {
	c, a := connect(t, nil)
	calls := 0
	p, err := c.Start(testContext(t), sandbox.ExecRequest{Command: "head -c 20000000 /dev/zero; >ended; exit 6"})
	if err != nil {
		t.Fatal(err)
	}
	res, err := p.Wait(testContext(t), func(sandbox.Stream, int64, []byte) error {
		calls++
		return errors.New("the disk is full")
	})
	if err != nil || res.ExitCode != 6 || calls != 1 {
		t.Errorf("%+v, %v after %d calls", res, err, calls)
	}
	if _, err := os.Stat(filepath.Join(a.root, "ended")); err != nil {
		t.Error(err)
	}
}

func TestWaitingCanBeGivenUpAndTakenUpAgain(t *testing.T) {
	c, a := connect(t, nil)
	p, err := c.Start(testContext(t), sandbox.ExecRequest{Command: "echo one; while [ ! -e go ]; do sleep 0.01; done; echo two"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := contextWithCancel(t)
	var out strings.Builder
	sink := func(_ sandbox.Stream, off int64, b []byte) error {
		if off != int64(out.Len()) {
			t.Errorf("offset %d after %d", off, out.Len())
		}
		out.Write(b)
		cancel()
		return nil
	}
	if _, err := p.Wait(ctx, sink); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	write(t, filepath.Join(a.root, "go"), "", 0o644)
	if _, err := p.Wait(testContext(t), sink); err != nil || out.String() != "one\ntwo\n" {
		t.Errorf("got %q, %v", out.String(), err)
	}
	// The result stays.
	if res, err := p.Wait(testContext(t), sink); err != nil || res.ExitCode != 0 || out.String() != "one\ntwo\n" {
		t.Errorf("got %q, %+v, %v", out.String(), res, err)
	}
}

func TestX9_ACommandThatPrintsTheProtocolChangesNothing(t *testing.T) {
	c, a := connect(t, nil)
	var evil bytes.Buffer
	_ = writeHello(&evil, ProtocolVersion, agentHello{Instance: "evil"})
	evil.Write(appendFrame(nil, frameEnd, nil, encodeError(&sandbox.Error{Kind: sandbox.NoSpace, Message: "evil"})))
	evil.Write(appendFrame(nil, frameMessage, nil, []byte(`{"exitCode":99}`)))
	evil.Write([]byte{0, 2, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0}) // a reset, in the multiplexer's form
	evil.WriteString("\x1b]0;title\x07\x1b[2J")
	write(t, filepath.Join(a.root, "evil"), evil.String(), 0o644)
	got := run(t, c, sandbox.ExecRequest{Command: "cat evil; cat evil >&2; (cat evil >/proc/$PPID/fd/0) 2>/dev/null; (cat evil >/proc/$PPID/fd/1) 2>/dev/null; exit 3"})
	if got.out != evil.String() || got.err != evil.String() || got.ExitCode != 3 {
		t.Errorf("got %d and %d bytes of %d, status %d", len(got.out), len(got.err), evil.Len(), got.ExitCode)
	}
	if err := c.Ping(testContext(t)); err != nil {
		t.Error(err)
	}
}

func TestCallsInFlightAnswerWhenTheAgentDies(t *testing.T) {
	c, a := connect(t, nil)
	p, err := c.Start(testContext(t), sandbox.ExecRequest{Argv: []string{"sleep", "1000"}, Stdin: true})
	if err != nil {
		t.Fatal(err)
	}
	// A stopped agent leaves calls without an answer.
	if err := a.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func() error{
		"ping":      func() error { return c.Ping(testContext(t)) },
		"exec.list": func() error { _, err := c.Processes(testContext(t)); return err },
		"exec.start": func() error {
			_, err := c.Start(testContext(t), sandbox.ExecRequest{Argv: []string{"true"}})
			return err
		},
		"exec.stdin": func() error { return p.Stdin(testContext(t), []byte("x"), false) },
		"exec":       func() error { _, err := p.Wait(testContext(t), nil); return err },
	}
	type answer struct {
		op  string
		err error
	}
	answers := make(chan answer, len(calls))
	for op, call := range calls {
		go func() { answers <- answer{op, call()} }()
	}
	// Cancelling does not wait for the agent either.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := a.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for range calls {
		got := <-answers
		var e *sandbox.Error
		if !errors.As(got.err, &e) || e.Kind != sandbox.ExecutorDead || e.Op != opName(got.op) {
			t.Errorf("%s: %v (%+v)", got.op, got.err, e)
		}
	}
	select {
	case <-c.Done():
	case <-time.After(patience):
		t.Fatal("the client does not notice")
	}
	if kind(c.Err()) != sandbox.ExecutorDead {
		t.Errorf("the reason is %v", c.Err())
	}
	if err := c.Ping(testContext(t)); kind(err) != sandbox.ExecutorDead {
		t.Errorf("a later call: %v", err)
	}
}
