package session

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"glue-lsp/workspace"
)

// person is an editor with somebody in front of it. Closed files are changed on disk, as
// by a client that saves what was clean; open ones in their buffers.
type person struct {
	testing.TB
	caps workspace.ClientCaps

	// before is called with each edit, and may answer in its place.
	before func(e *workspace.Edit) (applied bool, reason string, err error, done bool)
	// want says which changes are let through; nil is all.
	want func(path string, edit int) bool
	// save is what saving makes of a closed file's text; nil leaves it.
	save func(text []byte) []byte

	mu    sync.Mutex
	docs  []workspace.Document
	edits []*workspace.Edit
}

func newPerson(t testing.TB) *person {
	return &person{TB: t, caps: workspace.ClientCaps{Create: true, Rename: true, Delete: true, DocumentChanges: true}}
}

func (p *person) Caps() workspace.ClientCaps { return p.caps }

func (p *person) Documents(context.Context) ([]workspace.Document, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.docs), nil
}

// asked is how many edits came.
func (p *person) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.edits)
}

func (p *person) ApplyEdit(_ context.Context, _ string, e *workspace.Edit) (bool, string, error) {
	p.mu.Lock()
	p.edits = append(p.edits, e)
	p.mu.Unlock()
	if p.before != nil {
		if applied, reason, err, done := p.before(e); done {
			return applied, reason, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range e.Texts {
		if d := p.doc(t.Path); d != nil && t.Version != nil && d.Version != *t.Version {
			return false, "", nil // the whole edit, without a reason, as VS Code does
		}
	}
	for _, op := range e.Ops {
		if p.want == nil || p.want(op.Path, 0) {
			p.operate(op)
		}
	}
	for _, t := range e.Texts {
		p.change(t)
	}
	return true, "", nil
}

func (p *person) doc(path string) *workspace.Document {
	i := slices.IndexFunc(p.docs, func(d workspace.Document) bool { return d.Path == path })
	if i < 0 {
		return nil
	}
	return &p.docs[i]
}

func (p *person) operate(op workspace.FileOp) {
	var err error
	switch op.Op {
	case workspace.OpCreate:
		if err = os.MkdirAll(filepath.Dir(op.Path), 0o755); err == nil {
			err = os.WriteFile(op.Path, nil, 0o644)
		}
	case workspace.OpRename:
		if err = os.MkdirAll(filepath.Dir(op.To), 0o755); err == nil {
			err = os.Rename(op.Path, op.To)
		}
	case workspace.OpDelete:
		if d := p.doc(op.Path); d != nil && d.Changed {
			p.Errorf("%s was deleted with unsaved text in it", op.Path)
		}
		p.docs = slices.DeleteFunc(p.docs, func(d workspace.Document) bool { return d.Path == op.Path })
		err = os.Remove(op.Path)
	}
	if err != nil {
		p.Error(err)
	}
}

func (p *person) change(t workspace.TextChange) {
	var out []byte
	last := 0
	for i, e := range t.Edits {
		text := []byte(e.New)
		if p.want != nil && !p.want(t.Path, i) {
			text = t.Text[e.Start:e.End]
		}
		out = append(append(out, t.Text[last:e.Start]...), text...)
		last = e.End
	}
	out = append(out, t.Text[last:]...)
	if d := p.doc(t.Path); d != nil {
		if !bytes.Equal(out, d.Text) {
			d.Text, d.Changed = out, true
			d.Version++
		}
		return
	}
	if p.save != nil {
		out = p.save(out)
	}
	if strings.Contains(string(t.Text), "\r\n") && !strings.Contains(string(out), "\r\n") {
		p.Errorf("%s lost its line ends", t.Path)
	}
	if err := os.WriteFile(t.Path, out, 0o644); err != nil {
		p.Error(err)
	}
}

// openFile opens a file as it is on disk.
func (p *person) openFile(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		p.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.docs = append(p.docs, workspace.Document{Path: path, Version: 1, Text: text})
}

// typeIn opens a file if need be and gives it unsaved text.
func (p *person) typeIn(path, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.doc(path)
	if d == nil {
		p.docs = append(p.docs, workspace.Document{Path: path, Version: 1})
		d = p.doc(path)
	}
	d.Text, d.Changed = []byte(text), true
	d.Version++
}

func (p *person) buffer(path string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.doc(path); d != nil {
		return string(d.Text)
	}
	return ""
}
