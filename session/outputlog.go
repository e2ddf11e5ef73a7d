package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"glue-lsp/sandbox"
)

// maxLog bounds one command's log file, in bytes: of a longer output its first and
// last halves are kept, so that a flood cannot fill the disk.
const maxLog = 256 << 20

// outputLog keeps a command's output in a file, both streams in the order in which
// they came, and lets readers follow it. A log that cannot be written is not the
// command's failure: the output then only reaches whoever listens.
type outputLog struct {
	name string
	half int64 // bytes of the output's start, and of its end, that are kept

	mu       sync.Mutex
	more     chan struct{} // closed and replaced when there is more, or the end
	f        *os.File
	failed   error
	size     int64 // of the whole output, what is no longer kept included
	segments []segment
	ended    bool
	joint    int64 // once settled: bytes of the marker between both halves
	settled  bool  // the file holds head, marker and tail in order

	pos   [2]int64  // up to where each of the command's streams is in the log
	index *logIndex // nil once it could not be written
}

// segment says that the bytes up to end belong to one stream.
type segment struct {
	end    int64
	stream sandbox.Stream
}

// maxSegments bounds what a command that alternates between its streams byte by byte
// costs; past it, which stream a byte came from is no longer told.
const maxSegments = 1 << 17

func newOutputLog(name string, limit int64) *outputLog {
	l := newOutputLogAt(name)
	l.half = max(limit/2, 1)
	if l.failed = os.MkdirAll(filepath.Dir(name), 0o700); l.failed == nil {
		l.f, l.failed = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	}
	return l
}

func newOutputLogAt(name string) *outputLog {
	return &outputLog{name: name, more: make(chan struct{}), index: &logIndex{name: besideLog(name, ".at")}}
}

// write adds what follows in a stream.
func (l *outputLog) write(st sandbox.Stream, p []byte) {
	l.mu.Lock()
	off := l.pos[st-sandbox.Stdout]
	l.mu.Unlock()
	l.take(st, off, p)
}

// offsets are up to where the log has the command's streams.
func (l *outputLog) offsets() sandbox.Offsets {
	l.mu.Lock()
	defer l.mu.Unlock()
	return sandbox.Offsets{Stdout: l.pos[0], Stderr: l.pos[1]}
}

// take adds what a stream holds from an offset on. What came before and was not taken,
// since nobody was there to take it, leaves a line that says so.
func (l *outputLog) take(st sandbox.Stream, off int64, p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil || l.ended {
		return
	}
	pos := &l.pos[st-sandbox.Stdout]
	if gap := off - *pos; gap > 0 {
		l.put(st, fmt.Appendf(nil, "\n[glue: %d bytes of output came while no server took them, and are lost]\n", gap))
	}
	l.put(st, p)
	if l.failed != nil {
		return
	}
	*pos = off + int64(len(p))
	if l.index != nil && l.index.note(l) != nil {
		l.index.close() // the log is as good without it
		_ = os.Remove(l.index.name)
		l.index = nil
	}
	l.wakeLocked()
}

// put writes to the log's end.
func (l *outputLog) put(st sandbox.Stream, p []byte) {
	for rest, at := p, l.size; len(rest) > 0; {
		n := min(int64(len(rest)), l.roomAt(at))
		if _, l.failed = l.f.WriteAt(rest[:n], l.place(at)); l.failed != nil {
			return
		}
		rest, at = rest[n:], at+n
	}
	l.size += int64(len(p))
	last := len(l.segments) - 1
	if last >= 0 && (l.segments[last].stream == st || len(l.segments) >= maxSegments) {
		l.segments[last].end = l.size
	} else {
		l.segments = append(l.segments, segment{end: l.size, stream: st})
	}
}

// While the command runs, the tail is a ring behind the head.

// place is where a byte of the output lies in the file.
func (l *outputLog) place(at int64) int64 {
	switch {
	case at < l.half:
		return at
	case l.settled:
		return l.half + l.joint + at - (l.size - l.half)
	}
	return l.half + (at-l.half)%l.half
}

