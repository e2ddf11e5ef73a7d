package session

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"glue-lsp/sandbox"
)

// die makes the session one whose owner was killed: what is on the disk stays as it is,
// the sandbox goes on, and nobody has the locks.
func (f *fixture) die(s *Session) {
	f.Helper()
	s.letGo(context.Background())
	s.m.o.Finish = nil
}

// lasting gives sandboxes time to be found again.
func (f *fixture) lasting() *fixture {
	f.rt.grace = time.Minute
	return f
}

// another starts another server's worth of state on the same folder.
func (f *fixture) another() *Manager {
	f.Helper()
	m := f.manager()
	f.rt.grace = time.Minute
	return m
}

func (f *fixture) resume(id string) (*Session, error) {
	return f.m.Open(context.Background(), OpenOptions{Resume: id}, nil)
}

func (f *fixture) begin(s *Session, id, command string) *Exec {
	f.Helper()
	e, err := s.Start(context.Background(), ExecOptions{ID: id, Command: command})
	if err != nil {
		f.Fatal(err)
	}
	return e
}

// appears waits for a file in the sandbox's tree.
func (f *fixture) appears(s *Session, name string) {
	f.Helper()
	p := filepath.Join(f.home, "trees", s.ID(), "w", name)
	f.await(func() bool { _, err := os.Stat(p); return err == nil })
}

func (f *fixture) put(s *Session, name string) {
	f.Helper()
	if err := os.WriteFile(filepath.Join(f.home, "trees", s.ID(), "w", name), nil, 0o644); err != nil {
		f.Fatal(err)
	}
}

