//go:build linux || darwin

package tree

import (
	"slices"
	"strings"
	"sync/atomic"
)

// listChunk is how many paths of a list a worker takes at once: few enough to share
// the work evenly, enough to open each folder seldom.
const listChunk = 256

// list looks at the given paths, which are sorted and differ.
func (s *scan) list(paths []string) []Entry {
	chunks := (len(paths) + listChunk - 1) / listChunk
	parts := make([][]Entry, chunks)
	var next atomic.Int64
	s.start(max(min(parallel(), chunks), 1), func(w *worker) {
		for s.ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= chunks {
				return
			}
			mine := paths[i*listChunk : min((i+1)*listChunk, len(paths))]
			w.entries = make([]Entry, 0, len(mine))
			for _, path := range mine {
				w.listed(path)
			}
			parts[i] = w.entries
		}
	})
	return slices.Concat(parts...)
}

// listed looks at one path of the list.
func (w *worker) listed(path string) {
	if err := CheckPath(path); err != nil {
		w.skip(path, BadPath, err.(*PathError).Why) //nolint:errorlint // CheckPath's only error
		return
	}
	slash := strings.LastIndexByte(path, '/')
	dir, err := w.cursor.enter(path[:max(slash, 0)])
	switch {
	case err == nil:
		w.path = append(w.path[:0], path...)
		w.file(dir, w.path, path[slash+1:])
	case !gone(err):
		w.skip(path, Unreadable, "folder: "+err.Error())
	}
}
