package session

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"glue-lsp/sandbox"
)

// farRuntime is a bareRuntime whose sandboxes hold their files alone, as those in the
// cloud do: one that is closed counts as ended, with all that is in it.
type farRuntime struct {
	*bareRuntime
	stays    bool
	refusing atomic.Bool // nothing can be captured
	ended    atomic.Int32
	captured atomic.Int32
}

type farSandbox struct {
	*bareSandbox
	rt *farRuntime
}

func (r *farRuntime) of(sb sandbox.Sandbox, err error) (sandbox.Sandbox, error) {
	if err != nil {
		return nil, err
	}
	return &farSandbox{sb.(*bareSandbox), r}, nil
}

func (r *farRuntime) Open(ctx context.Context, spec sandbox.Spec) (sandbox.Sandbox, error) {
	return r.of(r.bareRuntime.Open(ctx, spec))
}

func (r *farRuntime) Attach(ctx context.Context, spec sandbox.Spec, raw []byte) (sandbox.Sandbox, error) {
	return r.of(r.bareRuntime.Attach(ctx, spec, raw))
}

func (r *farRuntime) Reopen(ctx context.Context, spec sandbox.Spec, raw []byte) (sandbox.Sandbox, error) {
	return r.of(r.bareRuntime.Reopen(ctx, spec, raw))
}

func (b *farSandbox) PrepareEnding(context.Context, sandbox.CaptureRequest) error { return nil }

func (b *farSandbox) Captured() error {
	b.rt.captured.Add(1)
	return nil
}

func (b *farSandbox) Capture(ctx context.Context, req sandbox.CaptureRequest, each func(sandbox.Captured) error) (sandbox.CaptureResult, error) {
	if b.rt.refusing.Load() {
		return sandbox.CaptureResult{}, &sandbox.Error{Kind: sandbox.NoSpace, Op: "capture", Message: "the disk is full"}
	}
	return b.bareSandbox.Capture(ctx, req, each)
}

func (b *farSandbox) Info() sandbox.Info {
	info := b.bareSandbox.Info()
	info.Stays = b.rt.stays
	return info
}

func (b *farSandbox) Close(ctx context.Context) error {
	b.rt.ended.Add(1)
	return b.bareSandbox.Close(ctx)
}

// far gives the fixture such a runtime, and one session in which a file is not captured.
func (f *fixture) far(rt *farRuntime) *Session {
	f.Helper()
	f.lasting()
	rt.bareRuntime = f.rt
	f.m.o.Runtimes["local"] = rt
	s := f.open(OpenOptions{})
	f.Cleanup(func() { f.reap(rt.newest()) })
	f.safe(s, "echo checkpointed > one.txt")
	f.put(s, "two.txt")
	return s
}

// reap ends a sandbox that outlives its test's sessions.
func (f *fixture) reap(last *bareSandbox) {
	f.Helper()
	if err := f.rt.Reap(context.Background(), sandbox.Spec{}, last.State()); err != nil {
		f.Error(err)
	}
	if last.gone != nil {
		<-last.gone
	}
}

// farNext starts another server with the same runtime.
func (f *fixture) farNext(rt *farRuntime) {
	f.Helper()
	f.another()
	rt.bareRuntime = f.rt
	f.m.o.Runtimes["local"] = rt
}

func TestS4_WhereOnlyTheAgentDiedNothingEndsTheSandboxBeforeItIsCaptured(t *testing.T) {
	f := newFixture(t)
	var rt farRuntime
	s := f.far(&rt)
	var mu sync.Mutex
	var left []string
	f.m.o.Finish = func(id, _ string) error {
		mu.Lock()
		defer mu.Unlock()
		left = append(left, id)
		return nil
	}
	rt.refusing.Store(true)
	f.kill(s)
	if n := rt.ended.Load(); n != 0 {
		t.Fatalf("a failed capture ended %d sandboxes", n)
	}
	r, err := s.Close(context.Background(), nil, nil)
	if err != nil || r.Unavailable == nil {
		t.Fatalf("close: %+v %v", r, err)
	}
	if n := rt.ended.Load(); n != 0 {
		t.Fatalf("closing the session ended %d sandboxes", n)
	}
	if len(left) != 1 || left[0] != s.ID() {
		t.Errorf("left to a finisher: %q", left)
	}
	rt.refusing.Store(false)
	f.farNext(&rt)
	if found := f.recover(RecoverOptions{}); len(found) != 1 || found[0].Checkpoint.ChangedFiles != 2 {
		t.Errorf("found: %+v", found)
	}
	if rt.ended.Load() == 0 {
		t.Error("the sandbox goes on after the capture")
	}
}

