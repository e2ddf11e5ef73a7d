package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"glue-lsp/sandbox"
)

// fixture is one repository, and a manager with a state folder of its own.
type fixture struct {
	*testing.T
	repo, home string
	rt         *bareRuntime
	m          *Manager

	mu    sync.Mutex
	infos []Info
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	t.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	f := &fixture{T: t, repo: filepath.Join(t.TempDir(), "repo"), home: filepath.Join(t.TempDir(), "glue")}
	f.git("init", "-q", "-b", "main", f.repo)
	f.write("a.txt", "one\n2\n3\n4\n5\ntwo\n7\n8\n9\n10\nthree\n")
	f.write("b.txt", "b\n")
	f.write("dir/c.bin", "\x00\x01\x02")
	f.git("-C", f.repo, "add", "-A")
	f.git("-C", f.repo, "-c", "user.name=P", "-c", "user.email=p@example.com", "commit", "-qm", "first")
	f.manager()
	return f
}

// manager starts another server's worth of state on the same folder.
func (f *fixture) manager() *Manager {
	f.Helper()
	f.rt = &bareRuntime{}
	m, err := NewManager(Options{
		Home: f.home, Runtimes: map[string]sandbox.Runtime{"local": f.rt}, BusyWait: 100 * time.Millisecond,
		Log: f.Logf,
		Changed: func(i Info) {
			f.mu.Lock()
			f.infos = append(f.infos, i)
			f.mu.Unlock()
		},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.m = m
	f.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := m.Shutdown(ctx); err != nil {
			f.Errorf("shutdown: %v", err)
		}
	})
	return m
}

