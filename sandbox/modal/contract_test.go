package modal

import (
	"context"
	"testing"
	"time"

	"glue-lsp/internal/modaltest"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/sandboxtest"
)

func TestModalByTheAgentKeepsTheContract(t *testing.T) {
	cloud := modaltest.Shared(t)
	r := newRuntime(t, cloud, nil)
	// The owner that comes after it is another process, with a sidecar of its own.
	next := newRuntime(t, cloud, nil)
	specs := specBook{}
	sandboxtest.Run(t, func(t *testing.T) sandbox.Sandbox { return specs.open(t, r) }, sandboxtest.Caps{
		Git: true, Trees: true, Watch: true, PTY: true, Control: true, Attach: true, Background: true,
		Kill: func(t *testing.T, sb sandbox.Sandbox) { cloud.End(t, sb.Info().ID, "terminated") },
		Join: func(ctx context.Context, sb sandbox.Sandbox) (sandbox.Sandbox, error) {
			return next.Attach(ctx, specs[sb.Info().ID], sb.State())
		},
	})
}

// specBook remembers what each sandbox was opened with.
type specBook map[string]sandbox.Spec

func (b specBook) open(t *testing.T, r *Runtime) sandbox.Sandbox {
	t.Helper()
	spec := sandbox.Spec{Session: "contract", Dir: t.TempDir(), Timeout: 20 * time.Minute, Log: t.Logf}
	sb, err := r.Open(within(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	b[sb.Info().ID] = spec
	return sb
}
