package modal

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"time"

	"glue-lsp/sandbox"
)

// rootDir is the workspace's root in every sandbox.
const rootDir = "/workspace"

// created is the sidecar's answer to sandbox/create and sandbox/attach.
type created struct {
	SandboxID string   `json:"sandboxId"`
	ExpiresAt float64  `json:"expiresAt"` // Unix seconds, 0 if not known
	ImageID   string   `json:"imageId"`
	Kept      bool     `json:"kept"` // it began with the snapshot that was asked for
	Notes     []string `json:"notes"`
}

func (c created) expires() time.Time {
	if c.ExpiresAt == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(c.ExpiresAt * 1000))
}

// Open starts a sandbox in Modal. Errors are of kind InvalidParams, NotAuthenticated,
// RuntimeUnavailable (no Python, network, image or quota), Unavailable (Modal has trouble),
// or the context's. What was started and is of no use is ended.
func (r *Runtime) Open(ctx context.Context, spec sandbox.Spec) (sandbox.Sandbox, error) {
	h, err := r.create(ctx, spec)
	if err != nil {
		return nil, err
	}
	sb, err := r.enter(ctx, h)
	if err != nil {
		h.discard()
		return nil, opening(err)
	}
	return sb, nil
}

// create makes a sandbox in which nothing runs yet.
func (r *Runtime) create(ctx context.Context, spec sandbox.Spec) (*held, error) {
	r.avoid(spec.HostRoot)
	params, err := r.createParams(ctx, spec)
	if err != nil {
		return nil, err
	}
	r.renewChanged()
	p, err := r.sidecar(ctx)
	if err != nil {
		return nil, err
	}
	defer p.subscribe(noteProgress, tell(spec))()
	var made created
	if err := p.callFor(ctx, "sandbox/create", params, &made, func(a answer) { endUnwanted(p, a, r.options().Log) }); err != nil {
		r.renew(p, err)
		return nil, opening(err)
	}
	h := r.hold(p, spec, made)
	if made.Kept {
		h.info.Kept, _ = params["snapshot"].(string)
		h.state.From = h.info.Kept
	}
	return h, nil
}

// endUnwanted ends a sandbox that was made when nobody waited for it any more. The sidecar
// does so itself, unless its answer had left when it heard of that.
func endUnwanted(p *sidecarProcess, a answer, log func(string, ...any)) {
	var made created
	if a.decode("sandbox/create", &made) != nil || made.SandboxID == "" {
		return // none was made
	}
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	if err := p.call(ctx, "sandbox/terminate", map[string]any{"sandboxId": made.SandboxID}, nil); err != nil {
		log("modal: ending sandbox %s, which nobody waits for: %v", made.SandboxID, err)
	}
}

// tell passes progress on.
func tell(spec sandbox.Spec) func(note) {
	return func(n note) {
		var said struct{ Message string }
		if spec.Progress != nil && n.decode(&said) == nil && said.Message != "" {
			spec.Progress(clip(said.Message, 200))
		}
	}
}

// createParams are what the sidecar makes a sandbox of.
func (r *Runtime) createParams(ctx context.Context, spec sandbox.Spec) (map[string]any, error) {
	bad := func(format string, args ...any) (map[string]any, error) {
		return nil, &sandbox.Error{Kind: sandbox.InvalidParams, Op: "open", Message: fmt.Sprintf(format, args...)}
	}
	o := r.options()
	life := spec.Timeout
	if life == 0 {
		life = o.Timeout
	}
	if life < minTimeout || life > maxTimeout {
		return bad("a sandbox's time must be from %s to %s, not %s (modal.sandbox_timeout_seconds)", minTimeout, maxTimeout, life)
	}
	network := spec.Network
	if network == "" {
		network = o.Network
	}
	if network != "" && network != "on" && network != "none" {
		return bad("network must be on or none, not %q", network)
	}
	if spec.Subdir != "" && !filepath.IsLocal(filepath.FromSlash(spec.Subdir)) {
		return bad("the folder to start in leaves the workspace")
	}
	tags, err := r.tags(spec)
	if err != nil {
		return nil, err
	}
	params := map[string]any{
		"appName": o.App, "timeoutSeconds": int64((life + time.Second - 1) / time.Second), "tags": tags, "env": o.Env,
	}
	for name, value := range map[string]string{"image": o.Image, "environment": o.Environment, "gpu": o.GPU, "region": o.Region, "network": network} {
		if value != "" {
			params[name] = value
		}
	}
	if o.CPU > 0 {
		params["cpu"] = o.CPU
	}
	if o.MemoryMB > 0 {
		params["memoryMb"] = o.MemoryMB
	}
	if o.IdleTimeout > 0 {
		params["idleTimeoutSeconds"] = int64((o.IdleTimeout + time.Second - 1) / time.Second)
	}
	if len(o.Secrets) > 0 {
		params["secrets"] = o.Secrets
	}
	volumes := map[string]string{}
	for _, v := range o.Volumes {
		name, at, ok := strings.Cut(v, ":")
		if !ok || name == "" || !path.IsAbs(at) {
			return bad("a volume must be name:/path, not %q (modal.volumes)", v)
		}
		volumes[at] = name
	}
	if len(volumes) > 0 {
		params["volumes"] = volumes
	}
	if spec.Kept != nil {
		kept, err := spec.Kept(ctx)
		if err != nil {
			return nil, err
		}
		if kept != "" {
			params["snapshot"] = kept
		}
	}
	return params, nil
}

// opening makes an error of a call one of the opening.
func opening(err error) error {
	if e, ok := err.(*sandbox.Error); ok { //nolint:errorlint // only the outermost names the operation
		again := *e
		again.Op = "open a sandbox in Modal"
		return &again
	}
	return err
}
