package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"glue-lsp/sandbox"
)

// RecoverOptions for Manager.Recover.
type RecoverOptions struct {
	// Resume says how to go on with a session on a folder whose sandbox still runs; ok is
	// false where it is to end. nil ends all that are idle.
	Resume func(folder string) (o OpenOptions, ok bool)
	// Late is told, after Recover has returned, of each session on a folder that Resume
	// goes on with which another process had, once that process has ended it. nil is nobody.
	Late func(Info)
}

// Recover finds the sessions whose owner died. It brings what their sandboxes changed to
// the host, and ends the sandboxes: except that one on a folder that o resumes is taken up
// (and ends soon when nobody uses it and nothing runs in it), and one in which commands of
// another folder run is left to them for its grace. What was captured is never cleaned up
// before; what could not be captured stays where it is, for the next time. Several
// processes may do this at once: each session is one's.
//
// It gives the sessions that it found, newest first, as they are then; those that go on
// without a server name the commands that run in them.
func (m *Manager) Recover(ctx context.Context, o RecoverOptions) ([]Info, error) {
	ctx, stop := m.untilShutdown(ctx)
	defer stop()
	states, err := m.states()
	if err != nil {
		return nil, err
	}
	var out []Info
	taken := map[string]bool{} // folders that have a session
	for _, st := range states {
		key := st.Runtime + "\x00" + st.Folder
		lock := filepath.Join(m.sessionDir(st.ID), "lock")
		if !st.owed() {
			continue
		}
		if h := readHolder(lock); isLocked(lock) && h.alive() {
			if !h.mine() && o.tellsLate(st.Folder) {
				m.awaitEnding(st.ID, o.Late)
			}
			continue
		}
		if !st.Separate && o.Resume != nil && !taken[key] && st.resumable() {
			if opts, ok := o.Resume(st.Folder); ok {
				if s := m.resumeForNow(ctx, st, opts); s != nil {
					taken[key] = true
					out = append(out, s.Info())
					continue
				}
			}
		}
		if info := m.recoverOne(ctx, st.ID, true); info != nil {
			out = append(out, *info)
		}
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
	}
	return out, nil
}

func (o *RecoverOptions) tellsLate(folder string) bool {
	if o.Late == nil || o.Resume == nil {
		return false
	}
	_, ok := o.Resume(folder)
	return ok
}

// endingLook is how often a session that another process has is looked at.
const endingLook = time.Second

// awaitEnding waits until another process has ended a session, does it itself where that
// process dies over it, and says what is left.
func (m *Manager) awaitEnding(id string, tell func(Info)) {
	m.beside.Go(func() {
		ctx, stop := m.untilShutdown(context.Background())
		defer stop()
		if !m.untilEnding(ctx, id) {
			return
		}
		own, st, err := m.takeOver(ctx, id, forever)
		if err != nil {
			return
		}
		if st.owed() {
			m.salvageOrLog(ctx, own, st)
		} else {
			_ = own.Close()
		}
		if st, err = readState(m.sessionDir(id)); err != nil {
			return
		}
		s := &Session{state: *st}
		s.markOrphan()
		tell(s.Info())
	})
}

