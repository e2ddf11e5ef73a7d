// Package delay makes a network out of loopback: a TCP proxy through which every byte
// takes half a round trip in either direction. Bytes overtake nothing and wait for
// nothing but their own time, so that a sender that does not wait for answers is not
// slowed down, as on a long line.
package delay

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// chunkSize is how much is read at once and gets one time.
	chunkSize = 64 << 10
	// inFlight bounds what is on the line in one direction of a connection: a hundred
	// milliseconds at 2.5 Gbit/s.
	inFlight = 32 << 20
)

// Proxy forwards connections, late.
type Proxy struct {
	listener net.Listener
	target   string
	late     time.Duration

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
	wg     sync.WaitGroup
}

// Start listens on a free port of 127.0.0.1 and forwards to target, a host and port.
func Start(target string, roundTrip time.Duration) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, target: target, late: roundTrip / 2, conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is the host and port to connect to instead of the target.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close ends every connection and the proxy.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.forward(near) })
	}
}

func (p *Proxy) forward(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer far.Close()
	if !p.keep(near, far) {
		return
	}
	defer p.drop(near, far)
	var both sync.WaitGroup
	both.Go(func() { p.carry(far, near) })
	both.Go(func() { p.carry(near, far) })
	both.Wait()
}

func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = true
	}
	return !p.closed
}

func (p *Proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}

// carry copies one direction. An end is passed on when it is due; an error ends both
// directions at once, as a reset does.
func (p *Proxy) carry(to, from net.Conn) {
	l := newLine(p.late)
	var reading sync.WaitGroup
	reading.Go(func() {
		if err := l.fill(from); !errors.Is(err, io.EOF) {
			l.cut()
			to.Close()
		}
	})
	if err := l.drain(to); err != nil {
		l.cut()
		from.Close()
	} else if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	reading.Wait()
}

// line is what is under way in one direction.
type line struct {
	late time.Duration

	mu     sync.Mutex
	change sync.Cond
	queue  []chunk
	bytes  int
	ended  bool          // nothing more comes
	broken chan struct{} // closed when nobody gives or takes any more
	once   sync.Once
}

func newLine(late time.Duration) *line {
	l := &line{late: late, broken: make(chan struct{})}
	l.change.L = &l.mu
	return l
}

type chunk struct {
	due time.Time
	p   []byte
}

func (l *line) fill(from io.Reader) error {
	buf := make([]byte, chunkSize)
	for {
		n, err := from.Read(buf)
		due := time.Now().Add(l.late)
		l.mu.Lock()
		if n > 0 {
			l.queue = append(l.queue, chunk{due, append([]byte(nil), buf[:n]...)})
			l.bytes += n
		}
		if err != nil {
			l.queue = append(l.queue, chunk{due: due})
			l.ended = true
		}
		l.change.Broadcast()
		for l.bytes > inFlight && !l.isCut() {
			l.change.Wait()
		}
		l.mu.Unlock()
		if err != nil {
			return err
		}
		if l.isCut() {
			return errCut
		}
	}
}

// drain writes each chunk when it is due; it ends when the end is.
func (l *line) drain(to io.Writer) error {
	for {
		l.mu.Lock()
		for len(l.queue) == 0 && !l.ended && !l.isCut() {
			l.change.Wait()
		}
		if len(l.queue) == 0 && l.ended {
			l.mu.Unlock()
			return nil
		}
		if l.isCut() {
			l.mu.Unlock()
			return errCut
		}
		c := l.queue[0]
		l.mu.Unlock()
		if !l.wait(c.due) {
			return errCut
		}
		if len(c.p) > 0 {
			if _, err := to.Write(c.p); err != nil {
				return err
			}
		}
		l.mu.Lock()
		l.queue = l.queue[1:]
		l.bytes -= len(c.p)
		l.change.Broadcast()
		l.mu.Unlock()
	}
}

var errCut = errors.New("the connection was cut")

// wait returns at a time, or false when the line is cut before.
func (l *line) wait(due time.Time) bool {
	// The last of it exactly, which cannot be interrupted.
	if d := time.Until(due) - exact; d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-l.broken:
			return false
		}
	}
	sleepUntil(due)
	return !l.isCut()
}

// exact is more than what a timer can be late.
const exact = 3 * time.Millisecond

func (l *line) isCut() bool {
	select {
	case <-l.broken:
		return true
	default:
		return false
	}
}

// cut wakes both ends.
func (l *line) cut() {
	l.once.Do(func() { close(l.broken) })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.change.Broadcast()
}
