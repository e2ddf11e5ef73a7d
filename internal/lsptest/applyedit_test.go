package lsptest

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/wire"
)

// put is a text edit that replaces a range.
func put(where, text string) object {
	r, err := ParseRange(where)
	if err != nil {
		panic(err)
	}
	return object{"range": r, "newText": text}
}

func noted(change object, id string) object {
	change["annotationId"] = id
	return change
}

// text is a TextDocumentEdit; version nil is any.
func text(e *Editor, file string, version any, edits ...object) object {
	return object{"textDocument": object{"uri": e.URI(file), "version": version}, "edits": edits}
}

func create(e *Editor, file string, options object) object {
	return object{"kind": "create", "uri": e.URI(file), "options": options}
}

func remove(e *Editor, file string, options object) object {
	return object{"kind": "delete", "uri": e.URI(file), "options": options}
}

func rename(e *Editor, from, to string, options object) object {
	return object{"kind": "rename", "oldUri": e.URI(from), "newUri": e.URI(to), "options": options}
}

// apply lets the server send an edit, and returns whether it was applied.
func apply(e *Editor, edit object) bool {
	e.tb.Helper()
	var result applyEditResult
	if err := ask(e, "workspace/applyEdit", object{"label": "test", "edit": edit}, &result); err != nil {
		e.tb.Fatal(err)
	}
	return result.Applied
}

func applyAll(e *Editor, changes ...object) bool {
	e.tb.Helper()
	return apply(e, object{"documentChanges": append([]object{}, changes...)})
}

// disk is every file under the root.
func disk(e *Editor) map[string]string {
	e.tb.Helper()
	out := map[string]string{}
	names, err := walk(os.DirFS(e.o.Root))
	if err != nil {
		e.tb.Fatal(err)
	}
	for _, name := range names {
		out[name] = e.Disk(name)
	}
	return out
}

func TestApplyEdit_TextBecomesADirtyBufferNotAFile(t *testing.T) {
	e := newEditor(t, VSCode(), "", map[string]string{"open": "one two\n", "closed": "one\r\ntwo\r\n"})
	e.Open("open")
	ok := applyAll(e,
		text(e, "open", 1, put("0:0-0:3", "1"), put("0:4-0:7", "2")),
		text(e, "closed", nil, put("0:3-1:0", "\n\n")),
	)
	if !ok || e.Buffer("open") != "1 2\n" || e.Buffer("closed") != "one\r\n\r\ntwo\r\n" {
		t.Errorf("applied %v: %q, %q", ok, e.Buffer("open"), e.Buffer("closed"))
	}
	if !e.IsDirty("open") || !e.IsDirty("closed") {
		t.Error("the buffers are not dirty")
	}
	if diff := cmp.Diff(map[string]string{"open": "one two\n", "closed": "one\r\ntwo\r\n"}, disk(e)); diff != "" {
		t.Errorf("the disk changed: %s", diff)
	}
	inStep(e)
	want := []Applied{{Label: "test", Applied: true, Files: []string{"closed", "open"}}}
	if diff := cmp.Diff(want, e.State().Edits); diff != "" {
		t.Error(diff)
	}
}

func TestApplyEdit_FileOperationsReachTheDisk(t *testing.T) {
	e := newEditor(t, VSCode(), "", map[string]string{"old": "moved\n", "dir/gone": "x", "left": "y"})
	e.Open("old")
	e.Edit("old", "0:0", "was ")
	ok := applyAll(e,
		create(e, "new/made", nil), text(e, "new/made", nil, put("0:0", "a\r\nb\n")),
		rename(e, "old", "new/name", nil), remove(e, "dir", object{"recursive": true}),
		remove(e, "never", object{"ignoreIfNotExists": true}), create(e, "left", object{"ignoreIfExists": true}),
	)
	if !ok {
		t.Error("not applied")
	}
	if diff := cmp.Diff(map[string]string{"new/made": "", "new/name": "moved\n", "left": "y"}, disk(e)); diff != "" {
		t.Error(diff)
	}
	if e.Buffer("new/made") != "a\nb\n" || e.Buffer("new/name") != "was moved\n" || !e.IsDirty("new/name") || e.IsOpen("old") {
		t.Errorf("made %q, moved %q", e.Buffer("new/made"), e.Buffer("new/name"))
	}
	inStep(e)
}

