package session

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

func (f *fixture) recover(o RecoverOptions) []Info {
	f.Helper()
	found, err := f.m.Recover(context.Background(), o)
	if err != nil {
		f.Fatal(err)
	}
	return found
}

// here goes on with sessions of the fixture's folder.
func (f *fixture) here() RecoverOptions {
	return RecoverOptions{Resume: func(folder string) (OpenOptions, bool) { return OpenOptions{}, folder == f.repo }}
}

// safe runs a command and waits for its checkpoint.
func (f *fixture) safe(s *Session, command string) {
	f.Helper()
	f.run(s, command)
	if _, err := s.Checkpoint(context.Background()); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) gone(pid int) {
	f.Helper()
	f.await(func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
}

func TestS6_TheNextStartCapturesWhatADeadServerLeftAndEndsTheSandbox(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.run(s, "echo checkpointed > one.txt")
	// Written behind every checkpoint's back.
	f.put(s, "two.txt")
	pid := f.rt.newest().is.Pid
	f.die(s)
	f.another()
	found := f.recover(RecoverOptions{})
	if len(found) != 1 || found[0].ID != s.ID() || found[0].State != Closed || found[0].Checkpoint.ChangedFiles != 2 || !found[0].Waiting {
		t.Fatalf("found: %+v", found)
	}
	f.gone(pid)
	f.nothingLeft(s.ID())
	list, err := f.m.List(context.Background())
	if err != nil || len(list) != 1 || list[0].ID != s.ID() {
		t.Errorf("kept: %+v %v", list, err)
	}
	ended, err := f.m.Find(context.Background(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	if r := f.giveBack(ended); !r.Applied || r.Unavailable != nil || f.read("one.txt") != "checkpointed\n" || f.read("two.txt") != "" {
		t.Errorf("return: %+v", r)
	}
	if list, err := f.m.List(context.Background()); err != nil || len(list) != 0 {
		t.Errorf("still kept: %+v %v", list, err)
	}
}

func TestS6_ACommandThatRunsIsCapturedAndSparedUnlessItsFolderIsResumed(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.begin(s, "x", "echo half > half.txt; touch up; until test -e go; do sleep 0.01; done; echo whole > whole.txt; exit 7")
	f.appears(s, "up")
	f.die(s)
	f.another()
	found := f.recover(RecoverOptions{})
	if len(found) != 1 || len(found[0].Execs) != 1 || found[0].Checkpoint.ChangedFiles != 2 {
		t.Fatalf("found: %+v", found)
	}
	// It still is nobody's, and the next server takes it up with its command.
	f.another()
	found = f.recover(f.here())
	if len(found) != 1 || found[0].State != Ready || len(found[0].Execs) != 1 {
		t.Fatalf("found: %+v", found)
	}
	f.put(s, "go")
	_, e, err := f.m.Exec("x")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := e.Wait(context.Background()); err != nil || out.ExitCode != 7 {
		t.Errorf("it ended with %+v %v", out, err)
	}
	if again := f.open(OpenOptions{}); again.ID() != s.ID() {
		t.Errorf("opening gives %s", again.ID())
	}
}

func TestASessionThatWasTakenUpUnaskedEndsWhenNobodyUsesIt(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.run(s, "echo new > new.txt")
	f.die(s)
	f.another()
	f.m.o.ClaimWait = 20 * time.Millisecond
	pid := readBareState(s.sb.State()).Pid
	if found := f.recover(f.here()); len(found) != 1 || found[0].State != Ready {
		t.Fatalf("found: %+v", found)
	}
	f.gone(pid)
	f.await(func() bool {
		list, err := f.m.List(context.Background())
		return err == nil && len(list) == 1 && list[0].State == Closed && list[0].Waiting
	})
	f.nothingLeft(s.ID())
}

func TestASessionThatWasTakenUpStaysOnceItIsUsed(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.die(s)
	f.another()
	f.m.o.ClaimWait = 20 * time.Millisecond
	// Nobody takes it up before it is used.
	held, err := f.m.turns.take(context.Background(), turnKey{s.state.Runtime, s.state.Folder}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { f.recover(f.here()) })
	wg.Go(func() {
		again, err := f.m.Open(context.Background(), OpenOptions{Folder: f.repo}, nil)
		if err != nil || again.ID() != s.ID() {
			t.Errorf("opened: %v", err)
		}
	})
	held.leave()
	wg.Wait()
	again := f.open(OpenOptions{})
	for range 10 {
		time.Sleep(f.m.o.ClaimWait) // it would be gone after the first one
		if again.Info().State != Ready {
			t.Fatalf("it is %s", again.Info().State)
		}
	}
}

func TestSeveralServersRecoverEachSessionOnce(t *testing.T) {
	f := newFixture(t).lasting()
	var all []string
	for range 3 {
		s := f.open(OpenOptions{New: true})
		f.run(s, "echo new > new.txt")
		f.die(s)
		all = append(all, s.ID())
	}
	var wg sync.WaitGroup
	for range 3 {
		m := f.another()
		wg.Go(func() {
			if _, err := m.Recover(context.Background(), RecoverOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, id := range all {
		if st, err := readState(f.m.sessionDir(id)); err != nil || st.State != Closed || st.Checkpoint.ChangedFiles != 1 {
			t.Errorf("%s: %+v %v", id, st, err)
		}
		f.nothingLeft(id)
	}
}

func TestASessionThatDiedWhileItOpenedIsClearedAway(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	pid := f.rt.newest().is.Pid
	f.die(s)
	st, err := readState(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	st.State = Opening
	if err := writeState(s.Dir(), st, true); err != nil {
		t.Fatal(err)
	}
	bare := filepath.Join(f.home, "sessions", "20200101-000000-abcdef")
	if err := os.MkdirAll(bare, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeState(bare, &state{Version: stateVersion, ID: filepath.Base(bare), Runtime: "local", State: Opening}, true); err != nil {
		t.Fatal(err)
	}
	f.another()
	if found := f.recover(f.here()); len(found) != 0 {
		t.Errorf("found: %+v", found)
	}
	for _, dir := range []string{s.Dir(), bare} {
		if _, err := os.Lstat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is still there (%v)", dir, err)
		}
	}
	f.gone(pid)
	f.nothingLeft(s.ID())
}

func TestAnAgentThatEndsAfterItsGraceLeavesItsTreeToTheNextStart(t *testing.T) {
	f := newFixture(t)
	f.rt.grace = 1500 * time.Millisecond // in which it must be joined, too
	s := f.open(OpenOptions{})
	f.safe(s, "echo announced > one.txt")
	f.begin(s, "x", "trap 'echo last > last.txt; exit' TERM; echo written > two.txt; touch up; while :; do sleep 0.01; done")
	f.appears(s, "up")
	pid := f.rt.newest().is.Pid
	f.die(s)
	f.gone(pid)
	f.another()
	found := f.recover(f.here())
	if len(found) != 1 || found[0].State != StateLost || found[0].Checkpoint.ChangedFiles != 4 {
		t.Fatalf("found: %+v", found)
	}
	f.nothingLeft(s.ID())
	old, err := f.m.Find(context.Background(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	if f.giveBack(old); f.read("one.txt")+f.read("two.txt")+f.read("last.txt") != "announced\nwritten\nlast\n" {
		t.Error("not all of it came back")
	}
}

// brokenRuntime cannot read what a dead sandbox left.
type brokenRuntime struct{ *bareRuntime }

func (brokenRuntime) Attach(context.Context, sandbox.Spec, []byte) (sandbox.Sandbox, error) {
	return nil, &sandbox.Error{Kind: sandbox.ExecutorDead, Op: "attach", Message: "gone"}
}

func (brokenRuntime) Reopen(context.Context, sandbox.Spec, []byte) (sandbox.Sandbox, error) {
	return nil, &sandbox.Error{Kind: sandbox.RuntimeUnavailable, Op: "reopen", Message: "no isolation works today"}
}

func TestWhatCannotBeCapturedNowStaysForTheNextTime(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.safe(s, "echo checkpointed > one.txt")
	f.put(s, "two.txt")
	f.die(s)
	f.another()
	f.m.o.Runtimes["local"] = brokenRuntime{f.rt}
	f.recover(RecoverOptions{})
	if st, err := readState(s.Dir()); err != nil || !st.open() {
		t.Fatalf("on disk: %+v %v", st, err)
	}
	// What the last checkpoint holds can be seen all the same.
	old, err := f.m.Find(context.Background(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	if d, err := old.Diff(context.Background(), ""); err != nil || len(d.Files) != 1 {
		t.Errorf("diff: %+v %v", d.Files, err)
	}
	f.another()
	if found := f.recover(RecoverOptions{}); len(found) != 1 || found[0].Checkpoint.ChangedFiles != 2 {
		t.Errorf("found: %+v", found)
	}
}

func TestASessionWithoutATreeOffersItsLastCheckpoint(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.safe(s, "echo checkpointed > one.txt")
	f.die(s)
	if err := f.rt.Reap(context.Background(), sandbox.Spec{}, s.sb.State()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(f.home, "trees", s.ID())); err != nil {
		t.Fatal(err)
	}
	f.another()
	if found := f.recover(RecoverOptions{}); len(found) != 1 || found[0].State != StateLost {
		t.Fatalf("found: %+v", found)
	}
	old, err := f.m.Find(context.Background(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	r := f.giveBack(old)
	if r.Unavailable == nil || !strings.Contains(r.Unavailable.Message, "could not be captured") || f.read("one.txt") != "checkpointed\n" {
		t.Errorf("return: %+v", r)
	}
}

func TestASessionThatDiedInItsLastMomentIsComplete(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.safe(s, "echo new > new.txt")
	s.update(func(st *state) { st.Final = true }) // as terminate does, before it ends the sandbox
	if err := s.save(true); err != nil {
		t.Fatal(err)
	}
	f.put(s, "later.txt") // nothing can write any more; this shows that nobody looks
	pid := f.rt.newest().is.Pid
	f.die(s)
	f.another()
	if found := f.recover(RecoverOptions{}); len(found) != 1 || found[0].State != Closed || found[0].Checkpoint.ChangedFiles != 1 {
		t.Errorf("found: %+v", found)
	}
	f.gone(pid)
	f.nothingLeft(s.ID())
}

// slowSandbox holds each capture up until it is told to go on.
type slowSandbox struct {
	sandbox.Sandbox
	capture func() error
}

func (s slowSandbox) Capture(ctx context.Context, req sandbox.CaptureRequest, each func(sandbox.Captured) error) (sandbox.CaptureResult, error) {
	if err := s.capture(); err != nil {
		return sandbox.CaptureResult{}, err
	}
	return s.Sandbox.Capture(ctx, req, each)
}

func TestShutdownLeavesWhatItHasNoTimeForToAFinisher(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.begin(s, "x", "echo new > new.txt; touch up; sleep 600")
	f.appears(s, "up")
	goOn := make(chan struct{})
	s.mu.Lock()
	s.sb = slowSandbox{s.sb, func() error { <-goOn; return nil }}
	s.mu.Unlock()
	var left []string
	f.m.o.Finish = func(id, _ string) error { left = append(left, id); return nil }
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := f.m.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	if err := f.m.Shutdown(ctx); err == nil {
		t.Error("it has ended")
	}
	if len(left) != 1 || left[0] != s.ID() {
		t.Fatalf("left to a finisher: %v", left)
	}
	// The finisher waits for as long as this process has the session.
	old := f.m
	f.another()
	finished := make(chan error, 1)
	go func() { finished <- f.m.Finish(context.Background(), s.ID()) }()
	close(goOn)
	if err := old.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := <-finished; err != nil {
		t.Error(err)
	}
	if st, err := readState(s.Dir()); err != nil || st.State != Closed || st.Checkpoint.ChangedFiles != 2 {
		t.Errorf("on disk: %+v %v", st, err)
	}
}

func TestL4_AnErrorInCloseIsTriedAgainByTheFinisher(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.run(s, "echo new > new.txt")
	s.mu.Lock()
	s.sb = slowSandbox{s.sb, func() error {
		return &sandbox.Error{Kind: sandbox.NoSpace, Op: "capture", Message: "no space left on device"}
	}}
	s.mu.Unlock()
	var left []string
	f.m.o.Finish = func(id, _ string) error { left = append(left, id); return nil }
	if err := f.m.Shutdown(context.Background()); err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("shutdown: %v", err)
	}
	if len(left) != 1 {
		t.Fatalf("left to a finisher: %v", left)
	}
	pid := f.rt.newest().is.Pid
	f.die(s)
	f.m.endErr = nil // it was looked at
	f.another()
	if err := f.m.Finish(context.Background(), s.ID()); err != nil {
		t.Fatal(err)
	}
	f.gone(pid)
	if st, err := readState(s.Dir()); err != nil || st.State != Closed || st.Checkpoint.ChangedFiles != 1 {
		t.Errorf("on disk: %+v %v", st, err)
	}
	f.nothingLeft(s.ID())
}

func TestWhatIsAnnouncedIsOnTheDiskBefore(t *testing.T) {
	f := newFixture(t)
	var mu sync.Mutex
	seen := 0
	f.m.o.Changed = func(i Info) {
		mu.Lock()
		defer mu.Unlock()
		st, err := readState(f.m.sessionDir(i.ID))
		if err != nil || st.Checkpoint.Seq != i.Checkpoint.Seq || st.Checkpoint.Commit != i.Checkpoint.Commit {
			t.Errorf("announced %+v, on disk %+v %v", i.Checkpoint, st, err)
			return
		}
		// Its commit and all that it names can be read by whoever comes next.
		f.git("--git-dir", filepath.Join(f.m.sessionDir(i.ID), "objects.git"), "rev-list", "--objects", st.Checkpoint.Commit)
		seen = max(seen, st.Checkpoint.Seq)
	}
	s := f.open(OpenOptions{})
	for range 3 {
		f.run(s, "date +%N > new.txt")
		if _, err := s.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if seen < 3 {
		t.Errorf("only checkpoint %d was announced", seen)
	}
	f.m.o.Changed = func(Info) {}
}

func TestU10_ACheckpointThatFailsIsSaidAndTriedAgainAndEndsNoCommand(t *testing.T) {
	f := newFixture(t)
	f.m.o.CheckpointEvery = 20 * time.Millisecond
	s := f.open(OpenOptions{})
	full := make(chan struct{})
	s.mu.Lock()
	s.sb = slowSandbox{s.sb, func() error {
		select {
		case <-full:
			return nil
		default:
			return &sandbox.Error{Kind: sandbox.NoSpace, Op: "capture", Message: "no space left on device"}
		}
	}}
	s.mu.Unlock()
	out := f.run(s, "echo new > new.txt; echo printed")
	if string(out.Stdout) != "printed\n" {
		t.Errorf("the command: %+v", out)
	}
	f.await(func() bool { return strings.Contains(strings.Join(s.Info().Warnings, "\n"), "no space left") })
	if s.Info().State != Ready || s.Info().Checkpoint.ChangedFiles != 0 {
		t.Errorf("the session: %+v", s.Info())
	}
	close(full)
	f.await(func() bool {
		i := s.Info()
		return i.Checkpoint.ChangedFiles == 1 && i.Checkpoint.Seq >= out.Checkpoint
	})
}

func TestThePersonIsAskedOnce(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.run(s, "echo new > new.txt")
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	ended, err := f.m.Find(context.Background(), s.ID())
	if err != nil || !ended.Info().Waiting {
		t.Fatalf("ended: %+v %v", ended.Info(), err)
	}
	if err := ended.PutOff(context.Background()); err != nil {
		t.Fatal(err)
	}
	list, err := f.another().List(context.Background())
	if err != nil || len(list) != 1 || list[0].Waiting {
		t.Errorf("kept: %+v %v", list, err)
	}
}

func TestRulesThatWereKeptAreReadBack(t *testing.T) {
	dir := t.TempDir()
	r := ignoreRules{current: []tree.IgnoreFile{{Dir: "a", Content: []byte("\xff*\n")}}}
	if err := r.keep(dir); err != nil {
		t.Fatal(err)
	}
	back, err := readRules(dir)
	if err != nil || len(back.current) != 1 || string(back.current[0].Content) != "\xff*\n" || back.pending() == nil {
		t.Errorf("read: %+v %v", back, err)
	}
	if err := os.WriteFile(filepath.Join(dir, rulesFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readRules(dir); err == nil {
		t.Error("rubbish is read")
	}
	if back, err := readRules(t.TempDir()); err != nil || back.current != nil {
		t.Errorf("none: %+v %v", back, err)
	}
}

func TestASessionThatAnotherProcessEndsIsToldOfOnceThatIsDone(t *testing.T) {
	for name, x := range map[string]struct {
		begins, ends bool // the other says that it ends the session: at first, and later
	}{"it ends it already": {true, true}, "it begins to end it later": {false, true}, "it dies with it open": {false, false}} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t).lasting()
			s := f.open(OpenOptions{})
			f.safe(s, "echo changed > one.txt")
			f.die(s)
			f.another()
			file := filepath.Join(f.m.sessionDir(s.ID()), "lock")
			other := flock.New(file)
			if ok, err := other.TryLock(); !ok || err != nil {
				t.Fatal(ok, err)
			}
			h := holder{PID: os.Getppid(), Session: s.ID(), Since: time.Now(), Ending: x.begins}
			writeHolder(file, h)
			late := make(chan Info, 1)
			o := f.here()
			o.Late = func(info Info) { late <- info }
			if found := f.recover(o); len(found) != 0 {
				t.Errorf("found, although another has it: %+v", found)
			}
			h.Ending = x.ends
			writeHolder(file, h)
			if err := other.Close(); err != nil {
				t.Fatal(err)
			}
			if !x.ends {
				f.m.beside.Wait()
				if len(late) != 0 {
					t.Error("a session that its editor may go on with was ended")
				}
				f.recover(RecoverOptions{})
				f.nothingLeft(s.ID())
				return
			}
			if info := <-late; info.ID != s.ID() || info.Checkpoint.ChangedFiles != 1 || !info.Waiting {
				t.Errorf("told of %+v", info)
			}
			f.nothingLeft(s.ID())
		})
	}
}

func TestASessionOfThisProcessIsNotOneThatAnotherEnds(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.safe(s, "echo changed > one.txt")
	o := f.here()
	o.Late = func(info Info) { t.Errorf("told of %+v", info) }
	if found := f.recover(o); len(found) != 0 {
		t.Errorf("found %+v", found)
	}
	if _, err := s.Close(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	f.m.beside.Wait()
}
