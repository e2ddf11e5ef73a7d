package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// measureSession measures a session's life on the 30 MB repository, through LSP.
func (b *bench) measureSession() error {
	return b.sessionRows(b.small, sizes{
		open: "≤ 0.8 s", warm: "≤ 0.3 s", file: "≤ 50 ms", empty: "≤ 10 ms with a live watch", nothing: "≤ 10 ms", one: "≤ 60 ms", back: "≤ 250 ms",
	})
}

// measureLarge is the same with 100,000 files.
func (b *bench) measureLarge() error {
	return b.sessionRows(b.large, sizes{
		open: "≤ 10 s, flat memory", warm: "–", file: "–", empty: "≤ 0.3 s", nothing: "≤ 0.3 s", one: "≤ 0.3 s", back: "–",
	})
}

// sizes are the goals of one tree's rows.
type sizes struct{ open, warm, file, empty, nothing, one, back string }

func (b *bench) sessionRows(t *repo, goal sizes) error {
	dir, err := t.make()
	if err != nil {
		return err
	}
	what := t.what
	c, err := b.start(filepath.Join(b.work, "home-"+filepath.Base(dir)), dir)
	if err != nil {
		return err
	}
	floor, err := copyFloor(dir, filepath.Join(b.work, filepath.Base(dir)+"-copy"))
	if err != nil {
		return err
	}
	open := func() (time.Duration, error) {
		start := time.Now()
		err := c.call("glue/session/open", map[string]any{}, nil)
		return time.Since(start), err
	}
	closeSession := func() error {
		return c.call("glue/session/close", map[string]any{"return": false}, nil)
	}
	idle, err := resident(c.cmd.Process.Pid)
	if err != nil {
		return err
	}
	cold, err := open()
	if err != nil {
		return err
	}
	if err := closeSession(); err != nil {
		return err
	}
	warm, err := open()
	if err != nil {
		return err
	}
	b.add(row{what: "open, cold: " + what, floor: "`cp -r` of the files", base: floor, here: cold, goal: goal.open})
	b.add(row{what: "open, warm: " + what, floor: "`cp -r` of the files", base: floor, here: warm, goal: goal.warm})
	rss, err := resident(c.cmd.Process.Pid)
	if err != nil {
		return err
	}
	b.add(row{what: "server's memory with that session", floor: "the server without one", text: fmt.Sprintf("%.0f MiB | %.0f MiB | %.1f×", idle, rss, rss/idle), goal: "flat"})
	if err := b.syncRows(c, dir, goal); err != nil {
		return err
	}
	if err := b.checkpointRows(c, dir, goal); err != nil {
		return err
	}
	if err := b.growthRows(c, dir); err != nil {
		return err
	}
	if err := b.returnRow(c, dir, goal); err != nil {
		return err
	}
	return c.stop()
}

func copyFloor(from, to string) (time.Duration, error) {
	files, err := filepath.Glob(filepath.Join(from, "pkg*"))
	if err != nil {
		return 0, err
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		return 0, err
	}
	start := time.Now()
	if out, err := exec.Command("cp", append([]string{"-r", "-t", to}, files...)...).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("cp: %w: %s", err, out)
	}
	d := time.Since(start)
	return d, os.RemoveAll(to)
}

func (b *bench) syncRows(c *client, dir string, goal sizes) error {
	statFloor, err := median(5, func() error { return exec.Command("git", "-C", dir, "diff-files").Run() })
	if err != nil {
		return err
	}
	here, err := median(20, func() error { return c.call("glue/session/sync", map[string]any{}, nil) })
	if err != nil {
		return err
	}
	b.add(row{what: "sync, nothing edited", floor: "`git diff-files`", base: statFloor, here: here, goal: goal.empty})
	name := filepath.Join(dir, "pkg000", "sub1", "file00001.go")
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	n := 0
	here, err = median(20, func() error {
		n++
		if err := os.WriteFile(name, append(content, fmt.Sprintf("edit %d\n", n)...), 0o644); err != nil {
			return err
		}
		return c.call("glue/session/sync", map[string]any{}, nil)
	})
	if err != nil {
		return err
	}
	floor, err := median(20, func() error { return exec.Command("cp", name, filepath.Join(b.work, "one")).Run() })
	if err != nil {
		return err
	}
	b.add(row{what: "one file edited → in the sandbox", floor: "`cp` of that file", base: floor, here: here, goal: goal.file})
	return nil
}

