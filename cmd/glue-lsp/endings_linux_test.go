package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"glue-lsp/internal/lsptest"
)

// These tests end processes of the real program at named moments, as a crash, a closed
// laptop or an impatient editor would, and look at what the next start gives back.

const endingPatience = 60 * time.Second

func (p *person) until(what string, holds func() bool) {
	p.Helper()
	for deadline := time.Now().Add(endingPatience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.Fatalf("never: %s", what)
		}
	}
}

func (p *person) server() lsptest.Server {
	p.Helper()
	cmd := p.glue("serve", "--stdio", "--log-level", "warn")
	return lsptest.Binary(cmd.Path, cmd.Args[1:], cmd.Env)
}

// editor opens the person's repository in an editor.
func (p *person) editor() *lsptest.Editor {
	p.Helper()
	e := lsptest.Start(p.T, p.server(), lsptest.Options{Root: p.repo, Patience: endingPatience})
	e.SaveCleanFiles() // so that the disk shows what came back
	e.Initialize(lsptest.VSCode())
	return e
}

type sessionSeen struct {
	ID         string `json:"id"`
	State      string `json:"state"`
	Checkpoint struct {
		Seq          int `json:"seq"`
		ChangedFiles int `json:"changedFiles"`
	} `json:"checkpoint"`
	Execs []struct {
		ExecID string `json:"execId"`
		State  string `json:"state"`
	} `json:"execs"`
}

func opened(e *lsptest.Editor) (s sessionSeen) {
	e.Call("glue/session/open", map[string]any{}, &s)
	return s
}

func listed(e *lsptest.Editor) []sessionSeen {
	var list struct {
		Sessions []sessionSeen `json:"sessions"`
	}
	e.Call("glue/session/list", map[string]any{}, &list)
	return list.Sessions
}

// inside is a file of the sandbox's tree.
func (p *person) inside(id, name string) string { return filepath.Join(p.home, "trees", id, "w", name) }

func (p *person) appears(file string) {
	p.Helper()
	p.until(file+" appears", func() bool { _, err := os.Stat(file); return err == nil })
}

// sandboxPids are the processes of a session's sandbox, by what the host records of it.
func (p *person) sandboxPids(id string) []int {
	p.Helper()
	b, err := os.ReadFile(filepath.Join(p.home, "sessions", id, "session.json"))
	if err != nil {
		p.Fatal(err)
	}
	var st struct {
		Sandbox []byte `json:"sandbox"`
	}
	var box struct {
		Processes []struct {
			Pid int `json:"pid"`
		} `json:"processes"`
	}
	if err := errors.Join(json.Unmarshal(b, &st), json.Unmarshal(st.Sandbox, &box)); err != nil {
		p.Fatal(err)
	}
	var pids []int
	for _, x := range box.Processes {
		pids = append(pids, x.Pid)
	}
	if len(pids) == 0 {
		p.Fatalf("session %s records no process", id)
	}
	return pids
}

func kill(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
	}
}

