package workspace

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"glue-lsp/internal/tree"
)

func fileEntry(path, content string) tree.Entry {
	return tree.Entry{Path: path, Mode: tree.Regular, Hash: tree.HashBytes(tree.SHA1, []byte(content)), Size: int64(len(content))}
}

func linkEntry(path, target string) tree.Entry {
	e := fileEntry(path, target)
	e.Mode = tree.Symlink
	return e
}

// writeOf is a write of a file that has content was ("" for none) and gets want.
func writeOf(path, was, want string) Write {
	w := Write{Path: path, Expect: tree.Entry{Path: path}, New: fileEntry(path, want), Open: openBytes([]byte(want))}
	if was != "" {
		w.Expect = fileEntry(path, was)
	}
	return w
}

func removalOf(path, was string) Write {
	return Write{Path: path, Expect: fileEntry(path, was), New: tree.Entry{Path: path}}
}

// failure applies writes that must fail and gives the error.
func (h *host) failure(w *Workspace, writes ...Write) *Error {
	h.Helper()
	err := w.Apply(context.Background(), writes)
	var failed *Error
	if !errors.As(err, &failed) {
		h.Fatalf("Apply gave %v, want an *Error", err)
	}
	var report *ApplyError
	if !errors.As(err, &report) {
		h.Fatalf("%v holds no report by file", err)
	}
	return failed
}

