package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"glue-lsp/sandbox"
)

// A session outlives the process that opened it: its sandbox goes on for a while, and
// its folder says all that another process needs to take it up. The lock on that folder
// tells whether an owner lives; whoever has the lock is the owner.

// resume goes on with a session: with this process's own, or with that of an owner that
// died, in the same sandbox. It never makes a new one.
func (m *Manager) resume(ctx context.Context, o OpenOptions, p Progress) (*Session, error) {
	var key turnKey
	if isSessionID(o.Resume) {
		if st, err := readState(m.sessionDir(o.Resume)); err == nil { // else takeOver says what is wrong
			key = turnKey{st.Runtime, st.Folder}
		}
	}
	ctx, under, err := m.beginOpening(ctx, key, p)
	if err != nil {
		return nil, err
	}
	defer under.end()
	p = under.turn.tell(p)
	s, err := m.Get(o.Resume)
	if err == nil && s.Info().State != StateLost {
		s.claimed()
		return s, nil
	}
	own, st, err := m.takeOver(ctx, o.Resume, m.o.BusyWait)
	if err != nil {
		return nil, err
	}
	s, err = m.rejoin(ctx, own, st, rejoining{o, p, true})
	if err == nil {
		return s, nil
	}
	if ctx.Err() != nil {
		_ = own.Close()
		return nil, err
	}
	// It cannot be joined. What it left is still worth having, unless others work in it.
	if st.owed() && !kindIs(err, sandbox.Conflict) {
		m.salvageOrLog(ctx, own, st)
	} else {
		if st.Stays && kindIs(err, sandbox.ExecutorDead) {
			st.Stays = false // it did not stay
			if err := writeState(m.sessionDir(st.ID), st, false); err != nil {
				m.o.Log("session %s: %v", st.ID, err)
			}
		}
		_ = own.Close() // the process's end releases it too
	}
	return nil, m.gone(o.Resume, err)
}

// attach goes on with the session of a sandbox, or joins one that no session here had.
func (m *Manager) attach(ctx context.Context, rt sandbox.Runtime, o OpenOptions, p Progress) (*Session, error) {
	states, err := m.states()
	if err != nil {
		return nil, err
	}
	for _, st := range states {
		if st.SandboxID != o.Attach || st.Runtime != o.Runtime {
			continue
		}
		if st.open() || m.staysOn(st) {
			o.Resume = st.ID
			return m.resume(ctx, o, p)
		}
		return nil, m.gone(st.ID, &sandbox.Error{Kind: sandbox.ExecutorDead, Op: "attach", Message: "it was ended with its session"})
	}
	if j, ok := rt.(sandbox.Joiner); ok {
		if err := m.refuseOpening(ctx, rt, o); err != nil {
			return nil, err
		}
		return m.joinForeign(ctx, j, o, p)
	}
	return nil, &Error{
		Kind: Lost, Op: "attach to sandbox " + o.Attach, Message: fmt.Sprintf("there is no %s sandbox %s that runs", o.Runtime, o.Attach),
		Hint: "glue/session/list shows the sessions that there are, and what they keep",
	}
}

// resumeOn goes on with the newest session on a folder if its owner died and its sandbox
// still runs; else nil. The caller has the folder's turn.
func (m *Manager) resumeOn(ctx context.Context, o OpenOptions, p Progress) *Session {
	states, err := m.states()
	if err != nil {
		return nil
	}
	for _, st := range states {
		if st.Folder != o.Folder || st.Runtime != o.Runtime || st.Separate {
			continue
		}
		if !st.resumable() {
			return nil
		}
		own, st, err := m.takeOver(ctx, st.ID, 0)
		if err != nil {
			return nil // somebody has it, who is not dead then
		}
		s, err := m.rejoin(ctx, own, st, rejoining{o, p, true})
		if err != nil {
			_ = own.Close()
			m.o.Log("session %s is not taken up again: %v", st.ID, err)
			m.recoverLater(st.ID)
			return nil
		}
		return s
	}
	return nil
}

