package local

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/sandboxtest"
)

func TestEachIsolationKeepsTheContract(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			sandboxtest.Run(t, func(t *testing.T) sandbox.Sandbox { return open(t, Options{Isolation: isolation}, nil) }, sandboxtest.Caps{
				Git: true, Trees: true, Watch: true, PTY: true, Control: true, Attach: true, Background: true,
				Kill: func(_ *testing.T, sb sandbox.Sandbox) { sb.(*running).proc.kill() },
				Join: func(ctx context.Context, sb sandbox.Sandbox) (sandbox.Sandbox, error) {
					return New(Options{}).Attach(ctx, specOf(sb), sb.State())
				},
				Reopen: func(ctx context.Context, sb sandbox.Sandbox) (sandbox.Sandbox, error) {
					return New(Options{}).Reopen(ctx, specOf(sb), sb.State())
				},
			})
		})
	}
}

// specOf is what another owner would know of a sandbox.
func specOf(sb sandbox.Sandbox) sandbox.Spec {
	var s state
	if err := json.Unmarshal(sb.State(), &s); err != nil {
		return sandbox.Spec{}
	}
	return sandbox.Spec{TreeDir: filepath.Dir(filepath.Dir(s.Socket))}
}
