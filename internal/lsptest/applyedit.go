package lsptest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

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
