package agent

import (
	"context"
	"math"
	"sync"
	"time"

	"glue-lsp/sandbox"
)

// Bounds of what is kept of each of a command's two outputs.
const (
	firstKeep = 16 << 10 // to begin with
	maxKeep   = 4 << 20
	// What was sent may not have arrived when a stream is lost: it is kept for a client
	// that attaches again. No more than the multiplexer's window and a frame can be on
	// its way.
	sentKeep = windowSize + 2*readSize
	// endedKeep bounds what the descendants of an ended command can fill.
	endedKeep = 256 << 10
	readSize  = 256 << 10
)

// output is what a command printed, as far as it is kept: a ring for each stream with
// the offsets of its bytes since the command's start. One pump fills each ring; any
// number of readers follow. While there is a reader no byte that it still needs is
// dropped, the command is held back instead; without one the oldest bytes go.
type output struct {
	mu      sync.Mutex
	changed sync.Cond
	rings   [2]ring
	readers map[*reader]struct{}
	sealed  bool          // the command's own output is complete
	eof     chan struct{} // closed when both streams are at their end
}

// ring keeps the bytes [start, end) in buf, each at its offset modulo buf's length,
// which is a power of two.
type ring struct {
	buf        []byte
	start, end int64
	closed     bool      // the stream is at its end
	since      time.Time // when the pump's read in progress began; zero without one
	room       int       // of that read
	final      int64     // where the command's own output ends, once sealed
}

// reader is one attachment: its position in both streams, and where it ends.
type reader struct {
	pos, limit [2]int64
	turn       int
}

func newOutput() *output {
	o := &output{readers: map[*reader]struct{}{}, eof: make(chan struct{})}
	o.changed.L = &o.mu
	return o
}

// index is a stream's place in arrays.
func index(s sandbox.Stream) int { return int(s) - int(sandbox.Stdout) }

// space gives the pump a free piece of the ring to read into, after waiting for
// readers that are behind. The piece is the pump's alone until commit.
func (o *output) space(s sandbox.Stream) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := &o.rings[index(s)]
	for r.end-r.start == int64(len(r.buf)) {
		limit := maxKeep
		if o.sealed {
			limit = max(endedKeep, len(r.buf))
		}
		if len(r.buf) < limit {
			r.resize(max(firstKeep, 2*len(r.buf)))
			break
		}
		if o.drop(index(s)) {
			break
		}
		o.changed.Wait()
	}
	at := int(r.end & int64(len(r.buf)-1))
	free := len(r.buf) - int(r.end-r.start)
	p := r.buf[at:min(len(r.buf), at+free, at+readSize)]
	r.since, r.room = time.Now(), len(p)
	return p
}

// drop gives up the oldest bytes that no reader can still need.
func (o *output) drop(i int) bool {
	r := &o.rings[i]
	upTo := r.end
	for rd := range o.readers {
		upTo = min(upTo, rd.pos[i]-sentKeep)
	}
	upTo = min(upTo, r.start+int64(min(readSize, len(r.buf)/2)))
	if upTo <= r.start {
		return false
	}
	r.start = upTo
	return true
}

// commit takes in the n bytes that the pump has read into its piece.
func (o *output) commit(s sandbox.Stream, n int) {
	o.mu.Lock()
	r := &o.rings[index(s)]
	r.end += int64(n)
	r.since, r.room = time.Time{}, 0
	o.mu.Unlock()
	if n > 0 {
		o.changed.Broadcast()
	}
}

// finish says that a stream is at its end.
func (o *output) finish(s sandbox.Stream) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := &o.rings[index(s)]
	if r.closed {
		return
	}
	r.closed, r.since, r.room = true, time.Time{}, 0
	if o.rings[0].closed && o.rings[1].closed {
		close(o.eof)
	}
	o.changed.Broadcast()
}

// resize moves what is kept into a buffer of another size. Pieces that readers hold
// are of the former buffer and stay valid.
func (r *ring) resize(size int) {
	next := make([]byte, size)
	for off := r.start; off < r.end; {
		off += int64(copy(next[off&int64(size-1):], r.piece(off)))
	}
	r.buf = next
}

