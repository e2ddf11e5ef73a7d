package modal

import (
	"context"
	"encoding/json"

	"glue-lsp/sandbox"
)

var (
	_ sandbox.ImageRuntime = (*Runtime)(nil)
	_ sandbox.Keeper       = (*agentBox)(nil)
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

// Keep makes a snapshot of the sandbox's files, which Modal keeps for a month. Secrets and
// variables are no files, and volumes are not part of it.
func (b *agentBox) Keep(ctx context.Context) (string, error) {
	p, err := b.process(ctx)
	if err != nil {
		return "", err
	}
	var kept struct{ ImageID string }
	if err := p.call(ctx, "sandbox/snapshot", map[string]any{"sandboxId": b.held.info.ID}, &kept); err != nil {
		return "", err
	}
	return kept.ImageID, nil
}
