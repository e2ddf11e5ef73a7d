package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"glue-lsp/internal/git"
	"glue-lsp/sandbox"
	"glue-lsp/workspace"
)

// Editor is what a session asks of the editor. A nil Editor is the command line,
// which has no buffers and takes changes by writing to disk.
type Editor interface {
	// Documents are the open buffers at one moment.
	Documents(ctx context.Context) ([]workspace.Document, error)
	// Caps is what the editor can do with an edit.
	Caps() workspace.ClientCaps
	// ApplyEdit asks the editor to apply. The answer is a hint: the session reads
	// buffers and files back. It may take as long as a person needs to decide.
	ApplyEdit(ctx context.Context, label string, e *workspace.Edit) (applied bool, reason string, err error)
}

// Progress is told what a long operation is doing. percent < 0 is unknown.
type Progress func(message string, percent int)

func (p Progress) say(message string, percent int) {
	if p != nil {
		p(message, percent)
	}
}

// Options for NewManager.
type Options struct {
	Home     string // GLUE_HOME: where sessions, trees and caches are kept
	Runtimes map[string]sandbox.Runtime
	Now      func() time.Time
	// After is the clock's other half: it sends once d has passed. Default time.After.
	After func(d time.Duration) <-chan time.Time
	Log   func(format string, args ...any)
	// Changed is called after each change of a session, one call at a time.
	Changed func(Info)
	// BusyWait is how long opening waits for another process to let go of the same
	// workspace; an editor that reloads overlaps with its former self.
	BusyWait time.Duration
	// ClaimWait is how long a session that was taken up after its owner's death, without
	// being asked for, waits for somebody to use it; default 15 s.
	ClaimWait time.Duration
	// Finish starts a process that outlives this one and calls Manager.Finish for a session
	// whose folder is dir. It must not wait for it. nil leaves that to the next start.
	Finish func(id, dir string) error
	// CheckpointEvery is how often a checkpoint is taken while any process of a session
	// lives; default 30 s.
	CheckpointEvery time.Duration
	// CaptureMax bounds the contents that one checkpoint brings to the host, in bytes;
	// default 2 GiB. What is over it stays in the sandbox's tree, by name.
	CaptureMax int64
	// Quota is how much, in bytes, everything under Home may take before what nobody needs
	// any more is deleted earlier; default 10 GiB. It also bounds one session's store.
	Quota int64
	// FreeSpace tells how many bytes may still be written on a folder's disk, and how many
	// of those to leave alone; default is the system's answer.
	FreeSpace func(dir string) (free, reserve int64, err error)
}

// Manager owns the sessions of one process and knows the ended ones on disk.
type Manager struct {
	o Options

	git func() (*git.Git, error)

	turns      turns
	openings   sync.WaitGroup // those under way; none begins once closing is set
	announcing sync.Mutex

	mu     sync.Mutex
	open   map[string]*Session
	known  map[string]*Session // ended ones, loaded from disk on demand
	editor Editor              // of those
	execs  map[string]*Exec    // ids are unique per manager

	tidying     sync.Once // see tidy
	stopTidying func()
	tidied      sync.WaitGroup

	beside  sync.WaitGroup // what goes on beside calls
	stopped chan struct{}  // closed when that is to end

	closing bool // no session is opened any more
	ending  sync.Once
	ended   chan struct{} // closed when Shutdown's work is done
	endErr  error
}

// NewManager makes the state folders (mode 0700). It starts nothing.
func NewManager(o Options) (*Manager, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.Changed == nil {
		o.Changed = func(Info) {}
	}
	if o.BusyWait == 0 {
		o.BusyWait = 3 * time.Second
	}
	if o.ClaimWait == 0 {
		o.ClaimWait = 15 * time.Second
	}
	if o.CheckpointEvery == 0 {
		o.CheckpointEvery = 30 * time.Second
	}
	if o.CaptureMax <= 0 {
		o.CaptureMax = defaultCaptureMax
	}
	if o.Quota <= 0 {
		o.Quota = defaultQuota
	}
	if o.FreeSpace == nil {
		o.FreeSpace = freeSpace
	}
	if o.Home == "" {
		return nil, errors.New("session: no state folder was given")
	}
	for _, d := range []string{"", "sessions", "trees", "cache", "workspaces"} {
		dir := filepath.Join(o.Home, d)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, &Error{
				Kind: "permissionDenied", Op: "prepare the state folder", Path: dir, Message: err.Error(),
				Hint: "set GLUE_HOME to a folder that you can write", Err: err,
			}
		}
	}
	m := &Manager{o: o, open: map[string]*Session{}, known: map[string]*Session{}, execs: map[string]*Exec{}, stopped: make(chan struct{})}
	m.git = sync.OnceValues(func() (*git.Git, error) { return git.Find(context.Background()) })
	return m, nil
}

