package handlers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/config"
	"glue-lsp/internal/wire"
	"glue-lsp/sandbox"
	"glue-lsp/session"
	"glue-lsp/workspace"
)

func TestFailuresCarryKindAndOperation(t *testing.T) {
	_, notThere := os.Open("/nonexistent/x")
	for name, x := range map[string]struct {
		err  error
		want failure
	}{
		"a session's": {
			&session.Error{Kind: "sessionLost", Op: "run a command", Session: "s1", Message: "gone", Hint: "open another", Checkpoint: 4},
			failure{Kind: "sessionLost", Operation: "run a command", Session: "s1", Hint: "open another", Checkpoint: 4},
		},
		"a sandbox's": {
			&sandbox.Error{Kind: sandbox.FileNotFound, Op: "stat", Path: "/gr\xFC", Message: "no such file"},
			failure{Kind: "fileNotFound", Operation: "stat", Path: `/gr\xFC`, PathBytes: "L2dy/A=="},
		},
		"a session's around a sandbox's": {
			&session.Error{Session: "s1", Op: "sync", Err: &sandbox.Error{Kind: sandbox.NoSpace, Op: "write", Path: "/x", Hint: "make room"}},
			failure{Kind: "noSpace", Operation: "sync", Path: "/x", Session: "s1", Hint: "make room"},
		},
		"a workspace's": {
			fmt.Errorf("return: %w", &workspace.Error{Kind: "needsConfirmation", Op: "return", Hint: "allowMassDelete"}),
			failure{Kind: "needsConfirmation", Operation: "return", Hint: "allowMassDelete"},
		},
		"the settings'": {
			&config.Error{Key: "runtime", Origin: "editor", Message: "must be local or modal"},
			failure{Kind: "unavailable", Operation: "read the settings", Hint: "correct runtime (editor)"},
		},
		"the operating system's": {notThere, failure{Kind: "fileNotFound", Operation: "open", Path: "/nonexistent/x"}},
		"a full disk":            {fmt.Errorf("x: %w", syscall.ENOSPC), failure{Kind: "noSpace", Operation: "glue/x"}},
		"a refusal":              {fs.ErrPermission, failure{Kind: "permissionDenied", Operation: "glue/x"}},
		"a time-out":             {context.DeadlineExceeded, failure{Kind: "timeout", Operation: "glue/x"}},
		"a stale token":          {&sandbox.Error{Kind: sandbox.Stale, Op: "capture"}, failure{Kind: "unavailable", Operation: "capture"}},
		"anything else":          {errors.New("odd"), failure{Kind: "unavailable", Operation: "glue/x"}},
	} {
		got, ok := errors.AsType[*wire.Error](toWireError(context.Background(), "glue/x", x.err))
		if !ok || got.Code != wire.RequestFailed {
			t.Errorf("%s: %v", name, got)
			continue
		}
		if diff := cmp.Diff(x.want, got.Data); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		kinds := errorKinds()
		if !slices.ContainsFunc(kinds, func(k errorKind) bool { return k.name == x.want.Kind }) {
			t.Errorf("%s: the kind %s is not documented", name, x.want.Kind)
		}
	}
}

func TestCancellationAndBadParamsHaveTheirOwnCodes(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for name, x := range map[string]struct {
		ctx  context.Context
		err  error
		code int
	}{
		"cancelled by the client":      {cancelled, fmt.Errorf("sync: %w", context.Canceled), wire.RequestCancelled},
		"cancelled for another reason": {context.Background(), context.Canceled, wire.RequestFailed},
		"a bad parameter":              {context.Background(), badParam("path", "no"), wire.InvalidParams},
		"a bad parameter further down": {context.Background(), &sandbox.Error{Kind: sandbox.InvalidParams, Op: "stat"}, wire.InvalidParams},
		"a ready answer":               {context.Background(), wire.NotFound("x"), wire.MethodNotFound},
	} {
		got, ok := errors.AsType[*wire.Error](toWireError(x.ctx, "glue/x", x.err))
		if !ok || got.Code != x.code {
			t.Errorf("%s: %+v, want code %d", name, got, x.code)
		}
	}
	if err := toWireError(cancelled, "x", nil); err != nil {
		t.Errorf("no error became %v", err)
	}
}

func TestX10_SecretsInURLsAreTakenOut(t *testing.T) {
	err := &session.Error{Kind: "unavailable", Op: "clone", Message: "fatal: https://me:ghp_secret@host/x.git refused", Hint: "try ssh://token@host"}
	got, _ := errors.AsType[*wire.Error](toWireError(context.Background(), "x", err))
	want := &wire.Error{
		Code: wire.RequestFailed, Message: "clone: fatal: https://***@host/x.git refused",
		Data: failure{Kind: "unavailable", Operation: "clone", Hint: "try ssh://***@host"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := messageOf(err); got != "clone: fatal: https://***@host/x.git refused (try ssh://***@host)" {
		t.Errorf("the message is %q", got)
	}
}
