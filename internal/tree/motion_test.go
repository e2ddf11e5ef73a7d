//go:build linux || darwin

package tree_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"glue-lsp/internal/tree"
)

// inMotion calls look again and again until change, which another goroutine calls
// all the time, was called so many times.
func inMotion(t *testing.T, changes int64, change func(i int64) error, look func()) {
	t.Helper()
	var (
		done atomic.Int64
		all  sync.WaitGroup
	)
	stop := make(chan struct{})
	all.Go(func() {
		for i := int64(0); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := change(i); err != nil {
				t.Errorf("change %d: %v", i, err)
				done.Store(changes)
				return
			}
			done.Add(1)
		}
	})
	defer all.Wait()
	defer close(stop)
	for done.Load() < changes && !t.Failed() {
		look()
	}
}

func TestF21_AFileThatIsTruncatedAndRewrittenIsReadWholeOrNamedUnstable(t *testing.T) {
	root := t.TempDir()
	whole := []string{strings.Repeat("a", 3<<20), strings.Repeat("b", 1<<20)}
	file := filepath.Join(root, "moving")
	put(t, root, "moving", whole[0])
	put(t, root, "still", "x")
	inMotion(t, 200, func(i int64) error { return os.WriteFile(file, []byte(whole[i%2]), 0o644) }, func() {
		got := scan(t, root, tree.ScanOptions{}, nil)
		for _, s := range got.Skipped {
			if s.Path != "moving" || s.Reason != tree.Unstable {
				t.Errorf("skipped %+v", s)
			}
		}
		if len(got.Entries)+len(got.Skipped) != 2 {
			t.Errorf("entries %v, skipped %v", pathsOf(got.Entries), got.Skipped)
		}
		content, err := tree.ReadContent(root, "moving", tree.SHA1)
		checkWhole(t, content, err)
	})
}

// checkWhole accepts an unstable file, or a content whose hash is that of its bytes.
func checkWhole(t *testing.T, c *tree.Content, err error) {
	t.Helper()
	var unstable *tree.UnstableError
	if errors.As(err, &unstable) {
		if unstable.Path != "moving" {
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
	inMotion(t, 500, func(i int64) error {
		next := filepath.Join(aside, "next")
		if err := os.WriteFile(next, []byte(versions[i%4]), 0o644); err != nil {
			return err
		}
		return os.Rename(next, filepath.Join(root, "moving"))
	}, func() {
		for _, e := range scan(t, root, tree.ScanOptions{}, cache).Entries {
			if !hashes[e.Hash] {
				t.Errorf("entry %+v is no version of the file", e)
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
	inMotion(t, 2000, func(int64) error { return swapForLink(dir, aside, outside) }, func() {
		for _, paths := range [][]string{nil, {"dir/deep/file", "dir.away/deep/file"}} {
			for _, e := range scan(t, root, tree.ScanOptions{Paths: paths}, nil).Entries {
				if e.Mode != tree.Symlink && e.Hash != inside {
					t.Errorf("entry %+v was read outside the root", e)
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