// untilEnding waits until the process that has a session ends it. It is false where that
// process died with the session open: its editor may start another one that goes on; and
// where this process has taken the session up, which then tells of it by itself.
func (m *Manager) untilEnding(ctx context.Context, id string) bool {
	lock := filepath.Join(m.sessionDir(id), "lock")
	tick := time.NewTicker(endingLook)
	defer tick.Stop()
	for {
		h := readHolder(lock)
		if h.mine() {
			return false
		}
		if h.Ending {
			return true
		}
		if !isLocked(lock) || !h.alive() {
			st, err := readState(m.sessionDir(id))
			return err == nil && !st.owed()
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// resumeForNow takes a session up without being asked for it.
func (m *Manager) resumeForNow(ctx context.Context, st *state, o OpenOptions) *Session {
	s := m.rejoinUnasked(ctx, st, o)
	if s == nil {
		return nil
	}
	if err := s.check.take(ctx); err != nil && s.isUnclaimed() {
		m.o.Log("session %s: %v", s.ID(), err)
	}
	m.beside.Go(s.endUnlessClaimed)
	return s
}

func (m *Manager) rejoinUnasked(ctx context.Context, st *state, o OpenOptions) *Session {
	ctx, under, err := m.beginOpening(ctx, turnKey{st.Runtime, st.Folder}, nil)
	if err != nil {
		return nil
	}
	defer under.end()
	if m.openOn(st.Folder, st.Runtime) != nil {
		return nil
	}
	own, st, err := m.takeOver(ctx, st.ID, 0)
	if err != nil {
		return nil
	}
	// Whoever asks for the folder meanwhile hears of it.
	s, err := m.rejoin(ctx, own, st, rejoining{opts: o, tell: under.turn.tell(nil)})
	if err != nil {
		_ = own.Close()
		return nil
	}
	return s
}

// endUnlessClaimed ends a session that nobody asked for, once nothing runs in it.
func (s *Session) endUnlessClaimed() {
	tick := time.NewTicker(s.m.o.ClaimWait)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.finished:
			return
		case <-s.m.stopped:
			return
		}
		s.mu.Lock()
		waiting := s.unclaimed && s.state.open()
		s.mu.Unlock()
		if !waiting {
			return
		}
		if s.running() {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), checkpointTimeout)
		err := s.end(ctx)
		cancel()
		if err != nil {
			s.m.o.Log("session %s: ending it, since nobody uses it: %v", s.ID(), err)
			s.goOn()
			continue
		}
		return
	}
}

// goOn lets a session that could not be ended be returned again, unless its server ends.
func (s *Session) goOn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Shutdown interrupts after it is said to have begun.
	s.interrupted = s.m.isStopped()
}

// claimed notes that somebody uses the session.
func (s *Session) claimed() {
	s.mu.Lock()
	s.unclaimed = false
	s.mu.Unlock()
}

// isUnclaimed reports whether nobody asked for a session that was taken up.
func (s *Session) isUnclaimed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unclaimed && s.sb != nil
}

// hasEnded reports whether this process ended the session: what it holds is now in its
// folder, for whoever loads it.
func (s *Session) hasEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.ended && s.sb == nil
}

// running reports whether a command runs; what outlived its command does not count.
func (s *Session) running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.execs {
		if e.runState() == "running" {
			return true
		}
	}
	return false
}

// recoverLater is recoverOne beside everything else.
func (m *Manager) recoverLater(id string) {
	m.beside.Go(func() {
		ctx, stop := m.untilShutdown(context.Background())
		defer stop()
		m.recoverOne(ctx, id, true)
	})
}

// recoverOne captures what a dead owner's session changed and ends its sandbox; with
// spare, one in which commands run is only captured. nil means that nothing is left of
// it, or that somebody else has it.
func (m *Manager) recoverOne(ctx context.Context, id string, spare bool) *Info {
	own, st, err := m.takeOver(ctx, id, 0)
	if err != nil {
		return nil
	}
	if !st.owed() {
		_ = own.Close()
		return nil
	}
	running, err := m.salvage(ctx, own, st, spare)
	if err != nil && ctx.Err() == nil {
		m.o.Log("session %s, whose server died: %v", id, err)
	}
	if st, err = readState(m.sessionDir(id)); err != nil {
		return nil
	}
	s := &Session{state: *st}
	s.markOrphan()
	info := s.Info()
	info.Execs = running
	return &info
}

func (m *Manager) salvageOrLog(ctx context.Context, own *flock.Flock, st *state) {
	if _, err := m.salvage(ctx, own, st, false); err != nil {
		m.o.Log("session %s, whose server died: %v", st.ID, err)
	}
}

