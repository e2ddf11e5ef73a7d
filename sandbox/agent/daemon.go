package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"glue-lsp/sandbox"
)

// daemon is the agent: one for a sandbox's life, whatever streams come and go.
type daemon struct {
	cfg   config
	hello agentHello
	ops   ops

	// ctx ends with the agent. Operations' contexts end with it.
	ctx  context.Context
	stop context.CancelFunc

	execs *execTable

	mu    sync.Mutex
	conns map[*daemonConn]struct{}
	lanes map[string]*lanes // by the stream's name
	// lanesEnded are the names of the last streams that are no longer in lanes.
	lanesEnded []string
	grace      *time.Timer
	greeted    bool // there was a client once
	stopping   bool
	wg         sync.WaitGroup
}

// config is what the agent is told when it starts.
type config struct {
	root  string        // of the workspace
	cwd   string        // where commands start
	lent  []string      // folders of the root that are no part of its tree
	grace time.Duration // without a client, before the agent ends; zero is never
	idle  time.Duration // without a byte from a client, before its stream is given up
	env   []string      // commands' environment before the login shell had its say
	self  []string      // how to run this program as an agent again
	login bool          // commands get a login shell's environment
	own   bool          // every child of this process is the agent's
	// terminals gives pseudo-terminals; nil opens them here.
	terminals terminals
	shielded  bool // commands are kept from signalling the agent, where the kernel can
	log       func(format string, args ...any)
}

type daemonConn struct {
	client string
	sess   *yamux.Session
	link   *link
}

const (
	defaultGrace     = 5 * time.Minute
	defaultIdle      = 90 * time.Second
	greetingTimeout  = 20 * time.Second
	maxStreamsInWork = 4096
)

func newDaemon(cfg config) (*daemon, error) {
	if cfg.log == nil {
		cfg.log = func(string, ...any) {}
	}
	if cfg.terminals == nil {
		cfg.terminals = openTerminal
	}
	if cfg.cwd == "" {
		cfg.cwd = cfg.root
	}
	ctx, stop := context.WithCancel(context.Background())
	d := &daemon{cfg: cfg, ctx: ctx, stop: stop, conns: map[*daemonConn]struct{}{}, lanes: map[string]*lanes{}}
	d.hello = agentHello{
		Build: Build(), Instance: newID(), Pid: os.Getpid(),
		Root: wireString(cfg.root), Cwd: wireString(cfg.cwd), HasGit: hasProgram("git", cfg.env),
	}
	d.execs = newExecTable(d)
	d.ops = ops{}
	d.addCoreOps(d.ops)
	d.addExecOps(d.ops)
	d.addFileOps(d.ops)
	d.addTreeOps(d.ops)
	d.mu.Lock()
	d.startGrace()
	d.mu.Unlock()
	return d, nil
}

func newID() string {
	var b [12]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}

// serve works for one client until its stream ends.
func (d *daemon) serve(rw io.ReadWriteCloser) error {
	l := newLink(rw)
	greeted, hello, err := greetClient(l, d.hello, greetingTimeout)
	if err != nil {
		l.Close()
		return err
	}
	if hello.Stream != "" {
		if _, nested := rw.(*lanes); nested {
			l.Close()
			return protocolError("a lane of a lane")
		}
		if hello.Hand {
			if greeted, err = takeOver(rw, greeted, hello.Down); err != nil {
				l.Close()
				return err
			}
		}
		return d.serveLane(greeted, hello)
	}
	l2 := newLink(greeted)
	sess, err := yamux.Server(l2, muxConfig())
	if err != nil {
		l.Close()
		return err
	}
	c := &daemonConn{client: hello.Client, sess: sess, link: l2}
	if !d.attach(c) {
		sess.Close()
		return errors.New("the agent is ending")
	}
	defer d.detach(c)
	return d.accept(c)
}

// attach counts a client in. An older connection of the same client is a leftover.
func (d *daemon) attach(c *daemonConn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopping {
		return false
	}
	for old := range d.conns {
		if old.client == c.client {
			go old.sess.Close()
		}
	}
	d.conns[c] = struct{}{}
	d.greeted = true
	if d.grace != nil {
		d.grace.Stop()
		d.grace = nil
	}
	return true
}

