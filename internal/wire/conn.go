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
// If in and out can be closed, the connection closes them when it ends, which must end a
// Read or Write that is under way.
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

	writing, reading := begin(c.out.run), begin(c.read)
	select {
	case <-reading.done:
		c.failOutgoing()
		within(c.opts.Grace, c.closed, c.running.Wait)
	case <-writing.done:
	case <-c.closed:
	}
	var failed error
	if writing.hasEnded() && writing.err != nil {
		failed = fmt.Errorf("write to the peer: %w", writing.err)
	}

	_ = c.Close()
	if !within(c.opts.Grace, nil, c.running.Wait) {
		c.opts.Log("closing: %d handlers ignore that their request was cancelled", len(c.slots))
	}
	c.endWriting(writing)
	if c.endReading(reading) && reading.err != nil {
		failed = errors.Join(fmt.Errorf("read from the peer: %w", reading.err), failed)
	}
	return failed
}

// task is a goroutine whose end can be waited for. err is valid after done.
type task struct {
	done chan struct{}
	err  error
}

func begin(f func() error) *task {
	t := &task{done: make(chan struct{})}
	go func() {
		defer close(t.done)
		t.err = f()
	}()
	return t
}

func (t *task) hasEnded() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
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
func (c *Conn) endWriting(writing *task) {
	c.out.finish()
	closer, canClose := c.writer.(io.Closer)
	if within(c.opts.Grace, nil, func() { <-writing.done }) {
		if canClose {
			_ = closer.Close()
		}
		return
	}
	c.opts.Log("closing: the peer does not read; what waited for it is dropped")
	d, ok := c.writer.(interface{ SetWriteDeadline(time.Time) error })
	interrupted := ok && d.SetWriteDeadline(past) == nil
	if canClose {
		_ = closer.Close()
		interrupted = interrupted || !ok
	}
	if interrupted {
		<-writing.done
	}
}

// endReading closes the input, and reports whether the reader has ended by then. A file
// that the runtime cannot poll is left alone: closing it would not end a Read.
func (c *Conn) endReading(reading *task) bool {
	closer, canClose := c.in.(io.Closer)
	if d, ok := c.in.(interface{ SetReadDeadline(time.Time) error }); ok && !reading.hasEnded() {
		if d.SetReadDeadline(past) != nil {
			return false
		}
		<-reading.done
	}
	if canClose {
		_ = closer.Close()
		<-reading.done
	}
	return reading.hasEnded()
}

// past is a deadline that has passed on any clock.
var past = time.Unix(1, 0)

// read takes messages in until the input ends (nil) or fails.
func (c *Conn) read() error {
	ended := make(chan error, 1)
	go c.readOn(ended)
	return <-ended
}

// readOn reads until a call comes, and serves that itself while another goroutine goes
// on reading: a short call is answered by the thread that read it, without waiting for
// a second one to wake up.
func (c *Conn) readOn(ended chan<- error) {
	serve, err := c.readCall()
	if serve == nil {
		ended <- err
		return
	}
	go c.readOn(ended)
	serve()
}

// readCall takes messages in until there is a call to serve. It gives nil when the
// input has ended, or failed with the error.
func (c *Conn) readCall() (serve func(), err error) {
	for {
		if !c.mayRead() {
			return nil, nil
		}
		body, err := c.frames.next()
		if bad, ok := errors.AsType[*frameError](err); ok {
			c.logTrouble(bad.cause)
			c.refuse(callID(bad.prefix), bad.cause)
			continue
		}
		switch {
		case c.isClosed(): // whatever Close made of the read
			return nil, nil
		case err == nil:
			if serve := c.take(body); serve != nil {
				return serve, nil
			}
		case errors.Is(err, io.ErrUnexpectedEOF):
			c.opts.Log("the input ended inside a message; what there was of it is dropped")
			return nil, nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe):
			return nil, nil
		default:
			return nil, err
		}
	}
}

// mayRead waits for answers to be written: a peer that sends without reading is not read
// from either.
func (c *Conn) mayRead() bool { return c.out.room(c.ctx) == nil }

func (c *Conn) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// take handles a message, but for a call: what serves that it gives back.
func (c *Conn) take(body []byte) (serve func()) {
	if c.opts.Trace != nil {
		c.opts.Trace("in", body)
	}
	m, bad := decode(body, c.opts.MaxDepth)
	switch {
	case bad != nil:
		c.logTrouble(bad)
		if m.kind == jsonrpc2.MessageViewResponseError {
			c.answered(m.id, answer{err: fmt.Errorf("the peer's answer is malformed: %w", bad)})
			return nil
		}
		c.refuse(m.id, bad)
	case m.kind == jsonrpc2.MessageViewCall:
		return c.admitted(m)
	case m.kind == jsonrpc2.MessageViewNotification:
		c.notified(m)
	case m.kind == jsonrpc2.MessageViewResponseError:
		c.answered(m.id, answer{err: fromWire(m.err)})
	default:
		c.answered(m.id, answer{result: m.result})
	}
	return nil
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
