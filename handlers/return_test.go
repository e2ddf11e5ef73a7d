package handlers

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glue-lsp/internal/wire"
)

// changedInSandbox is a session with one changed, one new and one removed file.
func changedInSandbox(t *testing.T) (*testClient, string, sessionInfo) {
	t.Helper()
	c, folder, info := opensSession(t, map[string]string{"a.txt": "one\ntwo\n", "gone.txt": "x\n", "same.txt": "same\n"})
	c.call("glue/exec", `{"command":"printf 'one\\nTWO\\n' > a.txt; echo new > new.txt; rm gone.txt"}`)
	return c, folder, info
}

func TestReturnWithoutApplyingOnlyGivesTheEdit(t *testing.T) {
	c, folder, _ := changedInSandbox(t)
	r := into[struct {
		Mbox    *mboxInfo
		Files   []fileChange
		Edit    json.RawMessage
		Applied bool
	}](t, c.call("glue/session/return", `{"apply":false}`))
	if r.Mbox == nil || len(r.Files) != 3 || r.Applied || !strings.Contains(string(r.Edit), "TWO") {
		t.Errorf("the result is %+v, edit %s", r, r.Edit)
	}
	if b, err := os.ReadFile(filepath.Join(folder, "a.txt")); err != nil || string(b) != "one\ntwo\n" {
		t.Errorf("the host's file is %q, %v", b, err)
	}
}

func TestAListOfPathsWithoutAPathIsNotTakenForAll(t *testing.T) {
	c, _, _ := changedInSandbox(t)
	for _, method := range []string{"glue/session/return", "glue/session/discard", "glue/session/close"} {
		c.refused(method, `{"paths":[]}`, wire.InvalidParams, "paths: ")
	}
	if d := into[diffResult](t, c.call("glue/session/diff", `{}`)); len(d.Files) != 3 {
		t.Errorf("of three changes %d are left", len(d.Files))
	}
}

func TestReturnAppliesThroughTheEditor(t *testing.T) {
	c, folder, _ := changedInSandbox(t)
	c.mu.Lock()
	c.answer = func(_ context.Context, method string, params json.RawMessage) (any, error) {
		if method != "workspace/applyEdit" {
			return nil, nil
		}
		// An editor that does what it is told: here with the files as they should become.
		for name, text := range map[string]string{"a.txt": "one\nTWO\n", "new.txt": "new\n"} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
				return nil, err
			}
		}
		_ = os.Remove(filepath.Join(folder, "gone.txt"))
		return map[string]any{"applied": true}, nil
	}
	c.mu.Unlock()
	r := into[decodedReturn](t, c.call("glue/session/return", `{}`))
	if !r.Applied || len(r.Conflicts) != 0 {
		t.Errorf("the result is %+v", r)
	}
	if b, err := os.ReadFile(filepath.Join(folder, "a.txt")); err != nil || string(b) != "one\nTWO\n" {
		t.Errorf("the host's file is %q, %v", b, err)
	}
	again := into[decodedReturn](t, c.call("glue/session/return", `{}`))
	if again.Applied || again.Mbox != nil || string(again.Edit) != "null" {
		t.Errorf("a second return is %+v", again)
	}
}

// decodedReturn is returnResult as a client decodes it.
type decodedReturn struct {
	Mbox       *mboxInfo
	Files      []fileChange
	Edit       json.RawMessage
	Applied    bool
	Conflicts  []conflict
	Terminated bool
}

func TestCloseReturnsAndEndsTheSession(t *testing.T) {
	c, folder, info := changedInSandbox(t)
	r := into[decodedReturn](t, c.call("glue/session/close", `{"mode":"disk"}`))
	if !r.Terminated || !r.Applied || len(r.Files) != 3 {
		t.Errorf("the result is %+v", r)
	}
	if b, err := os.ReadFile(filepath.Join(folder, "new.txt")); err != nil || string(b) != "new\n" {
		t.Errorf("the host's file is %q, %v", b, err)
	}
	c.refused("glue/session/status", `{}`, wire.RequestFailed, "no session")
	c.refused("glue/exec", `{"session":"`+info.ID+`","argv":["true"]}`, wire.RequestFailed, info.ID)
	c.await(methodSessionChanged, contains(`"state":"closed"`))
}
