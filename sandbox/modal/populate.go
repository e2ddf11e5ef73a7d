package modal

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"

	"glue-lsp/sandbox"
)

// bootstrapBundle is where the bundle of the tree lies in a sandbox, also afterwards.
const bootstrapBundle = "/tmp/glue-bootstrap.bundle"

// defaultBundleMax is bundle_max_mb of a sandbox in the cloud.
const defaultBundleMax = 30 << 20

// BundleMax implements [sandbox.Distant].
func (r *Runtime) BundleMax() int64 { return defaultBundleMax }

// Populate sends the bundle as a file, and has the agent fill the root from it.
func (b *agentBox) Populate(ctx context.Context, req sandbox.PopulateRequest) error {
	if err := b.sendBundle(ctx, req); err != nil {
		return err
	}
	req.Bundle = nil
	return b.PopulateFrom(ctx, req, bootstrapBundle)
}

// CloneRemote implements [sandbox.Cloner].
func (b *agentBox) CloneRemote(ctx context.Context, req sandbox.CloneRequest) (sandbox.CloneResult, error) {
	return b.FetchRemote(ctx, req)
}

// sendBundle uploads what the sandbox is to be filled from to bootstrapBundle. A bundle
// that is no file becomes one first: the sidecar reads files of this machine.
func (h *held) sendBundle(ctx context.Context, req sandbox.PopulateRequest) error {
	file := req.BundlePath
	if file == "" {
		spooled, err := spool(h.spec.Dir, req.Bundle)
		if err != nil {
			return err
		}
		defer os.Remove(spooled)
		file = spooled
	}
	p, err := h.process(ctx)
	if err != nil {
		return err
	}
	params := map[string]any{"sandboxId": h.info.ID, "localPath": file, "path": bootstrapBundle}
	if req.Progress == nil {
		return p.call(ctx, "fs/upload", params, nil)
	}
	id := "upload-" + newNonce()[:12]
	params["progressId"] = id
	tell := uploadProgress(req.Progress)
	stop := p.subscribe(id, func(n note) {
		var at struct{ Done, Total int64 }
		if n.decode(&at) == nil {
			tell(at.Done, at.Total)
		}
	})
	defer stop()
	if err := p.call(ctx, "fs/upload", params, nil); err != nil {
		return err
	}
	// The last notification may come after the answer, or not at all.
	if info, err := os.Stat(file); err == nil {
		tell(info.Size(), info.Size())
	}
	return nil
}

// uploadProgress makes progress one that only goes up, and ends at the whole.
func uploadProgress(progress func(done, total int64)) func(done, total int64) {
	var mu sync.Mutex
	last := int64(-1)
	return func(done, total int64) {
		mu.Lock()
		defer mu.Unlock()
		if done > last && done <= total {
			last = done
			progress(done, total)
		}
	}
}

// spool puts a stream into a file of the session's own.
func spool(dir string, from io.Reader) (name string, err error) {
	to, err := os.CreateTemp(dir, "bootstrap-*.bundle")
	if err != nil {
		return "", &sandbox.Error{Kind: sandbox.NoSpace, Op: "populate", Path: dir, Message: err.Error(), Err: err}
	}
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Close()); err != nil {
		_ = os.Remove(to.Name())
		return "", &sandbox.Error{Kind: sandbox.NoSpace, Op: "populate", Path: to.Name(), Message: err.Error(), Err: err}
	}
	return filepath.Abs(to.Name())
}
