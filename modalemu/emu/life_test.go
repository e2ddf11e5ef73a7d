package emu_test

import (
	"context"
	"testing"
	"time"

	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestASandboxEndsAtItsCapAndIsBilledForNoMore(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t))
	def := c.definition()
	def.TimeoutSecs = 1
	b := c.create(def)
	b.start("long", "sleep", "600")
	if got := b.wait().GetStatus(); got != pb.GenericResult_GENERIC_STATUS_TIMEOUT {
		t.Errorf("it ended by %v", got)
	}
	line := b.stats()
	if line.Alive || line.Billed < 1 || line.Billed >= 3 {
		t.Errorf("a sandbox capped at 1 s: alive %v, billed %v s", line.Alive, line.Billed)
	}
	if all := stats(t, c.s); all.Alive != 0 || all.Billed != line.Billed {
		t.Errorf("in all %d are alive and %v s are billed", all.Alive, all.Billed)
	}
	_, err := c.router.TaskExecStart(b.ctx(), pb.TaskExecStartRequest_builder{TaskId: b.task, ExecId: "late", CommandArgs: []string{"true"}}.Build())
	if status.Code(err) != codes.NotFound {
		t.Errorf("a command in an ended sandbox: %v", err)
	}
	if _, err := b.read("long", 0); err != nil {
		t.Errorf("the output of its last command cannot be read: %v", err)
	}
}

func TestAnIdleSandboxEndsAndOneInUseDoesNot(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t))
	def := c.definition()
	def.IdleTimeoutSecs = new(uint32)
	*def.IdleTimeoutSecs = 1
	idle, used := c.create(def), c.create(def)
	used.start("busy", "sleep", "600")
	if got := idle.wait().GetStatus(); got != pb.GenericResult_GENERIC_STATUS_IDLE_TIMEOUT {
		t.Errorf("it ended by %v", got)
	}
	if !used.stats().Alive {
		t.Error("a sandbox with a running command was idle")
	}
}

func TestEveryWayToDieIsTold(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t))
	for how, want := range map[string]pb.GenericResult_GenericStatus{
		"timeout": pb.GenericResult_GENERIC_STATUS_TIMEOUT, "terminated": pb.GenericResult_GENERIC_STATUS_TERMINATED,
		"evicted": pb.GenericResult_GENERIC_STATUS_MEMORY_MANAGER_EVICTION, "internal": pb.GenericResult_GENERIC_STATUS_INTERNAL_FAILURE,
	} {
		b := c.create(c.definition())
		hurt(t, c.s, "/sandboxes/"+b.id+"/end?how="+how, "")
		if got := b.wait().GetStatus(); got != want {
			t.Errorf("%s: it ended by %v", how, got)
		}
	}
	def := c.definition()
	def.EntrypointArgs = []string{"sh", "-c", "exit 3"}
	if got := c.create(def).wait(); got.GetStatus() != pb.GenericResult_GENERIC_STATUS_FAILURE || got.GetExitcode() != 3 {
		t.Errorf("its first process ended by itself: %v", got)
	}
}

func TestACallThatIsRepeatedMakesOneSandbox(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t))
	hurt(t, c.s, "/faults", `{"createDelayMs": 300}`)
	ids := make(chan string, 3)
	for range 3 {
		go func() {
			r, err := c.cp.SandboxCreateV2(c.ctx("x-idempotency-key", "same"), c.request(c.definition()))
			if err != nil {
				t.Error(err)
			}
			ids <- r.GetSandboxId()
		}()
	}
	first := <-ids
	for range 2 {
		if id := <-ids; id != first || id == "" {
			t.Errorf("repeated calls made %q and %q", first, id)
		}
	}
	if all := stats(t, c.s); len(all.Sandboxes) != 1 || all.Calls["SandboxCreateV2"] != 3 {
		t.Errorf("%d sandboxes by %d calls", len(all.Sandboxes), all.Calls["SandboxCreateV2"])
	}
}

func TestASandboxComesAlsoWhenNobodyWaitsForItAnyMore(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t))
	hurt(t, c.s, "/faults", `{"createDelayMs": 200}`)
	ctx, cancel := context.WithCancel(c.ctx())
	failed := make(chan error)
	go func() {
		_, err := c.cp.SandboxCreateV2(ctx, c.request(c.definition()))
		failed <- err
	}()
	eventually(t, "the call arrives", func() bool { return stats(t, c.s).Calls["SandboxCreateV2"] == 1 })
	cancel()
	if err := <-failed; status.Code(err) != codes.Canceled {
		t.Errorf("the call answered %v", err)
	}
	eventually(t, "a sandbox lives, and costs", func() bool { all := stats(t, c.s); return all.Alive == 1 && all.Billed > 0 })
}

// eventually polls until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute it still does not hold that %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestOlderCallsListOnlyWhatTheyMadeAndNewerOnesEverything(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t))
	def := c.definition()
	def.Resources = pb.Resources_builder{GpuConfig: pb.GPUConfig_builder{GpuType: "T4", Count: 1}.Build()}.Build()
	if _, err := c.cp.SandboxCreateV2(c.ctx(), c.request(def)); status.Code(err) != codes.InvalidArgument {
		t.Errorf("the newer call made a GPU: %v", err)
	}
	old, err := c.cp.SandboxCreate(c.ctx(), pb.SandboxCreateRequest_builder{AppId: c.app, Definition: def.Build()}.Build())
	c.must(err)
	if len(old.GetSandboxId()) != len("sb-")+22 {
		t.Errorf("%s is not an id by which SDKs know the older kind", old.GetSandboxId())
	}
	c.create(c.definition())
	request := pb.SandboxListRequest_builder{AppId: c.app}.Build()
	ours, err := c.cp.SandboxList(c.ctx(), request)
	c.must(err)
	all, err := c.cp.SandboxListV2(c.ctx(), request)
	c.must(err)
	if len(ours.GetSandboxes()) != 1 || len(all.GetSandboxes()) != 2 {
		t.Errorf("%d and %d sandboxes are listed", len(ours.GetSandboxes()), len(all.GetSandboxes()))
	}
	if line := (&box{c: c, id: old.GetSandboxId()}).stats(); line.GPU != "T4" {
		t.Errorf("its GPU is counted as %q", line.GPU)
	}
}
