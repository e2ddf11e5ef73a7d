package session

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
	"glue-lsp/workspace"
)

// fakeEditor applies edits as its function does.
type fakeEditor struct {
	apply func(ctx context.Context) (bool, error)
}

func (e *fakeEditor) Documents(context.Context) ([]workspace.Document, error) { return nil, nil }
func (e *fakeEditor) Caps() workspace.ClientCaps                              { return workspace.ClientCaps{DocumentChanges: true} }

func (e *fakeEditor) ApplyEdit(ctx context.Context, _ string, _ *workspace.Edit) (bool, string, error) {
	ok, err := e.apply(ctx)
	return ok, "", err
}

func TestACheckpointThatFailedIsNeverCalledSafe(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	was := f.rt.newest()
	if err := was.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-was.Done()
	// It fails sooner than whoever asked for it begins to wait.
	for range 200 {
		if err := s.check.take(context.Background()); err == nil {
			t.Fatal("a checkpoint of a dead sandbox succeeded")
		}
	}
}

func TestWhatASyncCapturedIsInTheNextCheckpoint(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	if _, err := s.Checkpoint(context.Background()); err != nil {
		t.Fatal(err)
	}
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.WriteFile(context.Background(), "new.txt", strings.NewReader("new\n"), sandbox.WriteOptions{Create: true}); err != nil {
		t.Fatal(err)
	}
	f.write("b.txt", "changed here\n")
	if _, err := s.Sync(context.Background(), false, nil); err != nil {
		t.Fatal(err)
	}
	info, err := s.Checkpoint(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got := f.git("--git-dir", filepath.Join(s.Dir(), "objects.git"), "ls-tree", "--name-only", info.Commit); !strings.Contains(got, "new.txt") {
		t.Errorf("the checkpoint's commit holds:\n%s", got)
	}
	if info.ChangedFiles != 1 {
		t.Errorf("%d changed files, want 1", info.ChangedFiles)
	}
}

func TestShutdownDoesNotWaitForAnEditorThatNeverAnswers(t *testing.T) {
	f := newFixture(t)
	asked := make(chan struct{})
	s := f.open(OpenOptions{Editor: &fakeEditor{apply: func(ctx context.Context) (bool, error) {
		close(asked)
		<-ctx.Done()
		return false, ctx.Err()
	}}})
	f.run(s, "echo more >> b.txt")
	returned := make(chan error, 1)
	go func() {
		_, err := s.Return(context.Background(), ReturnOptions{Apply: true}, nil)
		returned <- err
	}()
	<-asked
	if err := f.m.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := <-returned; kindOf(err) != "unavailable" || !strings.Contains(err.Error(), s.ID()) {
		t.Errorf("the return: %v", err)
	}
	if got := f.read("b.txt"); got != "b\n" {
		t.Errorf("b.txt: %q", got)
	}
	list, err := f.manager().List(context.Background())
	if err != nil || len(list) != 1 || list[0].ID != s.ID() {
		t.Errorf("kept: %+v %v", list, err)
	}
}

func TestClosingCapturesWhatOutlivedItsCommandWroteAtItsEnd(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.run(s, `(trap 'echo end > end.txt; exit' TERM; echo up > up.txt; while :; do sleep 0.01; done) >/dev/null 2>&1 & until test -e up.txt; do sleep 0.01; done`)
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	ended, err := f.m.Find(context.Background(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := ended.Version(context.Background(), "sandbox", "end.txt"); err != nil || string(v.Content) != "end\n" {
		t.Errorf("end.txt: %q %v", v.Content, err)
	}
}

func TestNoCommandStartsWhileItsSessionEnds(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	s.mu.Lock()
	s.ending = true
	s.mu.Unlock()
	if _, err := s.Start(context.Background(), ExecOptions{Command: "sleep 600"}); kindOf(err) != Lost {
		t.Errorf("start: %v", err)
	}
	left, err := f.rt.newest().Processes(context.Background())
	if err != nil || len(left) != 0 {
		t.Errorf("left: %+v %v", left, err)
	}
}

func TestTheTreeStaysWhereItsLastChangesCouldNotBeCaptured(t *testing.T) {
	f := newFixture(t)
	f.m.o.Runtimes["local"] = brokenRuntime{f.rt}
	s := f.open(OpenOptions{})
	e, err := s.Start(context.Background(), ExecOptions{Command: "echo only here > new.txt; sleep 600"})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(f.rt.newest().dir, "new.txt")
	f.await(func() bool { b, _ := os.ReadFile(file); return len(b) > 0 })
	if err := f.rt.newest().cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Wait(context.Background()); err == nil {
		t.Fatal("the command did not end with its sandbox")
	}
	r, err := s.Close(context.Background(), nil, nil)
	if err != nil || r.Unavailable == nil {
		t.Fatalf("close: %+v %v", r, err)
	}
	if b, err := os.ReadFile(file); string(b) != "only here\n" {
		t.Errorf("%s: %q %v", file, b, err)
	}
	if !strings.Contains(strings.Join(s.Info().Warnings, "\n"), filepath.Join(f.home, "trees", s.ID())) {
		t.Errorf("nothing says where they are: %q", s.Info().Warnings)
	}
	if err := f.m.Forget(context.Background(), s.ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("discarded, and still there: %v", err)
	}
}

func TestX8_WhoeverTakesNoOutputHoldsNoClosingUp(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	reading, blocked := make(chan struct{}), make(chan struct{})
	e, err := s.Start(context.Background(), ExecOptions{Command: "yes", Sink: func(sandbox.Stream, int64, []byte) error {
		select {
		case <-reading:
		default:
			close(reading)
		}
		<-blocked
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	<-reading
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := e.Wait(ctx); ctx.Err() != nil {
		t.Errorf("the command's call never settles: %v", err)
	}
	close(blocked)
}

func TestF26_CheckpointsGoOnWhileACommandRuns(t *testing.T) {
	f := newFixture(t)
	f.m.o.CheckpointEvery = 10 * time.Millisecond
	s := f.open(OpenOptions{})
	e, err := s.Start(context.Background(), ExecOptions{Command: "echo x > x.txt; sleep 600"})
	if err != nil {
		t.Fatal(err)
	}
	f.await(func() bool { st, err := readState(s.Dir()); return err == nil && st.Checkpoint.ChangedFiles == 1 })
	if err := e.Cancel(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestF23_ChangesAreShownWhereTheFolderIsGone(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.run(s, "echo new > new.txt")
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(f.repo); err != nil {
		t.Fatal(err)
	}
	ended, err := f.manager().Find(context.Background(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	d, err := ended.Diff(context.Background(), "")
	if err != nil || len(d.Files) != 1 || !strings.Contains(d.Patch, "+new") {
		t.Errorf("diff: %+v %v", d, err)
	}
}

func TestAFileChangedWhileThePersonDecidedIsNeitherLostNorCalledRefused(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{Editor: &fakeEditor{apply: func(context.Context) (bool, error) {
		f.write("b.txt", "b\nmore\n")
		f.write("dir/c.bin", "\x00mine")
		return true, nil
	}}})
	f.run(s, `echo more >> b.txt; printf '\0theirs' > dir/c.bin; printf '\0new' > dir/d.bin`)
	r, err := s.Return(context.Background(), ReturnOptions{Apply: true, Mode: "edits"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Conflicts) != 1 || r.Conflicts[0].Path != "dir/c.bin" || len(r.Declined) != 0 || !r.Applied {
		t.Errorf("return: %+v", r)
	}
	if f.read("dir/c.bin") != "\x00mine" || f.read("dir/d.bin") != "\x00new" || f.read("b.txt") != "b\nmore\n" {
		t.Error("a file does not hold what it should")
	}
	var names []string
	for _, c := range r.Files {
		names = append(names, c.Path)
	}
	if got := strings.Join(names, " "); got != "b.txt dir/d.bin" {
		t.Errorf("came back: %s", got)
	}
}

// peekingRuntime looks at the session's folder when its sandbox is asked for.
type peekingRuntime struct {
	*bareRuntime
	saw func(sandbox.Spec)
}

func (r peekingRuntime) Open(ctx context.Context, spec sandbox.Spec) (sandbox.Sandbox, error) {
	r.saw(spec)
	return r.bareRuntime.Open(ctx, spec)
}

func TestASessionHasANameOnDiskBeforeItsSandboxStarts(t *testing.T) {
	f := newFixture(t)
	f.m.o.Runtimes["local"] = peekingRuntime{f.rt, func(spec sandbox.Spec) {
		if st, err := readState(spec.Dir); err != nil || st.ID != spec.Session || st.Folder != f.repo {
			t.Errorf("on disk: %+v %v", st, err)
		}
	}}
	f.open(OpenOptions{})
}

func TestChangesThatWereSavedAndNotCountedAreOffered(t *testing.T) {
	for _, c := range []struct {
		name string
		st   state
		want bool
	}{
		{"nothing changed", state{Agreed: "a", Theirs: "a"}, false},
		{"counted", state{Agreed: "a", Theirs: "b", Counted: [2]string{"a", "b"}, Checkpoint: CheckpointInfo{ChangedFiles: 1}}, true},
		{"all refused", state{Agreed: "a", Theirs: "b", Counted: [2]string{"a", "b"}}, false},
		{"the server died before it counted", state{Agreed: "a", Theirs: "c", Counted: [2]string{"a", "b"}}, true},
	} {
		if got := c.st.unreturned(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestF7_ThousandsOfTagsAndLongNamesCostNoProcessEach(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.run(s, `git config user.name P; git config user.email p@example.com
		for i in $(seq 500); do echo "create refs/tags/t$i HEAD"; done | git update-ref --stdin
		git checkout -q -b "$(printf 'ü%.0s' $(seq 100))"; echo side > side.txt; git add side.txt; git commit -qm side; git checkout -q main`)
	if _, err := s.Checkpoint(context.Background()); err != nil {
		t.Fatal(err)
	}
	refs := strings.Fields(f.git("--git-dir", filepath.Join(s.Dir(), "objects.git"), "for-each-ref", "--format=%(objectname)", "refs/glue/inside"))
	if len(refs) != 1 {
		t.Errorf("%d refs are kept, want the one commit that HEAD does not reach", len(refs))
	}
	f.run(s, "echo more >> b.txt")
	r := f.giveBack(s)
	if r.Mbox == nil {
		t.Fatalf("no mbox: %q", s.Info().Warnings)
	}
	if out := f.git("bundle", "list-heads", filepath.Join(s.Dir(), "runtime.bundle")); len(refs) == 1 && !strings.Contains(out, refs[0]) {
		t.Errorf("the bundle does not hold the side branch:\n%s", out)
	}
}

func TestAFileThatIsAllHoleIsLeftBehindByName(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.run(s, "truncate -s 1T hole.img; echo new > new.txt")
	r := f.giveBack(s)
	if !r.Applied || f.read("new.txt") != "new\n" {
		t.Errorf("return: %+v", r)
	}
	if !strings.Contains(strings.Join(s.Info().Warnings, "\n"), "hole.img") {
		t.Errorf("nothing is said about it: %q", s.Info().Warnings)
	}
}

// crampedSandbox had no room to read a file.
type crampedSandbox struct {
	sandbox.Sandbox
	cramped *atomic.Bool
}

func (c crampedSandbox) Capture(ctx context.Context, req sandbox.CaptureRequest, each func(sandbox.Captured) error) (sandbox.CaptureResult, error) {
	res, err := c.Sandbox.Capture(ctx, req, each)
	if c.cramped.Load() {
		res.Skipped = append(res.Skipped, tree.Skipped{Path: "big.bin", Reason: tree.NoRoom, Detail: "no space left on device"})
	}
	return res, err
}

func TestASessionDoesNotEndWhileAChangedFileHadNoRoom(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	var cramped atomic.Bool
	s.mu.Lock()
	s.sb = crampedSandbox{s.sb, &cramped}
	s.mu.Unlock()
	cramped.Store(true)
	f.run(s, "echo small > small.txt")
	if _, err := s.Checkpoint(context.Background()); kindOf(err) != "noSpace" || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("checkpoint: %v", err)
	}
	if st, err := readState(s.Dir()); err != nil || st.Checkpoint.ChangedFiles != 1 {
		t.Errorf("the other file is not safe: %+v %v", st, err)
	}
	if _, err := s.Close(context.Background(), nil, nil); kindOf(err) != "noSpace" {
		t.Errorf("close: %v", err)
	}
	if got := s.Info().State; got != Ready {
		t.Errorf("the session is %s", got)
	}
	cramped.Store(false)
	if r, err := s.Close(context.Background(), nil, nil); err != nil || !r.Terminated {
		t.Errorf("close: %+v %v", r, err)
	}
}
