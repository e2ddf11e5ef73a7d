package workspace

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"glue-lsp/internal/git"
)

func TestAPlainCloneOfTheBundleHasTheTreeCheckedOut(t *testing.T) {
	h := newRepo(t, "a.txt", "committed\n")
	h.write("a.txt", "uncommitted\r\n")
	for name, past := range map[string]bool{"alone": false, "with a history": true} {
		t.Run(name, func(t *testing.T) {
			ws := h.open()
			store := h.store()
			snap := h.snap(ws, store)
			var history git.History
			if past {
				var err error
				if history, _, err = store.TakeHistory(t.Context(), ws.Source(), git.WholeHistory, 0); err != nil || history.Head == "" {
					t.Fatal(history, err)
				}
			}
			dir := t.TempDir()
			file := filepath.Join(dir, "glue-bootstrap.bundle")
			if _, err := store.Base(t.Context(), snap, history, "main", file, 0); err != nil {
				t.Fatal(err)
			}
			if said := h.runIn(dir, "clone", "-q", file, "taken"); said != "" {
				t.Errorf("git clone said %q", said)
			}
			if b, err := os.ReadFile(filepath.Join(dir, "taken", "a.txt")); err != nil || string(b) != "uncommitted\r\n" {
				t.Errorf("the clone has %q, %v", b, err)
			}
		})
	}
}

func TestTheHeadOfABundleIsFoundHoweverItComes(t *testing.T) {
	for in, want := range map[string]string{
		"# v2 git bundle\nabc refs/x\n\nPACK":                        "# v2 git bundle\nid HEAD\nabc refs/x\n\nPACK",
		"# v3 git bundle\n@object-format=sha256\nabc refs/x\n\nPACK": "# v3 git bundle\n@object-format=sha256\nid HEAD\nabc refs/x\n\nPACK",
		"# v2 git bundle\n-abc taken for granted\nabc refs/x\n\nPA":  "# v2 git bundle\n-abc taken for granted\nid HEAD\nabc refs/x\n\nPA",
		"# v2 git bundle\n\nPACK":                                    "# v2 git bundle\nid HEAD\n\nPACK",
		strings.Repeat("no bundle", 1000):                            strings.Repeat("no bundle", 1000),
	} {
		var whole, bytewise bytes.Buffer
		if _, err := (&headWriter{to: &whole, commit: "id"}).Write([]byte(in)); err != nil {
			t.Fatal(err)
		}
		w := &headWriter{to: &bytewise, commit: "id"}
		for _, c := range []byte(in) {
			if _, err := w.Write([]byte{c}); err != nil {
				t.Fatal(err)
			}
		}
		if whole.String() != want || bytewise.String() != want {
			t.Errorf("%.40q became %.60q, and byte by byte %.60q", in, whole.String(), bytewise.String())
		}
	}
	w := &headWriter{to: brokenWriter{}, commit: "id"}
	if _, err := w.Write([]byte("# v2 git bundle\nabc refs/x\n\n")); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("a failed write gave %v", err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, iotest.ErrTimeout }

func TestAPartOfTheTreeOverItsCapIsTooLarge(t *testing.T) {
	h := newRepo(t)
	large := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(large)
	h.write("large.bin", string(large))
	ws := h.open()
	store := h.store()
	snap := h.snap(ws, store)
	base, err := store.Commit(t.Context(), snap, "main")
	if err != nil {
		t.Fatal(err)
	}
	below, err := store.Below(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range snap.Entries {
		if !slices.Contains(below, e.Hash) {
			t.Errorf("the content of %s is not among what the tree holds", e.Path)
		}
	}
	file := filepath.Join(t.TempDir(), "part.bundle")
	var tooLarge *TooLargeError
	if _, err := store.Part(t.Context(), base, "main", below, file, 100<<10); !errors.As(err, &tooLarge) || tooLarge.Max != 100<<10 {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("half of it is there")
	}
	part, err := store.Part(t.Context(), base, "main", below, file, 2<<20)
	if err != nil || part.BundleSize < 1<<20 {
		t.Errorf("got %+v, %v", part, err)
	}
}
