package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// process is one of this machine's.
type process struct {
	pid, parent int
	command     string
}

// processes lists those that there are; what ends meanwhile is left out.
func processes() []process {
	names, _ := filepath.Glob("/proc/[0-9]*")
	var out []process
	for _, dir := range names {
		pid, err := strconv.Atoi(filepath.Base(dir))
		stat, statErr := os.ReadFile(dir + "/stat")
		if err != nil || statErr != nil {
			continue
		}
		// The name, in parentheses, may hold anything; the parent is the second field after it.
		_, rest, _ := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')'):]), " ")
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[0] == "Z" {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		command, _ := os.ReadFile(dir + "/cmdline")
		out = append(out, process{pid, parent, string(bytes.ReplaceAll(command, []byte{0}, []byte{' '}))})
	}
	return out
}

// tiedTo are the processes that have to do with a folder: by their arguments, environment,
// working folder or what is mounted for them.
func tiedTo(folder string) []process {
	var out []process
	// A mount's root is told relative to its file system, wherever that is mounted.
	parts := strings.Split(folder, "/")
	inside := strings.Join(parts[max(0, len(parts)-3):], "/") + "/trees/"
	for _, p := range processes() {
		if p.pid == os.Getpid() {
			continue
		}
		dir := fmt.Sprintf("/proc/%d/", p.pid)
		environ, _ := os.ReadFile(dir + "environ")
		mounts, _ := os.ReadFile(dir + "mountinfo")
		cwd, _ := os.Readlink(dir + "cwd")
		switch {
		case strings.Contains(p.command, folder), bytes.Contains(environ, []byte(folder)), strings.HasPrefix(cwd, folder):
			out = append(out, p)
		case bytes.Contains(mounts, []byte(inside)):
			out = append(out, p)
		}
	}
	return out
}

// untilUnused waits until no process has to do with a state folder: a server leaves what
// takes long to a finisher.
func untilUnused(tb testing.TB, home string) {
	tb.Helper()
	for deadline := time.Now().Add(endingPatience); ; time.Sleep(10 * time.Millisecond) {
		left := tiedTo(home)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			for _, p := range left {
				tb.Errorf("process %d is still at work: %.120s", p.pid, p.command)
			}
			said, _ := filepath.Glob(filepath.Join(home, "sessions", "*", "*"))
			for _, name := range said {
				if strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".log") {
					text, err := os.ReadFile(name)
					tb.Logf("%s: %s %v", name, text, err)
				}
			}
			return
		}
	}
}

// quiet waits until no process has to do with the state folder, but for those named and
// the sidecars that they hold.
func (c *crash) quiet(but ...int) {
	c.Helper()
	named := func(p process) bool {
		return slices.Contains(but, p.pid) || slices.Contains(but, p.parent) && isSidecar(p, c.home)
	}
	deadline := time.Now().Add(endingPatience)
	for {
		left := slices.DeleteFunc(tiedTo(c.home), named)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			for _, p := range left {
				c.Errorf("process %d is left: %.120s", p.pid, p.command)
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// isSidecar reports whether a process is one that holds a home's sandboxes in Modal.
func isSidecar(p process, home string) bool {
	return strings.Contains(p.command, filepath.Join(home, "sidecar"))
}

// nothingIsLeft wants no process, mount, tree or lock of a state folder, and no session
// that waits.
func (c *crash) nothingIsLeft() {
	c.Helper()
	c.quiet()
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || bytes.Contains(mounts, []byte(c.home)) {
		c.Errorf("a mount is left, or cannot be looked for: %v", err)
	}
	trees, err := os.ReadDir(filepath.Join(c.home, "trees"))
	if err != nil || len(trees) > 0 {
		c.Errorf("trees are left: %v %v", trees, err)
	}
	for _, pattern := range []string{"sessions/*/lock", "workspaces/*.lock"} {
		locks, _ := filepath.Glob(filepath.Join(c.home, pattern))
		for _, name := range locks {
			l := flock.New(name)
			if ok, err := l.TryLock(); err != nil || !ok {
				c.Errorf("%s is held (%v)", name, err)
			}
			_ = l.Close()
		}
	}
	if list, _ := c.does(0, "sessions", "list"); !strings.Contains(list, "Nothing is waiting") {
		c.Errorf("sessions wait:\n%s", list)
	}
	temps, _ := filepath.Glob(filepath.Join(c.repo, "*", ".glue-*"))
	more, _ := filepath.Glob(filepath.Join(c.repo, ".glue-*"))
	if temps = append(temps, more...); len(temps) > 0 {
		c.Errorf("temporary files are left with the person: %q", temps)
	}
}

// victims are what a crash ends.
type victims string

const (
	theServer  victims = "the server"
	theAgents  victims = "the agent"
	theSandbox victims = "the sandbox's first process"
	everything victims = "everything"
)

// strike kills what it is told to, and says whether the server is among it.
func (c *crash) strike(who victims) (died bool) {
	c.Helper()
	if who == theServer {
		c.editor.Kill()
		return true
	}
	below := tiedTo(c.home)
	if who == everything {
		c.editor.Kill()
	}
	hit := false
	for _, p := range below {
		launcher := strings.Contains(strings.SplitN(p.command, " ", 2)[0], "bwrap")
		switch {
		case p.pid == c.editor.Pid():
			continue
		case who == theAgents && (launcher || !strings.Contains(p.command, " agent ")), who == theSandbox && !launcher:
			continue
		}
		hit = true
		_ = syscall.Kill(p.pid, syscall.SIGKILL) // it may have ended by itself
	}
	if !hit && who != everything {
		c.Fatalf("there is nothing to kill of %s: %+v", who, below)
	}
	return who == everything
}
