package emu

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Faults is what the emulator does to its clients. The zero value is kindness.
type Faults struct {
	RefuseToken    bool   `json:"refuseToken,omitempty"`    // every call of the control plane
	CallDelayMs    int    `json:"callDelayMs,omitempty"`    // before each call is answered
	CreateDelayMs  int    `json:"createDelayMs,omitempty"`  // of SandboxCreate, beside that
	CreateFails    string `json:"createFails,omitempty"`    // its message
	ImageFails     string `json:"imageFails,omitempty"`     // the build's last log line
	MaxSandboxes   int    `json:"maxSandboxes,omitempty"`   // quota; 0 is none
	TerminateFails int    `json:"terminateFails,omitempty"` // so many times
	ExecFails      int    `json:"execFails,omitempty"`      // so many starts answer UNAVAILABLE
	// Unimplemented are methods, by their short names, that answer UNIMPLEMENTED.
	Unimplemented []string `json:"unimplemented,omitempty"`
	// CoreOnly does the same to every method but those that coreMethods lists.
	CoreOnly bool `json:"coreOnly,omitempty"`
}

// missing says whether a method is not there, for this client.
func (f *Faults) missing(method string) bool {
	return slices.Contains(f.Unimplemented, method) || f.CoreOnly && !coreMethods[method]
}

type faultState struct {
	mu    sync.Mutex
	f     Faults
	conns map[*cutConn]bool
	// downUntil is when connections work again, as Unix nanoseconds.
	downUntil atomic.Int64
}

func (s *faultState) now() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.f
}

func (s *faultState) set(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.f = f
}

// take uses up one of a fault that happens so many times.
func (s *faultState) take(n func(*Faults) *int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := n(&s.f)
	if *left <= 0 {
		return false
	}
	*left--
	return true
}

// cut ends every connection now, and refuses new ones for a while.
func (s *faultState) cut(outage time.Duration) {
	s.downUntil.Store(time.Now().Add(outage).UnixNano())
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

// freeze makes the network a black hole for a while: connections stay, and nothing
// goes through them.
func (s *faultState) freeze(d time.Duration) {
	until := time.Now().Add(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.frozen.Store(until.UnixNano())
	}
}

// cuttable is a listener whose connections can be cut.
type cuttable struct {
	net.Listener
	faults *faultState
}

func (l *cuttable) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if time.Now().UnixNano() < l.faults.downUntil.Load() {
			c.Close()
			continue
		}
		cc := &cutConn{Conn: c, faults: l.faults}
		l.faults.mu.Lock()
		if l.faults.conns == nil {
			l.faults.conns = map[*cutConn]bool{}
		}
		l.faults.conns[cc] = true
		l.faults.mu.Unlock()
		return cc, nil
	}
}

type cutConn struct {
	net.Conn
	faults *faultState
	frozen atomic.Int64
}

func (c *cutConn) thaw() {
	if d := time.Until(time.Unix(0, c.frozen.Load())); d > 0 {
		time.Sleep(d)
	}
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.thaw()
	return n, err
}

func (c *cutConn) Write(p []byte) (int, error) {
	c.thaw()
	return c.Conn.Write(p)
}

func (c *cutConn) Close() error {
	go func() {
		c.faults.mu.Lock()
		delete(c.faults.conns, c)
		c.faults.mu.Unlock()
	}()
	return c.Conn.Close()
}
