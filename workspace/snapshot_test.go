package workspace

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

func TestW1_UncommittedEditsAndUnsavedBuffersGoUp(t *testing.T) {
	h := newRepo(t, "a.txt", "committed\n", "b.txt", "committed\n", "c.txt", "c\n")
	h.write("a.txt", "edited\n")
	h.write("new.txt", "new\n")
	h.remove("c.txt")
	w, s := h.open(), h.store()

	snap := h.snap(w, s, h.buffer("b.txt", "unsaved\n"), h.buffer("dir/fresh.txt", "not on disk\n"))

	want := map[string]string{"a.txt": "edited\n", "b.txt": "unsaved\n", "new.txt": "new\n", "dir/fresh.txt": "not on disk\n"}
	if diff := cmp.Diff(want, contents(t, s, snap.Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	if snap.Unsaved != 2 || snap.Files != 4 || snap.Bytes != 31 {
		t.Errorf("unsaved %d, files %d, bytes %d; want 2, 4 and 31", snap.Unsaved, snap.Files, snap.Bytes)
	}
}

func TestW2_StagedEditsGoUpAsTheyAreOnDisk(t *testing.T) {
	h := newRepo(t, "a.txt", "committed\n")
	h.write("a.txt", "staged\n")
	h.write("added.txt", "staged too\n")
	h.run("add", "-A")
	h.write("a.txt", "edited after staging\n")
	w, s := h.open(), h.store()
	want := map[string]string{"a.txt": "edited after staging\n", "added.txt": "staged too\n"}
	if diff := cmp.Diff(want, contents(t, s, h.snap(w, s).Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestW3_T3_W5_NoRemoteAndADetachedHeadAreFine(t *testing.T) {
	h := newRepo(t, "a.txt", "one\n")
	h.write("a.txt", "two\n")
	h.run("commit", "-q", "-am", "second, not pushed anywhere")
	h.run("checkout", "-q", "--detach")
	w, s := h.open(), h.store()
	if diff := cmp.Diff(map[string]string{"a.txt": "two\n"}, contents(t, s, h.snap(w, s).Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	if w.Source().Branch != "" {
		t.Errorf("branch %q, want none", w.Source().Branch)
	}
}

func TestW6_TheStashStaysAndIsReported(t *testing.T) {
	h := newRepo(t, "a.txt", "one\n")
	for _, text := range []string{"first\n", "second\n"} {
		h.write("a.txt", text)
		h.run("stash", "-q")
	}
	w, s := h.open(), h.store()
	snap := h.snap(w, s)
	if diff := cmp.Diff(map[string]tree.Reason{"stash": tree.NotSent}, skippedPaths(snap)); diff != "" {
		t.Fatalf("left out (-want +got):\n%s", diff)
	}
	if !strings.Contains(snap.Skipped[0].Detail, "2 entries") {
		t.Errorf("detail %q does not say how many", snap.Skipped[0].Detail)
	}
	if got := h.run("stash", "list"); strings.Count(got, "\n") != 2 {
		t.Errorf("stash afterwards:\n%s", got)
	}
}

func TestT2_AWorktreeGoesUpAsItIs(t *testing.T) {
	h := newRepo(t, "a.txt", "main\n")
	tree := filepath.Join(filepath.Dir(h.dir), "second")
	h.run("worktree", "add", "-q", tree, "-b", "other")
	if err := os.WriteFile(filepath.Join(tree, "a.txt"), []byte("other\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w, s := h.openAt(tree), h.store()
	if diff := cmp.Diff(map[string]string{"a.txt": "other\n"}, contents(t, s, h.snap(w, s).Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	if w.Root() != tree || w.Source().Branch != "other" {
		t.Errorf("root %s on %q", w.Root(), w.Source().Branch)
	}
}

func TestT5_OfASparseCheckoutWhatIsOnDiskGoesUp(t *testing.T) {
	h := newRepo(t, "in/a.txt", "a\n", "out/b.txt", "b\n", "root.txt", "r\n")
	h.run("sparse-checkout", "set", "--cone", "in")
	w, s := h.open(), h.store()
	want := map[string]string{"in/a.txt": "a\n", "root.txt": "r\n"}
	if diff := cmp.Diff(want, contents(t, s, h.snap(w, s).Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestF10_TrackedButIgnoredFilesGoUpExcludedOnesDoNot(t *testing.T) {
	h := newRepo(t, ".gitignore", "*.gen\n", "kept.gen", "tracked\n", "big/data.bin", "data", "src/a.go", "a")
	h.write("other.gen", "ignored and not tracked")
	h.write("src/wanted.gen", "ignored and wanted")
	w := h.open(func(o *Options) { o.Include, o.Exclude = []string{"src/*.gen"}, []string{"/big/"} })
	s := h.store()
	want := map[string]string{".gitignore": "*.gen\n", "kept.gen": "tracked\n", "src/a.go": "a", "src/wanted.gen": "ignored and wanted"}
	if diff := cmp.Diff(want, contents(t, s, h.snap(w, s).Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestF12_NestedRepositoriesGoUpAsFilesAlsoEmptyOnes(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n")
	h.write("vendor/lib/lib.c", "c\n")
	h.write("vendor/lib/.gitignore", "*.o\n")
	h.write("vendor/lib/lib.o", "object")
	h.runIn(h.path("vendor/lib"), "init", "-q")
	h.runIn(h.path("vendor/lib"), "add", "lib.c")
	h.mkdir("empty")
	h.runIn(h.path("empty"), "init", "-q")
	w, s := h.open(), h.store()
	want := map[string]string{"a.txt": "a\n", "vendor/lib/lib.c": "c\n", "vendor/lib/.gitignore": "*.o\n"}
	if diff := cmp.Diff(want, contents(t, s, h.snap(w, s).Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestF22_AttributesChangeNoByteOnTheWayUp(t *testing.T) {
	h := newRepo(t, ".gitattributes", "* text=auto eol=lf ident\n*.u16 working-tree-encoding=UTF-16\n*.bin filter=lfs\n")
	files := map[string]string{
		".gitattributes": "* text=auto eol=lf ident\n*.u16 working-tree-encoding=UTF-16\n*.bin filter=lfs\n",
		"crlf.txt":       "a\r\nb\r\n",
		"ident.c":        "$Id: 0123 $\n",
		"text.u16":       "\xFF\xFEa\x00\n\x00",
		"smudged.bin":    strings.Repeat("\x00\x01", 500),
	}
	for name, text := range files {
		h.write(name, text)
	}
	w, s := h.open(), h.store()
	if diff := cmp.Diff(files, contents(t, s, h.snap(w, s).Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestS2_S3_ModesLinksBinariesAndOddNamesGoUpByteForByte(t *testing.T) {
	h := newRepo(t)
	odd := "new\nline \"quoted\" \xff\xfe\\.txt"
	files := map[string]string{"run.sh": "*#!/bin/sh\n", "link": "-> run.sh", "broken": "-> no/where", "-dash": "d", odd: "odd", "bin": "\x00\xff\r\n", "empty": ""}
	for name, text := range files {
		switch {
		case strings.HasPrefix(text, "-> "):
			h.link(name, text[3:])
		case strings.HasPrefix(text, "*"):
			h.write(name, text[1:])
			if err := os.Chmod(h.path(name), 0o755); err != nil {
				t.Fatal(err)
			}
		default:
			h.write(name, text)
		}
	}
	w, s := h.open(), h.store()
	if diff := cmp.Diff(files, contents(t, s, h.snap(w, s).Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestWhatCannotGoUpIsNamed(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n")
	h.write("large.bin", strings.Repeat("x", 2000))
	h.write("locked.txt", "x")
	if err := os.Chmod(h.path("locked.txt"), 0); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(h.path("pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	w, s := h.open(func(o *Options) { o.MaxFileSize = 1000 }), h.store()
	want := map[string]tree.Reason{"large.bin": tree.TooLarge, "locked.txt": tree.Unreadable}
	if os.Getuid() == 0 { // root may read anything
		delete(want, "locked.txt")
	}
	snap := h.snap(w, s)
	got := skippedPaths(snap)
	delete(got, "pipe") // git does not list pipes; a plain folder's walk does
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
	if _, ok := snap.Entry("pipe"); ok {
		t.Error("a pipe went up")
	}
}

func TestAFileThatWentUpStaysWhileItExists(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n")
	h.write("notes.txt", "one\n")
	w, s := h.open(), h.store()
	h.snap(w, s)

	h.write(".gitignore", "notes.txt\n")
	h.write("notes.txt", "two\n")
	if got := contents(t, s, h.snap(w, s).Tree)["notes.txt"]; got != "two\n" {
		t.Errorf("ignored by now: it holds %q, want what is on disk", got)
	}
	// The same in another process, which only has the store.
	again, err := OpenStore(context.Background(), h.git, s.Repo.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := contents(t, again, h.snap(h.open(), again).Tree)["notes.txt"]; got != "two\n" {
		t.Errorf("in a new process: it holds %q", got)
	}
	h.remove("notes.txt")
	if _, ok := h.snap(w, s).Entry("notes.txt"); ok {
		t.Error("gone from the disk and still in the tree")
	}
}

func TestAFileThatCannotBeReadForAMomentKeepsWhatItHeld(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n", "b.txt", "b\n")
	limit := int64(100)
	w, s := h.open(func(o *Options) { o.MaxFileSize = limit }), h.store()
	h.snap(w, s)
	h.write("b.txt", strings.Repeat("b", 200))
	snap := h.snap(w, s)
	if got := contents(t, s, snap.Tree)["b.txt"]; got != "b\n" {
		t.Errorf("it holds %q, want what went up before", got)
	}
	if skippedPaths(snap)["b.txt"] != tree.TooLarge {
		t.Errorf("left out: %v", snap.Skipped)
	}
}

func TestAFolderThatCannotBeReadForAMomentKeepsWhatItHeld(t *testing.T) {
	for name, h := range map[string]*host{"repository": newRepo(t, "d/tracked.txt", "t\n"), "folder": newHost(t)} {
		t.Run(name, func(t *testing.T) {
			h.write("d/a.txt", "a\n")
			w, s := h.open(), h.store()
			before := h.snap(w, s)
			if err := os.Chmod(h.path("d"), 0); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Chmod(h.path("d"), 0o755) }) //nolint:errcheck // for the removal
			if after := h.snap(w, s); after.Tree != before.Tree {
				t.Errorf("tree %v, want all of %v", contents(t, s, after.Tree), contents(t, s, before.Tree))
			}
		})
	}
}

func TestWorkspacesOfOneFolderShareItsCache(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n")
	var all sync.WaitGroup
	errs := make(chan error, 4)
	for range 4 {
		w, s := h.open(), h.store()
		all.Go(func() {
			for range 3 {
				if _, err := w.Snapshot(context.Background(), s, nil); err != nil {
					errs <- err
				}
				w.Source()
			}
		})
	}
	for i := range 20 {
		h.write(fmt.Sprintf("new%d.txt", i), "n\n")
	}
	all.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}

func TestASecondSnapshotSeesEveryKindOfChange(t *testing.T) {
	h := newRepo(t, "edit.txt", "1\n", "mode.sh", "x", "gone.txt", "x", "type", "x", "dir/sub/deep.txt", "x", ".gitignore", "skip/\n*.log\n")
	h.mkdir("empty/inner")
	h.mkdir("skip")
	w, s := h.open(), h.store()
	h.snap(w, s)
	h.snap(w, s)
	steps := []struct {
		name string
		do   func()
		want map[string]string // what changes; "" for gone
	}{
		{"edit of the same length", func() { h.write("edit.txt", "2\n") }, map[string]string{"edit.txt": "2\n"}},
		{"mode", func() { os.Chmod(h.path("mode.sh"), 0o755) }, map[string]string{"mode.sh": "*x"}}, //nolint:errcheck // seen below
		{"removal", func() { h.remove("gone.txt") }, map[string]string{"gone.txt": ""}},
		{"file becomes link", func() { h.remove("type"); h.link("type", "edit.txt") }, map[string]string{"type": "-> edit.txt"}},
		{"new file in an old folder", func() { h.write("dir/new.txt", "n") }, map[string]string{"dir/new.txt": "n"}},
		{"new file in an empty folder", func() { h.write("empty/inner/new.txt", "n") }, map[string]string{"empty/inner/new.txt": "n"}},
		{"new file in a new folder", func() { h.write("fresh/new.txt", "n") }, map[string]string{"fresh/new.txt": "n"}},
		{"new file in an ignored folder", func() { h.write("skip/new.txt", "n") }, nil},
		{"force-added", func() { h.run("add", "-f", "skip/new.txt") }, map[string]string{"skip/new.txt": "n"}},
		{"rules change", func() { h.write("x.log", "log"); h.write(".gitignore", "skip/\n") }, map[string]string{"x.log": "log", ".gitignore": "skip/\n"}},
		{"file becomes folder", func() { h.remove("edit.txt"); h.write("edit.txt/inner", "i") }, map[string]string{"edit.txt": "", "edit.txt/inner": "i"}},
		{"folder becomes file", func() { h.remove("dir"); h.write("dir", "d") }, map[string]string{"dir": "d", "dir/new.txt": "", "dir/sub/deep.txt": ""}},
	}
	want := contents(t, s, h.snap(w, s).Tree)
	for _, step := range steps {
		step.do()
		for path, text := range step.want {
			if want[path] = text; text == "" {
				delete(want, path)
			}
		}
		if diff := cmp.Diff(want, contents(t, s, h.snap(w, s).Tree)); diff != "" {
			t.Errorf("after %q (-want +got):\n%s", step.name, diff)
		}
	}
}

func TestARepositoryOfAnotherObjectFormatGoesUp(t *testing.T) {
	h := newHost(t)
	h.run("init", "-q", "--object-format=sha256")
	h.write("a.txt", "a\n")
	w := h.open()
	s, err := CreateStore(context.Background(), h.git, filepath.Join(t.TempDir(), "o.git"), w.Source().Format)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a.txt": "a\n"}, contents(t, s, h.snap(w, s).Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestASnapshotOfAnEmptyFolderIsEmpty(t *testing.T) {
	for _, h := range []*host{newHost(t), newRepo(t)} {
		w, s := h.open(), h.store()
		snap := h.snap(w, s)
		if snap.Files != 0 || snap.Tree == "" {
			t.Errorf("files %d, tree %q", snap.Files, snap.Tree)
		}
		if _, err := s.Base(context.Background(), snap, git.History{}, "", filepath.Join(t.TempDir(), "b"), 0); err != nil {
			t.Errorf("base: %v", err)
		}
	}
}

func TestF21_ATreeInMotionNeverBreaksASnapshot(t *testing.T) {
	h := newRepo(t, "still.txt", "still\n")
	whole := strings.Repeat("0123456789abcdef", 20_000)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			size := len(whole) * (i % 7) / 7
			os.WriteFile(h.path("moving.txt"), []byte(whole[:size]), 0o644) //nolint:errcheck // in motion
			os.WriteFile(h.path("coming"), nil, 0o644)                      //nolint:errcheck // in motion
			os.Remove(h.path("coming"))                                     //nolint:errcheck // in motion
		}
	}()
	w := h.open()
	for range 15 {
		s := h.store()
		snap := h.snap(w, s)
		got := contents(t, s, snap.Tree)
		if got["still.txt"] != "still\n" {
			t.Errorf("still.txt holds %q", got["still.txt"])
		}
		if len(got) != snap.Files {
			t.Errorf("%d files in the store, %d in the snapshot", len(got), snap.Files)
		}
		text, ok := got["moving.txt"]
		if ok && !strings.HasPrefix(whole, text) {
			t.Errorf("moving.txt holds %d bytes that it never held", len(text))
		}
		if !ok && skippedPaths(snap)["moving.txt"] == "" {
			if _, err := os.Lstat(h.path("moving.txt")); err == nil {
				t.Errorf("moving.txt is left out without a word")
			}
		}
	}
	close(stop)
	<-ended
}

// A file that is written to between being looked at and being stored goes up as one
// of its versions, and the snapshot says which.
func TestF21_AFileThatChangesWhileItIsStoredGoesUpWhole(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n", "b.txt", "before\n", "c.txt", "c\n", "d.txt", "short\n", "e.txt", "e\n")
	w, s := h.open(), h.store()
	cache := w.cache(s.Repo.Format)
	r, err := w.read(context.Background(), s, cache, nil)
	if err != nil {
		t.Fatal(err)
	}
	h.write("b.txt", "after!\n")
	h.remove("c.txt")
	h.write("d.txt", "longer than before\n")
	h.remove("e.txt")
	h.link("e.txt", "a.txt")
	s.mu.Lock()
	snap, err := w.take(context.Background(), s, r)
	s.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a.txt": "a\n", "b.txt": "after!\n", "d.txt": "longer than before\n", "e.txt": "-> a.txt"}
	if diff := cmp.Diff(want, contents(t, s, snap.Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	entries, err := s.Repo.ReadTree(context.Background(), snap.Tree)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(entries, snap.Entries); diff != "" {
		t.Errorf("the snapshot's entries are not the tree's (-tree +snapshot):\n%s", diff)
	}
}
