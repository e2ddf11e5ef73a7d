//go:build linux || darwin

package tree_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"glue-lsp/internal/tree"
)

// refusals calls every operation of a root on a path and gives the errors.
func refusals(r *tree.Root, path string) map[string]error {
	_, lookupErr := r.Lookup(path, tree.SHA1)
	_, contentErr := r.Content(path, tree.SHA1)
	return map[string]error{
		"lookup":         lookupErr,
		"content":        contentErr,
		"write":          r.Write(path, tree.Entry{}, tree.Regular, strings.NewReader("x"), tree.SHA1),
		"write a link":   r.Write(path, tree.Entry{}, tree.Symlink, strings.NewReader("x"), tree.SHA1),
		"write expected": r.Write(path, entry(path, tree.Regular, "seen"), tree.Regular, strings.NewReader("x"), tree.SHA1),
		"remove":         r.Remove(path, entry(path, tree.Regular, "seen"), tree.SHA1),
	}
}

func TestX12_NothingIsWrittenBelowALinkEvenIfItStaysInside(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	put(t, root, ".git/config", "seen")
	put(t, outside, "f", "seen")
	putAll(t, root, "dir/sub/f", "file")
	symlink(t, root, ".git", "x")
	symlink(t, root, outside, "away")
	symlink(t, root, "sub", "dir/same")
	symlink(t, root, "no/where", "dangling")
	symlink(t, root, ".", "self")
	inside, out := names(t, root), names(t, outside)
	r := openRoot(t, root)
	for _, c := range []struct{ path, blame string }{
		{"x/config", "x is a symbolic link"},
		{"x/hooks/post-checkout", "x is a symbolic link"},
		{"away/f", "away is a symbolic link"},
		{"away/deep/new", "away is a symbolic link"},
		{"dir/same/f", "dir/same is a symbolic link"},
		{"dangling/f", "dangling is a symbolic link"},
		{"self/file", "self is a symbolic link"},
		{"file/below", "file is not a folder"},
		{"file/far/below", "file is not a folder"},
	} {
		for op, err := range refusals(r, c.path) {
			var refused *tree.PathError
			if !errors.As(err, &refused) || refused.Path != c.path || !strings.Contains(refused.Why, c.blame) {
				t.Errorf("%s %s: %v, want a *PathError with %q", op, c.path, err, c.blame)
			}
		}
	}
	wantNames(t, root, inside...)
	wantNames(t, outside, out...)
	if got := read(t, root, ".git/config"); got != "seen" {
		t.Errorf(".git/config holds %q", got)
	}
}

func TestX4_NothingIsWrittenOutsideOrUnderGit(t *testing.T) {
	root := t.TempDir()
	put(t, root, ".git/config", "seen")
	before := names(t, root)
	r := openRoot(t, root)
	for _, path := range []string{
		"../f", "/tmp/f", "a/../../f", "", ".", ".git/config", ".GIT/config", "sub/.git/config", "git~1/config", ".git ", "a\x00b", "a/",
		".g\u200cit/config", `a\.git\config`,
	} {
		for op, err := range refusals(r, path) {
			var refused *tree.PathError
			if !errors.As(err, &refused) {
				t.Errorf("%s %q: %v, want a *PathError", op, path, err)
			}
		}
	}
	wantNames(t, root, before...)
}

func TestALinkItselfIsReplacedAndRemovedNotItsTarget(t *testing.T) {
	root := t.TempDir()
	put(t, root, "target", "kept")
	symlink(t, root, "target", "one")
	symlink(t, root, "target", "two")
	r := openRoot(t, root)
	writeFile(t, r, "one", tree.Regular, "a file")
	if err := r.Remove("two", entry("two", tree.Symlink, "target"), tree.SHA1); err != nil {
		t.Fatal(err)
	}
	wantNames(t, root, "one", "target")
	if got := read(t, root, "target"); got != "kept" {
		t.Errorf("target holds %q", got)
	}
}

func TestSpecialFilesAreRefusedNotOpened(t *testing.T) {
	root := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(root, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	for op, err := range refusals(openRoot(t, root), "pipe") {
		var refused *tree.PathError
		if !errors.As(err, &refused) || !strings.Contains(refused.Why, "named pipe") {
			t.Errorf("%s: %v", op, err)
		}
	}
	wantNames(t, root, "pipe")
}
