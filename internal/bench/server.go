package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// measureServer measures the server as a program: a request, the start, memory.
func (b *bench) measureServer() error {
	folder := filepath.Join(b.work, "empty")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	home := filepath.Join(b.work, "home-server")
	// A client that only writes and reads, so that the server is measured.
	c, err := b.startCounting(home, folder)
	if err != nil {
		return err
	}
	here, err := median(2000, func() error {
		_, err := c.call("glue/session/list", map[string]any{})
		return err
	})
	if err != nil {
		return err
	}
	floor, err := pipeRoundTrip(2000)
	if err != nil {
		return err
	}
	b.add(row{what: "small custom request over LSP, p50", floor: "a byte through two pipes and `cat`", base: floor, here: here, goal: "≤ 100 µs"})
	rss, err := resident(c.cmd.Process.Pid)
	if err != nil {
		return err
	}
	if err := c.stop(); err != nil {
		return err
	}
	minimal, err := b.buildMinimal()
	if err != nil {
		return err
	}
	floor, err = median(20, func() error { return exec.Command(minimal).Run() })
	if err != nil {
		return err
	}
	var started []*client
	here, err = median(20, func() error {
		c, err := b.start(home, folder)
		started = append(started, c)
		return err
	})
	if err != nil {
		return err
	}
	idle, err := resident(started[len(started)-1].cmd.Process.Pid)
	if err != nil {
		return err
	}
	for _, c := range started {
		if err := c.stop(); err != nil {
			return err
		}
	}
	b.add(row{what: "spawn to answer of `initialize`", floor: "spawn of a Go program that does nothing", base: floor, here: here, goal: "≤ 15 ms"})
	b.add(row{what: "resident memory, idle after `initialize`", floor: "–", text: fmt.Sprintf("– | %.0f MiB (%.0f after 2,000 requests) | –", idle, rss), goal: "≤ 25 MiB"})
	return nil
}

func pipeRoundTrip(n int) (time.Duration, error) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	buf := []byte{'x'}
	d, err := median(n, func() error {
		if _, err := in.Write(buf); err != nil {
			return err
		}
		_, err := io.ReadFull(out, buf)
		return err
	})
	if err != nil {
		return 0, err
	}
	if err := in.Close(); err != nil {
		return 0, err
	}
	return d, cmd.Wait()
}

// buildMinimal builds the smallest Go program there is.
func (b *bench) buildMinimal() (string, error) {
	src, bin := filepath.Join(b.work, "minimal.go"), filepath.Join(b.work, "minimal")
	if err := os.WriteFile(src, []byte("package main\n\nfunc main() {}\n"), 0o644); err != nil {
		return "", err
	}
	if out, err := exec.Command("go", "build", "-o", bin, src).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return bin, nil
}
