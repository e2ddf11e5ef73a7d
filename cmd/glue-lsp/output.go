package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"glue-lsp/sandbox"
	"glue-lsp/session"
)

// brokenPipePatience is how long a command may go on printing for nobody.
const brokenPipePatience = time.Second

// output passes on what a command prints. Where nobody reads it any more, as behind
// `| head`, the command is told by SIGPIPE, and ended if it goes on printing all the same:
// the failing write that would tell it otherwise is ours. What it changed is kept either way.
type output struct {
	mu        sync.Mutex
	lineEnded bool
	e         *session.Exec
	terminal  map[sandbox.Stream]*escapes // of the streams that go to one
	told      time.Time                   // when the command was to learn of it; zero while somebody reads
	canceled  bool
}

func newOutput() *output {
	o := &output{lineEnded: true, terminal: map[sandbox.Stream]*escapes{}}
	for st, f := range map[sandbox.Stream]*os.File{sandbox.Stdout: os.Stdout, sandbox.Stderr: os.Stderr} {
		if term.IsTerminal(int(f.Fd())) {
			o.terminal[st] = &escapes{}
		}
	}
	return o
}

// running says whose output it is.
func (o *output) running(e *session.Exec) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.e = e
}

func (o *output) endsLine() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lineEnded
}

// write is a session.ExecOptions.Sink.
func (o *output) write(st sandbox.Stream, _ int64, p []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := os.Stdout
	if st == sandbox.Stderr {
		w = os.Stderr
	}
	o.lineEnded = p[len(p)-1] == '\n'
	if e := o.terminal[st]; e != nil {
		p = e.filter(p)
	}
	_, err := w.Write(p)
	if !errors.Is(err, syscall.EPIPE) {
		return err
	}
	switch {
	case o.e == nil: // it has only just been started
	case o.told.IsZero():
		o.told = time.Now()
		go o.e.Signal(context.Background(), "SIGPIPE") //nolint:errcheck // it may be over
	case !o.canceled && time.Since(o.told) > brokenPipePatience:
		o.canceled = true
		go o.e.Cancel(context.Background()) //nolint:errcheck // Wait reports how it ended
	}
	return nil
}
