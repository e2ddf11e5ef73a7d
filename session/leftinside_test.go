package session

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"glue-lsp/sandbox"
)

// cloudSandbox is one whose files are nowhere else, and can be kept as an image.
type cloudSandbox struct {
	sandbox.Sandbox
	keep     func() (string, error)
	closing  func(context.Context)
	detached bool
}

func (*cloudSandbox) PrepareEnding(context.Context, sandbox.CaptureRequest) error { return nil }

func (*cloudSandbox) Captured() error { return nil }

func (c *cloudSandbox) Archive(context.Context) (string, error) { return c.keep() }

func (c *cloudSandbox) Close(ctx context.Context) error {
	if c.closing != nil {
		c.closing(ctx)
	}
	return c.Sandbox.Close(ctx)
}

func (c *cloudSandbox) Detach() {
	c.detached = true
	c.Sandbox.Detach()
}

// inCloud gives a session in such a sandbox, with a file that is too large to be captured.
func (f *fixture) inCloud() (*Session, *cloudSandbox) {
	f.Helper()
	s := f.open(OpenOptions{})
	c := &cloudSandbox{Sandbox: s.sb}
	s.mu.Lock()
	s.sb = c
	s.mu.Unlock()
	f.run(s, "truncate -s 1T hole.img; echo small > small.txt")
	return s, c
}

func TestU4_UntilTheFilesThatStayInsideAreKeptTheSessionIsOwed(t *testing.T) {
	f := newFixture(t)
	s, c := f.inCloud()
	var kept time.Time
	c.keep = func() (string, error) {
		// As a server that ends now would leave it.
		if st, err := readState(s.Dir()); err != nil || st.Final || !st.owed() || len(st.LeftInside) != 1 {
			t.Errorf("on disk: %+v %v", st, err)
		}
		kept = time.Now()
		return "im-1", nil
	}
	c.closing = func(ctx context.Context) {
		if by, ok := ctx.Deadline(); !ok || by.Before(kept.Add(closeTimeout)) {
			t.Errorf("keeping took from the time for the end: until %v", by)
		}
	}
	if r, err := s.Close(context.Background(), nil, nil); err != nil || !r.Terminated {
		t.Errorf("closed: %+v %v", r, err)
	}
	if kept.IsZero() || !strings.Contains(strings.Join(s.Info().Warnings, "\n"), "hole.img; all its files are kept in Modal as image im-1") {
		t.Errorf("told %q", s.Info().Warnings)
	}
}

func TestU4_WhereFilesCannotBeKeptTheirSandboxGoesOn(t *testing.T) {
	f := newFixture(t)
	s, c := f.inCloud()
	c.keep = func() (string, error) { return "", errors.New("no snapshots today") }
	if r, err := s.Close(context.Background(), nil, nil); err != nil || r.Terminated {
		t.Errorf("closed: %+v %v", r, err)
	}
	if st, err := readState(s.Dir()); err != nil || !st.Stays || !st.Final || !c.detached {
		t.Errorf("on disk: %+v %v", st, err)
	}
	is := f.rt.newest()
	if err := f.rt.Reap(context.Background(), sandbox.Spec{}, is.State()); err != nil {
		t.Error(err)
	}
	<-is.gone
	if told := strings.Join(s.Info().Warnings, "\n"); !strings.Contains(told, "no snapshots today") || !strings.Contains(told, "goes on") {
		t.Errorf("told %q", told)
	}
}

func TestU4_FilesThatWentWithTheirSandboxAreSaidToBeGone(t *testing.T) {
	f := newFixture(t)
	s, c := f.inCloud()
	c.keep = func() (string, error) {
		return "", &sandbox.Error{Kind: sandbox.ExecutorDead, Op: "snapshot", Message: "the sandbox ended just now"}
	}
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if st, err := readState(s.Dir()); err != nil || st.Stays {
		t.Errorf("on disk: %+v %v", st, err)
	}
	if told := strings.Join(s.Info().Warnings, "\n"); !strings.Contains(told, "hole.img, and went with it") {
		t.Errorf("told %q", told)
	}
}

func TestS4_ThatNothingIsLeftOfASandboxIsStillKnownAfterTheClose(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.safe(s, "echo checkpointed > one.txt")
	if err := os.RemoveAll(filepath.Join(f.home, "trees", s.ID())); err != nil {
		t.Fatal(err)
	}
	f.kill(s)
	if !s.snapshotState().Final {
		t.Fatalf("before the close: %+v", s.snapshotState())
	}
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if st, err := readState(s.Dir()); err != nil || st.State != StateLost || !st.Final || st.owed() {
		t.Errorf("on disk: %+v %v", st, err)
	}
}

// stubbornRuntime's sandboxes leave something that cannot be ended.
type stubbornRuntime struct{ *bareRuntime }

type stubborn struct{ sandbox.Sandbox }

func (stubborn) Taken(context.Context) error { return errors.New("it does not end") }

func (r stubbornRuntime) Reopen(ctx context.Context, spec sandbox.Spec, raw []byte) (sandbox.Sandbox, error) {
	sb, err := r.bareRuntime.Reopen(ctx, spec, raw)
	if err != nil {
		return nil, err
	}
	return stubborn{sb}, nil
}

func TestS4_WhatCouldNotBeEndedAfterADeathIsOwedAfterTheClose(t *testing.T) {
	f := newFixture(t)
	var left []string
	f.m.o.Finish = func(id, _ string) error {
		left = append(left, id)
		return nil
	}
	f.m.o.Runtimes["local"] = stubbornRuntime{f.rt}
	s := f.open(OpenOptions{})
	f.safe(s, "echo checkpointed > one.txt")
	f.kill(s)
	if st := s.snapshotState(); !st.Recovered || !st.Running {
		t.Fatalf("before the close: %+v", st)
	}
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if st, err := readState(s.Dir()); err != nil || !st.Running || !st.owed() || !slices.Equal(left, []string{s.ID()}) {
		t.Errorf("on disk: %+v %v; left to finishers: %q", st, err, left)
	}
	f.m.o.Runtimes["local"] = f.rt
	if err := f.m.Finish(context.Background(), s.ID()); err != nil {
		t.Fatal(err)
	}
	if st, err := readState(s.Dir()); err != nil || st.owed() {
		t.Errorf("on disk: %+v %v", st, err)
	}
}