// piece is a contiguous part of what is kept from off on.
func (r *ring) piece(off int64) []byte {
	at := int(off & int64(len(r.buf)-1))
	return r.buf[at:min(len(r.buf), at+int(r.end-off))]
}

// attach adds a reader from the given offsets on, or from what is still kept.
func (o *output) attach(from sandbox.Offsets) *reader {
	o.mu.Lock()
	defer o.mu.Unlock()
	rd := &reader{turn: 1}
	for i, off := range [2]int64{from.Stdout, from.Stderr} {
		r := &o.rings[i]
		rd.pos[i] = max(off, r.start) // what is not yet printed up to there is not wanted
		rd.limit[i] = math.MaxInt64
		if o.sealed {
			rd.limit[i] = r.end
		}
	}
	o.readers[rd] = struct{}{}
	return rd
}

func (o *output) detach(rd *reader) {
	o.mu.Lock()
	delete(o.readers, rd)
	o.mu.Unlock()
	o.changed.Broadcast()
}

// next waits for more output and gives a piece of it, which is valid until advance.
// ok is false at the end of the output, and when ctx ends; the caller sees to it that
// its ctx wakes o.changed.
func (o *output) next(ctx context.Context, rd *reader) (s sandbox.Stream, off int64, p []byte, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for ctx.Err() == nil {
		for range o.rings {
			rd.turn = 1 - rd.turn
			r, pos := &o.rings[rd.turn], rd.pos[rd.turn]
			if pos < min(r.end, rd.limit[rd.turn]) {
				p := r.piece(pos)
				n := min(int64(len(p)), readSize, rd.limit[rd.turn]-pos)
				return sandbox.Stdout + sandbox.Stream(rd.turn), pos, p[:n], true
			}
		}
		if o.sealed {
			break
		}
		o.changed.Wait()
	}
	return 0, 0, nil, false
}

// advance says that a reader is done with n bytes.
func (o *output) advance(rd *reader, s sandbox.Stream, n int) {
	o.mu.Lock()
	rd.pos[index(s)] += int64(n)
	o.mu.Unlock()
	o.changed.Broadcast()
}

// seal says that the command's own output is complete: what descendants print from
// now on is kept, but nobody waits for it.
func (o *output) seal() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.rings {
		r := &o.rings[i]
		r.final = r.end
		for rd := range o.readers {
			rd.limit[i] = r.final
		}
	}
	o.sealed = true
	o.changed.Broadcast()
}

// final is where the command's own output ends. It is known once sealed.
func (o *output) final() sandbox.Offsets {
	o.mu.Lock()
	defer o.mu.Unlock()
	return sandbox.Offsets{Stdout: o.rings[0].final, Stderr: o.rings[1].final}
}

// reach is the offset that a stream will have when `pending` more bytes, and those of
// a read in progress, have come.
func (o *output) reach(s sandbox.Stream, pending int) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := &o.rings[index(s)]
	return r.end + int64(r.room) + int64(pending)
}

// settled reports whether each stream has ended, has reached its limit, or has been
// silent since `exit` or later for the grace.
func (o *output) settled(limits [2]int64, exit, now time.Time, grace time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.rings {
		r := &o.rings[i]
		since := r.since
		if since.Before(exit) {
			since = exit
		}
		silent := !r.since.IsZero() && now.Sub(since) >= grace
		if !r.closed && r.end < limits[i] && !silent {
			return false
		}
	}
	return true
}

// kept is how much memory the output holds.
func (o *output) kept() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.rings[0].buf) + len(o.rings[1].buf)
}

// compact gives back memory of streams that are at their end and without readers:
// what is not needed, or, with forget, all of it.
func (o *output) compact(forget bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.readers) > 0 {
		return
	}
	for i := range o.rings {
		r := &o.rings[i]
		if !r.closed {
			continue
		}
		if forget {
			r.start = r.end
		}
		if r.start == r.end {
			r.buf = nil
			continue
		}
		size := len(r.buf)
		for int64(size/2) >= r.end-r.start {
			size /= 2
		}
		if size < len(r.buf) {
			r.resize(size)
		}
	}
}
