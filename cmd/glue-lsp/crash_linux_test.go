package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"glue-lsp/internal/lawtest"
	"glue-lsp/internal/lsptest"
)

// Crashes are drawn from a seed, each by its index, so that one can be repeated:
//
//	GLUE_CRASH_SEED=7 go test ./cmd/glue-lsp -run 'TestS6_AnyCrash/^12$'
//
// What is drawn is the same then; the moment at which the machine gets there is not.
const (
	crashSeed = "GLUE_CRASH_SEED" // default 1; 0 draws one
	crashRuns = "GLUE_CRASH_RUNS" // of each kind
)

// crash is a person whose server dies.
type crash struct {
	*person
	rng     *rand.Rand
	editor  *lsptest.Editor
	session string

	cells map[string]*cell
	step  int
	stop  atomic.Bool
}

// cell is one path in the sandbox: all that it ever held, "" being nothing. What a
// checkpoint answered for is held from there on.
type cell struct {
	states []string
	held   int
}

// eachCrash runs histories side by side.
func eachCrash(t *testing.T, runs int, play func(c *crash)) {
	t.Helper()
	seed := envNumber(t, crashSeed, 1)
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("to repeat one: %s=%d go test ./cmd/glue-lsp -run '%s/^INDEX$'", crashSeed, seed, t.Name())
	for i := range int(envNumber(t, crashRuns, uint64(runs))) {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			c := &crash{person: newPerson(t), rng: rand.New(rand.NewPCG(seed, uint64(i))), cells: map[string]*cell{}}
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("to repeat: %s=%d go test ./cmd/glue-lsp -run '%s$'", crashSeed, seed, strings.ReplaceAll(t.Name(), "/", "/^"))
				}
				if c.editor != nil {
					c.strike(everything)
				}
			})
			play(c)
		})
	}
}

func envNumber(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%s: %v", name, text, err)
	}
	return n
}

func (c *crash) server() lsptest.Server {
	self, err := os.Executable()
	if err != nil {
		c.Fatal(err)
	}
	return lsptest.Binary(self, []string{"serve", "--stdio", "--log-level", "warn"},
		append(append(os.Environ(), asProgram+"=1", "GLUE_HOME="+c.home, "GIT_CONFIG_GLOBAL=/dev/null"), c.env...))
}

// edits starts an editor on a dirty tree, with unsaved text.
func (c *crash) edits() {
	c.Helper()
	c.write("dirty.txt", "not committed\n")
	c.editor = lsptest.Start(c.T, c.server(), lsptest.Options{Root: c.repo})
	c.editor.Initialize(lsptest.VSCode())
	c.editor.SaveCleanFiles()
	c.editor.Open("a.txt")
	c.editor.Edit("a.txt", "0:0", "unsaved\n")
}

const unsavedText = "unsaved\none\n"

// open opens a session.
func (c *crash) open() {
	c.Helper()
	var info struct {
		ID string `json:"id"`
	}
	c.editor.Call("glue/session/open", map[string]any{"workspaceFolder": c.editor.URI(".")}, &info)
	c.session = info.ID
}

// noise starts a command that never stops changing a file.
func (c *crash) noise() {
	c.editor.Begin("glue/exec", map[string]any{
		"sync":    false,
		"command": "n=0; while :; do n=$((n+1)); seq $n > .noise && mv .noise noise.txt; sleep 0.005; done",
	})
}

