package emu

import (
	"context"
	"slices"

	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// SandboxTagsSetV2 replaces the tags.
func (s *Server) SandboxTagsSetV2(_ context.Context, r *pb.SandboxTagsSetRequest) (*emptypb.Empty, error) {
	sb, err := s.of(r.GetSandboxId())
	if err != nil {
		return nil, err
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	sb.tags = map[string]string{}
	for _, t := range r.GetTags() {
		sb.tags[t.GetTagName()] = t.GetTagValue()
	}
	return &emptypb.Empty{}, nil
}

// tagList is the tags as messages; the caller holds the sandbox's lock.
func (sb *sandbox) tagList() []*pb.SandboxTag {
	var out []*pb.SandboxTag
	for k, v := range sb.tags {
		out = append(out, pb.SandboxTag_builder{TagName: k, TagValue: v}.Build())
	}
	return out
}

// SandboxTagsGetV2 gives the tags.
func (s *Server) SandboxTagsGetV2(_ context.Context, r *pb.SandboxTagsGetRequest) (*pb.SandboxTagsGetResponse, error) {
	sb, err := s.of(r.GetSandboxId())
	if err != nil {
		return nil, err
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return pb.SandboxTagsGetResponse_builder{Tags: sb.tagList()}.Build(), nil
}

// listPage is how many sandboxes one answer holds.
const listPage = 50

// SandboxListV2 lists sandboxes of both kinds, the newest first, a page at a time.
func (s *Server) SandboxListV2(_ context.Context, r *pb.SandboxListRequest) (*pb.SandboxListResponse, error) {
	return s.listSandboxes(r, false)
}

func (s *Server) listSandboxes(r *pb.SandboxListRequest, onlyV1 bool) (*pb.SandboxListResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*pb.SandboxInfo
	for _, id := range slices.Backward(s.order) {
		sb := s.sandboxes[id]
		if onlyV1 && !sb.v1 {
			continue
		}
		if info := sb.listed(r); info != nil && len(out) < listPage {
			out = append(out, info)
		}
	}
	return pb.SandboxListResponse_builder{Sandboxes: out}.Build(), nil
}

// listed is the sandbox's line, or nil if it was not asked for.
func (sb *sandbox) listed(r *pb.SandboxListRequest) *pb.SandboxInfo {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	at := float64(sb.created.UnixNano()) / 1e9
	switch {
	case sb.result != nil && !r.GetIncludeFinished(),
		r.GetAppId() != "" && sb.app.id != r.GetAppId(),
		r.GetAppId() == "" && r.GetEnvironmentName() != "" && sb.app.environment != r.GetEnvironmentName(),
		r.GetBeforeTimestamp() > 0 && at >= r.GetBeforeTimestamp():
		return nil
	}
	for _, t := range r.GetTags() {
		if v, ok := sb.tags[t.GetTagName()]; !ok || v != t.GetTagValue() {
			return nil
		}
	}
	return pb.SandboxInfo_builder{
		Id: sb.id, CreatedAt: at, AppId: sb.app.id, Tags: sb.tagList(), Name: sb.name, ImageId: sb.image.id, TimeoutSecs: sb.def.GetTimeoutSecs(),
		TaskInfo: pb.TaskInfo_builder{Id: sb.task, StartedAt: at, Result: sb.result, SandboxId: sb.id}.Build(),
		Metadata: pb.SandboxHandleMetadata_builder{AppId: sb.app.id, Result: sb.result}.Build(),
	}.Build()
}

// SandboxGetFromNameV2 finds a running sandbox by its name.
func (s *Server) SandboxGetFromNameV2(_ context.Context, r *pb.SandboxGetFromNameRequest) (*pb.SandboxGetFromNameResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range slices.Backward(s.order) {
		sb := s.sandboxes[id]
		if sb.name == r.GetSandboxName() && sb.app.name == r.GetAppName() && (r.GetIncludeTerminated() || sb.alive()) {
			return pb.SandboxGetFromNameResponse_builder{SandboxId: sb.id, Metadata: pb.SandboxHandleMetadata_builder{AppId: sb.app.id}.Build()}.Build(), nil
		}
	}
	return nil, status.Errorf(codes.NotFound, "Sandbox with name '%s' not found in App '%s'", r.GetSandboxName(), r.GetAppName())
}

// SandboxGetFromName is the same for clients that ask for either kind.
func (s *Server) SandboxGetFromName(ctx context.Context, r *pb.SandboxGetFromNameRequest) (*pb.SandboxGetFromNameResponse, error) {
	return s.SandboxGetFromNameV2(ctx, r)
}

// SandboxGetTunnelsV2 says that there are none: nothing listens on the outside.
func (s *Server) SandboxGetTunnelsV2(_ context.Context, r *pb.SandboxGetTunnelsRequest) (*pb.SandboxGetTunnelsResponse, error) {
	if _, err := s.of(r.GetSandboxId()); err != nil {
		return nil, err
	}
	return &pb.SandboxGetTunnelsResponse{}, nil
}