func (f *fixture) git(args ...string) string {
	f.Helper()
	out, err := exec.Command("git", args...).CombinedOutput()
	if err != nil {
		f.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return string(out)
}

func (f *fixture) write(name, content string) {
	f.Helper()
	p := filepath.Join(f.repo, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) read(name string) string {
	f.Helper()
	b, err := os.ReadFile(filepath.Join(f.repo, name))
	if err != nil {
		f.Fatal(err)
	}
	return string(b)
}

func (f *fixture) open(o OpenOptions) *Session {
	f.Helper()
	o.Folder = f.repo
	s, err := f.m.Open(context.Background(), o, nil)
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// run runs a shell command in the session and wants it to succeed.
func (f *fixture) run(s *Session, command string) ExecOutcome {
	f.Helper()
	e, err := s.Start(context.Background(), ExecOptions{Command: command, Sync: true})
	if err != nil {
		f.Fatal(err)
	}
	out, err := e.Wait(context.Background())
	if err != nil {
		f.Fatal(err)
	}
	if out.ExitCode != 0 {
		f.Fatalf("%s: exit %d\n%s%s", command, out.ExitCode, out.Stdout, out.Stderr)
	}
	return out
}

func (f *fixture) giveBack(s *Session) *Return {
	f.Helper()
	r, err := s.Return(context.Background(), ReturnOptions{Apply: true}, nil)
	if err != nil {
		f.Fatal(err)
	}
	return r
}

func TestW1_W2_S2_S3_TheMainJobOnADirtyTree(t *testing.T) {
	f := newFixture(t)
	f.write("a.txt", "ONE\n2\n3\n4\n5\ntwo\n7\n8\n9\n10\nthree\n") // uncommitted
	f.write("staged.txt", "staged\n")
	f.git("-C", f.repo, "add", "staged.txt")
	f.write("untracked.txt", "untracked\n")
	s := f.open(OpenOptions{})
	out := f.run(s, `head -1 a.txt; cat staged.txt untracked.txt; git status --porcelain; git log --oneline | wc -l`)
	if got, want := string(out.Stdout), "ONE\nstaged\nuntracked\n1\n"; got != want {
		t.Errorf("inside: %q, want %q", got, want)
	}
	f.run(s, `sed -i s/three/THREE/ a.txt; printf '\0\377' > new.bin; rm b.txt; mv staged.txt moved.txt; chmod +x untracked.txt; mkdir x; echo hi > x/y.txt`)
	f.write("a.txt", "ONE\n2\n3\n4\n5\nTWO\n7\n8\n9\n10\nthree\n") // the person goes on meanwhile
	r := f.giveBack(s)
	if !r.Applied || len(r.Conflicts) > 0 || len(r.Skipped) > 0 {
		t.Fatalf("return: %+v", r)
	}
	if got, want := f.read("a.txt"), "ONE\n2\n3\n4\n5\nTWO\n7\n8\n9\n10\nTHREE\n"; got != want {
		t.Errorf("a.txt: %q, want %q", got, want)
	}
	if got := f.read("new.bin"); got != "\x00\xff" {
		t.Errorf("new.bin: %q", got)
	}
	if got := f.read("moved.txt") + f.read("x/y.txt"); got != "staged\nhi\n" {
		t.Errorf("moved and new: %q", got)
	}
	if _, err := os.Stat(filepath.Join(f.repo, "b.txt")); !os.IsNotExist(err) {
		t.Errorf("b.txt: %v, want it gone", err)
	}
	if st, err := os.Stat(filepath.Join(f.repo, "untracked.txt")); err != nil || st.Mode().Perm()&0o100 == 0 {
		t.Errorf("untracked.txt: %v %v, want it executable", st, err)
	}
	if again := f.giveBack(s); len(again.Files) != 0 || again.Applied {
		t.Errorf("a second return offers again: %+v", again.Files)
	}
	if r.Mbox == nil || r.Mbox.Path != filepath.Join(s.Dir(), "runtime.mbox") {
		t.Errorf("mbox: %+v", r.Mbox)
	}
	// And what the person does now goes up, on top of what was returned.
	f.write("b.txt", "back\n")
	if got := string(f.run(s, "cat b.txt; tail -1 a.txt").Stdout); got != "back\nTHREE\n" {
		t.Errorf("after the return: %q", got)
	}
}

func TestS7_F3_CommitsComeBackOneByOneAndUncommittedWorkApart(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.run(s, `echo x > one.txt && git add -A && git commit -qm "first inside" --author "Ann <ann@example.com>" --date 2020-01-02T03:04:05Z
echo y > two.txt && git add -A && git commit -qm "second inside"
echo z > three.txt`)
	r, err := s.Return(context.Background(), ReturnOptions{Apply: false}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Mbox == nil || r.Mbox.Commits != 3 {
		t.Fatalf("mbox: %+v, want 3 messages", r.Mbox)
	}
	b, err := os.ReadFile(r.Mbox.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"first inside", "second inside", "From: Ann <ann@example.com>", "2020"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the mbox does not hold %q", want)
		}
	}
	if r.Applied {
		t.Error("applied although it was not asked to")
	}
	clone := filepath.Join(t.TempDir(), "clone")
	f.git("clone", "-q", f.repo, clone)
	f.git("-C", clone, "-c", "user.name=C", "-c", "user.email=c@example.com", "am", "-q", r.Mbox.Path)
	if got := f.git("-C", clone, "log", "--format=%an %s", "-3"); !strings.HasSuffix(got, "second inside\nAnn first inside\n") {
		t.Errorf("log: %q", got)
	}
}

func TestR1_AnEndedSessionsChangesCanBeFoundShownAndReturned(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.run(s, "echo new > new.txt")
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(f.home, "trees", s.ID())); !os.IsNotExist(err) {
		t.Errorf("the sandbox's tree is still there: %v", err)
	}
	f.manager() // another process, as far as sessions can tell
	list, err := f.m.List(context.Background())
	if err != nil || len(list) != 1 || list[0].ID != s.ID() || list[0].State != Closed {
		t.Fatalf("list: %+v %v", list, err)
	}
	again, err := f.m.Find(context.Background(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	d, err := again.Diff(context.Background(), "")
	if err != nil || len(d.Files) != 1 || !strings.Contains(d.Patch, "+new") {
		t.Fatalf("diff: %+v %v", d, err)
	}
	if r := f.giveBack(again); !r.Applied || f.read("new.txt") != "new\n" {
		t.Errorf("return: %+v", r)
	}
	if list, err = f.m.List(context.Background()); err != nil || len(list) != 0 {
		t.Errorf("after the return: %+v %v", list, err)
	}
}

func TestU1_AnEmptiedRootEmptiesNothingElseWithoutAYes(t *testing.T) {
	f := newFixture(t)
	for i := range 60 {
		f.write(filepath.Join("many", string(rune('a'+i%26))+strings.Repeat("x", i)), "content\n")
	}
	s := f.open(OpenOptions{})
	f.run(s, "rm -rf many")
	if _, err := s.Return(context.Background(), ReturnOptions{Apply: true}, nil); kindOf(err) != NeedsConfirmation {
		t.Errorf("return: %v, want needsConfirmation", err)
	}
	if names, err := os.ReadDir(filepath.Join(f.repo, "many")); err != nil || len(names) != 60 {
		t.Errorf("%d files left (%v), want 60", len(names), err)
	}
	r, err := s.Return(context.Background(), ReturnOptions{Apply: true, AllowMassDelete: true}, nil)
	if err != nil || !r.Applied {
		t.Errorf("with a yes: %+v %v", r, err)
	}
}

func TestU1_AnEmptiedWorkspaceDoesNotEmptyTheSandboxWithoutAYes(t *testing.T) {
	f := newFixture(t)
	for i := range 60 {
		f.write(filepath.Join("many", strings.Repeat("x", i+1)), "content\n")
	}
	s := f.open(OpenOptions{})
	if err := os.RemoveAll(filepath.Join(f.repo, "many")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Start(context.Background(), ExecOptions{Command: "true", Sync: true}); kindOf(err) != NeedsConfirmation {
		t.Errorf("start: %v, want needsConfirmation", err)
	}
	if r, err := s.Sync(context.Background(), true, nil); err != nil || r.Sent != 60 {
		t.Errorf("sync with a yes: %+v %v", r, err)
	}
}

func kindOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

func TestASecondServerOnTheWorkspaceIsToldWhoHasIt(t *testing.T) {
	f := newFixture(t)
	first := f.open(OpenOptions{})
	if same := f.open(OpenOptions{}); same != first {
		t.Error("the same server opened a second session")
	}
	f.manager()
	_, err := f.m.Open(context.Background(), OpenOptions{Folder: f.repo}, nil)
	if kindOf(err) != Busy || !strings.Contains(err.Error(), first.ID()) {
		t.Fatalf("got %v, want %s naming %s", err, Busy, first.ID())
	}
	if left, err := os.ReadDir(filepath.Join(f.home, "sessions")); err != nil || len(left) != 1 {
		t.Errorf("the refused opening left something behind: %v %v", left, err)
	}
	second := f.open(OpenOptions{New: true})
	f.run(second, "echo two > two.txt")
	f.run(first, "echo one > one.txt")
	if r := f.giveBack(second); !r.Applied {
		t.Errorf("second: %+v", r)
	}
	if r := f.giveBack(first); !r.Applied || f.read("one.txt")+f.read("two.txt") != "one\ntwo\n" {
		t.Errorf("first: %+v", r)
	}
}

func TestADeadSandboxIsSaidAtOnceAndItsLastCheckpointIsReturned(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.run(s, "echo safe > safe.txt")
	if _, err := s.Checkpoint(context.Background()); err != nil {
		t.Fatal(err)
	}
	slow, err := s.Start(context.Background(), ExecOptions{Command: "sleep 600"})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.rt.newest().cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Wait(context.Background()); !isDead(err) {
		t.Errorf("the running command: %v, want executorDead", err)
	}
	r := f.giveBack(s)
	if r.Unavailable == nil || r.Unavailable.Reason != "executorDead" || r.Unavailable.Recovered == nil || !r.Applied {
		t.Fatalf("return: %+v", r)
	}
	if got := f.read("safe.txt"); got != "safe\n" {
		t.Errorf("safe.txt: %q", got)
	}
	if _, err := s.Start(context.Background(), ExecOptions{Command: "true"}); kindOf(err) != Lost {
		t.Errorf("start: %v, want %s", err, Lost)
	}
	if other := f.open(OpenOptions{}); other == s {
		t.Error("a lost session was given out as open")
	}
}

func TestEachCommandsCheckpointIsAnnounced(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	last := 0
	for _, command := range []string{"true", "echo x > x", "true"} {
		out := f.run(s, command)
		if out.Checkpoint <= last {
			t.Errorf("%s: checkpoint %d after %d", command, out.Checkpoint, last)
		}
		last = out.Checkpoint
		f.await(func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return slices.ContainsFunc(f.infos, func(i Info) bool { return i.Checkpoint.Seq >= last })
		})
	}
	st, err := readState(s.Dir())
	if err != nil || st.Checkpoint.ChangedFiles != 1 {
		t.Errorf("on disk: %+v %v", st.Checkpoint, err)
	}
}

// await polls until something holds; a test's own deadline ends it.
func (f *fixture) await(holds func() bool) {
	f.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			f.Fatal("it never happened")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestR4_AConflictIsNamedAndLeavesBothSidesAlone(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.run(s, "echo sandbox > b.txt")
	f.write("b.txt", "person\n")
	r := f.giveBack(s)
	if len(r.Conflicts) != 1 || r.Conflicts[0].Path != "b.txt" || r.Applied {
		t.Fatalf("return: %+v", r)
	}
	if got := f.read("b.txt"); got != "person\n" {
		t.Errorf("b.txt: %q", got)
	}
	out := f.run(s, "cat b.txt")
	if string(out.Stdout) != "sandbox\n" {
		t.Errorf("inside: %q", out.Stdout)
	}
	if w := s.Info().Warnings; len(w) == 0 || !strings.Contains(w[len(w)-1], "b.txt") {
		t.Errorf("no warning names the conflict: %q", w)
	}
	// The person settles it by hand; the next return has nothing to say.
	f.write("b.txt", "sandbox\n")
	if r := f.giveBack(s); len(r.Conflicts) != 0 || len(r.Files) != 0 {
		t.Errorf("after settling: %+v", r)
	}
}

func TestAnAgentThatForgotWhatItToldIsToldAgain(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.run(s, "echo one > one.txt; rm b.txt")
	s.update(func(st *state) { st.Token = "an answer that was lost" })
	f.run(s, "echo two > two.txt")
	r := f.giveBack(s)
	if len(r.Files) != 3 || !r.Applied || f.read("one.txt")+f.read("two.txt") != "one\ntwo\n" {
		t.Errorf("return: %+v", r)
	}
}

func TestU10_ALogThatCannotBeWrittenIsNotTheCommandsFailure(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	if err := os.WriteFile(filepath.Join(s.Dir(), "exec"), nil, 0o600); err != nil { // a file where the folder would be
		t.Fatal(err)
	}
	if out := f.run(s, "echo fine"); string(out.Stdout) != "fine\n" {
		t.Errorf("output: %q", out.Stdout)
	}
}

func TestOutputCanBeFollowedFromAnyByte(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	e, err := s.Start(context.Background(), ExecOptions{Command: "echo out; sleep 0.1; echo err >&2; sleep 0.1; echo end"})
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[int64]string{0: "1:out\n|2:err\n|1:end\n|", 2: "1:t\n|2:err\n|1:end\n|", 100: ""} {
		var got strings.Builder
		out, err := e.Follow(context.Background(), from, func(st sandbox.Stream, _ int64, p []byte) error {
			fmt.Fprintf(&got, "%d:%s|", st, p)
			return nil
		})
		if err != nil || out.ExitCode != 0 || got.String() != want {
			t.Errorf("from %d: %q (%v), want %q", from, got.String(), err, want)
		}
	}
}

func TestBufferedOutputKeepsItsFirstAndLastHalves(t *testing.T) {
	for _, tc := range []struct {
		limit   int64
		writes  []string
		want    string
		dropped int64
	}{
		{10, []string{"abc"}, "abc", 0},
		{10, []string{"0123456789"}, "0123456789", 0},
		{10, []string{"0123456789abc"}, "0123489abc", 3},
		{10, []string{"01234", "56", "789", "abc"}, "0123489abc", 3},
		{10, []string{"01234", "5678901234567890123456789"}, "0123456789", 20},
		{4, []string{"a", "b", "c", "d", "e", "f", "g"}, "abfg", 3},
	} {
		h := newHeadTail(tc.limit)
		for _, w := range tc.writes {
			h.write([]byte(w))
		}
		got, dropped := h.bytes()
		if string(got) != tc.want || dropped != tc.dropped {
			t.Errorf("%q in %d: %q and %d dropped, want %q and %d", tc.writes, tc.limit, got, dropped, tc.want, tc.dropped)
		}
	}
}
