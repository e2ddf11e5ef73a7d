package workspace

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

func TestT7_NamesThatDifferOnlyInCaseAndLinksToNowhereAreCarried(t *testing.T) {
	h := newRepo(t, "Readme", "1", "README", "2", "dir/x", "3", "Dir/X", "4")
	h.link("nowhere", "no/where")
	h.link("loop", "loop")
	h.link("out", "/etc/passwd")
	h.write("readme", "5")
	w, s := h.open(), h.store()
	wantTree(t, s, h.snap(w, s), map[string]string{
		"Readme": "1", "README": "2", "readme": "5", "dir/x": "3", "Dir/X": "4", "nowhere": "-> no/where", "loop": "-> loop", "out": "-> /etc/passwd",
	})
}

func TestF5_NamesOfEveryKindGoUpAndDeepFoldersDo(t *testing.T) {
	h := newRepo(t)
	want := map[string]string{}
	for _, name := range []string{
		strings.Repeat("n", 255), strings.Repeat("ä", 127), "new\nline", "tab\ttab", `"quoted"`, `it's`, `back\slash`, "trailing space ", "-dash", "--help",
		"\xff\xfe", ":(glob)*", "*", "?", "[a]", "#hash", "!bang", " leading", "~", "a:b", "con", "e\u0301", "\u00e9", "\x01\x7f",
	} {
		want[name] = name
		h.write(name, name)
	}
	deep := strings.Repeat("d/", 1500) + "file"
	want[deep] = "deep"
	h.write(deep, "deep")
	w, s := h.open(), h.store()
	snap := h.snap(w, s)
	wantTree(t, s, snap, want)
	if len(snap.Skipped) > 0 {
		t.Errorf("left out: %v", snap.Skipped)
	}
}

func TestFoldersTooDeepForAnyPathAreNamedAndHoldNothingUp(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n")
	dir, err := os.OpenRoot(h.dir)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("d", 100)
	for range 60 { // 6000 bytes; PATH_MAX is 4096
		if err := dir.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
		inner, err := dir.OpenRoot(name)
		if err != nil {
			t.Fatal(err)
		}
		dir.Close() //nolint:errcheck // only a handle
		dir = inner
	}
	if err := dir.WriteFile("file", []byte("too deep"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir.Close() //nolint:errcheck // only a handle
	w, s := h.open(), h.store()
	snap := h.snap(w, s)
	wantTree(t, s, snap, map[string]string{"a.txt": "a\n"})
	if len(snap.Skipped) != 1 || snap.Skipped[0].Reason != tree.Unreadable || !strings.HasPrefix(snap.Skipped[0].Path, name) {
		t.Errorf("left out: %v", snap.Skipped)
	}
}

func TestSpecialFilesAreNamedWhereverTheyAre(t *testing.T) {
	for name, h := range map[string]*host{"repository": newRepo(t, ".gitignore", "ignored*\n"), "plain folder": newHost(t)} {
		t.Run(name, func(t *testing.T) {
			h.write(".gitignore", "ignored*\n")
			h.write("dir/file", "x")
			h.write("nested/file", "x")
			h.runIn(h.path("nested"), "init", "-q")
			for _, pipe := range []string{"dir/pipe", "nested/pipe", "ignored-pipe", "lone/pipe"} {
				h.mkdir(filepath.Dir(pipe))
				if err := syscall.Mkfifo(h.path(pipe), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			t.Chdir(h.dir) // the name of a socket has 107 bytes at most
			l, err := net.Listen("unix", "socket")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close() //nolint:errcheck // a test's
			w, s := h.open(), h.store()
			snap := h.snap(w, s)
			want := map[string]tree.Reason{"dir/pipe": tree.Special, "nested/pipe": tree.Special, "lone/pipe": tree.Special, "socket": tree.Special}
			if diff := cmp.Diff(want, skippedPaths(snap)); diff != "" {
				t.Errorf("left out (-want +got):\n%s", diff)
			}
			wantTree(t, s, snap, map[string]string{".gitignore": "ignored*\n", "dir/file": "x", "nested/file": "x"})
			if again := h.snap(w, s); len(again.Skipped) != len(want) {
				t.Errorf("the next snapshot left out %v", again.Skipped)
			}
		})
	}
}
