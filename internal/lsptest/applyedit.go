package lsptest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.lsp.dev/uri"

	"glue-lsp/internal/wire"
)

// AnswerEdits is what the person does when the server wants to change something.
type AnswerEdits int

// Ways to answer workspace/applyEdit.
const (
	Apply  AnswerEdits = iota // do it
	Refuse                    // say no
	Hang                      // never answer
	Later                     // do it once ReleaseEdits is called
)

// AnswerEdits sets how edits from now on are answered; the beginning is Apply.
func (e *Editor) AnswerEdits(how AnswerEdits) {
	e.change(func(*State) { e.answerEdits = how })
}

// ReleaseEdits lets the edits that wait because of Later be applied.
func (e *Editor) ReleaseEdits() {
	e.change(func(*State) {
		close(e.released)
		e.released = make(chan struct{})
	})
}

// SaveCleanFiles makes the editor save, after each edit, the files that had no unsaved
// changes before it, and close again those that the edit opened: what the VS Code
// extension's middleware does.
func (e *Editor) SaveCleanFiles() {
	e.change(func(*State) { e.saveClean = true })
}

// OnConfirm is the person in front of a preview: it ticks changes by their annotation's
// label and file. Without it nothing that needs confirmation is ticked.
func (e *Editor) OnConfirm(tick func(label, file string) bool) {
	e.change(func(*State) { e.confirm = tick })
}

// The shapes of LSP 3.18 "WorkspaceEdit". Unknown fields are errors: a misspelt one would
// otherwise do nothing, quietly.
type (
	applyEditParams struct {
		Label    string          `json:"label"`
		Edit     workspaceEdit   `json:"edit"`
		Metadata json.RawMessage `json:"metadata"`
	}
	workspaceEdit struct {
		Changes           map[string][]textEdit `json:"changes"`
		DocumentChanges   []documentChange      `json:"documentChanges"`
		ChangeAnnotations map[string]annotation `json:"changeAnnotations"`
	}
	annotation struct {
		Label             string `json:"label"`
		NeedsConfirmation bool   `json:"needsConfirmation"`
		Description       string `json:"description"`
	}
	// documentChange is a TextDocumentEdit (no kind) or one of the file operations.
	documentChange struct {
		Kind         string            `json:"kind"`
		TextDocument *versionedFile    `json:"textDocument"`
		Edits        []textEdit        `json:"edits"`
		URI          string            `json:"uri"`
		OldURI       string            `json:"oldUri"`
		NewURI       string            `json:"newUri"`
		Options      *operationOptions `json:"options"`
		AnnotationID string            `json:"annotationId"`
	}
	versionedFile struct {
		URI     string `json:"uri"`
		Version *int32 `json:"version"`
	}
	textEdit struct {
		Range        Range  `json:"range"`
		NewText      string `json:"newText"`
		AnnotationID string `json:"annotationId"`
	}
	operationOptions struct {
		Overwrite         bool `json:"overwrite"`
		IgnoreIfExists    bool `json:"ignoreIfExists"`
		Recursive         bool `json:"recursive"`
		IgnoreIfNotExists bool `json:"ignoreIfNotExists"`
	}
	applyEditResult struct {
		Applied       bool   `json:"applied"`
		FailureReason string `json:"failureReason,omitzero"`
	}
)

// target is the file that a change is about.
func (c documentChange) target() string {
	switch {
	case c.TextDocument != nil:
		return c.TextDocument.URI
	case c.Kind == "rename":
		return c.NewURI
	default:
		return c.URI
	}
}

// applyEdit serves workspace/applyEdit.
func (e *Editor) applyEdit(ctx context.Context, raw json.RawMessage) (any, error) {
	var p applyEditParams
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		e.tb.Errorf("workspace/applyEdit: %v in %s", err, raw)
		return nil, wire.Errorf(wire.InvalidParams, "%v", err)
	}
	var how AnswerEdits
	var released chan struct{}
	var profile Profile
	e.change(func(s *State) {
		how, released, profile = e.answerEdits, e.released, e.profile
		s.Asked++
	})
	if !profile.ApplyEdit {
		e.tb.Errorf("workspace/applyEdit was sent to a client that does not declare it")
	}
	switch how {
	case Refuse:
		e.change(func(s *State) { s.Edits = append(s.Edits, Applied{Label: p.Label}) })
		return applyEditResult{FailureReason: "the person refused"}, nil
	case Hang:
		e.change(func(s *State) { s.Edits = append(s.Edits, Applied{Label: p.Label}) })
		<-ctx.Done()
		return nil, ctx.Err()
	case Later:
		select {
		case <-released:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	changes, err := e.plan(p.Edit, profile)
	if errors.Is(err, errHangs) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, wire.Errorf(wire.InternalError, "%v", err)
	}
	done, err := e.carryOut(changes)
	if err != nil {
		e.journal.note("editor: the edit was not applied: %v", err)
	}
	e.change(func(s *State) { s.Edits = append(s.Edits, Applied{Label: p.Label, Applied: err == nil, Files: done}) })
	return applyEditResult{Applied: err == nil}, nil
}

