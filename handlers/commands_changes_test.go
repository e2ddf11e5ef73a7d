package handlers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glue-lsp/internal/wire"
)

func TestChangesAreShownUndoneAndThrownAwayByCommands(t *testing.T) {
	c, folder := withSandbox(t, `{}`, map[string]string{"a.txt": "one\n", "b.txt": "one\n"})
	command := func(name, args, told string) string {
		t.Helper()
		if got := into[started](t, c.call("workspace/executeCommand", `{"command":"`+name+`","arguments":[`+args+`]}`)); !got.Started {
			t.Errorf("%s was answered by %+v", name, got)
		}
		return into[struct{ Message string }](t, c.await("window/showMessage", contains(told))).Message
	}
	a, b := filepath.Join(folder, "a.txt"), filepath.Join(folder, "b.txt")
	holds := func(file, want string) {
		t.Helper()
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v", file, got, err)
		}
	}
	command("glue.run", `{"command":"echo two > a.txt"}`, "a.txt: done")
	patch := strings.TrimPrefix(command("glue.session.diff", `{}`, "The changes are in "), "The changes are in ")
	if got, err := os.ReadFile(patch); err != nil || !strings.Contains(string(got), "-one\n+two\n") {
		t.Errorf("the patch is %q, %v", got, err)
	}
	command("glue.session.return", `{}`, "1 file returned.")
	holds(a, "two\n")
	command("glue.session.undo", `{}`, "The last return was taken back: 1 file")
	holds(a, "one\n")
	command("glue.run", `{"command":"echo two > b.txt"}`, "b.txt: done")
	command("glue.session.discard", `{"paths":["b.txt"]}`, "1 changed file discarded.")
	holds(b, "one\n")
}

func TestARunningCommandIsStoppedByACommand(t *testing.T) {
	c, _ := withSandbox(t, `{}`, nil)
	c.refused("workspace/executeCommand", `{"command":"glue.stop"}`, wire.RequestFailed, "no command is running")
	c.call("glue/session/open", `{}`)
	ended := make(chan execResult, 1)
	go func() {
		raw, refused := c.try("glue/exec", `{"execId":"mine","stream":true,"command":"echo begun; sleep 600"}`)
		if refused != nil {
			ended <- execResult{Signal: refused.Message}
			return
		}
		ended <- into[execResult](t, raw)
	}()
	c.await(methodOutput, contains("begun"))
	c.call("workspace/executeCommand", `{"command":"glue.stop","arguments":[{"execId":"mine"}]}`)
	if r := <-ended; r.ExitCode == 0 && r.Signal == "" {
		t.Errorf("it ended by itself: %+v", r)
	}
	c.refused("workspace/executeCommand", `{"command":"glue.stop","arguments":[{"execId":"none"}]}`, wire.RequestFailed, "none")
}
