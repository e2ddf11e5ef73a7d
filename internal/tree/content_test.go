//go:build linux || darwin

package tree_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

func readAll(tb testing.TB, r io.Reader) []byte {
	tb.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestContentIsReadByteForByteWithModeHashAndSize(t *testing.T) {
	root := t.TempDir()
	large := strings.Repeat("large\r\n\x00\xff", 300_000)
	put(t, root, "sub/small", "a\r\n\x00\xff")
	put(t, root, "empty", "")
	put(t, root, "large", large)
	put(t, root, "limit", large[:1<<20])
	chmod(t, root, "large", 0o755)
	symlink(t, root, "../no/where", "sub/link")
	for path, want := range map[string]struct {
		mode    tree.Mode
		content string
	}{
		"sub/small": {tree.Regular, "a\r\n\x00\xff"},
		"empty":     {tree.Regular, ""},
		"large":     {tree.Executable, large},
		"limit":     {tree.Regular, large[:1<<20]},
		"sub/link":  {tree.Symlink, "../no/where"},
	} {
		for _, format := range []tree.Format{tree.SHA1, tree.SHA256} {
			c, err := tree.ReadContent(root, path, format)
			if err != nil {
				t.Fatal(err)
			}
			checkContent(t, c, tree.Entry{Path: path, Mode: want.mode, Hash: tree.HashBytes(format, []byte(want.content)), Size: int64(len(want.content))}, want.content)

			spooled, err := tree.SpoolContent(strings.NewReader(want.content+"more"), want.mode, int64(len(want.content)), format)
			if err != nil {
				t.Fatal(err)
			}
			checkContent(t, spooled, tree.Entry{Mode: want.mode, Hash: tree.HashBytes(format, []byte(want.content)), Size: int64(len(want.content))}, want.content)
		}
	}
}

func checkContent(t *testing.T, c *tree.Content, want tree.Entry, content string) {
	t.Helper()
	if diff := cmp.Diff(want, c.Entry()); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	for range 2 { // from the beginning, each time
		if got := readAll(t, c.Reader()); string(got) != content {
			t.Errorf("%s: %d bytes, want %d, or they differ", want.Path, len(got), len(content))
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestContentSurvivesTheFile(t *testing.T) {
	root := t.TempDir()
	content := strings.Repeat("x", 2<<20)
	put(t, root, "f", content)
	c, err := tree.ReadContent(root, "f", tree.SHA1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	put(t, root, "f", "other")
	if got := readAll(t, c.Reader()); string(got) != content {
		t.Errorf("%d bytes, want the %d that were read", len(got), len(content))
	}
}

func TestNoTemporaryFileHasAName(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c, err := tree.SpoolContent(bytes.NewReader(make([]byte, 2<<20)), tree.Regular, 2<<20, tree.SHA1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestShortOrFailingContentIsAnError(t *testing.T) {
	boom := errors.New("boom")
	for _, size := range []int64{10, 3 << 20} {
		_, err := tree.SpoolContent(strings.NewReader("short"), tree.Regular, size, tree.SHA1)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("short: %v", err)
		}
		_, err = tree.SpoolContent(io.MultiReader(strings.NewReader("short"), iotest.ErrReader(boom)), tree.Regular, size, tree.SHA1)
		if !errors.Is(err, boom) {
			t.Errorf("failing: %v", err)
		}
	}
	if _, err := tree.SpoolContent(strings.NewReader(""), tree.Regular, -1, tree.SHA1); err == nil {
		t.Error("a negative size was taken")
	}
}

func TestX12_ContentIsNotReadThroughLinksOrFromElsewhere(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	put(t, outside, "secret", "s")
	put(t, root, ".git/config", "c")
	put(t, root, "file", "f")
	mkdir(t, root, "dir")
	symlink(t, root, outside, "away")
	symlink(t, root, ".git", "x")
	for _, path := range []string{"away/secret", "x/config", ".git/config", "../secret", "file/below", "dir"} {
		_, err := tree.ReadContent(root, path, tree.SHA1)
		var refused *tree.PathError
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v, want a *PathError", path, err)
		}
	}
	for _, path := range []string{"gone", "gone/deep", "dir/gone"} {
		if _, err := tree.ReadContent(root, path, tree.SHA1); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want fs.ErrNotExist", path, err)
		}
	}
}
