package workspace

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// openAnew takes the first snapshot of a new store, as a session's open does, and gives
// the lengths of the objects in its bundle.
func openAnew(t *testing.T, g *git.Git, dir, cache string) (snap *Snapshot, s *Store, lengths []int64) {
	t.Helper()
	ctx := context.Background()
	w, err := Open(ctx, g, dir, Options{CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	s, err = CreateStore(ctx, g, filepath.Join(t.TempDir(), "o.git"), tree.SHA1)
	if err != nil {
		t.Fatal(err)
	}
	if snap, err = w.Snapshot(ctx, s, nil); err != nil {
		t.Fatal(err)
	}
	base, err := s.Base(ctx, snap, git.History{}, "main", filepath.Join(t.TempDir(), "bundle"), 0)
	if err != nil {
		t.Fatal(err)
	}
	return snap, s, base.Lengths
}

func TestF23_ASecondOpenIsWholeWhateverBecomesOfTheCache(t *testing.T) {
	h := newHost(t)
	dir, cache := t.TempDir(), t.TempDir()
	for i, name := range []string{"a", "b", "c"} {
		var content strings.Builder // of which more than half stays when it is compressed
		for rnd := rand.New(rand.NewPCG(1, uint64(i))); content.Len() < 5000; {
			fmt.Fprintf(&content, "%x\n", rnd.Uint64())
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	first, _, lengths := openAnew(t, h.git, dir, cache)
	packs, err := filepath.Glob(filepath.Join(cache, "packs", "sha1", "*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatalf("the cache holds %q, %v", packs, err)
	}
	second, s, again := openAnew(t, h.git, dir, cache)
	if second.Tree != first.Tree || len(again) != len(lengths) {
		t.Errorf("the second open has the tree %s and %d objects, want %s and %d", second.Tree, len(again), first.Tree, len(lengths))
	}
	linked, err := os.Stat(filepath.Join(s.Repo.Dir, "objects", "pack", filepath.Base(packs[0])))
	if err != nil {
		t.Fatalf("the pack was not taken: %v", err)
	}
	if cached, err := os.Stat(packs[0]); err != nil || !os.SameFile(linked, cached) {
		t.Errorf("the pack was written again (%v)", err)
	}
	if err := os.RemoveAll(cache); err != nil {
		t.Fatal(err)
	}
	if out, err := s.Repo.Output(context.Background(), "fsck", "--full", "--strict"); err != nil {
		t.Errorf("without the cache: %v %s", err, out)
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	if third, _, _ := openAnew(t, h.git, dir, cache); third.Tree != first.Tree {
		t.Errorf("without the cache the tree is %s", third.Tree)
	}
}

func TestForgottenPacksAreNotTaken(t *testing.T) {
	h := newHost(t)
	dir, cache := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("a"), 0o644); err != nil {
		t.Fatal(err)
	}
	openAnew(t, h.git, dir, cache)
	w, err := Open(context.Background(), h.git, dir, Options{CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	w.ForgetPacks()
	if left, err := filepath.Glob(filepath.Join(cache, "packs", "*", "*")); err != nil || len(left) > 0 {
		t.Errorf("left %q, %v", left, err)
	}
}
