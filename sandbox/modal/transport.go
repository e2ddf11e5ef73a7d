package modal

import (
	"context"
	"errors"
	"slices"

	"glue-lsp/sandbox"
)

// enter makes a sandbox that was started usable, by the transport that is set.
func (r *Runtime) enter(ctx context.Context, h *held) (sandbox.Sandbox, error) {
	switch r.options().Transport {
	case Agent:
		return r.enterByAgent(ctx, h)
	case Direct:
		return r.enterDirectly(ctx, h)
	}
	sb, err := r.enterByAgent(ctx, h)
	why, unfit := agentUnfit(err)
	if err == nil || !unfit || ctx.Err() != nil || h.death() != nil {
		return sb, err
	}
	h.note("the sandbox is talked to by Modal's own calls, which are slower: " + why.Message)
	sb, direct := r.enterDirectly(ctx, h)
	if direct != nil {
		return nil, errors.Join(err, direct)
	}
	return sb, nil
}

// rejoin talks to a sandbox as its owner did.
func (h *held) rejoin(ctx context.Context, p *sidecarProcess) (sandbox.Sandbox, error) {
	if h.state.Transport == Direct {
		return h.rt.enterDirectly(ctx, h)
	}
	if err := h.agentListens(ctx, p); err != nil {
		return nil, &sandbox.Error{Kind: sandbox.ExecutorDead, Op: "attach", Message: err.Error(), Hint: hintKept, Err: err}
	}
	return h.dialAgent(ctx, p)
}

// agentUnfit reports whether an error says that the agent does not work in this sandbox,
// rather than that nothing does.
func agentUnfit(err error) (*sandbox.Error, bool) {
	var e *sandbox.Error
	if !errors.As(err, &e) {
		return nil, false
	}
	return e, slices.Contains([]sandbox.Kind{sandbox.Unsupported, sandbox.RuntimeUnavailable, sandbox.InvalidParams, sandbox.PermissionDenied, sandbox.FileNotFound, sandbox.NoSpace, sandbox.Timeout}, e.Kind)
}

// enterDirectly goes without an agent.
func (r *Runtime) enterDirectly(ctx context.Context, h *held) (sandbox.Sandbox, error) {
	p, err := h.process(ctx)
	if err != nil {
		return nil, err
	}
	d, err := newDirect(ctx, h)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.state.Transport = Direct
	h.mu.Unlock()
	if err := h.ready(ctx, p); err != nil {
		return nil, err
	}
	return d, nil
}

// note adds to what a person should know of how the sandbox started.
func (h *held) note(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.info.Notes = append(h.info.Notes, text)
	h.state.Notes = h.info.Notes
}
