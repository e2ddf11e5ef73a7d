package workspace

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"unicode/utf8"

	"glue-lsp/internal/tree"
)

const (
	// defaultMaxFiles is how many closed files an edit may touch: an editor that is
	// given thousands stands still for seconds.
	defaultMaxFiles = 100
	// maxEditorFile is the size in bytes beyond which editors are slow with a file;
	// only buffers that hold unsaved text are edited beyond it.
	maxEditorFile = 1 << 20
)

// assign gives each planned piece to the editor, where that keeps its bytes exactly,
// or else to the disk.
func (p *planner) assign() error {
	if p.r.Mode == ModeBranch {
		return nil
	}
	limit := p.r.MaxFiles
	if limit <= 0 {
		limit = defaultMaxFiles
	}
	if p.r.Caps != nil && p.r.Caps.OpenOnly {
		limit = 0
	}
	a := &assignment{planner: p, left: limit}
	for _, u := range p.taken() {
		if u.there {
			continue
		}
		edited, err := a.toEditor(u)
		if err != nil {
			return err
		}
		if edited || u.out {
			continue
		}
		if p.underText(u) {
			p.refuse(u, "modifyDelete", "it has unsaved text in the editor, which cannot make this change: save it and try again")
			continue
		}
		if err := a.toDisk(u); err != nil {
			return err
		}
	}
	slices.SortStableFunc(p.down.Disk, func(x, y Write) int { return removalsFirst(x.New, y.New) })
	if len(a.edit.Ops)+len(a.edit.Texts) > 0 {
		p.down.Edit = &a.edit
	}
	return nil
}

// assignment is the state of handing out a plan.
type assignment struct {
	*planner
	edit Edit
	left int // closed files that the edit may still touch
}

// toEditor adds a piece to the edit. It is false when the editor could not do it, or
// would not keep the file's bytes. A piece that only the editor may touch, and that it
// cannot do, becomes a conflict.
func (a *assignment) toEditor(u *piece) (bool, error) {
	caps := a.r.Caps
	if caps == nil || a.r.Mode != ModeEdits || u.tangled {
		return false, nil
	}
	doc, open := a.r.Host.Docs[u.Old.Path]
	if caps.UnsavedOnly && !(open && doc.Changed) {
		return false, nil
	}
	if !open && slices.ContainsFunc(u.paths(), func(p string) bool { return !utf8.ValidString(p) }) {
		return false, nil // editors name files by text
	}
	if !caps.DocumentChanges && u.Status != StatusModified {
		return false, nil // nothing could say in which order to do it
	}
	switch u.Status {
	case StatusModified:
		if open {
			return a.editBuffer(u, doc)
		}
		return a.editClosed(u)
	case StatusAdded:
		return caps.Create && a.create(u), nil
	case StatusDeleted:
		return caps.Delete && a.remove(u, doc, open), nil
	case StatusRenamed:
		if !caps.Rename {
			return false, nil
		}
		return a.rename(u, doc, open)
	}
	return false, nil
}

// editBuffer changes the text of an open document.
func (a *assignment) editBuffer(u *piece, doc Document) (bool, error) {
	if !doc.Changed && (u.New.Size > maxEditorFile || u.Old.Size > maxEditorFile || u.Old.Mode != u.New.Mode) {
		return false, nil
	}
	was, want, ok, err := a.both(u, -1)
	if err != nil || !ok {
		return false, err
	}
	text, ok := bufferFor(doc, was, want)
	switch {
	case ok:
		version := doc.Version
		a.text(u, doc.Path, &version, doc.Text, text)
		return true, nil
	case doc.Changed:
		a.refuse(u, "content", "it has unsaved text in the editor, which cannot hold the sandbox's version (encoding, line ends or content): save it and return again")
	}
	return false, nil
}

// bufferFor gives the text that a buffer must hold so that saving it writes want. The
// file's bytes as the merge saw them are was. It is not ok when the buffer is not what
// the merge saw, or no text does that.
func bufferFor(doc Document, was, want []byte) ([]byte, bool) {
	old, form, ok := DecodeDocument(was)
	if !ok || !sameText(old, doc.Text) {
		return nil, false
	}
	text, ok := form.BufferText(doc.Text, want)
	if ok && form.BOM && bytes.HasPrefix(doc.Text, bomUTF8) && !bytes.HasPrefix(text, bomUTF8) {
		text = append(bytes.Clone(bomUTF8), text...) // an editor that shows the mark
	}
	return text, ok
}

// editClosed changes a file that is not open, if the editor writes the same bytes as
// Apply would.
func (a *assignment) editClosed(u *piece) (bool, error) {
	if a.left == 0 || u.Old.Mode != u.New.Mode || isLink(u.New) || u.New.Size > maxEditorFile {
		return false, nil
	}
	was, want, ok, err := a.both(u, maxEditorFile)
	if err != nil || !ok {
		return false, err
	}
	before, after, ok := keptByEditors(was, want)
	if !ok {
		return false, nil
	}
	a.left--
	a.text(u, a.host(u.Path), nil, before, after)
	return true, nil
}

