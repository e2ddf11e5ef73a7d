package workspace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

func TestU5_F31_ABufferGoesUpInItsFilesForm(t *testing.T) {
	h := newRepo(t, "bom.cs", "\xEF\xBB\xBFold\r\n", "latin1.txt", "caf\xE9\nold\n", "run.sh", "old\n")
	if err := os.Chmod(h.path("run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	w, s := h.open(), h.store()
	snap := h.snap(w, s, h.buffer("bom.cs", "new\n"), h.buffer("latin1.txt", "café\nnew\n"), h.buffer("run.sh", "new\n"))
	want := map[string]string{"bom.cs": "\xEF\xBB\xBFnew\r\n", "latin1.txt": "caf\xE9\nnew\n", "run.sh": "*new\n"}
	if diff := cmp.Diff(want, contents(t, s, snap.Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	if snap.Unsaved != 3 {
		t.Errorf("unsaved %d, want 3", snap.Unsaved)
	}
}

func TestABufferThatTheEditorDidNotChangeLeavesTheDiskAlone(t *testing.T) {
	h := newRepo(t, "a.txt", "a\r\n", "b.txt", "b\n", "c.txt", "c\n")
	w, s := h.open(), h.store()
	// A tool wrote b.txt, and the editor has not looked yet.
	h.write("b.txt", "by a tool\n")
	stale := h.buffer("b.txt", "b\n")
	stale.Changed = false
	snap := h.snap(w, s, h.buffer("a.txt", "a\n"), stale)
	want := map[string]string{"a.txt": "a\r\n", "b.txt": "by a tool\n", "c.txt": "c\n"}
	if diff := cmp.Diff(want, contents(t, s, snap.Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	if snap.Unsaved != 0 {
		t.Errorf("unsaved %d, want none", snap.Unsaved)
	}
	if len(snap.Docs) != 2 {
		t.Errorf("open documents: %v", snap.Docs)
	}
}

func TestABufferComesAndGoes(t *testing.T) {
	h := newRepo(t, "a.txt", "disk\n")
	w, s := h.open(), h.store()
	first := h.snap(w, s)
	for i, step := range []struct {
		docs []Document
		want string
	}{
		{[]Document{h.buffer("a.txt", "unsaved\n")}, "unsaved\n"},
		{[]Document{h.buffer("a.txt", "more\n")}, "more\n"},
		{nil, "disk\n"},
	} {
		if got := contents(t, s, h.snap(w, s, step.docs...).Tree)["a.txt"]; got != step.want {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
	}
	if last := h.snap(w, s); last.Tree != first.Tree {
		t.Errorf("closed without saving: tree %s, want %s again", last.Tree, first.Tree)
	}
}

func TestABufferThatCannotBeWrittenIsNamedAndTheDiskGoesUp(t *testing.T) {
	h := newRepo(t, "data.bin", "a\x00b", "a.txt", "a\n")
	h.link("dangling", "nowhere")
	w, s := h.open(), h.store()
	snap := h.snap(w, s, h.buffer("data.bin", "a b"), h.buffer("a.txt", "\xff"), h.buffer("dangling", "x"))
	want := map[string]string{"data.bin": "a\x00b", "a.txt": "a\n", "dangling": "-> nowhere"}
	if diff := cmp.Diff(want, contents(t, s, snap.Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	reasons := map[string]tree.Reason{"data.bin": tree.NotSent, "a.txt": tree.NotSent, "dangling": tree.NotSent}
	if diff := cmp.Diff(reasons, skippedPaths(snap)); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
	for _, skipped := range snap.Skipped {
		if !strings.Contains(skipped.Detail, "unsaved") {
			t.Errorf("%s: %q does not say what is not sent", skipped.Path, skipped.Detail)
		}
	}
}

func TestABufferOfALinkLiesOverTheLinksTarget(t *testing.T) {
	h := newRepo(t, "real/a.txt", "a\n")
	h.link("link.txt", "real/a.txt")
	h.link("dir", "real")
	outside := filepath.Join(filepath.Dir(h.dir), "outside.txt")
	if err := os.WriteFile(outside, []byte("outside\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.link("out.txt", outside)
	w, s := h.open(), h.store()
	for _, name := range []string{"link.txt", "dir/a.txt"} {
		snap := h.snap(w, s, h.buffer(name, "by "+name+"\n"), h.buffer("out.txt", "x\n"))
		want := map[string]string{"real/a.txt": "by " + name + "\n", "link.txt": "-> real/a.txt", "dir": "-> real", "out.txt": "-> " + outside}
		if diff := cmp.Diff(want, contents(t, s, snap.Tree)); diff != "" {
			t.Errorf("through %s (-want +got):\n%s", name, diff)
		}
	}
	snap := h.snap(w, s, h.buffer("dir/fresh.txt", "fresh\n"))
	if got := contents(t, s, snap.Tree)["real/fresh.txt"]; got != "fresh\n" {
		t.Errorf("a new file through a linked folder holds %q", got)
	}
}

func TestABufferThatDoesNotBelongToTheTreeIsLeftAlone(t *testing.T) {
	h := newRepo(t, ".gitignore", "ignored/\n*.log\n", "a.txt", "a\n")
	h.write("ignored/x", "x")
	w, s := h.open(), h.store()
	first := h.snap(w, s)
	snap := h.snap(w, s,
		Document{Path: filepath.Join(filepath.Dir(h.dir), "elsewhere.txt"), Text: []byte("x"), Changed: true},
		h.buffer(".git/COMMIT_EDITMSG", "message"),
		h.buffer("ignored/x", "edited"),
		h.buffer("ignored/new", "new"),
		h.buffer("new.log", "new"),
	)
	if snap.Tree != first.Tree || snap.Unsaved != 0 || len(snap.Skipped) != 0 {
		t.Errorf("tree %s (want %s), unsaved %d, left out %v", snap.Tree, first.Tree, snap.Unsaved, snap.Skipped)
	}
}

func TestABufferWhereAFolderIsBreaksNothing(t *testing.T) {
	h := newRepo(t, "dir/a.txt", "a\n", "file", "f\n")
	w, s := h.open(), h.store()
	snap := h.snap(w, s, h.buffer("dir", "x"), h.buffer("file/inner", "x"), h.buffer("new", "n"), h.buffer("new/inner", "x"))
	want := map[string]string{"dir/a.txt": "a\n", "file": "f\n", "new": "n"}
	if diff := cmp.Diff(want, contents(t, s, snap.Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	left := map[string]tree.Reason{"dir": tree.NotSent, "file/inner": tree.NotSent, "new/inner": tree.NotSent}
	if diff := cmp.Diff(left, skippedPaths(snap)); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
}

func TestX6_ABufferOfASecretDoesNotGoUp(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n")
	h.write(".env", "KEY=1\n")
	w, s := h.open(), h.store()
	snap := h.snap(w, s, h.buffer(".env", "KEY=2\n"), h.buffer("sub/id_rsa", "PRIVATE"))
	if diff := cmp.Diff(map[string]string{"a.txt": "a\n"}, contents(t, s, snap.Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	want := map[string]tree.Reason{".env": tree.Secret, "sub/id_rsa": tree.Secret}
	if diff := cmp.Diff(want, skippedPaths(snap)); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
}
