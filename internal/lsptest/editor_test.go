package lsptest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// newEditor starts a fake server and an editor on a folder with the given files.
func newEditor(tb testing.TB, p Profile, prefer string, files map[string]string) *Editor {
	tb.Helper()
	root := tb.TempDir()
	for name, text := range files {
		writeFile(tb, filepath.Join(root, name), text)
	}
	e := Start(tb, fakeServer(prefer), Options{Root: root, Settings: object{"user": object{"runtime": "local"}}})
	e.Initialize(p)
	return e
}

func writeFile(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
}

func TestEdits_ReachTheServerInEveryEncoding(t *testing.T) {
	const text = "zero\none ü 漢 🎉 end\r\ntwo\n"
	for _, encoding := range []string{"utf-8", "utf-16", "utf-32"} {
		t.Run(encoding, func(t *testing.T) {
			e := newEditor(t, Neovim(), encoding, map[string]string{"a.txt": text})
			if e.encoding != encoding {
				t.Fatalf("negotiated %s", e.encoding)
			}
			e.Open("a.txt")
			e.Edit("a.txt", "1:8-1:9", "🎈🎈")
			e.Edit("a.txt", "1:99", "!")
			e.Edit("a.txt", "99:0", "three")
			e.Replace("a.txt", "two\n", "")
			want := "zero\none ü 漢 🎈🎈 end!\r\nthree"
			if diff := cmp.Diff(want, e.Buffer("a.txt")); diff != "" {
				t.Error(diff)
			}
			inStep(e)
		})
	}
}

func TestBuffers_AreTheEditorsUntilTheyAreSaved(t *testing.T) {
	e := newEditor(t, VSCode(), "", map[string]string{"a.txt": "\uFEFFone\r\ntwo\r\n"})
	e.Open("a.txt")
	if got := e.Buffer("a.txt"); got != "one\r\ntwo\r\n" {
		t.Errorf("the byte order mark belongs to the file: %q", got)
	}
	e.Edit("a.txt", "0:0-0:3", "1\n1")
	if !e.IsDirty("a.txt") || e.Disk("a.txt") != "\uFEFFone\r\ntwo\r\n" {
		t.Error("an edit went to the disk")
	}
	e.Save("a.txt")
	if got := e.Disk("a.txt"); got != "\uFEFF1\r\n1\r\ntwo\r\n" {
		t.Errorf("saved %q", got)
	}
	e.OpenNew("new/b.txt", "fresh\n")
	e.Save("new/b.txt")
	if got := e.Disk("new/b.txt"); got != "fresh\n" || e.IsDirty("new/b.txt") {
		t.Errorf("saved %q", got)
	}
	inStep(e)
	e.Close("a.txt")
	if e.IsOpen("a.txt") {
		t.Error("still open")
	}
	inStep(e)
}

func TestNoticeDisk_ReloadsWhatIsClean(t *testing.T) {
	e := newEditor(t, VSCode(), "", map[string]string{"clean": "1", "dirty": "1", "gone": "1"})
	for _, f := range []string{"clean", "dirty", "gone"} {
		e.Open(f)
	}
	e.Edit("dirty", "0:0", "mine ")
	writeFile(t, e.path("clean"), "2")
	writeFile(t, e.path("dirty"), "2")
	if err := os.Remove(e.path("gone")); err != nil {
		t.Fatal(err)
	}
	e.NoticeDisk()
	if e.Buffer("clean") != "2" || e.Buffer("dirty") != "mine 1" || e.IsOpen("gone") {
		t.Errorf("clean %q, dirty %q, gone open: %v", e.Buffer("clean"), e.Buffer("dirty"), e.IsOpen("gone"))
	}
	inStep(e)
}

func TestProfiles_AllSayHello(t *testing.T) {
	for name, p := range Profiles() {
		t.Run(name, func(t *testing.T) {
			e := newEditor(t, p, "utf-8", nil)
			e.Shutdown()
			e.Await(Ended())
		})
	}
}

func TestRequests_AreAnswered(t *testing.T) {
	e := newEditor(t, VSCode(), "", nil)
	e.OnMessage(func(m Message) string { return m.Actions[1] })
	var chosen struct {
		Title string `json:"title"`
	}
	question := object{"type": 3, "message": "sure?", "actions": []object{{"title": "No"}, {"title": "Yes"}}}
	if err := ask(e, "window/showMessageRequest", question, &chosen); err != nil || chosen.Title != "Yes" {
		t.Errorf("chose %q, %v", chosen.Title, err)
	}
	var settings []map[string]map[string]string
	if err := ask(e, "workspace/configuration", object{"items": []object{{"section": "glue"}, {"section": "x"}}}, &settings); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]map[string]map[string]string{{"user": {"runtime": "local"}}, nil}, settings); diff != "" {
		t.Error(diff)
	}
	if err := ask(e, "window/showDocument", object{"uri": "file:///log"}, nil); err != nil {
		t.Error(err)
	}
	tell(e, "window/showMessage", object{"type": 1, "message": "it broke"})
	tell(e, "glue/exec/output", object{"execId": "e1", "data": "hi", "more": 1})
	e.Await(
		SawMessage("sure?"), SawMessage("broke"), Showed("/log"),
		Notified("glue/exec/output", object{"execId": "e1"}),
		NotifiedWhere("glue/exec/output", "saying hi", func(p struct{ Data string }) bool { return p.Data == "hi" }),
	)
}

