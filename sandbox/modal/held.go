package modal

import (
	"context"
	"path"
	"sync"
	"time"

	"glue-lsp/sandbox"
)

// held is a sandbox of Modal's, however it is talked to: where it is, and whether it
// still is.
type held struct {
	rt   *Runtime
	spec sandbox.Spec
	info sandbox.Info

	mu      sync.Mutex
	state   state
	p       *sidecarProcess // the one that holds it
	joining *handover       // under way, after a restart
	unheard func()          // ends the subscription
	// outdated: what an earlier ending left is worth nothing after the next capture.
	outdated bool
	dead     *sandbox.Error
	gone     chan struct{} // closed when it is dead
	onDeath  []func(*sandbox.Error)
}

// hold begins with a sandbox that a process has made or joined.
func (r *Runtime) hold(p *sidecarProcess, spec sandbox.Spec, c created) *held {
	o := r.options()
	if len(c.Notes) == 0 {
		c.Notes = nil // none is none, whoever tells
	}
	h := &held{
		rt: r, spec: spec, p: p, gone: make(chan struct{}),
		state: state{
			Version: stateVersion, SandboxID: c.SandboxID, App: o.App, Environment: o.Environment, Root: rootDir, Cwd: path.Join(rootDir, spec.Subdir),
			ExpiresAt: c.expires(), Image: c.ImageID, Kept: !o.DeleteOnClose, Notes: c.Notes,
		},
		info: sandbox.Info{
			ID: c.SandboxID, Root: rootDir, Cwd: path.Join(rootDir, spec.Subdir), Isolation: "modal", ExpiresAt: c.expires(), Image: c.ImageID, Notes: c.Notes, Stays: !o.DeleteOnClose,
		},
	}
	h.info.Stays = h.state.Kept
	h.unheard = p.subscribe(c.SandboxID, h.hear)
	return h
}

// hear takes what is told about the sandbox.
func (h *held) hear(n note) {
	if n.Method != noteSandboxEnded {
		return
	}
	var why ending
	if err := n.decode(&why); err != nil {
		why.Message = err.Error()
	}
	h.die(why.death())
}

// die notes that the sandbox has ended, once.
func (h *held) die(why *sandbox.Error) {
	h.mu.Lock()
	if h.dead != nil {
		h.mu.Unlock()
		return
	}
	h.dead = why
	callbacks := h.onDeath
	close(h.gone)
	h.mu.Unlock()
	// Not by the one that reads from the sidecar, which they may wait for.
	for _, each := range callbacks {
		go each(why)
	}
}

// whenDead calls each when the sandbox has ended, at once if it has, as a goroutine.
func (h *held) whenDead(each func(*sandbox.Error)) {
	h.mu.Lock()
	dead := h.dead
	if dead == nil {
		h.onDeath = append(h.onDeath, each)
	}
	h.mu.Unlock()
	if dead != nil {
		go each(dead)
	}
}

// death says why the sandbox has ended, nil while it has not.
func (h *held) death() *sandbox.Error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dead
}

func (h *held) isDead() bool { return h.death() != nil }

const (
	// endTimeout bounds the ending of a sandbox: Modal answers in well under a second.
	endTimeout = 20 * time.Second
	// releaseTimeout bounds what nobody waits for.
	releaseTimeout = 300 * time.Millisecond
)

// discard ends a sandbox that is of no use.
func (h *held) discard() {
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	if err := h.terminate(ctx); err != nil {
		h.rt.options().Log("modal: ending sandbox %s: %v", h.info.ID, err)
	}
}

// terminate ends the sandbox. That it has ended already is no error. One that somebody else
// made is only let go of.
func (h *held) terminate(ctx context.Context) error {
	if h.isDead() {
		return nil
	}
	if h.isForeign() {
		h.letGo()
		return nil
	}
	p, err := h.process(ctx)
	if h.isDead() {
		return nil //nolint:nilerr // there is nothing left to end
	}
	if err != nil {
		return err
	}
	if err := p.call(ctx, "sandbox/terminate", map[string]any{"sandboxId": h.info.ID}, nil); err != nil {
		h.release() // whoever tries it again must not wait for this process
		return err
	}
	h.forget()
	h.die(&sandbox.Error{Kind: sandbox.ExecutorDead, Op: "sandbox", Message: "the sandbox was closed"})
	return nil
}

func (h *held) isForeign() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state.Foreign
}

// release leaves the sandbox running, for somebody else.
func (h *held) release() {
	p := h.endJoining()
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	_ = p.call(ctx, "sandbox/release", map[string]any{"sandboxId": h.info.ID}, nil)
	h.forget()
}

// forget listens no more.
func (h *held) forget() {
	h.mu.Lock()
	stop := h.unheard
	h.mu.Unlock()
	stop()
}

// encoded is State.
func (h *held) encoded() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state.encode()
}
