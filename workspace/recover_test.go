package workspace

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

// applyAndDie is the word by which the test program becomes a server that is killed in
// the middle of Apply.
const applyAndDie = "apply-and-die"

// largeBefore and largeAfter are more than is read before it is written.
var (
	largeBefore = strings.Repeat("before\n", maxWhole/6)
	largeAfter  = strings.Repeat("AFTER\n", maxWhole/5)
)

// interrupted is a tree before and after one Apply.
func interrupted() (before, after map[string]string, writes []Write) {
	before = map[string]string{
		"a.txt": "a\n", "dir/b.txt": "b\n", "gone/c.txt": "c\n", "file": "f\n", "large": largeBefore, "tool.sh": "tool\n", "other.txt": "o\n",
	}
	after = map[string]string{
		"a.txt": "A\n", "dir/b.txt": "B\n", "file/inner": "in\n", "large": largeAfter, "tool.sh": "TOOL\n", "other.txt": "o\n",
		"new/deep/d.txt": "d\n", "link": "-> a.txt",
	}
	link := Write{Path: "link", Expect: tree.Entry{Path: "link"}, New: linkEntry("link", "a.txt"), Open: openBytes([]byte("a.txt"))}
	writes = []Write{
		writeOf("a.txt", "a\n", "A\n"), writeOf("dir/b.txt", "b\n", "B\n"), removalOf("gone/c.txt", "c\n"),
		removalOf("file", "f\n"), writeOf("file/inner", "", "in\n"), writeOf("large", largeBefore, largeAfter),
		writeOf("new/deep/d.txt", "", "d\n"), link, writeOf("tool.sh", "tool\n", "TOOL\n"),
	}
	return before, after, writes
}

// dying counts what is read of new contents and kills the process at one point.
type dying struct{ left int }

func (d *dying) tick() {
	if d.left--; d.left == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // it comes at once
	}
}

// dyingReader ticks at its first byte and then every 3 MiB.
type dyingReader struct {
	io.ReadCloser
	d    *dying
	left int
}

func (r *dyingReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		r.d.tick()
		r.left = 3 << 20
	}
	n, err := r.ReadCloser.Read(p)
	r.left -= n
	return n, err
}

// applyInChild is that server: its arguments are the tree, the state folder and the
// point of its death, 0 for none.
func applyInChild(args []string) {
	point, err := strconv.Atoi(args[2])
	if err != nil {
		panic(err)
	}
	w, err := Open(context.Background(), nil, args[0], Options{CacheDir: filepath.Join(args[1], "cache"), StateDir: args[1]})
	if err != nil {
		panic(err)
	}
	_, _, writes := interrupted()
	d := &dying{left: point}
	for i, write := range writes {
		if write.Open == nil {
			continue
		}
		writes[i].Open = func() (io.ReadCloser, error) {
			d.tick()
			r, err := write.Open()
			return &dyingReader{ReadCloser: r, d: d}, err
		}
	}
	fmt.Println("ready")
	if err := w.Apply(context.Background(), writes); err != nil {
		panic(err)
	}
	fmt.Println("done")
}

