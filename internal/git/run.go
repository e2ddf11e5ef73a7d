package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Cmd is one git command in a repository.
type Cmd struct {
	Args   []string
	Stdin  io.Reader
	Stdout io.Writer
	Env    []string // added to the fixed environment
	Limits *Limits  // nil: DefaultLimits

	warnings *string // gets what a command that succeeded had to say
}

// Error is a git command that failed. Code is its exit status, -1 when it did not
// exit by itself. Stderr holds git's own words, made safe to show. Err says more
// where more is known: a *LimitError, or the context's error.
type Error struct {
	Args   []string
	Code   int
	Stderr string
	Err    error
}

func (e *Error) Error() string {
	name := "git"
	if len(e.Args) > 0 {
		name += " " + e.Args[0]
	}
	switch {
	case e.Err != nil && e.Stderr != "":
		return name + ": " + e.Err.Error() + ": " + e.Stderr
	case e.Err != nil:
		return name + ": " + e.Err.Error()
	case e.Stderr != "":
		return name + ": " + e.Stderr
	default:
		return fmt.Sprintf("%s: exit status %d", name, e.Code)
	}
}

func (e *Error) Unwrap() error { return e.Err }

const (
	// maxStderr is how much of git's complaint is kept.
	maxStderr = 64 << 10
	// pipeGrace is how long a dead command's pipes may stay open.
	pipeGrace = 2 * time.Second
)

// run starts one command and waits for it. It does not return before the process
// is gone. When ctx ends the whole process group is killed.
func (g *Git) run(ctx context.Context, p place, c Cmd) error {
	limits := c.Limits
	if limits == nil {
		limits = &DefaultLimits
	}
	outer := ctx
	if limits.Wall > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limits.Wall)
		defer cancel()
	}
	var stderr cappedBuffer
	cmd, gate := g.command(ctx, p, c, limits)
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return &Error{Args: c.Args, Code: -1, Err: err}
	}
	if err := limits.apply(cmd.Process.Pid); err != nil {
		killGroup(cmd.Process.Pid)
		gate.open()
		_ = cmd.Wait()
		return &Error{Args: c.Args, Code: -1, Err: fmt.Errorf("limits could not be set: %w", err)}
	}
	gate.open()
	err := cmd.Wait()
	if err == nil {
		if c.warnings != nil {
			*c.warnings = stderr.String()
		}
		return nil
	}
	failed := &Error{Args: c.Args, Code: -1, Stderr: plain(stderr.String())}
	if cmd.ProcessState != nil {
		failed.Code = cmd.ProcessState.ExitCode()
		failed.Err = limits.reached(cmd.ProcessState, failed.Stderr)
	}
	var exit *exec.ExitError
	switch {
	case outer.Err() != nil:
		failed.Err = outer.Err()
	case ctx.Err() != nil:
		failed.Err = &LimitError{What: LimitWall, Max: limits.Wall.String()}
	case failed.Err == nil && !errors.As(err, &exit):
		failed.Err = err // e.g. writing to Stdout failed
	case failed.Err == nil && failed.Code < 0:
		failed.Err = err // ended by a signal
	}
	return failed
}

// command makes the process that run and Blobs start. Its input waits for the
// gate, so that no byte of it is read before the limits hold.
func (g *Git) command(ctx context.Context, p place, c Cmd, limits *Limits) (*exec.Cmd, *gate) {
	cmd := exec.CommandContext(ctx, g.Path, c.Args...)
	cmd.Dir = p.workDir
	cmd.Env = append(environ(p), limits.env()...)
	cmd.Env = append(cmd.Env, c.Env...)
	cmd.Stdout = c.Stdout
	cmd.WaitDelay = pipeGrace
	ownGroup(cmd)
	cmd.Cancel = func() error {
		killGroup(cmd.Process.Pid)
		return nil
	}
	gate := &gate{ready: make(chan struct{}), from: c.Stdin}
	if c.Stdin != nil {
		cmd.Stdin = gate
	}
	return cmd, gate
}

// output runs a command and gives what it printed.
func (g *Git) output(ctx context.Context, p place, args ...string) ([]byte, error) {
	var out bytes.Buffer
	err := g.run(ctx, p, Cmd{Args: args, Stdout: &out})
	return out.Bytes(), err
}

// gate is a reader that blocks until it is opened.
type gate struct {
	ready chan struct{}
	from  io.Reader
}

func (g *gate) open() { close(g.ready) }

func (g *gate) Read(p []byte) (int, error) {
	<-g.ready
	return g.from.Read(p)
}

// cappedBuffer keeps the first maxStderr bytes and drops the rest.
type cappedBuffer struct{ bytes.Buffer }

func (b *cappedBuffer) Write(p []byte) (int, error) {
	if room := maxStderr - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// plain trims git's words and takes out what a terminal would act on: git repeats
// names and messages that came from elsewhere.
func plain(s string) string {
	s = strings.TrimSpace(s)
	var b strings.Builder
	b.Grow(len(s))
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}
