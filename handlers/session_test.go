package handlers

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/wire"
)

func TestOpenDescribesTheSession(t *testing.T) {
	c, folder, info := opensSession(t, map[string]string{"a.txt": "one\n", "d/b.txt": "two\n"})
	if info.WorkspaceFolder != fileURI(folder) || info.Runtime != "local" || info.State != "ready" || info.Base.Files != 2 ||
		info.Isolation != isolation() || len(info.Gaps) == 0 || info.CreatedAt == "" || info.Cwd == "" {
		t.Errorf("the session is %+v", info)
	}
	if again := into[sessionInfo](t, c.call("glue/session/open", `{"workspaceFolder":"`+fileURI(folder)+`"}`)); again.ID != info.ID {
		t.Errorf("the same folder gave another session: %s and %s", again.ID, info.ID)
	}
	list := into[listResult](t, c.call("glue/session/list", `{}`))
	if len(list.Sessions) != 1 || list.Sessions[0].ID != info.ID {
		t.Errorf("the list is %+v", list)
	}
	c.await(methodSessionChanged, contains(info.ID))
}

func TestDiffShowsWhatAReturnWouldBring(t *testing.T) {
	c, _, _ := changedInSandbox(t)
	d := into[diffResult](t, c.call("glue/session/diff", `{}`))
	var got []string
	for _, f := range d.Files {
		got = append(got, f.Status+" "+f.Path)
	}
	slices.Sort(got)
	if strings.Join(got, ", ") != "added new.txt, deleted gone.txt, modified a.txt" {
		t.Errorf("the files are %q", got)
	}
	if !strings.Contains(d.Patch, "-two\n+TWO\n") {
		t.Errorf("the patch is %q", d.Patch)
	}
}

func TestBothSidesOfAChangeCanBeRead(t *testing.T) {
	c, _, info := changedInSandbox(t)
	c.call("glue/exec", `{"command":"printf '\\000\\377\\001' > run.bin; chmod +x run.bin; ln -s nowhere link"}`)
	c.call("glue/session/checkpoint", `{}`)
	if link := into[versionResult](t, c.call("glue/session/version", `{"side":"sandbox","path":"link"}`)); link.Data != "nowhere" || !link.IsSymbolicLink {
		t.Errorf("a link is %+v", link)
	}
	for uri, want := range map[string]string{
		contentURI("sandbox", info.ID, "a.txt"):   "one\nTWO\n",
		contentURI("base", info.ID, "a.txt"):      "one\ntwo\n",
		contentURI("sandbox", info.ID, "new.txt"): "new\n",
	} {
		got := into[struct{ Text string }](t, c.call("workspace/textDocumentContent", `{"uri":"`+uri+`"}`))
		if got.Text != want {
			t.Errorf("%s is %q", uri, got.Text)
		}
	}
	binary := into[versionResult](t, c.call("glue/session/version", `{"side":"sandbox","path":"run.bin"}`))
	if diff := cmp.Diff(versionResult{payload: payload{Data: "AP8B", Encoding: encBase64}, Size: 3, Mode: 0o755}, binary, cmp.AllowUnexported(versionResult{}, payload{})); diff != "" {
		t.Errorf("the bytes of run.bin: %s", diff)
	}
	part := into[versionResult](t, c.call("glue/session/version", `{"session":"`+info.ID+`","side":"base","pathBytes":"YS50eHQ=","offset":4,"length":2}`))
	if part.Data != "tw" || part.Size != 8 || part.Mode != 0o644 {
		t.Errorf("a part of a.txt: %+v", part)
	}
	c.refused("glue/session/version", `{"side":"mine","path":"a.txt"}`, wire.InvalidParams, "side: ")
	c.refused("glue/session/version", `{"side":"base","path":"a.txt","offset":-1}`, wire.InvalidParams, "offset: ")
	c.refused("glue/session/version", `{"side":"base","path":"new.txt"}`, wire.RequestFailed, "new.txt")
	c.refused("glue/session/version", `{"side":"base","path":"../a.txt"}`, wire.RequestFailed, "is not in the base version")
	if d := into[diffResult](t, c.call("glue/session/diff", `{"path":"../a.txt"}`)); len(d.Files) != 0 || d.Patch != "" {
		t.Errorf("outside of the tree there is %+v", d)
	}
	c.refused("workspace/textDocumentContent", `{"uri":"`+contentURI("base", info.ID, "new.txt")+`"}`, wire.RequestFailed, "")
	c.refused("workspace/textDocumentContent", `{"uri":"glue-base:/nosuch/a"}`, wire.RequestFailed, "nosuch")
}

// TestU7_AWorkspaceBehindALinkKeepsTheClientsNames: sessions work on the path without
// links, while the client knows its buffers only under its own.
func TestU7_AWorkspaceBehindALinkKeepsTheClientsNames(t *testing.T) {
	c, _, _ := opensSession(t, nil)
	real, link := t.TempDir(), filepath.Join(t.TempDir(), "li nk")
	if err := os.WriteFile(filepath.Join(real, "a.txt"), []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	c.notify("workspace/didChangeWorkspaceFolders", `{"event":{"added":[{"uri":"`+fileURI(link)+`","name":"l"}],"removed":[]}}`)
	uri := "file://" + strings.ReplaceAll(filepath.Join(link, "a.txt"), " ", "%20")
	c.notify("textDocument/didOpen", `{"textDocument":{"uri":"`+uri+`","languageId":"plaintext","version":1,"text":"one\n"}}`)
	c.notify("textDocument/didChange", `{"textDocument":{"uri":"`+uri+`","version":2},"contentChanges":[{"text":"unsaved\n"}]}`)
	info := into[sessionInfo](t, c.call("glue/session/open", `{"workspaceFolder":"`+fileURI(link)+`"}`))
	if info.WorkspaceFolder != fileURI(link) || info.Base.Unsaved != 1 {
		t.Errorf("the session is on %s with %d unsaved", info.WorkspaceFolder, info.Base.Unsaved)
	}
	id := `"session":"` + info.ID + `"`
	c.call("glue/exec", `{`+id+`,"command":"cat a.txt > b.txt; echo more >> a.txt"}`)
	edit := string(c.call("glue/session/return", `{`+id+`,"apply":false}`))
	if !strings.Contains(edit, `"`+uri+`"`) || !strings.Contains(edit, `"`+fileURI(filepath.Join(link, "b.txt"))+`"`) {
		t.Errorf("the edit names other files than the client's: %s", edit)
	}
	c.call("workspace/executeCommand", `{"command":"glue.runFile","arguments":[{"uri":"`+fileURI(filepath.Join(link, "none.sh"))+`"}]}`)
	c.await("window/showMessage", contains("ended with status 127"))
}
