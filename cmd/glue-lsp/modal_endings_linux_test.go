package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"glue-lsp/internal/lsptest"
	"glue-lsp/internal/modaltest"
)

// These tests play with the real program, the real SDK and an emulator of Modal what ends a
// session in the cloud, and look at what is given back and at what still costs money.

// subscriber is a person whose sandboxes run in Modal.
type subscriber struct {
	*person
	cloud *modaltest.Cloud
}

func onModal(t *testing.T, env ...string) *subscriber {
	t.Helper()
	p := &subscriber{newPerson(t), modaltest.Start(t)}
	p.env = append(p.env, p.cloud.Environ()...)
	p.env = append(p.env, "GLUE_RUNTIME=modal", "MODAL_PYTHON="+modaltest.Python(t))
	p.env = append(p.env, env...)
	t.Cleanup(func() {
		logs, _ := filepath.Glob(filepath.Join(p.home, "sessions", "*", "finish.log"))
		for _, name := range logs {
			if b, err := os.ReadFile(name); t.Failed() && err == nil {
				t.Logf("%s:\n%s", name, b)
			}
		}
	})
	return p
}

// record is what the host keeps of a session.
type record struct {
	State     string `json:"state"`
	SandboxID string `json:"sandbox_id"`
}

func (p *subscriber) record(id string) (r record) {
	p.Helper()
	b, err := os.ReadFile(filepath.Join(p.home, "sessions", id, "session.json"))
	if err := errors.Join(err, json.Unmarshal(b, &r)); err != nil {
		p.Fatal(err)
	}
	return r
}

// nothingBills waits until no sandbox runs, and then wants the meter to stand still.
func (p *subscriber) nothingBills() {
	p.Helper()
	p.until("every sandbox has ended", func() bool { return p.cloud.Stats(p.T).Alive == 0 })
	if before, after := p.cloud.Stats(p.T).Billed, p.cloud.Stats(p.T).Billed; before != after {
		p.Errorf("billed %v s, and a moment later %v s", before, after)
	}
}

// heard reports whether the server sent a notification.
func heard(e *lsptest.Editor, method string) bool {
	return slices.ContainsFunc(e.State().Notifications, func(n lsptest.Notification) bool { return n.Method == method })
}

// printed is what a command that is streamed printed, as its client was told.
func printed(t *testing.T, e *lsptest.Editor, execID string) string {
	t.Helper()
	var all strings.Builder
	for _, n := range e.State().Notifications {
		var out struct{ ExecID, Data string }
		if n.Method != "glue/exec/output" {
			continue
		}
		if err := json.Unmarshal(n.Params, &out); err != nil {
			t.Fatal(err)
		}
		if out.ExecID == execID {
			all.WriteString(out.Data)
		}
	}
	return all.String()
}

// runs runs a command to its end.
func runs(e *lsptest.Editor, command string) {
	e.Call("glue/exec", map[string]any{"command": command}, nil)
}

