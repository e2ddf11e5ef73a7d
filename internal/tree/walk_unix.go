//go:build linux || darwin

package tree

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

const (
	// walkChunk is how many names of one folder are looked at in one go; a folder
	// with more is shared among the workers.
	walkChunk = 1024
	// direntsSize is the buffer for reading folders.
	direntsSize = 64 << 10
)

// folder is a folder of the walk. Its files, and the folders in it, are found by
// one worker or several.
type folder struct {
	path    string // "" for the root
	ignored bool   // only tracked paths below it count

	mu    sync.Mutex
	parts [][]Entry // in order
	subs  []*folder
}

// task is a folder to read, or, with names, a part of one to look at.
type task struct {
	folder *folder
	part   int
	names  names
}

// walk looks at everything under the root.
func (s *scan) walk() []Entry {
	root := &folder{}
	q := newQueue(task{folder: root})
	s.start(parallel(), func(w *worker) {
		w.dirents = make([]byte, direntsSize)
		for {
			t, ok := q.take()
			if !ok {
				return
			}
			if s.ctx.Err() == nil {
				if t.names.count() > 0 {
					w.lookAt(q, t)
				} else {
					w.readFolder(q, t.folder)
				}
			}
			q.done()
		}
	})
	return root.flatten(make([]Entry, 0, root.count()))
}

// readFolder reads a folder's names and looks at them, or leaves that as tasks.
func (w *worker) readFolder(q *queue, f *folder) {
	dir, err := w.cursor.enter(f.path)
	var all names
	if err == nil {
		err = readNames(dir, w.dirents, all.add)
	}
	switch {
	case err == nil:
	case f.path == "":
		w.rootErr = err // only the worker with the first task comes here
		return
	case gone(err):
		return
	default:
		w.skip(f.path, Unreadable, "folder: "+err.Error())
		return
	}
	all.sort()
	chunks := all.split(walkChunk)
	f.parts = make([][]Entry, len(chunks))
	for i, names := range chunks {
		if i > 0 {
			q.put(task{folder: f, part: i, names: names})
		}
	}
	if len(chunks) > 0 {
		w.lookAt(q, task{folder: f, names: chunks[0]})
	}
}

// lookAt looks at some names of a folder.
func (w *worker) lookAt(q *queue, t task) {
	dir, err := w.cursor.enter(t.folder.path)
	if err != nil {
		if !gone(err) {
			w.skip(t.folder.path, Unreadable, "folder: "+err.Error())
		}
		return
	}
	w.path = append(w.path[:0], t.folder.path...)
	if t.folder.path != "" {
		w.path = append(w.path, '/')
	}
	prefix := len(w.path)
	w.entries = make([]Entry, 0, t.names.count())
	for i := range t.names.count() {
		if i%64 == 0 && w.ctx.Err() != nil {
			return
		}
		name := t.names.at(i)
		w.path = append(w.path[:prefix], name.text...)
		w.named(q, t.folder, dir, name)
	}
	t.folder.parts[t.part] = w.entries
}

// named looks at one name of a folder; w.path is its path.
func (w *worker) named(q *queue, f *folder, dir int, n name) {
	text := borrow(n.text)
	if isRepositoryFolder(text) {
		return
	}
	if isDotGit(text) || len(w.path) > maxPath {
		w.skip(string(w.path), BadPath, "git and some file systems cannot hold this name")
		return
	}
	isDir := n.isDir
	if !n.known {
		st, err := lstatAt(dir, text)
		if err != nil {
			return
		}
		isDir = st.isDir()
	}
	if !isDir {
		if !w.wanted(f) || !w.file(dir, w.path, text) {
			return
		}
		// It has become a folder in between.
	}
	w.enqueue(q, f)
}

// wanted reports whether the file at w.path is part of the tree.
func (w *worker) wanted(f *folder) bool {
	if w.opts.Ignored == nil {
		return true
	}
	if w.opts.Tracked[string(w.path)] {
		return true
	}
	if f.ignored {
		return false
	}
	return !w.opts.Ignored(w.known.pathOf(w.path), false)
}

// enqueue leaves the folder at w.path to whoever is free, if it is part of the tree.
func (w *worker) enqueue(q *queue, parent *folder) {
	sub := &folder{path: string(w.path), ignored: parent.ignored}
	if w.opts.Ignored != nil {
		sub.ignored = sub.ignored || w.opts.Ignored(sub.path, true)
		if sub.ignored && !w.holdsTracked(sub.path) {
			return
		}
	}
	parent.mu.Lock()
	parent.subs = append(parent.subs, sub)
	parent.mu.Unlock()
	q.put(task{folder: sub})
}

// isRepositoryFolder tells a repository's own folder, or the file in its place,
// which are never part of a tree.
func isRepositoryFolder(name string) bool {
	return len(name) == len(".git") && hasFoldedPrefix(name, ".git")
}

// count gives the number of entries in and below the folder.
func (f *folder) count() int {
	n := 0
	for _, p := range f.parts {
		n += len(p)
	}
	for _, sub := range f.subs {
		n += sub.count()
	}
	return n
}

// flatten appends the folder's entries in the order of path bytes.
func (f *folder) flatten(into []Entry) []Entry {
	slices.SortFunc(f.subs, func(a, b *folder) int { return compareAsFolders(a.path, b.path) })
	subs := f.subs
	for _, p := range f.parts {
		for _, e := range p {
			for len(subs) > 0 && compareWithFolder(e.Path, subs[0].path) > 0 {
				into = subs[0].flatten(into)
				subs = subs[1:]
			}
			into = append(into, e)
		}
	}
	for _, sub := range subs {
		into = sub.flatten(into)
	}
	return into
}

// compareAsFolders orders two folders of one parent as what lies below them.
func compareAsFolders(a, b string) int {
	if strings.HasPrefix(b, a) {
		return cmp.Compare("/", b[len(a):])
	}
	return compareWithFolder(a, b)
}

// compareWithFolder orders a file and what lies below a folder.
func compareWithFolder(file, folder string) int {
	if strings.HasPrefix(file, folder) {
		return cmp.Compare(file[len(folder):], "/")
	}
	return cmp.Compare(file, folder)
}
