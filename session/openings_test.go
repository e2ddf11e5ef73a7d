package session

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"glue-lsp/sandbox"
)

// gatedRuntime opens and joins once it may, and says so before.
type gatedRuntime struct {
	*bareRuntime
	opening, joining gate
}

// gate is passed at once while it is nil.
type gate struct{ reached, open chan struct{} }

func newGate() gate { return gate{make(chan struct{}), make(chan struct{})} }

func (g gate) pass(ctx context.Context) error {
	if g.open == nil {
		return nil
	}
	close(g.reached)
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

const savingText = "the former server's sandbox is being saved"

func (r *gatedRuntime) Open(ctx context.Context, s sandbox.Spec) (sandbox.Sandbox, error) {
	if err := r.opening.pass(ctx); err != nil {
		return nil, err
	}
	return r.bareRuntime.Open(ctx, s)
}

func (r *gatedRuntime) Attach(ctx context.Context, s sandbox.Spec, raw []byte) (sandbox.Sandbox, error) {
	s.Progress(savingText)
	if err := r.joining.pass(ctx); err != nil {
		return nil, err
	}
	return r.bareRuntime.Attach(ctx, s, raw)
}

// hearing gives a Progress, and a channel that is closed once a message was heard.
func hearing(message string) (Progress, chan struct{}) {
	heard := make(chan struct{})
	var once sync.Once
	return func(m string, _ int) {
		if m == message {
			once.Do(func() { close(heard) })
		}
	}, heard
}

func TestALongRecoveryHoldsUpNoOtherFolderAndNoOtherRuntime(t *testing.T) {
	f := newFixture(t).lasting()
	s := f.open(OpenOptions{})
	f.die(s)
	f.another()
	rt := &gatedRuntime{bareRuntime: f.rt, joining: newGate()}
	f.m.o.Runtimes["local"], f.m.o.Runtimes["other"] = rt, &bareRuntime{}
	var recovered sync.WaitGroup
	recovered.Go(func() { f.recover(f.here()) })
	<-rt.joining.reached

	elsewhere := t.TempDir()
	if err := os.WriteFile(filepath.Join(elsewhere, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range []OpenOptions{{Folder: elsewhere}, {Folder: f.repo, Runtime: "other"}} {
		if _, err := f.m.Open(context.Background(), o, nil); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}

	// Who asks for the same one hears why it takes long, and may give up.
	ctx, giveUp := context.WithCancel(context.Background())
	p, heard := hearing(savingText)
	refused := make(chan error, 1)
	go func() {
		_, err := f.m.Open(ctx, OpenOptions{Folder: f.repo}, p)
		refused <- err
	}()
	<-heard
	giveUp()
	if err := <-refused; !errors.Is(err, context.Canceled) {
		t.Errorf("the one that was given up: %v", err)
	}

	p, heard = hearing(savingText)
	opened := make(chan *Session, 1)
	go func() {
		got, err := f.m.Open(context.Background(), OpenOptions{Folder: f.repo}, p)
		if err != nil {
			t.Error(err)
		}
		opened <- got
	}()
	<-heard
	close(rt.joining.open)
	if got := <-opened; got == nil || got.ID() != s.ID() {
		t.Errorf("opening gives another session than the one that was taken up")
	}
	recovered.Wait()
	if n := len(f.m.turns.all); n != 0 {
		t.Errorf("%d turns are remembered", n)
	}
}

func TestShutdownEndsAnOpeningThatIsUnderWay(t *testing.T) {
	f := newFixture(t)
	rt := &gatedRuntime{bareRuntime: f.rt}
	f.m.o.Runtimes["local"] = rt
	s := f.open(OpenOptions{})
	rt.opening = newGate() // which nobody opens
	failed := make(chan error, 2)
	open := func() {
		_, err := f.m.Open(context.Background(), OpenOptions{Folder: t.TempDir()}, nil)
		failed <- err
	}
	go open()
	<-rt.opening.reached
	if err := f.m.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	open() // nor does one begin afterwards
	for range 2 {
		if err := <-failed; err == nil || !strings.Contains(err.Error(), "shutting down") {
			t.Errorf("the opening: %v", err)
		}
	}
	if st, err := readState(s.Dir()); err != nil || st.State != Closed {
		t.Errorf("the open session: %+v %v", st, err)
	}
	if left := f.sessions(); len(left) != 1 {
		t.Errorf("the opening left something: %v", left)
	}
}
