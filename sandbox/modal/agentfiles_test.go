package modal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"glue-lsp/internal/modaltest"
	"glue-lsp/sandbox"
)

// aboveStream is more than goes over the agent's stream and than comes by one command,
// and no round number.
const aboveStream = 25<<20 + 12345

func noise(size int) []byte {
	var seed [32]byte
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(seed).Read(b)
	return b
}

// filesBox is a sandbox, and what was said of contents that went over the agent's stream.
func filesBox(t *testing.T) (sb *agentBox, dir string, overStream func() []string) {
	t.Helper()
	var mu sync.Mutex
	var said []string
	dir = t.TempDir()
	box := openBox(t, newRuntime(t, modaltest.Shared(t), nil), func(s *sandbox.Spec) {
		s.Dir = dir
		s.Log = func(format string, a ...any) {
			t.Logf(format, a...)
			if strings.Contains(format, "goes over the agent's stream") {
				mu.Lock()
				defer mu.Unlock()
				said = append(said, format)
			}
		}
	})
	return box.(*agentBox), dir, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return said
	}
}

func readAll(t *testing.T, sb sandbox.Sandbox, p string, offset, length int64) ([]byte, int64) {
	t.Helper()
	r, size, err := sb.ReadFile(within(t), p, offset, length)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return got, size
}

// hidden keeps a reader from saying how long it is.
type hidden struct{ io.Reader }

// noneLeft checks that contents on their way have left nothing, here or inside.
func noneLeft(t *testing.T, sb *agentBox, dir string) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(dir, "content-*")); err != nil || len(left) > 0 {
		t.Errorf("left on this machine: %q %v", left, err)
	}
	eventually(t, "nothing is left in the sandbox", func() bool {
		return output(t, sb, "find "+arrivals+" /workspace -mindepth 1 '(' -name content -o -name '.glue-*' ')' -type f 2>/dev/null || true") == ""
	})
}

func TestLargeFilesGoBesideTheAgentsStreamByteForByte(t *testing.T) {
	sb, dir, overStream := filesBox(t)
	content := noise(aboveStream)
	mode := fs.FileMode(0o750)
	for name, opts := range map[string]sandbox.WriteOptions{
		"new/big":  {Create: true},
		"new/mode": {Create: true, Mode: &mode},
	} {
		n, err := sb.WriteFile(within(t), name, hidden{bytes.NewReader(content)}, opts)
		if err != nil || n != aboveStream {
			t.Fatalf("%s: %d bytes: %v", name, n, err)
		}
	}
	for _, part := range []struct{ offset, length int64 }{{0, -1}, {0, 1 << 40}, {777, 9 << 20}, {aboveStream - streamedContent, -1}, {12 << 20, -1}, {5, 1000}} {
		want := content[part.offset:]
		if part.length >= 0 {
			want = want[:min(part.length, int64(len(want)))]
		}
		if got, size := readAll(t, sb, "/workspace/new/big", part.offset, part.length); !bytes.Equal(got, want) || size != aboveStream {
			t.Errorf("%+v: %d bytes of %d, want %d", part, len(got), size, len(want))
		}
	}
	if got := output(t, sb, "stat -c %a new/big new/mode"); got != "644\n750\n" {
		t.Errorf("modes: %s", got)
	}
	if said := overStream(); len(said) > 0 {
		t.Errorf("%d contents went over the agent's stream", len(said))
	}
	noneLeft(t, sb, dir)
}

func TestALargeFileReplacesAnotherLikeASmallOneDoes(t *testing.T) {
	sb, dir, _ := filesBox(t)
	output(t, sb, "mkdir d; echo old > f; chmod 711 f; ln -s f link; ln f hard; mkfifo pipe")
	content := noise(aboveStream)
	write := func(name string, opts sandbox.WriteOptions) error {
		_, err := sb.WriteFile(within(t), name, bytes.NewReader(content), opts)
		return err
	}
	for _, c := range []struct {
		name              string
		create, overwrite bool
		want              sandbox.Kind
	}{
		{"f", true, false, sandbox.FileExists},
		{"none", false, true, sandbox.FileNotFound},
		{"d", true, true, sandbox.IsADirectory},
		{"pipe", true, true, sandbox.Unsupported},
		{"f/below", true, true, sandbox.NotADirectory},
	} {
		if err := write(c.name, sandbox.WriteOptions{Create: c.create, Overwrite: c.overwrite}); !kindIs(err, c.want) {
			t.Errorf("%s: %v, not %s", c.name, err, c.want)
		}
	}
	if got := output(t, sb, "cat f; ls"); got != "old\nd\nf\nhard\nlink\npipe\n" {
		t.Errorf("after what was refused: %q", got)
	}
	if err := write("link", sandbox.WriteOptions{Overwrite: true}); err != nil {
		t.Fatal(err)
	}
	if got, _ := readAll(t, sb, "link", 0, -1); !bytes.Equal(got, content) {
		t.Errorf("%d bytes", len(got))
	}
	if got := output(t, sb, "cat hard; stat -c %a f; readlink link"); got != "old\n711\nf\n" {
		t.Errorf("afterwards: %q", got)
	}
	noneLeft(t, sb, dir)
}