// UseEditor says which editor sees the files of sessions that have ended; an open one
// has that of its OpenOptions. It is called before the first Find.
func (m *Manager) UseEditor(e Editor) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.editor = e
}

// newID names a session so that people can tell sessions apart by eye.
func (m *Manager) newID() string {
	var b [3]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand documents it
	return m.o.Now().UTC().Format("20060102-150405-") + hex.EncodeToString(b[:])
}

func (m *Manager) sessionDir(id string) string { return filepath.Join(m.o.Home, "sessions", id) }

// Get finds an open session; "" is the only one that is open.
func (m *Manager) Get(id string) (*Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id != "" {
		if s := m.open[id]; s != nil {
			return s, nil
		}
		return nil, &Error{
			Kind: NoSuchSession, Session: id, Message: fmt.Sprintf("session %s is not open here", id),
			Hint: "glue/session/list shows the sessions that there are",
		}
	}
	var usable, lost []*Session
	for _, s := range m.open {
		if s.Info().State == StateLost {
			lost = append(lost, s)
		} else {
			usable = append(usable, s)
		}
	}
	if len(usable) == 0 {
		usable = lost // its own error says more than "no session is open"
	}
	switch len(usable) {
	case 0:
		return nil, &Error{Kind: NoSuchSession, Message: "no session is open", Hint: "open one with glue/session/open"}
	case 1:
		return usable[0], nil
	}
	return nil, &Error{
		Kind: AmbiguousSession, Message: fmt.Sprintf("%d sessions are open", len(usable)),
		Hint: "name one of them as session",
	}
}

// Find is Get for ended sessions too: those whose state lies on disk and that no
// living process owns.
func (m *Manager) Find(ctx context.Context, id string) (*Session, error) {
	for {
		s, err := m.Get(id)
		if err == nil || id == "" {
			return s, err
		}
		m.mu.Lock()
		s = m.known[id]
		m.mu.Unlock()
		if s != nil {
			return s, nil
		}
		s, err = m.load(ctx, id)
		var e *Error
		if !errors.As(err, &e) || e.heldBy != os.Getpid() {
			return s, err
		}
		// This process is about to take it up, or to end it.
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockPause):
		}
	}
}

// load brings an ended session back from disk. It takes no lock: only what changes
// the session does (see claim), so that looking at it keeps nobody else out.
func (m *Manager) load(ctx context.Context, id string) (*Session, error) {
	gone := &Error{Kind: NoSuchSession, Session: id, Message: fmt.Sprintf("there is no session %s", id)}
	if id != filepath.Base(id) || id == "." || id == ".." {
		return nil, gone
	}
	dir := m.sessionDir(id)
	st, err := readState(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, gone
	}
	if err != nil {
		return nil, &Error{Kind: "unavailable", Session: id, Op: "read the session", Message: err.Error(), Err: err}
	}
	if st.owed() {
		// Its owner died, or is somebody else. What it left comes to the host first.
		own, now, err := m.takeOver(ctx, id, lockPause)
		if err != nil {
			return nil, err
		}
		if now.owed() {
			m.salvageOrLog(ctx, own, now)
		} else {
			_ = own.Close()
		}
		if st, err = readState(dir); err != nil {
			return nil, gone // it never was ready, and nothing was in it
		}
	}
	s := &Session{m: m, dir: dir, state: *st, execs: map[string]*Exec{}, ended: true}
	s.opts.Include, s.opts.Exclude = st.Include, st.Exclude
	s.markOrphan()
	if err := s.openStore(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	s.editor = m.editor
	m.known[id] = s
	m.mu.Unlock()
	return s, nil
}

func busy(id string, h *holder) *Error {
	e := &Error{
		Kind: Busy, Session: id, Op: "open the session", Message: "another process has this session open",
		Hint: "close it there, or open a separate one with new: true",
	}
	if h == nil || h.PID == 0 {
		return e
	}
	e.heldBy = h.PID
	e.Message = fmt.Sprintf("process %d has had it open since %s (session %s)", h.PID, h.Since.Format(time.RFC3339), h.Session)
	if h.Ending {
		e.Message = fmt.Sprintf("process %d is ending it (session %s)", h.PID, h.Session)
		e.Hint = "try again in a moment"
	}
	return e
}

// List gives the open sessions, then the ended ones whose changes were neither
// returned nor thrown away, whose sandbox died and left what nobody captured yet, or whose
// sandbox goes on by the person's wish, newest first.
func (m *Manager) List(ctx context.Context) ([]Info, error) {
	m.mu.Lock()
	var out []Info
	seen := map[string]bool{}
	for id, s := range m.open {
		seen[id] = true
		out = append(out, s.Info())
	}
	m.mu.Unlock()
	entries, err := os.ReadDir(filepath.Join(m.o.Home, "sessions"))
	if err != nil {
		return nil, &Error{Kind: "unavailable", Op: "list sessions", Message: err.Error(), Err: err}
	}
	for _, e := range entries {
		if seen[e.Name()] || !e.IsDir() {
			continue
		}
		st, err := readState(filepath.Join(m.o.Home, "sessions", e.Name()))
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				m.o.Log("list sessions: %v", err)
			}
			continue
		}
		if st.owed() && m.ownedElsewhere(st.ID) {
			continue // it is not ours to list
		}
		if uncaptured := st.State == StateLost && st.owed(); !uncaptured && !st.unreturned() && !m.staysOn(st) {
			continue
		}
		s := &Session{state: *st}
		s.markOrphan()
		out = append(out, s.Info())
	}
	slices.SortFunc(out, func(a, b Info) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return out, ctx.Err()
}

