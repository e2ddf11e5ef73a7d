package session

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"glue-lsp/sandbox"
)

// sweptRuntime is one whose sandboxes may run without a record.
type sweptRuntime struct {
	*bareRuntime
	owned []sandbox.Owned
	ended []string
	scope string
	join  func()
}

func (r *sweptRuntime) Owned(context.Context) ([]sandbox.Owned, error) { return r.owned, nil }

func (r *sweptRuntime) End(_ context.Context, id string) error {
	r.ended = append(r.ended, id)
	return nil
}

func (r *sweptRuntime) Scope() string { return r.scope }

func (*sweptRuntime) LongestLife() time.Duration { return time.Hour }

func (r *sweptRuntime) Join(context.Context, sandbox.Spec, string) (sandbox.Sandbox, error) {
	r.join()
	return nil, &sandbox.Error{Kind: sandbox.ExecutorDead, Op: "join", Message: "there is none"}
}

// swept gives the fixture such a runtime, in which sb-1 of a session that is gone runs.
func (f *fixture) swept() *sweptRuntime {
	rt := &sweptRuntime{bareRuntime: f.rt, scope: "app", owned: []sandbox.Owned{{ID: "sb-1", Session: "gone"}}, join: func() {}}
	f.m.o.Runtimes["local"] = rt
	f.m.startsOne("local", rt)
	return rt
}

func (f *fixture) sweep() []Swept {
	f.Helper()
	found, err := f.m.Sweep(context.Background(), false)
	if err != nil {
		f.Fatal(err)
	}
	return found
}

// record leaves a session's record as a server that died would.
func (f *fixture) record(st state) (forget func()) {
	f.Helper()
	dir := f.m.sessionDir(st.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		f.Fatal(err)
	}
	st.Version, st.Runtime = stateVersion, "local"
	if err := writeState(dir, &st, false); err != nil {
		f.Fatal(err)
	}
	return func() {
		if err := os.RemoveAll(dir); err != nil {
			f.Fatal(err)
		}
	}
}

func TestS5_ASandboxThatAnotherSessionHasJoinedIsNotSwept(t *testing.T) {
	f := newFixture(t)
	rt := f.swept()
	l, _, err := takeLock(f.m.sandboxLock("local", "sb-1"), holder{PID: os.Getpid(), Session: "joined"})
	if err != nil || l == nil {
		t.Fatal(l, err)
	}
	if found := f.sweep(); len(found) > 0 || len(rt.ended) > 0 {
		t.Errorf("while a session works in it: %+v, ended %q", found, rt.ended)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	forget := f.record(state{ID: "joined", State: Ready, SandboxID: "sb-1"})
	if found := f.sweep(); len(found) > 0 || len(rt.ended) > 0 {
		t.Errorf("while a session is to be recovered from it: %+v, ended %q", found, rt.ended)
	}
	forget()
	if found := f.sweep(); len(found) != 1 || !slices.Equal(rt.ended, []string{"sb-1"}) {
		t.Errorf("of nobody: %+v, ended %q", found, rt.ended)
	}
}

func TestF17_WhileASessionIsOpeningItIsLookedForAgain(t *testing.T) {
	f := newFixture(t)
	rt := f.swept()
	rt.owned = nil
	forget := f.record(state{ID: "opening", State: Opening})
	f.sweep()
	if modified(f.m.sweepMark("local", rt)).IsZero() {
		t.Error("nobody looks for what a session that is opening may start")
	}
	forget()
	f.sweep()
	if !modified(f.m.sweepMark("local", rt)).IsZero() {
		t.Error("it is looked for again although there can be none")
	}
}

func TestF17_ASweepElsewhereDoesNotEndTheSearchHere(t *testing.T) {
	f := newFixture(t)
	rt := f.swept()
	f.m.o.Runtimes["local"] = &sweptRuntime{bareRuntime: f.rt, scope: "another app"}
	f.m.startsOne("local", f.m.o.Runtimes["local"])
	f.sweep()
	f.m.o.Runtimes["local"] = rt
	if found := f.sweep(); len(found) != 1 || len(rt.ended) != 1 {
		t.Errorf("found %+v, ended %q", found, rt.ended)
	}
}

func TestS5_ASandboxWhoseSessionIsStillOpeningIsNotJoined(t *testing.T) {
	f := newFixture(t)
	rt := f.swept()
	rt.owned = []sandbox.Owned{{ID: "sb-1", Session: "opening"}}
	joined := 0
	rt.join = func() { joined++ }
	defer f.record(state{ID: "opening", State: Opening})()
	l, _, err := takeLock(lockOf(f.m.sessionDir("opening")), holder{PID: os.Getpid(), Session: "opening"})
	if err != nil || l == nil {
		t.Fatal(l, err)
	}
	attach := func() error {
		_, err := f.m.Open(context.Background(), OpenOptions{Folder: f.repo, Runtime: "local", Attach: "sb-1"}, nil)
		return err
	}
	if err := attach(); kindOf(err) != string(Busy) || joined != 0 {
		t.Errorf("while it is opened: %v, joined %d times", err, joined)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := attach(); err == nil || kindOf(err) == string(Busy) || joined != 1 {
		t.Errorf("afterwards: %v, joined %d times", err, joined)
	}
}
