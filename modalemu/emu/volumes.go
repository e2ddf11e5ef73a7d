package emu

import (
	"context"
	"os"
	"path/filepath"

	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"modalemu/machine"
)

// volume is a folder that outlives sandboxes.
type volume struct{ id, name, environment, dir string }

// VolumeGetOrCreate finds a volume by name.
func (s *Server) VolumeGetOrCreate(_ context.Context, r *pb.VolumeGetOrCreateRequest) (*pb.VolumeGetOrCreateResponse, error) {
	env := environmentOr(r.GetEnvironmentName())
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.volumes {
		if r.GetDeploymentName() != "" && v.name == r.GetDeploymentName() && v.environment == env {
			return pb.VolumeGetOrCreateResponse_builder{VolumeId: v.id}.Build(), nil
		}
	}
	switch r.GetObjectCreationType() {
	case pb.ObjectCreationType_OBJECT_CREATION_TYPE_CREATE_IF_MISSING, pb.ObjectCreationType_OBJECT_CREATION_TYPE_EPHEMERAL:
	default:
		return nil, status.Errorf(codes.NotFound, "Volume '%s' not found in environment '%s'", r.GetDeploymentName(), env)
	}
	v := &volume{id: randomID("vo-", 11), name: r.GetDeploymentName(), environment: env}
	v.dir = s.path("volumes", v.id)
	if err := os.MkdirAll(v.dir, 0o755); err != nil {
		return nil, err
	}
	s.volumes[v.id] = v
	return pb.VolumeGetOrCreateResponse_builder{VolumeId: v.id}.Build(), nil
}

// mounts are the volumes that a sandbox sees.
func (s *Server) mounts(asked []*pb.VolumeMount) ([]machine.Mount, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []machine.Mount
	for _, m := range asked {
		v := s.volumes[m.GetVolumeId()]
		if v == nil {
			return nil, status.Errorf(codes.NotFound, "Volume '%s' not found", m.GetVolumeId())
		}
		dir := v.dir
		if sub := m.GetSubPath(); sub != "" {
			dir = filepath.Join(v.dir, filepath.Clean("/"+sub))
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return nil, err
			}
		}
		out = append(out, machine.Mount{Source: dir, Target: m.GetMountPath(), ReadOnly: m.GetReadOnly()})
	}
	return out, nil
}
