package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"glue-lsp/sandbox"
)

// hostPids are the processes of this machine whose command line holds the word.
func hostPids(t testing.TB, word string) []int {
	t.Helper()
	list, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, d := range list {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + d.Name() + "/cmdline")
		if err == nil && bytes.Contains(b, []byte(word)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// unique is a number of seconds that no other process sleeps for.
func unique(t testing.TB) string {
	t.Helper()
	return "9" + strconv.Itoa(os.Getpid()) + strconv.FormatInt(time.Now().UnixNano()%1_000_000_000, 10)
}

// escape is a command that leaves a process behind which has left its group, session
// and environment; it also stays itself.
func escape(word string) string {
	return "setsid -f env -i /bin/sleep " + word + "; trap '' TERM; /bin/sleep " + word
}

// startEscape starts it, and gives the word that its two processes carry once they run.
func startEscape(t *testing.T, box sandbox.Sandbox) (word string) {
	t.Helper()
	word = unique(t)
	if _, err := box.Start(testContext(t), sandbox.ExecRequest{Command: escape(word)}); err != nil {
		t.Fatal(err)
	}
	until(t, "both processes run", func() bool { return len(hostPids(t, "/bin/sleep\x00"+word)) == 2 })
	return word
}

func TestF27_CloseEndsEverything(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			box := open(t, Options{Isolation: isolation}, nil)
			word := startEscape(t, box)
			if err := box.Close(testContext(t)); err != nil {
				t.Fatal(err)
			}
			if pids := hostPids(t, word); len(pids) != 0 {
				t.Errorf("processes %v are left", pids)
			}
			select {
			case <-box.Done():
			default:
				t.Error("Done is not closed")
			}
			if _, err := os.Stat(filepath.Dir(box.state.Socket)); err != nil {
				t.Errorf("the sandbox's folder is not its to remove: %v", err)
			}
			if err := box.Close(testContext(t)); err != nil {
				t.Errorf("a second close: %v", err)
			}
		})
	}
}

func TestL2_CancelLeavesNoProcess(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			box := open(t, Options{Isolation: isolation}, nil)
			word := unique(t)
			p, err := box.Start(testContext(t), sandbox.ExecRequest{Command: escape(word)})
			if err != nil {
				t.Fatal(err)
			}
			until(t, "both processes run", func() bool { return len(hostPids(t, "/bin/sleep\x00"+word)) == 2 })
			if err := p.Cancel(testContext(t)); err != nil {
				t.Fatal(err)
			}
			if pids := hostPids(t, word); len(pids) != 0 {
				t.Errorf("processes %v are left", pids)
			}
			if got := sh(t, box, "echo on"); got != "on\n" {
				t.Errorf("the sandbox does not go on: %q", got)
			}
		})
	}
}

// A zombie still answers kill -0 and is found by pgrep.
func TestF27_ATimeoutLeavesNotEvenZombies(t *testing.T) {
	box := open(t, Options{}, nil)
	_, _, status := run(t, box, sandbox.ExecRequest{Command: "sleep 1000 & setsid sleep 1000 & sleep 1000", Timeout: 300 * time.Millisecond})
	if status != 124 {
		t.Errorf("status %d", status)
	}
	if left := sh(t, box, "cat /proc/[0-9]*/stat 2>/dev/null | grep '(sleep)' || true"); left != "" {
		t.Errorf("still there: %s", left)
	}
}

func TestADeadSandboxIsNoticedAndNamed(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			box := open(t, Options{Isolation: isolation}, nil)
			if err := syscall.Kill(box.state.Processes[0].Pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			select {
			case <-box.Done():
			case <-time.After(patience):
				t.Fatal("nobody notices")
			}
			var e *sandbox.Error
			if !errors.As(box.Err(), &e) || e.Kind != sandbox.ExecutorDead {
				t.Errorf("the reason is %v", box.Err())
			}
		})
	}
}

func TestF27_WhatADeadAgentLeftEndsToo(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			box := open(t, Options{Isolation: isolation}, nil)
			word := startEscape(t, box)
			if err := syscall.Kill(box.state.Processes[0].Pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			<-box.Done()
			if err := box.Close(testContext(t)); err != nil {
				t.Fatal(err)
			}
			until(t, "all processes are gone", func() bool { return len(hostPids(t, word)) == 0 })
		})
	}
}

