package emu

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"modalemu/machine"
)

// mounted is what stands in the place of a sandbox's folder.
type mounted struct {
	path   string // on the host
	former string // where the folder's own files wait, on the host
}

// TaskSnapshotFilesystem keeps the sandbox's files as an image.
func (s router) TaskSnapshotFilesystem(ctx context.Context, r *pb.TaskSnapshotFilesystemRequest) (*pb.TaskSnapshotFilesystemResponse, error) {
	sb, err := s.living(ctx, r.GetTaskId())
	if err != nil {
		return nil, err
	}
	img, err := s.keepOnce(r.GetTaskId()+r.GetSnapshotId(), sb.root(), sb.image, r.GetCustomerSuppliedEncryptionKey())
	if err != nil {
		return nil, err
	}
	return pb.TaskSnapshotFilesystemResponse_builder{ImageId: img.id}.Build(), nil
}

// TaskSnapshotDirectory keeps one folder's files as an image that can be mounted.
func (s router) TaskSnapshotDirectory(ctx context.Context, r *pb.TaskSnapshotDirectoryRequest) (*pb.TaskSnapshotDirectoryResponse, error) {
	sb, err := s.living(ctx, r.GetTaskId())
	if err != nil {
		return nil, err
	}
	dir, err := sb.folder(string(r.GetPath()))
	if err != nil {
		return nil, err
	}
	img, err := s.keepOnce(r.GetTaskId()+r.GetSnapshotId(), dir, &image{}, r.GetCustomerSuppliedEncryptionKey())
	if err != nil {
		return nil, err
	}
	return pb.TaskSnapshotDirectoryResponse_builder{ImageId: img.id}.Build(), nil
}

// TaskMountDirectory shows a copy of an image's files in a folder, or none. What was in
// the folder comes back when it is unmounted.
func (s router) TaskMountDirectory(ctx context.Context, r *pb.TaskMountDirectoryRequest) (*emptypb.Empty, error) {
	sb, err := s.living(ctx, r.GetTaskId())
	if err != nil {
		return nil, err
	}
	dir, err := sb.folder(string(r.GetPath()))
	if err != nil {
		return nil, err
	}
	from := ""
	if id := r.GetImageId(); id != "" {
		s.mu.Lock()
		img := s.images[id]
		s.mu.Unlock()
		if img == nil {
			return nil, status.Errorf(codes.NotFound, "Image '%s' not found", id)
		}
		if !img.opens(r.GetCustomerSuppliedEncryptionKey()) {
			return nil, status.Error(codes.InvalidArgument, "the encryption key is not the image's")
		}
		from = img.root
	}
	sb.mounting.Lock()
	defer sb.mounting.Unlock()
	former := filepath.Join(sb.dir, "covered", strconv.Itoa(len(sb.mounts)))
	if err := os.MkdirAll(filepath.Dir(former), 0o700); err != nil {
		return nil, err
	}
	if err := os.Rename(dir, former); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "mounting: %v", err)
	}
	if from != "" {
		err = copyTree(from, dir)
	} else {
		err = os.Mkdir(dir, 0o755)
	}
	if err != nil {
		return nil, errors.Join(err, machine.RemoveAll(dir), os.Rename(former, dir))
	}
	sb.mounts = append(sb.mounts, mounted{path: dir, former: former})
	return &emptypb.Empty{}, nil
}

// TaskUnmountDirectory takes away what was mounted last in a folder.
func (s router) TaskUnmountDirectory(ctx context.Context, r *pb.TaskUnmountDirectoryRequest) (*emptypb.Empty, error) {
	sb, err := s.living(ctx, r.GetTaskId())
	if err != nil {
		return nil, err
	}
	dir, err := sb.folder(string(r.GetPath()))
	if err != nil {
		return nil, err
	}
	sb.mounting.Lock()
	defer sb.mounting.Unlock()
	for i := len(sb.mounts) - 1; i >= 0; i-- {
		if m := sb.mounts[i]; m.path == dir && m.former != "" {
			sb.mounts[i] = mounted{}
			return &emptypb.Empty{}, errors.Join(machine.RemoveAll(dir), os.Rename(m.former, dir))
		}
	}
	return nil, status.Errorf(codes.InvalidArgument, "nothing is mounted at %s", r.GetPath())
}

// living finds the sandbox of a router call, which must not have ended.
func (s router) living(ctx context.Context, task string) (*sandbox, error) {
	sb, err := s.checkRouter(ctx, task)
	if err == nil && !sb.alive() {
		return nil, status.Error(codes.NotFound, "the sandbox has ended")
	}
	return sb, err
}

func (sb *sandbox) root() string { return filepath.Join(sb.dir, "root") }

// folder finds a folder of the sandbox on the host. Links in it are the sandbox's own,
// and are not followed out of it.
func (sb *sandbox) folder(path string) (string, error) {
	bad := func(why any) error { return status.Errorf(codes.InvalidArgument, "%s: %v", path, why) }
	if !filepath.IsAbs(path) || filepath.Clean(path) == "/" {
		return "", bad("an absolute path of a folder is needed")
	}
	root, err := os.OpenRoot(sb.root())
	if err != nil {
		return "", err
	}
	defer root.Close()
	inside := strings.TrimPrefix(filepath.Clean(path), "/")
	for dir := inside; dir != "."; dir = filepath.Dir(dir) {
		info, err := root.Lstat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return "", status.Errorf(codes.NotFound, "%s: no such folder", path)
		case err != nil:
			return "", bad(err)
		case !info.IsDir():
			return "", bad("not a folder of the sandbox's own")
		}
	}
	return filepath.Join(sb.root(), inside), nil
}

// keepOnce makes an image of files, once per key: calls are repeated after lost answers.
func (s *Server) keepOnce(key, from string, base *image, secret []byte) (*image, error) {
	s.mu.Lock()
	id := s.kept[key]
	img := s.images[id]
	s.mu.Unlock()
	if img != nil {
		return img, nil
	}
	img = &image{id: randomID("im-", 11), built: true, commands: base.commands, lock: lockOf(secret)}
	dir := s.path("images", img.id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	img.root = filepath.Join(dir, "root")
	if err := copyTree(from, img.root); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.images[img.id], s.kept[key] = img, img.id
	return img, nil
}

// lockOf is what is remembered of a key that an image's owner gave.
func lockOf(secret []byte) []byte {
	if len(secret) == 0 {
		return nil
	}
	sum := sha256.Sum256(secret)
	return sum[:]
}

func (img *image) opens(secret []byte) bool {
	return subtle.ConstantTimeCompare(img.lock, lockOf(secret)) == 1
}
