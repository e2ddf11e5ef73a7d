package agent

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

// windowSize is how much of one operation may be on its way without having been
// read, and so what a slow reader costs in memory on either side.
const windowSize = 1 << 20

// muxConfig is the same for both ends. yamux's keep-alive is off: with it, a network
// that fell silent made streams read a clean end. Its time-out for writing is long,
// since a peer that does not read is pushing back, not dead; being dead is decided
// by pings (client) and silence (daemon).
func muxConfig() *yamux.Config {
	c := yamux.DefaultConfig()
	c.EnableKeepAlive = false
	c.ConnectionWriteTimeout = 10 * time.Minute
	c.StreamOpenTimeout = 0
	c.StreamCloseTimeout = time.Minute
	c.MaxStreamWindowSize = windowSize
	c.LogOutput = io.Discard
	return c
}

// link is the byte stream under the multiplexer. It joins the header of a data frame
// with the body that yamux writes right after it, so that a frame is one write, and
// remembers when something last arrived.
//
// It also keeps back frames that nobody waits for, until the next frame: a client's that
// opens a stream, since the request follows, and the one that frees it after its answer;
// an agent's that accepts a stream, for as long as most answers take, and the one that
// frees it. So an operation is one write in either direction, which matters where each is
// a call of its own.
type link struct {
	io.ReadWriteCloser
	client bool         // whose streams are opened at this end
	heard  atomic.Int64 // nanoseconds since start

	writing sync.Mutex
	held    bool   // a header waits at the end of out for its body
	out     []byte // what is kept back; reused from write to write
	flush   *time.Timer
	due     time.Time // of flush; zero when it does not run
	failed  error     // of a flush

	mu   sync.Mutex
	lazy map[uint32]bool // streams whose end is to be kept back

	start     time.Time
	closeOnce sync.Once
	closeErr  error
}

func newLink(rw io.ReadWriteCloser) *link {
	return &link{ReadWriteCloser: rw, start: time.Now()}
}

func (l *link) Read(p []byte) (int, error) {
	n, err := l.ReadWriteCloser.Read(p)
	if n > 0 {
		l.heard.Store(int64(time.Since(l.start)))
	}
	return n, err
}

// silence is how long nothing has arrived.
func (l *link) silence() time.Duration {
	return time.Since(l.start) - time.Duration(l.heard.Load())
}

// closeLazily closes a stream whose operation is over at both ends.
func (l *link) closeLazily(st *yamux.Stream) error {
	id := st.StreamID()
	l.mu.Lock()
	if l.lazy == nil {
		l.lazy = map[uint32]bool{}
	}
	l.lazy[id] = true
	l.mu.Unlock()
	err := st.Close() // returns when Write had the frame
	l.mu.Lock()
	delete(l.lazy, id)
	l.mu.Unlock()
	return err
}

// A frame's header in yamux's specification: version, type, flags (2), stream id (4),
// length (4).
const (
	muxHeader       = 12
	muxData         = 0
	muxWindowUpdate = 1
	muxSYN          = 1
	muxACK          = 2
	muxFIN          = 4

	joinByCopying = 64 << 10
	maxKeptBack   = 4 << 10
	// acceptDelay is how long an agent keeps back that it accepts a stream. Until then a
	// client sends no more than yamux's smallest window of it.
	acceptDelay = answerDelay
	// freeDelay is how long it keeps back that it has freed one.
	freeDelay = time.Second
)

// canWait reports whether nobody waits for a frame, and for how long: zero is until the
// next frame.
func (l *link) canWait(header []byte) (atMost time.Duration, ok bool) {
	if header[1] != muxWindowUpdate || len(l.out) >= maxKeptBack {
		return 0, false
	}
	flags := binary.BigEndian.Uint16(header[2:])
	switch {
	case flags&muxFIN != 0:
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.client {
			atMost = freeDelay
		}
		return atMost, l.lazy[binary.BigEndian.Uint32(header[4:])]
	case l.client:
		return 0, flags&muxSYN != 0
	default:
		return acceptDelay, flags == muxACK
	}
}

// Write is called by yamux's one sending goroutine, with a header or a body.
func (l *link) Write(p []byte) (int, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.failed != nil {
		return 0, l.failed
	}
	if !l.held && len(p) == muxHeader {
		l.held = p[1] == muxData && binary.BigEndian.Uint32(p[8:]) > 0
		if l.held {
			l.out = append(l.out, p...)
			return len(p), nil
		}
		if atMost, ok := l.canWait(p); ok {
			l.out = append(l.out, p...)
			if atMost > 0 {
				l.flushWithin(atMost)
			}
			return len(p), nil
		}
	}
	l.held = false
	if err := l.send(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// send writes what was kept back, and p; the lock is held.
func (l *link) send(p []byte) error {
	if !l.due.IsZero() {
		l.flush.Stop()
		l.due = time.Time{}
	}
	var err error
	switch {
	case len(l.out) == 0:
		_, err = l.ReadWriteCloser.Write(p)
	case len(p) <= joinByCopying:
		l.out = append(l.out, p...)
		_, err = l.ReadWriteCloser.Write(l.out)
	default:
		bufs := net.Buffers{l.out, p}
		_, err = bufs.WriteTo(l.ReadWriteCloser)
	}
	l.out = l.out[:0]
	return err
}

// flushWithin writes what is kept back if nothing else does in time; the lock is held.
func (l *link) flushWithin(d time.Duration) {
	due := time.Now().Add(d)
	switch {
	case l.flush == nil:
		l.flush = time.AfterFunc(d, l.flushNow)
	case l.due.IsZero() || due.Before(l.due):
		l.flush.Reset(d)
	default:
		return
	}
	l.due = due
}

func (l *link) flushNow() {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.due = time.Time{}
	if !l.held && len(l.out) > 0 && l.failed == nil {
		l.failed = l.send(nil)
	}
}

func (l *link) Close() error {
	l.closeOnce.Do(func() {
		l.closeErr = l.ReadWriteCloser.Close() // ends a Write in progress
		l.writing.Lock()
		defer l.writing.Unlock()
		if l.flush != nil {
			l.flush.Stop()
		}
	})
	return l.closeErr
}
