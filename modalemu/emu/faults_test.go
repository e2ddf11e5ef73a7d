package emu_test

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"modalemu/emu"
)

func TestWhatItIsToldToRefuseItRefuses(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t))
	living := c.create(c.definition())
	create := func() error {
		_, err := c.cp.SandboxCreateV2(c.ctx(), c.request(c.definition()))
		return err
	}
	for _, x := range []struct {
		faults string
		call   func() error
		want   codes.Code
		word   string
	}{
		{`{"maxSandboxes": 1}`, create, codes.ResourceExhausted, "limit of 1"},
		{`{"createFails": "no machine is free"}`, create, codes.Internal, "no machine is free"},
		{`{"refuseToken": true}`, create, codes.Unauthenticated, "revoked"},
		{`{"unimplemented": ["SandboxCreateV2"]}`, create, codes.Unimplemented, "SandboxCreateV2"},
		{`{"coreOnly": true}`, create, codes.OK, ""},
		{`{"coreOnly": true}`, func() error {
			_, err := c.cp.EnvironmentList(c.ctx(), &emptypb.Empty{})
			return err
		}, codes.Unimplemented, "EnvironmentList"},
		{`{"terminateFails": 1}`, func() error {
			_, err := c.cp.SandboxTerminateV2(c.ctx(), pb.SandboxTerminateRequest_builder{SandboxId: living.id}.Build())
			return err
		}, codes.Internal, "terminating"},
		{`{"execFails": 1}`, func() error {
			_, err := c.router.TaskExecStart(living.ctx(), pb.TaskExecStartRequest_builder{TaskId: living.task, ExecId: "x", CommandArgs: []string{"true"}}.Build())
			return err
		}, codes.Unavailable, "busy"},
	} {
		hurt(t, c.s, "/faults", x.faults)
		err := x.call()
		if status.Code(err) != x.want || x.word != "" && !strings.Contains(err.Error(), x.word) {
			t.Errorf("%s: %v", x.faults, err)
		}
		hurt(t, c.s, "/faults", "{}")
	}
	if err := create(); err != nil {
		t.Errorf("a fault stayed: %v", err)
	}
}

func TestAWrongTokenIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := dial(t, s)
	if _, err := c.cp.ClientHello(c.ctx("x-modal-token-id", "ak-other"), &emptypb.Empty{}); err != nil {
		t.Fatalf("the first of two headers counts: %v", err)
	}
	c.auth = "nonsense"
	if _, err := c.cp.SandboxCreateV2(c.ctx(), c.request(c.definition())); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a token that nobody signed: %v", err)
	}
	b := dial(t, s).create(c.definition())
	b.jwt += "x"
	if _, err := b.read("none", 0); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a router token that nobody signed: %v", err)
	}
}

func TestAnImageThatDoesNotBuildSaysItsLastLine(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t))
	hurt(t, c.s, "/faults", `{"imageFails": "E: disk full"}`)
	img, err := c.cp.ImageGetOrCreate(c.ctx(), pb.ImageGetOrCreateRequest_builder{
		AppId: c.app, Image: pb.Image_builder{DockerfileCommands: []string{"FROM other"}}.Build(),
	}.Build())
	c.must(err)
	stream, err := c.cp.ImageJoinStreaming(c.ctx(), pb.ImageJoinStreamingRequest_builder{ImageId: img.GetImageId()}.Build())
	c.must(err)
	var log strings.Builder
	var result *pb.GenericResult
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		c.must(err)
		for _, line := range m.GetTaskLogs() {
			log.WriteString(line.GetData())
		}
		if m.HasResult() {
			result = m.GetResult()
		}
	}
	if !strings.Contains(log.String(), "FROM other\n") || !strings.HasSuffix(log.String(), "E: disk full\n") {
		t.Errorf("the build's log: %q", log.String())
	}
	if result.GetStatus() != pb.GenericResult_GENERIC_STATUS_FAILURE {
		t.Errorf("the build ended by %v", result)
	}
}

func TestEveryCallCanBeDelayed(t *testing.T) {
	t.Parallel()
	const rtt = 50 * time.Millisecond
	s, err := emu.Start(emu.Options{Dir: t.TempDir(), FSTools: program, Log: t.Logf, RoundTrip: rtt})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	c := dial(t, s)
	began := time.Now()
	for range 4 {
		if _, err := c.cp.ClientHello(c.ctx(), &emptypb.Empty{}); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < 4*rtt {
		t.Errorf("four calls took %v", took)
	}
}

func TestAStreamThatIsCutGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t))
	b := c.create(c.definition())
	b.start("counting", "sh", "-c", "i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); sleep 0.005; done")
	var want strings.Builder
	for i := range 200 {
		want.WriteString(strconv.Itoa(i) + "\n")
	}
	got, cuts := "", 0
	for {
		cut := make(chan error, 1)
		if cuts < 3 {
			go func() { cut <- post(c.s, "/cut?ms=50", "") }()
		} else {
			cut <- nil
		}
		part, err := b.read("counting", uint64(len(got)))
		got += part
		c.must(<-cut)
		if err == nil {
			break
		}
		if status.Code(err) != codes.Unavailable {
			t.Fatal(err)
		}
		cuts++
	}
	if got != want.String() {
		t.Errorf("%d bytes came, %d were written", len(got), want.Len())
	}
}

func TestABlackHoleLetsNothingThroughAndLosesNothing(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t))
	const hole = 300 * time.Millisecond
	if _, err := c.cp.ClientHello(c.ctx(), &emptypb.Empty{}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	hurt(t, c.s, "/freeze?ms=300", "")
	if _, err := c.cp.ClientHello(c.ctx(), &emptypb.Empty{}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < hole {
		t.Errorf("a call came through in %v", took)
	}
}
