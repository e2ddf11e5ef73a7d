package emu

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"modalemu/machine"
)

// image is a chain of layers, of which only what they mean for the programs in it
// counts: every image is this machine, without what the real one would not have.
type image struct {
	id       string
	commands []string // of Dockerfiles, the base's first
	failed   string   // why it could not be built
	built    bool     // its log was read
	root     string   // a snapshot's files on the host, or ""
	lock     []byte   // of the key that its owner gave, or nil
}

// ImageGetOrCreate makes an image by what it is made of: the same request is the same
// image.
func (s *Server) ImageGetOrCreate(_ context.Context, r *pb.ImageGetOrCreateRequest) (*pb.ImageGetOrCreateResponse, error) {
	spec := r.GetImage()
	var commands []string
	s.mu.Lock()
	defer s.mu.Unlock()
	root := ""
	for _, base := range spec.GetBaseImages() {
		b := s.images[base.GetImageId()]
		if b == nil {
			return nil, status.Errorf(codes.NotFound, "Image '%s' not found", base.GetImageId())
		}
		commands = append(commands, b.commands...)
		if b.root != "" {
			root = b.root
		}
	}
	commands = append(commands, spec.GetDockerfileCommands()...)
	sum := sha256.Sum256([]byte(root + "\x00" + strings.Join(commands, "\x00")))
	id := "im-" + hex.EncodeToString(sum[:11])
	img := s.images[id]
	if img == nil || r.GetForceBuild() || img.failed != "" {
		img = &image{id: id, commands: commands, failed: s.faults.now().ImageFails, root: root}
		for _, c := range commands {
			if strings.Contains(c, "this-image-does-not-build") {
				img.failed = "E: Unable to locate package this-image-does-not-build"
			}
		}
		if img.failed == "" && hasNoShell(commands) && runsSomething(commands) {
			img.failed = `exec: "/bin/sh": stat /bin/sh: no such file or directory`
		}
		s.images[id] = img
	}
	out := pb.ImageGetOrCreateResponse_builder{ImageId: id}
	if img.built && img.failed == "" {
		out.Result = pb.GenericResult_builder{Status: pb.GenericResult_GENERIC_STATUS_SUCCESS}.Build()
		out.Metadata = imageMetadata()
	}
	return out.Build(), nil
}

func imageMetadata() *pb.ImageMetadata {
	version := builderVersion
	return pb.ImageMetadata_builder{ImageBuilderVersion: &version}.Build()
}

// ImageJoinStreaming tells how a build goes, and ends.
func (s *Server) ImageJoinStreaming(r *pb.ImageJoinStreamingRequest, out grpc.ServerStreamingServer[pb.ImageJoinStreamingResponse]) error {
	s.mu.Lock()
	img := s.images[r.GetImageId()]
	var failed string
	var lines []*pb.TaskLogs
	if img != nil {
		img.built = true
		failed = img.failed
		for _, c := range img.commands {
			lines = append(lines, logLine("=> "+c+"\n"))
		}
	}
	s.mu.Unlock()
	if img == nil {
		return status.Errorf(codes.NotFound, "Image '%s' not found", r.GetImageId())
	}
	if failed != "" {
		lines = append(lines, logLine(failed+"\n"))
	}
	if err := out.Send(pb.ImageJoinStreamingResponse_builder{TaskLogs: lines, EntryId: "1-0"}.Build()); err != nil {
		return err
	}
	result := pb.GenericResult_builder{Status: pb.GenericResult_GENERIC_STATUS_SUCCESS}
	if failed != "" {
		result = pb.GenericResult_builder{
			Status: pb.GenericResult_GENERIC_STATUS_FAILURE, Exception: "Image build for " + r.GetImageId() + " failed: " + failed,
		}
	}
	return out.Send(pb.ImageJoinStreamingResponse_builder{Result: result.Build(), EntryId: "1-1", Eof: true, Metadata: imageMetadata()}.Build())
}

func logLine(text string) *pb.TaskLogs {
	return pb.TaskLogs_builder{Data: text, FileDescriptor: pb.FileDescriptor_FILE_DESCRIPTOR_STDOUT}.Build()
}

// ImageFromId says whether there is such an image.
func (s *Server) ImageFromId(_ context.Context, r *pb.ImageFromIdRequest) (*pb.ImageFromIdResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.images[r.GetImageId()] == nil {
		return nil, status.Errorf(codes.NotFound, "Image '%s' not found", r.GetImageId())
	}
	return pb.ImageFromIdResponse_builder{ImageId: r.GetImageId(), Metadata: imageMetadata()}.Build(), nil
}

// ImageDelete forgets an image.
func (s *Server) ImageDelete(_ context.Context, r *pb.ImageDeleteRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	img := s.images[r.GetImageId()]
	delete(s.images, r.GetImageId())
	s.mu.Unlock()
	if img == nil {
		return nil, status.Errorf(codes.NotFound, "Image '%s' not found", r.GetImageId())
	}
	if img.root != "" {
		return &emptypb.Empty{}, machine.RemoveAll(filepath.Dir(img.root))
	}
	return &emptypb.Empty{}, nil
}

// hidden are the programs that an image does not have. Debian's slim images have no
// git until a layer installs it, Alpine has no apt and no bash, a distroless image has
// no shell.
func (img *image) hidden() []string {
	if img.root != "" && len(img.commands) == 0 {
		return nil
	}
	text := strings.Join(img.commands, "\n")
	var out []string
	if !strings.Contains(text, "git") || strings.Contains(text, "glue-without-git") {
		out = append(out, "git")
	}
	base := strings.Join(fromLines(img.commands), "\n")
	switch {
	case strings.Contains(base, "alpine"):
		out = append(out, "apt", "apt-get", "bash", "rbash", "dpkg")
	case hasNoShell(img.commands):
		out = append(out, "apt", "apt-get", "bash", "rbash", "sh", "dash", "dpkg", "busybox", "env")
	}
	return out
}

// hasNoShell tells whether the image is one of those that hold a single program.
func hasNoShell(commands []string) bool {
	base := strings.Join(fromLines(commands), "\n")
	return strings.Contains(base, "distroless") || strings.Contains(base, "scratch")
}

func runsSomething(commands []string) bool {
	return slices.ContainsFunc(commands, func(c string) bool { return strings.HasPrefix(strings.ToUpper(c), "RUN ") })
}

func fromLines(commands []string) []string {
	var out []string
	for _, c := range commands {
		if strings.HasPrefix(strings.ToUpper(c), "FROM ") {
			out = append(out, c)
		}
	}
	return out
}

func copyTree(from, to string) error {
	out, err := exec.Command("cp", "-a", "--reflink=auto", "--", from, to).CombinedOutput()
	if err != nil {
		return status.Errorf(codes.Internal, "copying a sandbox's files: %v: %s", err, out)
	}
	return nil
}
