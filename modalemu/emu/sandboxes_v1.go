package emu

import (
	"context"
	"time"

	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// The older calls of sandboxes. SDKs make them for GPUs, and for all sandboxes when
// MODAL_SANDBOX_V2 is 0. The same sandboxes stand behind them; what runs inside is
// reached through the command router in either case.

// SandboxCreate starts a sandbox, possibly with a GPU, of which nothing is emulated.
func (s *Server) SandboxCreate(ctx context.Context, r *pb.SandboxCreateRequest) (*pb.SandboxCreateResponse, error) {
	sb, err := s.createOnce(ctx, asked{v1: true, app: r.GetAppId(), def: r.GetDefinition(), tags: r.GetTags()})
	if err != nil {
		return nil, err
	}
	return pb.SandboxCreateResponse_builder{SandboxId: sb.id, Metadata: pb.SandboxHandleMetadata_builder{AppId: sb.app.id}.Build()}.Build(), nil
}

// SandboxGetTaskId gives the task of a sandbox.
func (s *Server) SandboxGetTaskId(ctx context.Context, r *pb.SandboxGetTaskIdRequest) (*pb.SandboxGetTaskIdResponse, error) {
	return s.SandboxGetTaskIdV2(ctx, r)
}

// TaskGetCommandRouterAccess gives what a router call needs.
func (s *Server) TaskGetCommandRouterAccess(ctx context.Context, r *pb.TaskGetCommandRouterAccessRequest) (*pb.TaskGetCommandRouterAccessResponse, error) {
	s.mu.Lock()
	sb := s.tasks[r.GetTaskId()]
	s.mu.Unlock()
	if sb == nil {
		return nil, status.Errorf(codes.NotFound, "task %s not found", r.GetTaskId())
	}
	return pb.TaskGetCommandRouterAccessResponse_builder{Jwt: s.sign(sb.task, 30*time.Minute), Url: s.routerURL(ctx)}.Build(), nil
}

// SandboxWait waits for the end, as long as it was told.
func (s *Server) SandboxWait(ctx context.Context, r *pb.SandboxWaitRequest) (*pb.SandboxWaitResponse, error) {
	return s.SandboxWaitV2(ctx, r)
}

// SandboxTerminate ends a sandbox.
func (s *Server) SandboxTerminate(ctx context.Context, r *pb.SandboxTerminateRequest) (*pb.SandboxTerminateResponse, error) {
	return s.SandboxTerminateV2(ctx, r)
}

// SandboxTagsSet replaces the tags.
func (s *Server) SandboxTagsSet(ctx context.Context, r *pb.SandboxTagsSetRequest) (*emptypb.Empty, error) {
	return s.SandboxTagsSetV2(ctx, r)
}

// SandboxTagsGet gives the tags.
func (s *Server) SandboxTagsGet(ctx context.Context, r *pb.SandboxTagsGetRequest) (*pb.SandboxTagsGetResponse, error) {
	return s.SandboxTagsGetV2(ctx, r)
}

// SandboxList lists the sandboxes that these calls made.
func (s *Server) SandboxList(_ context.Context, r *pb.SandboxListRequest) (*pb.SandboxListResponse, error) {
	return s.listSandboxes(r, true)
}

// SandboxGetTunnels says that there are none.
func (s *Server) SandboxGetTunnels(ctx context.Context, r *pb.SandboxGetTunnelsRequest) (*pb.SandboxGetTunnelsResponse, error) {
	return s.SandboxGetTunnelsV2(ctx, r)
}