// work lets commands write until one of them is not answered: that is the crash. What was
// killed may not be missed either; then stop ends it. It gives the commits that a
// checkpoint answered for.
func (c *crash) work() (commits []string) {
	var made []string
	for !c.stop.Load() {
		c.step++
		if c.rng.IntN(4) == 0 {
			var upTo []int
			paths := c.paths()
			for _, path := range paths {
				upTo = append(upTo, len(c.cells[path].states)-1)
			}
			if err := c.editor.Begin("glue/session/checkpoint", map[string]any{"session": c.session}).TryWait(nil); err != nil {
				return commits
			}
			for i, path := range paths {
				c.cells[path].held = upTo[i]
			}
			commits = made
			continue
		}
		command := "git add -A && git commit -qm 'step " + strconv.Itoa(c.step) + "' && git rev-parse HEAD"
		if c.rng.IntN(5) > 0 {
			command = c.write1()
		}
		var r struct {
			ExitCode int `json:"exitCode"`
			Stdout   struct {
				Data string `json:"data"`
			} `json:"stdout"`
		}
		err := c.editor.Begin("glue/exec", map[string]any{"session": c.session, "command": command, "sync": c.rng.IntN(2) == 0}).TryWait(&r)
		if err != nil {
			return commits
		}
		if id := strings.TrimSpace(r.Stdout.Data); r.ExitCode == 0 && len(id) == 40 {
			made = append(slices.Clone(made), id)
		}
	}
	return commits
}

func (c *crash) paths() []string {
	var out []string
	for path := range c.cells {
		out = append(out, path)
	}
	slices.Sort(out)
	return out
}

// write1 changes one path, of which every content is long, and tells its own number.
func (c *crash) write1() string {
	path := []string{"one.txt", "dir/two.txt", "dir/three.bin", "a name"}[c.rng.IntN(4)]
	at := c.cells[path]
	if at == nil {
		at = &cell{states: []string{""}}
		c.cells[path] = at
	}
	file := lawtest.Quote(path)
	if c.rng.IntN(5) == 0 {
		at.states = append(at.states, "")
		return "rm -f " + file
	}
	at.states = append(at.states, strings.Repeat(fmt.Sprintf("%s %d\n", path, c.step), 200))
	return fmt.Sprintf("mkdir -p dir; for i in $(seq 200); do echo %s %d; done > .tmp && mv .tmp %s", file, c.step, file)
}

// heedAnnounced raises what is promised to the checkpoint that was announced last.
func (c *crash) heedAnnounced(said []lsptest.Notification) {
	c.Helper()
	var last struct {
		Session struct {
			Checkpoint struct {
				Seq    int    `json:"seq"`
				Commit string `json:"commit"`
			} `json:"checkpoint"`
		} `json:"session"`
	}
	for _, n := range said {
		if n.Method != "glue/session/changed" {
			continue
		}
		if err := json.Unmarshal(n.Params, &last); err != nil {
			c.Fatal(err)
		}
	}
	commit := last.Session.Checkpoint.Commit
	if commit == "" {
		return
	}
	dir := filepath.Join(c.home, "sessions", c.session, "objects.git")
	listed := strings.Split(c.host("", "git", "--git-dir", dir, "ls-tree", "-r", "-z", "--name-only", commit), "\x00")
	for _, path := range c.paths() {
		held := ""
		if slices.Contains(listed, path) {
			held = c.host("", "git", "--git-dir", dir, "show", commit+":"+path)
		}
		at := c.cells[path]
		i := len(at.states) - 1
		for i >= 0 && at.states[i] != held {
			i--
		}
		if i < 0 {
			c.Errorf("checkpoint %d holds %d bytes of %s that no command wrote", last.Session.Checkpoint.Seq, len(held), path)
		}
		if i > at.held && at.states[i] != "" {
			at.held = i
		}
	}
}