func TestApplyEdit_IsRefusedWhole(t *testing.T) {
	files := map[string]string{"a": "text\n", "b": "text\n", "bin": "\x00\x01"}
	cases := map[string]func(e *Editor) []object{
		"a version that is stale": func(e *Editor) []object {
			e.Edit("a", "0:0", "x")
			return []object{text(e, "b", nil, put("0:0", "y")), text(e, "a", 1, put("0:0", "y"))}
		},
		"a version that is stale behind a file operation": func(e *Editor) []object {
			e.Edit("a", "0:0", "x")
			return []object{create(e, "new", nil), text(e, "a", 1, put("0:0", "y"))}
		},
		"edits that overlap": func(e *Editor) []object {
			return []object{text(e, "b", nil, put("0:0", "y")), text(e, "a", 1, put("0:0-0:3", "y"), put("0:2-0:4", "y"))}
		},
		"a binary file": func(e *Editor) []object {
			return []object{text(e, "b", nil, put("0:0", "y")), text(e, "bin", nil, put("0:0", "y"))}
		},
		"a file that is not there": func(e *Editor) []object {
			return []object{text(e, "b", nil, put("0:0", "y")), text(e, "none", nil, put("0:0", "y"))}
		},
		"nothing": func(*Editor) []object { return nil },
	}
	for name, changes := range cases {
		t.Run(name, func(t *testing.T) {
			e := newEditor(t, VSCode(), "", files)
			e.Open("a")
			send := changes(e)
			before := e.Buffer("a")
			if applyAll(e, send...) {
				t.Error("applied")
			}
			if e.Buffer("a") != before || e.IsOpen("b") {
				t.Errorf("something was changed: %q", e.Buffer("a"))
			}
			if diff := cmp.Diff(files, disk(e)); diff != "" {
				t.Error(diff)
			}
			inStep(e)
		})
	}
}

