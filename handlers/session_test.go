package handlers

import (
	"slices"
	"strings"
	"testing"

	"glue-lsp/internal/wire"
)

func TestOpenDescribesTheSession(t *testing.T) {
	c, folder, info := opensSession(t, map[string]string{"a.txt": "one\n", "d/b.txt": "two\n"})
	if info.WorkspaceFolder != fileURI(folder) || info.Runtime != "local" || info.State != "ready" || info.Base.Files != 2 ||
		info.Isolation != "none" || len(info.Gaps) == 0 || info.CreatedAt == "" || info.Cwd == "" {
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
	c.call("glue/session/checkpoint", `{}`)
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
	c.refused("workspace/textDocumentContent", `{"uri":"`+contentURI("base", info.ID, "new.txt")+`"}`, wire.RequestFailed, "")
	c.refused("workspace/textDocumentContent", `{"uri":"glue-base:/nosuch/a"}`, wire.RequestFailed, "nosuch")
}
