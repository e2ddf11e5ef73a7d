package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"glue-lsp/internal/git"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/modal"
)

// modalBulk measures 64 MiB in and out of a sandbox, and what that costs in memory.
func (b *bench) modalBulk(by, direct *measuredBox) error {
	const size = 64 * mebibyte
	source, err := openSource()
	if err != nil {
		return err
	}
	defer source.close()
	content, err := source.take(size)
	if err != nil {
		return err
	}
	local := filepath.Join(b.work, "bulk")
	if err := os.WriteFile(local, content[:size], 0o600); err != nil {
		return err
	}
	content = nil //nolint:ineffassign,wastedassign // its memory is not to be counted
	debug.FreeOSMemory()
	in := func(m *measuredBox) error {
		f, err := os.Open(local)
		if err != nil {
			return err
		}
		defer f.Close()
		n, err := m.WriteFile(b.ctx, "/tmp/bulk", f, sandbox.WriteOptions{Create: true, Overwrite: true})
		if err == nil && n != size {
			err = fmt.Errorf("only %d bytes went in", n)
		}
		return err
	}
	out := func(m *measuredBox) error {
		r, _, err := m.ReadFile(b.ctx, "/tmp/bulk", 0, -1)
		if err != nil {
			return err
		}
		defer r.Close()
		n, err := io.Copy(io.Discard, r)
		if err == nil && n != size {
			err = fmt.Errorf("only %d bytes came out", n)
		}
		return err
	}
	for _, way := range []struct {
		name string
		f    func(*measuredBox) error
	}{{"into a sandbox", in}, {"out of a sandbox", out}} {
		plain, _, err := measured(direct, way.f)
		if err != nil {
			return err
		}
		here, memory, err := measured(by, way.f)
		if err != nil {
			return err
		}
		b.add(row{
			what: "Modal: 64 MiB " + way.name, floor: "direct mode",
			text: fmt.Sprintf("%s | %s, memory of host %+.0f MiB, of sidecar %+.0f MiB | %.1f×", rate(size, plain), rate(size, here), memory[0], memory[1], here.Seconds()/plain.Seconds()),
			goal: "≤ 32 MiB over idle each",
		})
	}
	return nil
}

func rate(size int64, d time.Duration) string {
	return fmt.Sprintf("%.0f MiB/s", float64(size)/mebibyte/d.Seconds())
}

// measured gives the time that f takes, and how much memory this process and the sidecar
// had more than before at their highest, in MiB.
func measured(m *measuredBox, f func(*measuredBox) error) (d time.Duration, memory [2]float64, err error) {
	runtime.GC()
	debug.FreeOSMemory()
	pids := [2]int{os.Getpid(), m.sidecar}
	var idle [2]float64
	for i, pid := range pids {
		// Resets what the highest was, see proc(5).
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
			return 0, memory, err
		}
		if idle[i], err = statusOf(pid, "VmRSS:"); err != nil {
			return 0, memory, err
		}
	}
	start := time.Now()
	if err := f(m); err != nil {
		return 0, memory, err
	}
	d = time.Since(start)
	for i, pid := range pids {
		peak, err := statusOf(pid, "VmHWM:")
		if err != nil {
			return 0, memory, err
		}
		memory[i] = peak - idle[i]
	}
	return d, memory, nil
}

// modalOpen measures the open of the 30 MB repository, in its parts and through LSP.
func (b *bench) modalOpen(c *cloud) error {
	dir, err := b.small.make()
	if err != nil {
		return err
	}
	g, err := git.Find(b.ctx)
	if err != nil {
		return err
	}
	bare, err := b.bareSandbox(c)
	if err != nil {
		return err
	}
	rt := b.runtime(c, "home-modal-parts", modal.Agent)
	for _, what := range []string{"cold", "warm"} {
		parts, err := b.openParts(g, dir, filepath.Join(b.work, "modal-parts"), func(to string) (sandbox.Sandbox, error) {
			return rt.Open(b.ctx, sandbox.Spec{Session: "parts", Dir: to, Timeout: time.Hour})
		})
		if err != nil {
			return errors.Join(err, rt.Close(b.ctx))
		}
		b.add(row{
			what: "Modal: an open's parts, " + what, floor: "a sandbox without an agent", goal: "dominated by the cloud",
			text: short(bare) + strings.TrimPrefix(parts.cells(), "–"),
		})
	}
	if err := rt.Close(b.ctx); err != nil {
		return err
	}
	client, err := b.start(filepath.Join(b.work, "home-modal-lsp"), dir, append(c.environ(), "GLUE_RUNTIME=modal", "MODAL_PYTHON="+b.modal.python)...)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := client.call("glue/session/open", map[string]any{}, nil); err != nil {
		return err
	}
	b.add(row{what: "Modal: open through LSP: " + b.small.what, floor: "a sandbox without an agent", base: bare, here: time.Since(start), goal: "dominated by the cloud"})
	l, err := alone(50, func() error {
		return client.call("glue/exec", map[string]any{"argv": []string{"true"}, "sync": false}, nil)
	})
	if err != nil {
		return err
	}
	b.add(row{what: "Modal: `glue/exec` of `true` through LSP, no sync, p50 / p90", floor: "–", text: fmt.Sprintf("– | %s | –", l), goal: "≤ 24 / 26 ms"})
	return client.stop()
}

// bareSandbox is how long a second sandbox without an agent takes: the cloud's own part.
func (b *bench) bareSandbox(c *cloud) (time.Duration, error) {
	rt := b.runtime(c, "home-modal-bare", modal.Direct)
	d, err := median(3, func() error {
		dir, err := os.MkdirTemp(b.work, "bare-")
		if err != nil {
			return err
		}
		sb, err := rt.Open(b.ctx, sandbox.Spec{Session: "bare", Dir: dir, Timeout: time.Hour})
		if err != nil {
			return err
		}
		return sb.Close(b.ctx)
	})
	return d, errors.Join(err, rt.Close(b.ctx))
}

// statusOf reads one of a process's lines of /proc/<pid>/status, in MiB.
func statusOf(pid int, name string) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			var kib float64
			_, err := fmt.Sscan(rest, &kib)
			return kib / 1024, err
		}
	}
	return 0, errors.New("no " + name)
}
