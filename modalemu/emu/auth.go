package emu

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand documents it
	return b
}

func randomID(prefix string, n int) string { return prefix + hex.EncodeToString(randomBytes(n)) }

func header(ctx context.Context, name string) string {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// checkToken holds the control plane's credentials against the accepted ones.
func (s *Server) checkToken(ctx context.Context) error {
	if s.faults.now().RefuseToken {
		return status.Error(codes.Unauthenticated, "Token missing. Could not authenticate client: the token was revoked")
	}
	id, secret := header(ctx, "x-modal-token-id"), header(ctx, "x-modal-token-secret")
	same := subtle.ConstantTimeCompare([]byte(id), []byte(s.o.TokenID)) & subtle.ConstantTimeCompare([]byte(secret), []byte(s.o.TokenSecret))
	switch {
	case id == "":
		return status.Error(codes.Unauthenticated, "Token missing. Could not authenticate client. If you have token credentials, see modal.com/docs/reference/modal.config for setup help.")
	case same != 1:
		return status.Error(codes.Unauthenticated, "Token ID is malformed or the secret is wrong")
	}
	return nil
}

// claims are what the emulator's tokens say.
type claims struct {
	Exp int64  `json:"exp"`
	Sub string `json:"sub"` // auth, or a task's id
}

// sign makes a JSON Web Token, see RFC 7519. The SDK reads exp and passes it back.
func (s *Server) sign(sub string, life time.Duration) string {
	body, _ := json.Marshal(claims{Exp: time.Now().Add(life).Unix(), Sub: sub}) // two plain fields
	enc := base64.RawURLEncoding
	head := enc.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc.EncodeToString(body)
	return head + "." + enc.EncodeToString(s.mac(head))
}

func (s *Server) mac(text string) []byte {
	m := hmac.New(sha256.New, s.key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

func (s *Server) verify(token, sub string) error {
	bad := status.Error(codes.Unauthenticated, "the token is not valid")
	enc := base64.RawURLEncoding
	head, sum, ok := cutLast(token, ".")
	if !ok {
		return bad
	}
	got, err := enc.DecodeString(sum)
	if err != nil || !hmac.Equal(got, s.mac(head)) {
		return bad
	}
	_, body, _ := strings.Cut(head, ".")
	raw, err := enc.DecodeString(body)
	var c claims
	if err != nil || json.Unmarshal(raw, &c) != nil || c.Sub != sub {
		return bad
	}
	if time.Now().Unix() > c.Exp {
		return status.Error(codes.Unauthenticated, "the token has expired")
	}
	return nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// checkRouter holds a router call's token against the task that it is for.
func (s *Server) checkRouter(ctx context.Context, task string) (*sandbox, error) {
	token, ok := strings.CutPrefix(header(ctx, "authorization"), "Bearer ")
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "missing bearer token")
	}
	if err := s.verify(token, task); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sb := s.tasks[task]
	if sb == nil {
		return nil, status.Errorf(codes.NotFound, "task %s not found", task)
	}
	return sb, nil
}

// ClientHello greets a client.
func (s *Server) ClientHello(context.Context, *emptypb.Empty) (*pb.ClientHelloResponse, error) {
	return pb.ClientHelloResponse_builder{ImageBuilderVersion: builderVersion}.Build(), nil
}

// AuthTokenGet gives the token that V2 calls carry.
func (s *Server) AuthTokenGet(context.Context, *pb.AuthTokenGetRequest) (*pb.AuthTokenGetResponse, error) {
	return pb.AuthTokenGetResponse_builder{Token: s.sign("auth", 20*time.Minute)}.Build(), nil
}

// WorkspaceNameLookup names the workspace.
func (s *Server) WorkspaceNameLookup(context.Context, *emptypb.Empty) (*pb.WorkspaceNameLookupResponse, error) {
	return pb.WorkspaceNameLookupResponse_builder{Username: workspaceName}.Build(), nil
}

// TokenInfoGet says whose the token is.
func (s *Server) TokenInfoGet(context.Context, *pb.TokenInfoGetRequest) (*pb.TokenInfoGetResponse, error) {
	return pb.TokenInfoGetResponse_builder{
		TokenId: s.o.TokenID, WorkspaceId: "ac-emulator", WorkspaceName: workspaceName,
		UserIdentity: pb.UserIdentity_builder{UserId: "us-emulator", Username: "emulated-user"}.Build(),
		CreatedAt:    timestamppb.New(time.Now().Add(-24 * time.Hour)),
	}.Build(), nil
}

const (
	workspaceName  = "emulated-workspace"
	builderVersion = "2025.06"
)
