package emu_test

import (
	"testing"

	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func (b *box) keep(t *testing.T, snapshot string) string {
	t.Helper()
	r, err := b.c.router.TaskSnapshotFilesystem(b.ctx(), pb.TaskSnapshotFilesystemRequest_builder{TaskId: b.task, SnapshotId: snapshot}.Build())
	if err != nil {
		t.Fatal(err)
	}
	return r.GetImageId()
}

func TestASnapshotIsWhatWasThereAndAnotherStartsFromIt(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t))
	b := c.create(c.definition())
	b.sh("echo then >/opt/file; ln -s file /opt/link; chmod 640 /opt/file")
	image := b.keep(t, "once")
	if again := b.keep(t, "once"); again != image {
		t.Errorf("a call that was repeated made another image: %s and %s", image, again)
	}
	b.sh("echo now >/opt/file")
	def := c.definition()
	def.ImageId = image
	other := c.create(def)
	if out, _ := other.sh("cat /opt/link; stat -c %a /opt/file; command -v git"); out != "then\n640\n/usr/bin/git\n" {
		t.Errorf("the snapshot holds %q", out)
	}
	other.sh("echo changed >/opt/file")
	if out, _ := c.create(def).sh("cat /opt/file"); out != "then\n" {
		t.Errorf("a sandbox changed the image that it started from: %q", out)
	}
}

func TestAFolderThatLeadsOutOfTheSandboxIsNotKeptNorCovered(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t))
	b := c.create(c.definition())
	b.sh("mkdir -p /opt/real/in; ln -s /etc /opt/abs; ln -s ../../../.. /opt/up; mkdir -p /opt/kept/in; ln -s kept /opt/near; echo x >/opt/file")
	for path, want := range map[string]codes.Code{
		"/opt/real": codes.OK, "/opt/abs": codes.InvalidArgument, "/opt/up/etc": codes.InvalidArgument, "/opt/near/in": codes.InvalidArgument,
		"/opt/file": codes.InvalidArgument, "/opt/none": codes.NotFound, "/": codes.InvalidArgument, "opt/real": codes.InvalidArgument, "/../../etc/../opt/real": codes.OK,
	} {
		_, kept := c.router.TaskSnapshotDirectory(b.ctx(), pb.TaskSnapshotDirectoryRequest_builder{TaskId: b.task, Path: []byte(path), SnapshotId: path}.Build())
		if status.Code(kept) != want {
			t.Errorf("keeping %s: %v", path, kept)
		}
		_, covered := c.router.TaskMountDirectory(b.ctx(), pb.TaskMountDirectoryRequest_builder{TaskId: b.task, Path: []byte(path)}.Build())
		if status.Code(covered) != want {
			t.Errorf("covering %s: %v", path, covered)
		}
	}
}