// roomAt is how many bytes from there on lie next to each other.
func (l *outputLog) roomAt(at int64) int64 {
	if at < l.half {
		return l.half - at
	}
	if l.settled {
		return l.size - at
	}
	return l.half - (at-l.half)%l.half
}

// over reports whether some of the output is no longer kept.
func (l *outputLog) over() bool { return l.size > 2*l.half }

// kept gives the first byte from there on that is still in the file.
func (l *outputLog) kept(from int64) int64 {
	if l.over() && from >= l.half {
		return max(from, l.size-l.half)
	}
	return from
}

func (l *outputLog) wakeLocked() {
	close(l.more)
	l.more = make(chan struct{})
}

// finish says that no more output comes, and lets go of the file; what is in it stays.
func (l *outputLog) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		if l.over() {
			if err := l.settle(); err != nil && l.failed == nil {
				l.failed = err
			}
		}
	}
	l.release()
}

// leave lets go of the file where it is, for another server to go on with.
func (l *outputLog) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release()
}

func (l *outputLog) release() {
	if l.f != nil {
		_ = l.f.Close() // everything was written; the log is a convenience
		l.f = nil
	}
	if l.index != nil {
		l.index.close()
	}
	l.ended = true
	l.wakeLocked()
}

// settle writes the file anew so that a person can read it from its start to its end.
func (l *outputLog) settle() error {
	marker := fmt.Sprintf("\n[glue: %d bytes of output were left out here]\n", l.size-2*l.half)
	temp, err := os.CreateTemp(filepath.Dir(l.name), ".log-*")
	if err != nil {
		return err
	}
	defer temp.Close()
	first := l.size - l.half
	turn := l.roomAt(first)
	_, err = io.Copy(temp, io.MultiReader(
		io.NewSectionReader(l.f, 0, l.half), strings.NewReader(marker),
		io.NewSectionReader(l.f, l.place(first), turn), io.NewSectionReader(l.f, l.half, l.half-turn),
	))
	if err == nil {
		err = os.Rename(temp.Name(), l.name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	l.joint, l.settled = int64(len(marker)), true
	return nil
}

// follow delivers from byte `from` on until the end. Offsets count over both streams;
// they leap over what is no longer kept.
func (l *outputLog) follow(ctx context.Context, from int64, sink sandbox.Sink) error {
	fail := func(err error) error {
		return &Error{Kind: "unavailable", Op: "read the command's log", Path: l.name, Message: err.Error(), Err: err}
	}
	var f *os.File
	var settled bool // the file that is open is the one that settle wrote
	defer func() {
		if f != nil {
			_ = f.Close() // only read
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		l.mu.Lock()
		if f == nil || settled != l.settled {
			if f != nil {
				_ = f.Close()
			}
			var err error
			if f, err = os.Open(l.name); err != nil {
				l.mu.Unlock()
				return fail(err)
			}
			settled = l.settled
		}
		from = l.kept(from)
		st, end := l.streamAt(from)
		more, ended := l.more, l.ended
		var n int
		var err error
		if from < end {
			// Under the lock: the ring moves on without waiting for readers.
			n, err = f.ReadAt(buf[:min(int64(len(buf)), end-from, l.roomAt(from))], l.place(from))
		}
		l.mu.Unlock()
		switch {
		case from >= end && ended:
			return nil
		case from >= end:
			select {
			case <-more:
			case <-ctx.Done():
				return ctx.Err()
			}
		case n > 0:
			if err := sink(st, from, buf[:n]); err != nil {
				return err
			}
			from += int64(n)
		case err != nil && err != io.EOF:
			return fail(err)
		default:
			return nil
		}
	}
}

// streamAt says which stream a byte of the output belongs to, and where that piece of
// it ends.
func (l *outputLog) streamAt(from int64) (sandbox.Stream, int64) {
	i, _ := slices.BinarySearchFunc(l.segments, from, func(s segment, off int64) int {
		if s.end > off {
			return 1
		}
		return -1
	})
	if i == len(l.segments) {
		return sandbox.Stdout, l.size
	}
	return l.segments[i].stream, l.segments[i].end
}
