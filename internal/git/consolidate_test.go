package git

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

func TestManySmallPacksBecomeOneAndLoseNothing(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	blobs, err := r.Blobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer blobs.Close()
	var trees, want []string
	base := makeTree(t, r, map[string]string{"a": "0", "d/b": "1"})
	for n := range manyPacks + 4 {
		content := fmt.Sprintf("version %d\n", n)
		base = update(t, r, base, write("a", content, tree.Regular))
		trees = append(trees, base)
		want = append(want, content)
		if n == manyPacks/2 {
			want = append(want, "in a pack of two")
			update(t, r, base, write("x", "in a pack of two", tree.Regular))
		}
	}
	packs, err := filepath.Glob(filepath.Join(r.Dir, "objects/pack/*.pack"))
	if err != nil || len(packs) > 10 {
		t.Errorf("there are %d packs (%v)", len(packs), err)
	}
	for _, content := range want {
		got, err := blobs.Get(tree.HashBytes(tree.SHA1, []byte(content)), -1)
		if err != nil || string(got) != content {
			t.Errorf("%q is read as %q, %v", content, got, err)
		}
	}
	for _, id := range trees { // which nothing refers to
		if entries, err := r.ReadTree(t.Context(), id); err != nil || len(entries) != 2 {
			t.Errorf("the tree %s has %d files, %v", id, len(entries), err)
		}
	}
	if out, err := r.Output(t.Context(), "fsck", "--full", "--strict", "--no-dangling"); err != nil || len(out) > 0 {
		t.Errorf("fsck: %s %v", out, err)
	}
}

func TestPacksStayWhileACommandRuns(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	r.packs.RLock()
	for n := range manyPacks + 1 {
		update(t, r, "", write("a", fmt.Sprint(n), tree.Regular))
	}
	before, err := r.smallPacks()
	r.packs.RUnlock()
	if err != nil || len(before) < manyPacks {
		t.Fatalf("there are %d packs (%v)", len(before), err)
	}
	known := objects(t, r)
	if err := r.consolidate(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := r.smallPacks()
	if err != nil || len(after) != 1 || slices.Contains(before, after[0]) {
		t.Errorf("there are %q (%v)", after, err)
	}
	if d := cmp.Diff(known, objects(t, r)); d != "" {
		t.Error(d)
	}
}
