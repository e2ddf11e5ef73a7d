package git

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"glue-lsp/internal/tree"
)

// zeros is an input without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestACommandIsStoppedAtItsLimits(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	blocked, unblock := io.Pipe()
	defer unblock.Close()
	for name, c := range map[string]struct {
		args   []string
		in     io.Reader
		limits Limits
		want   Limit
	}{
		"processor time": {[]string{"hash-object", "--stdin"}, io.LimitReader(zeros{}, 1<<40), Limits{CPU: time.Second}, LimitCPU},
		"time":           {[]string{"hash-object", "--stdin"}, blocked, Limits{Wall: time.Millisecond}, LimitWall},
		"memory":         {[]string{"hash-object", "--stdin"}, zeros{}, Limits{Memory: 256 << 20}, LimitMemory},
		"file size":      {[]string{"index-pack", "--stdin"}, io.MultiReader(bytes.NewReader(noisePack(t)), zeros{}), Limits{File: 100 << 10}, LimitFile},
	} {
		err := r.Run(t.Context(), Cmd{Args: c.args, Stdin: c.in, Stdout: io.Discard, Limits: &c.limits})
		var limit *LimitError
		if !errors.As(err, &limit) || limit.What != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnInputThatBreaksOffFailsTheCommand(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	broken := errors.New("the line was cut")
	in := io.MultiReader(strings.NewReader("x\n"), iotest.ErrReader(broken))
	err := r.Run(t.Context(), Cmd{Args: []string{"hash-object", "--stdin"}, Stdin: in, Stdout: io.Discard})
	if !errors.Is(err, broken) {
		t.Errorf("the command gives %v", err)
	}
	// Input that nobody reads is no failure.
	if err := r.Run(t.Context(), Cmd{Args: []string{"rev-parse", "--git-dir"}, Stdin: zeros{}, Stdout: io.Discard}); err != nil {
		t.Error(err)
	}
}

func noisePack(t testing.TB) []byte {
	t.Helper()
	noise := make([]byte, 1<<20)
	for i, seed := 0, uint32(1); i < len(noise); i++ {
		seed = seed*1664525 + 1013904223
		noise[i] = byte(seed >> 24)
	}
	return makePack(t, packObject{kind: 3, content: noise})
}

func TestACommandEndsWithItsContext(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	ctx, cancel := context.WithCancel(t.Context())
	in, feed := io.Pipe()
	go func() {
		_, _ = feed.Write([]byte("some input\n")) // git is running once this is read
		cancel()
		feed.Close()
	}()
	err := r.Run(ctx, Cmd{Args: []string{"cat-file", "--batch"}, Stdin: in, Stdout: io.Discard})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled command gives %v", err)
	}
}

func TestX8_GitsWordsAreMadeSafeToShow(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	_, err := r.Output(t.Context(), "rev-parse", "--verify", "no\x1b[2Jsuch\u202e\xff")
	var failed *Error
	if !errors.As(err, &failed) || failed.Code != 128 || failed.Args[0] != "rev-parse" {
		t.Fatalf("the failure is %#v", err)
	}
	for in, want := range map[string]string{
		" a\nb\t \n": "a\nb", "\x1b]0;x\x07": `\u001b]0;x\u0007`, "x\u202ey": `x\u202ey`, "\xff": `\xff`, "ü\u0085ü": `ü\u0085ü`,
	} {
		if got := plain(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
	var b cappedBuffer
	for range 3 {
		if n, err := b.Write(make([]byte, maxStderr/2+1)); n != maxStderr/2+1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if b.buf.Len() != maxStderr {
		t.Errorf("%d bytes are kept of a flood", b.buf.Len())
	}
}

func TestX11_NothingOfTheCallersEnvironmentIsPassedOn(t *testing.T) {
	for _, name := range []string{"GIT_DIR", "GIT_TRACE", "GIT_EXEC_PATH", "GIT_SSH_COMMAND", "GIT_CONFIG_PARAMETERS", "LD_PRELOAD", "MODAL_TOKEN_SECRET", "LANG", "HOME"} {
		t.Setenv(name, "of-the-caller")
	}
	env := environ(place{gitDir: "/x"})
	for _, v := range env {
		if strings.Contains(v, "of-the-caller") {
			t.Errorf("%s is passed on", v)
		}
	}
	seen := map[string]bool{}
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		if seen[name] {
			t.Errorf("%s is set twice", name)
		}
		seen[name] = true
	}
}

func TestEverySettingIsOneThatGitReads(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	for _, s := range settings {
		out, err := r.Output(t.Context(), "config", "--get", s.key)
		if err != nil || strings.TrimSuffix(string(out), "\n") != s.value {
			t.Errorf("%s is %q, want %q (%v)", s.key, out, s.value, err)
		}
	}
	// The environment counts more than what stands in the folder.
	config := filepath.Join(r.Dir, "config")
	f, err := os.OpenFile(config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("[core]\n\thooksPath = /evil\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := r.Output(t.Context(), "config", "--get", "core.hooksPath"); err != nil || string(out) != os.DevNull+"\n" {
		t.Errorf("core.hooksPath is %q (%v)", out, err)
	}
}
