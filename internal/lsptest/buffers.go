package lsptest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"go.lsp.dev/uri"
)

// buffer is an open document.
type buffer struct {
	text    string
	version int32
	bom     bool
	eol     string // what line ends become, "" to leave them alone
	disk    []byte // the file when it was read or saved
	dirty   bool
	hidden  bool // opened by an edit, not by a person
}

const utf8BOM = "\uFEFF"

// Open opens a file. Opening it again shows it, which the server does not see.
func (e *Editor) Open(file string) {
	e.tb.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	path := e.path(file)
	if b := e.buffers[path]; b != nil {
		b.hidden = false
		return
	}
	if _, err := e.load(path); err != nil {
		e.tb.Fatalf("open: %v", err)
	}
}

// OpenNew opens a buffer for a file that is not there yet, with a text that is not saved.
func (e *Editor) OpenNew(file, text string) {
	e.tb.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	path := e.path(file)
	b := &buffer{text: text, version: 1, dirty: true}
	if e.profile.OneLineEnd {
		b.eol = lineEnd(text)
		b.text = withLineEnd(text, b.eol)
	}
	e.buffers[path] = b
	e.didOpen(path, b)
}

// load opens a file the way the profile's editor reads it. The lock is held.
func (e *Editor) load(path string) (*buffer, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	b := &buffer{version: 1}
	b.read(data, e.profile)
	e.buffers[path] = b
	e.didOpen(path, b)
	return b, nil
}

// read takes the file's bytes in. Editors keep a byte order mark apart from the text, and
// show what is not UTF-8 as U+FFFD.
func (b *buffer) read(data []byte, p Profile) {
	b.disk, b.dirty = data, false
	text, bom := strings.CutPrefix(string(data), utf8BOM)
	b.bom = bom
	b.text = strings.ToValidUTF8(text, "\uFFFD")
	if p.OneLineEnd {
		b.eol = lineEnd(b.text)
		b.text = withLineEnd(b.text, b.eol)
	}
}

func (b *buffer) bytes() []byte {
	if b.bom {
		return []byte(utf8BOM + b.text)
	}
	return []byte(b.text)
}

// Edit replaces a range of an open buffer, given as "line:col-line:col" in characters from
// 0 (see ParseRange).
func (e *Editor) Edit(file, where, text string) {
	e.tb.Helper()
	r, err := ParseRange(where)
	if err != nil {
		e.tb.Fatal(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.open(file)
	change := replacement{offsetAt(b.text, r.Start, characters), offsetAt(b.text, r.End, characters), text}
	if err := e.edit(e.path(file), b, []replacement{change}); err != nil {
		e.tb.Fatalf("edit %s: %v", file, err)
	}
}

// Replace replaces the first occurrence of a text in an open buffer.
func (e *Editor) Replace(file, old, text string) {
	e.tb.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.open(file)
	at := strings.Index(b.text, old)
	if at < 0 {
		e.tb.Fatalf("%s does not hold %q, but\n%s", file, old, b.text)
	}
	if err := e.edit(e.path(file), b, []replacement{{at, at + len(old), text}}); err != nil {
		e.tb.Fatalf("edit %s: %v", file, err)
	}
}

// edit changes a buffer and tells the server, last place first, so that each range is right
// when those before it are applied in order. The lock is held.
func (e *Editor) edit(path string, b *buffer, edits []replacement) error {
	if b.eol != "" {
		for i := range edits {
			edits[i].text = withLineEnd(edits[i].text, b.eol)
		}
	}
	text, err := replace(b.text, edits)
	if err != nil {
		return err
	}
	var changes []object
	for _, r := range slices.Backward(sorted(edits)) {
		changes = append(changes, object{
			"range": Range{positionAt(b.text, r.start, e.encoding), positionAt(b.text, r.end, e.encoding)},
			"text":  r.text,
		})
	}
	b.text, b.dirty = text, true
	b.version++
	e.tell("textDocument/didChange", object{
		"textDocument":   object{"uri": string(uri.File(path)), "version": b.version},
		"contentChanges": changes,
	})
	return nil
}

// Save writes an open buffer to its file.
func (e *Editor) Save(file string) {
	e.tb.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.save(e.path(file), e.open(file)); err != nil {
		e.tb.Fatalf("save: %v", err)
	}
}

func (e *Editor) save(path string, b *buffer) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, b.bytes(), 0o644); err != nil {
		return err
	}
	b.disk, b.dirty = b.bytes(), false
	e.tell("textDocument/didSave", object{"textDocument": object{"uri": string(uri.File(path))}})
	return nil
}

// Close closes a buffer; what was not saved is lost.
func (e *Editor) Close(file string) {
	e.tb.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open(file)
	e.drop(e.path(file))
}

func (e *Editor) drop(path string) {
	delete(e.buffers, path)
	e.tell("textDocument/didClose", object{"textDocument": object{"uri": string(uri.File(path))}})
}

// NoticeDisk does what an editor's file watcher does: a clean buffer whose file changed is
// read again, one whose file is gone is closed; dirty buffers stay as they are.
func (e *Editor) NoticeDisk() {
	e.tb.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for path, b := range e.buffers {
		if b.dirty {
			continue
		}
		data, err := os.ReadFile(path)
		switch {
		case os.IsNotExist(err):
			e.drop(path)
		case err != nil:
			e.tb.Errorf("read again: %v", err)
		case !bytes.Equal(data, b.disk):
			before := b.text
			b.read(data, e.profile)
			if b.text != before {
				b.version++
				e.tell("textDocument/didChange", object{
					"textDocument":   object{"uri": string(uri.File(path)), "version": b.version},
					"contentChanges": []object{{"text": b.text}},
				})
			}
		}
	}
}

// Buffer is the text of an open buffer.
func (e *Editor) Buffer(file string) string {
	e.tb.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.open(file).text
}

// IsOpen reports whether a file is open, hidden or shown.
func (e *Editor) IsOpen(file string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.buffers[e.path(file)] != nil
}

// IsDirty reports whether a file is open with changes that are not saved.
func (e *Editor) IsDirty(file string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.buffers[e.path(file)]
	return b != nil && b.dirty
}

// Disk is what a file holds on disk.
func (e *Editor) Disk(file string) string {
	e.tb.Helper()
	data, err := os.ReadFile(e.path(file))
	if err != nil {
		e.tb.Fatalf("disk: %v", err)
	}
	return string(data)
}

// open finds an open buffer or fails the test. The lock is held.
func (e *Editor) open(file string) *buffer {
	e.tb.Helper()
	b := e.buffers[e.path(file)]
	if b == nil {
		e.tb.Fatalf("%s is not open in the editor", file)
	}
	return b
}

func (e *Editor) didOpen(path string, b *buffer) {
	e.tell("textDocument/didOpen", object{"textDocument": object{
		"uri": string(uri.File(path)), "languageId": strings.TrimPrefix(filepath.Ext(path), "."),
		"version": b.version, "text": b.text,
	}})
}

// tell sends what the server must hear in order; the lock is held, so that versions go out
// as they were given. A connection that has ended is another's failure.
func (e *Editor) tell(method string, params any) {
	_ = e.conn.Notify(context.Background(), method, params)
}

// isBinary is an editor's rule of thumb: a NUL, or much that is not UTF-8.
func isBinary(data []byte) bool {
	return bytes.IndexByte(data, 0) >= 0 || !utf8.Valid(data) && bytes.Count(bytes.ToValidUTF8(data, []byte{0}), []byte{0}) > 10
}
