package workspace

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

// recordOf gives the one record that there is.
func (p *patient) recordOf() string {
	p.Helper()
	dirs := p.records()
	if len(dirs) != 1 {
		p.Fatalf("records: %q", dirs)
	}
	return dirs[0]
}

// meanwhile is a write that does something first.
func meanwhile(w Write, do func()) Write {
	open := w.Open
	w.Open = func() (io.ReadCloser, error) {
		do()
		return open()
	}
	return w
}

func TestS6_AnApplyWhoseRecordCannotBeEndedIsUndone(t *testing.T) {
	p := newPatient(t)
	w := p.open()
	var intent string
	last := meanwhile(writeOf("z.txt", "", "z\n"), func() {
		intent = filepath.Join(p.recordOf(), intentFile)
		if err := os.Rename(intent, intent+".aside"); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(intent, "in the way"), 0o700); err != nil { // cannot be removed as a file can
			t.Fatal(err)
		}
	})
	err := w.Apply(context.Background(), []Write{writeOf("a.txt", "a\n", "A\n"), last})
	var report *ApplyError
	if !errors.As(err, &report) || len(report.Undone) != 2 || len(report.Lost) > 0 || !strings.Contains(err.Error(), "record") {
		t.Fatalf("Apply gave %v (%+v), want all undone, and why", err, report)
	}
	if d := cmp.Diff(brief(p.before), brief(onDisk(t, p.dir))); d != "" {
		t.Errorf("(-before +now):\n%s", d)
	}
	if err := errors.Join(os.RemoveAll(intent), os.Rename(intent+".aside", intent)); err != nil {
		t.Fatal(err)
	}
	if err := w.Apply(context.Background(), []Write{writeOf("a.txt", "a\n", "next\n")}); err != nil {
		t.Fatal(err)
	}
	if left := p.records(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if got := onDisk(t, p.dir)["a.txt"]; got != "next\n" {
		t.Errorf("a.txt is %q", got)
	}
}

// failToUndo makes an Apply of dir/b.txt whose undoing finds a file where the folder was.
func (p *patient) failToUndo(w *Workspace) (moved string) {
	p.Helper()
	moved = filepath.Join(p.TempDir(), "moved")
	last := Write{Path: "z.txt", Expect: tree.Entry{Path: "z.txt"}, New: fileEntry("z.txt", "z\n"), Open: func() (io.ReadCloser, error) {
		if err := errors.Join(os.Rename(filepath.Join(p.dir, "dir"), moved), os.WriteFile(filepath.Join(p.dir, "dir"), nil, 0o600)); err != nil {
			return nil, err
		}
		return nil, errors.New("cut off")
	}}
	err := w.Apply(context.Background(), []Write{writeOf("dir/b.txt", "b\n", "B\n"), last})
	var report *ApplyError
	if !errors.As(err, &report) || report.Lost["dir/b.txt"] == nil {
		p.Fatalf("Apply gave %v, want dir/b.txt lost", err)
	}
	return moved
}

func TestS6_WhatCouldNotBePutBackAtOnceIsPutBackByTheNextApply(t *testing.T) {
	p := newPatient(t)
	w := p.open()
	moved := p.failToUndo(w)
	if err := errors.Join(os.Remove(filepath.Join(p.dir, "dir")), os.Rename(moved, filepath.Join(p.dir, "dir"))); err != nil {
		t.Fatal(err)
	}
	if err := w.Apply(context.Background(), []Write{writeOf("other.txt", "o\n", "O\n")}); err != nil {
		t.Fatal(err)
	}
	want := p.before
	want["other.txt"] = "O\n"
	if d := cmp.Diff(brief(want), brief(onDisk(t, p.dir))); d != "" {
		t.Errorf("(-want +now):\n%s", d)
	}
	if left := p.records(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestS6_WhatCanNeverBePutBackIsSaved(t *testing.T) {
	p := newPatient(t)
	w := p.open()
	p.failToUndo(w)
	if err := w.Apply(context.Background(), []Write{writeOf("other.txt", "o\n", "O\n")}); err != nil {
		t.Fatal(err)
	}
	kept, err := filepath.Glob(filepath.Join(p.state, "apply-*", unsettledDir, "*-b.txt"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept %q, %v", kept, err)
	}
	if b, err := os.ReadFile(kept[0]); err != nil || string(b) != "b\n" {
		t.Errorf("what it held before: %q, %v", b, err)
	}
	if notes := strings.Join(w.Notes(), "\n"); !strings.Contains(notes, "dir/b.txt") || !strings.Contains(notes, filepath.Dir(kept[0])) {
		t.Errorf("said %q", notes)
	}
}