// salvage brings what a session without an owner changed to the host and ends it. After
// an error the session is as it was, with what came to the host until then. With spare it
// is also left where commands run in it, which are given, or may do so since it lives and
// cannot be joined now. It releases the session's lock in any case.
func (m *Manager) salvage(ctx context.Context, own *flock.Flock, st *state, spare bool) (running []ExecInfo, err error) {
	rt, err := m.runtime(st.Runtime)
	if err != nil {
		_ = own.Close()
		return nil, err
	}
	if _, cloud := rt.(sandbox.Sweeper); cloud {
		spare = false // it costs money, and would go on for longer than a grace
	}
	spec := m.specOf(st)
	writeHolder(own.Path(), holder{PID: os.Getpid(), Session: st.ID, Since: m.o.Now(), Ending: true})
	switch {
	case st.State == Opening: // no command could be started in it
		defer own.Close()
		return nil, m.clearAway(ctx, rt, spec, st)
	case st.Final, st.Running:
		defer own.Close()
		return nil, m.finishEnding(ctx, rt, spec, st)
	}
	sb, err := join(ctx, rt, spec, st.Sandbox)
	switch {
	case err == nil:
		return m.wrapUpFor(ctx, own, st, sb, spare)
	case ctx.Err() != nil:
		_ = own.Close()
		return nil, ctx.Err()
	case kindIs(err, sandbox.Conflict): // it is another's by now
		_ = own.Close()
		return nil, err
	case spare && !kindIs(err, sandbox.ExecutorDead):
		_ = own.Close()
		return nil, err
	}
	why := err
	if sb, err = rt.Reopen(ctx, spec, st.Sandbox); err == nil {
		return nil, m.captureLeft(ctx, own, st, sb, why)
	}
	defer own.Close()
	if kindIs(err, sandbox.FileNotFound) {
		return nil, m.giveUp(st)
	}
	return nil, err
}

// join attaches to a sandbox. One that is just dying gets the time to be dead.
func join(ctx context.Context, rt sandbox.Runtime, spec sandbox.Spec, state []byte) (sandbox.Sandbox, error) {
	for began := time.Now(); ; {
		sb, err := rt.Attach(ctx, spec, state)
		if err == nil || kindIs(err, sandbox.ExecutorDead) || kindIs(err, sandbox.Conflict) || time.Since(began) > deathSeen {
			return sb, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(lockPause):
		}
	}
}

// clearAway removes a session that never was ready: nothing can be in it.
func (m *Manager) clearAway(ctx context.Context, rt sandbox.Runtime, spec sandbox.Spec, st *state) error {
	if err := rt.Reap(ctx, spec, st.Sandbox); err != nil {
		return err
	}
	return errors.Join(removeTree(spec.TreeDir), removeTree(spec.Dir))
}

// finishEnding ends a session whose last state is on the host already.
func (m *Manager) finishEnding(ctx context.Context, rt sandbox.Runtime, spec sandbox.Spec, st *state) error {
	if !st.Stays {
		if err := rt.Reap(ctx, spec, st.Sandbox); err != nil {
			return err
		}
	}
	if st.State != StateLost {
		st.State = Closed
	}
	st.Running = false
	s := &Session{m: m, dir: spec.Dir, state: *st}
	s.clearTree(&Return{Terminated: true})
	return s.save(true)
}

// giveUp records that there is neither a sandbox nor a tree: what the last checkpoint
// holds is what there is, for good.
func (m *Manager) giveUp(st *state) error {
	s := &Session{m: m, dir: m.sessionDir(st.ID), state: *st}
	s.markOrphan()
	s.update(func(st *state) { st.Final = true })
	return s.save(true)
}

