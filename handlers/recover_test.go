package handlers

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// leftBehind is a home with a session that ended, and whose change never came back.
func leftBehind(t *testing.T) (home, folder, id string) {
	t.Helper()
	home, folder = t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "a.txt"), []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := serverOn(t, canApply, home, folder)
	info := into[sessionInfo](t, c.call("glue/session/open", `{}`))
	c.call("glue/exec", `{"command":"echo two > a.txt"}`)
	c.call("glue/session/close", `{"return":false}`)
	return home, folder, info.ID
}

func TestS6_AClientThatReviewsByItselfIsToldOfEndedSessionsAndNotAsked(t *testing.T) {
	home, folder, id := leftBehind(t)
	for capabilities, asked := range map[string]bool{
		`{"window":{"showMessage":{}}}`:                                         true,
		`{"window":{"showMessage":{}},"experimental":{"glue":{"review":true}}}`: false,
	} {
		c := serverOn(t, capabilities, home, folder)
		var questions atomic.Int32
		answered := make(chan struct{}, 1)
		c.mu.Lock()
		c.answer = func(_ context.Context, method string, _ json.RawMessage) (any, error) {
			if method == "window/showMessageRequest" {
				questions.Add(1)
				answered <- struct{}{}
			}
			return nil, nil
		}
		c.mu.Unlock()
		c.server.recoverSessions(testContext(t)) // once more: what initialized does in the background
		if asked {
			<-answered
			continue
		}
		c.await(methodSessionChanged, contains(id))
		if n := questions.Load(); n != 0 {
			t.Errorf("a client that reviews by itself was asked %d times", n)
		}
	}
}
