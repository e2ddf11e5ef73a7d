package modal

import (
	"context"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"glue-lsp/internal/modaltest"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// The test binary is its own agent, as the product's binary is.
func TestMain(m *testing.M) {
	if agent.IsAgent(os.Args) {
		os.Exit(agent.Main(os.Args[2:], os.Stdin, os.Stdout))
	}
	goleak.VerifyTestMain(m)
}

// patience bounds what must happen at all; it is never what a test measures.
const patience = 60 * time.Second

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// newRuntime gives a runtime against an emulator. Its sidecar ends with the test.
func newRuntime(t testing.TB, cloud *modaltest.Cloud, change func(*Options)) *Runtime {
	t.Helper()
	o := Options{
		Home: t.TempDir(), Python: modaltest.Python(t), App: "tests", DeleteOnClose: true, Transport: Agent,
		Environ: append(os.Environ(), cloud.Environ()...), Log: t.Logf,
	}
	if change != nil {
		change(&o)
	}
	r := New(o)
	t.Cleanup(func() {
		// Not of the test, whose own time may be over.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return r
}

// openBox opens a sandbox, which ends with the test.
func openBox(t testing.TB, r *Runtime, change func(*sandbox.Spec)) sandbox.Sandbox {
	t.Helper()
	spec := sandbox.Spec{Session: "s1", Dir: t.TempDir(), Timeout: 10 * time.Minute, Tags: map[string]string{"glue-session": "s1"}}
	if change != nil {
		change(&spec)
	}
	sb, err := r.Open(within(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := sb.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return sb
}

// eventually polls for something that must become true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
