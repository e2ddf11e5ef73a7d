package agent

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"glue-lsp/sandbox"
)

// The types of a change.
const (
	created = "created"
	changed = "changed"
	deleted = "deleted"
)

const (
	// gatherEvents is how long changes wait for company, from the first one on.
	gatherEvents = 50 * time.Millisecond
	// maxEvents is how many paths wait for a slow reader; beyond that all that is
	// said is that something below the watched path changed.
	maxEvents = 4096
)

// watch is one watched path. Its events name paths below name, as the caller
// spelled it after normalising.
type watch struct {
	notify    *fsnotify.Watcher
	name      string
	only      string // when a file is watched: its real path, whose folder notify watches
	recursive bool
	dirs      map[string]bool // watched directories; only the reading goroutine uses it

	mu      sync.Mutex
	pending map[string]string
	lost    bool
	wake    chan struct{}
}

// openWatch begins to watch; what happens from now on is reported by run. A new
// directory below a recursive watch is read after its own watch began, so that
// nothing made in between is missed. Links to directories are not followed.
func (f *files) openWatch(p string, recursive bool) (*watch, error) {
	const op = "watch"
	name, err := f.abs(op, p)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, fileError(op, name, err)
	}
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, watchError(op, name, err)
	}
	w := &watch{
		notify: notify, name: name, recursive: recursive,
		dirs: map[string]bool{}, pending: map[string]string{}, wake: make(chan struct{}, 1),
	}
	if info.IsDir() {
		err = w.add(name, false)
	} else {
		// The folder is watched, since editors replace a file instead of writing it.
		if w.only, err = filepath.EvalSymlinks(name); err == nil {
			err = notify.Add(path.Dir(w.only))
		}
	}
	if err != nil {
		notify.Close()
		return nil, watchError(op, name, err)
	}
	return w, nil
}

// watchError explains the limits of inotify(7), whose numbers mislead.
func watchError(op, name string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return &sandbox.Error{
			Kind: sandbox.Unavailable, Op: op, Path: name, Err: err,
			Message: "the system allows no more watched directories",
			Hint:    "raise fs.inotify.max_user_watches, or watch a smaller part",
		}
	case errors.Is(err, syscall.EMFILE):
		return &sandbox.Error{
			Kind: sandbox.Unavailable, Op: op, Path: name, Err: err,
			Message: "the system allows no more watches",
			Hint:    "raise fs.inotify.max_user_instances, or end other watches",
		}
	}
	return fileError(op, name, err)
}

// run gives batches to send until ctx ends or send fails. While send blocks, changes
// wait, joined by path.
func (w *watch) run(ctx context.Context, send func([]sandbox.FileEvent) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var reader sync.WaitGroup
	reader.Go(func() { w.read(ctx) })
	defer reader.Wait()
	defer w.notify.Close()
	defer cancel()

	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.wake:
		}
		timer.Reset(gatherEvents)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		if batch := w.take(); len(batch) > 0 {
			if err := send(batch); err != nil {
				return err
			}
		}
	}
}

func (w *watch) read(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case ev, ok := <-w.notify.Events:
			if !ok {
				return
			}
			w.event(path.Clean(ev.Name), ev.Op)
		case err, ok := <-w.notify.Errors:
			if !ok {
				return
			}
			w.overflow(err)
		}
	}
}

func (w *watch) event(name string, op fsnotify.Op) {
	if isTemp(path.Base(name)) {
		return // a write of ours that is under way; its end is an event of the file's own
	}
	if w.only != "" {
		if name != w.only {
			return
		}
		name = w.name
	}
	if op.Has(fsnotify.Remove) || op.Has(fsnotify.Rename) {
		w.forget(name)
		w.note(name, deleted)
		return
	}
	if !op.Has(fsnotify.Create) {
		w.note(name, changed)
		return
	}
	w.note(name, created)
	if w.recursive && w.only == "" {
		if info, err := os.Lstat(name); err == nil && info.IsDir() {
			// A directory that is gone again, or too many of them: what can be said
			// is that something changed.
			if err := w.add(name, true); err != nil && !errors.Is(err, fs.ErrNotExist) {
				w.note(w.name, changed)
			}
		}
	}
}

// overflow is for changes that the kernel had no room for: the whole is named as
// changed, and directories that appeared unseen are found.
func (w *watch) overflow(error) {
	w.mu.Lock()
	w.lost = true
	w.mu.Unlock()
	w.wakeUp()
	if w.only == "" {
		// A directory that cannot be added has no other way to be reported than the
		// event that is already on its way.
		_ = w.add(w.name, false)
	}
}

// add watches a directory, and if asked those below it. With report, everything in it
// is new.
func (w *watch) add(dir string, report bool) error {
	if err := w.notify.Add(dir); err != nil {
		return err
	}
	w.dirs[dir] = true
	if !w.recursive {
		return nil
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, d := range list {
		name := path.Join(dir, d.Name())
		if report {
			w.note(name, created)
		}
		if !d.IsDir() {
			continue
		}
		// One that went away, or may not be read, hides nothing else.
		if err := w.add(name, report); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// forget ends the watches at and below a directory that went away: one that was
// moved would go on reporting under its old name.
func (w *watch) forget(name string) {
	if !w.dirs[name] {
		return
	}
	for dir := range w.dirs {
		if within(name, dir) {
			delete(w.dirs, dir)
			_ = w.notify.Remove(dir) // it may have ended with its directory
		}
	}
}

func (w *watch) note(name, what string) {
	w.mu.Lock()
	switch before, known := w.pending[name]; {
	case known:
		w.pending[name] = join(before, what)
	case w.lost:
	case len(w.pending) >= maxEvents:
		clear(w.pending)
		w.lost = true
	default:
		w.pending[name] = what
	}
	w.mu.Unlock()
	w.wakeUp()
}

// join says what two changes of one path are together.
func join(before, after string) string {
	switch {
	case before == created && after == changed:
		return created
	case before == deleted && after == created, before == changed && after == created:
		return changed
	case before == deleted && after == changed:
		return deleted
	}
	return after
}

func (w *watch) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take empties what is pending, sorted by path.
func (w *watch) take() []sandbox.FileEvent {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost {
		w.lost = false
		clear(w.pending)
		return []sandbox.FileEvent{{Path: w.name, Type: changed}}
	}
	out := make([]sandbox.FileEvent, 0, len(w.pending))
	for name, what := range w.pending {
		out = append(out, sandbox.FileEvent{Path: name, Type: what})
	}
	clear(w.pending)
	slices.SortFunc(out, func(a, b sandbox.FileEvent) int { return strings.Compare(a.Path, b.Path) })
	return out
}
