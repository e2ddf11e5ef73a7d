package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"glue-lsp/sandbox"
)

// ExecOptions for Session.Start.
type ExecOptions struct {
	ID                  string // unique in this process; "" makes one
	Command             string // run by a shell
	Argv                []string
	Cwd                 string
	Env                 map[string]string
	Timeout             time.Duration
	Stdin               []byte // given at once, then closed unless KeepStdin
	HasStdin, KeepStdin bool
	PTY                 *sandbox.Winsize
	Sync                bool // send the editor's tree first
	// Sink gets output as it comes and holds the process back while it blocks; nil
	// keeps it for the outcome, at most MaxOutput bytes a stream (first and last half).
	Sink      sandbox.Sink
	MaxOutput int64
	Progress  Progress

	isSetup bool
}

const defaultMaxOutput = 10 << 20

// ExecOutcome is how a command ended. Checkpoint is the number of the checkpoint that
// holds, or will hold, what it changed.
type ExecOutcome struct {
	sandbox.ExecResult
	Stdout, Stderr                   []byte
	TruncatedStdout, TruncatedStderr int64
	Checkpoint                       int
	// SetupFailure says how the setup that ran before the command failed, "" if it did not.
	SetupFailure string
}

// Exec is a command that was started in a session.
type Exec struct {
	ID      string
	Command string // to show

	s         *Session
	proc      sandbox.Process
	startedAt time.Time
	log       *outputLog
	sink      *delivery // nil when the output is kept for the outcome
	out, errs *headTail

	done    chan struct{} // closed when outcome and err are set
	outcome ExecOutcome
	err     error

	mu         sync.Mutex
	background bool
	started    bool // guarded by the manager's lock: before it, only the id is taken
}

// Start sends the editor's tree if asked, and starts a command. Its output is also
// kept in the session's folder, see LogFile.
func (s *Session) Start(ctx context.Context, o ExecOptions) (*Exec, error) {
	sb, err := s.sandbox("run a command")
	if err != nil {
		return nil, err
	}
	s.claimed()
	return s.launch(ctx, sb, o)
}

// launch registers a command, starts it and announces that.
func (s *Session) launch(ctx context.Context, sb sandbox.Sandbox, o ExecOptions) (*Exec, error) {
	e, err := s.register(o)
	if err != nil {
		return nil, err
	}
	if err := s.startIn(ctx, sb, e, o); err != nil {
		s.unregister(e)
		return nil, err
	}
	s.m.announce(s)
	return e, nil
}

func (s *Session) startIn(ctx context.Context, sb sandbox.Sandbox, e *Exec, o ExecOptions) error {
	if o.Sync {
		if _, err := s.Sync(ctx, false, o.Progress); err != nil {
			return err
		}
	}
	if !o.isSetup {
		failure, err := s.setUp(ctx, sb, o.Progress)
		if err != nil {
			return err
		}
		e.outcome.SetupFailure = failure
	}
	proc, err := sb.Start(ctx, sandbox.ExecRequest{
		ID: e.ID, Command: o.Command, Argv: o.Argv, Cwd: o.Cwd, Env: o.Env, Timeout: o.Timeout,
		Stdin: o.HasStdin || o.KeepStdin, PTY: o.PTY,
	})
	if err != nil {
		return err
	}
	e.proc, e.startedAt = proc, s.m.o.Now()
	e.log = newOutputLog(filepath.Join(s.dir, "exec", logName(e.ID)), maxLog)
	// Before its first output: whoever reads that may answer by the command's id.
	s.m.mu.Lock()
	e.started = true
	s.m.mu.Unlock()
	s.mu.Lock()
	if s.closing || s.ending {
		s.mu.Unlock()
		_ = proc.Cancel(context.WithoutCancel(ctx)) // the session ends it anyway
		return &Error{Kind: Lost, Op: "run a command", Session: s.ID(), Message: "the session is being closed"}
	}
	s.execs[e.ID] = e
	s.wg.Go(e.follow)
	if o.HasStdin {
		// In the background: a command that does not read must not hold up the caller.
		s.wg.Go(func() {
			if err := proc.Stdin(context.Background(), o.Stdin, !o.KeepStdin); err != nil && !isDead(err) {
				s.m.o.Log("session %s: standard input of %s: %v", s.ID(), e.ID, err)
			}
		})
	}
	s.mu.Unlock()
	return nil
}