func (d *daemon) wasGreeted() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.greeted
}

func (d *daemon) detach(c *daemonConn) {
	c.sess.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, c)
	if len(d.conns) == 0 && !d.stopping {
		d.startGrace()
	}
}

// startGrace begins the time after which an agent without a client ends.
func (d *daemon) startGrace() {
	if d.cfg.grace <= 0 {
		return
	}
	d.grace = time.AfterFunc(d.cfg.grace, func() {
		d.mu.Lock()
		lonely := len(d.conns) == 0
		d.mu.Unlock()
		if lonely {
			d.cfg.log("nobody was attached for %s", d.cfg.grace)
			d.shutdown()
		}
	})
}

// accept starts each operation that comes over one connection.
func (d *daemon) accept(c *daemonConn) error {
	connCtx, cancel := context.WithCancel(d.ctx)
	defer cancel()
	if d.cfg.idle > 0 {
		go d.watchSilence(connCtx, c)
	}
	slots := make(chan struct{}, maxStreamsInWork)
	for {
		st, err := c.sess.AcceptStreamWithContext(connCtx)
		if err != nil {
			return err
		}
		slots <- struct{}{}
		d.wg.Add(1)
		go func() {
			defer d.wg.Done()
			defer func() { <-slots }()
			d.handle(connCtx, c.link, st)
		}()
	}
}

// watchSilence gives up a connection whose client does not even ping any more.
func (d *daemon) watchSilence(ctx context.Context, c *daemonConn) {
	tick := time.NewTicker(d.cfg.idle / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if c.link.silence() > d.cfg.idle {
				c.sess.Close()
				return
			}
		}
	}
}

// handle runs one operation: its request, its handler, its end.
func (d *daemon) handle(connCtx context.Context, l *link, st *yamux.Stream) {
	ctx, cancel := context.WithCancel(connCtx)
	defer cancel()
	s := &stream{ctx: ctx, c: st}
	s.f.rw = st
	defer st.Close()
	// A client that has gone must not hold a handler in a write.
	defer context.AfterFunc(ctx, func() { st.Close() })()

	var req request
	if err := s.recv(&req); err != nil {
		return
	}
	s.op = req.Op
	watch := func() {
		go func() {
			// Nothing more may come: whatever Read says means that the client is done.
			var b [1]byte
			_, _ = st.Read(b[:])
			cancel()
		}()
	}
	if req.Body {
		s.onEnd = watch
	} else {
		s.ended = io.EOF
		watch()
	}
	h, ok := d.ops[req.Op]
	if !ok {
		_ = s.end(&sandbox.Error{Kind: sandbox.Unsupported, Op: req.Op, Message: "this agent does not know the operation"})
		return
	}
	last, err := d.run(ctx, h, req.Args, s)
	if s.finish(last, err) == nil {
		_ = l.closeLazily(st)
	}
}

// run calls a handler; a panic in it is its error.
func (d *daemon) run(ctx context.Context, h handler, args json.RawMessage, s *stream) (last any, err error) {
	defer func() {
		if r := recover(); r != nil {
			d.cfg.log("panic in %s: %v\n%s", s.op, r, debug.Stack())
			last, err = nil, &sandbox.Error{Kind: sandbox.Unavailable, Op: s.op, Message: fmt.Sprintf("a bug in the agent: %v", r)}
		}
	}()
	return h(ctx, args, s)
}

// shutdown ends every command and then the agent.
func (d *daemon) shutdown() {
	d.mu.Lock()
	if d.stopping {
		d.mu.Unlock()
		<-d.ctx.Done()
		return
	}
	d.stopping = true
	if d.grace != nil {
		d.grace.Stop()
	}
	d.mu.Unlock()
	d.execs.close()
	d.stop()
}

// wait returns when the agent has ended and let go of its clients.
func (d *daemon) wait() {
	<-d.ctx.Done()
	d.mu.Lock()
	for c := range d.conns {
		go c.sess.Close()
	}
	for _, l := range d.lanes {
		go l.Close()
	}
	d.mu.Unlock()
	d.wg.Wait()
}
