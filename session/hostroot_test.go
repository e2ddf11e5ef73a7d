package session

import (
	"context"
	"syscall"
	"testing"

	"glue-lsp/sandbox"
)

// notingRuntime keeps what it was told to open.
type notingRuntime struct {
	*bareRuntime
	opened, reopened sandbox.Spec
}

func (r *notingRuntime) Open(ctx context.Context, s sandbox.Spec) (sandbox.Sandbox, error) {
	r.opened = s
	return r.bareRuntime.Open(ctx, s)
}

func (r *notingRuntime) Reopen(ctx context.Context, s sandbox.Spec, raw []byte) (sandbox.Sandbox, error) {
	r.reopened = s
	return r.bareRuntime.Reopen(ctx, s, raw)
}

func TestS6_ATreeIsReopenedKnowingWhereOnTheHostItIsFrom(t *testing.T) {
	f := newFixture(t).lasting()
	rt := &notingRuntime{bareRuntime: f.rt}
	f.m.o.Runtimes["local"] = rt
	s := f.open(OpenOptions{})
	f.run(s, "echo kept > kept.txt")
	pid := f.rt.newest().is.Pid
	f.die(s)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	f.gone(pid)
	f.another().o.Runtimes["local"] = rt
	if found := f.recover(RecoverOptions{}); len(found) != 1 || found[0].Checkpoint.ChangedFiles != 1 {
		t.Fatalf("found: %+v", found)
	}
	if rt.opened.HostRoot == "" || rt.reopened.HostRoot != rt.opened.HostRoot {
		t.Errorf("opened over %q, reopened over %q", rt.opened.HostRoot, rt.reopened.HostRoot)
	}
}
