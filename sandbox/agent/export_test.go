package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// captureToFile runs the command that a host's stand-in runs inside.
func captureToFile(t testing.TB, a *agentProcess, end bool) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "export")
	args := CaptureArgs{Socket: a.socket, To: to, EndCommands: end}
	out, err := exec.Command(self, args.List()...).CombinedOutput()
	var status *exec.ExitError
	if err != nil && !(errors.As(err, &status) && status.ExitCode() == StatusLeftInside) {
		t.Fatalf("agent capture: %v\n%s", err, out)
	}
	return to
}

func TestU4_AnExportThatLeavesFilesInsideIsToldFromAWholeOne(t *testing.T) {
	h := smallTree(t, tree.SHA1)
	c, a := connect(t, nil)
	if err := c.Populate(testContext(t), h.request()); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	status := func() int {
		args := CaptureArgs{Socket: a.socket, To: filepath.Join(t.TempDir(), "export")}
		cmd := exec.Command(self, args.List()...)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		e := openExport(t, args.To)
		res, err := e.Capture(testContext(t), sandbox.CaptureRequest{Base: "t0"}, func(sandbox.Captured) error { return nil })
		t.Logf("%s%+v %v", out, res.Skipped, err)
		return cmd.ProcessState.ExitCode()
	}
	if err := c.Prepare(testContext(t), sandbox.CaptureRequest{MaxFileSize: 1 << 10, MaxBytes: 4 << 10}); err != nil {
		t.Fatal(err)
	}
	put(t, a.root, "small", "fits")
	if got := status(); got != 0 {
		t.Errorf("status %d of one that holds all", got)
	}
	put(t, a.root, "large", strings.Repeat("x", 2<<10))
	if got := status(); got != StatusLeftInside {
		t.Errorf("status %d of one that leaves a file out", got)
	}
	if err := os.Remove(filepath.Join(a.root, "large")); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		put(t, a.root, fmt.Sprintf("part%d", i), strings.Repeat(fmt.Sprint(i), 1<<10))
	}
	if got := status(); got != StatusLeftInside {
		t.Errorf("status %d where all together is too much", got)
	}
}