// output is what a command printed from a byte on, and how it ended.
func output(t *testing.T, e *Exec, from int64) (string, ExecOutcome) {
	t.Helper()
	var b bytes.Buffer
	out, err := e.Follow(context.Background(), from, func(_ sandbox.Stream, off int64, p []byte) error {
		if off != from+int64(b.Len()) {
			t.Errorf("a piece at %d, expected at %d", off, from+int64(b.Len()))
		}
		b.Write(p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), out
}

func kindWanted(t *testing.T, err error, kind string) {
	t.Helper()
	if kindOf(err) != kind {
		t.Errorf("got %v, want kind %s", err, kind)
	}
}

func TestF28_L1_AResumedSessionsCommandsGoOnWithTheirWholeOutput(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.begin(s, "done", "echo finished before; exit 3")
	if _, err := s.execs["done"].Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	long := f.begin(s, "long", "echo one; until test -e one; do sleep 0.01; done; echo two >&2; touch up; until test -e go; do sleep 0.01; done; echo three; exit 4")
	f.begin(s, "meanwhile", "touch up2; until test -e go2; do sleep 0.01; done; echo ended alone >&2; touch over; exit 5")
	f.begin(s, "shell", "(until test -e never; do sleep 0.05; done) >/dev/null 2>&1 & echo left one behind")
	f.await(func() bool { return long.log.offsets().Stdout == 4 })
	f.put(s, "one")
	f.appears(s, "up")
	f.appears(s, "up2")
	f.await(func() bool { return long.log.offsets() == sandbox.Offsets{Stdout: 4, Stderr: 4} })
	if _, err := s.execs["shell"].Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	f.die(s)
	f.put(s, "go2")
	f.appears(s, "over")

	f.another()
	again, err := f.resume(s.ID())
	if err != nil {
		t.Fatal(err)
	}
	if again.ID() != s.ID() || again.Info().State != Ready {
		t.Fatalf("resumed: %+v", again.Info())
	}
	// The last thing that "meanwhile" did was seen; that it has ended may come a moment later.
	f.await(func() bool {
		list, err := again.Execs(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		states := map[string]string{}
		for _, e := range list {
			states[e.ExecID] = e.State
		}
		return maps.Equal(states, map[string]string{"long": "running", "shell": "background"})
	})
	f.put(s, "go")
	for id, want := range map[string]struct {
		out  string
		code int
	}{"long": {"one\ntwo\nthree\n", 4}, "meanwhile": {"ended alone\n", 5}, "done": {"finished before\n", 3}} {
		_, e, err := f.m.Exec(id)
		if err != nil {
			t.Fatal(err)
		}
		got, res := output(t, e, 0)
		if got != want.out || res.ExitCode != want.code || res.Lost != (sandbox.Offsets{}) {
			t.Errorf("%s: %q, %+v; want %q and %d", id, got, res.ExecResult, want.out, want.code)
		}
		if b, err := os.ReadFile(e.LogFile()); string(b) != want.out {
			t.Errorf("%s: the log holds %q %v", id, b, err)
		}
		if rest, _ := output(t, e, 2); rest != want.out[2:] {
			t.Errorf("%s from byte 2: %q", id, rest)
		}
	}
	// And everything else works.
	f.write("b.txt", "changed here\n")
	if got := string(f.run(again, "cat b.txt; echo inside > new.txt").Stdout); got != "changed here\n" {
		t.Errorf("inside: %q", got)
	}
	if r := f.giveBack(again); !r.Applied || r.Unavailable != nil || f.read("new.txt") != "inside\n" {
		t.Errorf("return: %+v", r)
	}
}

func TestF28_OutputThatNobodyCouldTakeIsCountedInTheLog(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.begin(s, "flood", "echo begin; touch up; until test -e go; do sleep 0.01; done; head -c 20000000 /dev/zero; echo end; touch over; until test -e go2; do sleep 0.01; done")
	f.appears(s, "up")
	f.await(func() bool { return s.execs["flood"].log.offsets().Stdout == 6 })
	f.die(s)
	f.put(s, "go")
	f.appears(s, "over")
	f.another()
	again, err := f.resume(s.ID())
	if err != nil {
		t.Fatal(err)
	}
	f.put(s, "go2")
	_, e, err := f.m.Exec("flood")
	if err != nil {
		t.Fatal(err)
	}
	got, res := output(t, e, 0)
	if !strings.HasPrefix(got, "begin\n\n[glue: ") || !strings.HasSuffix(got, "\x00end\n") || res.Lost.Stdout == 0 {
		t.Errorf("%d bytes, beginning with %q; lost %+v", len(got), got[:min(len(got), 80)], res.Lost)
	}
	if want := 20000010 - int(res.Lost.Stdout); strings.Count(got, "\x00")+10 != want {
		t.Errorf("%d bytes are there and %d are said to be lost", strings.Count(got, "\x00")+10, res.Lost.Stdout)
	}
	_ = again
}

func TestTheNewestSessionOfAFolderIsTakenUpAgainByOpening(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.run(s, "echo inside > new.txt")
	f.die(s)
	f.another()
	if again := f.open(OpenOptions{}); again.ID() != s.ID() {
		t.Fatalf("opened %s, not %s", again.ID(), s.ID())
	} else if again.Info().Checkpoint.Seq < s.Info().Checkpoint.Seq {
		t.Errorf("the checkpoints go back: %+v", again.Info().Checkpoint)
	}
	if other := f.open(OpenOptions{New: true}); other.ID() == s.ID() {
		t.Error("a new session was asked for")
	}
}

func TestASeparateSessionIsNotTakenUpByOpening(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{New: true})
	f.die(s)
	f.another()
	if other := f.open(OpenOptions{}); other.ID() == s.ID() {
		t.Error("it was")
	}
	if again, err := f.resume(s.ID()); err != nil || again.ID() != s.ID() {
		t.Errorf("by its id: %v", err)
	}
}

func TestL1_ResumeOfADeadSandboxSaysSoAndKeepsAllThatItWrote(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.run(s, "echo checkpointed > one.txt")
	f.begin(s, "x", "echo not yet > two.txt; sleep 600")
	f.appears(s, "two.txt")
	f.die(s)
	if err := f.rt.Reap(context.Background(), sandbox.Spec{}, s.sb.State()); err != nil {
		t.Fatal(err)
	}
	f.another()
	_, err := f.resume(s.ID())
	kindWanted(t, err, Lost)
	var e *Error
	if errors.As(err, &e); e == nil || !strings.Contains(e.Message, "2 changed files") || e.Hint == "" || e.Checkpoint == 0 {
		t.Errorf("it says: %+v", e)
	}
	if len(f.m.open) != 0 {
		t.Error("a session was opened all the same")
	}
	ended, err := f.m.Find(context.Background(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	r := f.giveBack(ended)
	if r.Unavailable == nil || r.Unavailable.Recovered == nil || r.Unavailable.Reason != "executorDead" || !r.Applied {
		t.Errorf("return: %+v", r)
	}
	if got := f.read("one.txt") + f.read("two.txt"); got != "checkpointed\nnot yet\n" {
		t.Errorf("came back: %q", got)
	}
	f.nothingLeft(s.ID())
}

// nothingLeft checks that a session left no tree.
func (f *fixture) nothingLeft(id string) {
	f.Helper()
	if _, err := os.Lstat(filepath.Join(f.home, "trees", id)); !os.IsNotExist(err) {
		f.Errorf("the sandbox's folder is still there (%v)", err)
	}
}

func TestS5_ASecondServerIsToldWhoHasTheSession(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.another()
	for name, o := range map[string]OpenOptions{
		"resume": {Resume: s.ID()}, "attach": {Attach: s.Info().SandboxID}, "folder": {Folder: f.repo},
	} {
		_, err := f.m.Open(context.Background(), o, nil)
		kindWanted(t, err, Busy)
		if err != nil && (!strings.Contains(err.Error(), s.ID()) || !strings.Contains(err.Error(), "process ")) {
			t.Errorf("%s: it does not say who: %v", name, err)
		}
	}
}

func TestS1_AttachingToADeadOwnersSandboxKeepsItsBase(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.run(s, "echo inside >> b.txt")
	id, base := s.Info().SandboxID, s.Info().Base.Commit
	f.die(s)
	f.another()
	again, err := f.m.Open(context.Background(), OpenOptions{Attach: id}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if again.Info().Base.Commit != base {
		t.Error("its base is another one")
	}
	if r := f.giveBack(again); !r.Applied || f.read("b.txt") != "b\ninside\n" {
		t.Errorf("return: %+v", r)
	}
	_, err = f.m.Open(context.Background(), OpenOptions{Attach: "local-none"}, nil)
	kindWanted(t, err, Lost)
}

func TestF9_AResumedSessionsReturnKeepsTheEarlierMbox(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.run(s, "echo first > first.txt")
	if _, err := s.Return(context.Background(), ReturnOptions{}, nil); err != nil { // prepared, not applied
		t.Fatal(err)
	}
	earlier, err := os.ReadFile(filepath.Join(s.Dir(), "runtime.mbox"))
	if err != nil {
		t.Fatal(err)
	}
	f.die(s)
	f.another()
	again, err := f.resume(s.ID())
	if err != nil {
		t.Fatal(err)
	}
	f.run(again, "rm first.txt; echo second > second.txt")
	if r := f.giveBack(again); r.Mbox == nil {
		t.Fatalf("return: %+v", r)
	}
	kept, err := os.ReadFile(filepath.Join(s.Dir(), "earlier-1.runtime.mbox"))
	if err != nil || !bytes.Equal(kept, earlier) {
		t.Errorf("the earlier mbox: %d bytes of %d, %v", len(kept), len(earlier), err)
	}
	if now, _ := os.ReadFile(filepath.Join(s.Dir(), "runtime.mbox")); bytes.Equal(now, earlier) {
		t.Error("there is no later one")
	}
}

func TestF26_CheckpointsGoOnAfterResuming(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.begin(s, "x", "touch up; until test -e go; do sleep 0.01; done; echo late > late.txt; sleep 600")
	f.appears(s, "up")
	f.die(s)
	f.another()
	f.m.o.CheckpointEvery = 10 * time.Millisecond
	again, err := f.resume(s.ID())
	if err != nil {
		t.Fatal(err)
	}
	f.put(s, "go")
	f.await(func() bool { st, err := readState(again.Dir()); return err == nil && st.Checkpoint.ChangedFiles == 3 })
}

func TestF26_CheckpointsGoOnWhileOnlyWhatOutlivedItsCommandRuns(t *testing.T) {
	f := newFixture(t)
	f.m.o.CheckpointEvery = 10 * time.Millisecond
	s := f.open(OpenOptions{})
	f.run(s, "(until test -e go; do sleep 0.01; done; echo late > late.txt; sleep 600) >/dev/null 2>&1 &")
	f.put(s, "go")
	f.await(func() bool { st, err := readState(s.Dir()); return err == nil && st.Checkpoint.ChangedFiles == 2 })
}

func TestIgnoredFilesStayInsideAlsoAfterADeath(t *testing.T) {
	for _, dead := range []bool{false, true} {
		f := newFixture(t).lasting()
		f.write(".gitignore", "*.log\n")
		s := f.open(OpenOptions{})
		f.begin(s, "x", "echo x > x.log; echo '*' > .gitignore; echo new > new.txt; touch up; sleep 600")
		f.appears(s, "up")
		f.die(s)
		if dead {
			if err := f.rt.Reap(context.Background(), sandbox.Spec{}, s.sb.State()); err != nil {
				t.Fatal(err)
			}
		}
		f.another()
		again, err := f.m.Find(context.Background(), s.ID())
		if err != nil {
			t.Fatal(err)
		}
		d, err := again.Diff(context.Background(), "")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range d.Files {
			names = append(names, c.Path)
		}
		if got := strings.Join(names, " "); got != ".gitignore new.txt up" {
			t.Errorf("dead %v: %s", dead, got)
		}
	}
}

func TestTwoOpeningsOfADeadOwnersSessionGiveOne(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.die(s)
	f.another()
	var wg sync.WaitGroup
	got := make([]*Session, 4)
	for i := range got {
		wg.Go(func() {
			o := OpenOptions{Folder: f.repo}
			if i%2 == 0 {
				o.Resume = s.ID()
			}
			var err error
			if got[i], err = f.m.Open(context.Background(), o, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, g := range got {
		if g != got[0] {
			t.Fatal("two sessions")
		}
	}
}

func TestAWindowThatReloadsWaitsForItsFormerSelf(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.run(s, "echo inside > new.txt")
	old := f.m
	f.another()
	old.noteEnding([]*Session{s}) // it was told to shut down, and has not yet
	opened := make(chan error, 1)
	go func() {
		next, err := f.m.Open(context.Background(), OpenOptions{Folder: f.repo}, nil)
		if err == nil && next.ID() == s.ID() {
			err = errors.New("the session that ended was opened")
		}
		opened <- err
	}()
	time.AfterFunc(2*f.m.o.BusyWait, func() { _ = old.Shutdown(context.Background()) }) // later than a stranger would wait
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	list, err := f.m.List(context.Background())
	if err != nil || len(list) != 2 || list[1].ID != s.ID() || !list[1].Waiting {
		t.Errorf("kept: %+v %v", list, err)
	}
}

func TestS4_U8_ASandboxThatDiesMidSessionLosesNothingOfItsTree(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.run(s, "echo checkpointed > one.txt")
	e := f.begin(s, "x", `git config user.name P; git config user.email p@example.com; echo two > two.txt; git add -A; git commit -qm "made inside"; echo three > three.txt; touch up; sleep 600`)
	f.appears(s, "up")
	if err := syscall.Kill(f.rt.newest().is.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_, err := e.Wait(context.Background())
	var se *sandbox.Error
	if !errors.As(err, &se) || se.Kind != sandbox.ExecutorDead {
		t.Errorf("the command's call: %v", err)
	}
	r := f.giveBack(s)
	if r.Unavailable == nil || r.Unavailable.Reason != "executorDead" || r.Unavailable.Recovered == nil || !strings.Contains(r.Unavailable.Message, "captured") {
		t.Errorf("return: %+v", r.Unavailable)
	}
	if got := f.read("one.txt") + f.read("two.txt") + f.read("three.txt"); got != "checkpointed\ntwo\nthree\n" {
		t.Errorf("came back: %q", got)
	}
	if r.Mbox == nil || r.Mbox.Commits != 2 {
		t.Errorf("the mbox: %+v", r.Mbox)
	}
	if st, err := readState(s.Dir()); err != nil || !st.Recovered || st.State != StateLost {
		t.Errorf("on disk: %+v %v", st, err)
	}
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	f.nothingLeft(s.ID())
}
