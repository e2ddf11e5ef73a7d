package agent

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// hostGit runs git outside, with nothing of this machine's configuration.
func hostGit(t testing.TB, dir string, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	cmd.Env = append(isolatedGitEnv(os.Environ()),
		"GIT_AUTHOR_NAME=host", "GIT_AUTHOR_EMAIL=host@glue.invalid",
		"GIT_COMMITTER_NAME=host", "GIT_COMMITTER_EMAIL=host@glue.invalid")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v: %s (these tests need git)", args, err, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

// hostTree is a commit outside with a bundle of it.
type hostTree struct {
	dir, commit string
	bundle      []byte
	entries     []tree.Entry
	format      tree.Format
}

// makeTree commits what fill puts into a folder.
func makeTree(t testing.TB, format tree.Format, fill func(dir string)) hostTree {
	t.Helper()
	h := hostTree{dir: t.TempDir(), format: format}
	hostGit(t, h.dir, "", "init", "-q", "--template=", "--object-format="+string(format))
	if err := os.MkdirAll(filepath.Join(h.dir, ".git", "info"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.dir, ".git", "info", "attributes"), []byte(noConversions), 0o644); err != nil {
		t.Fatal(err)
	}
	fill(h.dir)
	hostGit(t, h.dir, "", "add", "-A", "-f")
	h.seal(t)
	return h
}

// seal commits the index and bundles it the way the product does.
func (h *hostTree) seal(t testing.TB) {
	t.Helper()
	hostGit(t, h.dir, "", "commit", "-q", "--allow-empty", "-m", "base")
	h.commit = hostGit(t, h.dir, "", "rev-parse", "HEAD")
	h.pack(t, "-c", "pack.window=0", "-c", "core.compression=1", "bundle", "create", "-q", "-", "HEAD")
	h.entries = nil
	for _, line := range strings.Split(hostGit(t, h.dir, "", "ls-tree", "-r", "-l", "-z", "HEAD"), "\x00") {
		if line == "" {
			continue
		}
		var e tree.Entry
		meta, path, _ := strings.Cut(line, "\t")
		var kind string
		if _, err := fmt.Sscanf(meta, "%o %s %s %d", &e.Mode, &kind, &e.Hash, &e.Size); err != nil {
			t.Fatalf("%q: %v", meta, err)
		}
		e.Path = path
		h.entries = append(h.entries, e)
	}
}

func (h *hostTree) pack(t testing.TB, args ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bundle")
	for i, a := range args {
		if a == "-" {
			args[i] = file
		}
	}
	hostGit(t, h.dir, "", args...)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	h.bundle = b
}

func (h *hostTree) request() sandbox.PopulateRequest {
	return sandbox.PopulateRequest{
		Bundle: bytes.NewReader(h.bundle), Size: int64(len(h.bundle)), Commit: h.commit, Branch: "main",
		Format: h.format, Entries: h.entries, Token: "t0",
	}
}

func smallTree(t testing.TB, format tree.Format) hostTree {
	return makeTree(t, format, func(dir string) {
		put(t, dir, "a.txt", "a\n")
		put(t, dir, "d/same.txt", "a\n")
		put(t, dir, "d/crlf.txt", "one\r\ntwo\r\n")
		put(t, dir, "d/name \xff\n", "non-UTF-8")
		put(t, dir, "empty", "")
		put(t, dir, ".gitattributes", "* text=auto eol=crlf ident\n")
		put(t, dir, "id.txt", "$Id$\n")
		put(t, dir, "run.sh", "#!/bin/sh\n")
		if err := os.Chmod(filepath.Join(dir, "run.sh"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("d/../a.txt", filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
	})
}

func put(t testing.TB, dir, name, content string) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// scanned is the tree under root, by its own scan.
func scanned(t testing.TB, root string, format tree.Format) []tree.Entry {
	t.Helper()
	r, err := tree.Scan(testContext(t), root, tree.ScanOptions{Format: format}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r.Entries
}

// capture gives the changes by path, contents included.
func capture(t testing.TB, c *Client, req sandbox.CaptureRequest) (map[string]string, sandbox.CaptureResult) {
	t.Helper()
	got := map[string]string{}
	res, err := c.Capture(testContext(t), req, func(x sandbox.Captured) error {
		if !x.Entry.Exists() {
			got[x.Entry.Path] = "deleted"
			return nil
		}
		b, err := io.ReadAll(x.Content)
		got[x.Entry.Path] = fmt.Sprintf("%o %s", x.Entry.Mode, b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, res
}

func TestATreeArrivesByteForByteWithACleanRepository(t *testing.T) {
	for _, format := range []tree.Format{tree.SHA1, tree.SHA256} {
		t.Run(string(format), func(t *testing.T) {
			h := smallTree(t, format)
			root := t.TempDir()
			c := inProcess(t, root)
			var last int64
			req := h.request()
			req.Progress = func(done, total int64) { last = done }
			if err := c.Populate(testContext(t), req); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(h.entries, scanned(t, root, format)); diff != "" {
				t.Errorf("the tree (-host +sandbox):\n%s", diff)
			}
			if last != int64(len(h.bundle)) {
				t.Errorf("progress ended at %d of %d", last, len(h.bundle))
			}
			// This one does not look into files whose stat data differ from the index.
			if s := hostGit(t, root, "", "diff-files", "--name-only"); s != "" {
				t.Errorf("the index does not know these files:\n%s", s)
			}
			if s := hostGit(t, root, "", "status", "--porcelain"); s != "" {
				t.Errorf("git status:\n%s", s)
			}
			hostGit(t, root, "", "fsck", "--strict", "--no-dangling")
			if got := hostGit(t, root, "", "rev-parse", "HEAD", "refs/heads/main"); got != h.commit+"\n"+h.commit {
				t.Errorf("HEAD and main are %q", got)
			}
		})
	}
}

func TestChangesAreToldOnceTheHostHasThem(t *testing.T) {
	h := smallTree(t, tree.SHA1)
	root := t.TempDir()
	c := inProcess(t, root)
	if err := c.Populate(testContext(t), h.request()); err != nil {
		t.Fatal(err)
	}
	none, first := capture(t, c, sandbox.CaptureRequest{Base: "t0", Format: tree.SHA1})
	if len(none) != 0 || first.Token != "t0" {
		t.Fatalf("a fresh tree differs: %v, token %q", none, first.Token)
	}
	put(t, root, "new", "n")
	put(t, root, "a.txt", "b\n")
	if err := os.Remove(filepath.Join(root, "d/crlf.txt")); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"new": "100644 n", "a.txt": "100644 b\n", "d/crlf.txt": "deleted"}
	got, second := capture(t, c, sandbox.CaptureRequest{Base: "t0", Format: tree.SHA1})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	again, third := capture(t, c, sandbox.CaptureRequest{Base: "t0", Format: tree.SHA1})
	if diff := cmp.Diff(want, again); diff != "" {
		t.Errorf("the answer was lost, and the repetition differs:\n%s", diff)
	}
	if second.Token == third.Token || second.Token == "t0" {
		t.Errorf("tokens %q and %q", second.Token, third.Token)
	}
	none, last := capture(t, c, sandbox.CaptureRequest{Base: third.Token, Format: tree.SHA1})
	if len(none) != 0 || last.Token != third.Token {
		t.Errorf("told twice: %v", none)
	}
	_, err := c.Capture(testContext(t), sandbox.CaptureRequest{Base: second.Token, Format: tree.SHA1}, nil)
	if e := asError("", "", err); e.Kind != sandbox.Stale {
		t.Errorf("an unknown base gave %v", err)
	}
}

func benchTree(b *testing.B) hostTree {
	return makeTree(b, tree.SHA1, func(dir string) {
		line := strings.Repeat("abcdefgh ", 9)
		for i := range 2800 {
			var s strings.Builder
			for n := 0; s.Len() < 10_700; n++ {
				fmt.Fprintf(&s, "%d %x %s\n", i*n, i*i*n*7919, line[:(i+n)%60])
			}
			put(b, dir, fmt.Sprintf("d%d/e%d/f%d.txt", i%35, i%140, i), s.String())
		}
	})
}

func BenchmarkPopulate(b *testing.B) {
	h := benchTree(b)
	b.Logf("bundle of %d bytes", len(h.bundle))
	b.SetBytes(30 << 20)
	for b.Loop() {
		b.StopTimer()
		root := b.TempDir()
		c := inProcess(b, root)
		b.StartTimer()
		if err := c.Populate(context.Background(), h.request()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCapture(b *testing.B) {
	h := benchTree(b)
	for _, edits := range []int{0, 1} {
		b.Run(fmt.Sprintf("%d of 2800 changed", edits), func(b *testing.B) {
			root := b.TempDir()
			c := inProcess(b, root)
			if err := c.Populate(context.Background(), h.request()); err != nil {
				b.Fatal(err)
			}
			token, n := "t0", 0
			for b.Loop() {
				if edits > 0 {
					n++
					put(b, root, "d1/e1/f1.txt", fmt.Sprint(n))
				}
				res, err := c.Capture(context.Background(), sandbox.CaptureRequest{Base: token, Format: tree.SHA1}, func(sandbox.Captured) error { return nil })
				if err != nil || res.Changed != edits {
					b.Fatal(res, err)
				}
				token = res.Token
			}
		})
	}
}
