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

	"glue-lsp/sandbox"
)

// lostUncaptured is a session whose sandbox died and whose owner could not capture what it
// left: one.txt is in its checkpoint, two.txt only in its tree. Its owner has closed it.
func (f *fixture) lostUncaptured() *Session {
	f.Helper()
	f.m.o.Runtimes["local"] = brokenRuntime{f.rt}
	s := f.open(OpenOptions{})
	f.safe(s, "echo checkpointed > one.txt")
	f.put(s, "two.txt")
	f.kill(s)
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		f.Fatal(err)
	}
	if st, err := readState(s.Dir()); err != nil || st.State != StateLost || st.Recovered || st.Final {
		f.Fatalf("on disk: %+v %v", st, err)
	}
	return s
}

// kill ends the sandbox and waits until the session has seen it.
func (f *fixture) kill(s *Session) {
	f.Helper()
	if err := syscall.Kill(f.rt.newest().is.Pid, syscall.SIGKILL); err != nil {
		f.Fatal(err)
	}
	<-s.recovered
}

func TestS4_WhatADeadSandboxLeftIsCapturedByTheNextStart(t *testing.T) {
	f := newFixture(t)
	s := f.lostUncaptured()
	f.another()
	if list, err := f.m.List(context.Background()); err != nil || len(list) != 1 {
		t.Errorf("list: %+v %v", list, err)
	}
	if found := f.recover(RecoverOptions{}); len(found) != 1 || found[0].State != StateLost || found[0].Checkpoint.ChangedFiles != 2 {
		t.Errorf("found: %+v", found)
	}
	if found := f.recover(RecoverOptions{}); len(found) != 0 {
		t.Errorf("found once more: %+v", found)
	}
	f.nothingLeft(s.ID())
}

func TestS4_AReturnTriesOnceMoreToCaptureWhatADeadSandboxLeft(t *testing.T) {
	f := newFixture(t)
	id := f.lostUncaptured().ID()
	old, err := f.m.Find(context.Background(), id) // which cannot capture it either
	if err != nil {
		t.Fatal(err)
	}
	f.m.o.Runtimes["local"] = f.rt
	r := f.giveBack(old)
	if r.Unavailable == nil || !strings.Contains(r.Unavailable.Message, "all that it had written was captured") || len(r.Files) != 2 {
		t.Errorf("return: %+v", r)
	}
	f.nothingLeft(id)
}

func TestS4_AFinisherCapturesWhatADeadSandboxLeft(t *testing.T) {
	f := newFixture(t)
	s := f.lostUncaptured()
	f.another()
	if err := f.m.Finish(context.Background(), s.ID()); err != nil {
		t.Fatal(err)
	}
	if st, err := readState(s.Dir()); err != nil || !st.Recovered || st.Checkpoint.ChangedFiles != 2 {
		t.Errorf("on disk: %+v %v", st, err)
	}
}

func TestS4_ShutdownLeavesAnUncapturedSandboxToAFinisher(t *testing.T) {
	f := newFixture(t)
	var left []string
	f.m.o.Finish = func(id, _ string) error {
		left = append(left, id)
		return nil
	}
	f.m.o.Runtimes["local"] = brokenRuntime{f.rt}
	s := f.open(OpenOptions{})
	f.kill(s)
	if err := f.m.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 || left[0] != s.ID() {
		t.Errorf("left to a finisher: %q", left)
	}
}

func TestS4_WithoutATreeNobodyLooksTwice(t *testing.T) {
	f := newFixture(t)
	s := f.lostUncaptured()
	if err := os.RemoveAll(filepath.Join(f.home, "trees", s.ID())); err != nil {
		t.Fatal(err)
	}
	f.another()
	if found := f.recover(RecoverOptions{}); len(found) != 1 {
		t.Errorf("found: %+v", found)
	}
	if found := f.recover(RecoverOptions{}); len(found) != 0 {
		t.Errorf("found once more: %+v", found)
	}
}

func TestS6_TheLocksOfAGitThatWasKilledKeepNothingFromBeingCaptured(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.safe(s, "echo checkpointed > one.txt")
	f.put(s, "two.txt")
	f.die(s)
	long := time.Now().Add(-time.Hour)
	for _, name := range []string{"refs/glue/checkpoint.lock", "packed-refs.lock", "HEAD.lock"} {
		file := filepath.Join(s.Dir(), "objects.git", name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, long, long); err != nil {
			t.Fatal(err)
		}
	}
	f.another()
	if found := f.recover(RecoverOptions{}); len(found) != 1 || found[0].Checkpoint.ChangedFiles != 2 {
		t.Errorf("found: %+v", found)
	}
	f.nothingLeft(s.ID())
}