// exported reads an export as capture reads an answer.
func exported(t testing.TB, e *Export, req sandbox.CaptureRequest) map[string]string {
	t.Helper()
	out := map[string]string{}
	_, err := e.Capture(testContext(t), req, shownInto(t, out))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func shownInto(t testing.TB, out map[string]string) func(sandbox.Captured) error {
	return func(c sandbox.Captured) error {
		if !c.Entry.Exists() {
			out[c.Entry.Path] = "deleted"
			return nil
		}
		b, err := io.ReadAll(c.Content)
		if err != nil {
			t.Error(err)
		}
		out[c.Entry.Path] = fmt.Sprintf("%o %s", c.Entry.Mode, b)
		return nil
	}
}

func openExport(t testing.TB, name string) *Export {
	t.Helper()
	e, err := OpenExport(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func TestS6_AnExportHoldsWhatTheHostDoesNotHaveYet(t *testing.T) {
	for _, format := range []tree.Format{tree.SHA1, tree.SHA256} {
		t.Run(string(format), func(t *testing.T) {
			h := smallTree(t, format)
			c, a := connect(t, nil)
			if err := c.Populate(testContext(t), h.request()); err != nil {
				t.Fatal(err)
			}
			put(t, a.root, "captured", "before")
			_, first := capture(t, c, sandbox.CaptureRequest{Base: "t0", Format: format})
			_, known := capture(t, c, sandbox.CaptureRequest{Base: first.Token, Format: format})
			put(t, a.root, "new\xff", "\x00\xff\r\n")
			put(t, a.root, "captured", "after")
			if err := os.Remove(filepath.Join(a.root, "d/crlf.txt")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("nowhere", filepath.Join(a.root, "dangling")); err != nil {
				t.Fatal(err)
			}
			run(t, c, sandbox.ExecRequest{Command: "git add -A && git -c user.name=i -c user.email=i@x commit -qm inside"})
			e := openExport(t, captureToFile(t, a, false))
			want := map[string]string{
				"new\xff": "100644 \x00\xff\r\n", "captured": "100644 after", "d/crlf.txt": "deleted", "dangling": "120000 nowhere",
			}
			if diff := cmp.Diff(want, exported(t, e, sandbox.CaptureRequest{Base: known.Token, Format: format})); diff != "" {
				t.Error(diff)
			}
			commits, err := e.Commits(testContext(t), sandbox.CommitsRequest{Known: []string{h.commit}})
			if err != nil {
				t.Fatal(err)
			}
			bundle, err := io.ReadAll(commits.Bundle)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "b")
			if err := os.WriteFile(file, bundle, 0o600); err != nil {
				t.Fatal(err)
			}
			hostGit(t, h.dir, "", "fetch", "-q", file, "HEAD")
			if got := hostGit(t, h.dir, "", "log", "-1", "--format=%s", commits.Head); got != "inside" {
				t.Errorf("the last commit is %q", got)
			}
			if int64(len(bundle)) > 1<<20 {
				t.Errorf("the bundle has %d bytes: it holds what the host has", len(bundle))
			}
		})
	}
}

func TestS6_WhatTheHostMayNotHaveReceivedIsInTheExportToo(t *testing.T) {
	h := smallTree(t, tree.SHA1)
	c, a := connect(t, nil)
	if err := c.Populate(testContext(t), h.request()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(a.root, "a.txt"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, a.root, "a.txt", "told")
	put(t, a.root, "told", "and kept")
	put(t, a.root, "short", "lived")
	_, told := capture(t, c, sandbox.CaptureRequest{Base: "t0", Format: tree.SHA1})
	put(t, a.root, "a.txt", string(before))
	if err := os.Remove(filepath.Join(a.root, "short")); err != nil {
		t.Fatal(err)
	}
	put(t, a.root, "later", "l")
	e := openExport(t, captureToFile(t, a, false))
	want := map[string]string{"a.txt": "100644 " + string(before), "told": "100644 and kept", "short": "deleted", "later": "100644 l"}
	for _, base := range []string{"t0", told.Token} {
		if diff := cmp.Diff(want, exported(t, e, sandbox.CaptureRequest{Base: base, Format: tree.SHA1})); diff != "" {
			t.Errorf("to a host that holds %s:\n%s", base, diff)
		}
	}
	_, err = e.Capture(testContext(t), sandbox.CaptureRequest{Base: "another", Format: tree.SHA1}, nil)
	if se := asError("", "", err); se.Kind != sandbox.Stale {
		t.Errorf("a host that holds another tree is told %v", err)
	}
	if diff := cmp.Diff(map[string]string{"told": "100644 and kept", "later": "100644 l"},
		exported(t, e, sandbox.CaptureRequest{Base: "another", Entries: h.entries, Format: tree.SHA1}), ignoreKeys("short")); diff != "" {
		t.Errorf("to a host that says what it holds:\n%s", diff)
	}
	// An export is no answer: what host and agent know of each other is as it was.
	live, _ := capture(t, c, sandbox.CaptureRequest{Base: told.Token, Format: tree.SHA1})
	if diff := cmp.Diff(map[string]string{"a.txt": "100644 " + string(before), "short": "deleted", "later": "100644 l"}, live); diff != "" {
		t.Errorf("the next capture:\n%s", diff)
	}
}

// ignoreKeys leaves keys of a map out of a comparison.
func ignoreKeys(keys ...string) cmp.Option {
	return cmp.FilterPath(func(p cmp.Path) bool {
		i, ok := p.Last().(cmp.MapIndex)
		return ok && strings.Contains(strings.Join(keys, " "), i.Key().String())
	}, cmp.Ignore())
}

func TestX6_AnExportGoesByTheHostsRulesAndBounds(t *testing.T) {
	h := smallTree(t, tree.SHA1)
	c, a := connect(t, nil)
	if err := c.Populate(testContext(t), h.request()); err != nil {
		t.Fatal(err)
	}
	err := c.Prepare(testContext(t), sandbox.CaptureRequest{
		Ignore: []tree.IgnoreFile{{Content: []byte("*.log\n")}}, Include: []string{"kept.log"}, MaxFileSize: 1000, MaxBytes: 50,
	})
	if err != nil {
		t.Fatal(err)
	}
	put(t, a.root, ".gitignore", "*\n") // says nothing about what goes to the host
	put(t, a.root, "x.log", "ignored")
	put(t, a.root, "kept.log", "included")
	put(t, a.root, "large", strings.Repeat("l", 1001))
	put(t, a.root, "medium", strings.Repeat("m", 60))
	got := map[string]string{}
	res, err := openExport(t, captureToFile(t, a, false)).Capture(testContext(t), sandbox.CaptureRequest{Base: "t0"}, shownInto(t, got))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{".gitignore": "100644 *\n", "kept.log": "100644 included"}, got); diff != "" {
		t.Error(diff)
	}
	left := map[string]tree.Reason{}
	for _, s := range res.Skipped {
		left[s.Path] = s.Reason
	}
	if diff := cmp.Diff(map[string]tree.Reason{"large": tree.TooLarge, "medium": tree.TooMuch}, left); diff != "" {
		t.Error(diff)
	}
}

func TestF27_AnExportCanEndTheCommandsFirst(t *testing.T) {
	c, a := connect(t, nil)
	p, err := c.Start(testContext(t), sandbox.ExecRequest{ID: "x", Command: "trap 'echo last > last; exit' TERM; setsid sleep 300 & while :; do sleep 0.05; done"})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the trap is set", func() bool {
		return strings.Contains(run(t, c, sandbox.ExecRequest{Command: "cat /proc/*/cmdline 2>/dev/null | tr '\\0' ' '"}).out, "sleep 300")
	})
	e := openExport(t, captureToFile(t, a, true))
	if got := exported(t, e, sandbox.CaptureRequest{Entries: []tree.Entry{}}); got["last"] != "100644 last\n" {
		t.Errorf("what the command wrote when it was ended: %q", got)
	}
	if w := wait(t, p); !w.Canceled {
		t.Errorf("the command ended with %+v", w.ExecResult)
	}
}

func TestX7_AnExportThatWasCutOrChangedIsNotTaken(t *testing.T) {
	h := smallTree(t, tree.SHA1)
	c, a := connect(t, nil)
	if err := c.Populate(testContext(t), h.request()); err != nil {
		t.Fatal(err)
	}
	put(t, a.root, "marked", "the content that is changed")
	whole, err := os.ReadFile(captureToFile(t, a, false))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "export")
	try := func(b []byte) error {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return readExport(file)
	}
	if err := try(whole); err != nil {
		t.Fatalf("as it was: %v", err)
	}
	for n := range whole {
		if err := try(whole[:n]); err == nil {
			t.Fatalf("cut after %d of %d bytes it is taken", n, len(whole))
		}
	}
	if err := try(append(bytes.Clone(whole), 0)); err == nil {
		t.Error("with a byte more it is taken")
	}
	changed := bytes.Replace(whole, []byte("is changed"), []byte("is Changed"), 1)
	if err := try(changed); err == nil || !strings.Contains(err.Error(), "hash") {
		t.Errorf("with another content it gives %v", err)
	}
	if _, err := OpenExport(filepath.Join(t.TempDir(), "none")); asError("", "", err).Kind != sandbox.FileNotFound {
		t.Errorf("where there is none: %v", err)
	}
}

