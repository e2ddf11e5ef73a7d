package agent

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// hostView is a host that follows what captures and writes tell it.
type hostView struct {
	token   string
	entries map[string]tree.Entry
}

func (v *hostView) list() []tree.Entry {
	out := []tree.Entry{}
	for _, p := range slices.Sorted(maps.Keys(v.entries)) {
		out = append(out, v.entries[p])
	}
	return out
}

func (v *hostView) apply(e tree.Entry) {
	if e.Exists() {
		v.entries[e.Path] = e
	} else {
		delete(v.entries, e.Path)
	}
}

var errLost = errors.New("the answer was lost")

// capture follows one capture; a lost one leaves the view as it was.
func (v *hostView) capture(ctx context.Context, c *Client, lose bool) error {
	var told []tree.Entry
	each := func(x sandbox.Captured) error { told = append(told, x.Entry); return nil }
	req := sandbox.CaptureRequest{Base: v.token, Format: tree.SHA1}
	res, err := c.Capture(ctx, req, each)
	if e := (*sandbox.Error)(nil); errors.As(err, &e) && e.Kind == sandbox.Stale {
		req.Entries, told = v.list(), nil
		res, err = c.Capture(ctx, req, each)
	}
	if err != nil || lose {
		return err
	}
	for _, e := range told {
		v.apply(e)
	}
	v.token = res.Token
	return nil
}

// write follows one write. A lost one may or may not have happened.
func (v *hostView) write(ctx context.Context, c *Client, path, content string, lose bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	want := tree.Entry{Path: path}
	if content != "" {
		want = tree.Entry{Path: path, Mode: tree.Regular, Hash: tree.HashBytes(tree.SHA1, []byte(content)), Size: int64(len(content))}
	}
	expect := v.entries[path]
	expect.Path = path
	writes := []sandbox.TreeWrite{{Expect: expect, New: want, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	}}}
	if lose {
		writes = append(writes, sandbox.TreeWrite{New: tree.Entry{Path: "never", Mode: tree.Regular}, Open: func() (io.ReadCloser, error) {
			cancel()
			return nil, errLost
		}})
	}
	results, err := c.WriteTree(ctx, writes)
	if err != nil {
		if lose && errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
	if results[0].Written {
		v.apply(results[0].Found)
	}
	return nil
}

func TestAHostThatFollowsCapturesAndWritesAlwaysEndsWithTheSandboxsTree(t *testing.T) {
	names := []string{"a", "b", "d/a", "d/b", "d/e/a", "c/x", "\xff"}
	rapid.Check(t, func(rt *rapid.T) {
		root, err := os.MkdirTemp(t.TempDir(), "law")
		if err != nil {
			rt.Fatal(err)
		}
		c := inProcess(t, root)
		ctx := testContext(t)
		v := &hostView{entries: map[string]tree.Entry{}}
		agreed := false
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			name := rapid.SampledFrom(names).Draw(rt, "name")
			content := rapid.SampledFrom([]string{"", "1", "2", "33"}).Draw(rt, "content")
			lose := rapid.IntRange(0, 3).Draw(rt, "lose") == 0
			var err error
			switch rapid.SampledFrom([]string{"inside", "inside", "capture", "write", "write"}).Draw(rt, "step") {
			case "inside":
				changeInside(root, name, content)
			case "capture":
				err = v.capture(ctx, c, lose)
				agreed = true
			case "write":
				// Before anything is agreed, a write that comes late is one like any other.
				err = v.write(ctx, c, name, content, lose && agreed)
			}
			if err != nil {
				rt.Fatal(err)
			}
		}
		if err := v.capture(ctx, c, false); err != nil {
			rt.Fatal(err)
		}
		got, err := tree.Scan(ctx, root, tree.ScanOptions{Format: tree.SHA1}, nil)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(got.Entries, v.list(), cmpEmpty); diff != "" {
			rt.Fatalf("-sandbox +host\n%s", diff)
		}
	})
}

