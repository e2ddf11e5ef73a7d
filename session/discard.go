package session

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"glue-lsp/internal/tree"
	"glue-lsp/workspace"
)

// Discard throws changes away, by path or all of them: they are not offered again
// unless the sandbox changes those files once more.
func (s *Session) Discard(ctx context.Context, paths []string) ([]workspace.Change, error) {
	if s.isUnclaimed() && len(paths) == 0 {
		if _, err := s.Close(ctx, nil, nil); err != nil {
			return nil, err
		}
	}
	return following(ctx, s, func(s *Session) ([]workspace.Change, error) { return s.discardOnce(ctx, paths) })
}

func (s *Session) discardOnce(ctx context.Context, paths []string) ([]workspace.Change, error) {
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	d, err := s.Diff(ctx, "")
	if err != nil {
		return nil, err
	}
	s.trees.Lock()
	defer s.trees.Unlock()
	gone := []workspace.Change{}
	declined := map[string]tree.Entry{}
	for _, c := range d.Files {
		if !selected(c, paths) {
			continue
		}
		gone = append(gone, c)
		declined[c.Path] = c.New
		if c.OldPath != "" {
			declined[c.OldPath] = tree.Entry{}
		}
	}
	if err := s.recordDeclined(ctx, func(all map[string]tree.Entry) { maps.Copy(all, declined) }); err != nil {
		return nil, err
	}
	if s.ended && len(paths) == 0 {
		if err := s.dropTree(); err != nil {
			return gone, err
		}
	}
	s.m.announce(s)
	return gone, nil
}

// dropTree deletes the sandbox's tree that was kept for what exists only there.
func (s *Session) dropTree() error {
	if len(s.snapshotState().LeftInside) == 0 {
		return nil
	}
	dir := filepath.Join(s.m.o.Home, "trees", s.ID())
	if err := removeTree(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &Error{Kind: "permissionDenied", Op: "discard", Session: s.ID(), Path: dir, Message: err.Error(), Err: err}
	}
	s.update(func(st *state) { st.LeftInside = nil })
	return s.save(true)
}

// stillRefused keeps refused what was refused before a sync merged the person's later
// edits into it: that made it another content, but not another offer.
func (s *Session) stillRefused(w workspace.UpWrite) {
	path := w.Host.Path
	s.update(func(st *state) {
		no, refused := st.Declined[path]
		if !refused || !no.Same(w.Expect) {
			return
		}
		declined := maps.Clone(st.Declined) // whoever reads a copy of the state must not see this one change
		if w.New.Same(w.Host) {
			delete(declined, path) // both sides hold alike
		} else {
			declined[path] = w.New
		}
		st.Declined = declined
	})
}

func selected(c workspace.Change, paths []string) bool {
	if len(paths) == 0 {
		return true
	}
	for _, p := range paths {
		if within(c.Path, p) || c.OldPath != "" && within(c.OldPath, p) {
			return true
		}
	}
	return false
}

// Export copies all that is needed to use a session's changes elsewhere into a folder:
// the mbox, its meta file, the bundle and the commands' output. It needs no working
// tree, so it also works where that is gone. The mbox holds at most maxBytes, 0 for what
// the session was opened with. It gives the files that it wrote.
func (s *Session) Export(ctx context.Context, to string, maxBytes int64) ([]string, error) {
	return following(ctx, s, func(s *Session) ([]string, error) { return s.exportOnce(ctx, to, maxBytes) })
}

func (s *Session) exportOnce(ctx context.Context, to string, maxBytes int64) ([]string, error) {
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := s.lastState(ctx, &Return{}); err != nil {
		return nil, err
	}
	if _, err := s.writeMbox(ctx, s.snapshotState(), maxBytes); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return nil, &Error{Kind: "permissionDenied", Op: "export", Path: to, Message: err.Error(), Err: err}
	}
	var names []string
	for _, pattern := range []string{"runtime.mbox", "runtime.mbox.meta.json", "runtime.bundle", "exec/*.log"} {
		found, err := filepath.Glob(filepath.Join(s.dir, pattern))
		if err != nil {
			return nil, err
		}
		for _, from := range found {
			rel, err := filepath.Rel(s.dir, from)
			if err != nil {
				return names, err
			}
			dest := filepath.Join(to, rel)
			if err := copyNew(from, dest); err != nil {
				return names, &Error{
					Kind: "fileExists", Op: "export", Path: dest, Message: err.Error(),
					Hint: "choose a folder that does not hold an export yet", Err: err,
				}
			}
			names = append(names, dest)
		}
	}
	return names, nil
}

// copyNew copies a file to a name that does not exist yet.
func copyNew(from, to string) (err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = io.Copy(dst, src); err != nil {
		_ = dst.Close()
		return err
	}
	return dst.Close()
}

// Forget deletes an ended session's folder: its changes, mbox and logs.
func (m *Manager) Forget(ctx context.Context, id string) error {
	s, err := m.Find(ctx, id)
	if err != nil {
		return err
	}
	if !s.ended {
		return &Error{Kind: Busy, Op: "delete the session", Session: id, Message: "session " + id + " is open", Hint: "close it first"}
	}
	release, err := s.claim(ctx)
	if err != nil {
		return err
	}
	defer release()
	m.mu.Lock()
	delete(m.known, id)
	m.mu.Unlock()
	if err := removeTree(s.dir); err != nil {
		return &Error{Kind: "permissionDenied", Op: "delete the session", Session: id, Path: s.dir, Message: err.Error(), Err: err}
	}
	return removeTree(filepath.Join(m.o.Home, "trees", id))
}