// register reserves the command's id.
func (s *Session) register(o ExecOptions) (*Exec, error) {
	id := o.ID
	if id == "" {
		var b [6]byte
		_, _ = rand.Read(b[:])
		id = "x" + hex.EncodeToString(b[:])
	}
	show := o.Command
	if show == "" {
		show = strings.Join(o.Argv, " ")
	}
	e := &Exec{ID: id, Command: show, s: s, done: make(chan struct{})}
	if o.Sink != nil {
		e.sink = newDelivery(o.Sink)
	} else {
		limit := o.MaxOutput
		if limit <= 0 {
			limit = defaultMaxOutput
		}
		e.out, e.errs = newHeadTail(limit), newHeadTail(limit)
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.m.execs[id] != nil {
		return nil, &Error{
			Kind: "conflict", Op: "run a command", Session: s.ID(), Message: fmt.Sprintf("execId %q is already in use", id),
			Hint: "choose another, or leave execId out",
		}
	}
	s.m.execs[id] = e
	return e, nil
}

func (s *Session) unregister(e *Exec) {
	s.m.mu.Lock()
	delete(s.m.execs, e.ID)
	s.m.mu.Unlock()
	s.mu.Lock()
	delete(s.execs, e.ID)
	s.mu.Unlock()
}

// logName makes a file name of an id that a client may have chosen.
func logName(id string) string {
	ok := len(id) <= 64 && !strings.HasPrefix(id, ".")
	for _, r := range id {
		ok = ok && (r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	}
	if !ok {
		return hex.EncodeToString([]byte(id[:min(len(id), 64)])) + ".log"
	}
	return id + ".log"
}

// follow takes the output until the command has ended, and settles the outcome.
func (e *Exec) follow() {
	listening := e.sink != nil
	if listening {
		go e.sink.run() // it ends when the sink lets it
		defer e.sink.end()
	}
	e.record()
	res, err := e.proc.Wait(context.Background(), func(st sandbox.Stream, off int64, p []byte) error {
		e.log.take(st, off, p)
		switch {
		case listening:
			listening = e.sink.deliver(st, off, p) == nil // the log goes on without a listener
		case e.out == nil: // nobody asked for it, or does not listen any more
		case st == sandbox.Stderr:
			e.errs.write(p)
		default:
			e.out.write(p)
		}
		return nil
	})
	e.outcome.ExecResult = res
	e.err = err
	if err != nil && e.s.isLeaving() {
		e.log.leave() // it goes on, for another server to follow
		close(e.done)
		return
	}
	if err == nil {
		e.outcome.Checkpoint, _ = e.s.check.request()
	}
	if e.out != nil {
		e.outcome.Stdout, e.outcome.TruncatedStdout = e.out.bytes()
		e.outcome.Stderr, e.outcome.TruncatedStderr = e.errs.bytes()
	}
	e.log.finish()
	close(e.done)
	e.record()
	e.s.forgetOldest()
}

// keptExecs is how many finished commands can still be asked for by id.
const keptExecs = 256

// forgetOldest lets go of the longest finished commands; their logs stay.
func (s *Session) forgetOldest() {
	s.mu.Lock()
	var over []*Exec
	for _, e := range s.execs {
		if e.runState() == "" {
			over = append(over, e)
		}
	}
	s.mu.Unlock()
	if len(over) <= keptExecs {
		return
	}
	slices.SortFunc(over, func(a, b *Exec) int { return a.startedAt.Compare(b.startedAt) })
	for _, e := range over[:len(over)-keptExecs] {
		s.unregister(e)
	}
}

// Wait gives the outcome. Ending ctx ends the waiting, not the command.
func (e *Exec) Wait(ctx context.Context) (ExecOutcome, error) {
	select {
	case <-e.done:
		return e.outcome, e.err
	case <-ctx.Done():
		return ExecOutcome{}, ctx.Err()
	}
}

// runState is "running", "background" or, for a command that is over, "".
func (e *Exec) runState() string {
	select {
	case <-e.done:
	default:
		return "running"
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.background {
		return "background"
	}
	return ""
}

// LogFile is the host file that holds all of the command's output.
func (e *Exec) LogFile() string { return e.log.name }

// Session is the one that the command runs in.
func (e *Exec) Session() *Session { return e.s }

// Stdin writes to the command's standard input; eof closes it.
func (e *Exec) Stdin(ctx context.Context, p []byte, eof bool) error {
	return e.proc.Stdin(ctx, p, eof)
}

// Resize tells the command's terminal its size.
func (e *Exec) Resize(ctx context.Context, w sandbox.Winsize) error { return e.proc.Resize(ctx, w) }

// Signal sends a signal, like "SIGINT", to the command's whole process group.
func (e *Exec) Signal(ctx context.Context, name string) error { return e.proc.Signal(ctx, name) }

// Cancel ends the command and every descendant.
func (e *Exec) Cancel(ctx context.Context) error { return e.proc.Cancel(ctx) }

// Follow delivers the output from byte `from` on (counted over both streams in the
// order in which they came), and what follows, until the command has ended.
func (e *Exec) Follow(ctx context.Context, from int64, sink sandbox.Sink) (ExecOutcome, error) {
	if err := e.log.follow(ctx, from, sink); err != nil {
		return ExecOutcome{}, err
	}
	out, err := e.Wait(ctx)
	out.Stdout, out.Stderr = nil, nil
	out.TruncatedStdout, out.TruncatedStderr = 0, 0
	return out, err
}

// Execs lists the session's commands that run, and what outlived a finished one.
func (s *Session) Execs(ctx context.Context) ([]ExecInfo, error) {
	sb, err := s.sandbox("list commands")
	if err != nil {
		return nil, err
	}
	procs, err := sb.Processes(ctx)
	if err != nil {
		return nil, err
	}
	background := map[string]bool{}
	for _, p := range procs {
		background[p.ID] = p.State == "background"
	}
	s.mu.Lock()
	for id, e := range s.execs {
		e.mu.Lock()
		e.background = background[id]
		e.mu.Unlock()
	}
	s.mu.Unlock()
	return s.Info().Execs, nil
}

// outputGrace is how long a command that was ended may take to hand over its last
// output: whoever takes it may have stopped doing so.
const outputGrace = 2 * time.Second

// endCommands ends what still runs, also what outlived its command, and waits until the
// output is in: what they do after the last capture would be lost.
func (s *Session) endCommands(ctx context.Context) error {
	sb, err := s.sandbox("end the commands")
	if err != nil {
		return err
	}
	known := map[string]*Exec{}
	s.mu.Lock()
	for id, e := range s.execs {
		if e.runState() == "running" {
			known[id] = e
		}
	}
	s.mu.Unlock()
	var wg sync.WaitGroup
	ended := make(chan error, len(known))
	for _, e := range known {
		wg.Go(func() { ended <- e.endAndWait(ctx) })
	}
	wg.Wait()
	close(ended)
	var errs []error
	for err := range ended {
		errs = append(errs, err)
	}
	left, err := sb.Processes(ctx)
	errs = append(errs, err)
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	for _, p := range left {
		errs = append(errs, endLeftover(ctx, sb, p.ID))
	}
	return errors.Join(errs...)
}

// endLeftover ends the descendants of a command that has ended.
func endLeftover(ctx context.Context, sb sandbox.Sandbox, id string) error {
	proc, err := sb.Attach(ctx, id, sandbox.Offsets{})
	if err != nil {
		return err
	}
	if err := proc.Cancel(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, outputGrace)
	defer cancel()
	_, err = proc.Wait(ctx, nil)
	return err
}

func (e *Exec) endAndWait(ctx context.Context) error {
	if err := e.Cancel(ctx); err != nil {
		return err
	}
	taking, cancel := context.WithTimeout(ctx, outputGrace)
	defer cancel()
	if _, err := e.Wait(taking); taking.Err() == nil || e.sink == nil {
		return err
	}
	e.sink.stop()
	_, err := e.Wait(ctx)
	return err
}