var cmpEmpty = cmp.Transformer("empty", func(es []tree.Entry) map[string]tree.Entry {
	out := map[string]tree.Entry{}
	for _, e := range es {
		out[e.Path] = e
	}
	return out
})

// changeInside is what a command may do, as far as the names let it.
func changeInside(root, name, content string) {
	p := filepath.Join(root, name)
	_ = os.RemoveAll(p)
	if content != "" {
		_ = os.MkdirAll(filepath.Dir(p), 0o755)
		_ = os.WriteFile(p, []byte(content), 0o644)
	}
}

func TestAWriteWhoseAnswerWasLostMakesTheNextCaptureAskForTheHostsList(t *testing.T) {
	h := smallTree(t, tree.SHA1)
	root := t.TempDir()
	c := inProcess(t, root)
	if err := c.Populate(testContext(t), h.request()); err != nil {
		t.Fatal(err)
	}
	v := &hostView{token: "t0", entries: map[string]tree.Entry{}}
	for _, e := range h.entries {
		v.apply(e)
	}
	if err := v.write(testContext(t), c, "a.txt", "from the host", true); err != nil {
		t.Fatal(err)
	}
	_, err := c.Capture(testContext(t), sandbox.CaptureRequest{Base: "t0", Format: tree.SHA1}, nil)
	if e := asError("", "", err); e.Kind != sandbox.Stale {
		t.Fatalf("got %v", err)
	}
	if err := v.capture(testContext(t), c, false); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(scanned(t, root, tree.SHA1), v.list()); diff != "" {
		t.Errorf("-sandbox +host\n%s", diff)
	}
	if _, err := c.Capture(testContext(t), sandbox.CaptureRequest{Base: v.token, Format: tree.SHA1}, nil); err != nil {
		t.Errorf("after that: %v", err)
	}
}

