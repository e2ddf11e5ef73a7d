//go:build linux || darwin

package tree

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// later is a clock for which every file has been still for an hour.
func later() time.Time { return time.Now().Add(time.Hour) }

func newCacheAt(now func() time.Time) *Cache {
	c := NewCache()
	c.now = now
	return c
}

func write(tb testing.TB, root, path, content string) {
	tb.Helper()
	full := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		tb.Fatal(err)
	}
}

func scanWith(tb testing.TB, root string, c *Cache, paths ...string) []Entry {
	tb.Helper()
	r, err := Scan(context.Background(), root, ScanOptions{Format: SHA1, Paths: paths}, c)
	if err != nil {
		tb.Fatal(err)
	}
	if len(r.Skipped) > 0 {
		tb.Fatalf("skipped %v", r.Skipped)
	}
	return r.Entries
}

// mark replaces what the cache remembers of a path, to show later that a scan took
// it from there.
func mark(tb testing.TB, c *Cache, path string) string {
	tb.Helper()
	r := c.known.records[path]
	if r == nil {
		tb.Fatalf("%q is not in the cache", path)
	}
	r.hash = HashBytes(SHA1, []byte("from the cache"))
	return r.hash
}

func TestAKnownFileThatDidNotChangeIsNotReadAgain(t *testing.T) {
	root := t.TempDir()
	write(t, root, "dir/file", "content")
	if err := os.Symlink("dir", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	c := newCacheAt(later)
	first := scanWith(t, root, c)
	marked := []string{mark(t, c, "dir/file"), mark(t, c, "link")}
	for _, paths := range [][]string{nil, {"dir/file", "link"}} {
		got := scanWith(t, root, c, paths...)
		want := slices.Clone(first)
		want[0].Hash, want[1].Hash = marked[0], marked[1]
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("want (-), got (+):\n%s", diff)
		}
	}
}

func TestAChangedFileIsReadAgainWhateverStaysTheSame(t *testing.T) {
	root := t.TempDir()
	full := filepath.Join(root, "f")
	old := time.Now().Add(-time.Hour)
	for name, change := range map[string]func() error{
		"same size and time": func() error {
			return errors.Join(os.WriteFile(full, []byte("changed"), 0o644), os.Chtimes(full, old, old))
		},
		"another file moved here": func() error {
			other := filepath.Join(t.TempDir(), "g")
			return errors.Join(os.WriteFile(other, []byte("changed"), 0o644), os.Chtimes(other, old, old), os.Rename(other, full))
		},
		"longer": func() error { return os.WriteFile(full, []byte("changed more"), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			write(t, root, "f", "content")
			if err := os.Chtimes(full, old, old); err != nil {
				t.Fatal(err)
			}
			c := newCacheAt(later)
			scanWith(t, root, c)
			stale := mark(t, c, "f")
			if err := change(); err != nil {
				t.Fatal(err)
			}
			if got := scanWith(t, root, c); got[0].Hash == stale {
				t.Error("the scan took the old hash")
			}
		})
	}
}

func TestAFileTooYoungToTellAChangeIsReadAgain(t *testing.T) {
	root := t.TempDir()
	write(t, root, "f", "content")
	st, err := os.Stat(filepath.Join(root, "f"))
	if err != nil {
		t.Fatal(err)
	}
	for age, remembered := range map[time.Duration]bool{
		-time.Hour: false, 0: false, 5 * time.Millisecond: false, 19 * time.Millisecond: false,
		25 * time.Millisecond: true, time.Hour: true,
	} {
		// A new file's two times are one.
		c := newCacheAt(func() time.Time { return st.ModTime().Add(age) })
		scanWith(t, root, c)
		if got := c.known.records["f"] != nil; got != remembered {
			t.Errorf("read %v after the last change: remembered %v, want %v", age, got, remembered)
		}
	}
}

func TestTimesInWholeSecondsAreTrustedLater(t *testing.T) {
	second := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		mtime time.Time
		after time.Duration
		want  bool
	}{
		{second, 100 * time.Millisecond, false},
		{second, 2 * time.Second, false},
		{second, 3 * time.Second, true},
		{second.Add(1), 100 * time.Millisecond, true},
	} {
		if got := settled(c.mtime.UnixNano(), c.mtime.UnixNano(), c.mtime.Add(c.after)); got != c.want {
			t.Errorf("%v, %v later: settled %v, want %v", c.mtime, c.after, got, c.want)
		}
	}
}

func TestARewriteRightAfterAScanIsAlwaysSeen(t *testing.T) {
	root := t.TempDir()
	c := NewCache()
	for i := range 3000 {
		content := string(rune('a' + i%26))
		write(t, root, "f", content)
		if got, want := scanWith(t, root, c)[0].Hash, HashBytes(SHA1, []byte(content)); got != want {
			t.Fatalf("rewrite %d was not seen", i)
		}
	}
}

func TestWhatIsGoneIsForgottenByAScanOfTheTreeOnly(t *testing.T) {
	root := t.TempDir()
	paths := []string{"a", "b", "c", "d"}
	for _, p := range paths {
		write(t, root, p, p)
	}
	c := newCacheAt(later)
	scanWith(t, root, c)
	scanWith(t, root, c, "a")
	if n := c.size(); n != 4 {
		t.Errorf("after a look at one path the cache knows %d of 4", n)
	}
	for _, p := range paths[1:] {
		if err := os.Remove(filepath.Join(root, p)); err != nil {
			t.Fatal(err)
		}
	}
	scanWith(t, root, c, paths...)
	if n := c.size(); n != 1 {
		t.Errorf("after a list of the tree the cache knows %d, want 1", n)
	}
	write(t, root, "e", "e")
	if err := os.Remove(filepath.Join(root, "a")); err != nil {
		t.Fatal(err)
	}
	scanWith(t, root, c)
	if c.size() != 1 || c.known.records["e"] == nil {
		t.Errorf("after a walk the cache knows %d paths", c.size())
	}
}