// seen is what the person sees of a path: the buffer, or the file; "" is nothing.
func (c *crash) seen(path string) string {
	c.Helper()
	if c.editor.IsOpen(path) {
		return c.editor.Buffer(path)
	}
	b, err := os.ReadFile(filepath.Join(c.repo, path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.Fatal(err)
	}
	return string(b)
}

// holdsWhatWasPromised wants each path to be as the last checkpoint had it, or as
// something later made it, and whole.
func (c *crash) holdsWhatWasPromised() {
	c.Helper()
	for _, path := range c.paths() {
		at, got := c.cells[path], c.seen(path)
		if slices.Contains(at.states[at.held:], got) {
			continue
		}
		first, _, _ := strings.Cut(got, "\n")
		want, _, _ := strings.Cut(at.states[at.held], "\n")
		c.Errorf("%s: %q (%d bytes), but the last checkpoint had %q, and %d contents came after it", path, first, len(got), want, len(at.states)-1-at.held)
	}
}

// untouched wants the person's own things as they were.
func (c *crash) untouched(git map[string]string) {
	c.Helper()
	if got := c.read("a.txt"); got != "one\n" {
		c.Errorf("a.txt on disk: %q", got)
	}
	if got := c.read("dirty.txt"); got != "not committed\n" {
		c.Errorf("dirty.txt: %q", got)
	}
	if got := c.editor.Buffer("a.txt"); got != unsavedText {
		c.Errorf("the unsaved buffer: %q", got)
	}
	if names := lawtest.Changed(git, lawtest.Fingerprint(c.T, filepath.Join(c.repo, ".git"), nil)); len(names) > 0 {
		c.Errorf("the person's .git was changed: %q", names)
	}
}

func TestS6_AnyCrashGivesBackWhatTheLastCheckpointHeld(t *testing.T) {
	eachCrash(t, 40, func(c *crash) {
		git := lawtest.Fingerprint(c.T, filepath.Join(c.repo, ".git"), nil)
		c.edits()
		c.open()
		if c.rng.IntN(2) == 0 {
			c.noise()
		}
		who := []victims{theServer, theServer, theAgents, theSandbox, everything}[c.rng.IntN(5)]
		moment := time.Duration(c.rng.IntN(1200)) * time.Millisecond
		viaCommandLine := c.rng.IntN(2) == 0
		died := c.interrupted(who, moment, viaCommandLine, func() bool { return c.strike(who) })
		c.untouched(git)
		c.recover(died, viaCommandLine)
		c.holdsWhatWasPromised()
		c.untouched(git)
		c.editor.Shutdown()
		c.nothingIsLeft()
	})
}

// interrupted has the session worked in until strike comes at a moment, and makes sure of
// what was announced by then. It gives strike's answer, whether the server died.
func (c *crash) interrupted(who victims, moment time.Duration, viaCommandLine bool, strike func() bool) (died bool) {
	c.Helper()
	var commits []string
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		commits = c.work()
	}()
	<-time.After(moment) // what a crash interrupts is up to chance
	died = strike()
	c.stop.Store(true)
	<-worked
	said := c.editor.State().Notifications
	c.Logf("%s is killed after %v, in step %d; command line: %v", who, moment, c.step, viaCommandLine)
	for _, id := range commits {
		c.host("", "git", "--git-dir", filepath.Join(c.home, "sessions", c.session, "objects.git"), "cat-file", "-e", id)
	}
	c.heedAnnounced(said)
	return died
}

// recover takes the changes back by one action, and wants a second one to find nothing.
func (c *crash) recover(died, viaCommandLine bool) {
	c.Helper()
	if died && viaCommandLine {
		if list, _ := c.does(0, "sessions", "list"); strings.Contains(list, c.session) {
			c.does(0, "sessions", "apply", c.session, "--yes")
		}
	}
	if died {
		c.editor = c.editor.Restart(c.server())
		c.editor.SaveCleanFiles()
	}
	if !viaCommandLine {
		var r struct {
			Conflicts, Skipped []any
		}
		err := c.editor.TryCall("glue/session/return", map[string]any{"session": c.session}, &r)
		c.editor.NoticeDisk()
		switch {
		case err != nil && !strings.Contains(fmt.Sprint(err.Data), "noSuchSession"): // it may have changed nothing
			c.Errorf("return: %v %v", err, err.Data)
		case len(r.Conflicts)+len(r.Skipped) > 0:
			c.Errorf("return: %+v", r)
		}
	}
	if !died {
		c.editor.Call("glue/session/close", map[string]any{"session": c.session}, nil)
		c.editor.NoticeDisk()
	}
	// A server that has just started ends what the last one left, in its own time.
	c.quiet(c.editor.Pid())
	var list struct {
		Sessions []struct {
			ID string `json:"id"`
		} `json:"sessions"`
	}
	c.editor.Call("glue/session/list", map[string]any{}, &list)
	if len(list.Sessions) > 0 {
		c.Errorf("after the return there are still %v", list.Sessions)
	}
}

