//go:build linux || darwin

package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Scan reads the tree under root. Files whose stat data the cache knows, and which
// are not racy, are not read. A file that changes while it is read is read again a
// few times and then named Unstable. A nil cache is an empty one.
//
// Folders called `.git` are never entered. What could not be written elsewhere (see
// [CheckPath]) is named BadPath. The error is about the root, the format or ctx;
// whatever else goes wrong is in Skipped.
func Scan(ctx context.Context, root string, opts ScanOptions, cache *Cache) (ScanResult, error) {
	if err := opts.Format.check(); err != nil {
		return ScanResult{}, err
	}
	dir, err := openRoot(root)
	if err != nil {
		return ScanResult{}, &fs.PathError{Op: "scan", Path: root, Err: err}
	}
	defer unix.Close(dir) //nolint:errcheck // only read
	if cache == nil {
		cache = NewCache()
	}
	known := cache.begin(opts.Format)
	defer cache.end()

	s := &scan{ctx: ctx, root: dir, opts: opts, known: known, now: cache.now}
	var result ScanResult
	if opts.Paths != nil {
		result.Entries = s.list(sortedCopy(opts.Paths))
	} else {
		result.Entries = s.walk()
	}
	if err := ctx.Err(); err != nil {
		return ScanResult{}, fmt.Errorf("scan %s: %w", root, err)
	}
	if s.rootErr != nil {
		return ScanResult{}, &fs.PathError{Op: "scan", Path: root, Err: s.rootErr}
	}
	seen := 0
	for _, w := range s.workers {
		result.Skipped = append(result.Skipped, w.skipped...)
		cache.learn(w.learned)
		seen += w.hits + len(w.learned)
	}
	sortSkipped(result.Skipped)
	// A list that covers less than half of what is known is a look at some paths, not
	// a tree; what is known of others is kept.
	if opts.Paths == nil || 2*len(opts.Paths) >= cache.size() {
		cache.forgetUnseen(seen)
	}
	return result, nil
}

// scan is what the workers of one scan share.
type scan struct {
	ctx     context.Context
	root    int
	opts    ScanOptions
	known   *knowledge
	now     func() time.Time
	workers []*worker
	rootErr error // the root itself could not be read

	trackedOnce sync.Once
	trackedDirs map[string]struct{}
}

// worker is one goroutine of a scan with what it found.
type worker struct {
	*scan
	cursor  cursor
	reader  *reader
	path    []byte  // scratch
	dirents []byte  // scratch
	entries []Entry // of the task in hand
	skipped []Skipped
	learned []*record
	hits    int
}

// start runs n workers until they are done.
func (s *scan) start(n int, run func(*worker)) {
	for range n {
		w := &worker{scan: s, cursor: cursor{root: s.root}, reader: newReader(s.opts.Format, s.now)}
		w.reader.limit = s.opts.MaxFileSize
		s.workers = append(s.workers, w)
	}
	var all sync.WaitGroup
	for _, w := range s.workers[1:] {
		all.Go(func() { run(w); w.cursor.close() })
	}
	run(s.workers[0])
	s.workers[0].cursor.close()
	all.Wait()
}

// parallel is how many workers a large scan has: on few processors two, since each
// waits for the disk now and then.
func parallel() int { return min(max(runtime.GOMAXPROCS(0), 2), 8) }

// file looks at one path, which is name in dir, and adds what it finds. isDir says
// that there is a folder. path is only lent.
func (w *worker) file(dir int, path []byte, name string) (isDir bool) {
	rec := w.known.records[string(path)]
	f, err := w.reader.look(w.ctx, dir, name, rec, nil)
	switch {
	case err == nil && f.mode != Absent:
		w.add(path, rec, f)
	case err == nil && f.stat.isDir():
		return true
	case err == nil:
		w.skip(string(path), Special, f.stat.kindName())
	case errors.Is(err, errTooLarge):
		w.skip(string(path), TooLarge, fmt.Sprintf("%d bytes, the limit is %d", f.stat.size, w.opts.MaxFileSize))
	case errors.Is(err, errChanged):
		w.skip(string(path), Unstable, "kept changing while it was read")
	case gone(err), w.ctx.Err() != nil:
	default:
		w.skip(string(path), Unreadable, err.Error())
	}
	return false
}

func (w *worker) add(path []byte, rec *record, f found) {
	e := Entry{Mode: f.mode, Hash: f.hash, Size: f.size}
	switch {
	case !f.fresh:
		rec.seen = w.known.round
		w.hits++
		e.Path = rec.path
	default:
		e.Path = string(path)
		if f.firm {
			w.learned = append(w.learned, &record{path: e.Path, stat: f.stat, hash: f.hash, seen: w.known.round})
		}
	}
	w.entries = append(w.entries, e)
}

func (w *worker) skip(path string, why Reason, detail string) {
	w.skipped = append(w.skipped, Skipped{Path: path, Reason: why, Detail: detail})
}

// gone reports errors that mean that there is nothing at the path: nothing there, a
// file or a link where a folder was expected.
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// holdsTracked reports whether some tracked path lies below the folder dir.
func (s *scan) holdsTracked(dir string) bool {
	s.trackedOnce.Do(func() {
		s.trackedDirs = map[string]struct{}{}
		for path := range s.opts.Tracked {
			for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
				if _, ok := s.trackedDirs[path[:i]]; ok {
					break
				}
				s.trackedDirs[path[:i]] = struct{}{}
			}
		}
	})
	_, ok := s.trackedDirs[dir]
	return ok
}
