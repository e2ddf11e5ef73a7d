package workspace

import (
	"context"
	"path/filepath"
	"testing"

	"glue-lsp/internal/tree"
)

func TestATreesIdIsTheOneThatGitGivesIt(t *testing.T) {
	h := newHost(t)
	for _, format := range []tree.Format{tree.SHA1, tree.SHA256} {
		s, err := CreateStore(context.Background(), h.git, filepath.Join(t.TempDir(), "o.git"), format)
		if err != nil {
			t.Fatal(err)
		}
		for _, files := range []map[string]string{
			{},
			{"a": "1"},
			{"a": "*1", "b": "-> a"},
			// Git sorts a folder as if its name ended in a slash.
			{"a/x": "1", "a.b": "2", "a-b": "3", "a0": "4"},
			{"d/e/f/g": "1", "d/e/h": "2", "d.e": "3", "\xff": "4", "d/\n": "5"},
		} {
			var entries []tree.Entry
			for path, text := range files {
				entries = append(entries, fileOf(format, path, text).entry)
			}
			id, err := treeID(format, sorted(entries))
			if want := makeTree(t, s, files); err != nil || id != want {
				t.Errorf("%s %v: %s (%v), git says %s", format, files, id, err, want)
			}
		}
	}
}
