package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"
)

// Cmd is one git command in a repository. A failure of Stdin fails the command; a
// Stdin that blocks does not hold up its end, but may be read once more after it.
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
	args := e.Args
	for len(args) > 2 && args[0] == "-c" {
		args = args[2:]
	}
	if len(args) > 0 {
		name += " " + args[0]
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

// Unwrap gives the cause. Git tells of a full disk only in words (strerror(3) and its
// own), so that errors.Is finds ENOSPC and EDQUOT here as it does elsewhere.
func (e *Error) Unwrap() error {
	if e.Err != nil {
		return e.Err
	}
	for _, c := range []struct {
		words string
		err   error
	}{
		{"No space left on device", syscall.ENOSPC},
		{"out of diskspace", syscall.ENOSPC},
		{"Disk quota exceeded", syscall.EDQUOT},
	} {
		if strings.Contains(e.Stderr, c.words) {
			return c.err
		}
	}
	return nil
}

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
	cmd := g.command(ctx, p, c, limits)
	cmd.Stderr = &stderr
	input, err := startLimited(cmd, limits)
	if err != nil {
		return &Error{Args: c.Args, Code: -1, Err: err}
	}
	if g.started != nil {
		g.started(cmd.Process.Pid)
	}
	fed := feed(input, c.Stdin)
	err = cmd.Wait()
	if err == nil {
		err = fed.failure()
	}
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

// command makes the process that run and Blobs start.
func (g *Git) command(ctx context.Context, p place, c Cmd, limits *Limits) *exec.Cmd {
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
	return cmd
}

// startLimited starts a process and gives its input, of which no byte is there to
// be read before the limits hold.
func startLimited(cmd *exec.Cmd, limits *Limits) (io.WriteCloser, error) {
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if err := limits.apply(cmd.Process.Pid); err != nil {
		killGroup(cmd.Process.Pid)
		_ = cmd.Wait()
		return nil, fmt.Errorf("limits could not be set: %w", err)
	}
	return input, nil
}

// feeding is an input on its way into a process.
type feeding chan error

// feed copies from to a process's input and closes it. Nobody waits for it: when
// the process is gone, from may still be blocked, and then keeps only itself.
func feed(to io.WriteCloser, from io.Reader) feeding {
	done := make(feeding, 1)
	if from == nil {
		to.Close()
		return done
	}
	go func() {
		_, err := io.Copy(to, readErrors{from})
		var read *readError
		if errors.As(err, &read) {
			done <- read.err // what the process does not want is no failure
		}
		to.Close()
	}()
	return done
}

// failure tells whether the input broke off. It was told before the process could
// see the end.
func (f feeding) failure() error {
	select {
	case err := <-f:
		return fmt.Errorf("read its input: %w", err)
	default:
		return nil
	}
}

// readErrors marks the errors of a reader, so that a copy's reading and writing can
// be told apart.
type readErrors struct{ io.Reader }

type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }

func (r readErrors) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = &readError{err}
	}
	return n, err
}

// output runs a command and gives what it printed.
func (g *Git) output(ctx context.Context, p place, args ...string) ([]byte, error) {
	out := boundedBuffer{most: maxOutput}
	return out.result(g.run(ctx, p, Cmd{Args: args, Stdout: &out}))
}

// cappedBuffer keeps the first maxStderr bytes and drops the rest.
type cappedBuffer struct {
	buf bytes.Buffer // not embedded: its ReadFrom knows no bound
}

func (b *cappedBuffer) Write(p []byte) (int, error) {
	if room := maxStderr - b.buf.Len(); room > 0 {
		b.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (b *cappedBuffer) String() string { return b.buf.String() }

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
