package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"glue-lsp/internal/git"
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
	Editor  Editor
	Include []string
	Exclude []string
	Network string
	// ReturnMode is what a return does when it is not told.
	ReturnMode string
	// BundleMaxBytes caps what is sent at the start, ReturnMaxBytes the mbox; 0 is the
	// default (none, 50 MiB).
	BundleMaxBytes, ReturnMaxBytes int64
}

const defaultReturnMax = 50 << 20

// Open gives a ready session on a folder: the one that is open there already, unless
// o.New, or a new one with the folder's tree in it, unsaved buffers included.
func (m *Manager) Open(ctx context.Context, o OpenOptions, p Progress) (*Session, error) {
	if o.Runtime == "" {
		o.Runtime = "local"
	}
	rt := m.o.Runtimes[o.Runtime]
	if rt == nil {
		return nil, &Error{
			Kind: "runtimeUnavailable", Op: "open a session", Message: fmt.Sprintf("there is no runtime %q here", o.Runtime),
			Hint: "the runtimes are " + strings.Join(m.runtimes(), ", "),
		}
	}
	if o.Attach != "" {
		return nil, &Error{
			Kind: "unsupported", Op: "attach to sandbox " + o.Attach,
			Message: "the " + o.Runtime + " runtime cannot attach to a sandbox that it did not start",
		}
	}
	if o.Resume != "" {
		return m.resume(ctx, o.Resume)
	}
	// One opening at a time: two requests for one folder get one session, and the
	// second of two folders waits for less than a second.
	m.opening.Lock()
	defer m.opening.Unlock()
	m.mu.Lock()
	closing := m.closing
	m.mu.Unlock()
	if closing {
		return nil, shuttingDown()
	}
	folder, err := filepath.EvalSymlinks(o.Folder)
	if err != nil {
		return nil, &Error{
			Kind: "fileNotFound", Op: "open a session", Path: o.Folder, Message: fmt.Sprintf("the folder cannot be opened: %v", err),
			Hint: "was it moved or deleted? open the folder again in the editor", Err: err,
		}
	}
	o.Folder = folder
	if s := m.openOn(folder, o.Runtime); s != nil && !o.New {
		return s, nil
	}
	s, err := m.start(ctx, rt, o, p)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	m.open[s.ID()] = s
	closing = m.closing
	m.mu.Unlock()
	if closing {
		return nil, shuttingDown() // Shutdown, which waits for this, closes it
	}
	m.announce(s)
	return s, nil
}

func shuttingDown() error {
	return &Error{Kind: "unavailable", Op: "open a session", Message: "the server is shutting down"}
}

func (m *Manager) runtimes() []string {
	var names []string
	for name := range m.o.Runtimes {
		names = append(names, name)
	}
	return names
}

// resume goes on with a session of this process, or says what can be done with one
// whose sandbox is gone.
func (m *Manager) resume(ctx context.Context, id string) (*Session, error) {
	s, err := m.Find(ctx, id)
	if err != nil {
		return nil, err
	}
	if !s.ended {
		return s, nil
	}
	return nil, &Error{
		Kind: Lost, Op: "resume", Session: id, Checkpoint: s.Info().Checkpoint.Seq,
		Message: "the sandbox of session " + id + " is gone",
		Hint:    "its kept changes can be shown and returned: glue/session/return, or glue-lsp sessions apply " + id,
	}
}

// openOn finds a usable session on a folder.
func (m *Manager) openOn(folder, runtime string) *Session {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.open {
		s.mu.Lock()
		ok := s.state.Folder == folder && s.state.Runtime == runtime && s.state.open() && !s.closing
		s.mu.Unlock()
		if ok {
			return s
		}
	}
	return nil
}

func (m *Manager) workspaceOptions(o OpenOptions, folder string) workspace.Options {
	sum := sha256.Sum256([]byte(folder))
	return workspace.Options{
		CacheDir: filepath.Join(m.o.Home, "cache", hex.EncodeToString(sum[:8])),
		Include:  o.Include, Exclude: o.Exclude, MaxFileSize: maxFile,
	}
}

