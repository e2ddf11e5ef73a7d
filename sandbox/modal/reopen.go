package modal

import (
	"context"
	"errors"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// Reopen gives what is left of a sandbox whose agent is gone, or its owner: what a sidecar
// wrote down when it ended the sandbox (a [sandbox.Remains]); else a sandbox made of the
// image that it kept; else, where only the agent died or the sandbox stays, the sandbox
// itself with another agent. An error is of kind FileNotFound when nothing is left, and
// Conflict when somebody else works in it by now.
func (r *Runtime) Reopen(ctx context.Context, spec sandbox.Spec, raw []byte) (sandbox.Sandbox, error) {
	const op = "reopen"
	s, err := readState(op, raw)
	if err != nil {
		return nil, err
	}
	r.avoid(spec.HostRoot)
	if err := r.awaitSidecar(ctx, spec, s); err != nil {
		return nil, err
	}
	left := readEnding(spec.Dir, s)
	// One that stays went on after it was captured, and holds more by now.
	if left.Ended || !s.Kept && (left.Captured || left.ImageID != "") {
		return r.openLeft(ctx, spec, s, left)
	}
	p, err := r.sidecar(ctx)
	if err != nil {
		return nil, err
	}
	c, err := attachTo(ctx, p, s)
	if kindIs(err, sandbox.ExecutorDead) && stillTalks(p) {
		left.Problem = err.Error()
		return r.openLeft(ctx, spec, s, left)
	}
	if err != nil {
		return nil, err
	}
	h := r.hold(p, spec, c)
	s.Instance = "" // of the one that is gone
	h.take(s)
	if s.Kept {
		if err := h.claim(ctx, p); err != nil {
			h.release()
			return nil, err
		}
	}
	sb, err := r.enter(ctx, h)
	if err != nil {
		h.letGo()
		return nil, err
	}
	return sb, nil
}

// openLeft opens what a sidecar left of a sandbox that is of no more use.
func (r *Runtime) openLeft(ctx context.Context, spec sandbox.Spec, s state, left leftBehind) (sandbox.Sandbox, error) {
	switch {
	case left.Captured:
		return r.openRemains(spec, s, left)
	case left.ImageID != "":
		return r.fromImage(ctx, spec, s, left)
	}
	return nil, nothingLeft("reopen", left.Problem)
}

func nothingLeft(op, why string) error {
	e := &sandbox.Error{Kind: sandbox.FileNotFound, Op: op, Message: "the sandbox has ended, and with it what was not captured before"}
	if why != "" {
		e.Message += ": " + why
	}
	return e
}

// openRemains opens what a sidecar captured.
func (r *Runtime) openRemains(spec sandbox.Spec, s state, left leftBehind) (sandbox.Sandbox, error) {
	file, err := agent.OpenExport(endingPath(spec))
	if err != nil {
		return nil, err
	}
	return &remains{Export: file, rt: r, spec: spec, state: s, left: left, done: make(chan struct{})}, nil
}

// fromImage starts a sandbox of the image in which the files were kept. It is ended by its
// own cap too, and is there for one capture.
func (r *Runtime) fromImage(ctx context.Context, spec sandbox.Spec, s state, left leftBehind) (sandbox.Sandbox, error) {
	again := spec
	again.Timeout = imageLife
	again.Kept = func(context.Context) (string, error) { return left.ImageID, nil }
	h, err := r.create(ctx, again)
	if err != nil {
		return nil, err
	}
	if h.info.Kept == "" {
		h.discard()
		return nil, nothingLeft("reopen", "Modal does not have the image "+left.ImageID+" any more")
	}
	sb, err := r.enter(ctx, h)
	if err != nil {
		h.discard()
		return nil, err
	}
	return &reopened{Sandbox: sb, rt: r, spec: spec, former: s, left: left}, nil
}

// reopened is a sandbox that was made of what an earlier one left.
type reopened struct {
	sandbox.Sandbox
	rt     *Runtime
	spec   sandbox.Spec
	former state
	left   leftBehind
}

var _ sandbox.Remains = (*reopened)(nil)

// State is that of the former one: until Taken the image is where its files are.
func (o *reopened) State() []byte { return o.former.encode() }

// Taken ends the former sandbox if that is still to be done. The image Modal forgets in its
// own time.
func (o *reopened) Taken(ctx context.Context) error {
	if !o.left.Ended && !o.former.Kept {
		if err := o.rt.end(ctx, o.former.SandboxID); err != nil {
			return err
		}
	}
	return forgetEnding(o.spec.Dir)
}

// Reap ends what a dead owner left behind: its sandbox, or, where the owner died before
// it knew of one, those that carry the session's name.
func (r *Runtime) Reap(ctx context.Context, spec sandbox.Spec, raw []byte) error {
	var s state
	if len(raw) > 0 {
		var err error
		if s, err = readState("reap", raw); err != nil {
			return err
		}
	}
	if err := r.awaitSidecar(ctx, spec, s); err != nil {
		return err
	}
	if s.SandboxID == "" {
		return r.reapByName(ctx, spec)
	}
	if !s.Foreign && !readEnding(spec.Dir, s).Ended {
		if err := r.end(ctx, s.SandboxID); err != nil {
			return err
		}
	}
	return forgetEnding(spec.Dir)
}

func (r *Runtime) reapByName(ctx context.Context, spec sandbox.Spec) error {
	list, err := r.list(ctx, map[string]string{tagSession: spec.Session})
	if err != nil {
		return err
	}
	var errs []error
	for _, found := range list {
		errs = append(errs, r.end(ctx, found.ID))
	}
	return errors.Join(errs...)
}

// end ends a sandbox by its id.
func (r *Runtime) end(ctx context.Context, id string) error {
	p, err := r.sidecar(ctx)
	if err != nil {
		return err
	}
	return p.call(ctx, "sandbox/terminate", map[string]any{"sandboxId": id}, nil)
}
