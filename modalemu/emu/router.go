package emu

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// router is the command router of all sandboxes: one port serves both planes.
type router struct {
	pb.UnimplementedTaskCommandRouterServer
	*Server
}

// maxArguments is what all arguments of a command may take together.
const maxArguments = 64 << 10

// TaskExecStart starts a command, once per id.
func (s router) TaskExecStart(ctx context.Context, r *pb.TaskExecStartRequest) (*pb.TaskExecStartResponse, error) {
	sb, err := s.checkRouter(ctx, r.GetTaskId())
	if err != nil {
		return nil, err
	}
	if s.faults.take(func(f *Faults) *int { return &f.ExecFails }) {
		return nil, status.Error(codes.Unavailable, "the worker is busy")
	}
	if !sb.alive() {
		return nil, status.Error(codes.NotFound, "the sandbox has ended")
	}
	size := 0
	for _, a := range r.GetCommandArgs() {
		size += len(a)
	}
	if size > maxArguments {
		return nil, status.Errorf(codes.InvalidArgument, "Total length of CMD arguments must be less than %d bytes", maxArguments)
	}
	extra, err := s.variables(r.GetSecretIds(), r.GetSecretSources())
	if err != nil {
		return nil, err
	}
	for k, v := range r.GetEnv() {
		extra[k] = v
	}
	c := spawn{
		id: r.GetExecId(), argv: r.GetCommandArgs(), dir: sb.workdir(r.GetWorkdir()), env: overlay(sb.env, extra), tty: r.GetPtyInfo(),
		pipeOut:  r.GetStdoutConfig() == pb.TaskExecStdoutConfig_TASK_EXEC_STDOUT_CONFIG_PIPE,
		pipeErr:  r.GetStderrConfig() == pb.TaskExecStderrConfig_TASK_EXEC_STDERR_CONFIG_PIPE,
		errToOut: r.GetStderrConfig() == pb.TaskExecStderrConfig_TASK_EXEC_STDERR_CONFIG_STDOUT,
		timeout:  time.Duration(r.GetTimeoutSecs()) * time.Second,
	}
	if c.tty.GetEnabled() && c.tty.GetEnvTerm() != "" {
		c.env = overlay(c.env, map[string]string{"TERM": c.tty.GetEnvTerm()})
	}
	sb.mu.Lock()
	if sb.execs[c.id] != nil {
		sb.mu.Unlock()
		return &pb.TaskExecStartResponse{}, nil // repeated after a lost answer
	}
	sb.lastUsed = time.Now()
	placeholder := &running{done: make(chan struct{})}
	sb.execs[c.id] = placeholder
	sb.mu.Unlock()
	e, err := sb.start(c)
	sb.mu.Lock()
	defer sb.mu.Unlock()
	if err != nil {
		delete(sb.execs, c.id)
		close(placeholder.done)
		return nil, status.Errorf(codes.InvalidArgument, "failed to start the command: %v", err)
	}
	sb.execs[c.id] = e
	sb.started++
	return &pb.TaskExecStartResponse{}, nil
}

func overlay(env []string, extra map[string]string) []string {
	out := slices.DeleteFunc(slices.Clone(env), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		_, ok := extra[name]
		return ok
	})
	return append(out, list(extra)...)
}

