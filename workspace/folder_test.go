package workspace

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

func TestAFolderThatIsNoRepositoryGoesUpByDefaultRules(t *testing.T) {
	h := newHost(t)
	for _, name := range []string{
		"main.py", "src/a.js", "node_modules/x/index.js", "src/node_modules/y.js", ".venv/bin/python", "__pycache__/m.pyc", "src/m.pyc", ".DS_Store",
		"target/debug/app", "keep/dist.txt", "logs/x.log", "logs/keep.txt", ".env", "sub/.gitignore", "sub/gen/x", "sub/y",
	} {
		h.write(name, "x")
	}
	h.write(".gitignore", "*.log\n")
	h.write("sub/.gitignore", "/gen/\n")
	w, s := h.open(), h.store()
	if w.Source() != nil || w.Subdir() != "" {
		t.Errorf("repository %v, subdir %q", w.Source(), w.Subdir())
	}
	snap := h.snap(w, s)
	want := map[string]string{
		"main.py": "x", "src/a.js": "x", "keep/dist.txt": "x", "logs/keep.txt": "x", ".gitignore": "*.log\n", "sub/.gitignore": "/gen/\n", "sub/y": "x",
	}
	if diff := cmp.Diff(want, contents(t, s, snap.Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]tree.Reason{".env": tree.Secret}, skippedPaths(snap)); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
	// The sandbox goes by the same rules.
	m := tree.NewMatcher(snap.Ignore, false)
	for path, ignored := range map[string]bool{"a/node_modules/x": true, "new.log": true, "sub/gen/z": true, "gen/z": false, "new.py": false} {
		if m.Ignored(path, false) != ignored {
			t.Errorf("ignored inside: %s should be %v", path, ignored)
		}
	}
}

func TestF12_RepositoriesInAPlainFolderGoByTheirOwnRules(t *testing.T) {
	h := newHost(t)
	h.write("notes.txt", "n")
	h.write("one/.gitignore", "*.o\n")
	h.write("one/a.c", "a")
	h.write("one/a.o", "o")
	h.write("one/kept.o", "o")
	h.write("one/dist/tracked.js", "in the repository, whatever the rules for plain folders say")
	h.runIn(h.path("one"), "init", "-q")
	h.runIn(h.path("one"), "add", "-f", "a.c", "kept.o", "dist")
	h.write("broken/.git", "gitdir: /nowhere\n")
	h.write("broken/b.c", "b")
	w, s := h.open(), h.store()
	want := map[string]string{
		"notes.txt": "n", "one/.gitignore": "*.o\n", "one/a.c": "a", "one/kept.o": "o",
		"one/dist/tracked.js": "in the repository, whatever the rules for plain folders say", "broken/b.c": "b",
	}
	if diff := cmp.Diff(want, contents(t, s, h.snap(w, s).Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	h.snap(w, s)
	h.write("one/new.c", "new")
	h.write("one/deep/new.c", "new")
	want["one/new.c"], want["one/deep/new.c"] = "new", "new"
	if diff := cmp.Diff(want, contents(t, s, h.snap(w, s).Tree)); diff != "" {
		t.Errorf("after new files in it (-want +got):\n%s", diff)
	}
}

func TestTheListingIsMadeAnewOnlyWhenANameMayHaveCome(t *testing.T) {
	for name, h := range map[string]*host{"repository": newRepo(t, "a.txt", "a\n", "dir/b.txt", "b\n"), "folder": newHost(t)} {
		t.Run(name, func(t *testing.T) {
			h.write("dir/c.txt", "c\n")
			w := h.open()
			list := func() *listing {
				w.mu.Lock()
				defer w.mu.Unlock()
				l, err := w.list(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				return l
			}
			first := settledList(list)
			h.write("dir/c.txt", "edited\n")
			if list() != first {
				t.Error("an edit made a new listing")
			}
			h.write("dir/new.txt", "n\n")
			second := list()
			if second == first || !strings.Contains(strings.Join(second.paths, " "), "dir/new.txt") {
				t.Errorf("a new file is not listed: %q", second.paths)
			}
		})
	}
}

// settledList lists until the listing is one that can be trusted again: what was
// made just now may change within the same tick of the file system's clock.
func settledList(list func() *listing) *listing {
	for {
		first := list()
		if second := list(); first == second {
			return first
		}
	}
}
