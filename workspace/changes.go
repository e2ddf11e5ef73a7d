package workspace

import (
	"bytes"
	"context"
	"strconv"
	"strings"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// Change is one changed file between two trees.
type Change struct {
	Path    string // relative to the root; of a removed file, where it was
	OldPath string // of a renamed file, where it came from

	Status    string // one of the Status constants
	Kind      string // one of the Kind constants
	Additions int    // lines; 0 unless Kind is KindText
	Deletions int
	OldMode   tree.Mode
	NewMode   tree.Mode
	Acts      *Acts // not nil when the file does something by itself
	Outside   bool  // lies outside the workspace folder
	Old, New  tree.Entry
}

// What happened to a file. A renamed file may have changed as well.
const (
	StatusAdded    = "added"
	StatusModified = "modified"
	StatusDeleted  = "deleted"
	StatusRenamed  = "renamed"
	StatusMode     = "mode" // only the executable bit
	StatusType     = "type" // a file became a link, or the other way round
)

// What a file holds. Binary is what git calls so: a NUL in the first 8000 bytes.
const (
	KindText    = "text"
	KindBinary  = "binary"
	KindSymlink = "symlink"
)

// Changes lists what differs between two trees of the store, sorted by path, with
// renames found and lines counted.
func (w *Workspace) Changes(ctx context.Context, s *Store, from, to string) ([]Change, error) {
	return s.Changes(ctx, w.Subdir(), from, to)
}

// Changes is [Workspace.Changes] for a working tree that may be gone; subdir is what
// [Workspace.Subdir] said of it.
func (s *Store) Changes(ctx context.Context, subdir, from, to string) ([]Change, error) {
	return s.listChanges(ctx, subdir, from, to)
}

func (s *Store) listChanges(ctx context.Context, subdir, from, to string) ([]Change, error) {
	if from == to {
		return nil, nil
	}
	diff, err := s.Repo.Diff(ctx, from, to, true)
	if err != nil {
		return nil, storeError("compare two trees", s.Repo.Dir, err)
	}
	if len(diff) == 0 {
		return nil, nil
	}
	counts, err := s.countLines(ctx, from, to)
	if err != nil {
		return nil, storeError("count changed lines", s.Repo.Dir, err)
	}
	out := make([]Change, 0, len(diff))
	for _, d := range diff {
		c := newChange(d, subdir)
		if n, ok := counts[c.Path]; ok && c.Kind != KindSymlink {
			c.Kind, c.Additions, c.Deletions = n.kind, n.added, n.deleted
		}
		out = append(out, c)
	}
	return out, nil
}

// newChange names what a difference is. The kind of a file is KindText until its
// content was looked at.
func newChange(d git.DiffEntry, subdir string) Change {
	c := Change{Path: d.New.Path, Kind: KindText, Old: d.Old, New: d.New, OldMode: d.Old.Mode, NewMode: d.New.Mode}
	switch {
	case d.Renamed:
		c.Status, c.OldPath = StatusRenamed, d.Old.Path
	case !d.Old.Exists():
		c.Status = StatusAdded
	case !d.New.Exists():
		c.Status, c.Path = StatusDeleted, d.Old.Path
	case isLink(d.Old) != isLink(d.New):
		c.Status = StatusType
	case d.Old.Hash == d.New.Hash:
		c.Status = StatusMode
	default:
		c.Status = StatusModified
	}
	if isLink(d.New) || isLink(d.Old) && !d.New.Exists() {
		c.Kind = KindSymlink
	}
	for _, p := range c.paths() {
		c.Acts = moreUrgent(c.Acts, ActsByItself(p))
		c.Outside = c.Outside || !liesIn(p, subdir)
	}
	return c
}

// paths are the places that a change touches.
func (c Change) paths() []string {
	if c.OldPath != "" {
		return []string{c.OldPath, c.Path}
	}
	return []string{c.Path}
}

func isLink(e tree.Entry) bool { return e.Mode == tree.Symlink }

// moreUrgent gives the one of two that runs sooner; either may be nil.
func moreUrgent(a, b *Acts) *Acts {
	if a == nil || b != nil && a.When != OnOpen && b.When == OnOpen {
		return b
	}
	return a
}

// liesIn reports whether path lies in folder; everything lies in "".
func liesIn(path, folder string) bool {
	return folder == "" || strings.HasPrefix(path, folder+"/")
}

// lineCount is what git counted for one file.
type lineCount struct {
	kind           string
	added, deleted int
}

// countLines asks git how many lines each file gained and lost. The format is that of
// `--numstat -z` in git-diff-tree(1), "Other diff formats".
func (s *Store) countLines(ctx context.Context, from, to string) (map[string]lineCount, error) {
	out, err := s.Repo.Output(ctx, append(diffTree("--numstat", "-z"), from, to)...)
	if err != nil {
		return nil, err
	}
	counts := map[string]lineCount{}
	for len(out) > 0 {
		var record []byte
		record, out = cutNUL(out)
		added, rest, _ := bytes.Cut(record, []byte{'\t'})
		deleted, name, ok := bytes.Cut(rest, []byte{'\t'})
		if !ok {
			continue
		}
		if len(name) == 0 { // of a rename, both names follow
			_, out = cutNUL(out)
			name, out = cutNUL(out)
		}
		n := lineCount{kind: KindText}
		if string(added) == "-" {
			n.kind = KindBinary
		} else {
			n.added, _ = strconv.Atoi(string(added))
			n.deleted, _ = strconv.Atoi(string(deleted))
		}
		counts[string(name)] = n
	}
	return counts, nil
}

// diffTree is the command that every difference is made with, so that all of them
// find the same renames.
func diffTree(options ...string) []string {
	return append([]string{"diff-tree", "-r", "-M", "-l1000", "--no-ext-diff", "--no-textconv", "--no-color"}, options...)
}

func cutNUL(b []byte) (first, rest []byte) {
	first, rest, _ = bytes.Cut(b, []byte{0})
	return first, rest
}
