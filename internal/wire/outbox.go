package wire

import (
	"context"
	"io"
	"strconv"
	"sync"
)

// outbox holds framed messages that wait to be written. There are two queues: ordinary
// messages (replies among them), in order, and bulk output, in order, which goes out only
// when no ordinary message waits. One goroutine writes; nobody else ever touches out.
type outbox struct {
	out     io.Writer
	maxNow  int64
	maxBulk int64
	trace   func(dir string, body []byte)

	mu       sync.Mutex
	now      queue
	bulk     queue
	bulkDone int64 // bulk bytes written since the beginning, for flush
	bulkPut  int64 // bulk bytes queued since the beginning
	waiting  int   // how many wait for moved
	closing  bool  // no more is accepted; what is there is still written
	err      error // why nothing can be written any more

	kick  chan struct{} // tells the writer that there is work; capacity 1
	moved chan struct{} // closed and replaced when queues shrank or bulk was written
	done  chan struct{} // closed when the writer has ended
}

const (
	// chunkSize is what one Write takes at most, unless a single message is larger. It
	// bounds how long a reply waits behind bulk output that is being written.
	chunkSize = 64 << 10
	// keepChunk is the largest buffer kept for the next message.
	keepChunk = 256 << 10
)

func newOutbox(out io.Writer, o Options) *outbox {
	return &outbox{
		out: out, maxNow: o.MaxQueued, maxBulk: o.MaxBulk, trace: o.Trace,
		kick: make(chan struct{}, 1), moved: make(chan struct{}), done: make(chan struct{}),
	}
}

// put frames body and queues it after all ordinary messages queued before. It never waits;
// callers that may wait call room first.
func (b *outbox) put(body []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing || b.err != nil {
		return ErrClosed
	}
	b.traceOut(body)
	b.now.add(body)
	b.wake()
	return nil
}

// room waits while more than the bound of ordinary messages is queued.
func (b *outbox) room(ctx context.Context) error {
	b.mu.Lock()
	for b.now.bytes > b.maxNow {
		if err := b.wait(ctx); err != nil {
			return err
		}
	}
	defer b.mu.Unlock()
	return b.closedErr()
}

// putBulk queues body as bulk output when there is room for it; a body above the whole
// bound has room when the queue is empty.
func (b *outbox) putBulk(ctx context.Context, body []byte) error {
	b.mu.Lock()
	for b.bulk.bytes > 0 && b.bulk.bytes+int64(len(body)) > b.maxBulk {
		if err := b.wait(ctx); err != nil {
			return err
		}
	}
	defer b.mu.Unlock()
	if err := b.closedErr(); err != nil {
		return err
	}
	b.traceOut(body)
	b.bulkPut += b.bulk.add(body)
	b.wake()
	return nil
}

// flush waits until all bulk output that was queued before is written.
func (b *outbox) flush(ctx context.Context) error {
	b.mu.Lock()
	for upTo := b.bulkPut; b.bulkDone < upTo; {
		if err := b.wait(ctx); err != nil {
			return err
		}
	}
	b.mu.Unlock()
	return nil
}

// wait gives up the lock until the writer has moved on. It returns with the lock held, or
// with an error and without the lock.
func (b *outbox) wait(ctx context.Context) error {
	if b.err != nil {
		b.mu.Unlock()
		return ErrClosed
	}
	moved := b.moved
	b.waiting++
	b.mu.Unlock()
	select {
	case <-moved:
	case <-b.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	b.mu.Lock()
	return nil
}

func (b *outbox) closedErr() error {
	if b.closing || b.err != nil {
		return ErrClosed
	}
	return nil
}

func (b *outbox) traceOut(body []byte) {
	if b.trace != nil {
		b.trace("out", body)
	}
}

func (b *outbox) wake() {
	select {
	case b.kick <- struct{}{}:
	default:
	}
}

// finish refuses new messages; run ends once the queues are written.
func (b *outbox) finish() {
	b.mu.Lock()
	b.closing = true
	b.wake()
	b.mu.Unlock()
}

// run writes until finish was called and the queues are empty, or until a write fails.
func (b *outbox) run() error {
	defer close(b.done)
	var chunk []byte
	var bulk int64
	for {
		chunk, bulk = b.take(chunk, bulk)
		if chunk == nil {
			return nil
		}
		if _, err := b.out.Write(chunk); err != nil {
			b.mu.Lock()
			b.err = err
			b.mu.Unlock()
			return err
		}
	}
}

// take gives back what was written and waits for the next chunk; nil means the end.
func (b *outbox) take(written []byte, wasBulk int64) (chunk []byte, bulk int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bulkDone += wasBulk
	if wasBulk > 0 {
		b.bulk.recycle(written)
		b.signal()
	} else {
		b.now.recycle(written)
	}
	for {
		if chunk := b.now.pop(); chunk != nil {
			b.signal()
			return chunk, 0
		}
		if chunk := b.bulk.pop(); chunk != nil {
			b.signal()
			return chunk, int64(len(chunk))
		}
		if b.closing {
			return nil, 0
		}
		b.mu.Unlock()
		<-b.kick
		b.mu.Lock()
	}
}

// signal wakes all who wait; they look again for themselves. The lock is held.
func (b *outbox) signal() {
	if b.waiting == 0 {
		return
	}
	b.waiting = 0
	close(b.moved)
	b.moved = make(chan struct{})
}

// queue is framed messages, packed into chunks so that a million small ones cost little
// more than their bytes.
type queue struct {
	chunks [][]byte
	bytes  int64
	spare  []byte
}

// add frames body behind what is queued and returns the frame's size.
func (q *queue) add(body []byte) int64 {
	const header = "Content-Length: "
	size := len(header) + 24 + len(body)
	last := len(q.chunks) - 1
	if last < 0 || cap(q.chunks[last])-len(q.chunks[last]) < size {
		q.chunks = append(q.chunks, q.fresh(size))
		last++
	}
	chunk := q.chunks[last]
	before := len(chunk)
	chunk = append(chunk, header...)
	chunk = strconv.AppendInt(chunk, int64(len(body)), 10)
	chunk = append(chunk, "\r\n\r\n"...)
	chunk = append(chunk, body...)
	q.chunks[last] = chunk
	added := int64(len(chunk) - before)
	q.bytes += added
	return added
}

func (q *queue) fresh(size int) []byte {
	if cap(q.spare) >= size {
		chunk := q.spare[:0]
		q.spare = nil
		return chunk
	}
	return make([]byte, 0, max(size, chunkSize))
}

func (q *queue) pop() []byte {
	if len(q.chunks) == 0 {
		return nil
	}
	chunk := q.chunks[0]
	q.chunks[0] = nil
	q.chunks = q.chunks[1:]
	q.bytes -= int64(len(chunk))
	return chunk
}

func (q *queue) recycle(chunk []byte) {
	if cap(chunk) <= keepChunk && cap(chunk) > cap(q.spare) {
		q.spare = chunk
	}
}
