package modal

import (
	"context"
	"time"

	"glue-lsp/sandbox"
)

var _ sandbox.Sweeper = (*Runtime)(nil)

// Owned lists the running sandboxes of this home on this machine, by their tags, but for
// those in which somebody of another home or machine works. They are looked for in the app
// that is set, in every environment of Modal's.
func (r *Runtime) Owned(ctx context.Context) ([]sandbox.Owned, error) {
	return r.list(ctx, nil)
}

// End ends one of them.
func (r *Runtime) End(ctx context.Context, id string) error { return r.end(ctx, id) }

// Scope is the app that is set.
func (r *Runtime) Scope() string { return r.options().App }

// LongestLife is Modal's own bound.
func (r *Runtime) LongestLife() time.Duration { return maxTimeout }

// list finds running sandboxes of this owner's that also carry some tags.
func (r *Runtime) list(ctx context.Context, tags map[string]string) ([]sandbox.Owned, error) {
	o := r.options()
	id, err := owner(o.Home)
	if err != nil {
		return nil, err
	}
	all := map[string]string{tagOwner: id}
	for name, value := range tags {
		all[name] = value
	}
	p, err := r.sidecar(ctx)
	if err != nil {
		return nil, err
	}
	params := map[string]any{"appName": o.App, "tags": all, "everyEnvironment": true}
	if o.Environment != "" {
		params["environment"] = o.Environment
	}
	var found struct {
		Sandboxes []struct {
			SandboxID string            `json:"sandboxId"`
			Tags      map[string]string `json:"tags"`
			ExpiresAt float64           `json:"expiresAt"`
		} `json:"sandboxes"`
	}
	if err := p.call(ctx, "sandbox/list", params, &found); err != nil {
		return nil, err
	}
	var out []sandbox.Owned
	for _, b := range found.Sandboxes {
		if b.Tags[tagOwner] != id {
			continue // whatever a server makes of the tags: what is not ours is not touched
		}
		if by := b.Tags[tagHolderOwner]; by != "" && by != id {
			continue // it was made here, and somebody else works in it by now
		}
		out = append(out, sandbox.Owned{ID: b.SandboxID, Session: b.Tags[tagSession], ExpiresAt: created{ExpiresAt: b.ExpiresAt}.expires()})
	}
	return out, nil
}