// errHangs is a client that throws away a request without an answer.
var errHangs = errors.New("the client never answers this")

// plan turns an edit into the changes to make, after asking the person where that is due.
func (e *Editor) plan(edit workspaceEdit, p Profile) ([]documentChange, error) {
	changes := edit.DocumentChanges
	if changes != nil && !p.DocumentChanges {
		e.tb.Errorf("documentChanges were sent to a client that does not declare them")
	}
	if changes == nil {
		for _, u := range slices.Sorted(maps.Keys(edit.Changes)) {
			changes = append(changes, documentChange{TextDocument: &versionedFile{URI: u}, Edits: edit.Changes[u]})
		}
	}
	if edit.ChangeAnnotations != nil && p.Annotations == Undeclared {
		e.tb.Errorf("change annotations were sent to a client that does not declare them")
	}
	for _, c := range changes {
		if c.Kind == "" && c.TextDocument == nil {
			e.tb.Errorf("a document change is neither text nor a file operation")
			return nil, errors.New("malformed documentChanges")
		}
		if c.Kind == "" || slices.Contains(p.Operations, c.Kind) {
			continue
		}
		e.tb.Errorf("%s was sent to a client that does not declare it", c.Kind)
		if p.Unable == NeverAnswers {
			return nil, errHangs
		}
		return nil, fmt.Errorf("unsupported document change %s", c.Kind)
	}
	if p.Annotations == Prompt {
		changes = e.ticked(changes, edit.ChangeAnnotations)
	}
	return changes, nil
}

// ticked leaves out what needs confirmation and does not get it.
func (e *Editor) ticked(changes []documentChange, notes map[string]annotation) []documentChange {
	e.mu.Lock()
	confirm := e.confirm
	e.mu.Unlock()
	wanted := func(id, target string) bool {
		note, known := notes[id]
		if id != "" && !known {
			e.tb.Errorf("a change names annotation %q, which is not there", id)
		}
		if !note.NeedsConfirmation {
			return true
		}
		file, err := e.pathOf(target)
		return err == nil && confirm != nil && confirm(note.Label, e.name(file))
	}
	var kept []documentChange
	for _, c := range changes {
		if !wanted(c.AnnotationID, c.target()) {
			continue
		}
		if c.Kind == "" {
			c.Edits = slices.DeleteFunc(slices.Clone(c.Edits), func(t textEdit) bool { return !wanted(t.AnnotationID, c.target()) })
			if len(c.Edits) == 0 {
				continue
			}
		}
		kept = append(kept, c)
	}
	return kept
}

// carryOut makes the changes and names the files touched. Like VS Code, it looks at all
// versions first, makes runs of text changes wholly or not at all, and stops where
// something fails, with what was done before left done.
func (e *Editor) carryOut(changes []documentChange) (done []string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(changes) == 0 {
		return nil, errors.New("there is nothing in the edit")
	}
	for _, c := range changes {
		if err := e.checkVersion(c.TextDocument); err != nil {
			return nil, err
		}
	}
	wasClean := map[string]bool{}
	for len(changes) > 0 {
		texts := 0
		for texts < len(changes) && changes[texts].Kind == "" {
			texts++
		}
		if texts > 0 {
			files, err := e.changeTexts(changes[:texts], wasClean)
			done = append(done, files...)
			if err != nil {
				return done, err
			}
			changes = changes[texts:]
			continue
		}
		file, err := e.operate(changes[0])
		if err != nil {
			return done, err
		}
		done = append(done, file)
		changes = changes[1:]
	}
	if e.saveClean {
		err = e.saveFiles(wasClean)
	}
	slices.Sort(done)
	return slices.Compact(done), err
}

func (e *Editor) checkVersion(f *versionedFile) error {
	if f == nil || f.Version == nil {
		return nil
	}
	path, err := e.pathOf(f.URI)
	if err != nil {
		return err
	}
	if b := e.buffers[path]; b != nil && b.version != *f.Version {
		return fmt.Errorf("%s is at version %d, the edit is for %d", e.name(path), b.version, *f.Version)
	}
	return nil
}