func TestApplyEdit_StopsWhereAFileOperationFails(t *testing.T) {
	cases := map[string]func(e *Editor) object{
		"creating what is there":       func(e *Editor) object { return create(e, "a", nil) },
		"renaming onto what is there":  func(e *Editor) object { return rename(e, "b", "a", nil) },
		"renaming what is not there":   func(e *Editor) object { return rename(e, "none", "c", nil) },
		"deleting what is not there":   func(e *Editor) object { return remove(e, "none", nil) },
		"deleting a folder with files": func(e *Editor) object { return remove(e, "dir", nil) },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			e := newEditor(t, VSCode(), "", map[string]string{"a": "a", "b": "b", "dir/x": "x"})
			if applyAll(e, create(e, "first", nil), change(e), create(e, "last", nil)) {
				t.Error("applied")
			}
			if diff := cmp.Diff(map[string]string{"a": "a", "b": "b", "dir/x": "x", "first": ""}, disk(e)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestApplyEdit_WhatIsInTheWayLosesItsUnsavedText(t *testing.T) {
	e := newEditor(t, VSCode(), "", map[string]string{"a": "a", "b": "b"})
	e.Open("a")
	e.Edit("a", "0:0", "unsaved ")
	if !applyAll(e, rename(e, "b", "a", object{"overwrite": true})) {
		t.Fatal("not applied")
	}
	if e.IsOpen("a") {
		t.Error("the buffer is still there")
	}
	if diff := cmp.Diff(map[string]string{"a": "b"}, disk(e)); diff != "" {
		t.Error(diff)
	}
}

func TestApplyEdit_SavesOnlyWhatWasCleanWhenAskedTo(t *testing.T) {
	e := newEditor(t, VSCode(), "", map[string]string{"clean": "1", "dirty": "1", "closed": "1"})
	e.SaveCleanFiles()
	e.Open("clean")
	e.Open("dirty")
	e.Edit("dirty", "0:1", " mine")
	for _, f := range []string{"clean", "dirty", "closed"} {
		if !applyAll(e, text(e, f, nil, put("0:0-0:1", "2"))) {
			t.Fatal("not applied")
		}
	}
	if diff := cmp.Diff(map[string]string{"clean": "2", "dirty": "1", "closed": "2"}, disk(e)); diff != "" {
		t.Error(diff)
	}
	if e.IsDirty("clean") || e.Buffer("dirty") != "2 mine" || e.IsOpen("closed") {
		t.Error("clean and closed files are to end saved, and only the former open")
	}
	inStep(e)
}

func TestApplyEdit_PlainChangesForPlainClients(t *testing.T) {
	e := newEditor(t, ALE(), "", map[string]string{"a": "one\n", "b": "one\n"})
	ok := apply(e, object{"changes": object{e.URI("a"): []object{put("0:0-0:3", "1")}, e.URI("b"): []object{put("1:0", "2")}}})
	if !ok || e.Buffer("a") != "1\n" || e.Buffer("b") != "one\n2" {
		t.Errorf("applied %v: %q, %q", ok, e.Buffer("a"), e.Buffer("b"))
	}
}

func TestApplyEdit_APersonTicksWhatNeedsConfirmation(t *testing.T) {
	notes := object{"why": object{"label": "Runs on open", "needsConfirmation": true}, "fyi": object{"label": "Just so"}}
	edit := func(e *Editor) object {
		return object{"changeAnnotations": notes, "documentChanges": []object{
			noted(create(e, "made", nil), "why"),
			text(e, "a", nil, noted(put("0:0", "1 "), "why"), noted(put("0:1", " 2"), "fyi")),
		}}
	}
	cases := map[string]struct {
		profile Profile
		tick    func(label, file string) bool
		want    string
		made    bool
	}{
		"nothing is ticked from the start": {VSCode(), nil, "a 2", false},
		"one is ticked":                    {VSCode(), func(label, file string) bool { return label == "Runs on open" && file == "a" }, "1 a 2", false},
		"all are ticked":                   {VSCode(), func(string, string) bool { return true }, "1 a 2", true},
		"nobody asks":                      {Helix(), nil, "1 a 2", true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := newEditor(t, c.profile, "", map[string]string{"a": "a"})
			if c.tick != nil {
				e.OnConfirm(c.tick)
			}
			if !apply(e, edit(e)) {
				t.Error("not applied")
			}
			if _, made := disk(e)["made"]; e.Buffer("a") != c.want || made != c.made {
				t.Errorf("a is %q, made: %v", e.Buffer("a"), made)
			}
		})
	}
	t.Run("nothing is left", func(t *testing.T) {
		e := newEditor(t, VSCode(), "", map[string]string{"a": "a"})
		if apply(e, object{"changeAnnotations": notes, "documentChanges": []object{noted(create(e, "made", nil), "why")}}) {
			t.Error("applied")
		}
	})
}

func TestApplyEdit_PeopleRefuseWaitAndForget(t *testing.T) {
	e := newEditor(t, VSCode(), "", map[string]string{"a": "a"})
	change := object{"edit": object{"documentChanges": []object{text(e, "a", nil, put("0:0", "1"))}}}
	e.AnswerEdits(Refuse)
	var result applyEditResult
	if err := ask(e, "workspace/applyEdit", change, &result); err != nil || result.Applied || result.FailureReason == "" || e.IsOpen("a") {
		t.Errorf("refused: %+v, %v", result, err)
	}
	e.AnswerEdits(Later)
	later := e.Begin("test/ask", send{"workspace/applyEdit", change})
	e.Await(Asked(2))
	select {
	case <-later.Done():
		t.Error("answered before the person did")
	default:
	}
	e.AnswerEdits(Hang)
	hanging := e.Begin("test/ask", send{"workspace/applyEdit", change})
	e.Await(Asked(3), Edited(2))
	e.ReleaseEdits()
	if err := later.Wait(&result); err != nil || !result.Applied || e.Buffer("a") != "1a" {
		t.Errorf("later: %+v, %v", result, err)
	}
	select {
	case <-hanging.Done():
		t.Error("a hanging client answered")
	default:
	}
	hanging.Cancel()
	<-hanging.Done()
}

func TestApplyEdit_WhatAClientCannotDo(t *testing.T) {
	said := onPaper(t, func(tb testing.TB) {
		e := newEditor(tb, Eglot(), "", map[string]string{"a": "a"})
		err := ask(e, "workspace/applyEdit", object{"edit": object{"documentChanges": []object{create(e, "b", nil)}}}, nil)
		if err == nil || err.Code != wire.InternalError {
			t.Errorf("eglot answered %v", err)
		}
	})
	if len(said) != 1 {
		t.Errorf("the server's mistake was noticed %d times: %q", len(said), said)
	}
}
