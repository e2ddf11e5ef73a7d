package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"glue-lsp/sandbox"
)

func TestASystemErrorHasAKindAPathAndAnOperation(t *testing.T) {
	for errno, kind := range map[syscall.Errno]sandbox.Kind{
		syscall.ENOENT: sandbox.FileNotFound, syscall.EEXIST: sandbox.FileExists, syscall.ENOTDIR: sandbox.NotADirectory,
		syscall.EISDIR: sandbox.IsADirectory, syscall.ENOTEMPTY: sandbox.DirectoryNotEmpty, syscall.EACCES: sandbox.PermissionDenied,
		syscall.EPERM: sandbox.PermissionDenied, syscall.EROFS: sandbox.PermissionDenied, syscall.ENOSPC: sandbox.NoSpace,
		syscall.EDQUOT: sandbox.NoSpace, syscall.EFBIG: sandbox.TooLarge, syscall.EOVERFLOW: sandbox.TooLarge,
		syscall.ENAMETOOLONG: sandbox.InvalidParams, syscall.EINVAL: sandbox.InvalidParams, syscall.EBUSY: sandbox.Conflict,
		syscall.ETXTBSY: sandbox.Conflict, syscall.ENOSYS: sandbox.Unsupported, syscall.ENXIO: sandbox.Unsupported, syscall.EIO: sandbox.Unavailable,
	} {
		err := fileError("op", "/p", &fs.PathError{Op: "open", Path: "/p", Err: errno})
		var e *sandbox.Error
		if !errors.As(err, &e) || e.Kind != kind || e.Op != "op" || e.Path != "/p" || strings.Contains(e.Message, "/p") || !errors.Is(err, errno) {
			t.Errorf("%v: %+v", errno, err)
		}
	}
}

func TestPathsAreNormalisedByTheirText(t *testing.T) {
	f := &files{root: "/w", cwd: "/w/sub"}
	for in, want := range map[string]string{
		"": "/w/sub", ".": "/w/sub", "a": "/w/sub/a", "../a": "/w/a", "../../../../a": "/a", "/..": "/", "/a//b/./c/..": "/a/b", "~": "/w/sub/~", "~/x": "/w/sub/~/x", "a/": "/w/sub/a",
	} {
		if got, err := f.abs("op", in); got != want || err != nil {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.StringMatching(`[a./~\-\x{0}]{0,20}`).Draw(t, "path")
		got, err := f.abs("op", in)
		if err != nil {
			if !strings.Contains(in, "\x00") {
				t.Fatal(err)
			}
			return
		}
		if got[0] != '/' || strings.Contains(got, "//") || strings.Contains(got+"/", "/../") || strings.Contains(got+"/", "/./") || len(got) > 1 && strings.HasSuffix(got, "/") {
			t.Fatalf("%q: %q", in, got)
		}
	})
}

