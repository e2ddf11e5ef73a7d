package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
	"glue-lsp/workspace"
)

// joinForeign makes a session of a running sandbox of which there is no record here. Its
// tree did not go up from this folder: what its repository has at HEAD is taken as the
// base, so that what was changed since comes back, and the person is told.
func (m *Manager) joinForeign(ctx context.Context, j sandbox.Joiner, o OpenOptions, p Progress) (_ *Session, err error) {
	folder, err := filepath.EvalSymlinks(o.Folder)
	if err != nil {
		return nil, &Error{Kind: "fileNotFound", Op: "open a session", Path: o.Folder, Message: fmt.Sprintf("the folder cannot be opened: %v", err), Err: err}
	}
	o.Folder, o.New = folder, true // the folder may well have a session of its own
	ctx, under, err := m.beginOpening(ctx, turnKey{o.Runtime, folder}, p)
	if err != nil {
		return nil, err
	}
	defer under.end()
	p = under.turn.tell(p)
	g, err := m.git()
	if err != nil {
		return nil, gitError("open a session", err)
	}
	ws, err := workspace.Open(ctx, g, o.Folder, m.workspaceOptions(o, o.Folder))
	if err != nil {
		return nil, err
	}
	s := m.newSession(ws, o, m.o.Now())
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
	undo.add(func() { _ = os.RemoveAll(s.dir) })
	if err := s.lockSandbox(o); err != nil {
		return nil, err
	}
	if err := s.save(false); err != nil {
		return nil, err
	}
	p.say("joining the sandbox", 10)
	sb, err := j.Join(ctx, m.specOf(&s.state), o.Attach)
	if err != nil {
		return nil, asHeld(err, s.ID())
	}
	undo.add(sb.Detach) // it is not ours to end
	s.sb = sb
	if err := s.adoptTree(ctx, g, p); err != nil {
		return nil, err
	}
	if err := s.prepareEnding(ctx, sb); err != nil {
		return nil, err
	}
	s.describe(sb)
	s.update(func(st *state) {
		st.Bootstrap = BootstrapInfo{Strategy: "attach", Took: m.o.Now().Sub(st.CreatedAt)}
		st.State = Ready
	})
	if err := s.ignore.keep(s.dir); err != nil {
		return nil, &Error{Kind: "noSpace", Op: "open a session", Session: s.ID(), Path: s.dir, Message: err.Error(), Err: err}
	}
	if err := s.save(true); err != nil {
		return nil, err
	}
	s.work()
	m.mu.Lock()
	m.open[s.ID()] = s
	m.mu.Unlock()
	// What it holds that HEAD does not is somebody's work: it is safe before anything else.
	if err := s.check.take(ctx); err != nil && ctx.Err() == nil {
		m.o.Log("session %s: %v", s.ID(), err)
	}
	m.announce(s)
	return s, nil
}

// asHeld makes of a refusal, because somebody works in the sandbox, the one that callers
// know.
func asHeld(err error, id string) error {
	if !kindIs(err, sandbox.Conflict) {
		return err
	}
	var se *sandbox.Error
	errors.As(err, &se)
	return &Error{Kind: Busy, Op: "attach", Session: id, Message: se.Message, Hint: se.Hint, Err: err}
}

// lockSandbox keeps two sessions of this machine out of one sandbox.
func (s *Session) lockSandbox(o OpenOptions) error {
	file := s.m.sandboxLock(o.Runtime, o.Attach)
	l, other, err := takeLock(file, holder{PID: os.Getpid(), Session: s.ID(), Since: s.m.o.Now()})
	if err != nil {
		return &Error{Kind: "unavailable", Op: "attach", Path: file, Message: err.Error(), Err: err}
	}
	if l == nil {
		e := busy(other.Session, other)
		e.Op = "attach to sandbox " + o.Attach
		e.Hint = "close it there first: two sessions in one sandbox would overwrite each other's work"
		return e
	}
	s.sbLock = l
	return nil
}