func TestANewClientsFirstCaptureNeedsTheHostsList(t *testing.T) {
	root := t.TempDir()
	c := inProcess(t, root)
	_, err := c.Capture(testContext(t), sandbox.CaptureRequest{Base: "of another client", Format: tree.SHA1}, nil)
	if e := asError("", "", err); e.Kind != sandbox.Stale {
		t.Errorf("got %v", err)
	}
	res, err := c.Capture(testContext(t), sandbox.CaptureRequest{Base: "of another client", Entries: []tree.Entry{}, Format: tree.SHA1}, nil)
	if err != nil || res.Token != "of another client" {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestRulesDecideWhatStaysInside(t *testing.T) {
	r := rules{}
	r.setIgnore([]tree.IgnoreFile{{Content: []byte("*.log\nout/\nsecret*\n!keep.log\n")}, {Dir: "sub", Content: []byte("*.tmp\n")}})
	r.setInclude([]string{"secret.env", "/out/dist/*.js", "deep/**/x.log", "vendor/"})
	for _, x := range []struct {
		path  string
		isDir bool
		want  bool
	}{
		{"a.txt", false, false},
		{"a.log", false, true},
		{"sub/a.tmp", false, true},
		{"a.tmp", false, false},
		{"keep.log", false, false},
		{"secret.env", false, false},
		{"secret.txt", false, true},
		{"out", true, false},
		{"out/a.js", false, true},
		{"out/dist", true, false},
		{"out/dist/a.js", false, false},
		{"out/dist/a.c", false, true},
		{"out/other", true, true},
		{"deep/a/b/x.log", false, false},
		{"deep/a/b/y.log", false, true},
		{".glue-0123456789ab-0123456789ab", false, true},
		{"sub/.glue-0123456789ab-0123456789ab", true, true},
		{".glue-tmp-ABCDEFGHIJKLMNOPQRSTUVWXYZ", false, true},
		{".glue-0123456789ab-0123456789xy", false, false},
		{".glue-0123456789ab-0123456789ab.txt", false, false},
		{".glue-tmp-notes", false, false},
		{".glue-other-1", false, false},
	} {
		if got := r.ignored(x.path, x.isDir); got != x.want {
			t.Errorf("%s (folder %v): ignored %v", x.path, x.isDir, got)
		}
	}
	none := rules{}
	if none.ignored("anything", false) {
		t.Error("without rules something is ignored")
	}
}

func TestACaptureTakesNoContentThatIsNotWhatWasAnnounced(t *testing.T) {
	const text = "the content"
	good := tree.Entry{Path: "p", Mode: tree.Regular, Hash: tree.HashBytes(tree.SHA1, []byte(text)), Size: int64(len(text))}
	for _, x := range []struct {
		what    string
		content io.Reader
		ok      bool
	}{
		{"right", strings.NewReader(text), true},
		{"in single bytes", io.MultiReader(strings.NewReader("the "), strings.NewReader(""), strings.NewReader("content")), true},
		{"another", strings.NewReader("the contenT"), false},
		{"short", strings.NewReader("the"), false},
		{"nothing", strings.NewReader(""), false},
		{"long", strings.NewReader(text + "x"), false},
		{"broken", io.MultiReader(strings.NewReader("the"), brokenReader{}), false},
	} {
		got, err := io.ReadAll(newVerified(x.content, good, tree.SHA1))
		if x.ok != (err == nil) || x.ok && string(got) != text {
			t.Errorf("%s: %q, %v", x.what, got, err)
		}
		if !x.ok && len(got) == len(text) {
			t.Errorf("%s: all of it was handed out", x.what)
		}
		// Who reads exactly what was announced must not be fooled either.
		again := x.content
		if s, isString := again.(*strings.Reader); isString {
			_, _ = s.Seek(0, io.SeekStart)
			n, err := io.ReadFull(newVerified(s, good, tree.SHA1), make([]byte, len(text)))
			if x.ok != (err == nil) {
				t.Errorf("%s, read in full: %d, %v", x.what, n, err)
			}
		}
	}
	empty := tree.Entry{Path: "p", Mode: tree.Regular, Hash: tree.HashBytes(tree.SHA1, nil)}
	if got, err := io.ReadAll(newVerified(strings.NewReader(""), empty, tree.SHA1)); err != nil || len(got) != 0 {
		t.Errorf("an empty one: %v", err)
	}
	if _, err := io.ReadAll(newVerified(strings.NewReader(""), tree.Entry{Hash: "00"}, tree.SHA1)); err == nil {
		t.Error("an empty one with a wrong hash passes")
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestAWriteThatWasGivenUpComesToNothingOnceTheHostCapturedAgain(t *testing.T) {
	root := t.TempDir()
	tr := newTrees(root, "", nil)
	ctx := testContext(t)
	agree := func(view string) {
		t.Helper()
		_, err := tr.capture(ctx, captureWish{view: view, hasEntries: true, format: tree.SHA1}, func(tree.Entry, io.Reader) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	agree("first")
	agree("second")
	if _, err := tr.startWrite(ctx, "first", tree.SHA1); asError("", "", err).Kind != sandbox.Stale {
		t.Errorf("it may write: %v", err)
	}
	for view, known := range map[string]bool{"second": true, "of another client": false} {
		w, err := tr.startWrite(ctx, view, tree.SHA1)
		if err != nil {
			t.Fatal(err)
		}
		want := tree.Entry{Path: view, Mode: tree.Regular, Hash: tree.HashBytes(tree.SHA1, []byte("x")), Size: 1}
		res, err := w.write(tree.Entry{Path: view}, want, strings.NewReader("x"))
		w.close()
		if err != nil || !res.Written || tr.ledger.known[view].Exists() != known {
			t.Errorf("%s: %+v, %v; known: %v", view, res, err, tr.ledger.known)
		}
	}
}
