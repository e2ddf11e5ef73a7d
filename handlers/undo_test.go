package handlers

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glue-lsp/internal/wire"
)

func TestUndoTakesTheLastReturnBack(t *testing.T) {
	c, folder, _ := changedInSandbox(t)
	c.refused("glue/session/undo", `{}`, wire.RequestFailed, "no return")
	if r := into[decodedReturn](t, c.call("glue/session/return", `{"mode":"disk"}`)); !r.Applied {
		t.Fatalf("the return is %+v", r)
	}
	if err := os.WriteFile(filepath.Join(folder, "same.txt"), []byte("edited since\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := into[decodedReturn](t, c.call("glue/session/undo", `{}`))
	if !r.Applied || len(r.Files) != 3 || r.Mbox != nil || len(r.Conflicts) != 0 {
		t.Errorf("the undo is %+v", r)
	}
	for name, want := range map[string]string{"a.txt": "one\ntwo\n", "gone.txt": "x\n", "same.txt": "edited since\n"} {
		if b, err := os.ReadFile(filepath.Join(folder, name)); err != nil || string(b) != want {
			t.Errorf("%s holds %q, %v", name, b, err)
		}
	}
	if d := into[diffResult](t, c.call("glue/session/diff", `{}`)); len(d.Files) != 3 {
		t.Errorf("offered again: %+v", d.Files)
	}
	c.refused("glue/session/undo", `{}`, wire.RequestFailed, "no return")
}

func TestF5_NamesThatAreNotUTF8AreTakenAndGivenInEveryRequest(t *testing.T) {
	c, folder, _ := opensSession(t, map[string]string{"a.txt": "a\n", "n\xe9.txt": "1\n"})
	name := func(n string) string { return `{"pathBytes":"` + base64.StdEncoding.EncodeToString([]byte(n)) + `"}` }
	c.call("glue/exec", `{"command":"printf 2 > $(printf 'n\\351.txt'); printf n > $(printf 'new\\351'); printf d > $(printf 'dis\\351')"}`)
	d := into[diffResult](t, c.call("glue/session/diff", `{}`))
	found := map[string]string{}
	for _, f := range d.Files {
		b, err := base64.StdEncoding.DecodeString(f.PathBytes)
		if err != nil {
			t.Fatal(err)
		}
		found[string(b)] = f.Path
	}
	for _, want := range []string{"n\xe9.txt", "new\xe9", "dis\xe9"} {
		if found[want] == "" || strings.Contains(found[want], "\xe9") {
			t.Errorf("%q is shown as %q", want, found[want])
		}
	}
	gone := into[discardResult](t, c.call("glue/session/discard", `{"paths":[`+name("dis\xe9")+`]}`))
	if len(gone.Files) != 1 {
		t.Errorf("thrown away: %+v", gone.Files)
	}
	// A conflict, named and settled by its bytes; all of it goes by disk.
	if err := os.WriteFile(filepath.Join(folder, "n\xe9.txt"), []byte("mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := into[decodedReturn](t, c.call("glue/session/return", `{}`))
	if len(r.Conflicts) != 1 || r.Conflicts[0].PathBytes == "" || string(r.Edit) != "null" {
		t.Fatalf("the return is %+v, edit %s", r, r.Edit)
	}
	r = into[decodedReturn](t, c.call("glue/session/return", `{"resolutions":[{"pathBytes":"`+r.Conflicts[0].PathBytes+`","choice":"content","data":"both\n","encoding":"utf-8"}]}`))
	if !r.Applied || len(r.Conflicts) != 0 {
		t.Errorf("settled: %+v", r)
	}
	for n, want := range map[string]string{"n\xe9.txt": "both\n", "new\xe9": "n"} {
		if b, err := os.ReadFile(filepath.Join(folder, n)); err != nil || string(b) != want {
			t.Errorf("%q holds %q, %v", n, b, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(folder, "dis\xe9")); !os.IsNotExist(err) {
		t.Errorf("what was thrown away came back: %v", err)
	}
}

func TestWhatIsNoTextIsToldBeforeACommandWritesIt(t *testing.T) {
	c, folder, _ := opensSession(t, map[string]string{"a.txt": "a\n", "gone.txt": "x\n"})
	c.call("glue/exec", `{"command":"printf '\\0' > b.bin; rm gone.txt; chmod +x a.txt; ln -s a.txt link; echo t > t.txt"}`)
	c.call("workspace/executeCommand", `{"command":"glue.session.return"}`)
	c.await("workspace/applyEdit", nil)
	told := string(c.await("window/showMessage", contains("Not only text")))
	for _, want := range []string{"b.bin (binary)", "gone.txt (deleted)", "a.txt (mode)", "link (link)"} {
		if !strings.Contains(told, want) {
			t.Errorf("%q is not in %s", want, told)
		}
	}
	if strings.Contains(told, "t.txt (") {
		t.Errorf("plain text is in %s", told)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	first := func(method, part string) int {
		return slices.IndexFunc(c.messages, func(m message) bool { return m.method == method && strings.Contains(string(m.params), part) })
	}
	if first("window/showMessage", "Not only text") > first("workspace/applyEdit", "") {
		t.Error("the person was told after the editor was asked")
	}
	if _, err := os.Lstat(filepath.Join(folder, "b.bin")); err == nil {
		t.Error("it was written although the editor applied nothing")
	}
}
