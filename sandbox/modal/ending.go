package modal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// When this process dies its sidecar has the agent write down what is not captured, brings
// that here and ends the sandbox (sidecar/glue_sidecar/endings.py). What it left lies in
// the session's folder, for the next Reopen.
const (
	endingFile = "ending.capture" // an agent.Export
	endingNote = endingFile + ".json"
	endingLock = "sidecar.lock" // held while a sidecar has the sandbox
	// endingInside is where the agent writes it.
	endingInside = agentDir + "/ending"
)

var _, _ sandbox.Ender = (*agentBox)(nil), (*direct)(nil)

// PrepareEnding says by what rules the agent's last capture goes.
func (b *agentBox) PrepareEnding(ctx context.Context, req sandbox.CaptureRequest) error {
	if err := b.Client.Prepare(ctx, req); err != nil {
		return err
	}
	return b.held.prepareEnding(ctx, req)
}

// PrepareEnding says that there is something to keep. Nothing inside can write it down: all
// files are kept as an image, and compared with what the host has when that is started.
func (d *direct) PrepareEnding(ctx context.Context, req sandbox.CaptureRequest) error {
	return d.held.prepareEnding(ctx, req)
}

func (h *held) prepareEnding(ctx context.Context, req sandbox.CaptureRequest) error {
	h.mu.Lock()
	h.state.EndingMax = agent.ExportMax(req)
	h.mu.Unlock()
	p, err := h.process(ctx)
	if err != nil {
		return err
	}
	return h.ready(ctx, p)
}

// ready tells a sidecar that has just got the sandbox what to do with it without this
// process. As long as nothing in it is worth a capture, that is to end it.
func (h *held) ready(ctx context.Context, p *sidecarProcess) error {
	h.mu.Lock()
	s, most := h.state, h.state.EndingMax
	h.mu.Unlock()
	params := map[string]any{"sandboxId": s.SandboxID, "terminate": !s.Kept}
	if s.Kept {
		params["tags"] = map[string]string{tagHolder: "", tagHolderOwner: ""}
	}
	if h.spec.Dir != "" {
		params["lockPath"] = filepath.Join(h.spec.Dir, endingLock)
	}
	if h.spec.Dir != "" && most > 0 {
		params["localPath"] = filepath.Join(h.spec.Dir, endingFile)
		params["maxBytes"] = most
		params["snapshot"] = true
		if s.Transport == Agent {
			args := agent.CaptureArgs{Socket: s.Socket, To: endingInside, EndCommands: !s.Kept}
			params["argv"], params["path"] = append([]string{s.Agent}, args.List()...), endingInside
		}
	}
	if err := p.call(ctx, "sandbox/setEnding", params, nil); err != nil {
		return err
	}
	h.mu.Lock()
	h.outdated = most > 0
	h.mu.Unlock()
	return nil
}

// Captured deletes what an earlier ending left: it is older than what was captured now.
func (h *held) Captured() error {
	h.mu.Lock()
	outdated := h.outdated
	h.outdated = false
	h.mu.Unlock()
	if !outdated {
		return nil
	}
	return forgetEnding(h.spec.Dir)
}

// leftBehind is what a sidecar wrote down about the sandbox that it ended.
type leftBehind struct {
	SandboxID string `json:"sandboxId"`
	Captured  bool   `json:"captured"`
	ImageID   string `json:"imageId"` // holds its files, where they could not be captured
	Ended     bool   `json:"ended"`
	Problem   string `json:"problem"`
}

// endingPath is where the last changes of a session's sandbox lie.
func endingPath(spec sandbox.Spec) string { return filepath.Join(spec.Dir, endingFile) }

// imageLife is the cap on a sandbox that is started for one capture.
const imageLife = 15 * time.Minute

// readEnding reads what a sidecar left of one sandbox. Without a note there is nothing.
func readEnding(dir string, s state) leftBehind {
	var e leftBehind
	b, err := os.ReadFile(filepath.Join(dir, endingNote))
	if err != nil || json.Unmarshal(b, &e) != nil || e.SandboxID != s.SandboxID {
		e = leftBehind{SandboxID: s.SandboxID}
	}
	if _, err := os.Lstat(filepath.Join(dir, endingFile)); err != nil {
		e.Captured = false
	}
	return e
}

// forgetEnding deletes what a sidecar left.
func forgetEnding(dir string) error {
	if dir == "" {
		return nil
	}
	var errs []error
	for _, name := range []string{endingFile, endingNote, endingFile + ".part", endingNote + ".part"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

const (
	// sidecarPatience is how long the ending of a sidecar may take whose server has died. It
	// gives up earlier itself (endings.py).
	sidecarPatience = 6 * time.Minute
	lockPause       = 20 * time.Millisecond
)

// awaitSidecar waits for the sidecar of a server that died: it still captures, or ends the
// sandbox. One of this process lets go of it first.
func (r *Runtime) awaitSidecar(ctx context.Context, spec sandbox.Spec, s state) error {
	if spec.Dir == "" {
		return nil
	}
	r.letGo(ctx, s.SandboxID)
	file := filepath.Join(spec.Dir, endingLock)
	if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, sidecarPatience, errHeld)
	defer cancel()
	lock := flock.New(file, flock.SetPermissions(0o600))
	ok, err := lock.TryLock()
	if err == nil && !ok && spec.Progress != nil {
		spec.Progress("waiting for the former server's sandbox to be saved")
	}
	if err == nil && !ok {
		ok, err = lock.TryLockContext(ctx, lockPause)
	}
	switch {
	case errors.Is(context.Cause(ctx), errHeld):
		return &sandbox.Error{
			Kind: sandbox.Unavailable, Op: "attach", Path: file, Err: errHeld,
			Message: "another process still holds the sandbox: " + errHeld.Error(),
			Hint:    "try again later; the sandbox ends by itself at the end of its time",
		}
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return &sandbox.Error{Kind: sandbox.Unavailable, Op: "attach", Path: file, Message: err.Error(), Err: err}
	}
	if ok {
		_ = lock.Close()
	}
	return nil
}

var errHeld = fmt.Errorf("its sidecar did not end it within %s", sidecarPatience)

// letGo has the sidecar of this process, if there is one, forget a sandbox.
func (r *Runtime) letGo(ctx context.Context, id string) {
	r.mu.Lock()
	p := r.current
	r.mu.Unlock()
	if p == nil || !stillTalks(p) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	_ = p.call(ctx, "sandbox/release", map[string]any{"sandboxId": id}, nil) // it may not have it
}
