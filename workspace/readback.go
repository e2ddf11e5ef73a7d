package workspace

import (
	"context"
	"errors"
	"io"
	"slices"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// What became of a [Target].
const (
	Taken    = "taken"    // it holds what was wanted
	Declined = "declined" // it holds what it held before
	Partly   = "partly"   // it holds some of the edits, or what was left of them when the file was saved
	Changed  = "changed"  // it holds something else
)

// Verdict says what became of one target after the edit and Apply.
type Verdict struct {
	Path    string
	Outcome string     // one of the constants above
	Found   tree.Entry // what the path holds now, as it would be saved
}

// ReadBack compares disk and buffers with the targets, since an editor's answer is
// only a hint. A buffer that was changed counts over its file: it is what the person
// sees and will save. Buffers are compared without byte order mark and with uniform
// line ends, because editors hold them so. What an editor makes of white space when it
// saves a file (trimming it, formatting the text) does not make it another text: the
// target is taken, and Found says what it became. The verdicts are sorted by path, and
// the store has what each Found names unless it is Changed.
func (w *Workspace) ReadBack(ctx context.Context, s *Store, targets map[string]Target, docs []Document) ([]Verdict, error) {
	const op = "read back what was returned"
	if len(targets) == 0 {
		return nil, nil
	}
	root, err := tree.OpenRoot(w.Root())
	if err != nil {
		return nil, storeError(op, w.Root(), err)
	}
	defer root.Close() //nolint:errcheck // only looked at
	c, err := openContents(ctx, s)
	if err != nil {
		return nil, storeError(op, w.Root(), err)
	}
	defer c.close()
	open := w.buffers(docs).docs

	out := make([]Verdict, 0, len(targets))
	var kept []git.Blob
	for _, path := range sortedKeys(targets) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t := targets[path]
		found, err := root.Lookup(path, s.Repo.Format)
		if below := (*tree.PathError)(nil); errors.As(err, &below) && !t.Want.Exists() && insideOther(path, targets) {
			// The return put a file or a link where its folder was.
			found, err = tree.Entry{}, nil
		}
		if err != nil { // e.g. a folder or a socket took its place, or a link above it
			out = append(out, Verdict{Path: path, Outcome: Changed})
			continue
		}
		var content []byte // of found, nil when it is not known
		doc, isOpen := open[path]
		if isOpen && doc.Changed {
			if found, content, err = c.inBuffer(root, doc, t, found); err != nil {
				return nil, storeError(op, path, err)
			}
		}
		v := Verdict{Path: path, Outcome: t.outcome(found), Found: at(path, found)}
		if v.Outcome == Changed && content == nil {
			if content, err = c.onDisk(root, at(path, found)); err != nil {
				return nil, storeError(op, path, err)
			}
		}
		if v.Outcome, err = c.lookCloser(t, v, content); err != nil {
			return nil, storeError(op, path, err)
		}
		if v.Outcome != Changed && content != nil {
			kept = append(kept, git.Blob{Name: path, Size: int64(len(content)), Open: openBytes(content)})
		}
		out = append(out, v)
	}
	if len(kept) > 0 {
		if _, err := s.Repo.AddBlobs(ctx, kept); err != nil {
			return nil, storeError(op, w.Root(), err)
		}
	}
	if err := s.sawOnHost(ctx, targets, out); err != nil {
		return nil, storeError(op, w.Root(), err)
	}
	return out, nil
}

// sawOnHost makes what a return brought count as what the host has, also where the host
// does not show it: a file that is ignored there, or has a secret's name, would else
// seem to be deleted or changed back, and the next sync would do so in the sandbox.
func (s *Store) sawOnHost(ctx context.Context, targets map[string]Target, verdicts []Verdict) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		return nil
	}
	var seen []tree.Entry
	for _, v := range verdicts {
		if v.Outcome != Taken {
			continue
		}
		t, now := targets[v.Path], v.Found
		held, known := s.last.Entry(v.Path)
		if t.Was.Same(t.Want) { // nothing was written; the store may not have what is there
			if known {
				continue
			}
			now = t.Theirs
		}
		if !now.Same(held) {
			seen = append(seen, at(v.Path, now))
		}
	}
	return s.see(ctx, seen)
}

// Forget makes files count as ones that the host does not show.
func (s *Store) Forget(ctx context.Context, paths []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := make([]tree.Entry, len(paths))
	for i, path := range paths {
		gone[i] = tree.Entry{Path: path}
	}
	if err := s.see(ctx, gone); err != nil {
		return storeError("record what the host shows", s.Repo.Dir, err)
	}
	return nil
}

// see lays entries over the latest snapshot. The caller holds s.mu.
func (s *Store) see(ctx context.Context, entries []tree.Entry) error {
	if len(entries) == 0 || s.last == nil {
		return nil
	}
	over := make(map[string]unsaved, len(entries))
	changes := make([]git.Change, len(entries))
	for i, e := range entries {
		over[e.Path], changes[i] = unsaved{entry: e}, git.Change{Entry: e}
	}
	slices.SortFunc(changes, func(a, b git.Change) int { return removalsFirst(a.Entry, b.Entry) })
	id, err := s.Repo.Update(ctx, s.last.Tree, changes)
	if err != nil {
		return err
	}
	seen := *s.last
	seen.Tree = id
	seen.Entries = slices.DeleteFunc(lay(s.last.Entries, over), func(e tree.Entry) bool { return !e.Exists() })
	if err := s.saveHost(&seen); err != nil {
		return err
	}
	s.last = &seen
	return nil
}

// insideOther reports whether a target wants a file or a link where a folder above path
// was.
func insideOther(path string, targets map[string]Target) bool {
	for i := range len(path) {
		if path[i] == '/' && targets[path[:i]].Want.Exists() {
			return true
		}
	}
	return false
}

func (t Target) outcome(found tree.Entry) string {
	switch {
	case found.Same(t.Want):
		return Taken
	case found.Same(t.Was):
		return Declined
	}
	return Changed
}

// inBuffer gives the entry that a changed buffer will have once it is saved: that of
// the target where the text is the same, else what overlaying the file gives, which is
// told too.
func (c *blobSource) inBuffer(root *tree.Root, doc Document, t Target, disk tree.Entry) (tree.Entry, []byte, error) {
	mode := disk.Mode
	if !disk.Exists() {
		mode = tree.Regular
		if t.Want.Exists() {
			mode = t.Want.Mode
		}
	}
	for _, e := range []tree.Entry{t.Want, t.Was} {
		if !e.Exists() || isLink(e) {
			continue
		}
		content, _, err := c.get(e.Hash, -1)
		if err != nil {
			return tree.Entry{}, nil, err
		}
		text, _, ok := DecodeDocument(content)
		if ok && sameText(text, doc.Text) {
			e.Mode = mode
			return e, nil, nil
		}
	}
	base := []byte(nil)
	if disk.Exists() && !isLink(disk) {
		file, err := root.Content(disk.Path, c.s.Repo.Format)
		if err != nil {
			return tree.Entry{}, nil, err
		}
		defer file.Close() //nolint:errcheck // only read
		if base, err = io.ReadAll(file.Reader()); err != nil {
			return tree.Entry{}, nil, err
		}
	}
	saved, err := overlay(base, doc.Text)
	if err != nil {
		saved = doc.Text // it cannot be saved in the file's form; whatever it is, it is another content
	}
	return tree.Entry{Mode: mode, Hash: tree.HashBytes(c.s.Repo.Format, saved), Size: int64(len(saved))}, saved, nil
}
