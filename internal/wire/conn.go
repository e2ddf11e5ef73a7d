package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"go.lsp.dev/jsonrpc2"
)

// Conn is one connection, either end.
type Conn struct {
	handler Handler
	opts    Options
	in      io.Reader
	frames  *frameReader
	out     *outbox
	writer  io.Writer

	// ctx is the handlers' and ends with the connection.
	ctx    context.Context
	cancel context.CancelFunc
	// closed is closed by Close: no more is read and no new message is accepted.
	closed    chan struct{}
	closeOnce sync.Once

	mu       sync.Mutex
	incoming map[jsonrpc2.ID]*incomingCall // the peer's calls without an answer yet
	outgoing map[int64]chan answer         // ours
	ended    bool                          // no call starts any more, in either direction
	lastID   int64

	slots   chan struct{} // one for each handler that runs
	refusal atomic.Bool   // waiting for a slot was in vain; cleared when one comes free
	running sync.WaitGroup
	trouble uint64 // broken frames so far; the reader's
}

// New makes a connection over in and out, and starts nothing; messages sent before Run wait.
// If in and out can be closed, the connection closes them when it ends.
func New(in io.Reader, out io.Writer, h Handler, o Options) *Conn {
	o = o.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	return &Conn{
		handler: h, opts: o,
		in: in, frames: newFrameReader(in, o),
		writer: out, out: newOutbox(out, o),
		ctx: ctx, cancel: cancel, closed: make(chan struct{}),
		incoming: map[jsonrpc2.ID]*incomingCall{},
		outgoing: map[int64]chan answer{},
		slots:    make(chan struct{}, o.MaxCalls),
	}
}

// Run serves the connection until the input ends, Close is called or ctx ends (nil), or
// until reading or writing fails. It is called once. When the input ends, calls that run
// get Options.Grace to answer before they are cancelled. When Run returns, all that it
// started has ended, except for handlers that ignore their context and a read that the
// operating system cannot interrupt (a blocking standard input).
func (c *Conn) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { c.Close() })()

	writing := make(chan error, 1)
	go func() { writing <- c.out.run() }()
	reading := make(chan error, 1)
	go func() { reading <- c.read() }()

	var readErr, writeErr error
	wrote, read := false, false
	select {
	case readErr = <-reading:
		read = true
		c.failOutgoing()
		within(c.opts.Grace, c.closed, c.running.Wait)
	case writeErr = <-writing:
		wrote = true
		writeErr = fmt.Errorf("write to the peer: %w", writeErr)
	case <-c.closed:
	}

	c.Close()
	c.cancel()
	if !within(c.opts.Grace, nil, c.running.Wait) {
		c.opts.Log("closing: %d handlers ignore that their request was cancelled", len(c.slots))
	}
	c.out.finish()
	if !wrote {
		c.endWriting(writing)
	}
	if !read && interruptRead(c.in) {
		_ = <-reading // whatever it says now, we made it say it
	}
	if r, ok := c.in.(io.Closer); ok && read {
		_ = r.Close()
	}
	if readErr != nil {
		readErr = fmt.Errorf("read from the peer: %w", readErr)
	}
	return errors.Join(readErr, writeErr)
}

// Close ends the connection: Run cancels what runs, writes what is queued, and returns.
// Close itself does not wait, so that a Handler may call it. It always returns nil.
func (c *Conn) Close() error {
	c.closeOnce.Do(func() {
		close(c.closed)
		c.failOutgoing()
		c.cancel()
	})
	return nil
}

// endWriting lets the writer finish its queue and closes the output. A peer that does not
// read does not get to hold us.
func (c *Conn) endWriting(writing <-chan error) {
	closer, canClose := c.writer.(io.Closer)
	timer := time.NewTimer(c.opts.Grace)
	defer timer.Stop()
	select {
	case err := <-writing:
		if err != nil {
			c.opts.Log("closing: the last messages could not be written: %v", err)
		}
		if canClose {
			_ = closer.Close()
		}
		return
	case <-timer.C:
	}
	c.opts.Log("closing: the peer does not read; what waited for it is dropped")
	d, ok := c.writer.(interface{ SetWriteDeadline(time.Time) error })
	interrupted := ok && d.SetWriteDeadline(past) == nil
	if canClose {
		_ = closer.Close()
		interrupted = interrupted || !ok
	}
	if interrupted {
		_ = <-writing // its error is the interruption
	}
}

// past is a deadline that has passed on any clock.
var past = time.Unix(1, 0)

// interruptRead makes a blocked Read return, and reports whether it will. A file that the
// runtime cannot poll can be closed, but its Read goes on; so it is left alone.
func interruptRead(in io.Reader) bool {
	if d, ok := in.(interface{ SetReadDeadline(time.Time) error }); ok {
		if d.SetReadDeadline(past) != nil {
			return false
		}
		if closer, ok := in.(io.Closer); ok {
			_ = closer.Close()
		}
		return true
	}
	closer, ok := in.(io.Closer)
	if ok {
		_ = closer.Close()
	}
	return ok
}

// read takes messages in until the input ends (nil) or fails.
func (c *Conn) read() error {
	for {
		// A peer that sends without reading its answers is not read from either.
		if c.out.room(c.ctx) != nil {
			return nil // closed
		}
		body, err := c.frames.next()
		if bad, ok := errors.AsType[*frameError](err); ok {
			c.logTrouble(bad.cause)
			c.refuse(callID(bad.prefix), bad.cause)
			continue
		}
		select {
		case <-c.closed:
			return nil
		default:
		}
		switch {
		case err == nil:
			c.take(body)
		case errors.Is(err, io.ErrUnexpectedEOF):
			c.opts.Log("the input ended inside a message; what there was of it is dropped")
			return nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe):
			return nil
		default:
			return err
		}
	}
}

func (c *Conn) take(body []byte) {
	if c.opts.Trace != nil {
		c.opts.Trace("in", body)
	}
	m, bad := decode(body, c.opts.MaxDepth)
	switch {
	case bad != nil:
		c.logTrouble(bad)
		if m.kind == jsonrpc2.MessageViewResponseError {
			c.answered(m.id, answer{err: fmt.Errorf("the peer's answer is malformed: %w", bad)})
			return
		}
		c.refuse(m.id, bad)
	case m.kind == jsonrpc2.MessageViewCall:
		c.serve(m)
	case m.kind == jsonrpc2.MessageViewNotification:
		c.notified(m)
	case m.kind == jsonrpc2.MessageViewResponseError:
		c.answered(m.id, answer{err: fromWire(m.err)})
	default:
		c.answered(m.id, answer{result: m.result})
	}
}

// refuse answers what could not be served; the zero id goes out as null.
func (c *Conn) refuse(id jsonrpc2.ID, e *Error) {
	_ = c.out.put(jsonrpc2.AppendResponse(nil, id, nil, e.toWire(c.opts.Marshal)))
}

// logTrouble logs broken frames, ever fewer of them: a flood must not fill a disk.
func (c *Conn) logTrouble(e *Error) {
	c.trouble++
	if c.trouble <= 8 || bits.OnesCount64(c.trouble) == 1 {
		c.opts.Log("broken message (%d so far): %s", c.trouble, e.Message)
	}
}

// within reports whether f returned in time. stop, when closed, ends the waiting early.
func within(limit time.Duration, stop <-chan struct{}, f func()) bool {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-stop:
		return false
	case <-timer.C:
		return false
	}
}