// adoptTree takes the base from the sandbox's HEAD. What both sides agree on is HEAD's
// version of what the folder has too: what only the sandbox has is never taken for
// deleted here. Where HEAD is no commit of the folder's, only what is alike counts.
func (s *Session) adoptTree(ctx context.Context, g *git.Git, p Progress) error {
	format := tree.SHA1
	if src := s.ws.Source(); src != nil {
		format = src.Format
		s.update(func(st *state) { st.RemoteURL = src.Remotes[src.Remote] })
	}
	var err error
	if s.store, err = workspace.CreateStore(ctx, g, filepath.Join(s.dir, "objects.git"), format); err != nil {
		return err
	}
	docs, err := s.documents(ctx)
	if err != nil {
		return err
	}
	snap, err := s.ws.Snapshot(ctx, s.store, docs)
	if err != nil {
		return err
	}
	s.ignore.current = snap.Ignore
	p.say("reading the sandbox's repository", 40)
	base, err := s.foreignBase(ctx)
	if err != nil {
		return err
	}
	entries, err := s.store.Repo.ReadTree(ctx, base.tree)
	if err != nil {
		return err
	}
	var unfit, apart []tree.Entry
	files, size := 0, int64(0)
	for _, e := range entries {
		gone := tree.Entry{Path: e.Path}
		if e.Mode == git.Gitlink || tree.CheckPath(e.Path) != nil {
			unfit = append(unfit, gone) // no file that the sandbox could have, or that is taken from it
			continue
		}
		files, size = files+1, size+e.Size
		if here, ok := snap.Entry(e.Path); !ok || !base.related && !here.Same(e) {
			apart = append(apart, gone)
		}
	}
	root, err := s.store.Advance(ctx, base.tree, unfit)
	if err != nil {
		return err
	}
	agreed, err := s.store.Advance(ctx, root, apart)
	if err != nil {
		return err
	}
	s.update(func(st *state) {
		st.Base = BaseInfo{Commit: base.commit, Files: files, Bytes: size, Skipped: skippedOf(snap.Skipped)}
		st.BaseTree, st.Agreed, st.Theirs = root, agreed, root
		st.Token = newToken() // which the agent does not know: it is told what HEAD holds
		st.Fingerprint = base.fingerprint
		st.Checkpoint = CheckpointInfo{Commit: base.commit, At: s.m.o.Now()}
	})
	return nil
}

// foreignBase is what a sandbox's repository has at HEAD.
type foreignBase struct {
	commit, tree string
	fingerprint  string
	related      bool // the folder's repository has the commit too
}

// foreignBase brings the sandbox's HEAD into the store. Without one that can be read the
// base is empty: then all that the sandbox holds is a change.
func (s *Session) foreignBase(ctx context.Context) (foreignBase, error) {
	b, err := s.takeHead(ctx)
	switch {
	case kindIs(err, sandbox.ExecutorDead):
		return b, err
	case ctx.Err() != nil:
		return b, ctx.Err()
	case err != nil:
		s.warn("attached to sandbox %s, whose tree did not go up from here and whose repository gives no base (%v): all that it holds is taken as changed there", s.opts.Attach, err)
		return s.emptyBase(ctx)
	}
	s.warn("attached to sandbox %s, whose tree did not go up from here: its commit %.10s is taken as the base, and what differs from that as changed there", s.opts.Attach, b.commit)
	return b, nil
}

func (s *Session) takeHead(ctx context.Context) (b foreignBase, err error) {
	c, err := s.sb.Commits(ctx, sandbox.CommitsRequest{})
	if err != nil {
		return b, err
	}
	if c.Bundle != nil {
		defer c.Bundle.Close()
	}
	switch {
	case c.Problem != "":
		return b, errors.New(c.Problem)
	case c.Head == "" || c.Bundle == nil:
		return b, errors.New("it has no commit")
	}
	b = foreignBase{commit: c.Head, fingerprint: c.Fingerprint}
	if src := s.ws.Source(); src != nil {
		// Asked before the store has it, which looks into both.
		_, err := s.store.Repo.TreeIn(ctx, src, c.Head)
		b.related = err == nil
	}
	if err := s.store.Repo.Ingest(ctx, c.Bundle, git.IngestLimits); err != nil {
		return b, err
	}
	if b.tree, err = s.store.Repo.TreeOf(ctx, c.Head); err != nil {
		return b, err
	}
	return b, s.store.Repo.SetRef(ctx, "refs/glue/base", c.Head)
}

// emptyBase is a base with nothing in it.
func (s *Session) emptyBase(ctx context.Context) (b foreignBase, err error) {
	if b.tree, err = s.store.Repo.Update(ctx, "", nil); err != nil {
		return b, err
	}
	sig := git.Signature{Name: "glue-lsp", Email: "glue-lsp@localhost", When: s.m.o.Now()}
	if b.commit, err = s.store.Repo.Commit(ctx, git.CommitSpec{Tree: b.tree, Author: sig, Committer: sig, Message: []byte("Nothing\n")}); err != nil {
		return b, err
	}
	return b, s.store.Repo.SetRef(ctx, "refs/glue/base", b.commit)
}