// cutOff is a sandbox whose connection is lost for now.
type cutOff struct{ sandbox.Sandbox }

func (cutOff) Capture(context.Context, sandbox.CaptureRequest, func(sandbox.Captured) error) (sandbox.CaptureResult, error) {
	return sandbox.CaptureResult{}, &sandbox.Error{Kind: sandbox.ExecutorDead, Op: "capture", Message: "the connection was lost and is not back yet"}
}

func TestL4_ClosingWhileTheConnectionIsLostEndsNothing(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.put(s, "new.txt")
	whole := s.sb
	set := func(sb sandbox.Sandbox) {
		s.mu.Lock()
		s.sb = sb
		s.mu.Unlock()
	}
	set(cutOff{whole})
	if r, err := s.Close(context.Background(), nil, nil); !isDead(err) || r != nil && r.Terminated {
		t.Fatalf("closed: %+v %v", r, err)
	}
	if info := s.Info(); info.State != Ready {
		t.Errorf("state: %q", info.State)
	}
	set(whole)
	r, err := s.Close(context.Background(), &ReturnOptions{Apply: true}, nil)
	if err != nil || !r.Terminated || r.Unavailable != nil || len(r.Files) != 1 {
		t.Errorf("closed: %+v %v", r, err)
	}
}

// heldClose is a sandbox whose end takes until it is told to go on.
type heldClose struct {
	sandbox.Sandbox
	began, goOn chan struct{}
}

func (h heldClose) Close(ctx context.Context) error {
	close(h.began)
	<-h.goOn
	return h.Sandbox.Close(ctx)
}

