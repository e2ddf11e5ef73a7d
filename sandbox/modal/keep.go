package modal

import (
	"context"
	"encoding/json"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

var (
	_ sandbox.ImageRuntime = (*Runtime)(nil)
	_ sandbox.Keeper       = (*agentBox)(nil)
	_ sandbox.Keeper       = (*direct)(nil)
	_ sandbox.Archiver     = (*agentBox)(nil)
	_ sandbox.Archiver     = (*direct)(nil)
	_ sandbox.Archiver     = (*remains)(nil)
	_ sandbox.Archiver     = (*reopened)(nil)
	_ sandbox.Cloner       = (*agentBox)(nil)
)

// ImageKey implements [sandbox.ImageRuntime]: the settings that decide what commands find
// in a sandbox when it starts.
func (r *Runtime) ImageKey() string {
	o := r.options()
	b, err := json.Marshal([]any{"modal", o.App, o.Environment, o.Image, o.Secrets, o.Volumes, o.Env, o.GPU, o.Network})
	if err != nil {
		return "" // it holds only text
	}
	return string(b)
}

// Keep implements [sandbox.Keeper].
func (b *agentBox) Keep(ctx context.Context) (string, error) { return b.held.Archive(ctx) }

// Keep implements [sandbox.Keeper].
func (d *direct) Keep(ctx context.Context) (string, error) { return d.held.Archive(ctx) }

// Archive makes a snapshot of the sandbox's files, which Modal keeps for a month. Secrets
// and variables are no files, and volumes are not part of it.
func (h *held) Archive(ctx context.Context) (string, error) {
	p, err := h.process(ctx)
	if err != nil {
		return "", err
	}
	return snapshot(ctx, p, h.info.ID)
}

// Capture gives what was written down. For what there was no room then, another try does
// not help: it is in the image that Archive names, or lost.
func (r *remains) Capture(ctx context.Context, req sandbox.CaptureRequest, each func(sandbox.Captured) error) (sandbox.CaptureResult, error) {
	res, err := r.Export.Capture(ctx, req, each)
	for i, s := range res.Skipped {
		if s.Reason == tree.NoRoom || s.Reason == tree.TooMuch {
			res.Skipped[i].Reason = tree.TooLarge
		}
	}
	return res, err
}

// Archive names the image that the sidecar made because its capture did not hold all. Where
// that failed the sandbox was not ended, and it is made now.
func (r *remains) Archive(ctx context.Context) (string, error) {
	switch {
	case r.left.ImageID != "":
		return r.left.ImageID, nil
	case r.left.Ended:
		return "", r.gone("keep the sandbox's files")
	}
	p, err := r.rt.sidecar(ctx)
	if err != nil {
		return "", err
	}
	if _, err := attachTo(ctx, p, r.state); err != nil {
		return "", err
	}
	return snapshot(ctx, p, r.state.SandboxID)
}

// Archive names the image that this sandbox was made of.
func (o *reopened) Archive(context.Context) (string, error) { return o.left.ImageID, nil }

func snapshot(ctx context.Context, p *sidecarProcess, id string) (string, error) {
	var kept struct{ ImageID string }
	if err := p.call(ctx, "sandbox/snapshot", map[string]any{"sandboxId": id}, &kept); err != nil {
		return "", err
	}
	return kept.ImageID, nil
}
