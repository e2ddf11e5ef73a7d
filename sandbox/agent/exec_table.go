package agent

import (
	"context"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"glue-lsp/sandbox"
)

// Of commands that have ended, this many results and this much output is kept for
// clients that come back.
const (
	keepEnded  = 64
	keepOutput = 32 << 20
)

// execTable holds the commands that run, that left descendants, and the last ones
// that have ended.
type execTable struct {
	d     *daemon
	marks *marks
	login *loginEnv

	// spawnMu makes the mark that a child inherits its own.
	spawnMu  sync.Mutex
	onShield func(func() error) error // runs what starts a process
	pids     map[int]bool             // of processes that are waited for by their command
	count    atomic.Uint32

	mu       sync.Mutex
	byID     map[string]*command
	ended    []*command // the oldest first
	closing  bool
	starting sync.WaitGroup
	closed   chan struct{}
}

func newExecTable(d *daemon) *execTable {
	t := &execTable{d: d, byID: map[string]*command{}, pids: map[int]bool{}, closed: make(chan struct{})}
	t.onShield = func(start func() error) error { return start() }
	if d.cfg.shielded {
		t.onShield = shield(d.ctx.Done())
	}
	t.marks = newMarks(d.hello.Instance)
	t.login = startLoginEnv(d.ctx, d.cfg)
	return t
}

func noSuchExec(id string) error {
	return &sandbox.Error{
		Kind: sandbox.NoSuchExec, Path: id, Message: "there is no such command",
		Hint: "it has never been started here, or ended so long ago that it is forgotten",
	}
}

func (t *execTable) find(id string) (*command, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.byID[id]; c != nil {
		return c, nil
	}
	return nil, noSuchExec(id)
}

// reserve claims an id; release or started follows.
func (t *execTable) reserve(id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		return &sandbox.Error{Kind: sandbox.ExecutorDead, Path: id, Message: "the sandbox is ending"}
	}
	if _, taken := t.byID[id]; taken {
		return &sandbox.Error{Kind: sandbox.Conflict, Path: id, Message: "there is already a command of this id"}
	}
	t.byID[id] = nil
	t.starting.Add(1)
	return nil
}

func (t *execTable) release(id string) {
	t.mu.Lock()
	delete(t.byID, id)
	t.mu.Unlock()
	t.starting.Done()
}

func (t *execTable) started(c *command) {
	t.mu.Lock()
	t.byID[c.id] = c
	t.mu.Unlock()
	t.starting.Done()
	t.d.wg.Add(1)
	go func() {
		defer t.d.wg.Done()
		<-c.done
		t.retire(c)
	}()
}

// retire puts a command among the ended ones, and forgets what is too much.
func (t *execTable) retire(c *command) {
	c.out.compact(false)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = append(t.ended, c)
	total := 0
	for _, c := range t.ended {
		total += c.out.kept()
	}
	for i := 0; i < len(t.ended)-1 && total > keepOutput; i++ {
		before := t.ended[i].out.kept()
		t.ended[i].out.compact(true)
		total -= before - t.ended[i].out.kept()
	}
	for i := 0; len(t.ended)-i > 0 && len(t.ended) > keepEnded; {
		// One that may have descendants is kept, so that they stay listed.
		if i == len(t.ended)-1 {
			break
		}
		if old := t.ended[i]; old.isChildless() || len(t.ended) > 4*keepEnded {
			delete(t.byID, old.id)
			t.ended = append(t.ended[:i], t.ended[i+1:]...)
			continue
		}
		i++
	}
}

func (c *command) isChildless() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.childless
}

// all gives every command that is known.
func (t *execTable) all() []*command {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]*command, 0, len(t.byID))
	for _, c := range t.byID {
		if c != nil {
			out = append(out, c)
		}
	}
	return out
}

// list gives the commands that run, and those that left descendants.
func (t *execTable) list(context.Context, nothing) (listReply, error) {
	commands := t.all()
	var living map[uint64]bool
	rep := listReply{Execs: []listedExec{}}
	for _, c := range commands {
		c.mu.Lock()
		exited, childless := c.exited, c.childless
		c.mu.Unlock()
		state := "running"
		if exited {
			if childless {
				continue
			}
			if living == nil {
				living = t.livingMarks()
			}
			if !living[c.mark] {
				c.mu.Lock()
				c.childless = true
				c.mu.Unlock()
				continue
			}
			state = "background"
		}
		rep.Execs = append(rep.Execs, listedExec{ID: c.id, Command: wireString(c.text), StartedAt: c.started, State: state})
	}
	sort.Slice(rep.Execs, func(i, j int) bool { return rep.Execs[i].StartedAt.Before(rep.Execs[j].StartedAt) })
	return rep, nil
}

// livingMarks are the marks of all processes that descend from commands.
func (t *execTable) livingMarks() map[uint64]bool {
	living := map[uint64]bool{}
	for _, p := range t.scan() {
		if p.mark != 0 {
			living[p.mark] = true
		}
	}
	return living
}

// close ends every command and descendant, and refuses new ones.
func (t *execTable) close() {
	t.mu.Lock()
	if t.closing {
		t.mu.Unlock()
		<-t.closed
		return
	}
	t.closing = true
	t.mu.Unlock()
	defer close(t.closed)
	t.starting.Wait()
	commands := t.all()
	for _, c := range commands {
		c.mu.Lock()
		if !c.exited && !c.ending {
			c.canceled = true
		}
		c.mu.Unlock()
	}
	t.killAll(func(p process) bool { return p.mark != 0 || (t.d.cfg.own && p.descends) })
	for _, c := range commands {
		select {
		case <-c.done:
		case <-time.After(endGrace):
			// Something that cannot be killed, such as a process in a dead file system.
		}
	}
}

// end ends a command and its descendants, once; it returns when they are gone.
func (t *execTable) end(c *command, timedOut bool) {
	c.mu.Lock()
	if c.ending {
		ended := c.ended
		c.mu.Unlock()
		<-ended
		return
	}
	c.ending = true
	c.ended = make(chan struct{})
	if !c.exited {
		c.timedOut, c.canceled = timedOut, !timedOut
	}
	c.mu.Unlock()
	defer close(c.ended)
	t.killAll(func(p process) bool { return p.mark == c.mark })
}
