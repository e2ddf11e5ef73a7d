package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
	"glue-lsp/workspace"
)

// Session is one sandbox bound to one working tree. It is safe for concurrent use.
//
// Three locks, taken in this order: returning (one return or discard at a time, held
// while a person decides), trees (one movement of trees at a time), mu (the fields).
type Session struct {
	m      *Manager
	dir    string
	editor Editor
	opts   OpenOptions
	ended  bool // loaded from disk; there is no sandbox

	returning turn
	setup     setupRun
	keptSetup *keptSetup           // nil where nothing can be kept of it
	lent      map[string]*lentView // by folder; the opening's, then the checkpointer's
	trees     sync.Mutex

	// Guarded by trees.
	ws     *workspace.Workspace
	store  *workspace.Store
	ignore ignoreRules
	last   lastSync
	safe   checkpointed
	kept   map[string]bool // ids that refs of the store hold
	// pastTags are the objects of tags that went up with the history; nil until read.
	pastTags map[string]bool
	unread   []tree.Skipped  // what the last capture had no room for
	notSent  map[string]bool // paths that the last sync left out; nil before the first one
	undoing  entries         // paths that an undo is about to change: no sync sends them

	saving sync.Mutex

	mu          sync.Mutex
	state       state
	sb          sandbox.Sandbox // nil when the session has ended
	execs       map[string]*Exec
	interrupt   func() // ends the return that is under way, nil when there is none
	interrupted bool   // by Shutdown: no other return begins
	ending      bool   // commands are being ended for the last checkpoint: nothing new starts
	closing     bool
	leaving     bool          // closing, and the sandbox goes on
	quiet       bool          // nobody is told of its changes
	unclaimed   bool          // it was taken up without being asked for
	handedOn    bool          // a finisher waits for it; guarded by the manager's lock
	alert       string        // what the person should hear now
	recovered   chan struct{} // closed once what a sandbox that died left was looked at
	check       checkpointer
	ownLock     *flock.Flock  // of the session's folder
	wsLock      *flock.Flock  // of the workspace; nil for a separate session
	sbLock      *flock.Flock  // of a sandbox that another session may want
	finished    chan struct{} // closed when the session's goroutines may end
	wg          sync.WaitGroup
}

// ID names the session; it is also its folder's name.
func (s *Session) ID() string { return s.state.ID }

// Dir is the session's folder on the host, where its mbox and logs are.
func (s *Session) Dir() string { return s.dir }

// Files gives the sandbox's file operations, or an error when there is no sandbox
// any more.
func (s *Session) Files() (sandbox.Files, error) { return s.sandbox("use files") }

// sandbox gives the running sandbox, or says why there is none.
func (s *Session) sandbox(op string) (sandbox.Sandbox, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sb != nil && s.state.Lost == nil {
		return s.sb, nil
	}
	msg := fmt.Sprintf("session %s has ended", s.state.ID)
	if s.state.Lost != nil {
		msg = fmt.Sprintf("the sandbox of session %s is gone: %s", s.state.ID, s.state.Lost.Message)
	}
	return nil, &Error{
		Kind: Lost, Op: op, Session: s.state.ID, Message: msg, Checkpoint: s.state.Checkpoint.Seq,
		Hint: "its changes up to the last checkpoint can still be shown and returned",
	}
}

// openStore opens what a session loaded from disk needs: its objects.
func (s *Session) openStore(ctx context.Context) error {
	g, err := s.m.git()
	if err != nil {
		return gitError("open the session", err)
	}
	s.store, err = workspace.OpenStore(ctx, g, filepath.Join(s.dir, "objects.git"))
	if err != nil {
		return &Error{Kind: "unavailable", Op: "open the session's objects", Session: s.ID(), Path: s.dir, Message: err.Error(), Err: err}
	}
	return nil
}

// openWorkspace opens the working tree of a session loaded from disk, which may have
// moved or vanished since.
func (s *Session) openWorkspace(ctx context.Context) error {
	if s.ws != nil {
		return nil
	}
	g, err := s.m.git()
	if err != nil {
		return gitError("open the workspace", err)
	}
	s.ws, err = workspace.Open(ctx, g, s.state.Folder, s.m.workspaceOptions(s.opts, s.state.Folder))
	if err == nil {
		s.tellNotes()
	}
	return err
}

// tellNotes warns of what the working tree has to say, such as that an interrupted return
// was put back.
func (s *Session) tellNotes() {
	for _, note := range s.ws.Notes() {
		s.warn("%s", note)
	}
}

