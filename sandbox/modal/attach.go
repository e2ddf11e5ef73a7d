package modal

import (
	"context"
	"errors"

	"glue-lsp/sandbox"
)

// Attach joins a sandbox whose owner died or let go of it. Errors are of kind
// ExecutorDead when it has ended, InvalidParams for a record of something else, or those
// of Open.
func (r *Runtime) Attach(ctx context.Context, spec sandbox.Spec, raw []byte) (sandbox.Sandbox, error) {
	const op = "attach"
	r.avoid(spec.HostRoot)
	s, err := readState(op, raw)
	if err != nil {
		return nil, err
	}
	if err := r.awaitSidecar(ctx, spec, s); err != nil {
		return nil, err
	}
	if readEnding(spec.Dir, s).Ended {
		return nil, &sandbox.Error{Kind: sandbox.ExecutorDead, Op: op, Message: "the sandbox was ended when its server was gone", Hint: hintKept}
	}
	p, err := r.sidecar(ctx)
	if err != nil {
		return nil, err
	}
	c, err := attachTo(ctx, p, s)
	if err != nil {
		var e *sandbox.Error
		if errors.As(err, &e) && e.Kind == sandbox.ExecutorDead && stillTalks(p) {
			return nil, s.vanished(e)
		}
		return nil, err
	}
	h := r.hold(p, spec, c)
	h.take(s)
	if s.Kept {
		if err := h.claim(ctx, p); err != nil {
			h.release()
			return nil, err
		}
	}
	sb, err := h.rejoin(ctx, p)
	if err != nil {
		h.release()
		return nil, err
	}
	return sb, nil
}

// take goes on from what another owner recorded.
func (h *held) take(s state) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.ExpiresAt.IsZero() {
		s.ExpiresAt = h.state.ExpiresAt
	}
	h.state = s
	h.info.Root, h.info.Cwd, h.info.ExpiresAt, h.info.Image, h.info.Notes = s.Root, s.Cwd, s.ExpiresAt, s.Image, s.Notes
	h.info.Kept, h.info.Stays = s.From, s.Kept
}