func TestACacheForgetsHashesOfAnotherFormat(t *testing.T) {
	root := t.TempDir()
	write(t, root, "f", "x")
	c := newCacheAt(later)
	scanWith(t, root, c)
	r, err := Scan(context.Background(), root, ScanOptions{Format: SHA256}, c)
	if err != nil {
		t.Fatal(err)
	}
	if want := HashBytes(SHA256, []byte("x")); r.Entries[0].Hash != want {
		t.Errorf("hash %s, want %s", r.Entries[0].Hash, want)
	}
}

func TestPutRemembersOnlyWhatIsReallyThere(t *testing.T) {
	root := t.TempDir()
	write(t, root, "f", "new")
	e := Entry{Path: "f", Mode: Regular, Hash: HashBytes(SHA1, []byte("new")), Size: 3}
	c := newCacheAt(later)
	if err := c.Put(root, e); err != nil || c.known.records["f"] == nil {
		t.Errorf("Put of what is there: %v, known %v", err, c.known.records)
	}
	hash := mark(t, c, "f")
	if got := scanWith(t, root, c); got[0].Hash != hash {
		t.Error("a scan did not use what was put")
	}
	for name, wrong := range map[string]Entry{
		"content": {Path: "f", Mode: Regular, Hash: HashBytes(SHA1, []byte("old"))},
		"mode":    {Path: "f", Mode: Executable, Hash: e.Hash},
		"missing": {Path: "g", Mode: Regular, Hash: e.Hash},
		"parent":  {Path: "g/h", Mode: Regular, Hash: e.Hash},
	} {
		var changed *ChangedError
		if err := c.Put(root, wrong); !errors.As(err, &changed) || changed.Path != wrong.Path {
			t.Errorf("%s: %v, want a *ChangedError", name, err)
		}
		if c.known.records[wrong.Path] != nil {
			t.Errorf("%s: remembered", name)
		}
	}
	young := NewCache()
	write(t, root, "y", "new")
	if err := young.Put(root, Entry{Path: "y", Mode: Regular, Hash: e.Hash}); err != nil || young.size() != 0 {
		t.Errorf("Put of a file just written: %v, known %d", err, young.size())
	}
	if err := c.Put(root, Entry{Path: "f"}); err != nil || c.size() != 0 {
		t.Errorf("Put of nothing: %v, known %d", err, c.size())
	}
}

func TestASavedCacheComesBackAndDamageMakesItEmpty(t *testing.T) {
	root := t.TempDir()
	for _, p := range []string{"a", "dir/\xff\xfe", "x"} {
		write(t, root, p, p)
	}
	c := newCacheAt(later)
	scanWith(t, root, c)
	file := filepath.Join(t.TempDir(), "cache")
	if err := c.Save(file); err != nil {
		t.Fatal(err)
	}
	back, err := LoadCache(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plain(c), plain(back), cmp.AllowUnexported(record{}, stat{})); diff != "" {
		t.Errorf("saved (-), loaded (+):\n%s", diff)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for _, bad := range [][]byte{good[:i], flipped(good, i)} {
			if k, ok := decodeKnowledge(bad); ok {
				t.Fatalf("damage at byte %d gave %d records", i, len(k.records))
			}
		}
	}
	if err := os.WriteFile(file, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if back, err := LoadCache(file); err != nil || back.size() != 0 {
		t.Errorf("damaged file: %v, %d records", err, back.size())
	}
	if back, err := LoadCache(filepath.Join(root, "none")); err != nil || back.size() != 0 {
		t.Errorf("no file: %v, %d records", err, back.size())
	}
	if back, err := LoadCache(root); err == nil || back == nil {
		t.Errorf("a folder: %v", err)
	}
}

// plain gives a cache's records without what is not saved.
func plain(c *Cache) map[string]record {
	all := map[string]record{}
	for path, r := range c.known.records {
		all[path] = record{path: r.path, stat: r.stat, hash: r.hash}
	}
	return all
}

func flipped(b []byte, i int) []byte {
	b = slices.Clone(b)
	b[i] ^= 0x41
	return b
}

func TestSavingNothingNewWritesNothing(t *testing.T) {
	root := t.TempDir()
	write(t, root, "f", "x")
	c := newCacheAt(later)
	scanWith(t, root, c)
	file := filepath.Join(t.TempDir(), "cache")
	for range 2 {
		if err := c.Save(file); err != nil {
			t.Fatal(err)
		}
		scanWith(t, root, c)
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the second Save wrote the file again: %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(left) > 0 {
		t.Errorf("left beside the file: %v, %v", left, err)
	}
}

func FuzzDecodeCache(f *testing.F) {
	k := knowledge{format: SHA1, records: map[string]*record{"a/b": {path: "a/b", hash: HashBytes(SHA1, nil), stat: stat{1, 2, 3, 4, 5, 6}}}}
	f.Add(k.encode())
	f.Add([]byte(cacheMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		// The checksum keeps most inputs out, so that what is behind it is tried as well.
		for _, in := range [][]byte{data, sealed(data)} {
			if k, ok := decodeKnowledge(in); ok {
				if again, ok := decodeKnowledge(k.encode()); !ok || len(again.records) != len(k.records) {
					t.Fatalf("%d records became %d (%v)", len(k.records), len(again.records), ok)
				}
			}
		}
	})
}

// sealed gives data a checksum that fits.
func sealed(data []byte) []byte {
	sum := sha256.Sum256(data)
	return append(slices.Clone(data), sum[:]...)
}
