package modal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"glue-lsp/sandbox/agent"
)

// An agent's stream goes down over several commands of the sandbox, its lanes: Modal
// answers one write to a command before it takes the next, so that over one lane a
// second frame would wait for a round trip. What is written goes out at once on a lane
// that is free, and is gathered while none is; so there are no timers, and the batches
// are as large as the network makes them.
const (
	// laneCount is enough for eight operations at random times: each keeps one lane for
	// one round trip.
	laneCount = 12
	// bulkLanes of them also take batches over smallBatch bytes, so that an upload leaves
	// room for what is small.
	bulkLanes  = laneCount / 2
	smallBatch = 16 << 10
	// bulkBatch is the most that one batch holds. All that is under way at once is copied
	// several times by the SDK.
	bulkBatch = 512 << 10
)

// lanes is the host's end of an agent's stream.
type lanes struct {
	up     net.Conn
	pieces *agent.PieceReader
	rest   []byte // of the piece being read
	due    uint64 // the number of the next piece that comes up

	mu      sync.Mutex
	room    sync.Cond // pending got smaller, or the stream ended
	pending []byte    // pieces that no lane has taken yet
	sent    uint64    // pieces that were written
	free    [2][]*lane
	err     error

	down []*lane
	wg   sync.WaitGroup
}

// The classes of lanes, as indexes of lanes.free.
const (
	forSmall = iota
	forBulk
)

// lane is one of the ways down.
type lane struct {
	conn  net.Conn
	class int
	// batch is what it is to send next. The buffer comes back to it, empty, when sent.
	batch chan []byte
	spare []byte
}

var errLanesClosed = errors.New("the tunnel was closed")

// newLanes makes one stream of what comes over up and goes over down. It owns them all.
// The sidecar's protocol on a way down: a batch's length, the batch; and back one byte
// when the lane is ready, and one when a batch was taken.
func newLanes(up net.Conn, down []net.Conn) *lanes {
	l := &lanes{up: up, pieces: agent.NewPieceReader(bufio.NewReaderSize(up, 64<<10))}
	l.room.L = &l.mu
	for i, conn := range down {
		class := forSmall
		if i < max(1, len(down)*bulkLanes/laneCount) {
			class = forBulk
		}
		l.down = append(l.down, &lane{conn: conn, class: class, batch: make(chan []byte, 1)})
	}
	for _, ln := range l.down {
		l.wg.Go(func() { _ = l.fail(l.run(ln)) })
	}
	return l
}

// run sends a lane's batches, one after the other.
func (l *lanes) run(ln *lane) error {
	var ready [1]byte
	for {
		if _, err := io.ReadFull(ln.conn, ready[:]); err != nil {
			return fmt.Errorf("the tunnel into the sandbox has ended: %w", err)
		}
		l.mu.Lock()
		l.free[ln.class] = append(l.free[ln.class], ln)
		l.dispatch()
		l.mu.Unlock()
		batch, ok := <-ln.batch
		if !ok {
			return errLanesClosed
		}
		if _, err := ln.conn.Write(batch); err != nil {
			return fmt.Errorf("the tunnel into the sandbox has ended: %w", err)
		}
		l.mu.Lock()
		ln.spare = batch[:0]
		l.mu.Unlock()
	}
}

// Write implements [io.Writer]. It returns when a lane has taken p, or when it waits for
// one with little before it.
func (l *lanes) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	done := 0
	for done < len(p) && l.err == nil {
		part := p[done:min(len(p), done+agent.MaxPiece)]
		if len(l.pending)+agent.PieceHeader+len(part) > bulkBatch {
			if l.dispatch(); len(l.pending) > 0 {
				l.room.Wait()
			}
			continue
		}
		l.pending = agent.AppendPiece(l.pending, l.sent, part)
		l.sent++
		done += len(part)
	}
	l.dispatch()
	return done, l.err
}

// dispatch gives what is pending to a free lane, if there is one for so much. The lock is
// held.
func (l *lanes) dispatch() {
	if len(l.pending) == 0 || l.err != nil {
		return
	}
	classes := []int{forSmall, forBulk}
	if len(l.pending) > smallBatch {
		classes = classes[1:]
	}
	for _, class := range classes {
		n := len(l.free[class])
		if n == 0 {
			continue
		}
		// The one that was used last: its process is the likeliest to be in memory.
		ln := l.free[class][n-1]
		l.free[class] = l.free[class][:n-1]
		batch := binary.BigEndian.AppendUint32(ln.spare[:0], uint32(len(l.pending)))
		ln.batch <- append(batch, l.pending...)
		l.pending = l.pending[:0]
		l.room.Broadcast()
		return
	}
}

// Read implements [io.Reader], for one goroutine.
func (l *lanes) Read(p []byte) (int, error) {
	for len(l.rest) == 0 {
		seq, piece, err := l.pieces.Next()
		if err == nil && seq != l.due {
			err = fmt.Errorf("of what the sandbox sent, piece %d came where %d was due", seq, l.due)
		}
		if err != nil {
			return 0, l.fail(err)
		}
		l.due++
		l.rest = piece
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// Close ends the stream, and a Read and a Write in progress. Nothing in the sandbox is
// told by it: the agent takes the next stream of the same client for its successor.
func (l *lanes) Close() error {
	_ = l.fail(errLanesClosed)
	l.wg.Wait()
	return nil
}

// fail ends the stream; the first reason counts, and is given back.
func (l *lanes) fail(why error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.err = why
	l.up.Close()
	for _, ln := range l.down {
		ln.conn.Close()
		close(ln.batch)
	}
	l.free = [2][]*lane{}
	l.room.Broadcast()
	return why
}