func TestWhatComesWhileASessionEndsGoesToTheEndedOne(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.safe(s, "echo new > new.txt")
	held := heldClose{s.sb, make(chan struct{}), make(chan struct{})}
	s.mu.Lock()
	s.sb = held
	s.mu.Unlock()
	ctx := context.Background()
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := s.Close(ctx, nil, nil); err != nil {
			t.Error(err)
		}
	})
	<-held.began
	for name, do := range map[string]func() error{
		"return": func() error {
			r, err := s.Return(ctx, ReturnOptions{}, nil)
			if err == nil && len(r.Files) != 1 {
				t.Errorf("return: %+v", r)
			}
			return err
		},
		"discard": func() error { _, err := s.Discard(ctx, []string{"other.txt"}); return err },
		"put off": func() error { return s.PutOff(ctx) },
		"export":  func() error { _, err := s.Export(ctx, t.TempDir(), 0); return err },
		"undo": func() error {
			_, err := s.Undo(ctx, nil)
			if err == nil || !strings.Contains(err.Error(), "no return") {
				return errors.Join(errors.New("it did not look"), err)
			}
			return nil
		},
		"close": func() error {
			r, err := s.Close(ctx, nil, nil)
			if err == nil && !r.Terminated {
				t.Errorf("close: %+v", r)
			}
			return err
		},
	} {
		wg.Go(func() {
			if err := do(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	f.await(func() bool { return len(s.returning.held) == 1 })
	close(held.goOn)
	wg.Wait()
	if f.m.open[s.ID()] != nil || !s.hasEnded() {
		t.Error("the session has not ended")
	}
}

// unjoinableRuntime has living sandboxes that cannot be joined now.
type unjoinableRuntime struct{ *bareRuntime }

func (unjoinableRuntime) Attach(context.Context, sandbox.Spec, []byte) (sandbox.Sandbox, error) {
	return nil, &sandbox.Error{Kind: sandbox.RuntimeUnavailable, Op: "attach", Message: "it does not greet"}
}

func TestALivingSandboxThatCannotBeJoinedIsLeftAloneWhereItIsOnlyLookedAt(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.begin(s, "x", "touch up; sleep 600")
	f.appears(s, "up")
	pid := f.rt.newest().is.Pid
	f.die(s)
	f.another()
	f.m.o.Runtimes["local"] = unjoinableRuntime{f.rt}
	f.recover(RecoverOptions{})
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("its sandbox was killed: %v", err)
	}
	f.m.o.Runtimes["local"] = f.rt
	if err := f.m.Finish(context.Background(), s.ID()); err != nil {
		t.Fatal(err)
	}
	f.gone(pid)
}

func TestACheckpointThatNobodyBeginsAnyMoreIsAnswered(t *testing.T) {
	c := &checkpointer{wake: make(chan struct{}, 1), waiters: map[int]*checkResult{}}
	_, r := c.request()
	if got := c.next(); got != 2 {
		t.Errorf("next: %d", got)
	}
	select {
	case <-r.done:
		if kindOfError(r.err) != Lost {
			t.Errorf("answered: %v", r.err)
		}
	default:
		t.Error("it is still waited for")
	}
}

// interruptedRuntime ends the call that joins a sandbox.
type interruptedRuntime struct {
	*bareRuntime
	cancel func()
}

func (r interruptedRuntime) Attach(context.Context, sandbox.Spec, []byte) (sandbox.Sandbox, error) {
	r.cancel()
	return nil, context.Canceled
}

func TestACancelledResumeKeepsNobodyOut(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.die(s)
	f.another()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	f.m.o.Runtimes["local"] = interruptedRuntime{f.rt, cancel}
	if _, err := f.m.Open(ctx, OpenOptions{Resume: s.ID()}, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("resume: %v", err)
	}
	f.m.o.Runtimes["local"] = f.rt
	if _, err := f.resume(s.ID()); err != nil {
		t.Errorf("resume: %v", err)
	}
}

func TestASessionWhoseAutomaticEndFailedCanBeReturned(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.safe(s, "echo new > new.txt")
	whole := s.sb
	s.mu.Lock()
	s.sb = cutOff{whole}
	s.mu.Unlock()
	if err := s.end(context.Background()); err == nil {
		t.Fatal("it ended")
	}
	s.goOn()
	s.mu.Lock()
	s.sb = whole
	s.mu.Unlock()
	if r, err := s.Return(context.Background(), ReturnOptions{Apply: true}, nil); err != nil || len(r.Files) != 1 {
		t.Errorf("return: %+v %v", r, err)
	}
}

func TestS6_TheLockThatAKilledServersChildHasForAMomentIsWaitedFor(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.put(s, "new.txt")
	f.die(s)
	m := f.another()
	file := filepath.Join(s.Dir(), "lock")
	child, _, err := takeLock(file, holder{PID: 1<<22 + 1, Session: s.ID()}) // more than any process has: proc(5)
	if err != nil || child == nil {
		t.Fatal(child, err)
	}
	var once sync.Once
	now := m.o.Now
	m.o.Now = func() time.Time { // it has seen the lock, and is about to wait for it
		once.Do(func() { _ = child.Close() })
		return now()
	}
	if found := f.recover(RecoverOptions{}); len(found) != 1 || found[0].Checkpoint.ChangedFiles != 1 {
		t.Errorf("found: %+v", found)
	}
}

func TestS6_ASessionThatIsJustBeingTakenUpIsListed(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.safe(s, "echo new > new.txt")
	f.die(s)
	m := f.another()
	// Whoever takes it up has the lock, and has not written his name over the dead one's yet.
	taker, _, err := takeLock(filepath.Join(s.Dir(), "lock"), holder{PID: 1<<22 + 1, Session: s.ID()}) // more than any process has: proc(5)
	if err != nil || taker == nil {
		t.Fatal(taker, err)
	}
	list, err := m.List(context.Background())
	if err != nil || len(list) != 1 {
		t.Errorf("listed: %+v %v", list, err)
	}
	if err := taker.Close(); err != nil {
		t.Fatal(err)
	}
	f.recover(RecoverOptions{})
}

// vanishingRuntime's sandboxes take the session's folder along when they end.
type vanishingRuntime struct {
	*bareRuntime
	dir string
}

type vanishing struct {
	sandbox.Sandbox
	dir string
}

func (r vanishingRuntime) Attach(ctx context.Context, spec sandbox.Spec, raw []byte) (sandbox.Sandbox, error) {
	sb, err := r.bareRuntime.Attach(ctx, spec, raw)
	if err != nil {
		return nil, err
	}
	return vanishing{sb, r.dir}, nil
}

func (v vanishing) Close(ctx context.Context) error {
	return errors.Join(v.Sandbox.Close(ctx), os.Rename(v.dir, v.dir+"-away"))
}

func TestAnEndThatCannotBeSavedIsAnErrorAndNothingElse(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.put(s, "new.txt")
	f.die(s)
	m := f.another()
	m.o.Runtimes["local"] = vanishingRuntime{f.rt, s.Dir()}
	own, st, err := m.takeOver(context.Background(), s.ID(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.salvage(context.Background(), own, st, false); err == nil {
		t.Error("it was saved")
	}
}

func TestASessionThatIsEndingIsNotGivenToWhoeverOpensItsFolder(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	if got := f.m.openOn(s.state.Folder, s.state.Runtime); got != s {
		t.Fatalf("before: %v", got)
	}
	s.mu.Lock()
	s.ending = true
	s.mu.Unlock()
	if got := f.m.openOn(s.state.Folder, s.state.Runtime); got != nil {
		t.Errorf("ending: %v", got)
	}
	s.mu.Lock()
	s.ending = false
	s.mu.Unlock()
}