// resumable reports whether a session may have a sandbox in which somebody worked.
func (st *state) resumable() bool { return st.open() && st.State != Opening && !st.Final }

// states gives the records of all sessions, newest first. What cannot be read is logged.
func (m *Manager) states() ([]*state, error) {
	names, err := m.subfolders("sessions")
	if err != nil {
		return nil, err
	}
	var out []*state
	// Names begin with the date, and ReadDir sorts them.
	for i := len(names) - 1; i >= 0; i-- {
		st, err := readState(m.sessionDir(names[i]))
		switch {
		case err == nil:
			out = append(out, st)
		case !errors.Is(err, fs.ErrNotExist):
			m.o.Log("read the sessions: %v", err)
		}
	}
	return out, nil
}

// takeOver takes a session's lock, waiting for an owner that is about to end, and reads
// its record, which is nobody else's to change from then on.
func (m *Manager) takeOver(ctx context.Context, id string, patience time.Duration) (*flock.Flock, *state, error) {
	unknown := &Error{Kind: NoSuchSession, Session: id, Message: fmt.Sprintf("there is no session %s", id)}
	if id != filepath.Base(id) || id == "." || id == ".." {
		return nil, nil, unknown
	}
	dir := m.sessionDir(id)
	// Not by the lock, which would make the folder.
	if _, err := readState(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, unknown
	}
	own, other, err := m.waitForLock(ctx, filepath.Join(dir, "lock"), holder{PID: os.Getpid(), Session: id, Since: m.o.Now()}, patience)
	if err != nil {
		return nil, nil, err
	}
	if own == nil {
		return nil, nil, busy(id, other)
	}
	st, err := readState(dir)
	if err != nil {
		_ = own.Close()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, unknown
		}
		return nil, nil, &Error{Kind: "unavailable", Op: "read the session", Session: id, Message: err.Error(), Err: err}
	}
	if err := clearStoreLocks(ctx, filepath.Join(dir, "objects.git")); err != nil {
		_ = own.Close()
		return nil, nil, &Error{Kind: "unavailable", Op: "read the session", Session: id, Path: dir, Message: err.Error(), Err: err}
	}
	return own, st, nil
}

// rejoining says how a session is taken up, who hears of it, and whether somebody asked for
// it.
type rejoining struct {
	opts  OpenOptions
	tell  Progress
	asked bool
}

// rejoin makes a session of a dead owner this process's, with its sandbox as it runs. On
// failure the lock stays the caller's. The caller has the folder's turn.
func (m *Manager) rejoin(ctx context.Context, own *flock.Flock, st *state, how rejoining) (*Session, error) {
	switch {
	case m.isClosing():
		return nil, shuttingDown()
	case !st.resumable() && !m.staysOn(st):
		return nil, &Error{Kind: Lost, Op: "resume", Session: st.ID, Message: "it has ended"}
	}
	rt, err := m.runtime(st.Runtime)
	if err != nil {
		return nil, err
	}
	spec := m.specOf(st)
	spec.Progress = func(message string) { how.tell.say(message, -1) }
	sb, err := rt.Attach(ctx, spec, st.Sandbox)
	if err != nil {
		return nil, err
	}
	s, err := m.adopt(ctx, own, st, sb, how.opts)
	if err == nil {
		err = s.prepareEnding(ctx, sb)
	}
	if err == nil {
		err = s.openWorkspace(ctx)
	}
	if err == nil {
		err = s.restoreExecs(ctx)
	}
	if err != nil {
		sb.Detach()
		return nil, err
	}
	s.unclaimed = !how.asked
	s.keepEarlierReturn()
	if !st.Separate {
		// Nobody has it who does not work on this folder already; then this is a separate one.
		s.wsLock, _, _ = takeLock(m.workspaceLock(st.Folder, st.Runtime), holder{PID: os.Getpid(), Session: st.ID, Since: m.o.Now()})
	}
	s.warn("the server that had this session ended; it was taken up again at %s", m.o.Now().Local().Format(time.TimeOnly))
	if err := s.save(false); err != nil {
		m.o.Log("session %s: %v", s.ID(), err)
	}
	s.work()
	m.mu.Lock()
	m.open[s.ID()] = s
	delete(m.known, s.ID())
	m.mu.Unlock()
	m.announce(s)
	return s, nil
}

