package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
	"glue-lsp/workspace"
)

// OpenOptions for Manager.Open.
type OpenOptions struct {
	Folder  string // absolute host path of the workspace folder
	Runtime string // default local
	Attach  string // id of a sandbox to attach to instead of starting one
	Resume  string // id of a session to go on with
	New     bool   // open another session even where one is open
	Timeout time.Duration
	// Grace is how long a sandbox on this machine outlives a server that was killed; zero is
	// the runtime's.
	Grace   time.Duration
	Editor  Editor
	Include []string
	Exclude []string
	Network string
	// Setup are commands that run before the first one, and again when a lock file changed.
	Setup []string
	// Share names ignored folders that a sandbox on this machine is lent: patterns of
	// path.Match on their last names.
	Share []string
	// Unconfined: the person agreed that this session's commands may run without isolation,
	// where there is none. Without it opening fails then, with an error of kind
	// needsConfirmation, unless the folder was allowed by AllowUnconfined.
	Unconfined bool
	// ReturnMode is what a return does when it is not told.
	ReturnMode string
	// PrivateCache gives the sandbox build caches of its own, which end with it, instead of
	// those that sessions on the folder share.
	PrivateCache bool
	// CaptureMaxBytes and QuotaBytes are the manager's CaptureMax and Quota for this session;
	// 0 is the manager's.
	CaptureMaxBytes, QuotaBytes int64
	// History is how much of HEAD's history goes up: "" or none, full, shallow:N.
	History string
	// BundleMaxBytes is what the bundle that is sent at the start should not exceed, and
	// with a history does not; UploadMaxBytes is what it never does; ReturnMaxBytes caps
	// the mbox. 0 is the default (the runtime's, 1 GiB, 50 MiB).
	BundleMaxBytes, UploadMaxBytes, ReturnMaxBytes int64
}

const (
	defaultReturnMax = 50 << 20
	defaultUploadMax = 1 << 30
)

// Open gives a ready session on a folder: the one that is open there already, unless
// o.New, or a new one with the folder's tree in it, unsaved buffers included.
func (m *Manager) Open(ctx context.Context, o OpenOptions, p Progress) (*Session, error) {
	if o.Runtime == "" {
		o.Runtime = "local"
	}
	rt, err := m.runtime(o.Runtime)
	if err != nil {
		return nil, err
	}
	switch {
	case o.Resume != "":
		return m.resume(ctx, o, p)
	case o.Attach != "":
		return m.attach(ctx, rt, o, p)
	}
	folder, err := filepath.EvalSymlinks(o.Folder)
	if err != nil {
		return nil, &Error{
			Kind: "fileNotFound", Op: "open a session", Path: o.Folder, Message: fmt.Sprintf("the folder cannot be opened: %v", err),
			Hint: "was it moved or deleted? open the folder again in the editor", Err: err,
		}
	}
	o.Folder = folder
	ctx, under, err := m.beginOpening(ctx, turnKey{o.Runtime, folder}, p)
	if err != nil {
		return nil, err
	}
	defer under.end()
	p = under.turn.tell(p)
	if !o.New {
		if s := m.openOn(folder, o.Runtime); s != nil {
			s.claimed()
			return s, nil
		}
		if s := m.resumeOn(ctx, o, p); s != nil {
			return s, nil
		}
	}
	s, err := m.start(ctx, rt, o, p)
	if err != nil {
		if m.isClosing() {
			m.o.Log("an opening was given up: %v", err)
			err = shuttingDown()
		}
		return nil, err
	}
	m.mu.Lock()
	m.open[s.ID()] = s
	closing := m.closing
	m.mu.Unlock()
	if closing {
		return nil, shuttingDown() // Shutdown, which waits for this, closes it
	}
	m.announce(s)
	return s, nil
}

func (m *Manager) isClosing() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closing
}

func shuttingDown() error {
	return &Error{Kind: "unavailable", Op: "open a session", Message: "the server is shutting down"}
}

func noRuntime(name string, there []string) error {
	return &Error{
		Kind: "runtimeUnavailable", Op: "open a session", Message: fmt.Sprintf("there is no runtime %q here", name),
		Hint: "the runtimes are " + strings.Join(there, ", "),
	}
}

func (m *Manager) runtimes() []string {
	var names []string
	for name := range m.o.Runtimes {
		names = append(names, name)
	}
	return names
}

// openOn finds a usable session on a folder.
func (m *Manager) openOn(folder, runtime string) *Session {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.open {
		s.mu.Lock()
		ok := s.state.Folder == folder && s.state.Runtime == runtime && s.state.open() && !s.closing && !s.ending
		s.mu.Unlock()
		if ok {
			return s
		}
	}
	return nil
}