// staysOn reports whether a session's sandbox goes on although it has ended.
func (m *Manager) staysOn(st *state) bool {
	return st.Stays && !st.open() && (st.ExpiresAt.IsZero() || m.o.Now().Before(st.ExpiresAt))
}

// ownedElsewhere reports whether another process has a session, and not only to end it. A
// lock whose named holder is dead was taken a moment ago, by somebody who is about to write
// his name there: it may be this process.
func (m *Manager) ownedElsewhere(id string) bool {
	file := filepath.Join(m.sessionDir(id), "lock")
	if !isLocked(file) {
		return false
	}
	h := readHolder(file)
	return !h.mine() && !h.Ending && h.alive()
}

// markOrphan says what became of a session whose owner died with it open: what the
// last checkpoint holds is what there is.
func (s *Session) markOrphan() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.state.open() {
		return
	}
	s.state.State = StateLost
	s.state.Lost = &LostInfo{Kind: "executorDead", Message: "the server that owned this session ended without closing it"}
}

// unreturned reports whether the state holds changes that were neither returned nor
// thrown away, or its sandbox's tree is kept for files that exist only there.
func (st *state) unreturned() bool {
	// A server that died may have saved a newer tree than it counted.
	counted := st.Counted == [2]string{st.Agreed, st.Theirs}
	return st.Agreed != st.Theirs && (!counted || st.Checkpoint.ChangedFiles > 0) || len(st.LeftInside) > 0
}

// Exec finds a command of any session of this process by its id.
func (m *Manager) Exec(execID string) (*Session, *Exec, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.execs[execID]
	if e == nil || !e.started {
		return nil, nil, &sandbox.Error{
			Kind: sandbox.NoSuchExec, Op: "find the command", Message: fmt.Sprintf("there is no command %q", execID),
			Hint: "glue/exec/list shows the commands that run",
		}
	}
	return e.s, e, nil
}

// Shutdown ends every session: running commands are ended, a last checkpoint is taken,
// the sandbox is closed and the changes stay on disk. ctx bounds the waiting, not the
// ending, which goes on for as long as this process does; a later call waits for it
// again. What is not ended when ctx ends, or could not be, is left to a finisher.
func (m *Manager) Shutdown(ctx context.Context) error {
	m.ending.Do(func() {
		m.ended = make(chan struct{})
		go func() {
			defer close(m.ended)
			defer m.endTidying()
			m.endErr = m.closeAll()
		}()
	})
	select {
	case <-m.ended:
		if m.endErr != nil {
			m.leaveToFinisher()
		}
		return m.endErr
	case <-ctx.Done():
		m.leaveToFinisher()
		return ctx.Err()
	}
}

func (m *Manager) closeAll() error {
	m.mu.Lock()
	m.closing = true
	m.mu.Unlock()
	close(m.stopped)
	defer m.beside.Wait()
	done := map[*Session]bool{}
	err := m.endOpen(done)
	// What was ready at that moment is open now; what was not has been taken down.
	m.openings.Wait()
	return errors.Join(err, m.endOpen(done))
}

// endOpen ends the open sessions that are not in done, and notes them there.
func (m *Manager) endOpen(done map[*Session]bool) error {
	m.mu.Lock()
	var all []*Session
	for _, s := range m.open {
		if !done[s] {
			done[s] = true
			all = append(all, s)
		}
	}
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	m.noteEnding(all)
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, s := range all {
		wg.Go(func() { errs[i] = s.end(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (m *Manager) announce(s *Session) {
	if s.quiet {
		return
	}
	// Info is read under the lock, so that what is announced never goes back in time.
	m.announcing.Lock()
	defer m.announcing.Unlock()
	m.o.Changed(s.Info())
}
