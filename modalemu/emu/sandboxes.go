package emu

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"modalemu/machine"
)

// sandbox is one, running or ended.
type sandbox struct {
	s       *Server
	id      string
	task    string
	name    string
	app     *app
	image   *image
	def     *pb.Sandbox
	env     []string
	created time.Time
	dir     string
	v1      bool // made by the older calls, which is where GPUs are
	m       *machine.Machine
	main    *running // the entry point

	gone chan struct{} // closed when it has ended and its machine too

	mounting sync.Mutex
	mounts   []mounted // by age; those that were unmounted are empty

	mu       sync.Mutex
	tags     map[string]string
	execs    map[string]*running
	started  int               // commands
	over     []string          // those that have ended, by age
	result   *pb.GenericResult // nil while it runs
	ended    time.Time
	lastUsed time.Time
	timers   []*time.Timer
}

func terminated() *pb.GenericResult {
	return pb.GenericResult_builder{Status: pb.GenericResult_GENERIC_STATUS_TERMINATED, Exitcode: 137}.Build()
}

func timedOut() *pb.GenericResult {
	return pb.GenericResult_builder{Status: pb.GenericResult_GENERIC_STATUS_TIMEOUT, Exitcode: 124}.Build()
}

func (sb *sandbox) workdir(asked string) string {
	switch {
	case asked != "":
		return asked
	case sb.def.GetWorkdir() != "":
		return sb.def.GetWorkdir()
	}
	return "/root"
}

// watchIdle ends the sandbox when no command ran for so long.
func (sb *sandbox) watchIdle(idle time.Duration) {
	var t *time.Timer
	t = time.AfterFunc(idle, func() {
		sb.mu.Lock()
		left := idle - time.Since(sb.lastUsed)
		for _, e := range sb.execs {
			if !e.over() {
				left = idle
			}
		}
		ended := sb.result != nil
		sb.mu.Unlock()
		switch {
		case ended:
		case left <= 0:
			sb.finish(pb.GenericResult_builder{Status: pb.GenericResult_GENERIC_STATUS_IDLE_TIMEOUT, Exitcode: 137}.Build())
		default:
			t.Reset(left)
		}
	})
}

func (sb *sandbox) alive() bool {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return sb.result == nil
}

// stopping is how long processes still run after a call that ends their sandbox: a
// cluster does not stop a container in no time, and clients count on what was just
// written.
const stopping = 50 * time.Millisecond

// finish ends the sandbox, once, and its processes.
func (sb *sandbox) finish(why *pb.GenericResult) { sb.finishAfter(0, why) }

func (sb *sandbox) finishAfter(grace time.Duration, why *pb.GenericResult) {
	sb.mu.Lock()
	if sb.result != nil {
		sb.mu.Unlock()
		return
	}
	sb.result, sb.ended = why, time.Now()
	for _, t := range sb.timers {
		t.Stop()
	}
	sb.mu.Unlock()
	go func() {
		defer close(sb.gone)
		_ = wait(sb.s.life, grace) // not when the emulator itself ends
		sb.m.Kill()
		<-sb.m.Gone()
		sb.mu.Lock()
		all := []*running{}
		for _, e := range sb.execs {
			all = append(all, e)
		}
		sb.mu.Unlock()
		for _, e := range all {
			<-e.done
		}
		// Output stays readable; files do not.
		for _, dir := range []string{"root", "covered"} {
			if err := machine.RemoveAll(filepath.Join(sb.dir, dir)); err != nil {
				sb.s.o.Log("removing files of %s: %v", sb.id, err)
			}
		}
	}()
}

// billed is how long the sandbox has cost money.
func (sb *sandbox) billed() time.Duration {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	if sb.result == nil {
		return time.Since(sb.created)
	}
	return sb.ended.Sub(sb.created)
}

// of finds a sandbox by id. Calls are for sandboxes of either kind: the SDKs tell by the
// id which calls to make.
func (s *Server) of(id string) (*sandbox, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sb := s.sandboxes[id]; sb != nil {
		return sb, nil
	}
	return nil, status.Errorf(codes.NotFound, "Sandbox with ID %s not found", id)
}

// SandboxGetTaskIdV2 gives the task of a sandbox.
func (s *Server) SandboxGetTaskIdV2(_ context.Context, r *pb.SandboxGetTaskIdRequest) (*pb.SandboxGetTaskIdResponse, error) {
	sb, err := s.of(r.GetSandboxId())
	if err != nil {
		return nil, err
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return pb.SandboxGetTaskIdResponse_builder{TaskId: &sb.task, TaskResult: sb.result}.Build(), nil
}

// SandboxGetCommandRouterAccess gives what a router call needs.
func (s *Server) SandboxGetCommandRouterAccess(ctx context.Context, r *pb.SandboxGetCommandRouterAccessRequest) (*pb.SandboxGetCommandRouterAccessResponse, error) {
	s.mu.Lock()
	sb := s.tasks[r.GetTaskId()]
	s.mu.Unlock()
	if r.GetSandboxId() != "" {
		var err error
		if sb, err = s.of(r.GetSandboxId()); err != nil {
			return nil, err
		}
	}
	if sb == nil {
		return nil, status.Error(codes.NotFound, "task not found")
	}
	return pb.SandboxGetCommandRouterAccessResponse_builder{Jwt: s.sign(sb.task, 30*time.Minute), Url: s.routerURL(ctx)}.Build(), nil
}

// SandboxWaitV2 waits for the end, as long as it was told.
func (s *Server) SandboxWaitV2(ctx context.Context, r *pb.SandboxWaitRequest) (*pb.SandboxWaitResponse, error) {
	sb, err := s.of(r.GetSandboxId())
	if err != nil {
		return nil, err
	}
	if sb.alive() && r.GetTimeout() > 0 {
		t := time.NewTimer(time.Duration(r.GetTimeout() * float32(time.Second)))
		defer t.Stop()
		select {
		case <-sb.gone:
		case <-t.C:
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return pb.SandboxWaitResponse_builder{Result: sb.result, Metadata: pb.SandboxHandleMetadata_builder{AppId: sb.app.id, Result: sb.result}.Build()}.Build(), nil
}

// SandboxTerminateV2 ends a sandbox.
func (s *Server) SandboxTerminateV2(_ context.Context, r *pb.SandboxTerminateRequest) (*pb.SandboxTerminateResponse, error) {
	if s.faults.take(func(f *Faults) *int { return &f.TerminateFails }) {
		return nil, status.Error(codes.Internal, "terminating failed")
	}
	sb, err := s.of(r.GetSandboxId())
	if err != nil {
		return nil, err
	}
	sb.mu.Lock()
	existing := sb.result
	sb.mu.Unlock()
	sb.finishAfter(stopping, terminated())
	return pb.SandboxTerminateResponse_builder{ExistingResult: existing}.Build(), nil
}
