package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.lsp.dev/protocol"

	"glue-lsp/internal/wire"
	"glue-lsp/session"
	"glue-lsp/workspace"
)

// edited translates an edit and gives what goes over the wire.
func edited(t *testing.T, e *workspace.Edit, c client) any {
	t.Helper()
	raw, err := protocol.Marshal(toWorkspaceEdit(e, c, fileURI))
	if err != nil {
		t.Fatal(err)
	}
	return into[any](t, raw)
}

func everything(enc encoding) client {
	return client{encoding: enc, applyEdit: true, edit: workspace.ClientCaps{Create: true, Rename: true, Delete: true, DocumentChanges: true, Annotations: true}}
}

func TestEditsPutFileOperationsFirstAndAskByReason(t *testing.T) {
	version := int32(7)
	e := &workspace.Edit{
		Ops: []workspace.FileOp{
			{Op: "create", Path: "/w/new #1.txt"},
			{Op: "rename", Path: "/w/a", To: "/w/b"},
			{Op: "delete", Path: "/w/gr\xFC.txt", Confirm: "runs on build"},
		},
		Texts: []workspace.TextChange{
			{Path: "/w/new #1.txt", Edits: []workspace.TextEdit{{New: "hi\n"}}},
			{Path: "/w/open", Version: &version, Text: []byte("ä€𝄞\r\nend"), Edits: []workspace.TextEdit{{Start: 5, End: 9, New: "x"}, {Start: 11, End: 14, New: ""}}, Confirm: "runs on build"},
		},
	}
	want := `{"documentChanges":[
		{"kind":"create","uri":"file:///w/new%20%231.txt"},
		{"kind":"rename","oldUri":"file:///w/a","newUri":"file:///w/b"},
		{"kind":"delete","uri":"file:///w/gr%FC.txt","annotationId":"glue-1","options":{"ignoreIfNotExists":true}},
		{"textDocument":{"uri":"file:///w/new%20%231.txt","version":null},"edits":[
			{"range":{"start":{"line":0,"character":0},"end":{"line":0,"character":0}},"newText":"hi\n"}]},
		{"textDocument":{"uri":"file:///w/open","version":7},"edits":[
			{"range":{"start":{"line":0,"character":2},"end":{"line":0,"character":4}},"newText":"x","annotationId":"glue-1"},
			{"range":{"start":{"line":1,"character":0},"end":{"line":1,"character":3}},"newText":"","annotationId":"glue-1"}]}],
		"changeAnnotations":{"glue-1":{"label":"runs on build","needsConfirmation":true}}}`
	if diff := cmp.Diff(into[any](t, json.RawMessage(want)), edited(t, e, everything(utf16Units))); diff != "" {
		t.Error(diff)
	}
}

func TestEditsForClientsThatOnlyKnowChanges(t *testing.T) {
	e := &workspace.Edit{Texts: []workspace.TextChange{{Path: "/w/a", Text: []byte("𝄞b"), Edits: []workspace.TextEdit{{Start: 4, End: 5, New: "c"}}, Confirm: "x"}}}
	want := `{"changes":{"file:///w/a":[{"range":{"start":{"line":0,"character":4},"end":{"line":0,"character":5}},"newText":"c"}]}}`
	if diff := cmp.Diff(into[any](t, json.RawMessage(want)), edited(t, e, client{encoding: utf8Units})); diff != "" {
		t.Error(diff)
	}
	if got := toWorkspaceEdit(&workspace.Edit{}, everything(utf8Units), fileURI); got != nil {
		t.Errorf("an edit without changes is %+v", got)
	}
}