func TestApplyWritesRemovesAndReplaces(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n", "gone/x.txt", "x\n", "f", "file\n", "d/y.txt", "y\n", "same.txt", "s\n")
	h.link("l", "a.txt")
	w := h.open()
	if err := os.Chmod(h.path("a.txt"), 0o640); err != nil {
		t.Fatal(err)
	}
	executable := writeOf("new/run.sh", "", "echo\n")
	executable.New.Mode = tree.Executable
	err := w.Apply(context.Background(), []Write{
		writeOf("a.txt", "a\n", "A\n"), removalOf("gone/x.txt", "x\n"), executable,
		writeOf("f/inner.txt", "", "in\n"), removalOf("f", "file\n"), writeOf("d", "", "file now\n"), removalOf("d/y.txt", "y\n"),
		{Path: "l", Expect: linkEntry("l", "a.txt"), New: linkEntry("l", "same.txt"), Open: openBytes([]byte("same.txt"))},
		writeOf("same.txt", "s\n", "s\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := h.store()
	same(t, "host", map[string]string{
		"a.txt": "A\n", "new/run.sh": "*echo\n", "f/inner.txt": "in\n", "d": "file now\n", "l": "-> same.txt", "same.txt": "s\n",
	}, contents(t, s, h.snap(w, s).Tree))
	if info, err := os.Stat(h.path("a.txt")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("a.txt: %v %v, want its permissions kept", info.Mode(), err)
	}
	if _, err := os.Stat(h.path("gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the emptied folder is still there (%v)", err)
	}
}

func TestX4_PathsThatLeaveTheRootAreRefusedAndNothingIsWritten(t *testing.T) {
	h := newRepo(t, "ok.txt", "ok\n")
	outside := filepath.Join(filepath.Dir(h.dir), "outside")
	if err := os.Mkdir(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	h.link("out", outside)
	h.link("x", ".git")
	w := h.open()
	before, beforeOut := fingerprint(t, h.dir), fingerprint(t, outside)
	for _, path := range []string{
		"../escape", "a/../../escape", "/etc/glue-escape", "", ".", "..", "a//b", "a/", "nul\x00", ".git/config", ".git", ".GIT/hooks/x", ".git /x", ".git./x",
		"git~1/config", "GIT~1/x", ".g\u200cit/config", "sub/.git/config", ".git::$INDEX_ALLOCATION/x", "out/file", "x/config", "x/hooks/post-checkout", "ok.txt/below",
	} {
		failed := h.failure(w, writeOf("fine.txt", "", "fine\n"), writeOf(path, "", "evil\n"))
		if failed.Kind != "permissionDenied" {
			t.Errorf("%q: kind %s (%v)", path, failed.Kind, failed)
		}
		var checked *Error
		if err := w.Check(path, tree.Entry{}); !errors.As(err, &checked) || checked.Kind != "permissionDenied" {
			t.Errorf("%q passes the check: %v", path, err)
		}
	}
	same(t, "host", before, fingerprint(t, h.dir))
	same(t, "outside", beforeOut, fingerprint(t, outside))
}

func TestX12_ALinkSwappedInDuringApplyIsNotFollowed(t *testing.T) {
	h := newRepo(t, "d/a.txt", "a\n", "d/b.txt", "b\n", "z.txt", "z\n")
	outside := filepath.Join(filepath.Dir(h.dir), "outside")
	if err := os.MkdirAll(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "b.txt"), []byte("b\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w := h.open()
	swap := writeOf("d/b.txt", "b\n", "evil\n")
	swap.Open = func() (io.ReadCloser, error) { // all checks have passed by now
		if err := os.Rename(h.path("d"), h.path("moved")); err != nil {
			t.Error(err)
		}
		h.link("d", outside)
		return io.NopCloser(strings.NewReader("evil\n")), nil
	}
	h.failure(w, writeOf("a-first.txt", "", "first\n"), swap)
	b, err := os.ReadFile(filepath.Join(outside, "b.txt"))
	if err != nil || string(b) != "b\n" {
		t.Errorf("outside/b.txt is %q (%v)", b, err)
	}
	if _, err := os.Stat(h.path("a-first.txt")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("what was written before was not undone")
	}
}

func TestX12_ARacingLinkIsNeverFollowed(t *testing.T) {
	h := newRepo(t, "d/keep.txt", "k\n")
	outside := filepath.Join(filepath.Dir(h.dir), "outside")
	if err := os.MkdirAll(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	w := h.open()
	stop := make(chan struct{})
	var racer sync.WaitGroup
	racer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.Rename(h.path("d"), h.path("aside"))
			_ = os.Symlink(outside, h.path("d"))
			_ = os.Remove(h.path("d"))
			_ = os.Rename(h.path("aside"), h.path("d"))
		}
	})
	for range 300 {
		_ = w.Apply(context.Background(), []Write{writeOf("d/new.txt", "", "new\n")})
		_ = os.Remove(h.path("d/new.txt"))
		_ = os.Remove(h.path("aside/new.txt"))
	}
	close(stop)
	racer.Wait()
	left, err := os.ReadDir(outside)
	if err != nil || len(left) > 0 {
		t.Errorf("outside holds %v (%v)", left, err)
	}
}

func TestAFailureUndoesEverythingAndIsReportedByFile(t *testing.T) {
	for _, c := range []struct {
		name, kind string
		fail       func(h *host) Write
	}{
		{"the disk is full", "noSpace", func(*host) Write {
			w := writeOf("z.txt", "", "zzz\n")
			w.Open = func() (io.ReadCloser, error) { return io.NopCloser(&failingReader{syscall.ENOSPC}), nil }
			return w
		}},
		{"its content is gone", "unavailable", func(*host) Write {
			w := writeOf("z.txt", "", "zzz\n")
			w.Open = func() (io.ReadCloser, error) { return nil, errors.New("gone") }
			return w
		}},
		{"its content is not what was planned", "unavailable", func(*host) Write {
			w := writeOf("z.txt", "", "zzz\n")
			w.Open = openBytes([]byte("other\n"))
			return w
		}},
		{"a large content is not what was planned", "unavailable", func(*host) Write {
			large := strings.Repeat("0123456789abcdef", maxWhole/16+1)
			w := writeOf("z.txt", "", large)
			w.Open = openBytes([]byte(large + "x"))
			return w
		}},
		{"it appeared meanwhile", "conflict", func(h *host) Write {
			w := writeOf("z.txt", "", "zzz\n")
			w.Open = func() (io.ReadCloser, error) {
				h.write("z.txt", "somebody's\n")
				return io.NopCloser(strings.NewReader("zzz\n")), nil
			}
			return w
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newRepo(t, "a.txt", "a\n", "b/x.txt", "x\n", "secret", "s\n", "f", "file\n")
			h.link("l", "a.txt")
			if err := os.Chmod(h.path("secret"), 0o600); err != nil {
				t.Fatal(err)
			}
			w := h.open()
			before := fingerprint(t, h.dir)
			failed := h.failure(w, writeOf("a.txt", "a\n", "A\n"), removalOf("b/x.txt", "x\n"), removalOf("secret", "s\n"), writeOf("new/deep/n.txt", "", "n\n"),
				Write{Path: "l", Expect: linkEntry("l", "a.txt"), New: fileEntry("l", "no link\n"), Open: openBytes([]byte("no link\n"))},
				removalOf("f", "file\n"), writeOf("f/in.txt", "", "in\n"), c.fail(h))
			if failed.Kind != c.kind || !strings.Contains(failed.Error(), "z.txt") {
				t.Errorf("kind %s, want %s: %v", failed.Kind, c.kind, failed)
			}
			var report *ApplyError
			if errors.As(failed, &report); len(report.Lost) > 0 || len(report.Undone) == 0 {
				t.Errorf("report: %+v", report)
			}
			after := fingerprint(t, h.dir)
			if c.kind == "conflict" {
				delete(after, "z.txt")
			}
			same(t, "host", before, after)
		})
	}
}

type failingReader struct{ err error }

func (r *failingReader) Read([]byte) (int, error) { return 0, r.err }

func TestUndoLeavesAloneWhatSomebodyChangedSince(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n", "b.txt", "b\n")
	w := h.open()
	last := writeOf("c.txt", "", "c\n")
	last.Open = func() (io.ReadCloser, error) {
		h.write("a.txt", "typed meanwhile\n")
		return nil, errors.New("cut off")
	}
	failed := h.failure(w, writeOf("a.txt", "a\n", "A\n"), writeOf("b.txt", "b\n", "B\n"), last)
	var report *ApplyError
	errors.As(failed, &report)
	same(t, "undone", []string{"b.txt"}, report.Undone)
	if report.Lost["a.txt"] == nil || !strings.Contains(failed.Error(), "a.txt") {
		t.Errorf("that a.txt could not be put back is not said: %v", failed)
	}
	b, _ := os.ReadFile(h.path("a.txt"))
	same(t, "a.txt", "typed meanwhile\n", string(b))
}

func TestAChangedFileRefusesTheWholeApplyBeforeAnythingIsTouched(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n", "b.txt", "b\n")
	w := h.open()
	h.write("b.txt", "changed\n")
	before := fingerprint(t, h.dir)
	failed := h.failure(w, writeOf("a.txt", "a\n", "A\n"), writeOf("b.txt", "b\n", "B\n"), writeOf("a.txt", "a\n", "twice\n"))
	same(t, "kind", "unavailable", failed.Kind)
	var report *ApplyError
	errors.As(failed, &report)
	same(t, "files", []string{"a.txt", "b.txt"}, sortedKeys(report.Failed))
	same(t, "host", before, fingerprint(t, h.dir))
}

func TestACancelledApplyIsUndone(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n", "b.txt", "b\n")
	w := h.open()
	before := fingerprint(t, h.dir)
	ctx, cancel := context.WithCancel(context.Background())
	first := writeOf("a.txt", "a\n", "A\n")
	first.Open = func() (io.ReadCloser, error) {
		cancel()
		return io.NopCloser(strings.NewReader("A\n")), nil
	}
	if err := w.Apply(ctx, []Write{first, writeOf("b.txt", "b\n", "B\n")}); !errors.Is(err, context.Canceled) {
		t.Errorf("Apply gave %v", err)
	}
	same(t, "host", before, fingerprint(t, h.dir))
}

func TestCheckSaysWhatIsInTheWay(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n")
	w := h.open()
	if err := w.Check("a.txt", fileEntry("a.txt", "a\n")); err != nil {
		t.Error(err)
	}
	if err := w.Check("new/b.txt", tree.Entry{}); err != nil {
		t.Error(err)
	}
	var failed *Error
	if err := w.Check("a.txt", tree.Entry{}); !errors.As(err, &failed) || failed.Kind != "conflict" || failed.Hint == "" {
		t.Errorf("a file that is there counts as missing: %v", err)
	}
}
