package git

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"glue-lsp/internal/tree"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// isolate keeps this machine's git configuration out of a test, both out of what
// the test's own git does and out of what Inspect reads.
func isolate(t testing.TB) (home string) {
	t.Helper()
	home = t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(home, ".gitconfig"))
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		t.Setenv("GIT_"+who+"_NAME", "Some Body")
		t.Setenv("GIT_"+who+"_EMAIL", "some@body")
	}
	return home
}

func findGit(t testing.TB) *Git {
	t.Helper()
	g, err := Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// git runs the user's git, as a person would, in a folder.
func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	return gitWith(t, dir, nil, args...)
}

func gitWith(t testing.TB, dir string, stdin []byte, args ...string) string {
	t.Helper()
	cmd := gitCommand(t, dir, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s in %s: %v\n%s", strings.Join(args, " "), dir, err, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

func gitCommand(t testing.TB, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	return cmd
}

// userRepo makes a repository with files and a commit of them.
func userRepo(t testing.TB, files map[string]string, initArgs ...string) string {
	t.Helper()
	dir := realTemp(t)
	git(t, dir, append([]string{"init", "-q", "-b", "main"}, initArgs...)...)
	writeFiles(t, dir, files)
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "--allow-empty", "-m", "first")
	return dir
}

// realTemp is a temporary folder under its real name.
func realTemp(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeFiles(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func inspect(t testing.TB, g *Git, dir string) *Source {
	t.Helper()
	src, err := g.Inspect(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if src == nil {
		t.Fatalf("no repository was found at %s", dir)
	}
	return src
}

func listFiles(t testing.TB, g *Git, dir string) FileList {
	t.Helper()
	list, err := g.ListFiles(t.Context(), inspect(t, g, dir), filepath.Join(t.TempDir(), "private"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func newStore(t testing.TB, g *Git, format tree.Format) *Repo {
	t.Helper()
	r, err := g.Init(t.Context(), filepath.Join(realTemp(t), "objects.git"), format)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func write(path, content string, mode tree.Mode) Change {
	return Change{
		Entry: tree.Entry{Path: path, Mode: mode, Size: int64(len(content))},
		Open:  func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil },
	}
}

func remove(path string) Change { return Change{Entry: tree.Entry{Path: path}} }

func update(t testing.TB, r *Repo, base string, changes ...Change) string {
	t.Helper()
	id, err := r.Update(t.Context(), base, changes)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// makeTree makes a tree of regular files.
func makeTree(t testing.TB, r *Repo, files map[string]string) string {
	t.Helper()
	var changes []Change
	for path, content := range files {
		changes = append(changes, write(path, content, tree.Regular))
	}
	return update(t, r, "", changes...)
}

func makeCommit(t testing.TB, r *Repo, id string, parents ...string) string {
	t.Helper()
	commit, err := r.Commit(t.Context(), CommitSpec{
		Tree: id, Parents: parents,
		Author:    Signature{Name: "A", Email: "a@a"},
		Committer: Signature{Name: "C", Email: "c@c"},
		Message:   []byte("message\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return commit
}

// contents reads a whole tree as path → mode and content.
func contents(t testing.TB, r *Repo, id string) map[string]string {
	t.Helper()
	entries, err := r.ReadTree(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := r.Blobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer blobs.Close()
	got := map[string]string{}
	for _, e := range entries {
		b, err := blobs.Get(e.Hash, -1)
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(b)) != e.Size {
			t.Errorf("%s: the tree says %d bytes and there are %d", e.Path, e.Size, len(b))
		}
		got[e.Path] = fmt.Sprintf("%o %s", e.Mode, b)
	}
	return got
}

// regular spells files the way contents does.
func regular(files map[string]string) map[string]string {
	want := map[string]string{}
	for path, content := range files {
		want[path] = "100644 " + content
	}
	return want
}

// fingerprint describes every file below dir: bytes, mode and time of change.
func fingerprint(t testing.TB, dir string) []string {
	t.Helper()
	var lines []string
	err := filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		content := ""
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			content = tree.HashBytes(tree.SHA1, b)
		}
		lines = append(lines, fmt.Sprintf("%s %v %v %s", name, info.Mode(), info.ModTime().UnixNano(), content))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

// script makes a program.
func script(t testing.TB, name, body string) {
	t.Helper()
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// canary makes a program that leaves a mark when it runs, and a check that fails
// the test if it did.
func canary(t testing.TB) (program string, check func()) {
	t.Helper()
	dir := realTemp(t)
	mark := filepath.Join(dir, "it-ran")
	program = filepath.Join(dir, "canary")
	script(t, program, "echo \"$0 $*\" >>"+mark+"\ncat")
	return program, func() {
		t.Helper()
		if b, err := os.ReadFile(mark); err == nil {
			t.Errorf("a program of the repository's was run: %s", b)
		}
	}
}

// sorted makes cmp ignore the order of a slice.
func sorted[T any](key func(T) string) cmp.Option {
	return cmp.Transformer("sorted", func(in []T) map[string]T {
		out := map[string]T{}
		for _, v := range in {
			out[key(v)] = v
		}
		return out
	})
}

// objects lists every object of a store.
func objects(t testing.TB, r *Repo) []string {
	t.Helper()
	out, err := r.Output(t.Context(), "cat-file", "--batch-check=%(objectname)", "--batch-all-objects")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// leftovers are the files of a store that nothing accounts for.
func leftovers(t testing.TB, r *Repo) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"incoming-*", "objects/tmp*", "objects/*/tmp*", "*.lock", "fast_import_crash*"} {
		names, err := filepath.Glob(filepath.Join(r.Dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, names...)
	}
	return found
}
