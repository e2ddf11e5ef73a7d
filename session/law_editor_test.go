package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"pgregory.net/rapid"

	"glue-lsp/internal/lawtest"
	"glue-lsp/workspace"
)

// lawBuffer is a file that is open in the editor.
type lawBuffer struct {
	version int32
	text    string // UTF-8 without byte order mark
	dirty   bool
	bom     bool
	latin1  bool // the file's encoding; its text goes to the server as UTF-8
	crlf    bool // held as line feeds, saved as CRLF
}

func (b *lawBuffer) bytes() string {
	text := b.text
	if b.crlf {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	if b.latin1 {
		var out []byte
		for _, r := range text {
			out = append(out, byte(r))
		}
		text = string(out)
	}
	if b.bom {
		text = "\ufeff" + text
	}
	return text
}

// manner is how an editor, and the person in front of it, answer an edit.
type manner string

const (
	acceptsAll   manner = "accepts all"
	refusesAll   manner = "refuses all"
	fails        manner = "answers with an error"
	onlySays     manner = "says yes and does nothing"
	takesSome    manner = "takes some files"
	failsHalfWay manner = "fails half way"
	typesFirst   manner = "types before it answers, then accepts"
)

// lawEditor is an editor as a session sees one. It reloads what is not dirty when the
// disk changes, and refuses an edit of a text that it does not have, or of a file that was
// typed in while the edit was looked at.
type lawEditor struct {
	w       *lawWorld
	asLF    bool // holds the line ends of a file as line feeds, as Emacs does
	saves   bool // writes closed files to disk; else they are opened, with unsaved text
	caps    workspace.ClientCaps
	buffers map[string]*lawBuffer

	// Of the return that is under way.
	manner manner
	rt     *rapid.T
	during func() // happens while the person decides
	asked  int
	typed  string      // the path in which the person typed before deciding, "" when there is none
	left   lawtest.Set // paths that the person left out
	took   bool        // some of an edit was applied

	undoing bool // what a return put into a buffer may go again, saved or not
}

// begin says how the edits of the next return are answered.
func (e *lawEditor) begin(rt *rapid.T, how manner) {
	e.manner, e.rt, e.asked, e.typed, e.left, e.took = how, rt, 0, "", lawtest.Set{}, false
}

func (e *lawEditor) path(name string) string { return filepath.Join(e.w.repo, name) }

func (e *lawEditor) name(path string) string {
	rel, err := filepath.Rel(e.w.repo, path)
	if err != nil {
		e.w.Fatal(err)
	}
	return rel
}

func (e *lawEditor) Caps() workspace.ClientCaps { return e.caps }

func (e *lawEditor) Documents(context.Context) ([]workspace.Document, error) {
	e.noticeDisk()
	var docs []workspace.Document
	for _, name := range e.open() {
		b := e.buffers[name]
		docs = append(docs, workspace.Document{Path: e.path(name), Version: b.version, Text: []byte(b.text), Changed: b.dirty})
	}
	return docs, nil
}

func (e *lawEditor) open() []string {
	var names []string
	for name := range e.buffers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// load reads a file as an editor does; it is nil when that is no text.
func (e *lawEditor) load(name string) *lawBuffer {
	info, err := os.Lstat(e.path(name))
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	raw, err := os.ReadFile(e.path(name))
	if err != nil || bytes.IndexByte(raw, 0) >= 0 {
		return nil
	}
	b := &lawBuffer{version: 1}
	raw, b.bom = bytes.CutPrefix(raw, []byte("\ufeff"))
	b.text = string(raw)
	if !utf8.Valid(raw) {
		var text strings.Builder
		for _, c := range raw {
			text.WriteRune(rune(c))
		}
		b.latin1, b.text = true, text.String()
	}
	if crlf := strings.Count(b.text, "\r\n"); e.asLF && crlf > 0 && crlf == strings.Count(b.text, "\n") && crlf == strings.Count(b.text, "\r") {
		b.crlf, b.text = true, strings.ReplaceAll(b.text, "\r\n", "\n")
	}
	return b
}

// noticeDisk reloads what the person has not changed.
func (e *lawEditor) noticeDisk() {
	for _, name := range e.open() {
		old := e.buffers[name]
		if old.dirty {
			continue
		}
		now := e.load(name)
		switch {
		case now == nil:
			delete(e.buffers, name)
		case now.bytes() != old.bytes():
			now.version = old.version + 1
			e.buffers[name] = now
		}
	}
}

func (e *lawEditor) edit(name, text string) {
	b := e.buffers[name]
	b.text, b.dirty = text, true
	b.version++
}

// save writes a buffer, unless something is in the way.
func (e *lawEditor) save(name string) {
	b := e.buffers[name]
	if err := os.MkdirAll(filepath.Dir(e.path(name)), 0o755); err != nil {
		return
	}
	if info, err := os.Lstat(e.path(name)); err == nil && !info.Mode().IsRegular() {
		return
	}
	if err := os.WriteFile(e.path(name), []byte(b.bytes()), 0o644); err != nil {
		return
	}
	b.dirty = false
}

// part is what an edit does to one file, or one file and what it is renamed to.
type part struct {
	ops  []workspace.FileOp
	text *workspace.TextChange
}

func partsOf(edit *workspace.Edit) []*part {
	var parts []*part
	at := map[string]*part{}
	for _, op := range edit.Ops {
		p := &part{ops: []workspace.FileOp{op}}
		parts = append(parts, p)
		at[op.Path] = p
		if op.To != "" {
			at[op.To] = p
		}
	}
	for i := range edit.Texts {
		text := &edit.Texts[i]
		if p := at[text.Path]; p != nil {
			p.text = text
			continue
		}
		parts = append(parts, &part{text: text})
	}
	return parts
}

func (e *lawEditor) ApplyEdit(_ context.Context, _ string, edit *workspace.Edit) (bool, string, error) {
	e.asked++
	parts := partsOf(edit)
	how := e.manner
	e.typed = ""
	if e.during != nil && e.asked == 1 {
		e.during()
	}
	e.noticeDisk()
	if how == typesFirst {
		how = acceptsAll
		if open := e.open(); e.asked == 1 && len(open) > 0 {
			name := rapid.SampledFrom(open).Draw(e.rt, "typed in")
			e.typed = name
			e.w.person(func() { e.edit(name, e.buffers[name].text+"typed "+e.w.me.NewMark()) })
		}
	}
	e.w.logf("the editor %s: %s", how, describe(parts))
	switch how {
	case refusesAll:
		return false, "", nil
	case fails:
		return false, "", errors.New("the editor has trouble of its own")
	case onlySays:
		e.leave(parts)
		return true, "", nil
	}
	if why := e.unfit(parts); why != "" {
		e.w.logf("the editor cannot: %s", why)
		return false, why, nil
	}
	for i, p := range parts {
		switch {
		case how == takesSome && rapid.Bool().Draw(e.rt, "left out"):
			e.leave([]*part{p})
			continue
		case how == failsHalfWay && i >= len(parts)/2:
			return false, "failed half way", nil
		}
		e.took = true
		e.carryOut(p)
	}
	return true, "", nil
}

func describe(parts []*part) string {
	var out []string
	for _, p := range parts {
		for _, op := range p.ops {
			out = append(out, fmt.Sprintf("%s %q %q", op.Op, filepath.Base(op.Path), filepath.Base(op.To)))
		}
		if p.text != nil {
			out = append(out, fmt.Sprintf("edit %q", filepath.Base(p.text.Path)))
		}
	}
	return strings.Join(out, ", ")
}

func (e *lawEditor) leave(parts []*part) {
	for _, p := range parts {
		for _, op := range p.ops {
			e.left[e.name(op.Path)] = true
			if op.To != "" {
				e.left[e.name(op.To)] = true
			}
		}
		if p.text != nil {
			e.left[e.name(p.text.Path)] = true
		}
	}
}

// unfit says why the edit is not for what the editor holds.
func (e *lawEditor) unfit(parts []*part) string {
	for _, p := range parts {
		moved := map[string]string{}
		for _, op := range p.ops {
			name := e.name(op.Path)
			_, err := os.Lstat(op.Path)
			switch {
			case op.Op == workspace.OpCreate && err == nil:
				return op.Path + " exists"
			case op.Op != workspace.OpCreate && err != nil:
				return op.Path + " does not exist"
			case op.Op != workspace.OpCreate && e.typed == name:
				return name + " was changed while its edit was looked at" // VS Code's preview then fails as a whole
			case e.buffers[name] != nil && e.buffers[name].dirty && !e.undoing:
				e.w.Fatalf("the edit would %s %q, which has unsaved text", op.Op, name)
			}
			if op.To != "" {
				if _, err := os.Lstat(op.To); err == nil {
					return op.To + " exists"
				}
				moved[op.To] = op.Path
			}
		}
		if p.text == nil || len(p.ops) > 0 && p.ops[0].Op == workspace.OpCreate {
			continue
		}
		from := p.text.Path
		if was, ok := moved[from]; ok {
			from = was
		}
		name := e.name(from)
		b := e.buffers[name]
		switch {
		case b != nil && p.text.Version != nil && *p.text.Version != b.version:
			return name + " has another version"
		case b == nil:
			if b = e.load(name); b == nil {
				return name + " is no text"
			}
		}
		if b.text != string(p.text.Text) && !(b.crlf && strings.ReplaceAll(string(p.text.Text), "\r\n", "\n") == b.text) {
			return name + " is another text"
		}
	}
	return ""
}

func (e *lawEditor) carryOut(p *part) {
	for _, op := range p.ops {
		if err := e.operate(op); err != nil {
			e.w.Fatalf("the editor cannot %s %q: %v", op.Op, op.Path, err)
		}
	}
	if p.text == nil {
		return
	}
	name := e.name(p.text.Path)
	b, opened := e.buffers[name], false
	if b == nil {
		if b = e.load(name); b == nil {
			e.w.Fatalf("the edit changes %q, which is no text", name)
		}
		e.buffers[name], opened = b, true
	}
	text, at := "", 0
	source := string(p.text.Text)
	for _, edit := range p.text.Edits {
		if edit.Start < at || edit.End > len(source) {
			e.w.Fatalf("edits of %q overlap or leave the text: %+v", name, p.text.Edits)
		}
		text += source[at:edit.Start] + edit.New
		at = edit.End
	}
	text += source[at:]
	if b.crlf {
		text = strings.ReplaceAll(text, "\r\n", "\n")
	}
	e.edit(name, text)
	if opened && e.saves {
		e.save(name)
		delete(e.buffers, name)
	}
}

func (e *lawEditor) operate(op workspace.FileOp) error {
	switch op.Op {
	case workspace.OpCreate:
		if err := os.MkdirAll(filepath.Dir(op.Path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(op.Path, nil, 0o644)
	case workspace.OpDelete:
		delete(e.buffers, e.name(op.Path))
		return os.Remove(op.Path)
	}
	if err := os.MkdirAll(filepath.Dir(op.To), 0o755); err != nil {
		return err
	}
	if b := e.buffers[e.name(op.Path)]; b != nil {
		delete(e.buffers, e.name(op.Path))
		e.buffers[e.name(op.To)] = b
	}
	return os.Rename(op.Path, op.To)
}
