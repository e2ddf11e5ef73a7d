package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"glue-lsp/sandbox"
)

// Options for Dial. The zero value is usable.
type Options struct {
	// Redial makes a new stream to the same agent after one was lost; nil means that
	// the loss of the stream is the end. An error that wraps ErrGone ends the
	// trying.
	Redial func(ctx context.Context) (io.ReadWriteCloser, error)
	// RedialFor is how long Redial is tried. Default: 5 minutes.
	RedialFor time.Duration
	// HandshakeTimeout bounds the wait for the agent's greeting. Default: 20 s.
	HandshakeTimeout time.Duration
	// PingInterval and PingTimeout decide when a silent stream counts as lost.
	// Defaults: 10 s and 20 s.
	PingInterval, PingTimeout time.Duration
	// Patience is how long a new call waits for a lost stream to come back. Default: 1 s.
	Patience time.Duration
	Log      func(format string, args ...any)
}

// ErrGone is wrapped by a Redial that knows that the agent is gone for good.
var ErrGone = errors.New("the agent is gone")

// Client is the host's side of an agent. It is safe for concurrent use.
type Client struct {
	opts Options
	id   string

	mu      sync.Mutex
	hello   agentHello
	cur     *clientConn
	changed chan struct{} // closed when cur or closing changes
	closing bool
	err     error

	done   chan struct{}
	ctx    context.Context // of everything that the client does on its own
	cancel context.CancelFunc
	wg     sync.WaitGroup

	buffers *sync.Pool
	trees   treesClient
}

type clientConn struct {
	sess *yamux.Session
	link *link
}

// Dial greets the agent at the other end of rw. The client owns rw from then on,
// whatever happens; closing rw must end a Read and a Write in progress. ctx bounds
// the greeting only. A failure is a *sandbox.Error of kind RuntimeUnavailable, or
// ctx's error.
func Dial(ctx context.Context, rw io.ReadWriteCloser, o Options) (*Client, error) {
	if o.RedialFor == 0 {
		o.RedialFor = 5 * time.Minute
	}
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = greetingTimeout
	}
	if o.PingInterval == 0 {
		o.PingInterval = 10 * time.Second
	}
	if o.PingTimeout == 0 {
		o.PingTimeout = 20 * time.Second
	}
	if o.Patience == 0 {
		o.Patience = time.Second
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	c := &Client{opts: o, id: newID(), changed: make(chan struct{}), done: make(chan struct{}), buffers: newBuffers()}
	conn, hello, err := c.connect(ctx, rw)
	if err != nil {
		return nil, err
	}
	c.hello, c.cur = hello, conn
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.wg.Add(1)
	go c.supervise(conn)
	return c, nil
}

func (c *Client) connect(ctx context.Context, rw io.ReadWriteCloser) (*clientConn, agentHello, error) {
	greeted, hello, err := greetAgent(ctx, rw, clientHello{Build: Build(), Client: c.id}, c.opts.HandshakeTimeout)
	if err != nil {
		return nil, hello, err
	}
	l := newLink(greeted)
	l.client = true
	sess, err := yamux.Client(l, muxConfig())
	if err != nil {
		l.Close()
		return nil, hello, &sandbox.Error{Kind: sandbox.RuntimeUnavailable, Op: "connect", Message: err.Error(), Err: err}
	}
	// Streams are the client's to open: an agent that opens some is refused.
	if err := sess.GoAway(); err != nil {
		sess.Close()
		return nil, hello, &sandbox.Error{Kind: sandbox.RuntimeUnavailable, Op: "connect", Message: "the agent's stream ended after the greeting", Err: err}
	}
	return &clientConn{sess: sess, link: l}, hello, nil
}

// Done is closed when the agent is gone for good.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err says why the agent is gone: nil before that, and after a Close that succeeded.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Ping asks for a sign of life.
func (c *Client) Ping(ctx context.Context) error {
	return c.do(ctx, "ping", "", nothing{}, nil)
}

// Root is the workspace's root in the sandbox, as the agent names it.
func (c *Client) Root() string { return string(c.greeting().Root) }

// Cwd is where commands start.
func (c *Client) Cwd() string { return string(c.greeting().Cwd) }

// HasGit reports whether there is a git in the sandbox.
func (c *Client) HasGit() bool { return c.greeting().HasGit }

// Instance tells one agent from another that took its place.
func (c *Client) Instance() string { return c.greeting().Instance }

func (c *Client) greeting() agentHello {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hello
}

// Close asks the agent to end every process and itself, and waits until it has done
// so or ctx ends. The stream is closed in either case.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		<-c.done
		return nil
	}
	c.mu.Unlock()
	err := c.do(ctx, "shutdown", "", nothing{}, nil)
	c.Detach()
	return err
}

// Detach lets go of the agent, which goes on without a client for its grace.
func (c *Client) Detach() {
	c.mu.Lock()
	first := !c.closing
	c.closing = true
	conn := c.cur
	if first {
		c.signal()
	}
	c.mu.Unlock()
	c.cancel()
	if conn != nil {
		conn.sess.Close()
	}
	c.wg.Wait()
}

// Fail ends the client: whoever carries its stream knows that the sandbox is gone, and
// why, which calls in flight then answer with.
func (c *Client) Fail(why error) {
	c.mu.Lock()
	if !c.closing && c.err == nil {
		c.err = why
		c.signal()
	}
	conn := c.cur
	c.mu.Unlock()
	c.cancel()
	if conn != nil {
		conn.sess.Close()
	}
}

