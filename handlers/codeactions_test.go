package handlers

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/session"
)

const literals = `{"textDocument":{"codeAction":{"codeActionLiteralSupport":{"codeActionKind":{"valueSet":[]}}}}}`

func openedFile(t *testing.T, capabilities, uri, language, text string) *testClient {
	t.Helper()
	c := connect(t, Options{})
	c.initialize(`{"capabilities":` + capabilities + `}`)
	c.notify("textDocument/didOpen", `{"textDocument":{"uri":"`+uri+`","languageId":"`+language+`","version":1,"text":`+quoted(text)+`}}`)
	return c
}

const pythonFile = "def test_a():\n    pass\n\nif __name__ == '__main__':\n    test_a()\n"

func TestCodeActionsAreWholeCommandsOfTheirOwnKind(t *testing.T) {
	c := openedFile(t, literals, "file:///w/a%20b.py", "python", pythonFile)
	got := c.call("textDocument/codeAction", `{"textDocument":{"uri":"file:///w/a%20b.py"},"context":{"diagnostics":[]},
		"range":{"start":{"line":1,"character":4},"end":{"line":1,"character":8}}}`)
	want := `[
		{"title":"Run in sandbox: test_a","kind":"glue.run","command":{"title":"Run in sandbox: test_a","command":"glue.runTest","arguments":[{"uri":"file:///w/a%20b.py","name":"test_a"}]}},
		{"title":"Run in sandbox: selection","kind":"glue.run","command":{"title":"Run in sandbox: selection","command":"glue.runSelection","arguments":[{"uri":"file:///w/a%20b.py","range":{"start":{"line":1,"character":4},"end":{"line":1,"character":8}}}]}},
		{"title":"Run in sandbox: a b.py","kind":"glue.run","command":{"title":"Run in sandbox: a b.py","command":"glue.runFile","arguments":[{"uri":"file:///w/a%20b.py"}]}}]`
	if diff := cmp.Diff(into[any](t, json.RawMessage(want)), into[any](t, got)); diff != "" {
		t.Error(diff)
	}
}

func TestCodeActionsFollowWhatTheClientAsksFor(t *testing.T) {
	for only, want := range map[string]int{
		`[]`: 1, `["glue"]`: 1, `["glue.run"]`: 1, `[""]`: 1, `["quickfix","glue.run"]`: 1,
		`["source"]`: 0, `["source.fixAll"]`: 0, `["quickfix"]`: 0, `["glue.run.x"]`: 0, `["glu"]`: 0,
	} {
		c := openedFile(t, `{}`, "file:///w/x.sh", "shellscript", "echo\n")
		got := into[[]struct{ Title, Command string }](t, c.call("textDocument/codeAction",
			`{"textDocument":{"uri":"file:///w/x.sh"},"context":{"only":`+only+`},"range":{"start":{"line":0,"character":0},"end":{"line":0,"character":0}}}`))
		if len(got) != want {
			t.Errorf("only %s: %+v", only, got)
		}
		// Without literal support the answer is plain commands.
		if want == 1 && (got[0].Command != "glue.runFile" || got[0].Title != "Run in sandbox") {
			t.Errorf("only %s: %+v", only, got[0])
		}
	}
}

func TestCodeLensesStandAtTheTests(t *testing.T) {
	c := openedFile(t, `{}`, "file:///w/test_x.py", "python", "# ä𝄞\n"+pythonFile)
	got := c.call("textDocument/codeLens", `{"textDocument":{"uri":"file:///w/test_x.py"}}`)
	want := `[
		{"range":{"start":{"line":1,"character":0},"end":{"line":1,"character":13}},"command":{"title":"Run in sandbox","command":"glue.runTest","arguments":[{"uri":"file:///w/test_x.py","name":"test_a"}]}},
		{"range":{"start":{"line":4,"character":0},"end":{"line":4,"character":26}},"command":{"title":"Run in sandbox","command":"glue.runFile","arguments":[{"uri":"file:///w/test_x.py"}]}}]`
	if diff := cmp.Diff(into[any](t, json.RawMessage(want)), into[any](t, got)); diff != "" {
		t.Error(diff)
	}
}

func TestAFileWithoutTestsHasALensAtItsBeginning(t *testing.T) {
	for uri, lenses := range map[string]int{"file:///w/x.sh": 1, "file:///w/x.md": 0} {
		c := openedFile(t, `{}`, uri, "", "echo hi\n")
		got := into[[]struct {
			Range   textRange
			Command struct{ Title, Command string }
		}](t, c.call("textDocument/codeLens", `{"textDocument":{"uri":"`+uri+`"}}`))
		if len(got) != lenses {
			t.Errorf("%s: %+v", uri, got)
		}
		for _, l := range got {
			if l.Range != (textRange{}) || l.Command.Command != "glue.runFile" || l.Command.Title != "Run in sandbox" {
				t.Errorf("%s: %+v", uri, l)
			}
		}
	}
}

func TestDocumentsThatAreNoFilesHaveNoActions(t *testing.T) {
	c := openedFile(t, literals, "untitled:Untitled-1", "python", pythonFile)
	for _, uri := range []string{"untitled:Untitled-1", "glue-sandbox:/s/test_x.py", "file:///w/never_opened.py"} {
		at := `{"textDocument":{"uri":"` + uri + `"},"context":{},"range":{"start":{"line":0,"character":0},"end":{"line":1,"character":0}}}`
		if got := c.call("textDocument/codeAction", at); string(got) != "[]" {
			t.Errorf("%s has %s", uri, got)
		}
		if got := c.call("textDocument/codeLens", at); string(got) != "[]" {
			t.Errorf("%s has %s", uri, got)
		}
	}
}

