package lsptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Server is something to talk to. It is started once.
type Server interface {
	// start runs the server until ctx ends or it ends by itself.
	start(tb testing.TB, ctx context.Context) (*running, error)
}

// running is a started server: what to write to, what to read from, and how it ended.
type running struct {
	in     io.WriteCloser
	out    io.ReadCloser
	pid    int           // 0 in process
	done   chan struct{} // closed when the server has ended
	err    error         // why it ended; valid after done
	stderr func() string // what it said beside the protocol
}

// InProcess serves from a function, which runs until it returns; its context ends with the
// test. Its error fails the test.
func InProcess(serve func(ctx context.Context, in io.Reader, out io.Writer) error) Server {
	return inProcess(serve)
}

type inProcess func(ctx context.Context, in io.Reader, out io.Writer) error

func (serve inProcess) start(tb testing.TB, ctx context.Context) (*running, error) {
	tb.Helper()
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	r := &running{in: inW, out: outR, done: make(chan struct{}), stderr: func() string { return "" }}
	go func() {
		defer close(r.done)
		r.err = serve(ctx, inR, outW)
		_ = inR.Close()
		_ = outW.Close()
	}()
	return r, nil
}

// Binary serves from a program over its standard input and output. env is its whole
// environment, nil for the test's own. Its standard error is shown when the test fails.
func Binary(path string, args, env []string) Server { return binary{path, args, env} }

type binary struct {
	path      string
	args, env []string
}

func (b binary) start(tb testing.TB, ctx context.Context) (*running, error) {
	tb.Helper()
	cmd := exec.CommandContext(ctx, b.path, b.args...)
	cmd.Env = b.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a test's Ctrl-C is not the server's
	cmd.WaitDelay = 5 * time.Second
	var said tailBuffer
	cmd.Stderr = &said
	// Not StdinPipe and StdoutPipe: Wait closes those before the last output was read.
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	cmd.Stdin, cmd.Stdout = inR, outW
	err = cmd.Start()
	_, _ = inR.Close(), outW.Close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", b.path, err), inW.Close(), outR.Close())
	}
	r := &running{in: inW, out: outR, pid: cmd.Process.Pid, done: make(chan struct{}), stderr: said.String}
	go func() {
		defer close(r.done)
		r.err = cmd.Wait()
	}()
	return r, nil
}

// tailBuffer keeps the end of what is written to it.
type tailBuffer struct {
	mu  sync.Mutex
	buf []byte
}

const tailBytes = 64 << 10

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailBytes; over > 0 {
		t.buf = bytes.Clone(t.buf[over:])
	}
	return len(p), nil
}

func (t *tailBuffer) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