// signal wakes those that wait for a change; the lock is held.
func (c *Client) signal() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// session gives the connection to use, waiting a little for a lost one to come back.
func (c *Client) session(ctx context.Context, op string) (*clientConn, error) {
	var patience <-chan time.Time
	for {
		c.mu.Lock()
		conn, changed, closing, err := c.cur, c.changed, c.closing, c.err
		c.mu.Unlock()
		switch {
		case closing:
			return nil, &sandbox.Error{Kind: sandbox.ExecutorDead, Op: opName(op), Message: "the sandbox was closed"}
		case err != nil:
			return nil, deadError(op, err)
		case conn != nil && !conn.sess.IsClosed():
			return conn, nil
		}
		if patience == nil {
			t := time.NewTimer(c.opts.Patience)
			defer t.Stop()
			patience = t.C
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-patience:
			return nil, &sandbox.Error{
				Kind: sandbox.ExecutorDead, Op: opName(op), Message: "the connection to the sandbox was lost and is not back yet",
				Hint: "commands in the sandbox go on; try again in a moment",
			}
		}
	}
}

// deadError repeats, for an operation, why the agent is gone.
func deadError(op string, why error) *sandbox.Error {
	var e *sandbox.Error
	if errors.As(why, &e) {
		return &sandbox.Error{Kind: sandbox.ExecutorDead, Op: opName(op), Message: e.Message, Hint: e.Hint, Err: why}
	}
	return &sandbox.Error{Kind: sandbox.ExecutorDead, Op: opName(op), Message: why.Error(), Err: why}
}

// open starts an operation. With body the caller writes more, and then end(nil), and the
// request goes out with the first of it; without, the request is complete. The caller
// closes the stream. Path only names what is worked on in errors.
func (c *Client) open(ctx context.Context, op, path string, body bool, args any) (*stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(args)
	if err != nil {
		return nil, &sandbox.Error{Kind: sandbox.InvalidParams, Op: opName(op), Path: path, Message: err.Error(), Err: err}
	}
	msg, err := json.Marshal(request{Op: op, Body: body, Args: raw})
	if err != nil {
		return nil, &sandbox.Error{Kind: sandbox.InvalidParams, Op: opName(op), Path: path, Message: err.Error(), Err: err}
	}
	if len(msg) > maxMessage {
		return nil, &sandbox.Error{Kind: sandbox.TooLarge, Op: opName(op), Path: path, Message: "the request is too large for the agent's protocol"}
	}
	conn, err := c.session(ctx, op)
	if err != nil {
		return nil, err
	}
	s := &stream{ctx: ctx, op: op, path: path}
	req := appendFrame(nil, frameMessage, nil, msg)
	if body {
		s.f.out, req = req, nil
	}
	st, err := openStream(ctx, conn.sess, req)
	if err != nil {
		return nil, c.lost(ctx, op, path, err)
	}
	s.c = streamCloser{s, conn.link, st}
	s.f.rw = st
	s.failure = func(err error) error { return c.lost(ctx, op, path, err) }
	stop := context.AfterFunc(ctx, func() { _ = st.SetDeadline(time.Unix(1, 0)) })
	s.done = func() { stop() }
	return s, nil
}

// openStream opens a stream and sends its request, unless that is empty. The transport
// may push back for long; ctx does not wait for it.
func openStream(ctx context.Context, sess *yamux.Session, req []byte) (*yamux.Stream, error) {
	type opened struct {
		st  *yamux.Stream
		err error
	}
	ch := make(chan opened, 1)
	go func() {
		st, err := sess.OpenStream()
		if err == nil && len(req) > 0 {
			if _, err = st.Write(req); err != nil {
				st.Close()
			}
		}
		ch <- opened{st, err}
	}()
	select {
	case o := <-ch:
		return o.st, o.err
	case <-ctx.Done():
		go func() {
			if o := <-ch; o.err == nil {
				o.st.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// streamCloser closes without waiting for a transport that pushes back, when nobody
// wants the answer any more, and without a write of its own after a whole answer.
type streamCloser struct {
	s    *stream
	link *link
	st   *yamux.Stream
}

func (c streamCloser) Close() error {
	closing := c.st.Close
	if c.s.answered.Load() {
		closing = func() error { return c.link.closeLazily(c.st) }
	}
	if c.s.ctx.Err() != nil {
		go func() { _ = closing() }()
		return nil //nolint:nilerr // the context only chooses how to close
	}
	return closing()
}

// lost says what a failure of the transport means to an operation.
func (c *Client) lost(ctx context.Context, op, path string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if why := c.Err(); why != nil {
		e := deadError(op, why)
		e.Path = path
		return e
	}
	if errors.Is(err, errProtocol) {
		return &sandbox.Error{Kind: sandbox.Unavailable, Op: opName(op), Path: path, Message: err.Error(), Err: err}
	}
	return &sandbox.Error{
		Kind: sandbox.ExecutorDead, Op: opName(op), Path: path,
		Message: "the connection to the sandbox was lost before the answer was complete", Err: err,
	}
}

// call starts an operation whose request has no more to it, and reads the first
// message of the answer into reply. The caller reads on, and closes the stream.
func (c *Client) call(ctx context.Context, op, path string, args, reply any) (*stream, error) {
	s, err := c.open(ctx, op, path, false, args)
	if err != nil {
		return nil, err
	}
	if err := s.recv(reply); err != nil {
		s.Close()
		if errors.Is(err, io.EOF) {
			err = c.lost(ctx, op, path, protocolError("no answer"))
		}
		return nil, err
	}
	return s, nil
}

// do is an operation of one question and one answer.
func (c *Client) do(ctx context.Context, op, path string, args, reply any) error {
	s, err := c.call(ctx, op, path, args, reply)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.expectEnd()
}
