package modal

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/modaltest"
	"glue-lsp/sandbox"
)

func openDirect(t *testing.T, change func(*Options)) *direct {
	t.Helper()
	r := newRuntime(t, modaltest.Shared(t), func(o *Options) {
		o.Transport = Direct
		if change != nil {
			change(o)
		}
	})
	d, ok := openBox(t, r, nil).(*direct)
	if !ok {
		t.Fatal("the transport is another one")
	}
	return d
}

func printed(t *testing.T, sb sandbox.Sandbox, req sandbox.ExecRequest) (string, sandbox.ExecResult) {
	t.Helper()
	p, err := sb.Start(within(t), req)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	r, err := p.Wait(within(t), func(_ sandbox.Stream, _ int64, b []byte) error { out.Write(b); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), r
}

func wantError(t *testing.T, err error, kind sandbox.Kind, words string) {
	t.Helper()
	if !kindIs(err, kind) || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v, want an error of kind %s that says %q", err, kind, words)
	}
}

func TestF19_AnImageWithoutAShellDoesWhatModalsOwnCallsCanAndSaysWhatIsMissing(t *testing.T) {
	d := openDirect(t, func(o *Options) { o.Image = "gcr.io/distroless/static" })
	ctx := within(t)
	if gaps := strings.Join(d.Info().Gaps, " "); !strings.Contains(gaps, "shell") {
		t.Errorf("the gaps are %q", gaps)
	}
	if out, r := printed(t, d, sandbox.ExecRequest{Argv: []string{"printf", "ran"}, Cwd: "/"}); out != "ran" || r.ExitCode != 0 {
		t.Errorf("got %q, %+v", out, r)
	}
	_, err := d.Start(ctx, sandbox.ExecRequest{Command: "echo x"})
	wantError(t, err, sandbox.Unsupported, "sh")

	if err := d.Mkdir(ctx, "/tmp/dir", true); err != nil {
		t.Fatal(err)
	}
	content := strings.Repeat("0123456789abcdef", 100_000)
	if n, err := d.WriteFile(ctx, "/tmp/dir/f", strings.NewReader(content), sandbox.WriteOptions{Create: true}); err != nil || n != int64(len(content)) {
		t.Fatalf("%d bytes: %v", n, err)
	}
	r, size, err := d.ReadFile(ctx, "/tmp/dir/f", 5, 20)
	if err != nil {
		t.Fatal(err)
	}
	part, err := io.ReadAll(r)
	r.Close()
	if string(part) != content[5:25] || size != int64(len(content)) || err != nil {
		t.Errorf("read %q of %d: %v", part, size, err)
	}
	stats, err := d.StatMany(ctx, []string{"/tmp/dir", "/tmp/none", "/tmp/dir/f"})
	if err != nil || stats[0].Info.Type != "directory" || !kindIs(stats[1].Err, sandbox.FileNotFound) || stats[2].Info.Size != size {
		t.Errorf("got %+v, %v", stats, err)
	}
	list, err := d.ReadDir(ctx, "/tmp/dir")
	if diff := cmp.Diff([]sandbox.DirEntry{{Name: "f", Type: "file"}}, list); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	_, err = d.WriteFile(ctx, "/tmp/dir/f", strings.NewReader("x"), sandbox.WriteOptions{Create: true})
	wantError(t, err, sandbox.FileExists, "already")
	wantError(t, d.Remove(ctx, d.Info().Root, true, true), sandbox.Unsupported, "workspace")
	wantError(t, d.Remove(ctx, "/tmp/dir", false, false), sandbox.IsADirectory, "dir")
	if err := d.Remove(ctx, "/tmp/dir", true, false); err != nil {
		t.Error(err)
	}

	wantError(t, d.Rename(ctx, "/tmp/a", "/tmp/b", true), sandbox.Unsupported, "sh")
	wantError(t, d.Populate(ctx, sandbox.PopulateRequest{Bundle: strings.NewReader("")}), sandbox.Unsupported, "sh")
	_, err = d.Capture(ctx, sandbox.CaptureRequest{}, func(sandbox.Captured) error { return nil })
	wantError(t, err, sandbox.Unsupported, "sh")
	_, err = d.Watch(ctx, "/tmp", true, func([]sandbox.FileEvent) {})
	wantError(t, err, sandbox.Unsupported, "sh")
}

