package sandboxtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"glue-lsp/sandbox"
)

// patience bounds what must happen at all; it is never what a test measures.
const patience = 60 * time.Second

// box is a sandbox with verbs for tests. dir is where a test may work.
type box struct {
	sb   sandbox.Sandbox
	caps Caps
	dir  string
	made atomic.Int64
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// folder gives the same sandbox with a folder of the test's own, named to catch
// whoever does not quote.
func (b *box) folder(t *testing.T) *box {
	t.Helper()
	dir := fmt.Sprintf("%s/it's $(a) \"test\" %d", b.sb.Info().Cwd, b.made.Add(1))
	if err := b.sb.Mkdir(within(t), dir, true); err != nil {
		t.Fatal(err)
	}
	return &box{sb: b.sb, caps: b.caps, dir: dir}
}

func (b *box) close(t *testing.T) {
	t.Helper()
	// Not of the test, whose own time may be over.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case <-b.sb.Done():
		_ = b.sb.Close(ctx) // it is dead, which the test knows
	default:
		if err := b.sb.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

// at gives a path in the test's folder.
func (b *box) at(name string) string { return b.dir + "/" + name }

// ran is what came of a command.
type ran struct {
	sandbox.ExecResult
	out, err string
}

func (b *box) start(t *testing.T, req sandbox.ExecRequest) sandbox.Process {
	t.Helper()
	if req.Cwd == "" {
		req.Cwd = b.dir
	}
	p, err := b.sb.Start(within(t), req)
	if err != nil {
		t.Fatalf("start %q %q: %v", req.Command, req.Argv, err)
	}
	return p
}

func (b *box) run(t *testing.T, req sandbox.ExecRequest) ran {
	t.Helper()
	return wait(t, b.start(t, req))
}

// sh runs a command that must succeed, and gives its output.
func (b *box) sh(t *testing.T, command string) string {
	t.Helper()
	r := b.run(t, sandbox.ExecRequest{Command: command})
	if r.ExitCode != 0 {
		t.Fatalf("%s: status %d\n%s%s", command, r.ExitCode, r.out, r.err)
	}
	return r.out
}

// wait collects a command's output and checks that nothing of it is missing or twice.
func wait(t *testing.T, p sandbox.Process) ran {
	t.Helper()
	return waitFrom(t, p, sandbox.Offsets{})
}

func waitFrom(t *testing.T, p sandbox.Process, from sandbox.Offsets) ran {
	t.Helper()
	var out, errs bytes.Buffer
	res, err := p.Wait(within(t), func(s sandbox.Stream, offset int64, chunk []byte) error {
		to, start := &out, from.Stdout
		if s == sandbox.Stderr {
			to, start = &errs, from.Stderr
		}
		if want := start + int64(to.Len()); offset != want {
			t.Errorf("stream %d: a piece at %d, expected at %d", s, offset, want)
		}
		to.Write(chunk)
		return nil
	})
	if err != nil {
		t.Fatalf("wait: %v", err)
	}
	if res.Lost != (sandbox.Offsets{}) {
		t.Errorf("output was lost: %+v", res.Lost)
	}
	return ran{res, out.String(), errs.String()}
}

func (b *box) write(t *testing.T, path, content string) {
	t.Helper()
	n, err := b.sb.WriteFile(within(t), path, strings.NewReader(content), sandbox.WriteOptions{Create: true, Overwrite: true})
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(len(content)) {
		t.Fatalf("write %q: %d bytes of %d", path, n, len(content))
	}
}

func (b *box) read(t *testing.T, path string) string {
	t.Helper()
	r, size, err := b.sb.ReadFile(within(t), path, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if size != int64(len(content)) {
		t.Errorf("read %q: %d bytes, and its size is said to be %d", path, len(content), size)
	}
	return string(content)
}

// exists is the contract's exists: whether there is something to stat.
func (b *box) exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := b.sb.Stat(within(t), path)
	if err == nil {
		return true
	}
	if k := kindOf(err); k != sandbox.FileNotFound && k != sandbox.NotADirectory {
		t.Fatalf("stat %q: %v", path, err)
	}
	return false
}

func (b *box) stat(t *testing.T, path string) sandbox.FileInfo {
	t.Helper()
	info, err := b.sb.Stat(within(t), path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func (b *box) names(t *testing.T, path string) []string {
	t.Helper()
	list, err := b.sb.ReadDir(within(t), path)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range list {
		names = append(names, e.Name)
	}
	return names
}

func kindOf(err error) sandbox.Kind {
	var e *sandbox.Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// wantKind checks that an error is of a kind, and good enough for a person.
func wantKind(t *testing.T, err error, want sandbox.Kind) {
	t.Helper()
	var e *sandbox.Error
	if !errors.As(err, &e) {
		t.Errorf("got %v, want an error of kind %s", err, want)
		return
	}
	if e.Kind != want {
		t.Errorf("got kind %s (%v), want %s", e.Kind, e, want)
	}
	if e.Op == "" || e.Message == "" {
		t.Errorf("the error does not say what failed and why: %+v", *e)
	}
}

// until polls for something that must become true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// alive asks the sandbox whether a process of it runs.
func (b *box) alive(t *testing.T, pid string) bool {
	t.Helper()
	r := b.run(t, sandbox.ExecRequest{Command: `kill -0 "$P" 2>/dev/null && ! grep -q '^State:	Z' "/proc/$P/status"`, Env: map[string]string{"P": strings.TrimSpace(pid)}})
	return r.ExitCode == 0
}

// appears waits for a file with something in it, which a command writes as a sign.
func (b *box) appears(t *testing.T, path string) string {
	t.Helper()
	content := ""
	until(t, path+" appears", func() bool {
		r, _, err := b.sb.ReadFile(within(t), path, 0, -1)
		if err != nil {
			return false
		}
		defer r.Close()
		all, err := io.ReadAll(r)
		content = string(all)
		return err == nil && strings.HasSuffix(content, "\n")
	})
	return strings.TrimSpace(content)
}
