package emu

import (
	"context"
	"maps"
	"slices"

	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// app is a named one of an environment.
type app struct{ id, name, environment string }

const mainEnvironment = "main"

func environmentOr(name string) string {
	if name == "" {
		return mainEnvironment
	}
	return name
}

// AppGetOrCreate finds an app by name.
func (s *Server) AppGetOrCreate(_ context.Context, r *pb.AppGetOrCreateRequest) (*pb.AppGetOrCreateResponse, error) {
	env := environmentOr(r.GetEnvironmentName())
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.apps {
		if a.name == r.GetAppName() && a.environment == env {
			return s.appFound(a), nil
		}
	}
	if r.GetObjectCreationType() != pb.ObjectCreationType_OBJECT_CREATION_TYPE_CREATE_IF_MISSING {
		return nil, status.Errorf(codes.NotFound, "App '%s' not found in environment '%s'", r.GetAppName(), env)
	}
	a := &app{id: randomID("ap-", 11), name: r.GetAppName(), environment: env}
	s.apps[a.id] = a
	return s.appFound(a), nil
}

func (s *Server) appFound(a *app) *pb.AppGetOrCreateResponse {
	return pb.AppGetOrCreateResponse_builder{AppId: a.id}.Build()
}

// EnvironmentGetOrCreate answers for any environment.
func (s *Server) EnvironmentGetOrCreate(_ context.Context, r *pb.EnvironmentGetOrCreateRequest) (*pb.EnvironmentGetOrCreateResponse, error) {
	name := environmentOr(r.GetDeploymentName())
	return pb.EnvironmentGetOrCreateResponse_builder{
		EnvironmentId: "en-" + name,
		Metadata: pb.EnvironmentMetadata_builder{
			Name: name, Settings: pb.EnvironmentSettings_builder{ImageBuilderVersion: builderVersion}.Build(),
		}.Build(),
	}.Build(), nil
}

// EnvironmentList names the environments that have something in them.
func (s *Server) EnvironmentList(context.Context, *emptypb.Empty) (*pb.EnvironmentListResponse, error) {
	names := map[string]bool{mainEnvironment: true}
	s.mu.Lock()
	for _, a := range s.apps {
		names[a.environment] = true
	}
	s.mu.Unlock()
	var items []*pb.EnvironmentListItem
	for _, name := range slices.Sorted(maps.Keys(names)) {
		items = append(items, pb.EnvironmentListItem_builder{Name: name, EnvironmentId: "en-" + name, Default: name == mainEnvironment}.Build())
	}
	return pb.EnvironmentListResponse_builder{Items: items}.Build(), nil
}

// secret is a set of variables.
type secret struct {
	id, name, environment string
	env                   map[string]string
}

// SecretGetOrCreate finds a secret by name, or keeps a new one.
func (s *Server) SecretGetOrCreate(_ context.Context, r *pb.SecretGetOrCreateRequest) (*pb.SecretGetOrCreateResponse, error) {
	env := environmentOr(r.GetEnvironmentName())
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.GetDeploymentName() != "" {
		for _, x := range s.secrets {
			if x.name == r.GetDeploymentName() && x.environment == env {
				for _, k := range r.GetRequiredKeys() {
					if _, ok := x.env[k]; !ok {
						return nil, status.Errorf(codes.NotFound, "Secret is missing key(s): %s", k)
					}
				}
				return pb.SecretGetOrCreateResponse_builder{SecretId: x.id}.Build(), nil
			}
		}
		if !slices.Contains([]pb.ObjectCreationType{
			pb.ObjectCreationType_OBJECT_CREATION_TYPE_CREATE_IF_MISSING, pb.ObjectCreationType_OBJECT_CREATION_TYPE_CREATE_OVERWRITE_IF_EXISTS,
		}, r.GetObjectCreationType()) {
			return nil, status.Errorf(codes.NotFound, "Secret '%s' not found in environment '%s'", r.GetDeploymentName(), env)
		}
	}
	x := &secret{id: randomID("st-", 11), name: r.GetDeploymentName(), environment: env, env: r.GetEnvDict()}
	s.secrets[x.id] = x
	return pb.SecretGetOrCreateResponse_builder{SecretId: x.id}.Build(), nil
}

// AddSecret keeps a named secret, as its owner would have made it beforehand.
func (s *Server) AddSecret(environment, name string, env map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := &secret{id: randomID("st-", 11), name: name, environment: environmentOr(environment), env: env}
	s.secrets[x.id] = x
}

// variables gives what secrets hold, in order.
func (s *Server) variables(ids []string, sources []*pb.SecretSource) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]string{}
	add := func(id string) error {
		x := s.secrets[id]
		if x == nil {
			return status.Errorf(codes.NotFound, "Secret '%s' not found", id)
		}
		for k, v := range x.env {
			out[k] = v
		}
		return nil
	}
	for _, id := range ids {
		if err := add(id); err != nil {
			return nil, err
		}
	}
	for _, src := range sources {
		if src.HasSecretId() {
			if err := add(src.GetSecretId()); err != nil {
				return nil, err
			}
		}
		for k, v := range src.GetEnv().GetContents() {
			out[k] = v
		}
	}
	return out, nil
}