func TestProgress_IsCollected(t *testing.T) {
	e := newEditor(t, VSCode(), "", nil)
	progress := func(token any, value object) { tell(e, "$/progress", object{"token": token, "value": value}) }
	if err := ask(e, "window/workDoneProgress/create", object{"token": 7}, nil); err != nil {
		t.Fatal(err)
	}
	token := e.Token()
	progress(7, object{"kind": "begin", "title": "Opening"})
	progress(token, object{"kind": "begin", "title": "Running"})
	progress(7, object{"kind": "report", "message": "half"})
	progress(7, object{"kind": "end", "message": "done"})
	e.Await(Progressed("Opening"))
	progress(token, object{"kind": "end"})
	e.Await(Progressed("Running"), NoProgressRuns())
	want := Progress{Token: "7", Title: "Opening", Reports: []string{"half"}, Begun: true, Ended: true, Last: "done"}
	if diff := cmp.Diff(want, e.State().Progress[0]); diff != "" {
		t.Error(diff)
	}
}

func TestPending_CanBeCancelled(t *testing.T) {
	e := newEditor(t, VSCode(), "", nil)
	p := e.Begin("test/wait", nil)
	p.Cancel()
	<-p.Done()
	e.Call("test/texts", nil, nil) // others are served
}

// taker is a test that fails on paper only.
func onPaper(t *testing.T, f func(tb testing.TB)) []string {
	t.Helper()
	paper := &failures{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(paper)
	}()
	<-done
	for i := len(paper.clean) - 1; i >= 0; i-- {
		paper.clean[i]()
	}
	paper.mu.Lock()
	defer paper.mu.Unlock()
	return paper.said
}

func (f *failures) Helper()              {}
func (f *failures) Cleanup(clean func()) { f.clean = append(f.clean, clean) }
func (f *failures) Logf(string, ...any)  {}
func (f *failures) Failed() bool         { return false }

func (f *failures) Errorf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, fmt.Sprintf(format, args...))
}

func (f *failures) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

func (f *failures) Fatal(args ...any) { f.Fatalf("%s", fmt.Sprint(args...)) }

func TestWrongServers_FailTheTest(t *testing.T) {
	cases := map[string]struct {
		profile Profile
		do      func(e *Editor)
		want    string
	}{
		"an unknown request":           {VSCode(), func(e *Editor) { ask(e, "no/such", nil, nil) }, "does not know"},
		"an unknown notification":      {VSCode(), func(e *Editor) { tell(e, "no/such", nil) }, "does not know"},
		"an undeclared request":        {Plain(), func(e *Editor) { ask(e, "window/showDocument", object{"uri": "x"}, nil) }, "does not declare"},
		"an undeclared edit":           {Plain(), func(e *Editor) { ask(e, "workspace/applyEdit", object{"edit": object{}}, nil) }, "does not declare"},
		"a misspelt edit":              {VSCode(), func(e *Editor) { ask(e, "workspace/applyEdit", object{"edit": object{"documentChange": nil}}, nil) }, "unknown field"},
		"progress without a token":     {VSCode(), func(e *Editor) { tell(e, "$/progress", object{"token": 1, "value": object{"kind": "begin"}}) }, "nobody made"},
		"progress without beginning":   {VSCode(), func(e *Editor) { tell(e, "$/progress", object{"token": e.Token(), "value": object{"kind": "end"}}) }, "out of order"},
		"an error instead of a result": {VSCode(), func(e *Editor) { e.Call("no/such", nil, nil) }, "not known here"},
		"a message that does not come": {VSCode(), func(e *Editor) { e.o.Patience = 1; e.Await(SawMessage("hello")) }, `a message with "hello"`},
		"an error message": {VSCode(), func(e *Editor) {
			tell(e, "window/showMessage", object{"type": 1, "message": "no"})
			e.Await(SawNoError())
		}, "cannot come to this any more"},
		"an end before its time":  {VSCode(), func(e *Editor) { e.Notify("exit", nil); e.Await(SawMessage("hello")) }, "the connection ended"},
		"a file that is not open": {VSCode(), func(e *Editor) { e.Edit("a", "0:0", "x") }, "not open"},
		"a range that is none":    {VSCode(), func(e *Editor) { e.Edit("a", "1-2", "x") }, "line:col"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			said := onPaper(t, func(tb testing.TB) {
				e := Start(tb, fakeServer(""), Options{Root: t.TempDir()})
				e.Initialize(c.profile)
				c.do(e)
				e.Call("test/texts", nil, nil)
			})
			if !strings.Contains(strings.Join(said, "\n"), c.want) {
				t.Errorf("said %q, want something with %q", said, c.want)
			}
		})
	}
}
