package handlers

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glue-lsp/internal/wire"
)

func TestACommandIsAnsweredBeforeItsWorkIsDone(t *testing.T) {
	// Nobody ticks the clock, so nothing that waits for it can be behind the answer; the
	// session that the command needs is not even open.
	c, _ := withSandbox(t, `{"window":{"showDocument":{"support":true}}}`, map[string]string{"a.txt": "one\n"})
	got := into[started](t, c.call("workspace/executeCommand", `{"command":"glue.run","arguments":[{"command":"cat a.txt; echo changed > a.txt"}]}`))
	if !got.Started || got.ExecID == "" || got.Session != "" {
		t.Errorf("the answer is %+v", got)
	}
	shown := into[struct{ Message string }](t, c.await("window/showMessage", contains("done")))
	if !strings.Contains(shown.Message, "one") {
		t.Errorf("the message is %q", shown.Message)
	}
	c.await("window/showMessageRequest", contains("1 changed file"))
	log := into[started](t, c.call("workspace/executeCommand", `{"command":"glue.showOutput","arguments":[{"execId":"`+got.ExecID+`"}]}`))
	if log.Session == "" {
		t.Errorf("the answer is %+v", log)
	}
	doc := into[struct{ URI string }](t, c.await("window/showDocument", nil))
	file, err := hostPath(doc.URI)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(file); err != nil || !strings.Contains(string(b), "one") {
		t.Errorf("the document is %q, %v", b, err)
	}
}

func TestLongOutputIsADocumentAndAFailureAWarning(t *testing.T) {
	c, _ := withSandbox(t, `{}`, nil)
	c.call("workspace/executeCommand", `{"command":"glue.run","arguments":[{"command":"seq 1 100; exit 2"}]}`)
	c.await("window/showMessage", func(p json.RawMessage) bool {
		return contains(`"type":2`)(p) && contains("ended with status 2")(p)
	})
	named := into[struct{ Message string }](t, c.await("window/showMessage", contains("The output is in ")))
	name := strings.TrimPrefix(named.Message, "The output is in ")
	if b, err := os.ReadFile(name); err != nil || !strings.HasSuffix(string(b), "99\n100\n") {
		t.Errorf("%s holds %q, %v", name, clip(string(b), 100), err)
	}
}

func TestX11_RunFileSelectionAndTest(t *testing.T) {
	c, folder := withSandbox(t, `{}`, map[string]string{
		"-e $(id)/x 'y'.sh": "echo ran file\n", "x.py": "if 1:\n    print('a')\n    print('b')\n",
		"Makefile": "hello:\n\t@echo made hello\n",
	})
	run := func(name, args, want string) {
		t.Helper()
		c.call("workspace/executeCommand", `{"command":"`+name+`","arguments":[`+args+`]}`)
		c.await("window/showMessage", contains(want))
	}
	run("glue.runFile", `{"uri":"`+fileURI(filepath.Join(folder, "-e $(id)/x 'y'.sh"))+`"}`, "ran file")
	run("glue.runTest", `{"uri":"`+fileURI(filepath.Join(folder, "Makefile"))+`","name":"hello"}`, "made hello")
	py := fileURI(filepath.Join(folder, "x.py"))
	c.notify("textDocument/didOpen", `{"textDocument":{"uri":"`+py+`","languageId":"python","version":1,"text":"if 1:\n    print('a')\n    print('b' + 'c')\n"}}`)
	run("glue.runSelection", `{"uri":"`+py+`","range":{"start":{"line":1,"character":4},"end":{"line":3,"character":0}}}`, `a\nbc`)
	c.refused("workspace/executeCommand", `{"command":"glue.runFile","arguments":[{"uri":"file:///w/x.cob"}]}`, wire.RequestFailed, "no runner")
	c.call("workspace/executeCommand", `{"command":"glue.runFile","arguments":[{"uri":"file:///elsewhere/x.sh"}]}`)
	c.await("window/showMessage", contains("workspace folders"))
}

func TestACommandsProgressCanBeCancelled(t *testing.T) {
	c, _ := withSandbox(t, `{"window":{"workDoneProgress":true}}`, nil)
	ticks := make(chan time.Time, 1)
	ticks <- time.Time{}
	c.server.o.After = func(d time.Duration) <-chan time.Time {
		if d == progressDelay {
			return ticks
		}
		return nil
	}
	c.call("workspace/executeCommand", `{"command":"glue.run","arguments":[{"command":"sleep 300"}]}`)
	token := into[struct{ Token string }](t, c.await("window/workDoneProgress/create", nil)).Token
	c.await("$/progress", contains(`"kind":"begin"`))
	c.notify("window/workDoneProgress/cancel", `{"token":"`+token+`"}`)
	c.await("$/progress", contains(`"kind":"end"`))
	c.await("window/showMessage", contains("cancelled"))
}

func TestSessionCommandsTellWhatTheyDid(t *testing.T) {
	c, folder := withSandbox(t, `{}`, map[string]string{"a.txt": "one\n"})
	c.refused("workspace/executeCommand", `{"command":"glue.session.return"}`, wire.RequestFailed, "no session")
	c.call("workspace/executeCommand", `{"command":"glue.session.open","arguments":[{}]}`)
	c.await("window/showMessage", contains("The sandbox is ready"))
	if err := os.WriteFile(filepath.Join(folder, "b.txt"), []byte("two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.call("workspace/executeCommand", `{"command":"glue.sync","arguments":[{}]}`)
	c.await("window/showMessage", contains("1 file sent"))
	c.call("glue/exec", `{"command":"echo three >> b.txt"}`)
	c.call("workspace/executeCommand", `{"command":"glue.session.checkpoint"}`)
	c.await("window/showMessage", contains("is safe"))
	c.call("workspace/executeCommand", `{"command":"glue.session.return","arguments":[{"mode":"disk"}]}`)
	c.await("window/showMessage", contains("1 file returned"))
	if b, err := os.ReadFile(filepath.Join(folder, "b.txt")); err != nil || string(b) != "two\nthree\n" {
		t.Errorf("the host's file is %q, %v", b, err)
	}
	c.call("workspace/executeCommand", `{"command":"glue.doctor"}`)
	c.await("window/showMessage", contains("glue doctor: 1 check of 1 passed"))
	c.call("workspace/executeCommand", `{"command":"glue.session.close","arguments":[null]}`)
	c.await("window/showMessage", contains("The sandbox is closed"))
}
