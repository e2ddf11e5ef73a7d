package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const mebibyte = 1 << 20

// measureExec measures commands in a local sandbox that is up.
func (b *bench) measureExec() error {
	folder := filepath.Join(b.work, "small")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := makeRepo(folder, 20, 20_000, 1); err != nil {
		return err
	}
	c, err := b.start(filepath.Join(b.work, "home-exec"), folder)
	if err != nil {
		return err
	}
	if err := c.call("glue/session/open", map[string]any{}, nil); err != nil {
		return err
	}
	floor, err := median(200, func() error { return exec.Command("true").Run() })
	if err != nil {
		return err
	}
	here, err := median(200, func() error {
		return c.call("glue/exec", map[string]any{"argv": []string{"true"}, "sync": false}, nil)
	})
	if err != nil {
		return err
	}
	b.add(row{what: "`glue/exec` of `true`, no sync, p50", floor: "fork and exec of `true`", base: floor, here: here, goal: "≤ 3 ms"})
	here, err = median(100, func() error {
		return c.call("glue/exec", map[string]any{"argv": []string{"true"}}, nil)
	})
	if err != nil {
		return err
	}
	b.add(row{what: "the same with a sync of 20 files", floor: "fork and exec of `true`", base: floor, here: here, goal: "–"})
	here, err = median(500, func() error {
		return c.call("glue/fs/exists", map[string]any{"path": "README"}, nil)
	})
	if err != nil {
		return err
	}
	b.add(row{what: "`glue/fs/exists`, p50", floor: "–", here: here, goal: "–"})
	if err := c.stop(); err != nil {
		return err
	}
	if err := b.measureOutput(folder); err != nil {
		return err
	}
	return b.measureConfining()
}

// measureOutput floods a client that does nothing but count.
func (b *bench) measureOutput(folder string) error {
	const total = 100 * mebibyte
	command := fmt.Sprintf("yes 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde | head -c %d", total)
	start := time.Now()
	cmd := exec.Command("sh", "-c", command)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, out); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return err
	}
	floor := time.Since(start)
	c, err := b.startCounting(filepath.Join(b.work, "home-output"), folder)
	if err != nil {
		return err
	}
	if _, err := c.call("glue/session/open", map[string]any{}); err != nil {
		return err
	}
	before, err := resident(c.cmd.Process.Pid)
	if err != nil {
		return err
	}
	start = time.Now()
	got, err := c.call("glue/exec", map[string]any{"command": command, "sync": false, "stream": true, "windowBytes": 1 << 30})
	if err != nil {
		return err
	}
	here := time.Since(start)
	if got < total {
		return fmt.Errorf("only %d of %d bytes of output arrived", got, total)
	}
	after, err := resident(c.cmd.Process.Pid)
	if err != nil {
		return err
	}
	if err := c.stop(); err != nil {
		return err
	}
	rate := func(d time.Duration) string { return fmt.Sprintf("%.0f MiB/s", 100/d.Seconds()) }
	b.add(row{
		what: "100 MiB of output through notifications", floor: "the same through one pipe",
		text: fmt.Sprintf("%s | %s, memory %+.0f MiB | %.1f×", rate(floor), rate(here), after-before, here.Seconds()/floor.Seconds()), goal: "≥ 150 MiB/s, flat memory",
	})
	return nil
}

// measureConfining is what bubblewrap itself costs.
func (b *bench) measureConfining() error {
	if _, err := exec.LookPath("bwrap"); err != nil {
		return err
	}
	plain, err := median(50, func() error { return exec.Command("true").Run() })
	if err != nil {
		return err
	}
	confined, err := median(50, func() error {
		return exec.Command("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-all", "true").Run()
	})
	if err != nil {
		return err
	}
	b.add(row{what: "confining one process by bubblewrap", floor: "fork and exec of `true`", base: plain, here: confined, goal: "≤ 15 ms, once per session"})
	return nil
}