// command finds a command of a task.
func (s router) command(ctx context.Context, task, id string) (*sandbox, *running, error) {
	sb, err := s.checkRouter(ctx, task)
	if err != nil {
		return nil, nil, err
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	sb.lastUsed = time.Now()
	e := sb.execs[id]
	if e == nil || e.out == nil {
		return nil, nil, status.Errorf(codes.NotFound, "exec %s not found", id)
	}
	return sb, e, nil
}

// chunk is how much output one message holds.
const chunk = 512 << 10

func follow(ctx context.Context, sp *spool, offset uint64, each func([]byte) error) error {
	buf := make([]byte, chunk)
	at := int64(offset)
	for {
		n, err := sp.read(ctx, at, buf)
		if n > 0 {
			at += int64(n)
			if err := each(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && ctx.Err() != nil:
			return status.FromContextError(ctx.Err()).Err()
		case err != nil:
			return err
		}
	}
}

// TaskExecStdioRead streams an output from an offset on.
func (s router) TaskExecStdioRead(r *pb.TaskExecStdioReadRequest, out grpc.ServerStreamingServer[pb.TaskExecStdioReadResponse]) error {
	_, e, err := s.command(out.Context(), r.GetTaskId(), r.GetExecId())
	if err != nil {
		return err
	}
	sp := e.out
	if r.GetFileDescriptor() == pb.TaskExecStdioFileDescriptor_TASK_EXEC_STDIO_FILE_DESCRIPTOR_STDERR {
		sp = e.err
	}
	return follow(out.Context(), sp, r.GetOffset(), func(p []byte) error {
		return out.Send(pb.TaskExecStdioReadResponse_builder{Data: p}.Build())
	})
}

// SandboxStdioReadV2 streams the entry point's output.
func (s router) SandboxStdioReadV2(r *pb.SandboxStdioReadV2Request, out grpc.ServerStreamingServer[pb.SandboxStdioReadV2Response]) error {
	sb, err := s.checkRouter(out.Context(), r.GetTaskId())
	if err != nil {
		return err
	}
	if sb.main == nil {
		return nil
	}
	sp := sb.main.out
	if r.GetFileDescriptor() == pb.SandboxStdioFileDescriptor_SANDBOX_STDIO_FILE_DESCRIPTOR_STDERR {
		sp = sb.main.err
	}
	at := r.GetOffset()
	return follow(out.Context(), sp, at, func(p []byte) error {
		err := out.Send(pb.SandboxStdioReadV2Response_builder{Data: p, StartingOffset: at}.Build())
		at += uint64(len(p))
		return err
	})
}

// SandboxStdinWriteV2 writes to the entry point.
func (s router) SandboxStdinWriteV2(ctx context.Context, r *pb.SandboxStdinWriteV2Request) (*pb.SandboxStdinWriteV2Response, error) {
	sb, err := s.checkRouter(ctx, r.GetTaskId())
	if err != nil {
		return nil, err
	}
	if sb.main == nil {
		return nil, status.Error(codes.FailedPrecondition, "the sandbox has ended")
	}
	return &pb.SandboxStdinWriteV2Response{}, sb.main.stdin.write(int64(r.GetOffset()), r.GetData(), r.GetEof())
}

// TaskExecStdinWrite writes to a command.
func (s router) TaskExecStdinWrite(ctx context.Context, r *pb.TaskExecStdinWriteRequest) (*pb.TaskExecStdinWriteResponse, error) {
	_, e, err := s.command(ctx, r.GetTaskId(), r.GetExecId())
	if err != nil {
		return nil, err
	}
	return &pb.TaskExecStdinWriteResponse{}, e.stdin.write(int64(r.GetOffset()), r.GetData(), r.GetEof())
}

// TaskExecStdinWriteStream takes a long input in one call.
func (s router) TaskExecStdinWriteStream(in grpc.ClientStreamingServer[pb.TaskExecStdinWriteStreamRequest, pb.TaskExecStdinWriteStreamResponse]) error {
	first, err := in.Recv()
	if err != nil {
		return err
	}
	start := first.GetStart()
	if start == nil {
		return status.Error(codes.InvalidArgument, "the first message must say where to write")
	}
	_, e, err := s.command(in.Context(), start.GetTaskId(), start.GetExecId())
	if err != nil {
		return err
	}
	at := int64(start.GetOffset())
	for {
		m, err := in.Recv()
		if err != nil {
			return err // without an end the input stays open
		}
		if m.HasEnd() {
			if err := e.stdin.write(at, nil, true); err != nil {
				return err
			}
			return in.SendAndClose(&pb.TaskExecStdinWriteStreamResponse{})
		}
		if err := e.stdin.write(at, m.GetData(), false); err != nil {
			return err
		}
		at += int64(len(m.GetData()))
	}
}

// TaskExecStdinStatus says how much was accepted.
func (s router) TaskExecStdinStatus(ctx context.Context, r *pb.TaskExecStdinStatusRequest) (*pb.TaskExecStdinStatusResponse, error) {
	_, e, err := s.command(ctx, r.GetTaskId(), r.GetExecId())
	if err != nil {
		return nil, err
	}
	e.stdin.mu.Lock()
	defer e.stdin.mu.Unlock()
	return pb.TaskExecStdinStatusResponse_builder{NumBytesWritten: uint64(e.stdin.written), Closed: e.stdin.closed}.Build(), nil
}

// TaskExecPoll says how a command ended, or nothing.
func (s router) TaskExecPoll(ctx context.Context, r *pb.TaskExecPollRequest) (*pb.TaskExecPollResponse, error) {
	_, e, err := s.command(ctx, r.GetTaskId(), r.GetExecId())
	if err != nil {
		return nil, err
	}
	if !e.over() {
		return &pb.TaskExecPollResponse{}, nil
	}
	code, sig := e.status()
	return pb.TaskExecPollResponse_builder{Code: code, Signal: sig}.Build(), nil
}

// TaskExecWait waits for a command's end.
func (s router) TaskExecWait(ctx context.Context, r *pb.TaskExecWaitRequest) (*pb.TaskExecWaitResponse, error) {
	_, e, err := s.command(ctx, r.GetTaskId(), r.GetExecId())
	if err != nil {
		return nil, err
	}
	select {
	case <-e.done:
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	code, sig := e.status()
	return pb.TaskExecWaitResponse_builder{Code: code, Signal: sig}.Build(), nil
}

// status is the exit code, or the signal.
func (r *running) status() (code, sig *int32) {
	if r.signal != 0 {
		n := int32(r.signal)
		return nil, &n
	}
	n := int32(r.code)
	return &n, nil
}

// SandboxWaitUntilReady answers at once: there is nothing to wait for.
func (s router) SandboxWaitUntilReady(ctx context.Context, r *pb.SandboxWaitUntilReadyTcrRequest) (*pb.SandboxWaitUntilReadyTcrResponse, error) {
	sb, err := s.checkRouter(ctx, r.GetTaskId())
	if err != nil {
		return nil, err
	}
	return pb.SandboxWaitUntilReadyTcrResponse_builder{ReadyAt: float64(sb.created.UnixNano()) / 1e9}.Build(), nil
}

// TaskReloadVolumes has nothing to do: volumes are folders.
func (s router) TaskReloadVolumes(ctx context.Context, r *pb.TaskReloadVolumesRequest) (*pb.TaskReloadVolumesResponse, error) {
	_, err := s.checkRouter(ctx, r.GetTaskId())
	return &pb.TaskReloadVolumesResponse{}, err
}