func TestF31_AByteOrderMarkDoesNotShiftAClosedFilesPositions(t *testing.T) {
	change := workspace.TextChange{Path: "/w/a", Text: []byte("\xEF\xBB\xBFab\nc"), Edits: []workspace.TextEdit{{Start: 4, End: 5, New: "x"}, {Start: 6, End: 7, New: "y"}}}
	got := toTextEdits(change, utf16Units)
	want := []protocol.TextEdit{
		{Range: protocol.Range{Start: protocol.Position{Character: 1}, End: protocol.Position{Character: 2}}, NewText: "x"},
		{Range: protocol.Range{Start: protocol.Position{Line: 1}, End: protocol.Position{Line: 1, Character: 1}}, NewText: "y"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestR6_AnEditNeverEndsInsideACRLF(t *testing.T) {
	// LF of the first CRLF is removed; the position between CR and LF does not exist.
	text := []byte("a\r\nb\r\n")
	got := toTextEdits(workspace.TextChange{Text: text, Edits: []workspace.TextEdit{{Start: 2, End: 3, New: ""}, {Start: 4, End: 5, New: ""}}}, utf8Units)
	want := []protocol.TextEdit{
		{Range: protocol.Range{Start: protocol.Position{Character: 1}, End: protocol.Position{Line: 1}}, NewText: "\r"},
		{Range: protocol.Range{Start: protocol.Position{Line: 1, Character: 1}, End: protocol.Position{Line: 2}}, NewText: "\n"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func applyTo(t *testing.T, capabilities string, after func(time.Duration) <-chan time.Time, answer func(context.Context) (any, error)) (*testClient, *editor) {
	t.Helper()
	c := connect(t, Options{After: after})
	c.answer = func(ctx context.Context, method string, _ json.RawMessage) (any, error) {
		if method != "workspace/applyEdit" {
			return nil, nil
		}
		return answer(ctx)
	}
	c.initialize(`{"capabilities":` + capabilities + `}`)
	return c, &editor{s: c.server}
}

const (
	canApply    = `{"workspace":{"applyEdit":true,"workspaceEdit":{"documentChanges":true,"resourceOperations":["create","delete"],"changeAnnotationSupport":{}}},"textDocument":{"codeAction":{"honorsChangeAnnotations":true}}}`
	oneEditPath = "/w/a"
)

func oneEdit(confirm string) *workspace.Edit {
	return &workspace.Edit{Texts: []workspace.TextChange{{Path: oneEditPath, Text: []byte("a"), Edits: []workspace.TextEdit{{End: 1, New: "b"}}, Confirm: confirm}}}
}

func TestTheEditorsAnswerIsAHint(t *testing.T) {
	for name, x := range map[string]struct {
		answer  func(context.Context) (any, error)
		applied bool
		reason  string
		err     error
	}{
		"applied": {func(context.Context) (any, error) { return map[string]any{"applied": true}, nil }, true, "", nil},
		"refused": {func(context.Context) (any, error) {
			return map[string]any{"applied": false, "failureReason": "stale"}, nil
		}, false, "stale", nil},
		"an error as eglot answers": {func(context.Context) (any, error) {
			return nil, wire.Errorf(wire.InternalError, "unsupported operation")
		}, false, "", session.ErrUnable},
	} {
		t.Run(name, func(t *testing.T) {
			c, e := applyTo(t, canApply, nil, x.answer)
			applied, reason, err := e.ApplyEdit(testContext(t), "Return changes", oneEdit(""))
			if applied != x.applied || reason != x.reason || !errors.Is(err, x.err) {
				t.Errorf("%v %q %v", applied, reason, err)
			}
			sent := c.await("workspace/applyEdit", contains(`"label":"Return changes"`))
			if strings.Contains(string(sent), "isRefactoring") {
				t.Error("the client is told to save the person's own edits")
			}
		})
	}
}

func TestAnEditorThatCannotApplyIsNotAsked(t *testing.T) {
	_, e := applyTo(t, `{}`, nil, func(context.Context) (any, error) {
		t.Error("it was asked")
		return nil, nil
	})
	applied, reason, err := e.ApplyEdit(testContext(t), "x", oneEdit(""))
	if applied || reason == "" || !errors.Is(err, session.ErrUnable) {
		t.Errorf("%v %q %v", applied, reason, err)
	}
	if got := e.Caps(); got != (workspace.ClientCaps{NoEdits: true}) {
		t.Errorf("it is said to do %+v", got)
	}
}

func TestCapsAreWhatTheClientDoes(t *testing.T) {
	const annotated = `"workspaceEdit":{"documentChanges":true,"resourceOperations":["create","rename","delete"],"changeAnnotationSupport":{"groupsOnLabel":true}}`
	all := workspace.ClientCaps{Create: true, Rename: true, Delete: true, DocumentChanges: true}
	asks := all
	asks.Annotations = true
	unseen, unseenAsks := all, asks
	unseen.OpenOnly, unseenAsks.OpenOnly = true, true // what it does to closed files is not seen
	unsaved := all
	unsaved.UnsavedOnly = true
	for name, x := range map[string]struct {
		info, caps string
		want       workspace.ClientCaps
	}{
		"VS Code":     {`{"name":"Visual Studio Code","version":"1.139.0"}`, `{"workspace":{"applyEdit":true,` + annotated + `},"textDocument":{"codeAction":{"honorsChangeAnnotations":true}}}`, asks},
		"Theia":       {`{"name":"Eclipse Theia"}`, `{"workspace":{"applyEdit":true,` + annotated + `},"textDocument":{"codeAction":{"honorsChangeAnnotations":true}}}`, all},
		"Neovim 0.12": {`{"name":"Neovim","version":"0.12.4"}`, `{"workspace":{"applyEdit":true,` + annotated + `}}`, unseenAsks},
		"Neovim 0.10": {`{"name":"Neovim","version":"0.10.4"}`, `{"workspace":{"applyEdit":true,` + annotated + `}}`, unseen},
		"Helix":       {`{"name":"helix","version":"25.07"}`, `{"workspace":{"applyEdit":true,` + annotated + `}}`, unseen},
		"lsp-mode":    {`{"name":"emacs","version":"GNU Emacs 30.2"}`, `{"workspace":{"applyEdit":true,` + annotated + `}}`, unseen},
		"unsaved only": {
			`{"name":"x"}`, `{"experimental":{"glue":{"editUnsavedOnly":true}},"workspace":{"applyEdit":true,"workspaceEdit":{"documentChanges":true,"resourceOperations":["create","rename","delete"]}}}`, unsaved,
		},
		"eglot": {
			`{"name":"Eglot"}`, `{"workspace":{"applyEdit":true,"workspaceEdit":{"documentChanges":true}}}`,
			workspace.ClientCaps{DocumentChanges: true, OpenOnly: true, TellsLate: true},
		},
		"ALE":                 {`{}`, `{}`, workspace.ClientCaps{NoEdits: true}},
		"operations as words": {`{}`, `{"workspace":{"applyEdit":true,"workspaceEdit":{"resourceOperations":["create"]}}}`, workspace.ClientCaps{}},
	} {
		c := connect(t, Options{})
		c.initialize(`{"clientInfo":` + x.info + `,"capabilities":` + x.caps + `}`)
		if diff := cmp.Diff(x.want, (&editor{s: c.server}).Caps()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestTheClientsOwnURIIsUsedForOpenFiles(t *testing.T) {
	c := connect(t, Options{})
	c.initialize(`{"capabilities":` + canApply + `}`)
	c.notify("textDocument/didOpen", `{"textDocument":{"uri":"file:///w/a%2Bb","languageId":"x","version":1,"text":"a"}}`)
	c.call("glue/doctor", `{}`)
	p := c.server.peer.Load()
	got := toWorkspaceEdit(&workspace.Edit{Texts: []workspace.TextChange{{Path: "/w/a+b", Text: []byte("a"), Edits: []workspace.TextEdit{{End: 1}}}}}, p.client, p.uriOf)
	raw, err := protocol.Marshal(got)
	if err != nil || !strings.Contains(string(raw), `"file:///w/a%2Bb"`) {
		t.Errorf("%s %v", raw, err)
	}
}

func TestAnEditorThatNeverAnswersIsNotWaitedForUnlessAPersonDecides(t *testing.T) {
	bounds := make(chan time.Duration, 10)
	expired := make(chan time.Time)
	close(expired)
	release := make(chan struct{})
	_, e := applyTo(t, canApply, func(d time.Duration) <-chan time.Time {
		if d != answerLimit {
			return nil
		}
		bounds <- d
		return expired
	}, func(ctx context.Context) (any, error) {
		select {
		case <-release:
			return map[string]any{"applied": true}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	applied, reason, err := e.ApplyEdit(testContext(t), "x", oneEdit(""))
	if applied || !strings.Contains(reason, "did not answer") || err != nil {
		t.Errorf("%v %q %v", applied, reason, err)
	}
	<-bounds
	go func() { close(release) }()
	// The first edit may have been applied after all: another on top must not be.
	if _, _, err = e.ApplyEdit(testContext(t), "x", oneEdit("runs on build")); !errors.Is(err, session.ErrBehind) {
		t.Errorf("beside an edit that was not answered: %v", err)
	}
	applied, reason, err = e.ApplyEdit(testContext(t), "x", oneEdit("runs on build"))
	if !applied || reason != "" || err != nil {
		t.Errorf("%v %q %v", applied, reason, err)
	}
	if len(bounds) != 0 {
		t.Error("a person has to decide within a time")
	}
}
