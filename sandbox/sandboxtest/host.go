package sandboxtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// host is the other side of a populate: a repository on this machine, and what it
// knows of the sandbox's tree.
type host struct {
	dir     string
	commit  string
	format  tree.Format
	bundle  []byte
	entries []tree.Entry
}

// git runs git on the host with nothing of this machine's configuration.
func (h *host) git(t *testing.T, args ...string) string {
	t.Helper()
	return runGit(t, h.dir, args...)
}

func runGit(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=host", "GIT_AUTHOR_EMAIL=host@glue.invalid", "GIT_COMMITTER_NAME=host", "GIT_COMMITTER_EMAIL=host@glue.invalid",
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		t.Fatal("git is not installed on the host; these tests need it")
	}
	if err != nil {
		t.Fatalf("git %s: %v: %s", args, err, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

// newHost commits what fill puts into a folder, all of it, with no byte converted.
func newHost(t *testing.T, format tree.Format, fill func(h *host)) *host {
	t.Helper()
	h := &host{dir: t.TempDir(), format: format}
	h.git(t, "init", "-q", "--template=", "--object-format="+string(format))
	h.put(t, ".git/info/attributes", "* -text !eol -ident -filter !working-tree-encoding\n")
	fill(h)
	h.git(t, "add", "-A", "-f")
	h.git(t, "commit", "-q", "--allow-empty", "-m", "snapshot")
	h.seal(t, "-c", "pack.window=0")
	return h
}

// seal bundles HEAD, and reads its tree.
func (h *host) seal(t *testing.T, config ...string) {
	t.Helper()
	h.commit = h.git(t, "rev-parse", "HEAD")
	file := filepath.Join(t.TempDir(), "bundle")
	h.git(t, append(config, "bundle", "create", "-q", file, "HEAD", "--tags")...)
	var err error
	if h.bundle, err = os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	h.entries = []tree.Entry{}
	for _, line := range strings.Split(h.git(t, "ls-tree", "-r", "-l", "-z", "HEAD"), "\x00") {
		meta, path, ok := strings.Cut(line, "\t")
		if !ok {
			continue
		}
		e := tree.Entry{Path: path}
		var kind string
		if _, err := fmt.Sscanf(meta, "%o %s %s %d", &e.Mode, &kind, &e.Hash, &e.Size); err != nil {
			t.Fatalf("%q: %v", meta, err)
		}
		h.entries = append(h.entries, e)
	}
}

func (h *host) put(t *testing.T, name, content string) {
	t.Helper()
	name = filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (h *host) request() sandbox.PopulateRequest {
	return sandbox.PopulateRequest{
		Bundle: bytes.NewReader(h.bundle), Size: int64(len(h.bundle)), Commit: h.commit, Branch: "work",
		Format: h.format, Entries: h.entries, Token: "as populated",
	}
}

// entry is what a content would be in the tree.
func (h *host) entry(path string, mode tree.Mode, content string) tree.Entry {
	return tree.Entry{Path: path, Mode: mode, Hash: tree.HashBytes(h.format, []byte(content)), Size: int64(len(content))}
}

// example is a tree with what is awkward about trees.
func example(t *testing.T, format tree.Format) *host {
	t.Helper()
	return newHost(t, format, func(h *host) {
		h.put(t, "readme.md", "hello\n")
		h.put(t, "dir/same as readme", "hello\n")
		h.put(t, "dir/crlf.txt", "one\r\ntwo\r\nmixed\n")
		h.put(t, "empty", "")
		h.put(t, ".gitignore", "*.log\nbuild/\n")
		h.put(t, "kept.log", "tracked, though ignored\n")
		h.put(t, "build/out", "tracked below an ignored folder\n")
		h.put(t, ".gitattributes", "* text=auto eol=crlf ident filter=lfs working-tree-encoding=UTF-16\n")
		h.put(t, "ident.txt", "$Id$\n")
		h.put(t, "bin", "\x00\x01\xff\xfe")
		h.put(t, "run.sh", "#!/bin/sh\necho ran\n")
		for _, name := range []string{"\xff not UTF-8", "new\nline", "it's", `"quoted"`, "-dash", "äöü"} {
			h.put(t, "names/"+name, name)
		}
		if err := os.Chmod(filepath.Join(h.dir, "run.sh"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, to := range map[string]string{"link": "dir/../readme.md", "dangling": "/none", "up": ".."} {
			if err := os.Symlink(to, filepath.Join(h.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// filled is a fresh sandbox with the example in it, and what the host knows of it.
func (b *box) filled(t *testing.T) (*host, *view) {
	t.Helper()
	h := example(t, tree.SHA1)
	if err := b.sb.Populate(within(t), h.request()); err != nil {
		t.Fatal(err)
	}
	return h, newView(h, "as populated")
}

// view is what the host holds of a sandbox's tree: it applies what captures tell.
type view struct {
	token   string
	format  tree.Format
	entries map[string]tree.Entry
	ignore  []tree.IgnoreFile
	include []string
	max     int64
	room    int64
	anew    bool // the next capture names all that the host holds
}

func newView(h *host, token string) *view {
	v := &view{token: token, format: h.format, entries: map[string]tree.Entry{}}
	for _, e := range h.entries {
		v.entries[e.Path] = e
	}
	return v
}

// told is what one capture told: a content by path, with "x " before an executable's,
// "-> " before a link's, and "deleted".
type told map[string]string

// capture brings the view up to date.
func (v *view) capture(t *testing.T, b *box) (told, sandbox.CaptureResult) {
	t.Helper()
	got, res, err := v.ask(within(t), b)
	if err != nil {
		t.Fatal(err)
	}
	return got, res
}

func (v *view) ask(ctx context.Context, b *box) (told, sandbox.CaptureResult, error) {
	got, changes := told{}, map[string]tree.Entry{}
	req := sandbox.CaptureRequest{Base: v.token, Ignore: v.ignore, Include: v.include, MaxFileSize: v.max, MaxBytes: v.room, Format: v.format}
	if v.anew {
		req.Entries, v.anew = append([]tree.Entry{}, v.list()...), false
	}
	res, err := b.sb.Capture(ctx, req, func(c sandbox.Captured) error {
		changes[c.Entry.Path] = c.Entry
		if !c.Entry.Exists() {
			got[c.Entry.Path] = "deleted"
			return nil
		}
		content, err := io.ReadAll(c.Content)
		if err != nil {
			return err
		}
		if h := tree.HashBytes(v.format, content); h != c.Entry.Hash || int64(len(content)) != c.Entry.Size {
			return fmt.Errorf("%q: the content is not that of its entry", c.Entry.Path)
		}
		got[c.Entry.Path] = map[tree.Mode]string{tree.Executable: "x ", tree.Symlink: "-> "}[c.Entry.Mode] + string(content)
		return nil
	})
	if err != nil {
		return got, res, err
	}
	v.token = res.Token
	for path, e := range changes {
		if e.Exists() {
			v.entries[path] = e
		} else {
			delete(v.entries, path)
		}
	}
	return got, res, nil
}

// paths are the view's files.
func (v *view) list() []tree.Entry {
	out := make([]tree.Entry, 0, len(v.entries))
	for _, e := range v.entries {
		out = append(out, e)
	}
	return out
}
