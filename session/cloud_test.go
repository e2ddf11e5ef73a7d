package session

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"glue-lsp/sandbox"
)

// distantRuntime is a bareRuntime to which sending takes long, whose sandboxes can fetch
// from remotes, and whose files can be kept.
type distantRuntime struct {
	*bareRuntime
	t         *testing.T
	bundleMax int64
	key       string

	mu      sync.Mutex
	kept    map[string]string // image → folder
	clones  []sandbox.CloneRequest
	broken  bool // what was cloned is lost before the bundle comes
	noClone bool
	unfit   bool // no tree can be put into what was kept
}

type distantSandbox struct {
	*bareSandbox
	rt   *distantRuntime
	kept string
	note string
}

func (r *distantRuntime) BundleMax() int64 { return r.bundleMax }
func (r *distantRuntime) ImageKey() string { return r.key }

func (r *distantRuntime) Open(ctx context.Context, spec sandbox.Spec) (sandbox.Sandbox, error) {
	image := ""
	if spec.Kept != nil {
		var err error
		if image, err = spec.Kept(ctx); err != nil {
			return nil, err
		}
	}
	sb, err := r.bareRuntime.Open(ctx, spec)
	if err != nil {
		return nil, err
	}
	d := &distantSandbox{bareSandbox: sb.(*bareSandbox), rt: r}
	if image != "" {
		r.mu.Lock()
		from, ok := r.kept[image]
		r.mu.Unlock()
		if !ok {
			d.note = "the snapshot " + image + " is gone"
			return d, nil
		}
		copyFolder(r.t, from+"/.", d.dir)
		d.kept = image
	}
	return d, nil
}

func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Errorf("cp: %v: %s", err, out)
	}
}

func (d *distantSandbox) Info() sandbox.Info {
	info := d.bareSandbox.Info()
	info.Kept, info.Image = d.kept, "im-"+d.rt.key
	if d.note != "" {
		info.Notes = []string{d.note}
	}
	return info
}

func (d *distantSandbox) CloneRemote(ctx context.Context, req sandbox.CloneRequest) (sandbox.CloneResult, error) {
	d.rt.mu.Lock()
	d.rt.clones = append(d.rt.clones, req)
	d.rt.mu.Unlock()
	if d.rt.noClone {
		return sandbox.CloneResult{}, &sandbox.Error{Kind: sandbox.Unsupported, Op: "clone", Message: "there is no git in the sandbox"}
	}
	got, err := d.FetchRemote(ctx, req)
	if err == nil && d.rt.broken {
		err = os.RemoveAll(filepath.Join(d.dir, ".git", "objects", "pack"))
		d.rt.t.Log("the clone was damaged:", os.MkdirAll(filepath.Join(d.dir, ".git", "objects", "pack"), 0o700))
	}
	return got, err
}

func (d *distantSandbox) Populate(ctx context.Context, req sandbox.PopulateRequest) error {
	if d.rt.unfit && req.KeepIgnored {
		return &sandbox.Error{Kind: sandbox.PermissionDenied, Op: "populate", Path: d.dir, Message: "rm: cannot remove 'deps'"}
	}
	return d.bareSandbox.Populate(ctx, req)
}

func (d *distantSandbox) Keep(context.Context) (string, error) {
	d.rt.mu.Lock()
	defer d.rt.mu.Unlock()
	image := "im-" + strconv.Itoa(len(d.rt.kept))
	d.rt.kept[image] = filepath.Join(d.rt.t.TempDir(), "image")
	copyFolder(d.rt.t, d.dir, d.rt.kept[image])
	return image, nil
}

// distant gives the fixture such a runtime.
func (f *fixture) distant(bundleMax int64) *distantRuntime {
	f.Helper()
	f.manager()
	rt := &distantRuntime{bareRuntime: f.rt, t: f.T, bundleMax: bundleMax, key: "debian", kept: map[string]string{}}
	f.m.o.Runtimes = map[string]sandbox.Runtime{"local": rt}
	return rt
}

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
