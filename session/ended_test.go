package session

import (
	"context"
	"path/filepath"
	"testing"

	"glue-lsp/workspace"
)

// buffers is an editor that refuses every edit and keeps the last one.
type buffers struct {
	caps workspace.ClientCaps
	docs []workspace.Document
	last *workspace.Edit
}

func (b *buffers) Documents(context.Context) ([]workspace.Document, error) { return b.docs, nil }

func (b *buffers) Caps() workspace.ClientCaps { return b.caps }

func (b *buffers) ApplyEdit(_ context.Context, _ string, e *workspace.Edit) (bool, string, error) {
	b.last = e
	return false, "no", nil
}

// endedSession has changed b.txt, and is found by a manager that did not own it.
func endedSession(f *fixture, e Editor) *Session {
	f.Helper()
	s := f.open(OpenOptions{})
	f.run(s, "echo box >> b.txt")
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		f.Fatal(err)
	}
	f.manager()
	f.m.UseEditor(e)
	again, err := f.m.Find(context.Background(), s.ID())
	if err != nil {
		f.Fatal(err)
	}
	return again
}

func TestU5_AReturnOfAnEndedSessionLeavesUnsavedTextToTheEditor(t *testing.T) {
	f := newFixture(t)
	e := &buffers{caps: workspace.ClientCaps{DocumentChanges: true}, docs: []workspace.Document{
		{Path: filepath.Join(f.repo, "b.txt"), Version: 4, Text: []byte("typed\nb\n"), Changed: true},
	}}
	r := f.giveBack(endedSession(f, e))
	if got := f.read("b.txt"); got != "b\n" || r.Applied {
		t.Errorf("the file under unsaved text holds %q, applied %v", got, r.Applied)
	}
	if e.last == nil || len(e.last.Texts) != 1 || *e.last.Texts[0].Version != 4 {
		t.Errorf("the editor was asked for %+v", e.last)
	}
}

func TestWhatAnEditorCannotApplyIsWrittenUnlessItHasUnsavedText(t *testing.T) {
	f := newFixture(t)
	e := &buffers{caps: workspace.ClientCaps{NoEdits: true}, docs: []workspace.Document{
		{Path: filepath.Join(f.repo, "b.txt"), Version: 4, Text: []byte("typed\nb\n"), Changed: true},
	}}
	s := endedSession(f, e)
	if r := f.giveBack(s); r.Applied || len(r.Conflicts) != 1 || f.read("b.txt") != "b\n" {
		t.Errorf("with unsaved text: %+v", r)
	}
	e.docs = nil
	if r := f.giveBack(s); !r.Applied || f.read("b.txt") != "b\nbox\n" {
		t.Errorf("without: %+v", r)
	}
	if e.last != nil {
		t.Errorf("the editor was asked for %+v", e.last)
	}
}

func TestWhatWasThrownAwayIsInNoDiffAndNoReturn(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.run(s, "echo x > x.txt; echo y > y.txt; ln -s /etc/passwd out; rm b.txt")
	if _, err := s.Discard(context.Background(), []string{"x.txt", "out", "b.txt"}); err != nil {
		t.Fatal(err)
	}
	d, err := s.Diff(context.Background(), "")
	if err != nil || len(d.Files) != 1 || d.Files[0].Path != "y.txt" {
		t.Errorf("diff: %+v %v", d, err)
	}
	if gone, err := s.Discard(context.Background(), nil); err != nil || len(gone) != 1 {
		t.Errorf("the rest: %+v %v", gone, err)
	}
	r := f.giveBack(s)
	if len(r.Files) != 0 || len(r.Skipped) != 0 || r.Mbox != nil || r.Applied {
		t.Errorf("return: %+v", r)
	}
	if d, err := s.Diff(context.Background(), ""); err != nil || len(d.Files) != 0 || d.Patch != "" {
		t.Errorf("diff of nothing: %+v %v", d, err)
	}
}
