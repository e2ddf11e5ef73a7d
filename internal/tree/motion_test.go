//go:build linux || darwin

package tree_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"glue-lsp/internal/tree"
)

// inMotion calls change again and again while during runs.
func inMotion(t *testing.T, change func(i int) error, during func()) {
	t.Helper()
	stop := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := change(i); err != nil {
				t.Errorf("change %d: %v", i, err)
				return
			}
		}
	})
	defer all.Wait()
	defer close(stop)
	during()
}

func TestF21_AFileThatIsTruncatedAndRewrittenIsReadWholeOrNamedUnstable(t *testing.T) {
	root := t.TempDir()
	whole := []string{strings.Repeat("a", 3<<20), strings.Repeat("b", 1<<20), ""}
	known := map[string]bool{}
	file := filepath.Join(root, "moving")
	put(t, root, "moving", whole[0])
	put(t, root, "still", "x")
	inMotion(t, func(i int) error { return os.WriteFile(file, []byte(whole[i%2]), 0o644) }, func() {
		for range 30 {
			got := scan(t, root, tree.ScanOptions{}, nil)
			for _, e := range got.Entries {
				known[e.Path] = true
			}
			for _, s := range got.Skipped {
				if s.Path != "moving" || s.Reason != tree.Unstable {
					t.Errorf("skipped %+v", s)
				}
				known[s.Path] = true
			}
			if len(got.Entries)+len(got.Skipped) != 2 {
				t.Errorf("entries %v, skipped %v", pathsOf(got.Entries), got.Skipped)
			}
			content, err := tree.ReadContent(root, "moving", tree.SHA1)
			checkWhole(t, content, err)
		}
	})
	if !known["moving"] || !known["still"] {
		t.Errorf("seen: %v", known)
	}
}

// checkWhole accepts an unstable file, or a content whose hash is that of its bytes.
func checkWhole(t *testing.T, c *tree.Content, err error) {
	t.Helper()
	var unstable *tree.UnstableError
	if errors.As(err, &unstable) {
		if unstable.Path != "moving" || unstable.Attempts < 2 {
			t.Errorf("error %+v", unstable)
		}
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	b := readAll(t, c.Reader())
	if e := c.Entry(); int64(len(b)) != e.Size || tree.HashBytes(tree.SHA1, b) != e.Hash {
		t.Errorf("%d bytes with hash %s, the entry says %+v", len(b), tree.HashBytes(tree.SHA1, b), e)
	}
}

func TestF21_AFileReplacedByRenameIsAlwaysOneOfItsVersions(t *testing.T) {
	root, aside := t.TempDir(), t.TempDir()
	hashes := map[string]bool{}
	var versions []string
	for i := range 4 {
		v := strings.Repeat(string(rune('a'+i)), 40_000)
		versions = append(versions, v)
		hashes[tree.HashBytes(tree.SHA1, []byte(v))] = true
	}
	put(t, root, "moving", versions[0])
	cache := tree.NewCache()
	inMotion(t, func(i int) error {
		next := filepath.Join(aside, "next")
		if err := os.WriteFile(next, []byte(versions[i%4]), 0o644); err != nil {
			return err
		}
		return os.Rename(next, filepath.Join(root, "moving"))
	}, func() {
		for range 200 {
			for _, e := range scan(t, root, tree.ScanOptions{}, cache).Entries {
				if !hashes[e.Hash] {
					t.Fatalf("entry %+v is no version of the file", e)
				}
			}
		}
	})
}

func TestX12_AFolderSwappedForALinkIsNeverFollowedByAScan(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	put(t, root, "dir/deep/file", "inside")
	put(t, outside, "deep/file", "a secret from outside")
	inside := tree.HashBytes(tree.SHA1, []byte("inside"))
	dir, aside := filepath.Join(root, "dir"), filepath.Join(root, "dir.away")
	inMotion(t, func(i int) error { return swapForLink(dir, aside, outside) }, func() {
		for i := range 300 {
			opts := tree.ScanOptions{}
			if i%2 == 0 {
				opts.Paths = []string{"dir/deep/file", "dir.away/deep/file"}
			}
			for _, e := range scan(t, root, opts, nil).Entries {
				if e.Mode != tree.Symlink && e.Hash != inside {
					t.Fatalf("entry %+v was read outside the root", e)
				}
			}
		}
	})
}

// swapForLink puts a link to target in dir's place for a moment.
func swapForLink(dir, aside, target string) error {
	return errors.Join(
		os.Rename(dir, aside),
		os.Symlink(target, dir),
		os.Remove(dir),
		os.Rename(aside, dir),
	)
}