// changeTexts changes texts, of which files that are not open are opened, hidden. What was
// without unsaved changes before is put into wasClean.
func (e *Editor) changeTexts(changes []documentChange, wasClean map[string]bool) ([]string, error) {
	edits := map[string][]textEdit{}
	for _, c := range changes {
		path, err := e.pathOf(c.TextDocument.URI)
		if err != nil {
			return nil, err
		}
		edits[path] = append(edits[path], c.Edits...)
	}
	paths := slices.Sorted(maps.Keys(edits))
	planned := map[string][]replacement{}
	for _, path := range paths {
		text, err := e.textOf(path)
		if err != nil {
			return nil, err
		}
		for _, t := range edits[path] {
			planned[path] = append(planned[path], replacement{
				offsetAt(text, t.Range.Start, e.encoding), offsetAt(text, t.Range.End, e.encoding), t.NewText,
			})
		}
		if _, err := replace(text, planned[path]); err != nil {
			return nil, fmt.Errorf("%s: %w", e.name(path), err)
		}
	}
	var done []string
	for _, path := range paths {
		b := e.buffers[path]
		if _, seen := wasClean[path]; !seen {
			wasClean[path] = b == nil || !b.dirty
		}
		if b == nil {
			var err error
			if b, err = e.load(path); err != nil {
				return done, err
			}
			b.hidden = true
		}
		if err := e.edit(path, b, planned[path]); err != nil {
			return done, err
		}
		done = append(done, e.name(path))
	}
	return done, nil
}

// textOf is a file's text as its buffer is, or would be.
func (e *Editor) textOf(path string) (string, error) {
	if b := e.buffers[path]; b != nil {
		return b.text, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if isBinary(data) {
		return "", fmt.Errorf("%s is binary", e.name(path))
	}
	var b buffer
	b.read(data, e.profile)
	return b.text, nil
}

// operate creates, renames or deletes. The unsaved text of a buffer in the way is lost, as
// it is in VS Code.
func (e *Editor) operate(c documentChange) (string, error) {
	var o operationOptions
	if c.Options != nil {
		o = *c.Options
	}
	path, err := e.pathOf(c.target())
	if err != nil {
		return "", err
	}
	_, statErr := os.Lstat(path)
	exists := statErr == nil
	switch c.Kind {
	case "create":
		if exists && !o.Overwrite {
			return e.name(path), inTheWay(path, o)
		}
		e.forget(path)
		return e.name(path), writeNew(path)
	case "rename":
		if exists && !o.Overwrite {
			return e.name(path), inTheWay(path, o)
		}
		from, err := e.pathOf(c.OldURI)
		if err != nil {
			return "", err
		}
		return e.name(path), e.rename(from, path)
	case "delete":
		if !exists && o.IgnoreIfNotExists {
			return e.name(path), nil
		}
		e.forget(path)
		if o.Recursive && exists {
			return e.name(path), os.RemoveAll(path)
		}
		return e.name(path), os.Remove(path)
	}
	return "", fmt.Errorf("no such file operation: %q", c.Kind)
}

func inTheWay(path string, o operationOptions) error {
	if o.IgnoreIfExists {
		return nil
	}
	return fmt.Errorf("%s: %w", path, fs.ErrExist)
}

func writeNew(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, nil, 0o644)
}

// rename moves a file or folder, with the buffers in it.
func (e *Editor) rename(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	e.forget(to)
	if err := os.Rename(from, to); err != nil {
		return err
	}
	for path, b := range e.buffers {
		rest, below := strings.CutPrefix(path, from)
		if !below || rest != "" && rest[0] != filepath.Separator {
			continue
		}
		e.drop(path)
		b.version = 1
		e.buffers[to+rest] = b
		e.didOpen(to+rest, b)
	}
	return nil
}

// forget closes a buffer, or those below a folder, without saving.
func (e *Editor) forget(path string) {
	for open := range e.buffers {
		if open == path || strings.HasPrefix(open, path+string(filepath.Separator)) {
			e.drop(open)
		}
	}
}

// saveFiles saves the changed files that were clean before, and closes what nobody sees.
func (e *Editor) saveFiles(wasClean map[string]bool) error {
	for _, path := range slices.Sorted(maps.Keys(wasClean)) {
		b := e.buffers[path]
		if b == nil || !wasClean[path] {
			continue
		}
		if err := e.save(path, b); err != nil {
			return err
		}
		if b.hidden {
			e.drop(path)
		}
	}
	return nil
}

// pathOf is the file that a URI from the server names.
func (e *Editor) pathOf(u string) (string, error) {
	parsed, err := uri.ParseStrict(u)
	if err != nil {
		return "", err
	}
	if parsed.Scheme() != "file" {
		return "", fmt.Errorf("%s is not a file", u)
	}
	return parsed.FsPath(), nil
}
