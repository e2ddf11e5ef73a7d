package modal

import (
	"bufio"
	"context"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// maxEvents is how many changes are told by name at once; more are told as one of the
// whole.
const maxEvents = 10_000

// Watch implements [sandbox.Files]. A script inside looks again and again, and prints what
// there is when that changed: what comes and goes in between is not seen. (Modal's own
// watch cannot name files whose names are not UTF-8.)
func (d *direct) Watch(ctx context.Context, p string, recursive bool, events func([]sandbox.FileEvent)) (stop func(), err error) {
	const op = "watch"
	at, err := d.resolve(op, p)
	if err != nil {
		return nil, err
	}
	if err := d.needShell(op, at); err != nil {
		return nil, err
	}
	w := &watch{d: d, at: at, base: at, events: events, gnu: d.has.gnuFind, word: newNonce()}
	if err := w.start(ctx, op, recursive); err != nil {
		return nil, err
	}
	return w.stop, nil
}

// watch is one of them.
type watch struct {
	d      *direct
	at     string // what is watched
	base   string // the folder that the listing's paths are in
	gnu    bool
	word   string
	events func([]sandbox.FileEvent)
	argv   []string

	mu sync.Mutex
	p  *directProcess // the script, as it was started last

	past     map[string]stamped
	listings int               // how many were read
	sums     map[string]string // of young files, where times are not fine enough

	telling sync.Mutex // held while events are told
	stopped atomic.Bool
}

func (w *watch) start(ctx context.Context, op string, recursive bool) error {
	how, depth := "stat", "1"
	if w.gnu {
		how = "gnu"
	}
	if recursive {
		depth = ""
	}
	info, err := w.d.Stat(ctx, w.at)
	if err != nil {
		return err
	}
	if info.Type != "directory" {
		w.base = path.Dir(w.at)
	}
	text, err := script{name: "watch.sh"}.text()
	if err != nil {
		return err
	}
	w.argv = []string{"sh", "-c", text, "sh", w.word, w.at, how, depth}
	p, err := w.run(ctx, op)
	if err != nil {
		return err
	}
	first := make(chan error, 1)
	w.d.watching.Go(func() { w.keep(op, p, first) })
	select {
	case err := <-first:
		return w.d.failed(ctx, op, w.at, err)
	case <-ctx.Done():
		w.stop()
		return ctx.Err()
	}
}

// run starts the script.
func (w *watch) run(ctx context.Context, op string) (*directProcess, error) {
	p, err := w.d.start(ctx, op, sandbox.ExecRequest{Argv: w.argv, Cwd: "/"}, true)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.p = p
	w.mu.Unlock()
	if w.stopped.Load() {
		w.end(p)
	}
	return p, nil
}

// The pauses before a script that has ended is started again, while that fails.
const (
	watchPause    = 100 * time.Millisecond
	maxWatchPause = 30 * time.Second
)

// keep follows the script, and starts it again where it ended by nobody's wish, as with a
// sidecar. What changed meanwhile is told then.
func (w *watch) keep(op string, p *directProcess, first chan error) {
	_ = w.followed(op, p, first) // first was told
	for pause := watchPause; w.past != nil && !w.stopped.Load(); {
		select {
		case <-time.After(pause):
		case <-w.d.alive.Done():
			return
		}
		pause = min(2*pause, maxWatchPause)
		before := w.listings
		p, err := w.run(w.d.alive, op)
		if err == nil {
			err = w.followed(op, p, make(chan error, 1))
		}
		switch {
		case w.listings > before:
			pause = watchPause
		case kindIs(err, sandbox.FileNotFound):
			w.tell(w.difference(nil, nil)) // it may come again
			w.past, w.sums = map[string]stamped{}, nil
		}
	}
}

// followed follows the script to its end, and says why that was.
func (w *watch) followed(op string, p *directProcess, first chan<- error) error {
	pr, pw := io.Pipe()
	var passing sync.WaitGroup
	passing.Go(func() {
		var said strings.Builder
		r, err := p.Wait(w.d.alive, func(s sandbox.Stream, _ int64, b []byte) error {
			if s == sandbox.Stderr {
				said.Write(b[:min(len(b), directLine-said.Len())])
				return nil
			}
			_, err := pw.Write(b)
			return err
		})
		if err == nil {
			err = complaint(op, w.at, r.ExitCode, said.String())
		}
		pw.CloseWithError(err)
	})
	err := w.follow(pr, first)
	pr.CloseWithError(err)
	w.end(p) // what it prints cannot be read
	passing.Wait()
	return err
}

// follow reads listing after listing and tells how they differ. The first one is only
// where it begins; first is told of it, or of why there is none.
func (w *watch) follow(r io.Reader, first chan<- error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		now, sums := map[string]stamped{}, map[string]string{}
		_, err := readListing(in, w.gnu, w.word, func(e listed) error {
			switch {
			case e.path == "" || agent.IsUnfinished(path.Base(e.path)):
			case e.sum != "":
				sums[e.path] = e.sum
			default:
				now[e.path] = e.stamp
			}
			return nil
		})
		if err != nil {
			// A pipe that is at its end says every time why.
			var own *sandbox.Error
			if _, why := r.Read(make([]byte, 1)); errors.As(why, &own) {
				err = own
			}
			first <- err
			return err
		}
		if w.past == nil {
			first <- nil
			first = make(chan error, 1) // nobody asks any more
		} else {
			w.tell(w.difference(now, sums))
		}
		w.past, w.sums = now, sums
		w.listings++
	}
}

func (w *watch) difference(now map[string]stamped, sums map[string]string) []sandbox.FileEvent {
	var out []sandbox.FileEvent
	add := func(p, what string) {
		out = append(out, sandbox.FileEvent{Path: w.base + slash(w.base) + p, Type: what})
	}
	for p, s := range now {
		was, there := w.past[p]
		switch {
		case !there:
			add(p, "created")
		case was == s && (sums[p] == "" || w.sums[p] == "" || w.sums[p] == sums[p]):
		case was.mode&modeType != s.mode&modeType:
			add(p, "deleted")
			add(p, "created")
		case s.mode&modeType == modeDir:
			// What is in it is told by its own name.
		default:
			add(p, "changed")
		}
	}
	for p := range w.past {
		if _, there := now[p]; !there {
			add(p, "deleted")
		}
	}
	if len(out) > maxEvents {
		return []sandbox.FileEvent{{Path: w.at, Type: "changed"}}
	}
	slices.SortStableFunc(out, func(a, b sandbox.FileEvent) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// slash is what comes between a folder and a name.
func slash(dir string) string {
	if dir == "/" {
		return ""
	}
	return "/"
}

func (w *watch) tell(events []sandbox.FileEvent) {
	w.telling.Lock()
	defer w.telling.Unlock()
	if !w.stopped.Load() && len(events) > 0 {
		w.events(events)
	}
}

// stop ends the watch, and what runs inside for it. What is being told is told to its
// end: stop may be called by whom it is told to.
func (w *watch) stop() {
	if w.stopped.Swap(true) {
		return
	}
	w.mu.Lock()
	p := w.p
	w.mu.Unlock()
	w.d.watching.Go(func() { w.end(p) })
}

// end ends the script, if it has not ended.
func (w *watch) end(p *directProcess) {
	select {
	case <-p.over:
		return
	default:
	}
	ctx, cancel := context.WithTimeout(w.d.alive, endTimeout)
	defer cancel()
	// Where it fails the sandbox's end ends it.
	_ = p.Cancel(ctx)
}