// claim keeps other processes out while an ended session is changed, and reads what
// they did to it before. What could not be captured when the session was loaded is tried
// once more; else its last checkpoint is what there is. For an open session it does
// nothing: its lock is held.
func (s *Session) claim(ctx context.Context) (release func(), err error) {
	if !s.ended {
		return func() {}, nil
	}
	own, st, err := s.m.takeBack(ctx, s)
	if err == nil && st.owed() {
		s.m.salvageOrLog(ctx, own, st) // lets go of the lock
		if err = ctx.Err(); err == nil {
			own, st, err = s.m.takeBack(ctx, s)
		}
	}
	if err != nil {
		return nil, err
	}
	s.update(func(now *state) { *now = *st })
	s.markOrphan()
	return func() { _ = own.Close() }, nil
}

// takeBack is takeOver for a session that was loaded. It waits for whoever is about to let
// go, such as this process that has just ended it.
func (m *Manager) takeBack(ctx context.Context, s *Session) (*flock.Flock, *state, error) {
	own, st, err := m.takeOver(ctx, s.ID(), lockPause)
	var e *Error
	if !errors.As(err, &e) || e.heldBy != os.Getpid() {
		return own, st, err
	}
	m.mu.Lock()
	open := m.open[s.ID()] != nil
	m.mu.Unlock()
	if open {
		return nil, nil, s.moved()
	}
	return m.takeOver(ctx, s.ID(), endingWait)
}

// update changes the state under its lock.
func (s *Session) update(f func(st *state)) {
	s.mu.Lock()
	f(&s.state)
	s.mu.Unlock()
}

// snapshotState copies the state for reading.
func (s *Session) snapshotState() state {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// save writes session.json as the state is now.
func (s *Session) save(durable bool) error {
	s.saving.Lock() // what is written last is the newest
	defer s.saving.Unlock()
	st := s.snapshotState()
	if err := writeState(s.dir, &st, durable); err != nil {
		return &Error{
			Kind: "noSpace", Op: "save the session", Session: s.ID(), Path: s.dir, Message: err.Error(),
			Hint: "make room on the disk that holds the session's folder; nothing was lost in the sandbox", Err: err,
		}
	}
	return nil
}

const maxWarnings = 20

// warn adds a warning that SessionInfo shows, each text once.
func (s *Session) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.state.Warnings, text) {
		return
	}
	s.state.Warnings = append(s.state.Warnings, text)
	if n := len(s.state.Warnings); n > maxWarnings {
		s.state.Warnings = s.state.Warnings[n-maxWarnings:]
	}
}

// documents asks the editor for its buffers.
func (s *Session) documents(ctx context.Context) ([]workspace.Document, error) {
	if s.editor == nil {
		return nil, nil
	}
	return s.editor.Documents(ctx)
}

// release lets go of the session's locks.
func (s *Session) release() {
	s.releaseWorkspace()
	for _, l := range []*flock.Flock{s.sbLock, s.ownLock} {
		if l != nil {
			_ = l.Close() // the process's end releases it too
		}
	}
}

// releaseWorkspace lets another session be opened on the folder.
func (s *Session) releaseWorkspace() {
	s.mu.Lock()
	l := s.wsLock
	s.wsLock = nil
	s.mu.Unlock()
	if l != nil {
		_ = l.Close()
	}
}

// watch waits for the sandbox's end, says so at once, and captures what it left.
func (s *Session) watch(sb sandbox.Sandbox) {
	defer close(s.recovered)
	select {
	case <-sb.Done():
	case <-s.finished:
		return
	}
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return
	}
	reason := "the sandbox ended"
	if err := sb.Err(); err != nil {
		reason = err.Error()
	}
	s.state.State = StateLost
	s.state.Lost = &LostInfo{Kind: string(sandbox.ExecutorDead), Message: reason}
	s.mu.Unlock()
	if err := s.save(true); err != nil {
		s.m.o.Log("session %s: %v", s.ID(), err)
	}
	s.releaseWorkspace()
	s.m.announce(s)
	ctx, stop := s.m.untilShutdown(context.Background())
	defer stop()
	switch err := s.captureDead(ctx); {
	case err == nil:
		s.update(func(st *state) { st.Recovered = true })
	case kindIs(err, sandbox.FileNotFound):
		// Nothing is left of it: what the last checkpoint holds is what there is, for good.
		s.update(func(st *state) { st.Final = true })
	default:
		s.warn("what the sandbox had not yet handed over could not be captured: %v", err)
	}
	if err := s.save(true); err != nil {
		s.m.o.Log("session %s: %v", s.ID(), err)
	}
	s.m.announce(s)
}

// closeTimeout bounds the ending of a sandbox whose caller gave no bound.
const closeTimeout = 30 * time.Second
