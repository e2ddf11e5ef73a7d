//go:build linux || darwin

package tree_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

func openRoot(tb testing.TB, dir string) *tree.Root {
	tb.Helper()
	r, err := tree.OpenRoot(dir)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = r.Close() })
	return r
}

func lookup(tb testing.TB, r *tree.Root, path string) tree.Entry {
	tb.Helper()
	e, err := r.Lookup(path, tree.SHA1)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func entry(path string, mode tree.Mode, content string) tree.Entry {
	return tree.Entry{Path: path, Mode: mode, Hash: tree.HashBytes(tree.SHA1, []byte(content)), Size: int64(len(content))}
}

// writeFile replaces whatever is at the path now.
func writeFile(tb testing.TB, r *tree.Root, path string, mode tree.Mode, content string) {
	tb.Helper()
	if err := r.Write(path, lookup(tb, r, path), mode, strings.NewReader(content), tree.SHA1); err != nil {
		tb.Fatal(err)
	}
}

// names lists everything below dir, folders with a slash.
func names(tb testing.TB, dir string) []string {
	tb.Helper()
	all := []string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name := strings.TrimPrefix(path, dir+"/")
		if d.IsDir() {
			name += "/"
		}
		all = append(all, name)
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func wantNames(tb testing.TB, dir string, want ...string) {
	tb.Helper()
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, names(tb, dir)); diff != "" {
		tb.Errorf("in the folder: want (-), got (+):\n%s", diff)
	}
}

func perm(tb testing.TB, root, path string) os.FileMode {
	tb.Helper()
	st, err := os.Lstat(filepath.Join(root, path))
	if err != nil {
		tb.Fatal(err)
	}
	return st.Mode().Perm()
}

func TestWhatIsWrittenIsThereByteForByte(t *testing.T) {
	root := t.TempDir()
	r := openRoot(t, root)
	for _, e := range []struct {
		path    string
		mode    tree.Mode
		content string
	}{
		{"new", tree.Regular, "a\r\n\x00\xff"},
		{"deep/er/script", tree.Executable, "#!/bin/sh\n"},
		{"deep/link", tree.Symlink, "../no/where"},
		{"\xff\xfe/\xf0", tree.Regular, "not UTF-8"},
		{"large", tree.Regular, strings.Repeat("0123456789", 300_000)},
		{"empty", tree.Regular, ""},
		{"-rf", tree.Regular, "a dash"},
		{"new", tree.Regular, "replaced"},
		{"new", tree.Executable, "replaced"},
		{"new", tree.Symlink, "deep"},
		{"deep/link", tree.Regular, "a file now"},
	} {
		writeFile(t, r, e.path, e.mode, e.content)
		want := entry(e.path, e.mode, e.content)
		if got := lookup(t, r, e.path); got != want {
			t.Errorf("wrote %+v, found %+v", want, got)
		}
	}
	wantNames(t, root, "-rf", "deep/", "deep/er/", "deep/er/script", "deep/link", "empty", "large", "new", "\xff\xfe/", "\xff\xfe/\xf0")
	if err := r.Sync(); err != nil {
		t.Error(err)
	}
}

func TestPermissionsAreKeptButTheExecutableBitIsTheModes(t *testing.T) {
	old := syscall.Umask(0o027)
	t.Cleanup(func() { syscall.Umask(old) })
	root := t.TempDir()
	r := openRoot(t, root)
	for _, c := range []struct {
		before os.FileMode // 0: no file
		mode   tree.Mode
		after  os.FileMode
	}{
		{0, tree.Regular, 0o640},
		{0, tree.Executable, 0o750},
		{0o600, tree.Regular, 0o600},
		{0o600, tree.Executable, 0o700},
		{0o664, tree.Executable, 0o775},
		{0o775, tree.Regular, 0o664},
		{0o711, tree.Executable, 0o700},
		{0o444, tree.Regular, 0o444},
	} {
		if c.before != 0 {
			put(t, root, "f", "before")
			chmod(t, root, "f", c.before)
		}
		writeFile(t, r, "f", c.mode, "after")
		if got := perm(t, root, "f"); got != c.after {
			t.Errorf("%o written as %o became %o, want %o", c.before, c.mode, got, c.after)
		}
		if err := os.Remove(filepath.Join(root, "f")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFileThatIsNotWhatTheCallerSawIsLeftAlone(t *testing.T) {
	root := t.TempDir()
	r := openRoot(t, root)
	put(t, root, "f", "theirs")
	symlink(t, root, "f", "l")
	mkdir(t, root, "d")
	before := names(t, root)
	for _, c := range []struct {
		path   string
		expect tree.Entry
		found  tree.Entry
	}{
		{"f", entry("f", tree.Regular, "seen"), entry("f", tree.Regular, "theirs")},
		{"f", entry("f", tree.Executable, "theirs"), entry("f", tree.Regular, "theirs")},
		{"f", tree.Entry{}, entry("f", tree.Regular, "theirs")},
		{"l", entry("l", tree.Regular, "theirs"), entry("l", tree.Symlink, "f")},
		{"d", entry("d", tree.Regular, "seen"), tree.Entry{Path: "d"}},
		{"gone", entry("gone", tree.Regular, "seen"), tree.Entry{Path: "gone"}},
		{"gone/deep", entry("gone/deep", tree.Regular, "seen"), tree.Entry{Path: "gone/deep"}},
	} {
		for name, err := range map[string]error{
			"write":  r.Write(c.path, c.expect, tree.Regular, strings.NewReader("ours"), tree.SHA1),
			"remove": r.Remove(c.path, c.expect, tree.SHA1),
		} {
			var changed *tree.ChangedError
			if !errors.As(err, &changed) || changed.Path != c.path || changed.Found != c.found {
				t.Errorf("%s %s: %v, want a *ChangedError with %+v", name, c.path, err, c.found)
			}
		}
	}
	wantNames(t, root, before...)
	if got := read(t, root, "f"); got != "theirs" {
		t.Errorf("f holds %q", got)
	}
}

// meddler calls do before its content is read, which is after the first look.
func meddler(content string, do func()) io.Reader {
	return io.MultiReader(readerFunc(func([]byte) (int, error) { do(); return 0, io.EOF }), strings.NewReader(content))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func TestAChangeMadeWhileWritingIsNotLost(t *testing.T) {
	for _, c := range []struct {
		name   string
		before string // "": nothing
		meddle func(root string) error
		after  string
	}{
		{"edited", "seen", func(root string) error { return os.WriteFile(root+"/f", []byte("edited"), 0o644) }, "edited"},
		{"replaced", "seen", func(root string) error {
			return errors.Join(os.WriteFile(root+"/g", []byte("edited"), 0o644), os.Rename(root+"/g", root+"/f"))
		}, "edited"},
		{"made executable", "seen", func(root string) error { return os.Chmod(root+"/f", 0o755) }, "seen"},
		{"appeared", "", func(root string) error { return os.WriteFile(root+"/f", []byte("edited"), 0o644) }, "edited"},
		{"turned into a link", "seen", func(root string) error {
			return errors.Join(os.Remove(root+"/f"), os.WriteFile(root+"/f.bak", []byte("aside"), 0o644), os.Symlink("f.bak", root+"/f"))
		}, "aside"},
		{"turned into a folder", "seen", func(root string) error {
			return errors.Join(os.Remove(root+"/f"), os.Mkdir(root+"/f", 0o755), os.WriteFile(root+"/f/x", []byte("edited"), 0o644))
		}, ""},
		{"removed", "seen", func(root string) error { return os.Remove(root + "/f") }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			r := openRoot(t, root)
			if c.before != "" {
				put(t, root, "f", c.before)
			}
			err := r.Write("f", lookup(t, r, "f"), tree.Regular, meddler("ours", func() {
				if err := c.meddle(root); err != nil {
					t.Error(err)
				}
			}), tree.SHA1)
			var changed *tree.ChangedError
			if !errors.As(err, &changed) {
				t.Errorf("error %v, want a *ChangedError", err)
			}
			if c.after != "" && read(t, root, "f") != c.after {
				t.Errorf("f holds %q, want %q", read(t, root, "f"), c.after)
			}
			for _, name := range names(t, root) {
				if tree.IsTemporary(name) {
					t.Errorf("%s was left", name)
				}
			}
		})
	}
}

// A person saves a new version, by rename as editors do, at any moment of a write or
// a removal that expects the old one: the new version is there afterwards.
func TestAVersionSavedAtAnyMomentSurvives(t *testing.T) {
	root, aside := t.TempDir(), t.TempDir()
	r := openRoot(t, root)
	old := entry("f", tree.Regular, "old")
	for i := range 400 {
		put(t, root, "f", "old")
		put(t, aside, "next", "saved")
		saved := make(chan error)
		go func() { saved <- os.Rename(aside+"/next", root+"/f") }()
		var err error
		if i%2 == 0 {
			err = r.Write("f", old, tree.Regular, strings.NewReader("ours"), tree.SHA1)
		} else {
			err = r.Remove("f", old, tree.SHA1)
		}
		var changed *tree.ChangedError
		if err != nil && !errors.As(err, &changed) {
			t.Fatal(err)
		}
		if err := <-saved; err != nil {
			t.Fatal(err)
		}
		if got := read(t, root, "f"); got != "saved" {
			t.Fatalf("round %d (error %v): the file holds %q", i, err, got)
		}
	}
	wantNames(t, root, "f")
}

func TestAFailedWriteLeavesNothingBehind(t *testing.T) {
	root := t.TempDir()
	r := openRoot(t, root)
	put(t, root, "kept/f", "x")
	boom := errors.New("boom")
	failing := func() io.Reader { return io.MultiReader(strings.NewReader("some"), iotest.ErrReader(boom)) }
	for _, mode := range []tree.Mode{tree.Regular, tree.Symlink} {
		if err := r.Write("new/deep/f", tree.Entry{}, mode, failing(), tree.SHA1); !errors.Is(err, boom) {
			t.Errorf("new: %v", err)
		}
		if err := r.Write("kept/f", lookup(t, r, "kept/f"), mode, failing(), tree.SHA1); !errors.Is(err, boom) {
			t.Errorf("replaced: %v", err)
		}
	}
	for _, target := range []string{"", "a\x00b", strings.Repeat("x", 5000)} {
		if err := r.Write("new/link", tree.Entry{}, tree.Symlink, strings.NewReader(target), tree.SHA1); err == nil {
			t.Errorf("a link to %.10q was made", target)
		}
	}
	for _, mode := range []tree.Mode{tree.Absent, 0o160000, 0o040000, 0o100600} {
		if err := r.Write("new/f", tree.Entry{}, mode, strings.NewReader(""), tree.SHA1); err == nil {
			t.Errorf("mode %o was taken", mode)
		}
	}
	wantNames(t, root, "kept/", "kept/f")
	if got := read(t, root, "kept/f"); got != "x" {
		t.Errorf("kept/f holds %q", got)
	}
}

func TestAFileTakesThePlaceOfAnEmptyFolderOnly(t *testing.T) {
	root := t.TempDir()
	r := openRoot(t, root)
	mkdir(t, root, "empty")
	put(t, root, "full/x", "x")
	writeFile(t, r, "empty", tree.Regular, "a file")
	err := r.Write("full", tree.Entry{}, tree.Regular, strings.NewReader("a file"), tree.SHA1)
	var refused *tree.PathError
	if !errors.As(err, &refused) || !strings.Contains(refused.Why, "not empty") {
		t.Errorf("error %v", err)
	}
	wantNames(t, root, "empty", "full/", "full/x")
}

func TestRemoveTakesParentsThatBecameEmptyButNeverTheRoot(t *testing.T) {
	root := t.TempDir()
	r := openRoot(t, root)
	putAll(t, root, "a/b/c/f", "a/g", "only/f", "top")
	symlink(t, root, "no/where", "a/b/link")
	for _, step := range []struct {
		path string
		left []string
	}{
		{"a/b/c/f", []string{"a/", "a/b/", "a/b/link", "a/g", "only/", "only/f", "top"}},
		{"a/b/link", []string{"a/", "a/g", "only/", "only/f", "top"}},
		{"only/f", []string{"a/", "a/g", "top"}},
		{"a/g", []string{"top"}},
		{"top", nil},
	} {
		if err := r.Remove(step.path, lookup(t, r, step.path), tree.SHA1); err != nil {
			t.Fatal(err)
		}
		wantNames(t, root, step.left...)
	}
	for _, gone := range []string{"top", "a/b/c/f"} {
		if err := r.Remove(gone, tree.Entry{}, tree.SHA1); err != nil {
			t.Errorf("removing what is gone: %v", err)
		}
	}
	if err := r.Sync(); err != nil {
		t.Errorf("sync after everything is gone: %v", err)
	}
	if _, err := os.Stat(root); err != nil {
		t.Error(err)
	}
}

func TestWritesAndRemovalsInOneFolderDoNotUpsetEachOther(t *testing.T) {
	root := t.TempDir()
	r := openRoot(t, root)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			path := fmt.Sprintf("dir/deep/%d", worker)
			want := entry(path, tree.Regular, "x")
			for i := range 150 {
				if err := r.Write(path, tree.Entry{}, tree.Regular, strings.NewReader("x"), tree.SHA1); err != nil {
					t.Errorf("round %d: %v", i, err)
				}
				if err := r.Remove(path, want, tree.SHA1); err != nil {
					t.Errorf("round %d: %v", i, err)
				}
			}
		})
	}
	all.Wait()
	wantNames(t, root)
}

func TestAClosedRootSaysSo(t *testing.T) {
	r := openRoot(t, t.TempDir())
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	_, lookupErr := r.Lookup("f", tree.SHA1)
	for name, err := range map[string]error{
		"lookup": lookupErr,
		"write":  r.Write("f", tree.Entry{}, tree.Regular, strings.NewReader(""), tree.SHA1),
		"remove": r.Remove("f", entry("f", tree.Regular, ""), tree.SHA1),
		"sync":   r.Sync(),
		"close":  r.Close(),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
