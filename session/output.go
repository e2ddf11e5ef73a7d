package session

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"glue-lsp/sandbox"
)

// headTail keeps the first and the last half of a stream's bytes within a limit.
type headTail struct {
	half    int64
	head    []byte
	tail    []byte // a ring once it is full
	next    int    // where the ring's oldest byte is
	dropped int64
}

func newHeadTail(limit int64) *headTail { return &headTail{half: max(limit/2, 1)} }

func (h *headTail) write(p []byte) {
	if room := h.half - int64(len(h.head)); room > 0 {
		n := min(room, int64(len(p)))
		h.head = append(h.head, p[:n]...)
		p = p[n:]
	}
	if over := int64(len(p)) - h.half; over > 0 {
		h.dropped += over + int64(len(h.tail))
		h.tail, h.next = append(h.tail[:0], p[over:]...), 0
		return
	}
	if room := h.half - int64(len(h.tail)); room > 0 {
		n := min(room, int64(len(p)))
		h.tail = append(h.tail, p[:n]...)
		p = p[n:]
	}
	h.dropped += int64(len(p))
	for len(p) > 0 {
		n := copy(h.tail[h.next:], p)
		h.next = (h.next + n) % len(h.tail)
		p = p[n:]
	}
}

// bytes gives what was kept and how many bytes between the halves were not.
func (h *headTail) bytes() ([]byte, int64) {
	return slices.Concat(h.head, h.tail[h.next:], h.tail[:h.next]), h.dropped
}

// maxLog bounds one command's log file, so that a flood cannot fill the disk.
const maxLog = 4 << 30

// outputLog keeps a command's output in a file, both streams in the order in which
// they came, and lets readers follow it. A log that cannot be written is not the
// command's failure: the output then only reaches whoever listens.
type outputLog struct {
	name string

	mu       sync.Mutex
	more     chan struct{} // closed and replaced when there is more, or the end
	f        *os.File
	failed   error
	size     int64
	segments []segment
	ended    bool
}

// segment says that the bytes up to end belong to one stream.
type segment struct {
	end    int64
	stream sandbox.Stream
}

// maxSegments bounds what a command that alternates between its streams byte by byte
// costs; past it, which stream a byte came from is no longer told.
const maxSegments = 1 << 17

func newOutputLog(name string) *outputLog {
	l := &outputLog{name: name, more: make(chan struct{})}
	if l.failed = os.MkdirAll(filepath.Dir(name), 0o700); l.failed == nil {
		l.f, l.failed = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	}
	return l
}

func (l *outputLog) write(st sandbox.Stream, p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil || l.ended {
		return
	}
	if l.size+int64(len(p)) > maxLog {
		l.failed = fmt.Errorf("the log is over %d bytes", int64(maxLog))
	} else {
		_, l.failed = l.f.WriteAt(p, l.size)
	}
	if l.failed != nil {
		return
	}
	l.size += int64(len(p))
	last := len(l.segments) - 1
	if last >= 0 && (l.segments[last].stream == st || len(l.segments) >= maxSegments) {
		l.segments[last].end = l.size
	} else {
		l.segments = append(l.segments, segment{end: l.size, stream: st})
	}
	l.wakeLocked()
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
		_ = l.f.Close() // everything was written; the log is a convenience
		l.f = nil
	}
	l.ended = true
	l.wakeLocked()
}

// follow delivers from byte `from` on until the end. Offsets count over both streams.
func (l *outputLog) follow(ctx context.Context, from int64, sink sandbox.Sink) error {
	f, err := os.Open(l.name)
	if err != nil {
		return &Error{Kind: "unavailable", Op: "read the command's log", Path: l.name, Message: err.Error(), Err: err}
	}
	defer f.Close()
	buf := make([]byte, 64<<10)
	for {
		l.mu.Lock()
		st, end, more, ended := sandbox.Stdout, l.size, l.more, l.ended
		if i, _ := slices.BinarySearchFunc(l.segments, from, func(s segment, off int64) int {
			if s.end > off {
				return 1
			}
			return -1
		}); i < len(l.segments) {
			st, end = l.segments[i].stream, l.segments[i].end
		}
		l.mu.Unlock()
		if from >= end {
			if ended {
				return nil
			}
			select {
			case <-more:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		n, err := f.ReadAt(buf[:min(int64(len(buf)), end-from)], from)
		if n > 0 {
			if err := sink(st, from, buf[:n]); err != nil {
				return err
			}
			from += int64(n)
			continue
		}
		if err != nil && err != io.EOF {
			return &Error{Kind: "unavailable", Op: "read the command's log", Path: l.name, Message: err.Error(), Err: err}
		}
		return nil
	}
}