// nothingLeft checks that no process, mount or tree is left, and no change to return.
func (p *person) nothingLeft() {
	p.Helper()
	p.until("every process has ended", func() bool { return len(tiedTo(p.home)) == 0 })
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || bytes.Contains(mounts, []byte(p.home)) {
		p.Errorf("a mount is left, or cannot be looked for: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(p.home, "trees")); err != nil && !errors.Is(err, fs.ErrNotExist) || len(left) != 0 {
		p.Errorf("trees are left: %v %v", left, err)
	}
	if list, _ := p.does(0, "sessions", "list"); !strings.Contains(list, "Nothing is waiting") {
		p.Errorf("sessions list: %s", list)
	}
}

// eachIsolation plays with each isolation that this system has to have.
func eachIsolation(t *testing.T, play func(p *person)) {
	for _, isolation := range []string{"bubblewrap", "none"} {
		t.Run(isolation, func(t *testing.T) {
			p := newPerson(t)
			p.env = append(p.env, "GLUE_LOCAL_ISOLATION="+isolation)
			play(p)
		})
	}
}

// halfWay opens a session in which a command is in the middle of its work: one file is in
// a checkpoint that was announced, another is not.
func (p *person) halfWay(e *lsptest.Editor) sessionSeen {
	p.Helper()
	s := opened(e)
	var done struct {
		ExitCode int `json:"exitCode"`
	}
	e.Call("glue/exec", map[string]any{"command": "echo announced > one.txt"}, &done)
	e.Call("glue/session/checkpoint", map[string]any{}, nil)
	e.Begin("glue/exec", map[string]any{
		"execId": "long", "command": "echo begun; echo written > two.txt; touch up; until test -e go; do sleep 0.02; done; echo on > three.txt; echo done; exit 3",
	})
	p.appears(p.inside(s.ID, "up"))
	return s
}

func TestS6_F28_AKilledServersCommandGoesOnWithTheNextServer(t *testing.T) {
	eachIsolation(t, func(p *person) {
		e := p.editor()
		s := p.halfWay(e)
		e = e.Restart(p.server())
		var again sessionSeen
		e.Call("glue/session/open", map[string]any{"resume": s.ID}, &again)
		if again.ID != s.ID || again.State != "ready" || len(again.Execs) != 1 || again.Execs[0].ExecID != "long" {
			p.Fatalf("resumed: %+v", again)
		}
		if err := os.WriteFile(p.inside(s.ID, "go"), nil, 0o644); err != nil {
			p.Fatal(err)
		}
		var out struct {
			ExitCode int `json:"exitCode"`
		}
		e.Call("glue/exec/attach", map[string]any{"execId": "long", "fromByte": 0}, &out)
		if out.ExitCode != 3 {
			p.Errorf("the command ended with %d", out.ExitCode)
		}
		var text strings.Builder
		for _, n := range e.State().Notifications {
			var piece struct{ ExecID, Data string }
			if n.Method == "glue/exec/output" && json.Unmarshal(n.Params, &piece) == nil && piece.ExecID == "long" {
				text.WriteString(piece.Data)
			}
		}
		if text.String() != "begun\ndone\n" {
			p.Errorf("its output: %q", text.String())
		}
		if log, err := os.ReadFile(filepath.Join(p.home, "sessions", s.ID, "exec", "long.log")); string(log) != "begun\ndone\n" {
			p.Errorf("its log: %q %v", log, err)
		}
		e.Call("glue/session/close", map[string]any{}, nil)
		if got := p.read("one.txt") + p.read("two.txt") + p.read("three.txt"); got != "announced\nwritten\non\n" {
			p.Errorf("came back: %q", got)
		}
		e.Shutdown()
		p.nothingLeft()
	})
}

// ends of a server, an agent or both in the middle of a command.
func TestS6_U8_WhateverIsKilledOneActionGivesTheChangesBack(t *testing.T) {
	for name, end := range map[string]func(p *person, e *lsptest.Editor, s sessionSeen){
		"the server":                   func(p *person, e *lsptest.Editor, s sessionSeen) { e.Kill() },
		"the server, then the sandbox": func(p *person, e *lsptest.Editor, s sessionSeen) { e.Kill(); kill(p.T, p.sandboxPids(s.ID)...) },
		"the sandbox, then the server": func(p *person, e *lsptest.Editor, s sessionSeen) { kill(p.T, p.sandboxPids(s.ID)...); e.Kill() },
		"the server and the sandbox at once": func(p *person, e *lsptest.Editor, s sessionSeen) {
			kill(p.T, append([]int{e.Pid()}, p.sandboxPids(s.ID)...)...)
			e.Kill()
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachIsolation(t, func(p *person) {
				e := p.editor()
				s := p.halfWay(e)
				end(p, e, s)
				p.does(0, "sessions", "apply", "--yes", s.ID)
				if got := p.read("one.txt") + p.read("two.txt"); got != "announced\nwritten\n" {
					p.Errorf("came back: %q", got)
				}
				p.nothingLeft()
			})
		})
	}
}

func TestS4_ASandboxThatIsKilledSettlesItsCallsAndLosesNothing(t *testing.T) {
	eachIsolation(t, func(p *person) {
		e := p.editor()
		s := p.halfWay(e)
		waiting := e.Begin("glue/exec/attach", map[string]any{"execId": "long"})
		kill(p.T, p.sandboxPids(s.ID)...)
		if err := waiting.Wait(nil); err == nil || !strings.Contains(string(rawData(err.Data)), "executorDead") {
			p.Errorf("the call in flight: %v", err)
		}
		var back struct {
			Applied     bool `json:"applied"`
			Unavailable *struct {
				Reason    string          `json:"reason"`
				Recovered json.RawMessage `json:"recovered"`
			} `json:"unavailable"`
		}
		e.Call("glue/session/return", map[string]any{"session": s.ID}, &back)
		if back.Unavailable == nil || back.Unavailable.Reason != "executorDead" || len(back.Unavailable.Recovered) == 0 || !back.Applied {
			p.Errorf("return: %+v", back)
		}
		if got := p.read("one.txt") + p.read("two.txt"); got != "announced\nwritten\n" {
			p.Errorf("came back: %q", got)
		}
		e.Shutdown()
		p.nothingLeft()
	})
}

