package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"go.lsp.dev/protocol"
	"go.uber.org/zap"

	"glue-lsp/config"
	"glue-lsp/internal/wire"
	"glue-lsp/sandbox"
	"glue-lsp/session"
)

// Options of a Server. NewManager and Home are required.
type Options struct {
	// NewManager makes the sessions' manager, once, when the settings are known. settings
	// gives those in force at the time of the call; changed must become the manager's
	// Options.Changed.
	NewManager func(settings func() *config.Settings, changed func(session.Info)) (*session.Manager, error)
	// Checks are the lines of doctor for a runtime, or for all of them when it is "", and
	// for a workspace folder, "" for none.
	Checks func(ctx context.Context, settings *config.Settings, runtime, folder string) ([]sandbox.Check, error)
	// Runtimes are the names that initialize announces.
	Runtimes []string
	// Home is GLUE_HOME: config.yaml is read there, and views are written into the
	// sessions' folders in it.
	Home    string
	Environ []string // as os.Environ gives it
	Version string
	Log     *zap.Logger
	// Now and After are the clock; default the time package's.
	Now   func() time.Time
	After func(time.Duration) <-chan time.Time
	// Trace, when not nil, gets every message with its direction, "in" or "out".
	Trace func(dir string, body []byte)
}

// How long things may take before the server goes on without them.
const (
	shutdownGrace = 700 * time.Millisecond // shutdown must be answered within a second
	handOver      = 5 * time.Second        // for the start of whoever does the rest: that takes milliseconds
	orphanGrace   = 5 * time.Second        // nobody waits once the input has ended
	taskGrace     = time.Second
	stallLimit    = 2 * time.Second // a client that takes no output for so long gets no more of it
	progressDelay = 300 * time.Millisecond
	answerLimit   = 60 * time.Second // for a client's answer that no person has to think about
)

// Server serves one client. It is used once.
type Server struct {
	o      Options
	log    *zap.Logger
	routes map[string]route
	conn   *wire.Conn

	base  context.Context // ends with the connection
	stop  context.CancelFunc
	tasks sync.WaitGroup

	phase atomic.Int32
	trace atomic.Bool
	peer  atomic.Pointer[peer] // set by initialize

	manager func() (*session.Manager, error)

	settingsMu       sync.Mutex
	sources          config.Sources
	settings         *config.Settings
	settingsErr      error
	settingsWarnings []string // not told yet

	flows    flows
	watches  watches
	progress progressTokens
	news     announcements
	offers   offers
	edits    edits
	stall    time.Duration

	toldUnconfined atomic.Bool
	asking         chan struct{} // held while a person is asked whether to go unconfined
}

// The phases of a connection: LSP 3.18, "Server lifecycle".
const (
	uninitialized int32 = iota
	initializing
	running
	shutDown
)

// New makes a server; nothing starts before Serve.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.Checks == nil {
		o.Checks = func(context.Context, *config.Settings, string, string) ([]sandbox.Check, error) { return nil, nil }
	}
	s := &Server{o: o, log: o.Log, routes: map[string]route{}, stall: stallLimit, asking: make(chan struct{}, 1), settings: &config.Settings{}}
	for _, r := range routes() {
		s.routes[r.method] = r
	}
	s.manager = sync.OnceValues(func() (*session.Manager, error) {
		m, err := o.NewManager(s.currentSettings, s.sessionChanged)
		if err != nil {
			return nil, err
		}
		m.UseEditor(&editor{s: s})
		return m, nil
	})
	return s
}

// Serve talks to a client until it says exit, its input ends, or the process that it
// named is gone. The result is the exit code: 0 after shutdown, else 1. Sessions that are
// open then are checkpointed and kept.
func (s *Server) Serve(ctx context.Context, in io.Reader, out io.Writer) int {
	s.base, s.stop = context.WithCancel(ctx)
	defer s.stop()
	s.conn = wire.New(in, out, s, wire.Options{
		Trace: s.o.Trace, Log: s.log.Sugar().Infof, Marshal: protocol.Marshal, Unmarshal: protocol.Unmarshal,
	})
	s.tasks.Go(func() { s.announce(s.base) })
	if err := s.conn.Run(s.base); err != nil {
		s.log.Warn("the connection broke", zap.Error(err))
	}
	clean := s.phase.Load() == shutDown
	s.stop()
	s.watches.stopAll()
	if s.phase.Swap(shutDown) >= initializing {
		// After shutdown this only waits for what that could not finish in its second.
		s.endSessions(orphanGrace)
	}
	s.waitForTasks()
	if clean {
		return 0
	}
	return 1
}

func (s *Server) waitForTasks() {
	ended := make(chan struct{})
	go func() {
		s.tasks.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-s.o.After(taskGrace):
		s.log.Warn("ending while work is still under way")
	}
}

// endSessions lets the manager keep what is not returned. What is not done in time it
// leaves to another process, which must have begun when this returns: an editor may end
// this one right after the answer.
func (s *Server) endSessions(grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.base), grace)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m, err := s.manager()
		if err != nil {
			return // it never was there
		}
		if err := m.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			s.log.Warn("ending the sessions", zap.Error(err))
		}
	}()
	select {
	case <-ended:
	case <-s.o.After(grace + handOver):
	}
}

// Call implements wire.Handler.
func (s *Server) Call(ctx context.Context, method string, params json.RawMessage) (any, error) {
	r, known := s.routes[method]
	switch phase := s.phase.Load(); {
	case phase == shutDown:
		return nil, wire.Errorf(wire.InvalidRequest, "the server was shut down; only exit may follow")
	case phase != running && method != protocol.MethodInitialize:
		return nil, wire.Errorf(wire.ServerNotInitialized, "%s before initialize was answered", clip(method, 200))
	case !known || r.call == nil:
		return nil, wire.NotFound(method)
	}
	start := s.o.Now()
	result, err := r.call(s, ctx, params)
	s.traced(method, start, err)
	return result, toWireError(ctx, method, err)
}

// Notify implements wire.Handler.
func (s *Server) Notify(ctx context.Context, method string, params json.RawMessage) {
	r, known := s.routes[method]
	if !known || r.notify == nil {
		return
	}
	if s.phase.Load() != running && method != protocol.MethodExit {
		return
	}
	if err := r.notify(s, ctx, params); err != nil {
		s.log.Warn("notification", zap.String("method", method), zap.Error(err))
	}
}

// traced tells a client that asked for it by $/setTrace what was answered.
func (s *Server) traced(method string, start time.Time, err error) {
	if !s.trace.Load() {
		return
	}
	p := protocol.LogTraceParams{Message: method + " took " + s.o.Now().Sub(start).String()}
	if err != nil {
		p.Verbose = ptr(messageOf(err))
	}
	_ = s.conn.Notify(s.base, protocol.MethodLogTrace, &p)
}

// background runs work that outlives the call that asked for it and ends with the
// connection.
func (s *Server) background(work func(ctx context.Context)) {
	s.tasks.Go(func() { work(s.base) })
}

// within gives a context that ends when d has passed on the server's clock.
func (s *Server) within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	expired := s.o.After(d)
	go func() {
		select {
		case <-expired:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