func (m *Manager) workspaceOptions(o OpenOptions, folder string) workspace.Options {
	return workspace.Options{
		CacheDir: filepath.Join(m.o.Home, "cache", cacheName(folder)), StateDir: filepath.Join(m.o.Home, "workspaces"),
		Include: o.Include, Exclude: o.Exclude, MaxFileSize: maxFile,
	}
}

// start makes a new session. What fails half way is taken down again.
func (m *Manager) start(ctx context.Context, rt sandbox.Runtime, o OpenOptions, p Progress) (_ *Session, err error) {
	began := m.o.Now()
	g, err := m.git()
	if err != nil {
		return nil, gitError("open a session", err)
	}
	p.say("reading the working tree", 0)
	ws, err := workspace.Open(ctx, g, o.Folder, m.workspaceOptions(o, o.Folder))
	if err != nil {
		return nil, err
	}
	s := m.newSession(ws, o, began)
	id := s.ID()
	s.tellNotes()
	undo := &undoList{}
	defer func() {
		if err != nil {
			undo.run()
		}
	}()
	if err := s.takeLocks(ctx, o); err != nil {
		return nil, err
	}
	undo.add(s.release)
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, &Error{Kind: "noSpace", Op: "open a session", Path: s.dir, Message: err.Error(), Err: err}
	}
	undo.add(func() { _ = os.RemoveAll(s.dir) })
	// On disk before the sandbox is: whoever dies in between leaves something with a name.
	if err := s.save(false); err != nil {
		return nil, err
	}

	// The sandbox starts while the tree is read: in the cloud that is seconds.
	type started struct {
		sb  sandbox.Sandbox
		err error
	}
	starting := make(chan started, 1)
	treeDir := filepath.Join(m.o.Home, "trees", id)
	caches := filepath.Join(m.workspaceOptions(o, o.Folder).CacheDir, "home")
	if err := os.MkdirAll(caches, 0o700); err != nil {
		return nil, &Error{Kind: "noSpace", Op: "open a session", Path: caches, Message: err.Error(), Err: err}
	}
	m.useCache(filepath.Dir(caches))
	spec := sandbox.Spec{
		Session: id, Dir: s.dir, TreeDir: treeDir, CacheDir: caches, Subdir: ws.Subdir(), Grace: o.Grace, Timeout: o.Timeout, Network: o.Network, Unconfined: o.Unconfined || m.unconfinedAllowed(o.Folder),
		Tags: map[string]string{"glue-session": id}, Log: m.o.Log,
	}
	if o.PrivateCache {
		spec.CacheDir = ""
	}
	s.lend(&spec, o, p)
	if s.keptSetup = newKeptSetup(rt, o.Setup, filepath.Dir(caches)); s.keptSetup != nil {
		spec.Kept = s.keptSetup.image
	}
	m.startsOne(o.Runtime, rt)
	go func() {
		sb, err := rt.Open(ctx, spec)
		if err == nil {
			// At once: whoever comes after a death needs it to end the sandbox.
			s.update(func(st *state) { st.SandboxID, st.Sandbox = sb.Info().ID, sb.State() })
			err = s.save(false)
		}
		starting <- started{sb, err}
	}()
	up, err := s.goUp(ctx, g, p)
	readAt := m.o.Now()
	st := <-starting
	startedAt := m.o.Now()
	if st.sb != nil {
		undo.add(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
			defer cancel()
			if err := st.sb.Close(ctx); err != nil {
				m.o.Log("session %s: closing the sandbox: %v", id, err)
			}
			_ = removeTree(treeDir)
		})
	}
	if err == nil {
		err = st.err
	}
	if err != nil {
		return nil, err
	}
	s.sb = st.sb
	s.noteLent(ctx, st.sb)
	s.ignore.current = s.withoutLent(s.ignore.current)
	s.began(st.sb.Info(), up.snap.Entries)
	for _, note := range st.sb.Info().Notes {
		s.warn("%s", note)
	}
	p.say("filling the sandbox", 60)
	if err := s.populate(ctx, up, p); err != nil {
		s.notFilled(ctx, err)
		return nil, err
	}
	if err := s.makeCwd(ctx, up.snap.Entries); err != nil {
		return nil, err
	}
	if err := s.prepareEnding(ctx, s.sb); err != nil {
		return nil, err
	}
	info := s.sb.Info()
	s.describe(s.sb)
	s.update(func(st *state) {
		st.Bootstrap = BootstrapInfo{Strategy: up.strategy(), Bytes: up.base.BundleSize, Took: m.o.Now().Sub(began)}
		st.Checkpoint = CheckpointInfo{Commit: up.base.Commit, At: m.o.Now()}
		st.State = Ready
	})
	if info.Isolation == "none" && len(info.Gaps) > 0 {
		s.warn("commands in this session are not confined: %s", info.Gaps[0])
	}
	if err := s.ignore.keep(s.dir); err != nil {
		return nil, &Error{Kind: "noSpace", Op: "open a session", Session: id, Path: s.dir, Message: err.Error(), Err: err}
	}
	if err := s.save(true); err != nil {
		return nil, err
	}
	s.safe = checkpointed{theirs: s.state.Theirs}
	s.work()
	m.tidy(o.QuotaBytes)
	m.o.Log("session %s: open after %s: the tree was packed after %s, the sandbox there after %s, filled by %s with %s in %s", id,
		shown(m.o.Now().Sub(began)), shown(readAt.Sub(began)), shown(startedAt.Sub(began)), up.strategy(), inMiB(up.base.BundleSize), shown(m.o.Now().Sub(startedAt)))
	p.say("ready", 100)
	return s, nil
}