func TestS6_WhatASandboxHeldWhenItsServerWasKilledIsOfferedAndNothingBillsOn(t *testing.T) {
	t.Parallel()
	p := onModal(t)
	e := p.editor()
	s := opened(e)
	runs(e, "echo one > captured.txt")
	e.Begin("glue/exec", map[string]any{"command": "echo two > late.txt; git add -A; git commit -qm inside; echo three > later.txt; sleep 600"})
	p.until("the command wrote", func() bool {
		var r struct{ Exists bool }
		e.Call("glue/fs/exists", map[string]any{"path": "later.txt"}, &r)
		return r.Exists
	})
	e.Kill()
	again := e.Restart(p.server())
	again.SaveCleanFiles()
	p.until("the changes are offered", func() bool {
		found := listed(again)
		return len(found) == 1 && found[0].ID == s.ID && found[0].Checkpoint.ChangedFiles == 3
	})
	p.nothingBills()
	again.Call("glue/session/return", map[string]any{"session": s.ID}, nil)
	for name, want := range map[string]string{"captured.txt": "one\n", "late.txt": "two\n", "later.txt": "three\n"} {
		if got := p.read(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	mbox, err := os.ReadFile(filepath.Join(p.home, "sessions", s.ID, "runtime.mbox"))
	if err != nil || !strings.Contains(string(mbox), "\nSubject: inside\n") {
		t.Errorf("the commit made inside did not come back: %v\n%s", err, mbox)
	}
	again.Shutdown()
	p.nothingLeft()
}

// sidecar is the process that holds the person's sandboxes.
func (p *subscriber) sidecar() int {
	p.Helper()
	for _, x := range tiedTo(p.home) {
		if isSidecar(x, p.home) {
			return x.pid
		}
	}
	p.Fatal("no sidecar runs")
	return 0
}

// killBoth kills a server and its sidecar, which gets no time to do anything about it.
func (p *subscriber) killBoth(e *lsptest.Editor) {
	p.Helper()
	side := p.sidecar()
	if err := syscall.Kill(side, syscall.SIGSTOP); err != nil {
		p.Fatal(err)
	}
	e.Kill()
	kill(p.T, side)
}

// returned is what a return or close answers.
type returned struct {
	Files       []struct{ Path string }
	Terminated  bool
	Unavailable *struct {
		Reason, Message string
		Recovered       *struct{ Seq int }
	}
}

func TestS6_WhenServerAndSidecarWereKilledTheNextStartCapturesAndEndsTheSandbox(t *testing.T) {
	t.Parallel()
	p := onModal(t)
	e := p.editor()
	s := opened(e)
	runs(e, "echo one > one.txt")
	e.Begin("glue/exec", map[string]any{"command": "echo two > two.txt; sleep 600"})
	p.until("the command wrote", func() bool {
		var r struct{ Exists bool }
		e.Call("glue/fs/exists", map[string]any{"path": "two.txt"}, &r)
		return r.Exists
	})
	p.killBoth(e)
	if alive := p.cloud.Stats(t).Alive; alive != 1 {
		t.Fatalf("%d sandboxes run: nobody was there to end it", alive)
	}
	list, _ := p.does(0, "sessions", "list")
	p.sees(list, s.ID)
	p.nothingBills()
	p.does(0, "sessions", "apply", s.ID, "--yes")
	if one, two := p.read("one.txt"), p.read("two.txt"); one != "one\n" || two != "two\n" {
		t.Errorf("one.txt %q, two.txt %q", one, two)
	}
	p.nothingLeft()
}

func TestF28_U6_KilledServerAndSidecarAreTakenUpByTheFoldersEditorWithTheirCommand(t *testing.T) {
	t.Parallel()
	p := onModal(t)
	e := p.editor()
	s := opened(e)
	e.Begin("glue/exec", map[string]any{"execId": "x", "stream": true, "command": "for i in $(seq 200); do echo $i; sleep 0.02; done; echo over > over.txt"})
	p.until("it prints", func() bool { return heard(e, "glue/exec/output") })
	p.killBoth(e)
	again := e.Restart(p.server())
	again.SaveCleanFiles()
	var now sessionSeen
	again.Call("glue/session/open", map[string]any{"resume": s.ID}, &now)
	if now.ID != s.ID || now.State != "ready" {
		t.Fatalf("resumed as %+v", now)
	}
	var r struct{ ExitCode int }
	again.Call("glue/exec/attach", map[string]any{"execId": "x", "fromByte": 0}, &r)
	if lines := strings.Count(printed(t, again, "x"), "\n"); r.ExitCode != 0 || lines != 200 {
		t.Errorf("status %d, %d lines", r.ExitCode, lines)
	}
	var out returned
	again.Call("glue/session/close", map[string]any{}, &out)
	if got := p.read("over.txt"); got != "over\n" || !out.Terminated {
		t.Errorf("over.txt %q, %+v", got, out)
	}
	again.Shutdown()
	p.nothingBills()
	p.nothingLeft()
}

func TestL3_F28_ASidecarThatIsKilledIsReplacedAndTheCommandGoesOn(t *testing.T) {
	t.Parallel()
	p := onModal(t)
	e := p.editor()
	opened(e)
	run := e.Begin("glue/exec", map[string]any{"command": "for i in $(seq 150); do echo $i; sleep 0.02; done"})
	p.until("it runs", func() bool {
		var r struct{ Execs []struct{ ExecID string } }
		e.Call("glue/exec/list", map[string]any{}, &r)
		return len(r.Execs) == 1
	})
	kill(t, p.sidecar())
	var r struct {
		ExitCode int
		Stdout   struct{ Data string }
	}
	run.Wait(&r)
	if lines := strings.Count(r.Stdout.Data, "\n"); r.ExitCode != 0 || lines != 150 {
		t.Errorf("status %d, %d lines", r.ExitCode, lines)
	}
	if n := len(p.cloud.Stats(t).Sandboxes); n != 1 {
		t.Errorf("%d sandboxes were made", n)
	}
	// The new one has the ending too.
	runs(e, "echo after > after.txt")
	e.Kill()
	p.nothingBills()
	p.does(0, "sessions", "list")
	for _, id := range p.sessions() {
		p.does(0, "sessions", "apply", id, "--yes")
	}
	if got := p.read("after.txt"); got != "after\n" {
		t.Errorf("after.txt: %q", got)
	}
}

// sessions are the names of those that there is a record of.
func (p *subscriber) sessions() (ids []string) {
	p.Helper()
	list, err := os.ReadDir(filepath.Join(p.home, "sessions"))
	if err != nil {
		p.Fatal(err)
	}
	for _, d := range list {
		ids = append(ids, d.Name())
	}
	return ids
}

func TestF17_SIGTERMOfTheSidecarEndsTheSandboxAndLosesNothing(t *testing.T) {
	t.Parallel()
	p := onModal(t)
	e := p.editor()
	s := opened(e)
	e.Begin("glue/exec", map[string]any{"command": "echo late > late.txt; sleep 600"})
	p.until("the command wrote", func() bool {
		var r struct{ Exists bool }
		e.Call("glue/fs/exists", map[string]any{"path": "late.txt"}, &r)
		return r.Exists
	})
	if err := syscall.Kill(p.sidecar(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.nothingBills()
	p.until("the session is known to be lost", func() bool { return p.record(s.ID).State == "lost" })
	var out returned
	e.Call("glue/session/close", map[string]any{"session": s.ID}, &out)
	if got := p.read("late.txt"); got != "late\n" {
		t.Errorf("late.txt: %q; %+v", got, out)
	}
	e.Shutdown()
	p.nothingLeft()
}

func TestS6_WithoutAnAgentTheFilesAreKeptAsAnImageWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	p := onModal(t)
	if err := errors.Join(os.MkdirAll(p.home, 0o700), os.WriteFile(filepath.Join(p.home, "config.yaml"), []byte("modal:\n  transport: direct\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	e := p.editor()
	s := open(e, nil)
	if s.Transport != "direct" {
		t.Fatalf("it is talked to by %q", s.Transport)
	}
	runs(e, "echo one > captured.txt")
	e.Begin("glue/exec", map[string]any{"command": "echo two > late.txt; sleep 600"})
	p.until("the command wrote", func() bool {
		var r struct{ Exists bool }
		e.Call("glue/fs/exists", map[string]any{"path": "late.txt"}, &r)
		return r.Exists
	})
	e.Kill()
	p.nothingBills()
	list, _ := p.does(0, "sessions", "list")
	p.sees(list, s.ID)
	p.does(0, "sessions", "apply", s.ID, "--yes")
	for name, want := range map[string]string{"captured.txt": "one\n", "late.txt": "two\n"} {
		if got := p.read(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	p.nothingBills()
	p.nothingLeft()
}

func TestS6_AnEditorThatQuitsLeavesNothingRunningInTheCloud(t *testing.T) {
	t.Parallel()
	p := onModal(t)
	e := p.editor()
	s := opened(e)
	runs(e, "echo kept > kept.txt")
	e.Begin("glue/exec", map[string]any{"command": "trap 'echo late > late.txt; exit' TERM; echo set > set.txt; while :; do sleep 0.05; done"})
	p.until("the trap is set", func() bool {
		var r struct{ Exists bool }
		e.Call("glue/fs/exists", map[string]any{"path": "set.txt"}, &r)
		return r.Exists
	})
	e.Shutdown()
	p.nothingBills()
	p.until("its changes are there", func() bool {
		list, _ := p.does(0, "sessions", "list")
		return strings.Contains(list, s.ID)
	})
	p.does(0, "sessions", "apply", s.ID, "--yes")
	if kept, late := p.read("kept.txt"), p.read("late.txt"); kept != "kept\n" || late != "late\n" {
		t.Errorf("kept.txt %q, late.txt %q", kept, late)
	}
	p.nothingLeft()
}

func TestU8_WhatWasThereWhenTheAgentWasKilledComesFromItsSandbox(t *testing.T) {
	t.Parallel()
	p := onModal(t)
	e := p.editor()
	s := open(e, nil)
	const killsTheAgent = `echo late > late.txt; for d in /proc/[0-9]*; do case "$(tr '\0' ' ' <"$d/cmdline")" in *" agent dae"mon" "*) kill -9 "${d#/proc/}";; esac; done; sleep 600`
	err := e.TryCall("glue/exec", map[string]any{"command": killsTheAgent}, nil)
	if err == nil || !strings.Contains(string(rawData(err.Data)), "executorDead") {
		t.Fatalf("the call in flight: %v", err)
	}
	var out returned
	e.Call("glue/session/close", map[string]any{"session": s.ID}, &out)
	if got := p.read("late.txt"); got != "late\n" || out.Unavailable == nil {
		t.Errorf("late.txt: %q, %+v", got, out)
	}
	p.nothingBills()
	e.Shutdown()
	p.nothingLeft()
}
