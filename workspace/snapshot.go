package workspace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"glue-lsp/internal/tree"
)

// Snapshot is the tree as the editor sees it: files plus unsaved buffers. It must
// not be modified.
type Snapshot struct {
	Tree    string       // tree id in the store
	Entries []tree.Entry // sorted by path bytes
	Files   int
	Bytes   int64
	Unsaved int // buffers that lie over a file, or are one that is not on disk yet
	Skipped []tree.Skipped
	Ignore  []tree.IgnoreFile
	// Docs are the buffers that lie in the tree, by path relative to Root.
	Docs map[string]Document
	// Astray are the paths of links to nowhere whose buffers hold unsaved text: where an
	// editor would save it is unknown.
	Astray map[string]bool
	Took   time.Duration
}

// Entry gives the entry at a path.
func (s *Snapshot) Entry(path string) (tree.Entry, bool) {
	i, ok := slices.BinarySearchFunc(s.Entries, path, func(e tree.Entry, p string) int { return cmp.Compare(e.Path, p) })
	if !ok {
		return tree.Entry{Path: path}, false
	}
	return s.Entries[i], true
}

// Snapshot reads the tree as the editor sees it into the store. When nothing changed
// since the last call it costs only the stat calls.
//
// A file that went up once goes on doing so while it exists, also when it becomes
// ignored: only what is gone from the disk counts as deleted. One that cannot be read
// for the moment keeps what it held, and is named in Skipped.
func (w *Workspace) Snapshot(ctx context.Context, s *Store, docs []Document) (*Snapshot, error) {
	began := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()

	if err := readableRoot(w.root); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		return nil, storeError("take a snapshot", s.Repo.Dir, err)
	}
	cache := w.cache(s.Repo.Format)
	read, err := w.read(ctx, s, cache, docs)
	if err != nil {
		return nil, err
	}
	snap, err := w.take(ctx, s, read)
	if err != nil {
		return nil, err
	}
	if err := cache.Save(w.cacheFile(s.Repo.Format)); err != nil {
		return nil, storeError("keep what is known of the files", w.opts.CacheDir, err)
	}
	if s.last == nil || s.last.Tree != snap.Tree {
		if err := s.saveHost(snap); err != nil {
			return nil, storeError("take a snapshot", s.Repo.Dir, err)
		}
	}
	snap.Took = time.Since(began)
	s.last = snap
	return snap, nil
}

// reading is a tree that was read and is not in the store yet.
type reading struct {
	entries []tree.Entry
	over    map[string]unsaved
	docs    map[string]Document
	astray  map[string]bool
	skipped []tree.Skipped
	ignore  []tree.IgnoreFile
}

// read looks at the disk and lays the buffers over it.
func (w *Workspace) read(ctx context.Context, s *Store, cache *tree.Cache, docs []Document) (*reading, error) {
	files, err := w.list(ctx)
	if err != nil {
		return nil, err
	}
	paths := w.stillThere(files, s.last)
	scan, err := tree.Scan(ctx, w.root, tree.ScanOptions{Format: s.Repo.Format, Paths: paths, MaxFileSize: w.opts.MaxFileSize}, cache)
	if err != nil {
		return nil, w.readError(err)
	}
	skipped := slices.Concat(files.skipped, scan.Skipped)
	r := &reading{entries: hold(scan.Entries, skipped, s.last), ignore: files.ignore}
	r.entries = holdElsewhere(r.entries, files, s.last)

	open := w.buffers(docs)
	sent := func(path string) (tree.Entry, bool) { return find(r.entries, path) }
	if r.over, err = w.overlay(ctx, &open, s.Repo.Format, sent, files.admits); err != nil {
		return nil, err
	}
	r.docs, r.astray = open.docs, open.astray
	r.entries = lay(r.entries, r.over)
	r.skipped = slices.Concat(skipped, open.skipped, w.notSent())
	slices.SortStableFunc(r.skipped, func(a, b tree.Skipped) int { return cmp.Compare(a.Path, b.Path) })
	return r, nil
}

