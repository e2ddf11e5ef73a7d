package workspace

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

// wholeEditor is what a modern editor can do.
var wholeEditor = &ClientCaps{Create: true, Rename: true, Delete: true, DocumentChanges: true, Annotations: true}

// trip is a session as the workspace sees it: a host tree, what was agreed on, and
// what the sandbox made of it.
type trip struct {
	*host
	w      *Workspace
	s      *Store
	agreed string
	theirs map[string]string // as contents shows a tree
	docs   []Document
}

// newTrip sends the files up.
func newTrip(t testing.TB, files ...string) *trip {
	t.Helper()
	h := newRepo(t, files...)
	return h.trip(h.open())
}

func (h *host) trip(w *Workspace) *trip {
	h.Helper()
	tr := &trip{host: h, w: w, s: h.store()}
	tr.agreed = h.snap(w, tr.s).Tree
	tr.theirs = contents(h, tr.s, tr.agreed)
	return tr
}

// inside changes the sandbox's tree; "" removes a file.
func (tr *trip) inside(files ...string) *trip {
	for i := 0; i < len(files); i += 2 {
		if files[i+1] == "" {
			delete(tr.theirs, files[i])
		} else {
			tr.theirs[files[i]] = files[i+1]
		}
	}
	return tr
}

// plan plans a return; with changes the request as the test needs it.
func (tr *trip) plan(with ...func(*DownRequest)) *Down {
	tr.Helper()
	r := DownRequest{Agreed: tr.agreed, Host: tr.snap(tr.w, tr.s, tr.docs...), Theirs: makeTree(tr, tr.s, tr.theirs), Caps: wholeEditor}
	for _, f := range with {
		f(&r)
	}
	d, err := tr.w.PlanDown(context.Background(), tr.s, r)
	if err != nil {
		tr.Fatal(err)
	}
	return d
}

func disk(r *DownRequest)                    { r.Caps, r.Mode = nil, ModeDisk }
func confirm(p ...string) func(*DownRequest) { return func(r *DownRequest) { r.Confirm = p } }

// take carries a plan out as an editor and Apply do, saves, and reads back.
func (tr *trip) take(d *Down) map[string]string {
	tr.Helper()
	e := &fakeEditor{TB: tr, docs: tr.docs}
	e.apply(d.Edit)
	if err := tr.w.Apply(context.Background(), d.Disk); err != nil {
		tr.Fatal(err)
	}
	tr.docs = e.docs
	unsaved := tr.verdicts(d)
	e.saveAll()
	tr.docs = e.docs
	saved := tr.verdicts(d)
	if diff := cmp.Diff(unsaved, saved); diff != "" {
		tr.Errorf("saving changed what was read back (-before +after):\n%s", diff)
	}
	return saved
}

func (tr *trip) verdicts(d *Down) map[string]string {
	tr.Helper()
	verdicts, err := tr.w.ReadBack(context.Background(), tr.s, d.Targets, tr.docs)
	if err != nil {
		tr.Fatal(err)
	}
	out := map[string]string{}
	for _, v := range verdicts {
		out[v.Path] = v.Outcome
	}
	return out
}

// onDisk is the host's tree now, as contents shows one.
func (tr *trip) onDisk() map[string]string {
	tr.Helper()
	return contents(tr, tr.s, tr.snap(tr.w, tr.s, tr.docs...).Tree)
}

func (tr *trip) read(name string) string {
	tr.Helper()
	b, err := os.ReadFile(tr.path(name))
	if err != nil {
		tr.Fatal(err)
	}
	return string(b)
}

// open opens a file in the editor as it is on disk.
func (tr *trip) openFile(name string) {
	tr.Helper()
	text, _, ok := DecodeDocument([]byte(tr.read(name)))
	if !ok {
		text = bytes.ToValidUTF8([]byte(tr.read(name)), []byte("\uFFFD"))
	}
	tr.docs = append(tr.docs, Document{Path: tr.path(name), Version: 1, Text: bytes.Clone(text)})
}

// typeIn gives an open file unsaved text.
func (tr *trip) typeIn(name, text string) {
	tr.Helper()
	for i := range tr.docs {
		if tr.docs[i].Path == tr.path(name) {
			tr.docs[i].Text, tr.docs[i].Changed = []byte(text), true
			tr.docs[i].Version++
			return
		}
	}
	tr.Fatalf("%s is not open", name)
}

// fakeEditor applies edits the way the protocol says, and fails the test where an
// editor would refuse or lose something.
type fakeEditor struct {
	testing.TB
	docs []Document
}

func (e *fakeEditor) doc(path string) *Document {
	i := slices.IndexFunc(e.docs, func(d Document) bool { return d.Path == path })
	if i < 0 {
		return nil
	}
	return &e.docs[i]
}

func (e *fakeEditor) apply(edit *Edit) {
	e.Helper()
	if edit == nil {
		return
	}
	if len(edit.Ops)+len(edit.Texts) == 0 {
		e.Fatal("an edit of nothing is answered with applied: false")
	}
	touched := map[string]bool{}
	for _, op := range edit.Ops {
		for _, path := range []string{op.Path, op.To} {
			if path != "" && touched[path] {
				e.Fatalf("%s is in two operations", path)
			}
			touched[path] = true
		}
		e.operate(op)
	}
	texts := map[string]bool{}
	for _, change := range edit.Texts {
		if texts[change.Path] {
			e.Fatalf("%s is changed twice", change.Path)
		}
		texts[change.Path] = true
		e.change(change)
	}
}

