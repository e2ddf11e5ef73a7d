package modal

import (
	"context"
	"fmt"
	"path"
	"time"

	"glue-lsp/sandbox"
)

var _ sandbox.Joiner = (*Runtime)(nil)

// Join joins a sandbox that this machine has no record of. It is never ended from here:
// who made it, or its cap, does that.
func (r *Runtime) Join(ctx context.Context, spec sandbox.Spec, id string) (sandbox.Sandbox, error) {
	o := r.options()
	s := state{
		Version: stateVersion, SandboxID: id, App: o.App, Environment: o.Environment, Root: rootDir, Cwd: path.Join(rootDir, spec.Subdir),
		Kept: true, Foreign: true,
	}
	p, err := r.sidecar(ctx)
	if err != nil {
		return nil, err
	}
	c, err := attachTo(ctx, p, s)
	if err != nil {
		return nil, joining(id, err)
	}
	h := r.hold(p, spec, c)
	h.take(s)
	if err := h.claim(ctx, p); err != nil {
		h.release()
		return nil, err
	}
	if err := h.hasFolder(ctx, p); err != nil {
		h.letGo()
		return nil, err
	}
	sb, err := r.enter(ctx, h)
	if err != nil {
		h.letGo()
		return nil, err
	}
	return sb, nil
}

// joining says what is wrong with the id that a person gave.
func joining(id string, err error) error {
	if !kindIs(err, sandbox.ExecutorDead) && !kindIs(err, sandbox.InvalidParams) {
		return err
	}
	return &sandbox.Error{
		Kind: sandbox.ExecutorDead, Op: "attach to sandbox " + clip(id, 80), Err: err,
		Message: "Modal has no such sandbox running: " + err.Error(),
		Hint:    "it may have reached the end of its time, or be of another workspace or environment of Modal's (modal.environment)",
	}
}

// hasFolder makes sure that there is a folder to start commands in. A sandbox of somebody
// else may have no such folder of the workspace's.
func (h *held) hasFolder(ctx context.Context, p *sidecarProcess) error {
	const script = `mkdir -p "$1" && test -d "$2"`
	r, err := run(ctx, p, h.info.ID, nil, "sh", "-c", script, "sh", h.info.Root, h.info.Cwd)
	if err != nil {
		return err
	}
	if r.ExitCode != 0 {
		h.mu.Lock()
		h.info.Cwd, h.state.Cwd = h.info.Root, h.state.Root
		h.mu.Unlock()
	}
	return nil
}

// claimTimeout bounds what is asked about who works in a sandbox.
const claimTimeout = 10 * time.Second

// claim notes in the sandbox's tags who works in it, and refuses where that is somebody
// on another machine, or of another home, who has not let go of it.
func (h *held) claim(ctx context.Context, p *sidecarProcess) error {
	ctx, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	var got struct{ Tags map[string]string }
	if err := p.call(ctx, "sandbox/tags", map[string]any{"sandboxId": h.info.ID}, &got); err != nil {
		if kindIs(err, sandbox.Unsupported) {
			return nil // nobody can say whose it is
		}
		return err
	}
	mine, err := owner(h.rt.options().Home)
	if err != nil {
		return err
	}
	// One of this home's is locked on this machine, or its session is over.
	if by := got.Tags[tagHolder]; by != "" && got.Tags[tagHolderOwner] != mine {
		return &sandbox.Error{
			Kind: sandbox.Conflict, Op: "attach to sandbox " + h.info.ID, Message: fmt.Sprintf("somebody works in it: %s", clip(plain(by), 200)),
			Hint: "close the session there first: two sessions in one sandbox would overwrite each other's work",
		}
	}
	return setTags(ctx, p, h.info.ID, map[string]string{tagHolder: holder(h.spec), tagHolderOwner: mine})
}

// letGo leaves a sandbox that stays to whoever comes next.
func (h *held) letGo() {
	p := h.endJoining()
	h.mu.Lock()
	s := h.state
	h.mu.Unlock()
	if s.Kept && h.death() == nil && stillTalks(p) {
		ctx, cancel := context.WithTimeout(context.Background(), claimTimeout)
		defer cancel()
		if err := setTags(ctx, p, s.SandboxID, map[string]string{tagHolder: "", tagHolderOwner: ""}); err != nil {
			h.rt.options().Log("modal: sandbox %s still says who works in it: %v", s.SandboxID, err)
		}
	}
	h.release()
}
