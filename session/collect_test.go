package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// bounded is a manager like the fixture's with bounds of its own.
func (f *fixture) bounded(change func(o *Options)) *Manager {
	f.Helper()
	o := Options{Home: f.home, Runtimes: map[string]sandbox.Runtime{"local": f.rt}, Log: f.Logf}
	change(&o)
	m, err := NewManager(o)
	if err != nil {
		f.Fatal(err)
	}
	f.m = m
	f.Cleanup(func() {
		if err := m.Shutdown(context.Background()); err != nil {
			f.Errorf("shutdown: %v", err)
		}
	})
	return m
}

func TestX7_ARunawayCommandFillsNeitherTheStoreNorMemoryAndWhatIsLeftIsNamed(t *testing.T) {
	f := newFixture(t)
	f.bounded(func(o *Options) { o.CaptureMax = 8 << 20 })
	s := f.open(OpenOptions{})
	f.run(s, "head -c 6000000 /dev/urandom > first.bin; head -c 9000000 /dev/urandom > second.bin; echo mine >> a.txt; echo new > zz.txt")
	r := f.giveBack(s)
	if got := f.read("zz.txt"); got != "new\n" || !strings.HasSuffix(f.read("a.txt"), "mine\n") {
		t.Errorf("small files next to large ones did not come back: %q, %+v", got, r)
	}
	if info, err := os.Stat(filepath.Join(f.repo, "first.bin")); err != nil || info.Size() != 6_000_000 {
		t.Errorf("what fits did not come: %v", err)
	}
	if !slices.ContainsFunc(s.Info().Warnings, func(w string) bool { return strings.Contains(w, "second.bin (too large)") }) {
		t.Errorf("what was left out is not named: %q", s.Info().Warnings)
	}
	if size := folderSize(filepath.Join(s.Dir(), "objects.git", "objects", "pack")); size > 10<<20 {
		t.Errorf("the store has %d bytes", size)
	}
	inside := filepath.Join(f.home, "trees", s.ID(), "w", "second.bin")
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(inside); err != nil {
		t.Errorf("the only copy of a file went with its sandbox: %v", err)
	}
	list, err := f.m.List(context.Background())
	if err != nil || len(list) != 1 || !slices.ContainsFunc(list[0].Warnings, func(w string) bool {
		return strings.Contains(w, "second.bin") && strings.Contains(w, filepath.Dir(inside))
	}) {
		t.Errorf("nothing says where it is: %+v %v", list, err)
	}
	ended, err := f.m.Find(context.Background(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ended.Discard(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(inside)); err == nil {
		t.Error("a discarded session's tree is still there")
	}
	if list, err := f.m.List(context.Background()); err != nil || len(list) != 0 {
		t.Errorf("still listed: %+v %v", list, err)
	}
}

func TestX7_WhatDidNotFitComesOnceTheCommandHasMadeRoom(t *testing.T) {
	f := newFixture(t)
	f.bounded(func(o *Options) { o.CaptureMax = 5 << 20 })
	s := f.open(OpenOptions{})
	f.run(s, "head -c 4000000 /dev/urandom > a.bin; head -c 4100000 /dev/urandom > b.bin")
	if _, err := s.Checkpoint(context.Background()); err != nil {
		t.Fatal(err)
	}
	f.run(s, "true")
	f.giveBack(s)
	for name, size := range map[string]int64{"a.bin": 4_000_000, "b.bin": 4_100_000} {
		if info, err := os.Stat(filepath.Join(f.repo, name)); err != nil || info.Size() != size {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left := s.snapshotState().LeftInside; len(left) != 0 {
		t.Errorf("still called left inside: %q", left)
	}
}

func TestX7_AFullDiskFailsTheCheckpointByNameKeepsTheLastOneAndIsRetried(t *testing.T) {
	f := newFixture(t)
	free := int64(1 << 40)
	f.bounded(func(o *Options) {
		o.FreeSpace = func(string) (int64, int64, error) { return free, 0, nil }
	})
	s := f.open(OpenOptions{})
	f.run(s, "echo safe > safe.txt")
	before, err := s.Checkpoint(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	free = 0
	f.run(s, "head -c 6000000 /dev/urandom > big.bin; echo small > small.txt")
	_, err = s.Checkpoint(context.Background())
	if kindOf(err) != "noSpace" || !strings.Contains(err.Error(), "big.bin") && !strings.Contains(err.Error(), "1 changed") {
		t.Errorf("the checkpoint on a full disk: %v", err)
	}
	objects := filepath.Join(s.Dir(), "objects.git")
	if got := f.git("--git-dir", objects, "show", before.Commit+":safe.txt"); got != "safe\n" {
		t.Errorf("the last checkpoint holds %q", got)
	}
	if got := f.git("--git-dir", objects, "show", "refs/glue/checkpoint:small.txt"); got != "small\n" {
		t.Errorf("what there was room for is not safe: %q", got)
	}
	if _, err := s.Close(context.Background(), nil, nil); kindOf(err) != "noSpace" {
		t.Errorf("closing would have lost a file: %v", err)
	}
	free = 1 << 40
	if _, err := s.Checkpoint(context.Background()); err != nil {
		t.Errorf("with room again: %v", err)
	}
	f.giveBack(s)
	if info, err := os.Stat(filepath.Join(f.repo, "big.bin")); err != nil || info.Size() != 6_000_000 {
		t.Errorf("it did not come back: %v", err)
	}
}

func TestX7_ASpoolThatCannotGrowFailsByItsReasonAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	c := &collector{format: tree.SHA1, dir: dir}
	content := strings.NewReader(strings.Repeat("x", collectInMemory+1))
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0) // null(4): every write fails with ENOSPC
	if err != nil {
		t.Fatal(err)
	}
	c.spool = full
	err = c.add(sandbox.Captured{Entry: tree.Entry{Path: "x", Mode: tree.Regular, Size: content.Size()}, Content: content})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
	c.close()
	short := sandbox.Captured{Entry: tree.Entry{Path: "x", Mode: tree.Regular, Size: 10}, Content: strings.NewReader("short")}
	if err := c.add(short); err == nil || !strings.Contains(err.Error(), "not complete") {
		t.Errorf("a content that ends early: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestX4_ACapturedPathThatLeavesTheRootIsRefused(t *testing.T) {
	for _, path := range []string{"../x", "/etc/passwd", "a/../../x", ".git/config", "a/.GIT/x", "x\x00y", ""} {
		c := &collector{format: tree.SHA1, dir: t.TempDir()}
		e := tree.Entry{Path: path, Mode: tree.Regular, Size: 1}
		if err := c.add(sandbox.Captured{Entry: e, Content: strings.NewReader("x")}); err == nil || len(c.changes) > 0 {
			t.Errorf("%q is taken in", path)
		}
	}
}

func TestThousandsOfSkippedFilesLeaveRoomForOtherWarnings(t *testing.T) {
	s := &Session{}
	s.warn("something else")
	var skipped []tree.Skipped
	for i := range 5000 {
		skipped = append(skipped, tree.Skipped{Path: strings.Repeat("d/", i%50) + "f", Reason: tree.Special})
	}
	s.noteSkipped(skipped, room{})
	if w := s.Info().Warnings; len(w) > 10 || w[0] != "something else" || !strings.Contains(w[len(w)-1], "4995 more files (special)") {
		t.Errorf("warnings: %q", w)
	}
}

func TestX7_ALimitOfGitsIsAnErrorThatSaysWhatToDo(t *testing.T) {
	for what, kind := range map[git.Limit]string{git.LimitMemory: "tooLarge", git.LimitFile: "tooLarge", git.LimitEntries: "tooLarge", git.LimitWall: "timeout", git.LimitCPU: "timeout"} {
		err := explained("take a checkpoint", "s", fmt.Errorf("deep: %w", &git.Error{Err: &git.LimitError{What: what, Max: "7"}}))
		var e *Error
		if !errors.As(err, &e) || e.Kind != kind || e.Hint == "" || !strings.Contains(e.Error(), "the limit of 7 for "+string(what)) {
			t.Errorf("%s: %#v", what, err)
		}
	}
	another := errors.New("another")
	if err := explained("x", "s", another); !errors.Is(err, another) || err.Error() != "another" || explained("x", "s", nil) != nil {
		t.Errorf("another error is changed: %v", err)
	}
}
