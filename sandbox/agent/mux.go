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
type link struct {
	io.ReadWriteCloser
	held  bool         // a header waits in out for its body
	out   []byte       // reused from write to write
	heard atomic.Int64 // nanoseconds since start

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

// A frame's header in yamux's specification: version, type, flags (2), stream id (4),
// length (4). Type 0 is data.
const (
	muxHeader     = 12
	muxData       = 0
	joinByCopying = 64 << 10
)

// Write is called by yamux's one sending goroutine.
func (l *link) Write(p []byte) (int, error) {
	if !l.held {
		if len(p) == muxHeader && p[1] == muxData && binary.BigEndian.Uint32(p[8:]) > 0 {
			l.out, l.held = append(l.out[:0], p...), true
			return len(p), nil
		}
		return l.ReadWriteCloser.Write(p)
	}
	l.held = false
	if len(p) <= joinByCopying {
		l.out = append(l.out, p...)
		n, err := l.ReadWriteCloser.Write(l.out)
		return max(0, n-muxHeader), err
	}
	bufs := net.Buffers{l.out, p}
	n, err := bufs.WriteTo(l.ReadWriteCloser)
	return max(0, int(n)-muxHeader), err
}

func (l *link) Close() error {
	l.closeOnce.Do(func() { l.closeErr = l.ReadWriteCloser.Close() })
	return l.closeErr
}