// actionTitles are those that a document without anything to run has.
func actionTitles(t *testing.T, c *testClient) string {
	t.Helper()
	at := `{"textDocument":{"uri":"file:///w/x.md"},"context":{},"range":{"start":{"line":0,"character":0},"end":{"line":0,"character":0}}}`
	var titles []string
	for _, a := range into[[]struct{ Title string }](t, c.call("textDocument/codeAction", at)) {
		titles = append(titles, a.Title)
	}
	return strings.Join(titles, ", ")
}

func TestActionsOnSessionsAreThoseThatCanBeDone(t *testing.T) {
	when := time.Date(2026, 5, 4, 3, 2, 1, 0, time.Local)
	open := session.Info{ID: "s1", State: session.Ready, Folder: "/w"}
	changed, ran, returned, ended := open, open, open, open
	changed.Checkpoint = session.CheckpointInfo{Seq: 1, ChangedFiles: 2}
	ran.Execs = []session.ExecInfo{{ExecID: "e1", State: "running"}}
	returned.Undoable = true
	ended.State, ended.Waiting, ended.CreatedAt, ended.Checkpoint = session.Closed, true, when, changed.Checkpoint
	for name, x := range map[string]struct {
		info         session.Info
		plain, views string // for clients without and with views of their own
	}{
		"nothing changed": {open, "Close sandbox", ""},
		"changed":         {changed, "Return changes from sandbox, Show changes in sandbox, Close sandbox", "Return changes from sandbox"},
		"running":         {ran, "Stop what runs in sandbox, Close sandbox", ""},
		"returned":        {returned, "Undo the last return from sandbox, Close sandbox", ""},
		"ended":           {ended, "Return changes from sandbox of 03:02:01, Show changes in sandbox of 03:02:01", "Return changes from sandbox"},
	} {
		for capabilities, want := range map[string]string{`{}`: x.plain, `{"experimental":{"glue":{"review":true}}}`: x.views} {
			c := openedFile(t, capabilities, "file:///w/x.md", "markdown", "prose")
			c.server.sessionChanged(x.info)
			if got := actionTitles(t, c); got != want {
				t.Errorf("%s, %s: %q, want %q", name, capabilities, got, want)
			}
		}
	}
}

func TestEachEndedSessionIsNamedByItsTime(t *testing.T) {
	c := openedFile(t, `{}`, "file:///w/x.md", "markdown", "prose")
	for i, id := range []string{"s1", "s2"} {
		c.server.sessionChanged(session.Info{
			ID: id, State: session.Closed, Waiting: true, Folder: "/w", Checkpoint: session.CheckpointInfo{ChangedFiles: 1},
			CreatedAt: time.Date(2026, 5, 4, 3, 2, i, 0, time.Local),
		})
	}
	if got := actionTitles(t, c); !strings.HasPrefix(got, "Return changes from sandbox of 03:02:00, Return changes from sandbox of 03:02:01, Show") {
		t.Errorf("the actions are %s", got)
	}
}

func TestOpenSessionsAreToldApartByTheirFolders(t *testing.T) {
	c := openedFile(t, `{}`, "file:///w/x.md", "markdown", "prose")
	for id, folder := range map[string]string{"s1": "/w/one", "s2": "/w/two"} {
		c.server.sessionChanged(session.Info{ID: id, State: session.Ready, Folder: folder})
	}
	if got := actionTitles(t, c); got != "Close sandbox of one, Close sandbox of two" {
		t.Errorf("the actions are %s", got)
	}
}

func TestOfManyEndedSessionsTheLastOfEachFolderCanBeUndone(t *testing.T) {
	c := openedFile(t, `{}`, "file:///w/x.md", "markdown", "prose")
	for i, x := range []struct{ id, folder string }{{"s1", "/w"}, {"s2", "/w"}, {"s3", "/v"}} {
		c.server.sessionChanged(session.Info{
			ID: x.id, State: session.Closed, Undoable: true, Folder: x.folder, CreatedAt: time.Date(2026, 5, 4, 3, 2, i, 0, time.Local),
		})
	}
	if got := actionTitles(t, c); got != "Undo the last return from sandbox of 03:02:01, Undo the last return from sandbox of 03:02:02" {
		t.Errorf("the actions are %s", got)
	}
}

func TestReturnIsOfferedWhileThereAreChanges(t *testing.T) {
	c := openedFile(t, `{}`, "file:///w/x.md", "markdown", "prose")
	info := session.Info{ID: "s1", State: session.Ready, Folder: "/w", Checkpoint: session.CheckpointInfo{Seq: 1, ChangedFiles: 2}}
	c.server.sessionChanged(info)
	if got := actionTitles(t, c); !strings.Contains(got, titleReturn) {
		t.Errorf("there are changes, and the actions are %s", got)
	}
	info.Checkpoint.ChangedFiles = 0
	c.server.sessionChanged(info)
	if got := actionTitles(t, c); strings.Contains(got, titleReturn) {
		t.Errorf("nothing is left, but there is %s", got)
	}
	c.await(methodSessionChanged, contains(`"changedFiles":2`))
	c.await(methodSessionChanged, contains(`"changedFiles":0`))
}