// owner is a server that opens a sandbox and waits to be killed.
const ownerEnv = "GLUE_TEST_OWNER"

func TestOwnerProcess(t *testing.T) {
	dir := os.Getenv(ownerEnv)
	if dir == "" {
		return // it is a part of the tests below
	}
	isolation, word, _ := strings.Cut(os.Getenv(ownerEnv+"_ARGS"), " ")
	box, err := New(Options{Isolation: isolation, Grace: ownerGrace(word)}).Open(testContext(t), sandbox.Spec{Dir: dir, TreeDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := box.Start(testContext(t), sandbox.ExecRequest{Command: escape(word)}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "state"), box.State(), 0o600); err != nil {
		t.Fatal(err)
	}
	select {}
}

// ownerGrace is short for words that begin so.
func ownerGrace(word string) time.Duration {
	if strings.HasPrefix(word, "93") {
		return 1500 * time.Millisecond
	}
	return time.Hour
}

// killedOwner gives what a server leaves that is killed while a command runs.
func killedOwner(t *testing.T, isolation, word string) (state []byte) {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestOwnerProcess$")
	cmd.Env = append(os.Environ(), ownerEnv+"="+dir, ownerEnv+"_ARGS="+isolation+" "+word)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the owner has its sandbox", func() bool {
		state, err = os.ReadFile(filepath.Join(dir, "state"))
		return err == nil && json.Valid(state) && len(hostPids(t, "/bin/sleep\x00"+word)) == 2
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	return state
}

func TestReapEndsWhatADeadOwnerLeft(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			word := unique(t)
			state := killedOwner(t, isolation, word)
			if len(hostPids(t, "/bin/sleep\x00"+word)) != 2 {
				t.Fatal("the sandbox did not outlive its owner")
			}
			if err := New(Options{}).Reap(testContext(t), sandbox.Spec{}, state); err != nil {
				t.Fatal(err)
			}
			until(t, "all processes are gone", func() bool { return len(hostPids(t, word)) == 0 })
			if err := New(Options{}).Reap(testContext(t), sandbox.Spec{}, state); err != nil {
				t.Errorf("a second time: %v", err)
			}
		})
	}
}

func TestWithoutAnOwnerASandboxEndsAfterItsGrace(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			word := "93" + unique(t)
			killedOwner(t, isolation, word)
			until(t, "all processes are gone", func() bool { return len(hostPids(t, word)) == 0 })
		})
	}
}

func TestReapNeverKillsAnotherProcessOfTheSameNumber(t *testing.T) {
	other := exec.Command("sleep", "1000")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	id, ok := identify(other.Process.Pid)
	if !ok {
		t.Fatal("a process without an identity")
	}
	for _, change := range []func(*identity){
		func(i *identity) { i.Start += "1" },
		func(i *identity) { i.Boot = "another" },
	} {
		old := id
		change(&old)
		raw, _ := json.Marshal(state{Version: 1, Processes: []identity{old}})
		if err := New(Options{}).Reap(testContext(t), sandbox.Spec{}, raw); err != nil {
			t.Error(err)
		}
	}
	if !id.alive() {
		t.Error("it was killed")
	}
	if err := New(Options{}).Reap(testContext(t), sandbox.Spec{}, []byte("{")); err == nil {
		t.Error("a broken record is no error")
	}
}

func TestALostStreamIsTakenUpAgainThroughTheSocket(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			box := open(t, Options{Isolation: isolation}, nil)
			p, err := box.Start(testContext(t), sandbox.ExecRequest{Command: "echo one; while [ ! -e go ]; do sleep 0.01; done; echo two"})
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			res, err := p.Wait(testContext(t), func(_ sandbox.Stream, _ int64, b []byte) error {
				out.Write(b)
				if out.String() == "one\n" {
					box.proc.stream.Close()
					return os.WriteFile(filepath.Join(filepath.Dir(filepath.Dir(box.state.Socket)), "w", "go"), nil, 0o644)
				}
				return nil
			})
			if err != nil || out.String() != "one\ntwo\n" || res.ExitCode != 0 {
				t.Errorf("got %q, %+v, %v", out.String(), res, err)
			}
		})
	}
}