func TestS6_ASandboxThatTheNextStartCannotCaptureGoesOnForTheOneAfter(t *testing.T) {
	f := newFixture(t)
	var rt farRuntime
	s := f.far(&rt)
	pid := f.rt.newest().is.Pid
	f.die(s)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	f.gone(pid)
	rt.refusing.Store(true)
	f.farNext(&rt)
	f.recover(RecoverOptions{})
	if st, err := readState(s.Dir()); err != nil || !st.owed() || rt.ended.Load() != 0 {
		t.Fatalf("%d ended; on disk: %+v %v", rt.ended.Load(), st, err)
	}
	rt.refusing.Store(false)
	f.farNext(&rt)
	if found := f.recover(RecoverOptions{}); len(found) != 1 || found[0].Checkpoint.ChangedFiles != 2 {
		t.Errorf("found: %+v", found)
	}
}

func TestF16_ASandboxThatIsToStayOutlivesTheDeathOfItsAgent(t *testing.T) {
	f := newFixture(t)
	rt := farRuntime{stays: true}
	s := f.far(&rt)
	f.kill(s)
	if info := s.Info(); info.State != StateLost || info.Checkpoint.ChangedFiles != 2 {
		t.Errorf("after its agent died: %+v", info)
	}
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if n := rt.ended.Load(); n != 0 {
		t.Errorf("%d sandboxes were ended", n)
	}
	if info := s.Info(); !info.Stays {
		t.Errorf("the session does not say that its sandbox goes on: %+v", info)
	}
}

func TestWhatAnEarlierEndingLeftIsOutdatedByACheckpointAndNotBefore(t *testing.T) {
	f := newFixture(t)
	var rt farRuntime
	s := f.far(&rt)
	before := rt.captured.Load()
	rt.refusing.Store(true)
	if _, err := s.Checkpoint(context.Background()); err == nil {
		t.Error("a checkpoint was taken of what cannot be captured")
	}
	if n := rt.captured.Load(); n != before {
		t.Error("a failed checkpoint counts as a capture")
	}
	rt.refusing.Store(false)
	if _, err := s.Checkpoint(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := rt.captured.Load(); n == before {
		t.Error("nobody was told of the capture")
	}
}

// takenRuntime has sandboxes in which others work by now.
type takenRuntime struct {
	*bareRuntime
	t *testing.T
}

func (takenRuntime) Attach(context.Context, sandbox.Spec, []byte) (sandbox.Sandbox, error) {
	return nil, &sandbox.Error{Kind: sandbox.Conflict, Op: "attach", Message: "somebody works in it: session x on elsewhere"}
}

func (r takenRuntime) Reopen(context.Context, sandbox.Spec, []byte) (sandbox.Sandbox, error) {
	r.t.Error("it was opened all the same")
	return nil, errors.New("no")
}

func TestS5_ASandboxInWhichOthersWorkIsLeftToThemAndItsSessionStaysListed(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	box := f.rt.newest()
	f.Cleanup(func() { f.reap(box) })
	f.safe(s, "echo checkpointed > one.txt")
	f.die(s)
	f.another()
	f.m.o.Runtimes["local"] = takenRuntime{f.rt, t}
	if found := f.recover(RecoverOptions{}); len(found) != 1 || found[0].ID != s.ID() {
		t.Errorf("found: %+v", found)
	}
	if _, err := f.resume(s.ID()); err == nil || !strings.Contains(err.Error(), "session x on elsewhere") {
		t.Errorf("resume: %v", err)
	}
	if st, err := readState(s.Dir()); err != nil || !st.owed() {
		t.Errorf("on disk: %+v %v", st, err)
	}
	if list, err := f.m.List(context.Background()); err != nil || len(list) != 1 {
		t.Errorf("list: %+v %v", list, err)
	}
}