// adopt builds a session from its record around a sandbox. Nothing of it works yet.
func (m *Manager) adopt(ctx context.Context, own *flock.Flock, st *state, sb sandbox.Sandbox, o OpenOptions) (*Session, error) {
	dir := m.sessionDir(st.ID)
	// The tree went up with these, and comes back with them.
	o.Folder, o.Runtime, o.Include, o.Exclude, o.Network = st.Folder, st.Runtime, st.Include, st.Exclude, st.Network
	s := &Session{
		m: m, dir: dir, editor: o.Editor, opts: o, sb: sb, ownLock: own,
		execs: map[string]*Exec{}, finished: make(chan struct{}), state: *st,
	}
	var err error
	if s.ignore, err = readRules(dir); err != nil {
		return nil, &Error{Kind: "unavailable", Op: "read the session", Session: st.ID, Path: dir, Message: err.Error(), Err: err}
	}
	if err := s.openStore(ctx); err != nil {
		return nil, err
	}
	s.check.begun, s.check.wanted = st.Checkpoint.Seq, st.Checkpoint.Seq
	s.update(func(st *state) {
		st.OwnerPID, st.State, st.Sandbox, st.Final, st.Settled = os.Getpid(), Ready, sb.State(), false, false
		st.Stays, st.Running, st.Lost = false, false, nil
	})
	return s, nil
}

// work starts what a session with a sandbox does by itself: checkpoints, and watching
// for the sandbox's end.
func (s *Session) work() {
	s.check.start(s)
	sb := s.sb
	s.recovered = make(chan struct{})
	s.wg.Go(func() { s.watch(sb) })
	s.wg.Go(s.watchExpiry)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.execs {
		if e.proc != nil {
			s.wg.Go(e.follow)
		}
	}
}

// restoreExecs finds the session's commands again: those that its folder and the sandbox
// know of. Their logs go on where they ended.
func (s *Session) restoreExecs(ctx context.Context) error {
	living, err := s.sb.Processes(ctx)
	if err != nil {
		return err
	}
	states := map[string]string{}
	records := readExecRecords(s.dir)
	known := map[string]bool{}
	for _, r := range records {
		known[r.ID] = true
	}
	for _, p := range living {
		states[p.ID] = p.State
		if !known[p.ID] {
			records = append(records, execRecord{ID: p.ID, Command: p.Command, StartedAt: p.StartedAt})
		}
	}
	if over := len(records) - keptExecs - len(living); over > 0 {
		records = records[over:]
	}
	for _, r := range records {
		e := &Exec{ID: r.ID, Command: r.Command, s: s, startedAt: r.StartedAt, done: make(chan struct{}), background: states[r.ID] == "background"}
		e.log = openLog(filepath.Join(s.dir, "exec", logName(r.ID)))
		if err := s.restore(ctx, e, r); err != nil {
			return err
		}
		s.m.mu.Lock()
		if s.m.execs[e.ID] == nil { // else the id is by now another command's
			e.started = true
			s.m.execs[e.ID] = e
		}
		s.m.mu.Unlock()
		s.execs[e.ID] = e
	}
	return nil
}

