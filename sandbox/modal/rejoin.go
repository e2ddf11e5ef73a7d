package modal

import (
	"context"
	"errors"
	"time"

	"glue-lsp/sandbox"
)

// joinTimeout bounds the joining of a sandbox by a sidecar that was started anew: after
// the wait for the one before, what is asked of Modal has its own, shorter bounds.
const joinTimeout = sidecarPatience + 2*time.Minute

// handover is one sidecar's joining of a sandbox. It is for all that wait for it, and so
// outlives any of them.
type handover struct {
	p      *sidecarProcess
	cancel context.CancelFunc
	over   chan struct{}
	err    error // when it is over
}

// process gives the sidecar with this sandbox in its hands. After a restart of the
// sidecar it joins the sandbox again, by its id.
func (h *held) process(ctx context.Context) (*sidecarProcess, error) {
	for {
		if why := h.death(); why != nil {
			return nil, why
		}
		p, err := h.rt.sidecar(ctx)
		if err != nil {
			return nil, err
		}
		j := h.join(p)
		if j == nil {
			return p, nil
		}
		select {
		case <-j.over:
		case <-h.gone:
			return nil, h.death()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if j.p == p {
			return p, j.err
		}
	}
}

// join begins a joining by p unless one is under way, which it gives then. nil says that p
// has the sandbox.
func (h *held) join(p *sidecarProcess) *handover {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.p == p {
		return nil
	}
	if h.joining == nil {
		ctx, cancel := context.WithTimeout(context.Background(), joinTimeout)
		h.joining = &handover{p: p, cancel: cancel, over: make(chan struct{})}
		go h.joinBy(ctx, h.joining)
	}
	return h.joining
}

func (h *held) joinBy(ctx context.Context, j *handover) {
	stop, err := h.handTo(ctx, j.p)
	j.cancel()
	h.mu.Lock()
	j.err, h.joining = err, nil
	if err == nil {
		h.p = j.p
		h.unheard, stop = stop, h.unheard
	}
	h.mu.Unlock()
	if stop != nil {
		stop()
	}
	close(j.over)
}

// handTo has a sidecar join the sandbox and take the care of its ending; only with that is
// the sandbox in its hands.
func (h *held) handTo(ctx context.Context, p *sidecarProcess) (unheard func(), err error) {
	h.mu.Lock()
	s := h.state
	h.mu.Unlock()
	// The one before may still be ending it.
	if err := h.rt.awaitSidecar(ctx, h.spec, s); err != nil {
		return nil, err
	}
	if h.spec.Dir != "" && readEnding(h.spec.Dir, s).Ended {
		h.die(&sandbox.Error{Kind: sandbox.ExecutorDead, Op: "sandbox", Message: "the sandbox was ended with the sidecar that held it", Hint: hintKept})
		return nil, h.death()
	}
	if _, err := attachTo(ctx, p, s); err != nil {
		var e *sandbox.Error
		if errors.As(err, &e) && e.Kind == sandbox.ExecutorDead && stillTalks(p) {
			h.die(s.vanished(e))
			return nil, h.death()
		}
		return nil, err
	}
	if s.Kept {
		if err := h.claim(ctx, p); err != nil {
			h.lose(err)
			return nil, err
		}
	}
	stop := p.subscribe(s.SandboxID, h.hear)
	return stop, h.ready(ctx, p)
}

// lose ends a sandbox's life for this process if it is another's by now: the sidecar that
// ended had let go of it.
func (h *held) lose(err error) {
	var e *sandbox.Error
	if errors.As(err, &e) && e.Kind == sandbox.Conflict {
		h.die(&sandbox.Error{Kind: sandbox.ExecutorDead, Op: "sandbox", Message: "another session took the sandbox over: " + e.Message, Hint: hintKept})
	}
}

// endJoining cuts a joining short, and gives the sidecar that may have the sandbox.
func (h *held) endJoining() *sidecarProcess {
	h.mu.Lock()
	j, p := h.joining, h.p
	h.mu.Unlock()
	if j == nil {
		return p
	}
	j.cancel()
	<-j.over
	return j.p
}

func stillTalks(p *sidecarProcess) bool {
	select {
	case <-p.done():
		return false
	default:
		return true
	}
}

// attachTo joins a sandbox by its id.
func attachTo(ctx context.Context, p *sidecarProcess, s state) (created, error) {
	params := map[string]any{"sandboxId": s.SandboxID}
	if !s.ExpiresAt.IsZero() {
		params["expiresAt"] = float64(s.ExpiresAt.UnixMilli()) / 1000
	}
	var c created
	err := p.call(ctx, "sandbox/attach", params, &c)
	return c, err
}
