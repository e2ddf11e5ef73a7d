package workspace

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// host is a person's machine: a folder, git, and what the person does with them.
type host struct {
	testing.TB
	dir   string
	cache string
	git   *git.Git
}

func newHost(t testing.TB) *host {
	t.Helper()
	g, err := git.Find(context.Background())
	if err != nil {
		t.Fatalf("these tests need git: %v", err)
	}
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := &host{TB: t, dir: filepath.Join(base, "work"), cache: filepath.Join(base, "cache"), git: g}
	h.mkdir("")
	return h
}

// newRepo is a host whose folder is a repository with one commit of the files.
func newRepo(t testing.TB, files ...string) *host {
	t.Helper()
	h := newHost(t)
	h.run("init", "-q", "-b", "main")
	for i := 0; i < len(files); i += 2 {
		h.write(files[i], files[i+1])
	}
	h.run("add", "-A", "-f")
	h.run("commit", "-q", "--allow-empty", "-m", "first")
	return h
}

func (h *host) path(name string) string { return filepath.Join(h.dir, filepath.FromSlash(name)) }

func (h *host) mkdir(name string) {
	h.Helper()
	if err := os.MkdirAll(h.path(name), 0o755); err != nil {
		h.Fatal(err)
	}
}

func (h *host) write(name, content string) {
	h.Helper()
	h.mkdir(filepath.Dir(name))
	if err := os.WriteFile(h.path(name), []byte(content), 0o644); err != nil {
		h.Fatal(err)
	}
}

func (h *host) link(name, target string) {
	h.Helper()
	h.mkdir(filepath.Dir(name))
	if err := os.Symlink(target, h.path(name)); err != nil {
		h.Fatal(err)
	}
}

func (h *host) remove(name string) {
	h.Helper()
	if err := os.RemoveAll(h.path(name)); err != nil {
		h.Fatal(err)
	}
}

// run is the person's own git, in the folder, with a configuration of its own.
func (h *host) run(args ...string) string {
	h.Helper()
	return h.runIn(h.dir, args...)
}

func (h *host) runIn(dir string, args ...string) string {
	h.Helper()
	out, err := h.command(dir, args...).CombinedOutput()
	if err != nil {
		h.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (h *host) command(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command(h.git.Path, args...)
	cmd.Dir = dir
	cmd.Env = append(
		os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME="+filepath.Dir(h.dir), "XDG_CONFIG_HOME=",
		"GIT_AUTHOR_NAME=P", "GIT_AUTHOR_EMAIL=p@example.org", "GIT_COMMITTER_NAME=P", "GIT_COMMITTER_EMAIL=p@example.org",
	)
	return cmd
}

// elsewhere runs a command that makes another folder, given as its last argument, and
// goes there.
func (h *host) elsewhere(args ...string) {
	h.Helper()
	dir := h.dir + "-"
	h.run(append(args, dir)...)
	h.dir = dir
}

// reopened is a store as another process finds it.
func (h *host) reopened(s *Store) *Store {
	h.Helper()
	again, err := OpenStore(context.Background(), h.git, s.Repo.Dir)
	if err != nil {
		h.Fatal(err)
	}
	return again
}

func (h *host) open(opts ...func(*Options)) *Workspace {
	h.Helper()
	return h.openAt(h.dir, opts...)
}

func (h *host) openAt(folder string, opts ...func(*Options)) *Workspace {
	h.Helper()
	o := Options{CacheDir: h.cache}
	for _, f := range opts {
		f(&o)
	}
	w, err := Open(context.Background(), h.git, folder, o)
	if err != nil {
		h.Fatal(err)
	}
	return w
}

func (h *host) store() *Store {
	h.Helper()
	s, err := CreateStore(context.Background(), h.git, filepath.Join(h.TempDir(), "objects.git"), tree.SHA1)
	if err != nil {
		h.Fatal(err)
	}
	return s
}

func (h *host) snap(w *Workspace, s *Store, docs ...Document) *Snapshot {
	h.Helper()
	snap, err := w.Snapshot(context.Background(), s, docs)
	if err != nil {
		h.Fatal(err)
	}
	return snap
}

// buffer is an unsaved buffer of a file.
func (h *host) buffer(name, text string) Document {
	return Document{Path: h.path(name), Version: 2, Text: []byte(text), Changed: true}
}

// contents reads a tree back from the store: what a sandbox would get. Links are
// shown as "-> target", executable files with a "*" before their content.
func contents(t testing.TB, s *Store, id string) map[string]string {
	t.Helper()
	ctx := context.Background()
	entries, err := s.Repo.ReadTree(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := s.Repo.Blobs(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer blobs.Close() //nolint:errcheck // only read
	out := map[string]string{}
	for _, e := range entries {
		b, err := blobs.Get(e.Hash, -1)
		if err != nil {
			t.Fatalf("%s: %v", e.Path, err)
		}
		switch e.Mode {
		case tree.Symlink:
			out[e.Path] = "-> " + string(b)
		case tree.Executable:
			out[e.Path] = "*" + string(b)
		default:
			out[e.Path] = string(b)
		}
	}
	return out
}

// fileOf gives the entry and content that contents shows as text.
func fileOf(f tree.Format, path, text string) unsaved {
	mode := tree.Regular
	if rest, ok := strings.CutPrefix(text, "-> "); ok {
		text, mode = rest, tree.Symlink
	} else if rest, ok := strings.CutPrefix(text, "*"); ok {
		text, mode = rest, tree.Executable
	}
	return unsaved{
		entry:   tree.Entry{Path: path, Mode: mode, Hash: tree.HashBytes(f, []byte(text)), Size: int64(len(text))},
		content: []byte(text),
	}
}

// makeTree stores a tree as contents shows it.
func makeTree(t testing.TB, s *Store, files map[string]string) string {
	t.Helper()
	var changes []git.Change
	for _, path := range slices.Sorted(maps.Keys(files)) {
		u := fileOf(s.Repo.Format, path, files[path])
		changes = append(changes, git.Change{Entry: u.entry, Open: u.open})
	}
	id, err := s.Repo.Update(context.Background(), "", changes)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// fingerprint is everything that is in a folder, times aside.
func fingerprint(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		out[rel] = info.Mode().String()
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			out[rel] += fmt.Sprintf(" %x", sha256.Sum256(content))
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			out[rel] += " " + target
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// skippedPaths gives the reason for each path that was left out.
func skippedPaths(snap *Snapshot) map[string]tree.Reason {
	out := map[string]tree.Reason{}
	for _, s := range snap.Skipped {
		out[s.Path] = s.Reason
	}
	return out
}