func rawData(v any) []byte { b, _ := json.Marshal(v); return b }

func TestShutdownIsQuickAndAFinisherDoesTheRest(t *testing.T) {
	p := newPerson(t)
	e := p.editor()
	s := p.halfWay(e)
	// A command that takes its time to end, with something to save at the end of it.
	e.Begin("glue/exec", map[string]any{"command": "trap 'sleep 1.5; echo last > last.txt; exit' TERM; touch trapped; while :; do sleep 0.02; done"})
	p.appears(p.inside(s.ID, "trapped"))
	began := time.Now()
	e.Call("shutdown", nil, nil)
	if took := time.Since(began); took > 4*time.Second {
		p.Errorf("shutdown took %s", took)
	}
	e.Kill() // as an editor does that does not wait
	p.Cleanup(func() {
		if log, err := os.ReadFile(filepath.Join(p.home, "sessions", s.ID, "finish.log")); p.Failed() {
			p.Logf("left: %+v\nthe finisher: %s %v", tiedTo(p.home), log, err)
		}
	})
	p.until("the finisher has ended the session", func() bool { return len(tiedTo(p.home)) == 0 })
	out, _ := p.does(0, "sessions", "list")
	p.sees(out, s.ID, "closed")
	p.does(0, "sessions", "apply", "--yes", s.ID)
	if got := p.read("one.txt") + p.read("two.txt") + p.read("last.txt"); got != "announced\nwritten\nlast\n" {
		p.Errorf("came back: %q", got)
	}
	p.nothingLeft()
}

func TestSignalsAndAClosedInputEndASessionProperly(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			p := newPerson(t)
			e := p.editor()
			s := p.halfWay(e)
			if err := syscall.Kill(e.Pid(), sig); err != nil {
				p.Fatal(err)
			}
			p.until("the session has ended", func() bool { return len(tiedTo(p.home)) == 0 })
			e.Kill()
			out, _ := p.does(0, "sessions", "list")
			p.sees(out, s.ID, "closed")
			p.does(0, "sessions", "apply", "--yes", s.ID)
			if got := p.read("one.txt") + p.read("two.txt"); got != "announced\nwritten\n" {
				p.Errorf("came back: %q", got)
			}
			p.nothingLeft()
		})
	}
}

func TestS6_TheNextStartOffersTheChangesInTheEditor(t *testing.T) {
	p := newPerson(t)
	e := p.editor()
	s := opened(e)
	e.Call("glue/exec", map[string]any{"command": "echo new > new.txt"}, nil)
	e.Call("glue/session/checkpoint", map[string]any{}, nil)
	e.Kill()
	kill(t, p.sandboxPids(s.ID)...)
	next := lsptest.Start(t, p.server(), lsptest.Options{Root: p.repo, Patience: endingPatience})
	next.OnMessage(func(m lsptest.Message) string {
		if strings.Contains(m.Text, "did not come back") {
			return "Return changes"
		}
		return ""
	})
	next.Initialize(lsptest.VSCode())
	p.until("the changes are back", func() bool { _, err := os.Stat(filepath.Join(p.repo, "new.txt")); return err == nil })
	p.until("nothing is kept", func() bool { return len(listed(next)) == 0 })
	next.Shutdown()
	p.nothingLeft()
}

func TestRunSaysInOneLineWhatADeadServerLeft(t *testing.T) {
	p := newPerson(t)
	e := p.editor()
	s := opened(e)
	e.Call("glue/exec", map[string]any{"command": "echo new > new.txt"}, nil)
	e.Call("glue/session/checkpoint", map[string]any{}, nil)
	e.Kill()
	_, errs := p.does(0, "run", "--", "true")
	p.sees(errs, s.ID)
	p.does(0, "sessions", "discard", "--yes", s.ID)
	p.nothingLeft()
}
