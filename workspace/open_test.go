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

func openError(t *testing.T, h *host, folder string) *Error {
	t.Helper()
	w, err := Open(context.Background(), h.git, folder, Options{CacheDir: h.cache})
	if err == nil {
		t.Fatalf("opened %s as %s", folder, w.Root())
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is %T: %v", err, err)
	}
	return e
}

func TestT1_AFolderInARepositoryGoesUpAsTheRepository(t *testing.T) {
	h := newRepo(t, "pkg/app/main.go", "package main\n", "lib/lib.go", "package lib\n", ".gitignore", "*.log\n")
	h.write("pkg/app/x.log", "ignored by the parent's rules")
	w, s := h.openAt(h.path("pkg/app")), h.store()
	if w.Root() != h.dir || w.Subdir() != "pkg/app" {
		t.Errorf("root %s, subdir %q; want %s and pkg/app", w.Root(), w.Subdir(), h.dir)
	}
	want := map[string]string{"pkg/app/main.go": "package main\n", "lib/lib.go": "package lib\n", ".gitignore": "*.log\n"}
	if diff := cmp.Diff(want, contents(t, s, h.snap(w, s).Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestT1_ALinkToAFolderOpensWhatItPointsTo(t *testing.T) {
	h := newRepo(t, "sub/a.txt", "a\n")
	alias := filepath.Join(filepath.Dir(h.dir), "alias")
	if err := os.Symlink(h.dir, alias); err != nil {
		t.Fatal(err)
	}
	w, s := h.openAt(filepath.Join(alias, "sub")), h.store()
	if w.Root() != h.dir || w.Subdir() != "sub" {
		t.Errorf("root %s, subdir %q; want %s and sub", w.Root(), w.Subdir(), h.dir)
	}
	// The editor names its buffers by the link.
	doc := Document{Path: filepath.Join(alias, "sub", "a.txt"), Text: []byte("unsaved\n"), Changed: true}
	snap := h.snap(w, s, doc)
	if got := contents(t, s, snap.Tree)["sub/a.txt"]; got != "unsaved\n" {
		t.Errorf("sub/a.txt holds %q", got)
	}
	if _, ok := snap.Docs["sub/a.txt"]; !ok {
		t.Error("the buffer is not known by its path in the tree")
	}
}

func TestT1_AFolderThatItsRepositoryIgnoresGoesUpByItself(t *testing.T) {
	h := newRepo(t, ".gitignore", "/projects/\n", "dotfile", "x")
	h.write("projects/app/main.py", "print()\n")
	w, s := h.openAt(h.path("projects/app")), h.store()
	if w.Root() != h.path("projects/app") || w.Source() != nil {
		t.Errorf("root %s, repository %v; want the folder by itself", w.Root(), w.Source())
	}
	if diff := cmp.Diff(map[string]string{"main.py": "print()\n"}, contents(t, s, h.snap(w, s).Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestT6_ABareRepositoryIsRefusedWithWhatToDo(t *testing.T) {
	h := newRepo(t, "a", "a")
	bare := filepath.Join(filepath.Dir(h.dir), "bare.git")
	h.run("clone", "-q", "--bare", h.dir, bare)
	for _, folder := range []string{bare, h.path(".git"), filepath.Join(bare, "refs")} {
		e := openError(t, h, folder)
		if e.Kind != "unsupported" || !strings.Contains(e.Error(), "bare") || e.Hint == "" {
			t.Errorf("%s: kind %q, message %q, hint %q", folder, e.Kind, e.Error(), e.Hint)
		}
	}
}

func TestAFolderThatCannotBeOpenedIsNamedWithTheReason(t *testing.T) {
	h := newHost(t)
	h.write("file", "x")
	h.mkdir("closed")
	if err := os.Chmod(h.path("closed"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(h.path("closed"), 0o700) }) //nolint:errcheck // for the removal
	h.link("dangling", "nowhere")
	cases := map[string]string{"gone": "fileNotFound", "dangling": "fileNotFound", "file": "notADirectory"}
	if os.Getuid() != 0 { // root may read anything
		cases["closed"] = "permissionDenied"
	}
	for name, kind := range cases {
		if e := openError(t, h, h.path(name)); e.Kind != kind || !strings.Contains(e.Error(), h.path(name)) {
			t.Errorf("%s: kind %q (want %q), message %q", name, e.Kind, kind, e.Error())
		}
	}
}

func TestAFolderThatVanishesLaterIsNamedByTheNextSnapshot(t *testing.T) {
	h := newRepo(t, "a", "a")
	w, s := h.open(), h.store()
	h.snap(w, s)
	h.remove("")
	var e *Error
	if _, err := w.Snapshot(context.Background(), s, nil); !errors.As(err, &e) || e.Kind != "fileNotFound" {
		t.Errorf("error %v, want one of kind fileNotFound: an empty tree would delete everything", err)
	}
}

func TestARepositoryThatVanishesLaterIsNamedByTheNextSnapshot(t *testing.T) {
	h := newRepo(t, "a", "a")
	w, s := h.open(), h.store()
	h.snap(w, s)
	h.remove(".git")
	h.write("b", "b")
	var e *Error
	if _, err := w.Snapshot(context.Background(), s, nil); !errors.As(err, &e) || e.Kind != "unavailable" {
		t.Errorf("error %v, want one of kind unavailable", err)
	}
}

func TestAMissingOrOldGitIsNamedWithWhatToDo(t *testing.T) {
	h := newHost(t)
	t.Setenv("PATH", t.TempDir())
	_, err := Open(context.Background(), nil, h.dir, Options{CacheDir: h.cache})
	var e *Error
	if !errors.As(err, &e) || e.Kind != "unavailable" || !strings.Contains(e.Hint, "install") {
		t.Errorf("without git: %v", err)
	}
	if !errors.As(gitError(&git.VersionError{Found: "2.20.1"}), &e) || !strings.Contains(e.Error(), "2.20.1") || !strings.Contains(e.Hint, "update") {
		t.Errorf("with an old git: %v", e)
	}
}
