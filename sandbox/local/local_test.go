package local

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// The test binary is the agent of its sandboxes, as the product's binary is.
func TestMain(m *testing.M) {
	beAttacker()
	if agent.IsAgent(os.Args) {
		os.Exit(AgentMain(os.Args[2:], os.Stdin, os.Stdout))
	}
	goleak.VerifyTestMain(m)
}

// patience bounds what must happen at all; it is never what a test measures.
const patience = 60 * time.Second

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// isolations are those that this system must be able to hold.
var isolations = []string{Bubblewrap, Landlock, None}

func open(t testing.TB, o Options, change func(*sandbox.Spec)) *running {
	t.Helper()
	dir := t.TempDir()
	if o.Home == "" {
		o.Home = filepath.Join(dir, "glue")
	}
	spec := sandbox.Spec{Session: "s1", Dir: filepath.Join(o.Home, "sessions", "s1"), TreeDir: filepath.Join(o.Home, "trees", "s1"), Log: t.Logf}
	if change != nil {
		change(&spec)
	}
	box, err := New(o).Open(testContext(t), spec)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := box.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return box.(*running)
}

// run runs a command and gives its outputs and status.
func run(t testing.TB, box sandbox.Sandbox, req sandbox.ExecRequest) (out, errs string, status int) {
	t.Helper()
	p, err := box.Start(testContext(t), req)
	if err != nil {
		t.Fatalf("start %q %q: %v", req.Command, req.Argv, err)
	}
	var o, e bytes.Buffer
	res, err := p.Wait(testContext(t), func(s sandbox.Stream, _ int64, b []byte) error {
		if s == sandbox.Stderr {
			e.Write(b)
		} else {
			o.Write(b)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("wait: %v", err)
	}
	return o.String(), e.String(), res.ExitCode
}

func sh(t testing.TB, box sandbox.Sandbox, command string) string {
	t.Helper()
	out, errs, status := run(t, box, sandbox.ExecRequest{Command: command})
	if status != 0 {
		t.Fatalf("%q ended with %d: %s", command, status, errs)
	}
	return out
}

func TestACommandRunsInEachIsolation(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			box := open(t, Options{Isolation: isolation}, nil)
			if got := box.Info().Isolation; got != isolation {
				t.Errorf("isolation %q, want %q", got, isolation)
			}
			if got, want := sh(t, box, "pwd"), box.Info().Root+"\n"; got != want {
				t.Errorf("pwd %q, want %q", got, want)
			}
		})
	}
}

func BenchmarkOpenAndClose(b *testing.B) {
	for b.Loop() {
		box := open(b, Options{Isolation: Bubblewrap}, nil)
		if err := box.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
