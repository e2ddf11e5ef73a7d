package workspace

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/git"
)

func TestABaseIsACommitWithoutParentsInABundleThatAnyGitReads(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n", "dir/b.sh", "b\n")
	if err := os.Chmod(h.path("dir/b.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	w, s := h.open(), h.store()
	snap := h.snap(w, s, h.buffer("a.txt", "unsaved\n"))
	file := filepath.Join(t.TempDir(), "base.bundle")
	base, err := s.Base(context.Background(), snap, git.History{}, "feature/x", file, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 || info.Size() != base.BundleSize || base.BundlePath != file {
		t.Errorf("bundle %s: mode %o, %d bytes; the base says %+v", file, info.Mode().Perm(), info.Size(), base)
	}

	clone := filepath.Join(filepath.Dir(h.dir), "clone")
	h.runIn(filepath.Dir(h.dir), "clone", "-q", "-b", "feature/x", file, clone)
	got := map[string]string{}
	for _, name := range []string{"a.txt", "dir/b.sh"} {
		content, err := os.ReadFile(filepath.Join(clone, name))
		if err != nil {
			t.Fatal(err)
		}
		got[name] = string(content)
	}
	if diff := cmp.Diff(map[string]string{"a.txt": "unsaved\n", "dir/b.sh": "b\n"}, got); diff != "" {
		t.Errorf("the clone (-want +got):\n%s", diff)
	}
	if head := strings.Fields(h.runIn(clone, "rev-list", "--parents", "HEAD")); !cmp.Equal(head, []string{base.Commit}) {
		t.Errorf("history %v, want only %s", head, base.Commit)
	}
	if who := h.runIn(clone, "log", "-1", "--format=%an <%ae> %cn <%ce>"); strings.Contains(who, "example.org") {
		t.Errorf("the commit names a person: %s", who)
	}

	ctx := context.Background()
	if ref, err := s.Repo.Ref(ctx, "refs/glue/base"); ref != base.Commit || err != nil {
		t.Errorf("refs/glue/base is %q (%v), want %s", ref, err, base.Commit)
	}
}

func TestABundleThatCannotBeWrittenIsNamedWithTheReason(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n")
	w, s := h.open(), h.store()
	file := filepath.Join(t.TempDir(), "missing", "base.bundle")
	_, err := s.Base(context.Background(), h.snap(w, s), git.History{}, "", file, 0)
	var e *Error
	if !errors.As(err, &e) || e.Kind != "fileNotFound" || !strings.Contains(e.Error(), file) {
		t.Errorf("error %v", err)
	}
}

func TestAStoreThatCannotBeMadeIsNamedWithTheReason(t *testing.T) {
	h := newHost(t)
	h.write("file", "x")
	_, err := CreateStore(context.Background(), h.git, h.path("file/objects.git"), "sha1")
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(e.Error(), "objects.git") {
		t.Errorf("error %v", err)
	}
	if _, err := OpenStore(context.Background(), h.git, h.path("gone")); !errors.As(err, &e) {
		t.Errorf("opening a store that is gone: %v", err)
	}
}