func (a *assignment) create(u *piece) bool {
	if a.left == 0 || u.New.Mode != tree.Regular || u.New.Size > maxEditorFile {
		return false
	}
	if _, open := a.r.Host.Docs[u.Path]; open {
		return false // of a file that is gone from disk: what the editor does then is its own
	}
	want, ok, err := a.contents.get(u.New.Hash, maxEditorFile)
	if err != nil || !ok {
		return false
	}
	_, text, ok := keptByEditors(nil, want)
	if !ok {
		return false
	}
	a.left--
	path := a.host(u.Path)
	a.edit.Ops = append(a.edit.Ops, FileOp{Op: OpCreate, Path: path})
	a.text(u, path, nil, []byte{}, text)
	return true
}

func (a *assignment) remove(u *piece, doc Document, open bool) bool {
	path := a.host(u.Path)
	if isLink(u.Old) || open && filepath.Clean(doc.Path) != path {
		return false // an editor might remove what a link points to, or the link for it
	}
	if !open {
		if a.left == 0 {
			return false
		}
		a.left--
	}
	a.edit.Ops = append(a.edit.Ops, FileOp{Op: OpDelete, Path: path})
	return true
}

func (a *assignment) rename(u *piece, doc Document, open bool) (bool, error) {
	from, to := a.host(u.OldPath), a.host(u.Path)
	if isLink(u.Old) || u.Old.Mode != u.New.Mode || open && filepath.Clean(doc.Path) != from {
		return false, nil
	}
	if a.left == 0 && !open {
		return false, nil
	}
	var before, after []byte
	if u.Old.Hash != u.New.Hash {
		if u.New.Size > maxEditorFile || u.Old.Size > maxEditorFile {
			return false, nil
		}
		was, want, ok, err := a.both(u, maxEditorFile)
		if err != nil || !ok {
			return false, err
		}
		if open {
			before = doc.Text
			after, ok = bufferFor(doc, was, want)
		} else {
			before, after, ok = keptByEditors(was, want)
		}
		if !ok {
			return false, nil
		}
	}
	if !open {
		a.left--
	}
	a.edit.Ops = append(a.edit.Ops, FileOp{Op: OpRename, Path: from, To: to})
	a.text(u, to, nil, before, after)
	return true, nil
}

// text adds a change of text, unless there is none.
func (a *assignment) text(u *piece, path string, version *int32, before, after []byte) {
	if edits := minimalEdits(before, after); len(edits) > 0 {
		change := TextChange{Path: path, Version: version, Text: before, Edits: edits}
		a.edit.Texts = append(a.edit.Texts, change)
		a.texts[u.Path] = &change
	}
}

// keptByEditors gives the texts of a file before and after, if every editor that
// turns one into the other writes exactly the bytes of want: UTF-8, one kind of line
// end which stays as it was, and the same byte order mark. A file that did not exist
// (was is nil) must have what editors give a new one.
func keptByEditors(was, want []byte) (before, after []byte, ok bool) {
	before, old, ok := DecodeDocument(was)
	if !ok || old.Encoding != UTF8 {
		return nil, nil, false
	}
	after, form, ok := DecodeDocument(want)
	if !ok || form.Encoding != UTF8 || form.BOM != old.BOM {
		return nil, nil, false
	}
	if bytes.HasPrefix(before, bomUTF8) || bytes.HasPrefix(after, bomUTF8) {
		return nil, nil, false // editors drop one mark, or all of them
	}
	switch old.Ends {
	case LF, CRLF:
		ok = form.Ends == old.Ends || form.Ends == NoEnds
	case NoEnds: // the editor gives the first line end
		ok = form.Ends == NoEnds || form.Ends == LF && runtime.GOOS != "windows"
	default:
		ok = false
	}
	return before, after, ok
}

// toDisk adds a piece to what Apply writes.
func (a *assignment) toDisk(u *piece) error {
	for _, m := range u.moves() {
		if m.was.Same(m.want) {
			continue
		}
		write := Write{Path: m.path, Expect: at(m.path, m.was), New: at(m.path, m.want), Perm: a.perm(u, m)}
		if m.want.Exists() {
			var err error
			if write.Open, err = a.contents.open(m.want); err != nil {
				return err
			}
		}
		a.down.Disk = append(a.down.Disk, write)
	}
	a.down.DiskChanges = append(a.down.DiskChanges, u.Change)
	return nil
}

// perm gives the permissions that a file had before it was renamed, or before the return
// that is taken back deleted it: one that was private must not become readable by others.
func (a *assignment) perm(u *piece, m move) fs.FileMode {
	perm := a.r.Perms[m.path]
	if u.Status == StatusRenamed && !m.was.Exists() {
		if info, err := os.Lstat(filepath.Join(a.w.Root(), filepath.FromSlash(u.OldPath))); err == nil && perm == 0 {
			perm = info.Mode().Perm()
		}
	}
	if perm == 0 || !isText(m.want) {
		return 0
	}
	perm &^= 0o111
	if m.want.Mode == tree.Executable {
		perm |= perm & 0o444 >> 2
	}
	return perm
}

// both gives a piece's content before and after; max < 0 is no limit.
func (a *assignment) both(u *piece, limit int64) (was, want []byte, ok bool, err error) {
	if was, ok, err = a.contents.get(u.Old.Hash, limit); err != nil || !ok {
		return nil, nil, false, err
	}
	want, ok, err = a.contents.get(u.New.Hash, limit)
	return was, want, ok, err
}

// host gives the absolute path of a file, by the name under which the workspace was
// opened, so that editors find it among their own.
func (a *assignment) host(path string) string {
	root := a.w.alias
	if root == "" {
		root = a.w.Root()
	}
	return filepath.Join(root, filepath.FromSlash(path))
}
