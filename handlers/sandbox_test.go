package handlers

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"
	"time"

	"glue-lsp/config"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/local"
	"glue-lsp/session"
)

// isolation is what sandboxes of these tests are confined by.
func isolation() string { return cmp.Or(os.Getenv("GLUE_LOCAL_ISOLATION"), local.None) }

// withSandbox starts a server with real sessions, on a folder with these files. The
// sandbox is not confined unless GLUE_LOCAL_ISOLATION says so: what confinement does is
// tested where it is made.
func withSandbox(t testing.TB, capabilities string, files map[string]string) (*testClient, string) {
	t.Helper()
	home, folder := t.TempDir(), t.TempDir()
	for name, text := range files {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return serverOn(t, capabilities, home, folder), folder
}

// serverOn starts a server that keeps its sessions in home.
func serverOn(t testing.TB, capabilities, home, folder string) *testClient {
	t.Helper()
	runtime := local.New(local.Options{Isolation: isolation(), Home: home, Grace: time.Minute})
	c := connect(t, Options{
		Home: home, Runtimes: []string{"local"},
		NewManager: func(_ func() *config.Settings, changed func(session.Info)) (*session.Manager, error) {
			return session.NewManager(session.Options{
				Home: home, Runtimes: map[string]sandbox.Runtime{"local": runtime}, Changed: changed, Log: t.Logf,
			})
		},
	})
	c.initialize(`{"capabilities":` + capabilities + `,"workspaceFolders":[{"uri":"` + fileURI(folder) + `","name":"w"}]}`)
	t.Cleanup(func() {
		// Closed one by one first: shutdown itself waits for less than a second, and what
		// is not over by then would still write into the test's folder.
		for _, info := range into[listResult](t, c.call("glue/session/list", `{}`)).Sessions {
			if info.State == session.Ready {
				c.call("glue/session/close", `{"session":"`+info.ID+`","return":false}`)
			}
		}
		c.call("shutdown", `null`)
	})
	return c
}

// opensSession opens the session that most tests work in.
func opensSession(t testing.TB, files map[string]string) (*testClient, string, sessionInfo) {
	t.Helper()
	c, folder := withSandbox(t, canApply, files)
	return c, folder, into[sessionInfo](t, c.call("glue/session/open", `{}`))
}