func (e *fakeEditor) operate(op FileOp) {
	e.Helper()
	if d := e.doc(op.Path); d != nil && d.Changed {
		e.Fatalf("%s of %s loses unsaved text", op.Op, op.Path)
	}
	var err error
	switch op.Op {
	case OpCreate:
		if _, statErr := os.Lstat(op.Path); statErr == nil {
			e.Fatalf("%s exists", op.Path)
		}
		if err = os.MkdirAll(filepath.Dir(op.Path), 0o755); err == nil {
			err = os.WriteFile(op.Path, nil, 0o644)
		}
	case OpRename:
		if _, statErr := os.Lstat(op.To); statErr == nil {
			e.Fatalf("%s exists", op.To)
		}
		if err = os.MkdirAll(filepath.Dir(op.To), 0o755); err == nil {
			err = os.Rename(op.Path, op.To)
		}
		if d := e.doc(op.Path); d != nil {
			d.Path, d.Version = op.To, 0
		}
	case OpDelete:
		err = os.Remove(op.Path)
		e.docs = slices.DeleteFunc(e.docs, func(d Document) bool { return d.Path == op.Path })
	default:
		e.Fatalf("unknown operation %q", op.Op)
	}
	if err != nil {
		e.Fatal(err)
	}
}

func (e *fakeEditor) change(c TextChange) {
	e.Helper()
	if d := e.doc(c.Path); d != nil {
		if c.Version != nil && *c.Version != d.Version {
			e.Fatalf("%s: the edit is for version %d, the buffer has %d", c.Path, *c.Version, d.Version)
		}
		if string(d.Text) != string(c.Text) {
			e.Fatalf("%s: the edit is for %q, the buffer holds %q", c.Path, c.Text, d.Text)
		}
		d.Text, d.Changed = applyEdits(e, c.Text, c.Edits), true
		d.Version++
		return
	}
	if c.Version != nil {
		e.Fatalf("%s is not open but the edit has a version", c.Path)
	}
	b, err := os.ReadFile(c.Path)
	if err != nil {
		e.Fatal(err)
	}
	text, form, ok := DecodeDocument(b)
	if !ok || string(text) != string(c.Text) {
		e.Fatalf("%s: the edit is for %q, the file holds %q", c.Path, c.Text, text)
	}
	out, err := form.Encode(applyEdits(e, c.Text, c.Edits))
	if err != nil {
		e.Fatal(err)
	}
	if err := os.WriteFile(c.Path, out, 0o644); err != nil {
		e.Fatal(err)
	}
}

// saveAll writes changed buffers the way editors do, in the file's form.
func (e *fakeEditor) saveAll() {
	e.Helper()
	for i := range e.docs {
		d := &e.docs[i]
		if !d.Changed {
			continue
		}
		b, err := os.ReadFile(d.Path)
		if err != nil {
			e.Fatal(err)
		}
		out, err := overlay(b, d.Text)
		if err != nil {
			e.Fatal(err)
		}
		if err := os.WriteFile(d.Path, out, 0o644); err != nil {
			e.Fatal(err)
		}
		d.Changed = false
	}
}

func applyEdits(t testing.TB, text []byte, edits []TextEdit) []byte {
	t.Helper()
	var out []byte
	at := 0
	for _, e := range edits {
		if e.Start < at || e.End < e.Start || e.End > len(text) {
			t.Fatalf("edit %+v overlaps or lies outside of %d bytes", e, len(text))
		}
		out = append(append(out, text[at:e.Start]...), e.New...)
		at = e.End
	}
	return append(out, text[at:]...)
}

// statuses shows changes as "status path" and, of renames, where from.
func statuses(changes []Change) []string {
	out := []string{}
	for _, c := range changes {
		line := c.Status + " " + c.Path
		if c.OldPath != "" {
			line += " from " + c.OldPath
		}
		out = append(out, line)
	}
	return out
}

func reasons(d *Down) map[string]tree.Reason {
	out := map[string]tree.Reason{}
	for _, s := range d.Skipped {
		out[s.Path] = s.Reason
	}
	return out
}

func conflictKinds(d *Down) map[string]string {
	out := map[string]string{}
	for _, c := range d.Conflicts {
		out[c.Path] = c.Kind
	}
	return out
}

// inEdit are the files of an edit, relative to the root.
func (tr *trip) inEdit(d *Down) []string {
	paths := map[string]bool{}
	if d.Edit != nil {
		for _, op := range d.Edit.Ops {
			paths[op.Op+" "+strings.TrimPrefix(op.Path, tr.dir+"/")] = true
		}
		for _, text := range d.Edit.Texts {
			paths["text "+strings.TrimPrefix(text.Path, tr.dir+"/")] = true
		}
	}
	return slices.Sorted(maps.Keys(paths))
}

func diskPaths(d *Down) []string {
	out := []string{}
	for _, write := range d.Disk {
		out = append(out, write.Path)
	}
	slices.Sort(out)
	return out
}

func same(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