// restore finds out what became of one command.
func (s *Session) restore(ctx context.Context, e *Exec, r execRecord) error {
	over := func(err error) {
		e.err = err
		e.log.finish()
		close(e.done)
	}
	switch {
	case r.Result != nil:
		e.outcome = ExecOutcome{Checkpoint: r.Result.Checkpoint, ExecResult: sandbox.ExecResult{
			ExitCode: r.Result.ExitCode, Signal: r.Result.Signal, TimedOut: r.Result.TimedOut, Canceled: r.Result.Canceled,
			Duration: r.Result.Duration, Lost: r.Result.Lost,
		}}
		over(nil)
		return nil
	case r.Lost != "":
		over(&sandbox.Error{Kind: sandbox.NoSuchExec, Op: "find the command", Message: r.Lost})
		return nil
	}
	proc, err := s.sb.Attach(ctx, e.ID, e.log.offsets())
	var se *sandbox.Error
	if errors.As(err, &se) && se.Kind == sandbox.NoSuchExec {
		over(&sandbox.Error{
			Kind: sandbox.NoSuchExec, Op: "find the command", Message: "it ended while no server was there, and how is no longer known",
			Hint: "its output, as far as it was taken, is in " + e.log.name, Err: err,
		})
		return nil
	}
	e.proc = proc
	return err
}

// keepEarlierReturn gives what an earlier return wrote a second name: nobody may have
// taken it yet, and the next return writes over the first.
func (s *Session) keepEarlierReturn() {
	name := func(n int, of string) string { return filepath.Join(s.dir, fmt.Sprintf("earlier-%d.%s", n, of)) }
	if _, err := os.Lstat(filepath.Join(s.dir, "runtime.mbox")); err != nil {
		return
	}
	n := 1
	for ; ; n++ {
		if _, err := os.Lstat(name(n, "runtime.mbox")); errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	for _, of := range []string{"runtime.mbox", "runtime.mbox.meta.json", "runtime.bundle"} {
		// A link: each of these is replaced as a whole, never written into.
		if err := os.Link(filepath.Join(s.dir, of), name(n, of)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.warn("the earlier %s could not be kept: %v", of, err)
		}
	}
}

// gone says that a session's sandbox is gone, and what there is instead.
func (m *Manager) gone(id string, why error) error {
	e := &Error{
		Kind: Lost, Op: "resume", Session: id, Message: "the sandbox of session " + id + " is gone", Err: why,
		Hint: "its kept changes can be shown and returned: glue/session/return, or glue-lsp sessions apply " + id,
	}
	var se *sandbox.Error
	if errors.As(why, &se) && se.Kind != sandbox.ExecutorDead {
		e.Message = "the sandbox of session " + id + " cannot be joined: " + se.Message
	}
	st, err := readState(m.sessionDir(id))
	if err != nil {
		return e
	}
	e.Checkpoint = st.Checkpoint.Seq
	switch {
	case !st.unreturned():
		e.Message += "; none of its changes is left to return"
		e.Hint = "open a new session"
	default:
		e.Message += fmt.Sprintf("; %d changed %s of it %s kept", st.Checkpoint.ChangedFiles,
			plural(st.Checkpoint.ChangedFiles, "file", "files"), plural(st.Checkpoint.ChangedFiles, "is", "are"))
	}
	return e
}

// runtime finds a runtime by its name.
func (m *Manager) runtime(name string) (sandbox.Runtime, error) {
	if rt := m.o.Runtimes[name]; rt != nil {
		return rt, nil
	}
	return nil, noRuntime(name, m.runtimes())
}

// specOf is what a session's sandbox was started with, as far as finding it again needs.
func (m *Manager) specOf(st *state) sandbox.Spec {
	spec := sandbox.Spec{
		Session: st.ID, Dir: m.sessionDir(st.ID), TreeDir: m.treeDir(st.ID), Subdir: st.Subdir, HostRoot: st.HostRoot, Network: st.Network,
		Tags: map[string]string{"glue-session": st.ID}, Log: m.o.Log,
	}
	if !st.PrivateCache {
		spec.CacheDir = filepath.Join(m.o.Home, "cache", cacheName(st.Folder), "home")
	}
	return spec
}
