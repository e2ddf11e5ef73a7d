//go:build linux || darwin

package tree

import (
	"context"
	"fmt"
	"hash/maphash"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Listing tells cheaply whether a list of a tree's files is still the right one, so
// that nobody has to be asked for it again: it remembers the stat data of every
// folder in which a listed file could appear, and of the files that decide what is
// listed. It sees files that are added, removed or renamed, not changed contents;
// those are [Scan]'s.
//
// It may be used by several goroutines, and holds no handles.
type Listing struct {
	root    string
	ignored func(path string, isDir bool) bool
	listed  []string // sorted
	seed    maphash.Seed
	young   bool // something changed so late that the list may not know it

	mu    sync.Mutex
	dirs  []listedDir
	files []listedFile
}

// listedDir is a folder that is covered. Its times change with its names; names
// tells whether they are the same after all, as when an editor saves by renaming.
type listedDir struct {
	path      string
	stat      stat
	names     uint64
	onlyKnown bool // the folder is ignored: only listed names count
}

// listedFile is a file that decides what is listed: itself and what it links to.
type listedFile struct {
	path          string
	own, followed stat // zero when it is not there
}

// NewListing describes the tree under root as it is now, for a list that was asked
// for at the moment since or later: take the time, ask for the list, call
// NewListing. Whatever changed after since, or just before it, makes
// [Listing.Unchanged] false, because the list may or may not know of it.
func NewListing(ctx context.Context, root string, since time.Time, opts ListingOptions) (*Listing, error) {
	dir, err := openRoot(root)
	if err != nil {
		return nil, &fs.PathError{Op: "list", Path: root, Err: err}
	}
	defer unix.Close(dir) //nolint:errcheck // only read
	l := &Listing{root: root, ignored: opts.Ignored, listed: sortedCopy(opts.Paths), seed: maphash.MakeSeed()}
	if err := l.cover(ctx, dir, since); err != nil {
		return nil, fmt.Errorf("list %s: %w", root, err)
	}
	for _, path := range opts.Files {
		if !filepath.IsAbs(path) {
			path = filepath.Join(root, path)
		}
		l.watch(path, since)
	}
	return l, nil
}

// cover records the root and every folder below it that counts.
func (l *Listing) cover(ctx context.Context, root int, since time.Time) error {
	c := cursor{root: root}
	defer c.close()
	buf := make([]byte, direntsSize)
	todo := []listedDir{{}}
	for len(todo) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		d := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		fd, err := c.enter(d.path)
		if err == nil {
			d.stat, err = fstat(fd)
		}
		if err == nil {
			err = l.readDir(fd, buf, &d, func(sub listedDir) { todo = append(todo, sub) }, func(file string) {
				l.watch(filepath.Join(l.root, file), since)
			})
		}
		if err != nil {
			// What cannot be read cannot be vouched for; the list has its own opinion.
			l.young = true
			continue
		}
		l.young = l.young || d.stat.racy(since)
		l.dirs = append(l.dirs, d)
	}
	return nil
}

// readDir sums up the names of d that count. It calls sub for each folder among them
// and rules for a .gitignore, if these are not nil.
func (l *Listing) readDir(fd int, buf []byte, d *listedDir, sub func(listedDir), rules func(string)) error {
	d.names = 0
	path := []byte(d.path)
	if len(path) > 0 {
		path = append(path, '/')
	}
	prefix := len(path)
	return readNames(fd, buf, func(name []byte, isDir, known bool) {
		path = append(path[:prefix], name...)
		if isRepositoryFolder(borrow(name)) {
			// Not listed, but it makes the folder a repository of its own.
			d.names += l.sum(name, isDir)
			return
		}
		if !known {
			st, err := lstatAt(fd, borrow(name))
			isDir = err == nil && st.isDir()
		}
		full := string(path)
		ignored := d.onlyKnown || l.ignored != nil && l.ignored(full, isDir)
		if ignored && !l.lists(full, isDir) {
			return
		}
		d.names += l.sum(name, isDir)
		if isDir && sub != nil {
			sub(listedDir{path: full, onlyKnown: ignored})
		}
		if rules != nil && string(name) == ".gitignore" {
			rules(full)
		}
	})
}