func TestALargeFileThatIsNotWrittenToItsEndLeavesNothing(t *testing.T) {
	sb, dir, _ := filesBox(t)
	output(t, sb, "echo old > f")
	opts := sandbox.WriteOptions{Create: true, Overwrite: true}
	t.Run("given up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(within(t))
		content := io.MultiReader(bytes.NewReader(noise(aboveStream)), calling(cancel), bytes.NewReader(noise(aboveStream)))
		if _, err := sb.WriteFile(ctx, "f", content, opts); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("given up while it is sent", func(t *testing.T) {
		ctx, cancel := context.WithCancel(within(t))
		_, err := sb.WriteAside(ctx, "f", arrivals, opts, func(to string) (int64, error) {
			output(t, sb, "head -c 100000 /dev/zero > "+to)
			cancel()
			return 0, ctx.Err()
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("arrived in part", func(t *testing.T) {
		_, err := sb.WriteAside(within(t), "f", arrivals, opts, func(to string) (int64, error) {
			output(t, sb, "head -c 100000 /dev/zero > "+to)
			return 100001, nil
		})
		if !kindIs(err, sandbox.Unavailable) || !strings.Contains(err.Error(), "100000 bytes of 100001") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("unreadable", func(t *testing.T) {
		broken := errors.New("the disk is gone")
		_, err := sb.WriteFile(within(t), "f", io.MultiReader(bytes.NewReader(noise(aboveStream)), endsIn{broken}), opts)
		if !kindIs(err, sandbox.Unavailable) || !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	})
	if got := output(t, sb, "cat f; ls"); got != "old\nf\n" {
		t.Errorf("it holds %d bytes", len(got))
	}
	noneLeft(t, sb, dir)
}

// calling is an empty reader that calls when it is reached.
type calling func()

func (c calling) Read([]byte) (int, error) { c(); return 0, io.EOF }

func TestALargeFileThatGrowsIsReadAsFarAsItWasThen(t *testing.T) {
	sb, dir, _ := filesBox(t)
	output(t, sb, "head -c 20000000 /dev/zero > log")
	p, err := sb.Start(within(t), sandbox.ExecRequest{Command: "while :; do head -c 300000 /dev/zero >> log || exit; done"})
	if err != nil {
		t.Fatal(err)
	}
	got, size := readAll(t, sb, "log", 0, -1)
	if int64(len(got)) != size || size < 20_000_000 {
		t.Errorf("%d bytes of %d", len(got), size)
	}
	if err := p.Cancel(within(t)); err != nil {
		t.Fatal(err)
	}
	wait(t, p)
	noneLeft(t, sb, dir)
}

func TestLargeFilesGoOverTheAgentsStreamWhereNothingElseWorks(t *testing.T) {
	content := noise(aboveStream)
	there := func(t *testing.T, sb *agentBox) {
		t.Helper()
		n, err := sb.WriteFile(within(t), "big", hidden{bytes.NewReader(content)}, sandbox.WriteOptions{Create: true})
		if err != nil || n != aboveStream {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if got, size := readAll(t, sb, "big", 0, -1); !bytes.Equal(got, content) || size != aboveStream {
			t.Errorf("%d bytes of %d", len(got), size)
		}
	}
	t.Run("inside", func(t *testing.T) {
		sb, dir, overStream := filesBox(t)
		// Nothing can arrive under a file, and a program that is gone cannot run.
		output(t, sb, "rm -rf "+arrivals+" /tmp/.glue-agent/agent-*; echo > "+arrivals)
		there(t, sb)
		if len(overStream()) == 0 {
			t.Error("nothing was said of it")
		}
		if left, err := filepath.Glob(filepath.Join(dir, "content-*")); err != nil || len(left) > 0 {
			t.Errorf("left: %q %v", left, err)
		}
	})
	t.Run("here", func(t *testing.T) {
		sb, dir, overStream := filesBox(t)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		there(t, sb)
		if len(overStream()) != 2 {
			t.Errorf("it was said %d times", len(overStream()))
		}
	})
}
