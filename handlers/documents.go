package handlers

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"glue-lsp/workspace"
)

// Bounds on what open buffers may hold, so that no client can fill the memory.
const (
	maxDocumentBytes  = 64 << 20
	maxDocumentsBytes = 512 << 20
)

// document is one open buffer of a file: URI.
type document struct {
	path     string // absolute host path: the key, since one file has many URIs
	real     string // path with its links followed
	uri      string // as the client wrote it
	language string
	version  int32
	text     []byte
	starts   []int // of lines, see lineStarts
	shared   bool  // text was handed out: clone before writing to it
	changed  bool  // edited since opened or saved, or unlike the disk when opened
	reloaded bool  // the only change since then may be the editor's, which read the file again
	dropped  bool  // over a bound: the text is not kept
}

// documents are the buffers that the editor has open, as its notifications say.
type documents struct {
	encoding encoding

	mu     sync.Mutex
	byPath map[string]*document
	bytes  int
}

func newDocuments(enc encoding) *documents {
	return &documents{encoding: enc, byPath: map[string]*document{}}
}

// lostTextError says that a buffer's text is not known any more.
type lostTextError struct{ path, why string }

func (e *lostTextError) Error() string {
	path, _ := showPath(e.path)
	return "glue cannot follow the text of " + path + ": " + e.why + ". The file on disk is used instead."
}

// textChange is one entry of contentChanges. Without a range it is the whole text.
type textChange struct {
	Range *textRange `json:"range,omitzero"`
	Text  string     `json:"text"`
}

// open takes a buffer over from the client. onDisk is what the file held at this
// moment, nil when there is none that can be read.
func (d *documents) open(uri, path, language string, version int32, text string, onDisk []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.byPath[path]; old != nil {
		d.bytes -= len(old.text)
	}
	doc := &document{
		path: path, real: resolved(path), uri: strings.Clone(uri), language: strings.Clone(language), version: version,
		changed: onDisk == nil || !sameText([]byte(text), onDisk),
	}
	d.byPath[path] = doc
	return d.setText(doc, []byte(text))
}

// setText replaces the whole text, or drops the document when that is too much.
func (d *documents) setText(doc *document, text []byte) error {
	d.bytes -= len(doc.text)
	doc.text, doc.starts, doc.shared = nil, nil, false
	if len(text) > maxDocumentBytes || d.bytes+len(text) > maxDocumentsBytes {
		doc.dropped = true
		return &lostTextError{doc.path, fmt.Sprintf("its %d bytes are too many", len(text))}
	}
	doc.dropped = false
	doc.text, doc.starts = text, lineStarts(text)
	d.bytes += len(text)
	return nil
}

// change applies a didChange. A change that makes no sense leaves the document
// dropped until the client sends its whole text again: a wrong text must not go up.
func (d *documents) change(path string, version int32, changes []textChange) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	doc := d.byPath[path]
	if doc == nil {
		return fmt.Errorf("%s was changed but is not open", path)
	}
	doc.version = version
	if len(changes) > 0 {
		doc.reloaded = !doc.changed
		doc.changed = true
	}
	for _, c := range changes {
		if err := d.apply(doc, c); err != nil {
			return err
		}
	}
	return nil
}

func (d *documents) apply(doc *document, c textChange) error {
	if c.Range == nil {
		return d.setText(doc, []byte(c.Text))
	}
	if doc.dropped {
		return nil
	}
	start, end, err := c.Range.offsets(doc.text, doc.starts, d.encoding)
	if err != nil {
		d.drop(doc)
		return &lostTextError{doc.path, err.Error()}
	}
	grow := len(c.Text) - (end - start)
	if len(doc.text)+grow > maxDocumentBytes || d.bytes+grow > maxDocumentsBytes {
		d.drop(doc)
		return &lostTextError{doc.path, "it has become too large"}
	}
	if doc.shared {
		doc.text, doc.shared = bytes.Clone(doc.text), false
	}
	doc.text, doc.starts = spliceText(doc.text, doc.starts, start, end, []byte(c.Text))
	d.bytes += grow
	return nil
}