// sum is a name's share of a folder's sum, which does not depend on their order.
func (l *Listing) sum(name []byte, isDir bool) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	_, _ = h.Write(name)
	if isDir {
		_ = h.WriteByte('/')
	}
	return h.Sum64()
}

// lists reports whether path, or a path below the folder, was listed.
func (l *Listing) lists(path string, isDir bool) bool {
	if isDir {
		path += "/"
	}
	i, found := slices.BinarySearch(l.listed, path)
	return found || isDir && i < len(l.listed) && strings.HasPrefix(l.listed[i], path)
}

func (l *Listing) watch(path string, since time.Time) {
	f := statFile(path)
	l.young = l.young || f.own.racy(since) || f.followed.racy(since)
	l.files = append(l.files, f)
}

func statFile(path string) listedFile {
	f := listedFile{path: path}
	f.own, _ = lstatAt(unix.AT_FDCWD, path)
	f.followed = f.own
	if f.own.isLink() {
		var s unix.Stat_t
		f.followed = stat{}
		if again(func() error { return unix.Stat(path, &s) }) == nil {
			f.followed = newStat(&s)
		}
	}
	return f
}

// Unchanged reports that surely no file was added or removed since the list was
// made, at the price of one stat call for each folder. False may also mean that it
// could not be told: ask for the list again and make a new Listing.
func (l *Listing) Unchanged(ctx context.Context) bool {
	if l.young {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	root, err := openRoot(l.root)
	if err != nil {
		return false
	}
	defer unix.Close(root) //nolint:errcheck // only read
	for _, f := range l.files {
		if statFile(f.path) != f {
			return false
		}
	}
	const chunk = 512
	var (
		next    atomic.Int64
		changed atomic.Bool
		all     sync.WaitGroup
	)
	for range min(parallel(), (len(l.dirs)+chunk-1)/chunk) {
		all.Go(func() {
			for !changed.Load() && ctx.Err() == nil {
				to := int(next.Add(chunk))
				from := to - chunk
				if from >= len(l.dirs) {
					return
				}
				if !l.same(root, l.dirs[from:min(to, len(l.dirs))]) {
					changed.Store(true)
				}
			}
		})
	}
	all.Wait()
	return !changed.Load() && ctx.Err() == nil
}

// same reports whether the folders still hold the names that they held. A link that
// took the place of a folder shows in the folder above.
func (l *Listing) same(root int, dirs []listedDir) bool {
	for i := range dirs {
		d := &dirs[i]
		path := d.path
		if path == "" {
			path = "."
		}
		st, err := lstatAt(root, path)
		if err != nil || !st.isDir() {
			return false
		}
		if st.sameFolder(d.stat) {
			continue
		}
		if !l.sameNames(root, d) {
			return false
		}
	}
	return true
}

// sameNames reads a folder again whose times have changed.
func (l *Listing) sameNames(root int, d *listedDir) bool {
	before := time.Now()
	c := cursor{root: root}
	defer c.close()
	fd, err := c.enter(d.path)
	if err != nil {
		return false
	}
	now := *d
	if now.stat, err = fstat(fd); err != nil {
		return false
	}
	if err := l.readDir(fd, make([]byte, direntsSize), &now, nil, nil); err != nil || now.names != d.names {
		return false
	}
	if !now.stat.racy(before) {
		d.stat = now.stat // else it is read again next time
	}
	return true
}

// sameFolder compares what changes with a folder's names; its size and link count
// say nothing more.
func (s stat) sameFolder(o stat) bool {
	return s.dev == o.dev && s.ino == o.ino && s.mtime == o.mtime && s.ctime == o.ctime && s.mode == o.mode
}
