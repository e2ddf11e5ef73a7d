package workspace

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// importRounds is how often files that changed between being looked at and being
// stored are looked at again. Each round has only those of the round before, and
// from the second on each is read into memory as a whole, so that the second settles
// nearly everything.
const importRounds = 3

// prepare makes known what a store that was opened again holds. The caller holds
// s.mu.
func (s *Store) prepare(ctx context.Context) error {
	if err := s.list(ctx); err != nil {
		return err
	}
	if s.last == nil {
		s.last = s.lastHost(ctx)
	}
	return ctx.Err()
}

// take puts what was read into the store. The caller holds s.mu.
func (w *Workspace) take(ctx context.Context, s *Store, r *reading) (*Snapshot, error) {
	base := &Snapshot{}
	if s.last != nil {
		base = s.last
	}
	if slices.Equal(r.entries, base.Entries) && base.Tree != "" {
		return r.snapshot(base.Tree), nil
	}
	lend := func() {}
	if base.Tree == "" {
		var err error
		if lend, err = w.borrow(ctx, s, r.entries); err != nil {
			return nil, err
		}
	}
	var held map[string]*tree.Content
	defer func() {
		for _, c := range held {
			c.Close() //nolint:errcheck // only read
		}
	}()
	for round := 1; ; round++ {
		id, err := git.TreeID(s.Repo.Format, r.entries)
		if err != nil {
			return nil, storeError("take a snapshot", w.root, err)
		}
		if id == base.Tree {
			return r.snapshot(id), nil
		}
		got, err := w.store(ctx, s, base, r, held)
		if err != nil {
			return nil, err
		}
		if got == id {
			lend()
			s.remember(r.entries)
			return r.snapshot(id), nil
		}
		// Some file was written to in between. Those files are read once more, each as
		// a whole that is consistent in itself.
		stored, err := s.Repo.ReadTree(ctx, got)
		if err != nil {
			return nil, storeError("take a snapshot", s.Repo.Dir, err)
		}
		moved := differing(r.entries, stored)
		if round >= importRounds {
			r.giveUp(moved, s.last)
		} else if held, err = w.readAgain(ctx, s, r, moved, held); err != nil {
			return nil, err
		}
		s.remember(stored)
		base = &Snapshot{Tree: got, Entries: stored}
	}
}

func (r *reading) snapshot(id string) *Snapshot {
	snap := &Snapshot{
		Tree: id, Entries: r.entries, Files: len(r.entries), Unsaved: len(r.over),
		Skipped: r.skipped, Ignore: r.ignore, Docs: r.docs, Astray: r.astray,
	}
	for _, e := range r.entries {
		snap.Bytes += e.Size
	}
	return snap
}

// store writes the difference of r to base and gives the id of the tree that came
// of it, which is not what was read if a file changed since.
func (w *Workspace) store(ctx context.Context, s *Store, base *Snapshot, r *reading, held map[string]*tree.Content) (string, error) {
	root, err := os.OpenRoot(w.root)
	if err != nil {
		return "", w.readError(err)
	}
	defer root.Close() //nolint:errcheck // only read
	var changes []git.Change
	if len(base.Entries) == 0 {
		changes = make([]git.Change, 0, len(r.entries))
	}
	for d := range compare(base.Entries, r.entries) {
		c := git.Change{Entry: d.now}
		switch u, unsaved := r.over[d.now.Path]; {
		case !d.now.Exists(), s.holds(d.now.Hash):
		case unsaved:
			c.Open = u.open
		case held[d.now.Path] != nil:
			c.Open = func() (io.ReadCloser, error) { return io.NopCloser(held[d.now.Path].Reader()), nil }
		default:
			c.Entry.Hash = "" // whatever it holds by now; the tree's id will tell
			c.Open = func() (io.ReadCloser, error) { return openExactly(root, d.now), nil }
		}
		changes = append(changes, c)
	}
	id, err := s.Repo.Update(ctx, base.Tree, changes)
	if err != nil {
		return "", storeError("take a snapshot", s.Repo.Dir, err)
	}
	return id, nil
}

// remember notes contents that are in the store now.
func (s *Store) remember(entries []tree.Entry) {
	for _, e := range entries {
		s.blobs[e.Hash] = true
	}
}