// wrapUpFor ends a session in its owner's stead.
func (m *Manager) wrapUpFor(ctx context.Context, own *flock.Flock, st *state, sb sandbox.Sandbox, spare bool) (running []ExecInfo, err error) {
	s, err := m.adopt(ctx, own, st, sb, OpenOptions{})
	if err == nil {
		err = s.prepareEnding(ctx, sb)
	}
	if err == nil {
		err = s.restoreExecs(ctx)
	}
	if err != nil {
		sb.Detach()
		_ = own.Close()
		return nil, err
	}
	s.quiet = true
	s.work()
	if spare && s.running() {
		err := s.check.take(ctx)
		running = s.Info().Execs
		s.letGo(ctx)
		return running, err
	}
	s.warn("the server that had this session ended; what was changed was captured at %s", m.o.Now().Local().Format(time.TimeOnly))
	if err := s.end(ctx); err != nil {
		if !s.hasEnded() {
			s.letGo(ctx)
		}
		return nil, err
	}
	if st := s.snapshotState(); st.owed() {
		return nil, errors.New("its sandbox ended before all of it was captured")
	}
	return nil, nil
}

// captureLeft captures what a dead sandbox left: by another that was started for it alone,
// or by itself where only what talked to it was dead.
func (m *Manager) captureLeft(ctx context.Context, own *flock.Flock, st *state, sb sandbox.Sandbox, why error) error {
	s, err := m.adopt(ctx, own, st, sb, OpenOptions{})
	if err != nil {
		_ = own.Close()
		return errors.Join(err, leaveToNext(ctx, sb))
	}
	s.quiet = true
	// In case that this process dies as well: the next one looks at the same tree.
	if err := s.save(false); err != nil {
		_ = own.Close()
		return errors.Join(err, leaveToNext(ctx, sb))
	}
	s.work()
	if err = s.check.take(ctx); err != nil {
		s.stopWork()
		err = errors.Join(err, leaveToNext(ctx, sb))
		s.leave(ctx)
		return err
	}
	lost := st.Lost // what its server saw of it
	if lost == nil {
		lost = &LostInfo{Kind: string(sandbox.ExecutorDead), Message: "the server that owned this session ended, and its sandbox too"}
		if why != nil && !kindIs(why, sandbox.ExecutorDead) {
			lost.Message = "the server that owned this session ended: " + why.Error()
		}
	}
	s.update(func(st *state) { st.State, st.Recovered, st.Lost = StateLost, true, lost })
	return s.terminate(ctx, &Return{}, nil)
}

// closeQuietly ends a sandbox that was started for a capture.
func closeQuietly(ctx context.Context, sb sandbox.Sandbox) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := sb.Close(ctx); err != nil && !isDead(err) {
		return err
	}
	return nil
}

// leaveToNext lets go of what Reopen gave and that could not be captured. Where the files
// are in the sandbox alone it goes on, for whoever tries it next.
func leaveToNext(ctx context.Context, sb sandbox.Sandbox) error {
	if holdsFiles(sb) {
		sb.Detach()
		return nil
	}
	return closeQuietly(ctx, sb)
}

// letGo ends this process's part in a session and leaves the session and its sandbox as
// they are.
func (s *Session) letGo(ctx context.Context) {
	s.stopWork().Detach()
	s.leave(ctx)
}

// stopWork ends what a session that is to be left does by itself.
func (s *Session) stopWork() sandbox.Sandbox {
	s.mu.Lock()
	s.closing, s.leaving = true, true
	sb := s.sb
	s.mu.Unlock()
	close(s.finished)
	return sb
}

// leave waits for that and lets go of the session's locks.
func (s *Session) leave(ctx context.Context) {
	s.waitForWork(context.WithoutCancel(ctx))
	s.release()
	s.m.mu.Lock()
	delete(s.m.open, s.ID())
	s.m.forgetExecs(s)
	s.m.mu.Unlock()
}

func (s *Session) isLeaving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaving
}

