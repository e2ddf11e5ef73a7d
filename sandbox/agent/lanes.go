package agent

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// MaxLanes is how many lanes one stream can have.
const MaxLanes = 64

const (
	// maxLaneStreams bounds the streams that are not complete or not ended yet.
	maxLaneStreams = 64
	maxStreamName  = 64
)

// lanes is one stream that comes over several connections to the agent's socket. One of
// them also carries what goes up; until it is there nothing is served. No lane reads
// further than the piece that waits for its turn, which bounds the memory.
type lanes struct {
	name string
	late *time.Timer // gives up a stream whose way up does not come

	mu      sync.Mutex
	change  sync.Cond
	joined  []io.Closer
	waiting map[uint64]*waitingPiece // by number; one of each lane
	next    uint64                   // the number of the piece that is due
	cur     *waitingPiece            // being read
	err     error                    // why it ended

	writing sync.Mutex
	up      io.Writer
	sent    uint64 // pieces that went up
	out     []byte
}

// waitingPiece is what a lane has read and not yet given away.
type waitingPiece struct {
	p    []byte
	done chan struct{} // closed when all of p was read
}

var (
	errLaneEnded   = errors.New("a lane of the stream has ended")
	errStreamEnded = errors.New("the stream has ended")
	errNoWayUp     = errors.New("the stream's way up did not come")
)

func newLanes(name string, patience time.Duration) *lanes {
	l := &lanes{name: name, waiting: map[uint64]*waitingPiece{}}
	l.change.L = &l.mu
	l.mu.Lock()
	defer l.mu.Unlock()
	l.late = time.AfterFunc(patience, func() { _ = l.end(errNoWayUp) })
	return l
}

// join adds a lane, which ends with the stream.
func (l *lanes) join(conn io.ReadWriteCloser, down bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.err != nil:
		return l.err
	case len(l.joined) == MaxLanes:
		return errors.New("the stream has too many lanes")
	case !down && l.up != nil:
		return errors.New("the stream has its way up already")
	}
	l.joined = append(l.joined, conn)
	if !down {
		l.up = conn
		l.late.Stop()
	}
	return nil
}

// carry brings down what comes over one lane, until the stream ends. A lane's end is the
// stream's.
func (l *lanes) carry(conn io.Reader) error {
	pieces := NewPieceReader(bufio.NewReader(conn))
	for {
		seq, p, err := pieces.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errLaneEnded
			}
			return l.end(err)
		}
		w := &waitingPiece{p: p, done: make(chan struct{})}
		if err := l.offer(seq, w); err != nil {
			return l.end(err)
		}
		<-w.done
	}
}

// offer lets a piece wait for its turn.
func (l *lanes) offer(seq uint64, w *waitingPiece) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.err != nil:
		return l.err
	case seq < l.next || l.waiting[seq] != nil:
		return fmt.Errorf("%w: piece %d came twice", errProtocol, seq)
	}
	l.waiting[seq] = w
	if seq == l.next {
		l.change.Signal()
	}
	return nil
}

// Read implements [io.Reader] for one goroutine: the pieces of all lanes in their order.
func (l *lanes) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.cur == nil {
		if l.err != nil {
			return 0, l.err
		}
		if l.cur = l.waiting[l.next]; l.cur == nil {
			l.change.Wait()
			continue
		}
		delete(l.waiting, l.next)
		l.next++
	}
	n := copy(p, l.cur.p)
	if l.cur.p = l.cur.p[n:]; len(l.cur.p) == 0 {
		close(l.cur.done)
		l.cur = nil
	}
	return n, nil
}

// Write implements [io.Writer].
func (l *lanes) Write(p []byte) (int, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	done := 0
	for done < len(p) {
		part := p[done:min(len(p), done+MaxPiece)]
		l.out = AppendPiece(l.out[:0], l.sent, part)
		if _, err := l.up.Write(l.out); err != nil {
			return done, err
		}
		l.sent++
		done += len(part)
	}
	return done, nil
}

// Close ends the stream and every lane.
func (l *lanes) Close() error {
	_ = l.end(errStreamEnded)
	return nil
}

// end gives the reason for which the stream ended first.
func (l *lanes) end(why error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.err = why
	l.late.Stop()
	for _, conn := range l.joined {
		conn.Close()
	}
	// Pieces that wait for one that will not come any more.
	for _, w := range l.waiting {
		close(w.done)
	}
	clear(l.waiting)
	if l.cur != nil {
		close(l.cur.done)
		l.cur = nil
	}
	l.change.Broadcast()
	return l.err
}

// serveLane adds a connection to the stream that its greeting names. The goroutine of
// the way up serves the client, and carries its own lane beside that.
func (d *daemon) serveLane(conn io.ReadWriteCloser, hello clientHello) error {
	defer conn.Close()
	l, err := d.laneStream(hello.Stream)
	if err != nil {
		return err
	}
	if err := l.join(conn, hello.Down); err != nil {
		return err
	}
	defer d.forgetLanes(l)
	if hello.Down {
		return l.carry(conn)
	}
	carried := make(chan struct{})
	go func() { defer close(carried); _ = l.carry(conn) }()
	err = d.serve(l)
	l.Close()
	<-carried
	return err
}

// laneStream finds a stream by its name or begins it.
func (d *daemon) laneStream(name string) (*lanes, error) {
	if len(name) > maxStreamName {
		return nil, protocolError("a stream's name of %d bytes", len(name))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.lanes[name]; l != nil {
		return l, nil
	}
	if d.stopping || slices.Contains(d.lanesEnded, name) {
		return nil, errStreamEnded
	}
	if len(d.lanes) >= maxLaneStreams {
		return nil, errors.New("too many streams have begun")
	}
	l := newLanes(name, greetingTimeout)
	d.lanes[name] = l
	return l, nil
}

// forgetLanes is for a stream that has ended, or whose lane has. A lane that comes late
// must not wait for the others.
func (d *daemon) forgetLanes(l *lanes) {
	l.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lanes[l.name] != l {
		return
	}
	delete(d.lanes, l.name)
	if len(d.lanesEnded) >= maxLaneStreams {
		d.lanesEnded = d.lanesEnded[1:]
	}
	d.lanesEnded = append(d.lanesEnded, l.name)
}