func TestWhatTheSandboxStandsOnIsGuarded(t *testing.T) {
	f := &files{root: "/home/w", cwd: "/home/w/sub"}
	for p, guarded := range map[string]bool{
		"/": true, "/home": true, "/home/w": true, "/home/w/sub": true, "/home/w/sub/x": false, "/home/w/s": false, "/home/w2": false, "/hom": false, "/tmp": false,
	} {
		if err := f.guard("delete", p); (err != nil) != guarded {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestAMoveBetweenFileSystemsCopiesAndThenRemoves(t *testing.T) {
	dir := t.TempDir()
	f := &files{root: "/none", cwd: dir, temp: ".glue-test-"}
	put(t, dir, "d/run", "x")
	put(t, dir, "d/sub/f", "y")
	if err := os.Chmod(filepath.Join(dir, "d/run"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := f.moveAcross("rename", dir+"/d", dir+"/e", false); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		got = append(got, strings.TrimPrefix(p, dir))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"", "/e", "/e/run", "/e/sub", "/e/sub/f"}, got); diff != "" {
		t.Error(diff)
	}
	if info, err := os.Stat(dir + "/e/run"); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	put(t, dir, "g", "1")
	if err := f.moveAcross("rename", dir+"/g", dir+"/e", true); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(dir + "/g"); err != nil {
		t.Error("a refused move took the source away")
	}
}

func TestWithoutTheSystemsHelpARenameStillReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a", "a")
	put(t, dir, "b", "b")
	put(t, dir, "d/x", "x")
	if err := moveUnlessThere(dir+"/a", dir+"/b"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file: %v", err)
	}
	if err := moveUnlessThere(dir+"/d", dir+"/b"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a directory: %v", err)
	}
	for from, to := range map[string]string{"a": "a2", "d": "d2"} {
		if err := moveUnlessThere(dir+"/"+from, dir+"/"+to); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(dir + "/" + from); err == nil {
			t.Errorf("%s is still there", from)
		}
	}
}

func TestManySimultaneousCreationsOfOneFileHaveOneWinner(t *testing.T) {
	c := inProcess(t, t.TempDir())
	var mu sync.Mutex
	won := 0
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			_, err := c.WriteFile(testContext(t), "one", strings.NewReader(fmt.Sprint(i)), sandbox.WriteOptions{Create: true})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if e := asError("", "", err); e.Kind != sandbox.FileExists {
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
	if won != 1 {
		t.Errorf("%d won", won)
	}
}

func TestChangesOfOnePathAreJoined(t *testing.T) {
	for _, x := range []struct{ before, after, want string }{
		{created, changed, created},
		{created, deleted, deleted},
		{created, created, created},
		{changed, changed, changed},
		{changed, deleted, deleted},
		{changed, created, changed},
		{deleted, created, changed},
		{deleted, changed, deleted},
	} {
		if got := join(x.before, x.after); got != x.want {
			t.Errorf("%s, %s: %s", x.before, x.after, got)
		}
	}
}

func TestAWatchThatIsNotReadKeepsALimitedNumberOfPaths(t *testing.T) {
	dir := t.TempDir()
	f := &files{root: dir, cwd: dir}
	w, err := f.openWatch(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	defer w.notify.Close()
	for i := range 3 * maxEvents {
		w.event(fmt.Sprintf("%s/%d", dir, i), fsnotify.Write)
	}
	if n := len(w.pending); n > maxEvents {
		t.Errorf("%d paths are kept", n)
	}
	whole := []sandbox.FileEvent{{Path: dir, Type: changed}}
	if diff := cmp.Diff(whole, w.take()); diff != "" {
		t.Error(diff)
	}
	w.event(dir+"/x", fsnotify.Write)
	if diff := cmp.Diff([]sandbox.FileEvent{{Path: dir + "/x", Type: changed}}, w.take()); diff != "" {
		t.Errorf("after it: %s", diff)
	}
	put(t, dir, "unseen/f", "x")
	w.overflow(fsnotify.ErrEventOverflow)
	if diff := cmp.Diff(whole, w.take()); diff != "" {
		t.Errorf("what the kernel lost: %s", diff)
	}
	if !w.dirs[dir+"/unseen"] {
		t.Error("a directory that was made meanwhile is not watched")
	}
}

func TestAWatchGoesOnAfterALostStream(t *testing.T) {
	c, a, link := reconnecting(t)
	ctx := testContext(t)
	var mu sync.Mutex
	got := map[sandbox.FileEvent]bool{}
	stop, err := c.Watch(ctx, a.root, true, func(batch []sandbox.FileEvent) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range batch {
			got[e] = true
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	saw := func(e sandbox.FileEvent) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return got[e] }
	}
	put(t, a.root, "before", "x")
	until(t, "a change before", saw(sandbox.FileEvent{Path: a.root + "/before", Type: created}))
	link.cut()
	until(t, "that something may have been missed", saw(sandbox.FileEvent{Path: a.root, Type: changed}))
	put(t, a.root, "after", "x")
	until(t, "a change after", saw(sandbox.FileEvent{Path: a.root + "/after", Type: created}))
}
