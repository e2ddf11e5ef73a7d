package emu_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"modalemu/emu"
)

// program is the built emulator, which is also what runs inside its sandboxes.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "modalemu-test-")
	if err != nil {
		log.Fatal(err)
	}
	program = filepath.Join(dir, "modalemu")
	if out, err := exec.Command("go", "build", "-o", program, "modalemu").CombinedOutput(); err != nil {
		log.Fatalf("building the emulator: %v\n%s", err, out)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// client makes the calls of an SDK, without its patience.
type client struct {
	t      *testing.T
	s      *emu.Server
	cp     pb.ModalClientClient
	router pb.TaskCommandRouterClient
	app    string
	image  string
	auth   string
}

// dial gives a client of an emulator with an app and an image.
func dial(t *testing.T, s *emu.Server) *client {
	t.Helper()
	conn, err := grpc.NewClient(strings.TrimPrefix(s.URL(), "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &client{t: t, s: s, cp: pb.NewModalClientClient(conn), router: pb.NewTaskCommandRouterClient(conn)}
	ctx := c.ctx()
	app, err := c.cp.AppGetOrCreate(ctx, pb.AppGetOrCreateRequest_builder{
		AppName: "tests", ObjectCreationType: pb.ObjectCreationType_OBJECT_CREATION_TYPE_CREATE_IF_MISSING,
	}.Build())
	c.must(err)
	c.app = app.GetAppId()
	img, err := c.cp.ImageGetOrCreate(ctx, pb.ImageGetOrCreateRequest_builder{
		AppId: c.app, Image: pb.Image_builder{DockerfileCommands: []string{"FROM debian:bookworm-slim", "RUN apt-get install git"}}.Build(),
	}.Build())
	c.must(err)
	c.image = img.GetImageId()
	token, err := c.cp.AuthTokenGet(ctx, &pb.AuthTokenGetRequest{})
	c.must(err)
	c.auth = token.GetToken()
	return c
}

func (c *client) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// ctx is a call's, with the accepted token and headers beside it.
func (c *client) ctx(headers ...string) context.Context {
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	c.t.Cleanup(cancel)
	all := append([]string{"x-modal-token-id", "ak-emulator", "x-modal-token-secret", "as-emulator", "x-modal-auth-token", c.auth}, headers...)
	return metadata.AppendToOutgoingContext(ctx, all...)
}

// box is a sandbox and what its router calls need.
type box struct {
	c        *client
	id, task string
	jwt      string
}

// definition is an ordinary sandbox.
func (c *client) definition() pb.Sandbox_builder {
	return pb.Sandbox_builder{ImageId: c.image, TimeoutSecs: 300, EntrypointArgs: []string{"sleep", "infinity"}}
}

func (c *client) request(def pb.Sandbox_builder) *pb.SandboxCreateV2Request {
	return pb.SandboxCreateV2Request_builder{AppId: c.app, Definition: def.Build()}.Build()
}

func (c *client) create(def pb.Sandbox_builder) *box {
	c.t.Helper()
	r, err := c.cp.SandboxCreateV2(c.ctx(), c.request(def))
	c.must(err)
	return &box{c, r.GetSandboxId(), r.GetTaskId(), r.GetCommandRouterAccess().GetJwt()}
}

func (b *box) ctx() context.Context { return b.c.ctx("authorization", "Bearer "+b.jwt) }

// start starts a command.
func (b *box) start(id string, argv ...string) {
	b.c.t.Helper()
	_, err := b.c.router.TaskExecStart(b.ctx(), pb.TaskExecStartRequest_builder{
		TaskId: b.task, ExecId: id, CommandArgs: argv,
		StdoutConfig: pb.TaskExecStdoutConfig_TASK_EXEC_STDOUT_CONFIG_PIPE,
		StderrConfig: pb.TaskExecStderrConfig_TASK_EXEC_STDERR_CONFIG_PIPE,
	}.Build())
	b.c.must(err)
}

// read reads a command's standard output from an offset to its end.
func (b *box) read(id string, offset uint64) (string, error) {
	stream, err := b.c.router.TaskExecStdioRead(b.ctx(), pb.TaskExecStdioReadRequest_builder{
		TaskId: b.task, ExecId: id, Offset: offset,
		FileDescriptor: pb.TaskExecStdioFileDescriptor_TASK_EXEC_STDIO_FILE_DESCRIPTOR_STDOUT,
	}.Build())
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out.String(), nil
		}
		if err != nil {
			return out.String(), err
		}
		out.Write(m.GetData())
	}
}

// sh runs a script, and gives its output and status.
func (b *box) sh(script string) (string, int32) {
	b.c.t.Helper()
	id := "sh-" + time.Now().Format(time.RFC3339Nano)
	b.start(id, "sh", "-c", script)
	out, err := b.read(id, 0)
	b.c.must(err)
	end, err := b.c.router.TaskExecWait(b.ctx(), pb.TaskExecWaitRequest_builder{TaskId: b.task, ExecId: id}.Build())
	b.c.must(err)
	return out, end.GetCode()
}

// wait waits for the sandbox's end.
func (b *box) wait() *pb.GenericResult {
	b.c.t.Helper()
	for {
		r, err := b.c.cp.SandboxWaitV2(b.c.ctx(), pb.SandboxWaitRequest_builder{SandboxId: b.id, Timeout: 10}.Build())
		b.c.must(err)
		if r.GetResult().GetStatus() != pb.GenericResult_GENERIC_STATUS_UNSPECIFIED {
			return r.GetResult()
		}
	}
}

// stats asks the administration's interface.
func stats(t *testing.T, s *emu.Server) emu.Stats {
	t.Helper()
	answer, err := http.Get(s.AdminURL() + "/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	var out emu.Stats
	if err := json.NewDecoder(answer.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func (b *box) stats() emu.SandboxStats {
	b.c.t.Helper()
	for _, line := range stats(b.c.t, b.c.s).Sandboxes {
		if line.ID == b.id {
			return line
		}
	}
	b.c.t.Fatalf("no sandbox %s is counted", b.id)
	return emu.SandboxStats{}
}

// hurt posts to the administration's interface.
func hurt(t *testing.T, s *emu.Server, path, body string) {
	t.Helper()
	if err := post(s, path, body); err != nil {
		t.Fatal(err)
	}
}

func post(s *emu.Server, path, body string) error {
	answer, err := http.Post(s.AdminURL()+path, "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("%s: %s: %s", path, answer.Status, text)
	}
	return nil
}
