package handlers

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"glue-lsp/config"
	"glue-lsp/internal/wire"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/local"
	"glue-lsp/session"
)

// unasked is a local runtime on a machine where no isolation works.
type unasked struct{ *local.Runtime }

func (r unasked) Open(ctx context.Context, spec sandbox.Spec) (sandbox.Sandbox, error) {
	if !spec.Unconfined {
		return nil, &sandbox.Error{Kind: sandbox.NeedsConfirmation, Op: "open", Message: "nothing works here", Hint: "say yes"}
	}
	return r.Runtime.Open(ctx, spec)
}

// withoutIsolation starts a server on such a machine, for a client that can ask, or not.
func withoutIsolation(t *testing.T, capabilities string) (c *testClient, folder string) {
	t.Helper()
	home := t.TempDir()
	folder = filepath.Join(t.TempDir(), "w")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	c = connect(t, Options{
		Home: home, Runtimes: []string{"local"},
		NewManager: func(_ func() *config.Settings, changed func(session.Info)) (*session.Manager, error) {
			return session.NewManager(session.Options{
				Home: home, Changed: changed, Log: t.Logf,
				Runtimes: map[string]sandbox.Runtime{"local": unasked{local.New(local.Options{Isolation: local.None, Home: home})}},
			})
		},
	})
	c.initialize(`{"capabilities":` + capabilities + `,"workspaceFolders":[{"uri":"` + fileURI(folder) + `","name":"w"}]}`)
	return c, folder
}

const canAsk = `{"window":{"showMessage":{}}}`

// answers lets the person press a button under the question, and counts the questions.
func (c *testClient) answers(button string) (asked func() int) {
	var mu sync.Mutex
	n := 0
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = func(_ context.Context, method string, _ json.RawMessage) (any, error) {
		if method != "window/showMessageRequest" {
			return nil, nil
		}
		mu.Lock()
		defer mu.Unlock()
		n++
		if button == "" {
			return nil, nil
		}
		return map[string]string{"title": button}, nil
	}
	return func() int { mu.Lock(); defer mu.Unlock(); return n }
}

func closeSession(c *testClient) {
	c.t.Helper()
	c.call("glue/session/close", `{"return":false}`)
}

func TestX6_ASessionWithoutIsolationOpensOnlyOnceAPersonSaidYes(t *testing.T) {
	c, _ := withoutIsolation(t, canAsk)
	for _, button := range []string{"", "Cancel"} {
		asked := c.answers(button)
		c.refused("glue/session/open", `{}`, wire.RequestFailed, "nothing works here")
		if asked() != 1 {
			t.Errorf("%q: asked %d times", button, asked())
		}
	}
	asked := c.answers("Run once")
	c.call("glue/session/open", `{}`)
	c.call("glue/session/open", `{}`) // it is open
	if asked() != 1 {
		t.Errorf("asked %d times", asked())
	}
	closeSession(c)
	c.answers("Always for this folder")
	c.call("glue/session/open", `{}`)
	closeSession(c)
	asked = c.answers("")
	c.call("glue/session/open", `{}`)
	if asked() != 0 {
		t.Error("asked again")
	}
	closeSession(c)
}

func TestX6_AClientMayPutTheQuestionItself(t *testing.T) {
	c, _ := withoutIsolation(t, `{}`)
	asked := c.answers("Run once")
	_, err := c.try("glue/session/open", `{}`)
	if data := into[failure](t, err.Data.(json.RawMessage)); data.Kind != session.NeedsConfirmation || data.Hint != "say yes" {
		t.Errorf("got %+v", data)
	}
	if asked() != 0 {
		t.Error("a client that cannot ask was asked")
	}
	c.refused("glue/session/open", `{"unconfined":"yes"}`, wire.InvalidParams, "unconfined")
	c.call("glue/session/open", `{"unconfined":"once"}`)
	closeSession(c)
	c.refused("glue/session/open", `{}`, wire.RequestFailed, "nothing works here")
	c.call("glue/session/open", `{"unconfined":"always"}`)
	closeSession(c)
	c.call("glue/session/open", `{}`)
	closeSession(c)
}

func TestX6_ACommandThatOpensASessionAsksToo(t *testing.T) {
	c, _ := withoutIsolation(t, canAsk)
	c.answers("Cancel")
	c.call("workspace/executeCommand", `{"command":"glue.run","arguments":[{"command":"echo ran"}]}`)
	c.await("window/showMessageRequest", contains("Run without a sandbox?"))
	c.await("window/showMessage", contains("nothing works here"))
}