// onDisk reads a folder: contents, links as "-> target".
func onDisk(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(name)
			got[rel] = "-> " + target
			return err
		}
		b, err := os.ReadFile(name)
		got[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// brief keeps a failure's message short.
func brief(files map[string]string) map[string]string {
	out := map[string]string{}
	for name, content := range files {
		if len(content) > 20 {
			content = fmt.Sprintf("%.10q and more, %s", content, tree.HashBytes(tree.SHA1, []byte(content)))
		}
		out[name] = content
	}
	return out
}

type patient struct {
	*testing.T
	dir, state    string
	before, after map[string]string
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	p := &patient{T: t, dir: t.TempDir(), state: t.TempDir()}
	p.before, p.after, _ = interrupted()
	for name, content := range p.before {
		file := filepath.Join(p.dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(p.dir, "gone", "c.txt"), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// child starts the server that dies at a point.
func (p *patient) child(point int) (cmd *exec.Cmd, out *bytes.Buffer) {
	p.Helper()
	self, err := os.Executable()
	if err != nil {
		p.Fatal(err)
	}
	cmd, out = exec.Command(self, applyAndDie, p.dir, p.state, strconv.Itoa(point)), &bytes.Buffer{}
	cmd.Stderr = out
	return cmd, out
}

func (p *patient) open() *Workspace {
	p.Helper()
	w, err := Open(context.Background(), nil, p.dir, Options{CacheDir: filepath.Join(p.state, "cache"), StateDir: p.state})
	if err != nil {
		p.Fatal(err)
	}
	return w
}

// records are what is left of journals.
func (p *patient) records() []string {
	p.Helper()
	names, err := filepath.Glob(filepath.Join(p.state, "apply-*"))
	if err != nil {
		p.Fatal(err)
	}
	return names
}

func TestS6_AKilledApplyLeavesNothingHalfDone(t *testing.T) {
	p := newPatient(t)
	deaths := 0
	for point := 1; ; point++ {
		cmd, out := p.child(point)
		err := cmd.Run()
		if err == nil {
			break
		}
		if state := cmd.ProcessState.Sys().(syscall.WaitStatus); !state.Signaled() || state.Signal() != syscall.SIGKILL {
			t.Fatalf("point %d: %v\n%s", point, err, out)
		}
		deaths++
		w := p.open()
		if d := cmp.Diff(brief(p.before), brief(onDisk(t, p.dir))); d != "" {
			t.Fatalf("killed at point %d (-before +now):\n%s", point, d)
		}
		if left := p.records(); len(left) > 0 {
			t.Fatalf("point %d: left behind: %q", point, left)
		}
		if notes := w.Notes(); len(notes) > 1 {
			t.Errorf("point %d: %q", point, notes)
		}
		if info, err := os.Stat(filepath.Join(p.dir, "gone", "c.txt")); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("point %d: a private file came back as %v, %v", point, info.Mode(), err)
		}
	}
	if deaths < 15 {
		t.Errorf("only %d points", deaths)
	}
	if d := cmp.Diff(brief(p.after), brief(onDisk(t, p.dir))); d != "" {
		t.Errorf("in the end (-after +now):\n%s", d)
	}
	if left := p.records(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestS6_AKilledApplyAtARandomMomentLeavesAllOrNothing(t *testing.T) {
	for i := range 8 {
		p := newPatient(t)
		cmd, stderr := p.child(0)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
			t.Fatalf("%v\n%s", err, stderr)
		}
		kill := time.AfterFunc(time.Duration(rand.IntN(60_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // killed or not
		kill.Stop()
		p.open()
		now := brief(onDisk(t, p.dir))
		undone, done := cmp.Diff(brief(p.before), now), cmp.Diff(brief(p.after), now)
		if undone != "" && done != "" {
			t.Fatalf("round %d: neither all nor nothing (-before +now):\n%s", i, undone)
		}
		if left := p.records(); len(left) > 0 {
			t.Fatalf("round %d: left behind: %q", i, left)
		}
	}
}

// kill runs a server that dies when it has written some files.
func (p *patient) kill() {
	p.Helper()
	cmd, _ := p.child(6)
	if err := cmd.Run(); err == nil {
		p.Fatal("it was not killed")
	}
}

func TestWhatWasChangedAfterAnInterruptedReturnIsTheirs(t *testing.T) {
	p := newPatient(t)
	p.kill()
	if got := onDisk(t, p.dir)["a.txt"]; got != "A\n" {
		t.Fatalf("a.txt is %q: the server died too early for this test", got)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "a.txt"), []byte("typed since\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w := p.open()
	want := p.before
	want["a.txt"] = "typed since\n"
	if d := cmp.Diff(brief(want), brief(onDisk(t, p.dir))); d != "" {
		t.Errorf("(-want +now):\n%s", d)
	}
	notes := strings.Join(w.Notes(), "\n")
	kept, err := filepath.Glob(filepath.Join(p.state, "apply-*", unsettledDir, "*-a.txt"))
	if err != nil || len(kept) != 1 || !strings.Contains(notes, "a.txt") || !strings.Contains(notes, filepath.Dir(kept[0])) {
		t.Fatalf("kept %q, %v; said %q", kept, err, notes)
	}
	if b, err := os.ReadFile(kept[0]); err != nil || string(b) != "a\n" {
		t.Errorf("what it held before: %q, %v", b, err)
	}
	// It is said once, and nothing is in the way of what follows.
	again := p.open()
	if notes := again.Notes(); len(notes) > 0 {
		t.Errorf("said again: %q", notes)
	}
	if err := again.Apply(context.Background(), []Write{writeOf("other.txt", "o\n", "O\n")}); err != nil {
		t.Error(err)
	}
}

func TestTheNextApplyPutsBackWhatAnotherServerLeft(t *testing.T) {
	p := newPatient(t)
	w := p.open()
	p.kill()
	if err := w.Apply(context.Background(), []Write{writeOf("a.txt", "a\n", "next\n")}); err != nil {
		t.Fatal(err)
	}
	want := p.before
	want["a.txt"] = "next\n"
	if d := cmp.Diff(brief(want), brief(onDisk(t, p.dir))); d != "" {
		t.Errorf("(-want +now):\n%s", d)
	}
}

func TestARecordOfALivingServerIsLeftAlone(t *testing.T) {
	p := newPatient(t)
	w := p.open()
	entered, leave, done := make(chan struct{}), make(chan struct{}), make(chan error)
	write := writeOf("a.txt", "a\n", "A\n")
	slow := Write{Path: "z.txt", Expect: tree.Entry{Path: "z.txt"}, New: fileEntry("z.txt", "z\n"), Open: func() (io.ReadCloser, error) {
		close(entered)
		<-leave
		return io.NopCloser(strings.NewReader("z\n")), nil
	}}
	go func() { done <- w.Apply(context.Background(), []Write{write, slow}) }()
	<-entered
	p.open()
	if got := onDisk(t, p.dir)["a.txt"]; got != "A\n" {
		t.Errorf("another opening has undone it: %q", got)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if left := p.records(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestX12_ARecordThatWasTamperedWithWritesNothingOutside(t *testing.T) {
	for _, path := range []string{"../outside", "/etc/outside", ".git/config", "x/../../outside", "up/outside"} {
		p := newPatient(t)
		p.kill()
		if err := os.Symlink(filepath.Dir(p.dir), filepath.Join(p.dir, "up")); err != nil {
			t.Fatal(err)
		}
		for _, dir := range p.records() {
			name := filepath.Join(dir, intentFile)
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			was, will := encodePath("gone/c.txt"), encodePath(path)
			if err := os.WriteFile(name, bytes.ReplaceAll(b, was, will), 0o600); err != nil || !bytes.Contains(b, was) {
				t.Fatal(err, string(b))
			}
		}
		p.open()
		if _, err := os.Lstat(filepath.Join(filepath.Dir(p.dir), "outside")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: written outside", path)
		}
	}
}

func encodePath(path string) []byte {
	b, err := json.Marshal([]byte(path))
	if err != nil {
		panic(err)
	}
	return b
}

func TestAFullStateDiskDoesNotKeepChangesFromComingBack(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0) // null(4): every write fails with ENOSPC
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	if _, err := full.WriteString("x"); !noRoom(fmt.Errorf("record: %w", err)) {
		t.Errorf("%v is not taken for a full disk", err)
	}
	p := newPatient(t)
	w := p.open()
	w.opts.StateDir = filepath.Join(p.dir, "a.txt", "below") // cannot be made, for another reason
	if err := w.Apply(context.Background(), []Write{writeOf("tool.sh", "tool\n", "T\n")}); err == nil || noRoom(err) {
		t.Errorf("without a record: %v", err)
	}
	if d := cmp.Diff(brief(p.before), brief(onDisk(t, p.dir))); d != "" {
		t.Errorf("(-before +now):\n%s", d)
	}
}