func (b *bench) checkpointRows(c *client, dir string, goal sizes) error {
	const floorIs = "`git status`"
	floor, err := median(5, func() error { return gitIn(dir, "status", "--porcelain") })
	if err != nil {
		return err
	}
	here, err := median(20, func() error { return c.call("glue/session/checkpoint", map[string]any{}, nil) })
	if err != nil {
		return err
	}
	b.add(row{what: "checkpoint, nothing changed", floor: floorIs, base: floor, here: here, goal: goal.nothing})
	n := 0
	var total time.Duration
	for range 10 {
		n++
		// Written by a file operation, not a command: a command takes a checkpoint itself.
		if err := c.call("glue/fs/writeFile", map[string]any{"path": "changed.txt", "data": fmt.Sprint(n), "encoding": "utf-8"}, nil); err != nil {
			return err
		}
		start := time.Now()
		if err := c.call("glue/session/checkpoint", map[string]any{}, nil); err != nil {
			return err
		}
		total += time.Since(start)
	}
	b.add(row{what: "checkpoint, one file changed", floor: floorIs, base: floor, here: total / 10, goal: goal.one})
	return nil
}

// growthRows show that a sync costs by what changed: a new file of 1, 8 and 64 MiB.
func (b *bench) growthRows(c *client, dir string) error {
	name := filepath.Join(dir, "grown")
	content := make([]byte, 0, 64*mebibyte)
	source, err := openSource()
	if err != nil {
		return err
	}
	defer source.close()
	for _, size := range []int{1, 8, 64} {
		more, err := source.take(int64(size*mebibyte - len(content)))
		if err != nil {
			return err
		}
		content = append(content, more...)
		start := time.Now()
		if err := os.WriteFile(filepath.Join(b.work, "grown"), content, 0o644); err != nil {
			return err
		}
		floor := time.Since(start)
		if err := os.WriteFile(name, content, 0o644); err != nil {
			return err
		}
		start = time.Now()
		if err := c.call("glue/session/sync", map[string]any{}, nil); err != nil {
			return err
		}
		b.add(row{what: fmt.Sprintf("growth: a new file of %d MiB → in the sandbox", size), floor: "writing it", base: floor, here: time.Since(start), goal: "linear in changed bytes"})
	}
	if err := os.Remove(name); err != nil {
		return err
	}
	return c.call("glue/session/sync", map[string]any{}, nil)
}

// returnRow measures a return of 5 commits over 20 files beside `git am` of its mbox.
func (b *bench) returnRow(c *client, dir string, goal sizes) error {
	command := `for i in 1 2 3 4 5; do for j in 1 2 3 4; do echo "$i $j" >> pkg00$i/sub$((j-1))/new$j.txt; done; git add -A && git commit -qm "commit $i"; done`
	var res struct {
		ExitCode int `json:"exitCode"`
	}
	if err := c.call("glue/exec", map[string]any{"command": command}, &res); err != nil {
		return err
	}
	if res.ExitCode != 0 {
		return fmt.Errorf("the commits inside: exit status %d", res.ExitCode)
	}
	var ret struct {
		Mbox struct {
			Path    string `json:"path"`
			Commits int    `json:"commits"`
		} `json:"mbox"`
	}
	here, err := median(5, func() error { return c.call("glue/session/return", map[string]any{"apply": false}, &ret) })
	if err != nil {
		return err
	}
	clone := filepath.Join(b.work, filepath.Base(dir)+"-am")
	if err := gitIn(b.work, "clone", "-q", dir, clone); err != nil {
		return err
	}
	start := time.Now()
	if err := gitIn(clone, "am", "-q", ret.Mbox.Path); err != nil {
		return err
	}
	floor := time.Since(start)
	b.add(row{what: fmt.Sprintf("return of %d messages, 21 files, to an edit", ret.Mbox.Commits), floor: "`git am` of the same mbox", base: floor, here: here, goal: goal.back})
	return nil
}