// forgetExecs frees the ids of a session's commands; the manager's lock is held.
func (m *Manager) forgetExecs(s *Session) {
	for id, e := range m.execs {
		if e.s == s {
			delete(m.execs, id)
		}
	}
}

// captureDead captures what a sandbox that died under this session left.
func (s *Session) captureDead(ctx context.Context) error {
	st := s.snapshotState()
	rt, err := s.m.runtime(st.Runtime)
	if err != nil {
		return err
	}
	sb, err := rt.Reopen(ctx, s.m.specOf(&st), st.Sandbox)
	if err != nil {
		return err
	}
	s.update(func(st *state) { st.Sandbox = sb.State() })
	if err = s.save(false); err == nil { // whoever comes next finds this one
		err = s.captureDurably(ctx, s.check.next(), sb)
	}
	if err != nil {
		return errors.Join(err, leaveToNext(ctx, sb))
	}
	s.keepLeft(ctx, sb)
	if st := s.snapshotState(); st.Stays || stays(sb) {
		s.update(func(st *state) { st.Stays = true })
		sb.Detach()
		return nil
	}
	ending := taken(ctx, sb)
	closing := closeQuietly(ctx, sb)
	if holdsFiles(sb) {
		ending = errors.Join(ending, closing) // it costs money until it has ended
	}
	if ending != nil {
		s.update(func(st *state) { st.Running = true })
		s.m.o.Log("session %s: ending what is left of its sandbox: %v", s.ID(), ending)
		return nil
	}
	return closing
}

// awaitRecovery waits, after a call said that the sandbox is gone, until what it left is
// captured, or cannot be. A connection that may come back is no end.
func (s *Session) awaitRecovery(ctx context.Context) {
	if s.ended || s.recovered == nil {
		return
	}
	s.mu.Lock()
	sb := s.sb
	s.mu.Unlock()
	if sb == nil {
		return
	}
	seen := time.NewTimer(deathSeen)
	defer seen.Stop()
	select {
	case <-sb.Done():
	case <-seen.C:
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-s.recovered:
	case <-ctx.Done():
	}
}

// sandboxEnded reports whether there is no sandbox, or none any more that may come back.
func (s *Session) sandboxEnded() bool {
	s.mu.Lock()
	sb := s.sb
	s.mu.Unlock()
	if sb == nil {
		return true
	}
	select {
	case <-sb.Done():
		return true
	default:
		return false
	}
}

// deathSeen is how long a sandbox that failed a call may take to count as gone.
const deathSeen = 2 * time.Second

// untilShutdown gives a context that ends with the manager, too.
func (m *Manager) untilShutdown(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-m.stopped:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func kindIs(err error, kind sandbox.Kind) bool {
	var e *sandbox.Error
	return errors.As(err, &e) && e.Kind == kind
}

// lostText says what became of a session whose sandbox is gone.
func (st *state) lostText() string {
	msg := "the sandbox is gone"
	if st.Lost != nil {
		msg = st.Lost.Message
	}
	if st.Recovered {
		return fmt.Sprintf("%s; all that it had written was captured from its tree as checkpoint %d", msg, st.Checkpoint.Seq)
	}
	return fmt.Sprintf("%s; what it changed after checkpoint %d could not be captured", msg, st.Checkpoint.Seq)
}

// workspaceLock is the lock that the one session of a folder has.
func (m *Manager) workspaceLock(folder, runtime string) string {
	return filepath.Join(m.o.Home, "workspaces", cacheName(folder+"\x00"+runtime)+".lock")
}

// PutOff notes that a person knows of the session's changes and will see to them later,
// so that nobody asks again.
func (s *Session) PutOff(ctx context.Context) error {
	_, err := following(ctx, s, func(s *Session) (struct{}, error) {
		_, done, err := s.begin(ctx)
		if err != nil {
			return struct{}{}, err
		}
		defer done()
		s.update(func(st *state) { st.Settled = true })
		return struct{}{}, s.save(false)
	})
	return err
}