func TestCommandsThatModalDoesNotCarryAreCarriedAllTheSame(t *testing.T) {
	d := openDirect(t, nil)
	long := strings.Repeat("x", 100_000)
	out, r := printed(t, d, sandbox.ExecRequest{Command: `printf '%s' "${#LONG} ${#0}"`, Env: map[string]string{"LONG": long, "BYTES": "\xff\xfe"}})
	if out != "100000 4" || r.ExitCode != 0 {
		t.Errorf("got %q, %+v", out, r)
	}
	if out, _ := printed(t, d, sandbox.ExecRequest{Argv: []string{"printf", "%s", "\xff'\n"}, Env: map[string]string{"A": "\x80"}}); out != "\xff'\n" {
		t.Errorf("got %q", out)
	}
	_, err := d.Start(within(t), sandbox.ExecRequest{Argv: []string{"true", strings.Repeat("x", 1<<17)}})
	wantError(t, err, sandbox.TooLarge, "bytes")
}

func TestF20_AnOutputThatNobodyTakesHoldsNothingElseUp(t *testing.T) {
	d := openDirect(t, nil)
	flood, err := d.Start(within(t), sandbox.ExecRequest{Command: "head -c 30000000 /dev/zero; echo end"})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			// Long enough for whoever holds the flood back to have noticed.
			if out, _ := printed(t, d, sandbox.ExecRequest{Command: "sleep 1; echo beside"}); out != "beside\n" {
				t.Errorf("got %q", out)
			}
		})
	}
	all.Wait()
	var size int64
	r, err := flood.Wait(within(t), func(_ sandbox.Stream, offset int64, b []byte) error {
		if offset != size {
			t.Errorf("a piece at %d, expected at %d", offset, size)
		}
		size += int64(len(b))
		return nil
	})
	if err != nil || r.ExitCode != 0 || size != 30_000_004 || r.Lost != (sandbox.Offsets{}) {
		t.Errorf("%d bytes, %+v: %v", size, r, err)
	}
}

func TestACommandWhoseStartIsCancelledIsNotLeftRunning(t *testing.T) {
	d := openDirect(t, nil)
	ctx, cancel := context.WithCancel(within(t))
	go func() {
		// Once it shows inside, which may be before or after the start is answered.
		for {
			if _, err := d.Stat(within(t), "/tmp/started"); err == nil {
				cancel()
				return
			}
		}
	}()
	_, err := d.Start(ctx, sandbox.ExecRequest{ID: "one", Argv: []string{"sh", "-c", "touch /tmp/started; exec sleep 1000"}})
	<-ctx.Done()
	if err == nil {
		return // it had started by then, and is the caller's
	}
	eventually(t, "nothing of it is left", func() bool {
		out, _ := printed(t, d, sandbox.ExecRequest{Command: "grep -l 'sleep.1000' /proc/[0-9]*/cmdline | wc -l"})
		return strings.TrimSpace(out) == "0"
	})
}

// Emulators of Modal differ in what they know beyond commands and their streams.
func TestDirectModeNeedsNoMoreOfModalThanCommandsAndTheirStreams(t *testing.T) {
	cloud := modaltest.Start(t)
	cloud.Faults(t, map[string]any{"coreOnly": true})
	r := newRuntime(t, cloud, func(o *Options) { o.Transport = Direct })
	d := openBox(t, r, nil)
	ctx := within(t)
	big := strings.Repeat("0123456789abcdef", 600_000)
	for _, content := range []string{"small", big} {
		if _, err := d.WriteFile(ctx, "f", strings.NewReader(content), sandbox.WriteOptions{Create: true, Overwrite: true}); err != nil {
			t.Fatal(err)
		}
		in, _, err := d.ReadFile(ctx, "f", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		back, err := io.ReadAll(in)
		in.Close()
		if string(back) != content || err != nil {
			t.Errorf("%d bytes of %d came back: %v", len(back), len(content), err)
		}
	}
	p, err := d.Start(ctx, sandbox.ExecRequest{Command: "read line; echo got $line; sleep 1000", Stdin: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stdin(ctx, []byte("it\n"), true); err != nil {
		t.Error(err)
	}
	var said strings.Builder
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, err := p.Wait(ctx, func(_ sandbox.Stream, _ int64, b []byte) error { said.Write(b); return nil })
		if err != nil || !r.Canceled {
			t.Errorf("got %+v, %v", r, err)
		}
	}()
	if err := p.Cancel(ctx); err != nil {
		t.Error(err)
	}
	<-done
	got := 0
	if _, err := d.Capture(ctx, sandbox.CaptureRequest{}, func(sandbox.Captured) error { got++; return nil }); err != nil || got != 1 {
		t.Errorf("%d files: %v", got, err)
	}
}