// start makes a new session. What fails half way is taken down again.
func (m *Manager) start(ctx context.Context, rt sandbox.Runtime, o OpenOptions, p Progress) (_ *Session, err error) {
	began := m.o.Now()
	g, err := m.git()
	if err != nil {
		return nil, gitError("open a session", err)
	}
	m.prune()
	p.say("reading the working tree", 0)
	ws, err := workspace.Open(ctx, g, o.Folder, m.workspaceOptions(o, o.Folder))
	if err != nil {
		return nil, err
	}
	id := m.newID()
	s := &Session{
		m: m, dir: m.sessionDir(id), editor: o.Editor, opts: o, ws: ws,
		execs: map[string]*Exec{}, finished: make(chan struct{}),
		state: state{
			Version: stateVersion, ID: id, Runtime: o.Runtime, State: Opening, Folder: o.Folder, Subdir: ws.Subdir(),
			CreatedAt: began, OwnerPID: os.Getpid(), Declined: map[string]tree.Entry{}, Include: o.Include, Exclude: o.Exclude,
		},
	}
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
	go func() {
		sb, err := rt.Open(ctx, sandbox.Spec{
			Session: id, Dir: s.dir, TreeDir: treeDir, CacheDir: caches, Subdir: ws.Subdir(), Timeout: o.Timeout, Network: o.Network,
			Tags: map[string]string{"glue-session": id}, Log: m.o.Log,
		})
		starting <- started{sb, err}
	}()
	snap, base, bundle, err := s.goUp(ctx, g, p)
	st := <-starting
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
	if err = errors.Join(err, st.err); err != nil {
		return nil, err
	}
	s.sb = st.sb
	s.update(func(state *state) { state.SandboxID, state.Sandbox = st.sb.Info().ID, st.sb.State() })
	if err := s.save(false); err != nil {
		return nil, err
	}
	p.say("filling the sandbox", 60)
	if err := s.populate(ctx, snap, base, bundle); err != nil {
		return nil, err
	}
	info := s.sb.Info()
	s.update(func(st *state) {
		st.Root, st.Cwd, st.SandboxID = info.Root, info.Cwd, info.ID
		st.Isolation, st.Gaps, st.Transport, st.ExpiresAt = info.Isolation, info.Gaps, info.Transport, info.ExpiresAt
		st.Sandbox = s.sb.State()
		st.Bootstrap = BootstrapInfo{Strategy: "bundle", Bytes: base.BundleSize, Took: m.o.Now().Sub(began)}
		st.Checkpoint = CheckpointInfo{Commit: base.Commit, At: m.o.Now()}
		st.State = Ready
	})
	if info.Isolation == "none" && len(info.Gaps) > 0 {
		s.warn("commands in this session are not confined: %s", info.Gaps[0])
	}
	if err := s.save(true); err != nil {
		return nil, err
	}
	s.safe = checkpointed{theirs: s.state.Theirs}
	s.check.start(s)
	sb := s.sb
	s.wg.Go(func() { s.watch(sb) })
	p.say("ready", 100)
	return s, nil
}

// goUp reads the tree and makes the commit and the bundle that the sandbox gets.
func (s *Session) goUp(ctx context.Context, g *git.Git, p Progress) (*workspace.Snapshot, workspace.Base, string, error) {
	var none workspace.Base
	format := tree.SHA1
	src := s.ws.Source()
	branch := ""
	if src != nil {
		format, branch = src.Format, src.Branch
		s.state.RemoteURL = src.Remotes["origin"]
	}
	var err error
	s.store, err = workspace.CreateStore(ctx, g, filepath.Join(s.dir, "objects.git"), format)
	if err != nil {
		return nil, none, "", err
	}
	docs, err := s.documents(ctx)
	if err != nil {
		return nil, none, "", err
	}
	snap, err := s.ws.Snapshot(ctx, s.store, docs)
	if err != nil {
		return nil, none, "", err
	}
	p.say(fmt.Sprintf("packing %d files", snap.Files), 30)
	bundle := filepath.Join(s.dir, "bootstrap.bundle")
	base, err := s.store.Base(ctx, snap, branch, bundle)
	if err != nil {
		return nil, none, "", err
	}
	if limit := s.opts.BundleMaxBytes; limit > 0 && base.BundleSize > limit {
		return nil, none, "", &Error{
			Kind: "tooLarge", Op: "open a session", Session: s.ID(),
			Message: fmt.Sprintf("the tree packs to %d bytes, over the limit of %d", base.BundleSize, limit),
			Hint:    "raise bundle_max_mb, or leave large files out with exclude",
		}
	}
	s.update(func(st *state) {
		st.Base = BaseInfo{
			Commit: base.Commit, Files: snap.Files, Bytes: snap.Bytes, Unsaved: snap.Unsaved,
			Skipped: skippedOf(snap.Skipped),
		}
		st.BaseTree, st.Agreed, st.Theirs = snap.Tree, snap.Tree, snap.Tree
	})
	s.ignore.current = snap.Ignore
	return snap, base, bundle, nil
}

func (s *Session) populate(ctx context.Context, snap *workspace.Snapshot, base workspace.Base, bundle string) error {
	f, err := os.Open(bundle)
	if err != nil {
		return &Error{Kind: "unavailable", Op: "open a session", Path: bundle, Message: err.Error(), Err: err}
	}
	defer os.Remove(bundle) // the store holds the same objects
	defer f.Close()
	branch := ""
	format := tree.SHA1
	if src := s.ws.Source(); src != nil {
		branch, format = src.Branch, src.Format
	}
	token := newToken()
	err = s.sb.Populate(ctx, sandbox.PopulateRequest{
		Bundle: f, Size: base.BundleSize, Commit: base.Commit, Branch: branch, Format: format,
		Entries: snap.Entries, Token: token,
	})
	if err != nil {
		return err
	}
	s.update(func(st *state) { st.Token = token })
	return nil
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
	sum := sha256.Sum256([]byte(o.Folder + "\x00" + o.Runtime))
	file := filepath.Join(s.m.o.Home, "workspaces", hex.EncodeToString(sum[:8])+".lock")
	deadline := time.NewTimer(s.m.o.BusyWait)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		l, other, err := takeLock(file, h)
		if err != nil {
			return nil, &Error{Kind: "unavailable", Op: "open a session", Path: o.Folder, Message: err.Error(), Err: err}
		}
		if l != nil {
			return l, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-deadline.C:
			e := busy(other.Session, other)
			e.Op, e.Path = "open a session on this folder", o.Folder
			return nil, e
		case <-tick.C:
		}
	}
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