// shown is a time for a log line.
func shown(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// newSession begins a session's record. Nothing of it is on the disk yet.
func (m *Manager) newSession(ws *workspace.Workspace, o OpenOptions, began time.Time) *Session {
	id := m.newID()
	return &Session{
		m: m, dir: m.sessionDir(id), editor: o.Editor, opts: o, ws: ws,
		execs: map[string]*Exec{}, finished: make(chan struct{}),
		state: state{
			Version: stateVersion, ID: id, Runtime: o.Runtime, State: Opening, Folder: o.Folder, Subdir: ws.Subdir(),
			CreatedAt: began, OwnerPID: os.Getpid(), Separate: o.New, PrivateCache: o.PrivateCache, Network: o.Network, Declined: map[string]tree.Entry{}, Include: o.Include, Exclude: o.Exclude,
		},
	}
}

// describe records what the session's sandbox is.
func (s *Session) describe(sb sandbox.Sandbox) {
	info := sb.Info()
	s.update(func(st *state) {
		st.Root, st.Cwd, st.SandboxID = info.Root, info.Cwd, info.ID
		st.Isolation, st.Gaps, st.Transport, st.ExpiresAt = info.Isolation, info.Gaps, info.Transport, info.ExpiresAt
		st.Sandbox, st.Image = sb.State(), info.Image
	})
}

// takeLocks locks the session, and the workspace unless a separate session was asked
// for. An editor that reloads overlaps with its former self for a moment, hence the wait.
func (s *Session) takeLocks(ctx context.Context, o OpenOptions) error {
	h := holder{PID: os.Getpid(), Session: s.ID(), Since: s.m.o.Now()}
	own, other, err := takeLock(filepath.Join(s.dir, "lock"), h)
	if err != nil {
		return &Error{Kind: "unavailable", Op: "open a session", Message: err.Error(), Err: err}
	}
	if own == nil {
		return busy(s.ID(), other)
	}
	s.ownLock = own
	if o.New {
		return nil
	}
	shared, err := s.lockWorkspace(ctx, o, h)
	if err != nil {
		s.release()
		_ = os.RemoveAll(s.dir)
		return err
	}
	s.wsLock = shared
	return nil
}

func (s *Session) lockWorkspace(ctx context.Context, o OpenOptions, h holder) (*flock.Flock, error) {
	l, other, err := s.m.waitForLock(ctx, s.m.workspaceLock(o.Folder, o.Runtime), h, s.m.o.BusyWait)
	if err != nil {
		return nil, err
	}
	if l == nil {
		e := busy(other.Session, other)
		e.Op, e.Path = "open a session on this folder", o.Folder
		return nil, e
	}
	return l, nil
}

// newToken names a state of the sandbox's tree between host and agent.
func newToken() string {
	var b [12]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// undoList takes down, in reverse order, what a failed opening had put up.
type undoList struct{ fs []func() }

func (u *undoList) add(f func()) { u.fs = append(u.fs, f) }

func (u *undoList) run() {
	for i := len(u.fs) - 1; i >= 0; i-- {
		u.fs[i]()
	}
}

// makeCwd makes the folder that commands start in where nothing of it goes up: it is there
// on the host.
func (s *Session) makeCwd(ctx context.Context, entries []tree.Entry) error {
	info := s.sb.Info()
	within, ok := strings.CutPrefix(info.Cwd, strings.TrimSuffix(info.Root, "/")+"/")
	if !ok || slices.ContainsFunc(entries, func(e tree.Entry) bool { return strings.HasPrefix(e.Path, within+"/") }) {
		return nil
	}
	return s.sb.Mkdir(ctx, info.Cwd, true)
}
