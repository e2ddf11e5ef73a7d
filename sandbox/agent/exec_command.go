package agent

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"glue-lsp/sandbox"
)

const (
	// endGrace is the time between TERM and KILL.
	endGrace = 2 * time.Second
	// pipeGrace is how long an ended command's outputs must be silent when a
	// descendant still holds them.
	pipeGrace = 150 * time.Millisecond
	// ttyBuffer is more than a terminal holds beyond what it says is readable.
	ttyBuffer = 256 << 10
)

// command is one command and what became of it.
type command struct {
	id      string
	mark    uint64 // see marks
	text    string
	started time.Time
	out     *output
	proc    *os.Process
	pty     *terminal // nil without one
	stdin   *stdinPipe

	done chan struct{} // closed when result is there

	mu       sync.Mutex
	exited   bool // the process itself; descendants may live
	ending   bool // cancel or time-out began
	timedOut bool
	canceled bool
	ended    chan struct{} // closed when the ending is complete
	timer    *time.Timer
	result   resultMessage
	// childless is set when a scan after the exit found no descendant: then there
	// can never be one again.
	childless bool
}

// pump moves one output into its ring.
func (c *command) pump(s sandbox.Stream, r io.ReadCloser) {
	defer r.Close()
	defer c.out.finish(s)
	for {
		p := c.out.space(s)
		n, err := r.Read(p)
		c.out.commit(s, n)
		if err != nil {
			return
		}
		if n == len(p) && n >= 32<<10 {
			widenPipe(r)
		}
	}
}

// reap waits for the process, its output and, when it was being ended, its
// descendants; then the result is there.
func (c *command) reap(streams map[sandbox.Stream]*os.File, waited func()) {
	state, err := c.proc.Wait()
	exit := time.Now()
	waited()
	c.mu.Lock()
	c.exited = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	if c.stdin != nil {
		c.stdin.close()
	}
	var limits [2]int64
	for s, f := range streams {
		pending := pendingBytes(f)
		if c.pty != nil {
			pending += ttyBuffer
		}
		limits[index(s)] = c.out.reach(s, pending)
	}
	c.settle(limits, exit)
	c.mu.Lock()
	ending, ended := c.ending, c.ended
	c.mu.Unlock()
	if ending {
		<-ended
		// Descendants may have printed until they were killed.
		c.settle(limits, exit)
	}
	c.out.seal()
	c.mu.Lock()
	c.result = resultOf(state, err)
	c.result.Nanos = int64(exit.Sub(c.started))
	c.result.TimedOut, c.result.Canceled = c.timedOut, c.canceled
	if c.timedOut {
		c.result.ExitCode = 124
	}
	final := c.out.final()
	c.result.Stdout, c.result.Stderr = final.Stdout, final.Stderr
	c.mu.Unlock()
	close(c.done)
}

// settle waits until the command's own output has been read.
func (c *command) settle(limits [2]int64, exit time.Time) {
	select {
	case <-c.out.eof:
		return
	default:
	}
	tick := time.NewTicker(pipeGrace / 10)
	defer tick.Stop()
	for {
		select {
		case <-c.out.eof:
			return
		case now := <-tick.C:
			if c.out.settled(limits, exit, now, pipeGrace) {
				return
			}
		}
	}
}

func resultOf(state *os.ProcessState, err error) resultMessage {
	if err != nil || state == nil {
		return resultMessage{ExitCode: 255}
	}
	ws, ok := state.Sys().(syscall.WaitStatus)
	if ok && ws.Signaled() {
		return resultMessage{ExitCode: 128 + int(ws.Signal()), Signal: signalName(ws.Signal())}
	}
	return resultMessage{ExitCode: state.ExitCode()}
}

// deliver answers that the command runs, and sends output from a reader's offsets on and
// then the result. What a short command does is one answer.
func (c *command) deliver(ctx context.Context, s *stream, rd *reader) error {
	defer c.out.detach(rd)
	defer context.AfterFunc(ctx, c.out.changed.Broadcast)()
	defer s.gatherFor(answerDelay)()
	if err := s.send(startReply{PTY: c.pty != nil}); err != nil {
		return err
	}
	var head [outputHeader]byte
	for {
		which, off, p, ok := c.out.next(ctx, rd)
		if !ok {
			break
		}
		if err := s.f.write(frameOutput, appendOutputHeader(head[:0], which, off), p); err != nil {
			return err
		}
		c.out.advance(rd, which, len(p))
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	result := c.result
	c.mu.Unlock()
	return s.sendLast(result)
}

// signal sends a signal to the command's group, and to the terminal's foreground
// group where that is another one.
func (c *command) signal(sig syscall.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.exited {
		return &sandbox.Error{Kind: sandbox.NoSuchExec, Message: "the command has ended"}
	}
	err := syscall.Kill(-c.proc.Pid, sig)
	if c.pty != nil {
		if fg := c.pty.foreground(); fg > 1 && fg != c.proc.Pid {
			_ = syscall.Kill(-fg, sig)
		}
	}
	if errors.Is(err, syscall.ESRCH) {
		return &sandbox.Error{Kind: sandbox.NoSuchExec, Message: "the command has ended"}
	}
	return err
}

// stdinPipe is the writing end of a command's standard input.
type stdinPipe struct {
	turn chan struct{} // held by the one who writes
	f    *os.File
	pty  *terminal
	last byte

	mu     sync.Mutex
	closed bool
}

func newStdinPipe(f *os.File, pty *terminal) *stdinPipe {
	return &stdinPipe{turn: make(chan struct{}, 1), f: f, pty: pty, last: '\n'}
}

// write passes on what r holds, in the order of the calls; the process's reading
// pushes back.
func (p *stdinPipe) write(ctx context.Context, r io.Reader, eof bool) error {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.turn }()
	stop := context.AfterFunc(ctx, func() { _ = p.f.SetWriteDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() {
			_ = p.f.SetWriteDeadline(time.Time{})
		}
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			p.last = buf[n-1]
			if _, werr := p.f.Write(buf[:n]); werr != nil {
				return p.failure(ctx, werr)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if eof {
		return p.failure(ctx, p.eof())
	}
	return nil
}

func (p *stdinPipe) failure(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, syscall.EPIPE), errors.Is(err, os.ErrClosed), errors.Is(err, syscall.EIO):
		return &sandbox.Error{Kind: sandbox.Unavailable, Message: "the command does not read its standard input any more"}
	}
	return err
}

// eof ends the input: a pipe is closed, a terminal gets its end-of-file character,
// twice where the first one only ends a line (termios(3), VEOF).
func (p *stdinPipe) eof() error {
	if p.pty == nil {
		p.close()
		return nil
	}
	c := []byte{p.pty.eofByte()}
	if p.last != '\n' {
		c = append(c, c[0])
	}
	p.last = '\n'
	_, err := p.f.Write(c)
	return err
}

func (p *stdinPipe) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && p.pty == nil {
		p.closed = true
		p.f.Close()
	}
}

// describe is a command as a list shows it.
func describe(req startRequest) string {
	if len(req.Argv) > 0 {
		return strings.Join(fromWire(req.Argv), " ")
	}
	return string(req.Command)
}