// stillThere gives the listed paths, and those that went up before, are no longer
// listed and still exist.
func (w *Workspace) stillThere(files *listing, last *Snapshot) []string {
	if last == nil {
		return files.paths
	}
	left := map[string]bool{} // named already; hold keeps what they held
	for _, s := range files.skipped {
		left[s.Path] = true
	}
	var kept []string
	rest := files.paths
	for _, e := range last.Entries {
		for len(rest) > 0 && rest[0] < e.Path {
			rest = rest[1:]
		}
		if (len(rest) == 0 || rest[0] != e.Path) && !left[e.Path] && w.onDisk(e.Path) {
			kept = append(kept, e.Path)
		}
	}
	if kept == nil {
		return files.paths
	}
	paths := slices.Concat(files.paths, kept)
	slices.Sort(paths)
	return paths
}

// hold gives the entries of a scan, and for what was left out what it last held.
func hold(entries []tree.Entry, skipped []tree.Skipped, last *Snapshot) []tree.Entry {
	if last == nil || len(skipped) == 0 {
		return entries
	}
	entries = slices.Clone(entries)
	for _, s := range skipped {
		if e, ok := last.Entry(s.Path); ok {
			entries = append(entries, e)
		}
	}
	return sorted(entries)
}

// holdElsewhere keeps what went up and has left the disk because less is checked out
// now: a sparse checkout that was narrowed deletes nothing.
func holdElsewhere(entries []tree.Entry, files *listing, last *Snapshot) []tree.Entry {
	if last == nil || len(files.elsewhere) == 0 {
		return entries
	}
	var held []tree.Entry
	for _, e := range last.Entries {
		if !files.isElsewhere(e.Path) {
			continue
		}
		if _, there := find(entries, e.Path); !there {
			held = append(held, e)
		}
	}
	if held == nil {
		return entries
	}
	return sorted(slices.Concat(entries, held))
}

// lay puts unsaved contents in the place of what is on disk.
func lay(entries []tree.Entry, over map[string]unsaved) []tree.Entry {
	if len(over) == 0 {
		return entries
	}
	entries = slices.DeleteFunc(slices.Clone(entries), func(e tree.Entry) bool {
		_, ok := over[e.Path]
		return ok
	})
	for _, u := range over {
		entries = append(entries, u.entry)
	}
	return sorted(entries)
}

func sorted(entries []tree.Entry) []tree.Entry {
	slices.SortFunc(entries, func(a, b tree.Entry) int { return cmp.Compare(a.Path, b.Path) })
	return entries
}

func find(entries []tree.Entry, path string) (tree.Entry, bool) {
	return (&Snapshot{Entries: entries}).Entry(path)
}

// notSent names what a repository keeps beside its tree.
func (w *Workspace) notSent() []tree.Skipped {
	src := w.source.Load()
	if src == nil || src.Stashes == 0 {
		return nil
	}
	count := "1 entry stays"
	if n := src.Stashes; n > 1 {
		count = fmt.Sprintf("%d entries stay", n)
	}
	return []tree.Skipped{{Path: "stash", Reason: tree.NotSent, Detail: count + " on this machine"}}
}

// readableRoot says what is wrong with a root that was there when it was opened.
func readableRoot(root string) error {
	_, err := usableFolder(root)
	return err
}

// readError says why the tree could not be read.
func (w *Workspace) readError(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if gone := readableRoot(w.root); gone != nil {
		return gone
	}
	return &Error{Kind: "unavailable", Op: "read the tree", Path: w.root, Message: err.Error(), Err: err}
}

// cache gives what is known of the files' hashes, from the last process if need be. A
// file that cannot be used is as good as none.
func (w *Workspace) cache(f tree.Format) *tree.Cache {
	c := w.stats[f]
	if c == nil {
		c, _ = tree.LoadCache(w.cacheFile(f))
		w.stats[f] = c
	}
	return c
}

func (w *Workspace) cacheFile(f tree.Format) string {
	return filepath.Join(w.opts.CacheDir, "stat-"+string(f))
}
