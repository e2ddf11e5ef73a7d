package handlers

import (
	"bytes"
	"strconv"

	"go.lsp.dev/protocol"
	"go.lsp.dev/uri"

	"glue-lsp/workspace"
)

// protocolURI hands a URI over as it is: the uri package's own constructors would
// re-encode it.
func protocolURI(u string) uri.URI { return uri.URI(u) }

// toWorkspaceEdit translates an edit for a client: positions in its encoding, file
// operations first, then texts, what needs a yes grouped by its reason. uriOf gives the
// client's own name of a file.
func toWorkspaceEdit(e *workspace.Edit, c client, uriOf func(path string) string) *protocol.WorkspaceEdit {
	if len(e.Ops) == 0 && len(e.Texts) == 0 {
		return nil // an edit without changes makes some clients answer applied: false
	}
	out := &protocol.WorkspaceEdit{}
	if !c.edit.DocumentChanges {
		out.Changes = map[uri.URI][]protocol.TextEdit{}
		for _, t := range e.Texts {
			u := protocolURI(uriOf(t.Path))
			out.Changes[u] = append(out.Changes[u], toTextEdits(t, c.encoding)...)
		}
		return out
	}
	notes := annotations{on: c.edit.Annotations}
	for _, op := range e.Ops {
		out.DocumentChanges = append(out.DocumentChanges, toFileOperation(op, notes.id(op.Confirm), uriOf))
	}
	for _, t := range e.Texts {
		out.DocumentChanges = append(out.DocumentChanges, toDocumentEdit(t, c.encoding, notes.id(t.Confirm), uriOf))
	}
	out.ChangeAnnotations = notes.all
	return out
}

// annotations gives each reason for which a person is asked one annotation.
type annotations struct {
	on  bool
	all map[protocol.ChangeAnnotationIdentifier]protocol.ChangeAnnotation
	ids map[string]protocol.ChangeAnnotationIdentifier
}

func (a *annotations) id(reason string) protocol.ChangeAnnotationIdentifier {
	if reason == "" || !a.on {
		return ""
	}
	if id, ok := a.ids[reason]; ok {
		return id
	}
	if a.all == nil {
		a.all = map[protocol.ChangeAnnotationIdentifier]protocol.ChangeAnnotation{}
		a.ids = map[string]protocol.ChangeAnnotationIdentifier{}
	}
	id := protocol.ChangeAnnotationIdentifier("glue-" + strconv.Itoa(len(a.all)+1))
	a.ids[reason] = id
	a.all[id] = protocol.ChangeAnnotation{Label: reason, NeedsConfirmation: ptr(true)}
	return id
}

// toFileOperation never overwrites: where something is in the way, the edit must fail
// rather than lose it.
func toFileOperation(op workspace.FileOp, note protocol.ChangeAnnotationIdentifier, uriOf func(string) string) protocol.DocumentChange {
	common := protocol.ResourceOperation{Kind: op.Op, AnnotationID: note}
	switch op.Op {
	case "create":
		return &protocol.CreateFile{ResourceOperation: common, Kind: op.Op, URI: protocolURI(uriOf(op.Path))}
	case "rename":
		return &protocol.RenameFile{
			ResourceOperation: common, Kind: op.Op, OldURI: protocolURI(uriOf(op.Path)), NewURI: protocolURI(uriOf(op.To)),
		}
	default:
		return &protocol.DeleteFile{
			ResourceOperation: common, Kind: "delete", URI: protocolURI(uriOf(op.Path)),
			Options: &protocol.DeleteFileOptions{IgnoreIfNotExists: ptr(true)},
		}
	}
}

func toDocumentEdit(t workspace.TextChange, enc encoding, note protocol.ChangeAnnotationIdentifier, uriOf func(string) string) protocol.DocumentChange {
	edits := toTextEdits(t, enc)
	out := &protocol.TextDocumentEdit{
		TextDocument: protocol.OptionalVersionedTextDocumentIdentifier{
			TextDocumentIdentifier: protocol.TextDocumentIdentifier{URI: protocolURI(uriOf(t.Path))}, Version: t.Version,
		},
		Edits: make([]protocol.TextDocumentEditElement, len(edits)),
	}
	for i := range edits {
		if note == "" {
			out.Edits[i] = &edits[i]
		} else {
			out.Edits[i] = &protocol.AnnotatedTextEdit{TextEdit: edits[i], AnnotationID: note}
		}
	}
	return out
}

func toTextEdits(t workspace.TextChange, enc encoding) []protocol.TextEdit {
	text, skip := t.Text, 0
	if t.Version == nil && bytes.HasPrefix(text, bom) {
		// An editor that opens the file keeps the byte order mark apart from its text.
		text, skip = text[len(bom):], len(bom)
	}
	starts := lineStarts(text)
	out := make([]protocol.TextEdit, len(t.Edits))
	for i, e := range t.Edits {
		start, end, insert := widenOverLineEnds(text, e.Start-skip, e.End-skip, e.New)
		out[i] = protocol.TextEdit{
			Range: protocol.Range{
				Start: positionAt(text, starts, start, enc),
				End:   positionAt(text, starts, end, enc),
			},
			NewText: insert,
		}
	}
	return out
}

// widenOverLineEnds moves the ends of an edit out of a CRLF: no position lies between
// its two characters (LSP 3.18, "Position").
func widenOverLineEnds(text []byte, start, end int, insert string) (int, int, string) {
	start, end = min(max(start, 0), len(text)), min(max(end, 0), len(text))
	inside := func(at int) bool {
		return at > 0 && at < len(text) && text[at-1] == '\r' && text[at] == '\n'
	}
	if inside(start) {
		start--
		insert = "\r" + insert
	}
	if inside(end) {
		end++
		insert += "\n"
	}
	return start, end, insert
}
