package modal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"glue-lsp/internal/modaltest"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// OutageVariable is how long a network is away in tests of that, as Go writes it. They
// make it short; `make soak` does not.
const OutageVariable = "GLUE_TEST_OUTAGE"

func outage(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv(OutageVariable)
	if text == "" {
		return 3 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", OutageVariable, err)
	}
	return d
}

// halves is a command of two halves with much output. The second waits for the file go.
const halves = "seq 200000; echo half; while [ ! -e go ]; do sleep 0.05; done; seq 200000 >&2; exit 7"

func halvesPrint() (stdout, stderr []byte) {
	var b bytes.Buffer
	for i := range 200_000 {
		fmt.Fprintln(&b, i+1)
	}
	return append(bytes.Clone(b.Bytes()), "half\n"...), b.Bytes()
}

// surviving runs a command of two halves, does something to the tunnel in the middle of
// its output, with other calls under way, and looks at what came of all that.
func surviving(t *testing.T, sb sandbox.Sandbox, hurt func()) {
	t.Helper()
	// What hurts can last; nothing here is about how quickly it is over.
	ctx, cancel := context.WithTimeout(t.Context(), patience+3*outage(t))
	defer cancel()
	p, err := sb.Start(ctx, sandbox.ExecRequest{ID: "halves", Command: halves})
	if err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	inFlight := func(what string, call func() error) {
		others.Go(func() {
			err := call()
			var e *sandbox.Error
			if err != nil && (!errors.As(err, &e) || e.Op == "" || e.Kind != sandbox.ExecutorDead && e.Kind != sandbox.Unavailable) {
				t.Errorf("%s, in flight: %v", what, err)
			}
		})
	}
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<19) // 8 MiB
	inFlight("a write", func() error {
		_, err := sb.WriteFile(ctx, "large", bytes.NewReader(content), sandbox.WriteOptions{Create: true})
		return err
	})
	var once sync.Once
	var out [2]bytes.Buffer
	res, err := p.Wait(ctx, func(s sandbox.Stream, off int64, b []byte) error {
		i := 0
		if s == sandbox.Stderr {
			i = 1
		}
		if off != int64(out[i].Len()) {
			t.Errorf("stream %d: offset %d after %d bytes", s, off, out[i].Len())
		}
		out[i].Write(b)
		once.Do(func() {
			hurt()
			for range 8 {
				inFlight("a stat", func() error { _, err := sb.Stat(ctx, "/"); return err })
			}
			others.Go(func() {
				for ctx.Err() == nil {
					if _, err := sb.WriteFile(ctx, "go", strings.NewReader(""), sandbox.WriteOptions{Create: true, Overwrite: true}); err == nil {
						return
					}
				}
			})
		})
		return nil
	})
	others.Wait()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := halvesPrint()
	for i, want := range [][]byte{stdout, stderr} {
		if !bytes.Equal(out[i].Bytes(), want) {
			t.Errorf("stream %d: %d bytes of %d, or others", i+1, out[i].Len(), len(want))
		}
	}
	if res.ExitCode != 7 || res.Lost != (sandbox.Offsets{}) {
		t.Errorf("got %+v", res)
	}
	if _, err := sb.WriteFile(ctx, "large", bytes.NewReader(content), sandbox.WriteOptions{Create: true, Overwrite: true}); err != nil {
		t.Fatal(err)
	}
	r, size, err := sb.ReadFile(ctx, "large", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || size != int64(len(content)) || !bytes.Equal(got, content) {
		t.Errorf("of %d bytes %d came back, %v", len(content), len(got), err)
	}
}

func TestL3_F28_U6_ANetworkThatIsAwayForAWhileLosesNoByteAndNoCommand(t *testing.T) {
	for name, hurt := range map[string]func(*modaltest.Cloud){
		"cut":    func(c *modaltest.Cloud) { c.Cut(t, outage(t)) },
		"silent": func(c *modaltest.Cloud) { c.Freeze(t, outage(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			cloud := modaltest.Start(t)
			sb := openBox(t, newRuntime(t, cloud, nil), nil)
			instance := sb.(*agentBox).Instance()
			surviving(t, sb, func() { hurt(cloud) })
			if sb.(*agentBox).Instance() != instance {
				t.Error("it is another agent")
			}
		})
	}
}

func TestF28_AKilledSidecarLosesNoOutputAndNoCommand(t *testing.T) {
	r := newRuntime(t, modaltest.Shared(t), nil)
	sb := openBox(t, r, nil)
	surviving(t, sb, func() {
		p, err := r.sidecar(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	})
}

func TestF28_ATunnelThatEndsIsReplacedAndLeavesNoLaneBehind(t *testing.T) {
	r := newRuntime(t, modaltest.Shared(t), nil)
	sb := openBox(t, r, nil)
	box := sb.(*agentBox)
	lanes := func() (n int) {
		t.Helper()
		p, err := sb.Start(within(t), sandbox.ExecRequest{Command: `for f in /proc/[0-9]*/cmdline; do tr '\0' ' ' <$f; echo; done 2>/dev/null`})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if _, err := p.Wait(within(t), func(_ sandbox.Stream, _ int64, b []byte) error { out.Write(b); return nil }); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if strings.Contains(line, agent.Word+" attach ") && strings.Contains(line, "--stream") {
				n++
			}
		}
		return n
	}
	// Someone else takes the stream's place, as a client does whose tunnel was lost: the
	// lanes of the first one end, and its client makes others.
	p, err := r.sidecar(within(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		rw, err := box.tunnel(within(t), p)
		if err != nil {
			t.Fatal(err)
		}
		rw.Close()
	}
	ctx := within(t)
	for n := lanes(); n != laneCount; n = lanes() {
		if ctx.Err() != nil {
			t.Fatalf("%d lanes instead of %d", n, laneCount)
		}
	}
}