// readExport reads all of a file.
func readExport(name string) error {
	e, err := OpenExport(name)
	if err != nil {
		return err
	}
	defer e.Close()
	none := []tree.Entry{}
	if _, err := e.Capture(context.Background(), sandbox.CaptureRequest{Entries: none, MaxBytes: 1 << 30}, func(c sandbox.Captured) error {
		if c.Content == nil {
			return nil
		}
		_, err := io.Copy(io.Discard, c.Content)
		return err
	}); err != nil {
		return err
	}
	commits, err := e.Commits(context.Background(), sandbox.CommitsRequest{})
	if err != nil || commits.Bundle == nil {
		return err
	}
	defer commits.Bundle.Close()
	_, err = io.Copy(io.Discard, commits.Bundle)
	return err
}

func FuzzOpenExport(f *testing.F) {
	frame := func(parts ...[]byte) (out []byte) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	message := func(text string) []byte { return appendFrame(nil, frameMessage, nil, []byte(text)) }
	end := appendFrame(nil, frameEnd, nil, nil)
	head := message(`{"version":1,"instance":"i","format":"sha1","token":"t"}`)
	f.Add(frame(head, message(`{"done":{"token":"t","changed":0}}`), end, message(`{"fingerprint":"f"}`), end))
	f.Add(frame(head, message(`{"entry":{"path":"a","mode":33188,"hash":"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391","size":0}}`), message(`{"done":{"token":"t","changed":1}}`), end, message(`{"bundle":true}`), appendFrame(nil, frameData, nil, []byte("b")), end))
	f.Add(frame(head, end, end))
	f.Fuzz(func(t *testing.T, b []byte) {
		file := filepath.Join(t.TempDir(), "export")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = readExport(file) // it may be anything, but not a panic or a gigabyte
	})
}
