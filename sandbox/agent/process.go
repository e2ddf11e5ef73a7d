package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"glue-lsp/sandbox"
)

// Start starts a command; see [sandbox.Sandbox]. Its output is on its way from then
// on, and held back until Wait takes it.
func (c *Client) Start(ctx context.Context, req sandbox.ExecRequest) (sandbox.Process, error) {
	if req.ID == "" {
		req.ID = newID()
	}
	if req.Timeout < 0 {
		return nil, &sandbox.Error{Kind: sandbox.InvalidParams, Op: "exec", Message: "the time-out is negative"}
	}
	ms := int64((req.Timeout + time.Millisecond - 1) / time.Millisecond)
	p := newRemote(c, req.ID)
	err := p.open(ctx, "exec.start", startRequest{
		ID: req.ID, Command: wireString(req.Command), Argv: toWire(req.Argv), Cwd: wireString(req.Cwd),
		Env: toWire(envList(req.Env)), TimeoutMs: ms, Stdin: req.Stdin, PTY: req.PTY,
	})
	if err != nil {
		if ctx.Err() != nil {
			// It may have been started all the same.
			go p.abandon()
		}
		return nil, err
	}
	return p, nil
}

// Attach finds a command again; see [sandbox.Sandbox].
func (c *Client) Attach(ctx context.Context, execID string, from sandbox.Offsets) (sandbox.Process, error) {
	p := newRemote(c, execID)
	p.pos = [2]int64{max(0, from.Stdout), max(0, from.Stderr)}
	if err := p.attach(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// Processes lists what runs; see [sandbox.Sandbox].
func (c *Client) Processes(ctx context.Context) ([]sandbox.ProcessInfo, error) {
	var rep listReply
	if err := c.do(ctx, "exec.list", "", nothing{}, &rep); err != nil {
		return nil, err
	}
	out := make([]sandbox.ProcessInfo, len(rep.Execs))
	for i, e := range rep.Execs {
		out[i] = sandbox.ProcessInfo{ID: e.ID, Command: string(e.Command), StartedAt: e.StartedAt, State: e.State}
	}
	return out, nil
}

// remote is a command in the sandbox.
type remote struct {
	c  *Client
	id string

	turn chan struct{} // held by the one that waits
	// Of the one that holds the turn:
	s    *stream
	stop context.CancelFunc
	pos  [2]int64 // up to where output was delivered
	lost [2]int64
	over *sandbox.ExecResult

	stdinTurn chan struct{}
}

func newRemote(c *Client, id string) *remote {
	return &remote{c: c, id: id, turn: make(chan struct{}, 1), stdinTurn: make(chan struct{}, 1)}
}

// ID is the command's id.
func (p *remote) ID() string { return p.id }

// open opens the stream over which output and result come. It outlives ctx, which
// bounds the opening only.
func (p *remote) open(ctx context.Context, op string, args any) error {
	own, stop := context.WithCancel(context.Background())
	release := context.AfterFunc(ctx, stop)
	s, err := p.c.call(own, op, p.id, args, &startReply{})
	if !release() && err == nil {
		s.Close()
		err = ctx.Err()
	}
	if err != nil {
		stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	p.s, p.stop = s, stop
	return nil
}

func (p *remote) attach(ctx context.Context) error {
	return p.open(ctx, "exec.attach", attachRequest{ID: p.id, Stdout: p.pos[0], Stderr: p.pos[1]})
}

func (p *remote) hangUp() {
	if p.s != nil {
		p.stop()
		p.s.Close()
		p.s = nil
	}
}

// abandon ends a command whose caller has given up.
func (p *remote) abandon() {
	ctx, cancel := context.WithTimeout(p.c.ctx, 10*time.Second)
	defer cancel()
	_ = p.Cancel(ctx)
}

// Wait delivers output and gives the result; see [sandbox.Process]. A lost connection
// that comes back is not noticed, but for the time that it takes.
func (p *remote) Wait(ctx context.Context, sink sandbox.Sink) (sandbox.ExecResult, error) {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return sandbox.ExecResult{}, ctx.Err()
	}
	defer func() { <-p.turn }()
	if sink == nil {
		sink = func(sandbox.Stream, int64, []byte) error { return nil }
	}
	for {
		if p.over != nil {
			return *p.over, nil
		}
		err := p.follow(ctx, &sink)
		if err == nil {
			continue
		}
		p.hangUp()
		if ctx.Err() != nil {
			return sandbox.ExecResult{}, ctx.Err()
		}
		if !linkLost(err) {
			return sandbox.ExecResult{}, err
		}
		if err := p.c.reconnected(ctx); err != nil {
			return sandbox.ExecResult{}, err
		}
	}
}

func linkLost(err error) bool {
	var e *sandbox.Error
	return errors.As(err, &e) && e.Kind == sandbox.ExecutorDead
}

// follow reads one stream to the result.
func (p *remote) follow(ctx context.Context, sink *sandbox.Sink) error {
	if p.s == nil {
		if err := p.attach(ctx); err != nil {
			return err
		}
	}
	defer context.AfterFunc(ctx, p.stop)()
	buf := p.c.buffers.Get().(*[]byte)
	defer p.c.buffers.Put(buf)
	for {
		s := p.s
		if err := s.advance(); err != nil {
			if errors.Is(err, io.EOF) {
				return s.fail(protocolError("a command without a result"))
			}
			return err
		}
		if s.f.typ == frameMessage {
			return p.finish()
		}
		if err := p.take(*buf, sink); err != nil {
			return err
		}
	}
}

// finish reads the result and the stream's end.
func (p *remote) finish() error {
	var m resultMessage
	if err := p.s.recv(&m); err != nil {
		return err
	}
	if err := p.s.expectEnd(); err != nil {
		return err
	}
	p.hangUp()
	for i, end := range [2]int64{m.Stdout, m.Stderr} {
		p.lost[i] += max(0, end-p.pos[i])
	}
	p.over = &sandbox.ExecResult{
		ExitCode: m.ExitCode, Signal: m.Signal, TimedOut: m.TimedOut, Canceled: m.Canceled,
		Duration: time.Duration(m.Nanos), Lost: sandbox.Offsets{Stdout: p.lost[0], Stderr: p.lost[1]},
	}
	return nil
}

// take delivers one output frame.
func (p *remote) take(buf []byte, sink *sandbox.Sink) error {
	f := &p.s.f
	if f.typ != frameOutput || f.left < outputHeader {
		return p.s.fail(protocolError("a frame of type %d in a command's output", f.typ))
	}
	for n := 0; n < outputHeader; {
		m, err := f.read(buf[n:outputHeader])
		if err != nil {
			return p.s.fail(err)
		}
		n += m
	}
	which, off := sandbox.Stream(buf[0]), int64(binary.BigEndian.Uint64(buf[1:]))
	if which != sandbox.Stdout && which != sandbox.Stderr {
		return p.s.fail(protocolError("output of stream %d", which))
	}
	i := index(which)
	if off < p.pos[i] || off > maxOffset {
		return p.s.fail(protocolError("output at offset %d after %d", off, p.pos[i]))
	}
	p.lost[i] += off - p.pos[i]
	p.pos[i] = off
	for f.open {
		n := 0
		// Small reads are gathered: a sink call per piece of the transport is waste.
		for f.open && n < len(buf) {
			m, err := f.read(buf[n:])
			if err != nil {
				return p.s.fail(err)
			}
			n += m
		}
		if n == 0 {
			break
		}
		if *sink != nil && (*sink)(which, p.pos[i], buf[:n]) != nil {
			*sink = nil
		}
		p.pos[i] += int64(n)
	}
	return nil
}

// maxOffset bounds what an agent can claim, so that sums stay numbers.
const maxOffset = 1 << 62

// Stdin writes to the command's standard input; see [sandbox.Process].
func (p *remote) Stdin(ctx context.Context, b []byte, eof bool) error {
	select {
	case p.stdinTurn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.stdinTurn }()
	s, err := p.c.open(ctx, "exec.stdin", "", true, stdinRequest{ID: p.id, EOF: eof})
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.Write(b)
	if err == nil {
		err = s.end(nil)
	}
	// The agent's own reason, if it gave one, says more than a failed write.
	if end := s.expectEnd(); end != nil {
		return end
	}
	return err
}

// Resize changes the terminal's size; see [sandbox.Process].
func (p *remote) Resize(ctx context.Context, w sandbox.Winsize) error {
	return p.c.do(ctx, "exec.resize", "", resizeRequest{ID: p.id, Size: w}, nil)
}

// Signal signals the process group; see [sandbox.Process].
func (p *remote) Signal(ctx context.Context, name string) error {
	return p.c.do(ctx, "exec.signal", "", signalRequest{ID: p.id, Name: name}, nil)
}

// Cancel ends the command and its descendants; see [sandbox.Process].
func (p *remote) Cancel(ctx context.Context) error {
	return p.c.do(ctx, "exec.cancel", "", cancelRequest{ID: p.id}, nil)
}

// newBuffers makes the pool of buffers for output.
func newBuffers() *sync.Pool {
	return &sync.Pool{New: func() any { b := make([]byte, readSize); return &b }}
}
