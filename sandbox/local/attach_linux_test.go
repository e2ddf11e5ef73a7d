package local

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"glue-lsp/sandbox"
)

func kindOf(err error) sandbox.Kind {
	var e *sandbox.Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// changed gives a sandbox's record with something else in it.
func changed(t *testing.T, sb sandbox.Sandbox, change func(*state)) []byte {
	t.Helper()
	var s state
	if err := json.Unmarshal(sb.State(), &s); err != nil {
		t.Fatal(err)
	}
	change(&s)
	return s.encode()
}

func TestARecordOfAnotherSandboxJoinsNothing(t *testing.T) {
	box, other := open(t, Options{Isolation: None}, nil), open(t, Options{Isolation: None}, nil)
	for _, c := range []struct {
		name   string
		change func(*state)
		want   sandbox.Kind
	}{
		{"another agent", func(s *state) { s.Instance = "someone else" }, sandbox.ExecutorDead},
		{"a process of that number that is not it", func(s *state) { s.Processes[0].Start += "1" }, sandbox.ExecutorDead},
		{"another boot", func(s *state) { s.Processes[0].Boot = "then" }, sandbox.ExecutorDead},
		{"no process at all", func(s *state) { s.Processes = nil }, sandbox.ExecutorDead},
		{"another's socket", func(s *state) { s.Socket = other.state.Socket }, sandbox.InvalidParams},
		{"an isolation that there is not", func(s *state) { s.Isolation = "auto" }, sandbox.InvalidParams},
	} {
		if _, err := New(Options{}).Attach(testContext(t), specOf(box), changed(t, box, c.change)); kindOf(err) != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	if _, err := New(Options{}).Attach(testContext(t), specOf(box), []byte("{")); kindOf(err) != sandbox.InvalidParams {
		t.Errorf("rubbish: %v", err)
	}
}

func TestASocketThatLeadsElsewhereIsNotFollowed(t *testing.T) {
	box, other := open(t, Options{Isolation: None}, nil), open(t, Options{Isolation: None}, nil)
	if err := os.Remove(box.state.Socket); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other.state.Socket, box.state.Socket); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{}).Attach(testContext(t), specOf(box), box.State()); kindOf(err) != sandbox.RuntimeUnavailable {
		t.Errorf("attach: %v", err)
	}
}

func TestWithoutATreeNothingIsReopened(t *testing.T) {
	box := open(t, Options{Isolation: None}, nil)
	if err := box.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(specOf(box).TreeDir, treeName)); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{}).Reopen(testContext(t), specOf(box), box.State()); kindOf(err) != sandbox.FileNotFound {
		t.Errorf("reopen: %v", err)
	}
}

func TestATreeThatWasConfinedIsNotReopenedWithoutIsolation(t *testing.T) {
	box := open(t, Options{Isolation: Bubblewrap}, nil)
	if err := box.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	// A git inside runs what the tree's configuration says.
	r := New(Options{Isolation: None, Bubblewrap: filepath.Join(t.TempDir(), "no bwrap")})
	if _, err := r.Reopen(testContext(t), specOf(box), box.State()); kindOf(err) != sandbox.RuntimeUnavailable {
		t.Errorf("reopen: %v", err)
	}
}

func TestF28_AKilledOwnersSandboxIsJoinedWithItsCommands(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			word := unique(t)
			raw := killedOwner(t, isolation, word)
			var s state
			if err := json.Unmarshal(raw, &s); err != nil {
				t.Fatal(err)
			}
			box, err := New(Options{}).Attach(testContext(t), sandbox.Spec{TreeDir: filepath.Dir(filepath.Dir(s.Socket))}, raw)
			if err != nil {
				t.Fatal(err)
			}
			list, err := box.Processes(testContext(t))
			if err != nil || len(list) != 1 || list[0].State != "running" {
				t.Errorf("what runs: %+v %v", list, err)
			}
			if len(hostPids(t, "/bin/sleep\x00"+word)) != 2 {
				t.Error("joining ended something")
			}
			if err := box.Close(testContext(t)); err != nil {
				t.Fatal(err)
			}
			until(t, "all processes are gone", func() bool { return len(hostPids(t, word)) == 0 })
		})
	}
}

func TestS4_TheDeathOfAJoinedSandboxIsNoticed(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			first := open(t, Options{Isolation: isolation}, nil)
			first.Detach()
			box, err := New(Options{}).Attach(testContext(t), specOf(first), first.State())
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(first.state.Processes[0].Pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			select {
			case <-box.Done():
			case <-testContext(t).Done():
				t.Fatal("nobody notices")
			}
			if kindOf(box.Err()) != sandbox.ExecutorDead {
				t.Errorf("the reason is %v", box.Err())
			}
			if err := box.Close(testContext(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestASandboxThatNobodyRecordedIsEndedByItsFolder(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			box := open(t, Options{Isolation: isolation}, nil)
			word := startEscape(t, box)
			spec := specOf(box)
			box.Detach() // its owner died before it wrote the record
			if err := New(Options{}).Reap(testContext(t), spec, nil); err != nil {
				t.Fatal(err)
			}
			until(t, "all processes are gone", func() bool { return len(hostPids(t, word)) == 0 && !box.state.anyAlive() })
			if err := New(Options{}).Reap(testContext(t), spec, nil); err != nil {
				t.Errorf("a second time: %v", err)
			}
		})
	}
}