func TestACrashInTheMiddleOfAReturnTearsNoFile(t *testing.T) {
	const files = 120
	var inTheMiddle atomic.Int32
	t.Cleanup(func() {
		t.Logf("%d crashes hit a return when some files were written and some not", inTheMiddle.Load())
	})
	eachCrash(t, 12, func(c *crash) {
		text := func(i int, word string) string {
			return strings.Repeat(fmt.Sprintf("%s %d\n", word, i), 100)
		}
		name := func(i int) string { return fmt.Sprintf("f%03d.txt", i) }
		for i := range files {
			c.write(name(i), text(i, "before"))
		}
		git := lawtest.Fingerprint(c.T, filepath.Join(c.repo, ".git"), nil)
		c.edits()
		c.open()
		c.editor.Call("glue/exec", map[string]any{"command": "sed -i s/before/after/ f*.txt; seq 9 > new.txt"}, nil)
		c.editor.Begin("glue/session/return", map[string]any{"mode": "disk"})
		for deadline := time.Now().Add(endingPatience); c.read(name(0)) == text(0, "before") && time.Now().Before(deadline); {
			time.Sleep(100 * time.Microsecond)
		}
		<-time.After(time.Duration(c.rng.IntN(6000)) * time.Microsecond)
		c.strike([]victims{theServer, everything}[c.rng.IntN(2)])
		after := 0
		for i := range files {
			switch got := c.read(name(i)); got {
			case text(i, "after"):
				after++
			case text(i, "before"):
			default:
				c.Errorf("%s is torn: %d bytes", name(i), len(got))
			}
		}
		c.Logf("%d of %d files were written", after, files)
		if after > 0 && after < files {
			inTheMiddle.Add(1)
		}
		c.editor = c.editor.Restart(c.server())
		c.editor.SaveCleanFiles()
		c.recover(true, false)
		for i := range files {
			if got := c.seen(name(i)); got != text(i, "after") {
				c.Errorf("%s after another return: %d bytes, begins %q", name(i), len(got), got[:min(len(got), 12)])
			}
		}
		if got := c.seen("new.txt"); got != "1\n2\n3\n4\n5\n6\n7\n8\n9\n" {
			c.Errorf("new.txt: %q", got)
		}
		c.untouched(git)
		c.editor.Shutdown()
		c.nothingIsLeft()
	})
}

func TestACrashInTheMiddleOfAnOpenLeavesNothing(t *testing.T) {
	eachCrash(t, 12, func(c *crash) {
		git := lawtest.Fingerprint(c.T, filepath.Join(c.repo, ".git"), nil)
		c.edits()
		c.editor.Begin("glue/session/open", map[string]any{"workspaceFolder": c.editor.URI(".")})
		moment := time.Duration(c.rng.IntN(400)) * time.Millisecond
		<-time.After(moment)
		who := []victims{theServer, theServer, everything}[c.rng.IntN(3)]
		c.strike(who)
		c.Logf("%s is killed %v after it was told to open", who, moment)
		c.untouched(git)
		c.editor = c.editor.Restart(c.server())
		c.editor.SaveCleanFiles()
		c.open()
		c.editor.Call("glue/exec", map[string]any{"command": "echo works > works.txt"}, nil)
		c.editor.Call("glue/session/close", map[string]any{"session": c.session}, nil)
		c.editor.NoticeDisk()
		if got := c.seen("works.txt"); got != "works\n" {
			c.Errorf("works.txt: %q", got)
		}
		c.untouched(git)
		c.editor.Shutdown()
		c.nothingIsLeft()
	})
}