// readAgain reads files anew that changed while they were stored, and corrects r by
// what it finds.
func (w *Workspace) readAgain(ctx context.Context, s *Store, r *reading, moved []string, held map[string]*tree.Content) (map[string]*tree.Content, error) {
	now := make(map[string]*tree.Content, len(moved))
	for path, c := range held {
		now[path] = c
	}
	for _, path := range moved {
		if err := ctx.Err(); err != nil {
			return now, err
		}
		c, err := tree.ReadContent(w.root, path, s.Repo.Format)
		var unstable *tree.UnstableError
		var special *tree.PathError
		switch {
		case err == nil:
			if old := now[path]; old != nil {
				old.Close() //nolint:errcheck // only read
			}
			now[path] = c
			e := c.Entry()
			e.Path = path
			r.put(path, e)
			continue
		case errors.As(err, &unstable):
			r.skip(path, tree.Unstable, err.Error())
		case errors.As(err, &special):
			r.skip(path, tree.Special, special.Why)
		case errors.Is(err, fs.ErrNotExist):
			r.put(path, tree.Entry{})
			continue
		default:
			r.skip(path, tree.Unreadable, err.Error())
		}
		r.put(path, lastOf(s.last, path))
	}
	return now, nil
}

// giveUp leaves files as they were before.
func (r *reading) giveUp(moved []string, last *Snapshot) {
	for _, path := range moved {
		r.skip(path, tree.Unstable, "it changed each time it was read")
		r.put(path, lastOf(last, path))
	}
}

func lastOf(last *Snapshot, path string) tree.Entry {
	if last == nil {
		return tree.Entry{}
	}
	e, ok := last.Entry(path)
	if !ok {
		return tree.Entry{}
	}
	return e
}

func (r *reading) skip(path string, why tree.Reason, detail string) {
	r.skipped = append(r.skipped, tree.Skipped{Path: path, Reason: why, Detail: detail})
}

// put replaces the entry of a path, or removes it when e is Absent.
func (r *reading) put(path string, e tree.Entry) {
	r.entries = lay(r.entries, map[string]unsaved{path: {entry: e}})
	if !e.Exists() {
		r.entries = withoutAbsent(r.entries)
	}
}

func withoutAbsent(entries []tree.Entry) []tree.Entry {
	out := entries[:0]
	for _, e := range entries {
		if e.Exists() {
			out = append(out, e)
		}
	}
	return out
}

// openExactly gives what is at an entry's path, cut or filled up to the entry's size:
// a file in motion must not break the whole import, its content is checked later.
func openExactly(root *os.Root, e tree.Entry) io.ReadCloser {
	name := filepath.FromSlash(e.Path)
	r := &exactly{from: strings.NewReader(""), left: e.Size}
	if e.Mode == tree.Symlink {
		if target, err := root.Readlink(name); err == nil {
			r.from = strings.NewReader(target)
		}
		return r
	}
	// Never blocks, should a pipe have taken the file's place.
	if f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0); err == nil {
		r.from, r.file = f, f
	}
	return r
}

// exactly reads left bytes: of from, and zeros when that ends early.
type exactly struct {
	from io.Reader
	left int64
	file *os.File
}

func (r *exactly) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), r.left)]
	n, err := r.from.Read(p)
	if n == 0 && err != nil {
		clear(p)
		n = len(p)
	}
	r.left -= int64(n)
	return n, nil
}

func (r *exactly) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// difference is one path that differs between two sorted lists of entries.
type difference struct{ was, now tree.Entry }

// compare walks two lists sorted by path and gives what differs. Both sides carry
// the path, also the Absent one.
func compare(was, now []tree.Entry) iter.Seq[difference] {
	return func(yield func(difference) bool) {
		was, now := was, now
		for more := true; more && (len(was) > 0 || len(now) > 0); {
			switch {
			case len(now) == 0 || len(was) > 0 && was[0].Path < now[0].Path:
				more = yield(difference{was[0], tree.Entry{Path: was[0].Path}})
				was = was[1:]
			case len(was) == 0 || now[0].Path < was[0].Path:
				more = yield(difference{tree.Entry{Path: now[0].Path}, now[0]})
				now = now[1:]
			default:
				if !was[0].Same(now[0]) {
					more = yield(difference{was[0], now[0]})
				}
				was, now = was[1:], now[1:]
			}
		}
	}
}

func differing(a, b []tree.Entry) []string {
	var out []string
	for d := range compare(a, b) {
		out = append(out, d.now.Path)
	}
	return out
}