func (d *documents) drop(doc *document) {
	d.bytes -= len(doc.text)
	doc.text, doc.starts, doc.shared, doc.dropped = nil, nil, false, true
}

// forget drops a document whose change could not be read, until its whole text comes. It
// reports whether there was a text to drop.
func (d *documents) forget(path string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	doc := d.byPath[path]
	if doc == nil || doc.dropped {
		return false
	}
	d.drop(doc)
	doc.changed = true
	return true
}

// saved marks a document clean: the disk holds what the buffer holds.
func (d *documents) saved(path string, text *string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	doc := d.byPath[path]
	if doc == nil {
		return
	}
	doc.changed, doc.reloaded = false, false
	if text != nil && *text != string(doc.text) {
		_ = d.setText(doc, []byte(*text)) // too large: dropped, which is all that can be done
	}
}

func (d *documents) close(path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if doc := d.byPath[path]; doc != nil {
		d.bytes -= len(doc.text)
		delete(d.byPath, path)
	}
}

// snapshot gives all buffers as they are at this moment, by path. Their texts are not
// changed later. Dropped ones are left out.
//
// An editor that reads a file again which another program wrote sends a change, and no word
// that nothing is unsaved: a buffer that went to what is on disk by one change counts as
// unchanged. One that held another text in between does not, since its editor takes it for
// unsaved and will not read the file again.
func (d *documents) snapshot() []workspace.Document {
	out, reloaded := d.buffers()
	for i, doc := range out {
		if !reloaded[doc.Path] {
			continue
		}
		if isOnDisk(doc) {
			out[i].Changed = false
			d.settle(doc)
		}
	}
	return out
}

func isOnDisk(doc workspace.Document) bool {
	onDisk := readDisk(doc.Path, maxDocumentBytes)
	return onDisk != nil && sameText(doc.Text, onDisk)
}

// settleReloaded looks whether a document's one change since it was clean was the editor's,
// before the next one could make that unknowable.
func (d *documents) settleReloaded(path string) {
	d.mu.Lock()
	doc := d.byPath[path]
	if doc == nil || !doc.reloaded || doc.dropped {
		d.mu.Unlock()
		return
	}
	doc.shared = true
	as := workspace.Document{Path: doc.path, Version: doc.version, Text: doc.text}
	d.mu.Unlock()
	if isOnDisk(as) {
		d.settle(as)
	}
}

// settle marks a document clean that holds what is on disk, if it is still the same: the
// next write to the file then finds it so, before the editor has reloaded it.
func (d *documents) settle(as workspace.Document) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if doc := d.byPath[as.Path]; doc != nil && doc.reloaded && doc.version == as.Version && bytes.Equal(doc.text, as.Text) {
		doc.changed, doc.reloaded = false, false
	}
}

// buffers also says which of them may have been read again from disk.
func (d *documents) buffers() ([]workspace.Document, map[string]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out, reloaded := make([]workspace.Document, 0, len(d.byPath)), map[string]bool{}
	for _, doc := range d.byPath {
		if doc.dropped {
			continue
		}
		doc.shared = true
		reloaded[doc.path] = doc.reloaded
		out = append(out, workspace.Document{Path: doc.path, Version: doc.version, Text: doc.text, Changed: doc.changed})
	}
	slices.SortFunc(out, func(a, b workspace.Document) int { return cmp.Compare(a.Path, b.Path) })
	return out, reloaded
}

// view is a document's text for reading.
type view struct {
	uri, path, language string
	text                []byte
	starts              []int
}

// view gives a document's text, or false when it is not open or was dropped.
func (d *documents) view(path string) (view, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	doc := d.byPath[path]
	if doc == nil || doc.dropped {
		return view{}, false
	}
	doc.shared = true
	return view{
		uri: doc.uri, path: doc.path, language: doc.language, text: doc.text, starts: slices.Clone(doc.starts),
	}, true
}

// uriOf gives the client's own URI of an open file, "" when it is not open.
func (d *documents) uriOf(path string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if doc := d.byPath[path]; doc != nil {
		return doc.uri
	}
	for _, doc := range d.byPath {
		if doc.real == path {
			return doc.uri
		}
	}
	return ""
}
