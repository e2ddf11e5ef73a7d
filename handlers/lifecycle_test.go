package handlers

import (
	"context"
	"encoding/json"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/wire"
	"glue-lsp/sandbox"

	"glue-lsp/config"
)

func TestInitializeSaysWhatIsOffered(t *testing.T) {
	c := connect(t, Options{Runtimes: []string{"local", "modal"}})
	raw := c.initialize(`{"processId":null,"rootUri":null,"capabilities":{"general":{"positionEncodings":["utf-16","utf-32","utf-8"]}}}`)
	got := into[struct {
		ServerInfo   struct{ Name, Version string }
		Capabilities struct {
			PositionEncoding string
			TextDocumentSync struct {
				OpenClose bool
				Change    int
				Save      struct{ IncludeText bool }
			}
			CodeActionProvider     struct{ CodeActionKinds []string }
			CodeLensProvider       *struct{}
			ExecuteCommandProvider struct{ Commands []string }
			Workspace              struct {
				WorkspaceFolders    struct{ Supported, ChangeNotifications bool }
				TextDocumentContent struct{ Schemes []string }
			}
			Experimental struct {
				Glue struct {
					Version           int
					Methods, Runtimes []string
				}
			}
		}
	}](t, raw)
	caps := got.Capabilities
	if got.ServerInfo.Name != "glue-lsp" || got.ServerInfo.Version != "1.2.3" {
		t.Errorf("serverInfo is %+v", got.ServerInfo)
	}
	if caps.PositionEncoding != "utf-8" || !caps.TextDocumentSync.OpenClose || caps.TextDocumentSync.Change != 2 {
		t.Errorf("the text is to be synced as %+v in %s", caps.TextDocumentSync, caps.PositionEncoding)
	}
	if diff := cmp.Diff([]string{"glue.run"}, caps.CodeActionProvider.CodeActionKinds); diff != "" || caps.CodeLensProvider == nil {
		t.Errorf("code actions: %s", diff)
	}
	wantCommands := []string{
		"glue.session.open", "glue.session.close", "glue.session.return", "glue.session.checkpoint",
		"glue.session.diff", "glue.session.undo", "glue.session.discard", "glue.run", "glue.runFile",
		"glue.runSelection", "glue.runTest", "glue.sync", "glue.doctor", "glue.showOutput", "glue.stop",
	}
	if diff := cmp.Diff(wantCommands, caps.ExecuteCommandProvider.Commands); diff != "" {
		t.Errorf("commands: %s", diff)
	}
	if !caps.Workspace.WorkspaceFolders.Supported || !caps.Workspace.WorkspaceFolders.ChangeNotifications {
		t.Error("changes of workspace folders are not asked for")
	}
	if diff := cmp.Diff([]string{"glue-sandbox", "glue-base"}, caps.Workspace.TextDocumentContent.Schemes); diff != "" {
		t.Errorf("schemes: %s", diff)
	}
	glue := caps.Experimental.Glue
	if diff := cmp.Diff([]string{"local", "modal"}, glue.Runtimes); diff != "" || glue.Version != 1 {
		t.Errorf("experimental.glue: version %d, runtimes %s", glue.Version, diff)
	}
	wantMethods := strings.Fields(`glue/session/open glue/session/list glue/session/status glue/session/sync glue/session/checkpoint
		glue/session/diff glue/session/version glue/session/return glue/session/undo glue/session/discard glue/session/close
		glue/exec glue/exec/ack glue/exec/attach glue/exec/stdin glue/exec/resize glue/exec/signal glue/exec/list
		glue/fs/stat glue/fs/statMany glue/fs/exists glue/fs/readDirectory glue/fs/readFile glue/fs/writeFile glue/fs/createDirectory
		glue/fs/delete glue/fs/rename glue/fs/copy glue/fs/watch glue/fs/unwatch glue/doctor`)
	if diff := cmp.Diff(wantMethods, glue.Methods); diff != "" {
		t.Errorf("methods: %s", diff)
	}
}

func TestExperimentalCapabilitiesOfAnyFormAreAccepted(t *testing.T) {
	for _, experimental := range []string{`null`, `true`, `5`, `"x"`, `["a"]`, `{}`, `{"other":[1]}`, `{"glue":null}`} {
		c := connect(t, Options{})
		c.initialize(`{"capabilities":{"experimental":` + experimental + `}}`)
		if got := c.server.peer.Load().client; got.reviews || got.edit.UnsavedOnly {
			t.Errorf("%s was taken for %+v", experimental, got)
		}
	}
}

func TestPositionEncodingFallsBackToUTF16(t *testing.T) {
	for offered, want := range map[string]string{
		`{}`: "utf-16", `{"general":{"positionEncodings":["utf-16"]}}`: "utf-16",
		`{"general":{"positionEncodings":["utf-16","utf-32"]}}`: "utf-32", `{"general":{"positionEncodings":["utf-7"]}}`: "utf-16",
	} {
		c := connect(t, Options{})
		raw := c.initialize(`{"capabilities":` + offered + `}`)
		if !strings.Contains(string(raw), `"positionEncoding":"`+want+`"`) {
			t.Errorf("offered %s: the answer is not %s: %s", offered, want, raw)
		}
	}
}

func TestRequestsOutsideOfTheLifeAreRefused(t *testing.T) {
	c := connect(t, Options{})
	c.refused("glue/session/list", `{}`, wire.ServerNotInitialized, "before initialize")
	c.refused("shutdown", `null`, wire.ServerNotInitialized, "before initialize")
	c.refused("initialize", `{"processId":"x","capabilities":{}}`, wire.InvalidParams, "processId")
	c.initialize(`{"capabilities":{}}`)
	c.refused("initialize", `{"capabilities":{}}`, wire.InvalidRequest, "once")
	c.refused("glue/nothing", `{}`, wire.MethodNotFound, "glue/nothing")
	c.refused("textDocument/hover", `{}`, wire.MethodNotFound, "hover")
	c.notify("glue/nothing", `{"a":1}`)
	c.notify("$/nothing", `null`)
	c.call("shutdown", `null`)
	c.refused("glue/session/list", `{}`, wire.InvalidRequest, "shut down")
	c.notify("exit", `null`)
	if code := <-c.exit; code != 0 {
		t.Errorf("exit after shutdown gives status %d", code)
	}
	c.exit <- 0
}

func TestExitWithoutShutdownIsStatus1(t *testing.T) {
	for name, end := range map[string]func(*testClient){
		"exit":               func(c *testClient) { c.notify("exit", `null`) },
		"the input's end":    func(c *testClient) { _ = c.input.Close() },
		"exit at the start":  func(c *testClient) { c.notify("exit", `null`) },
		"closing both sides": func(c *testClient) { _ = c.conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, Options{})
			if name != "exit at the start" {
				c.initialize(`{"capabilities":{}}`)
			}
			end(c)
			code := <-c.exit
			c.exit <- code
			if code != 1 {
				t.Errorf("status is %d, want 1", code)
			}
		})
	}
}

func TestServerEndsWhenTheClientsProcessIsGone(t *testing.T) {
	client := exec.Command("cat")
	in, err := client.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	ticks := make(chan time.Time)
	c := connect(t, Options{After: func(time.Duration) <-chan time.Time { return ticks }})
	c.initialize(`{"processId":` + strconv.Itoa(client.Process.Pid) + `,"capabilities":{}}`)
	ticks <- time.Time{} // still there: looked at, and waited for again
	_ = in.Close()
	_ = client.Wait()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case ticks <- time.Time{}:
		case <-ended: // the first look was late enough
		}
	}()
	select {
	case code := <-c.exit:
		c.exit <- code
		if code != 1 {
			t.Errorf("status is %d, want 1", code)
		}
	case <-time.After(patience):
		t.Fatal("the server lives on")
	}
}

func TestWorkspaceFoldersFollowTheClient(t *testing.T) {
	c := connect(t, Options{})
	c.initialize(`{"rootUri":"file:///old","workspaceFolders":[{"uri":"file:///a%20b","name":"x"},{"uri":"vscode-vfs://x/y","name":"y"}],"capabilities":{}}`)
	c.notify("workspace/didChangeWorkspaceFolders", `{"event":{"added":[{"uri":"file:///a%20b/deep","name":"z"}],"removed":[]}}`)
	c.call("glue/doctor", `{}`)
	p := c.server.peer.Load()
	for file, want := range map[string]string{
		"": "/a b", "/a b/x": "/a b", "/a b/deep/x": "/a b/deep", "/a bc": "", "/other": "",
	} {
		if got, _ := p.folderFor(file); got != want {
			t.Errorf("folder of %q is %q, want %q", file, got, want)
		}
	}
	c.notify("workspace/didChangeWorkspaceFolders", `{"event":{"added":[],"removed":[{"uri":"file:///a%20b","name":"x"}]}}`)
	c.call("glue/doctor", `{}`)
	if got, _ := p.folderFor(""); got != "/a b/deep" {
		t.Errorf("after the first was removed the first folder is %q", got)
	}
}

func TestWrongSettingIsShownAndKeepsSessionsFromOpening(t *testing.T) {
	c := connect(t, Options{})
	c.initialize(`{"capabilities":{},"workspaceFolders":[{"uri":"file:///tmp","name":"t"}],
		"initializationOptions":{"glue":{"user":{"runtime":"moodal"},"trusted":true}}}`)
	c.await("window/showMessage", contains("runtime"))
	c.refused("glue/session/open", `{}`, wire.RequestFailed, "runtime")
	doctor := into[doctorResult](t, c.call("glue/doctor", `{}`))
	if doctor.OK || doctor.Checks[0].Status != "fail" {
		t.Errorf("doctor says %+v", doctor)
	}
	c.notify("workspace/didChangeConfiguration", `{"settings":{}}`)
	if doctor := into[doctorResult](t, c.call("glue/doctor", `{}`)); doctor.OK {
		t.Error("empty settings took the wrong one back")
	}
	c.notify("workspace/didChangeConfiguration", `{"settings":{"glue":{"user":{"runtime":"local"},"trusted":true}}}`)
	if doctor := into[doctorResult](t, c.call("glue/doctor", `{}`)); !doctor.OK {
		t.Errorf("after the correction doctor says %+v", doctor)
	}
}

func TestX1_SettingsThatAreNotKeptApartCountAsTheWorkspaces(t *testing.T) {
	for raw, want := range map[string]editorSettings{
		`{"glue":{"user":{"runtime":"modal"},"workspace":{"a":1},"trusted":true}}`: {
			User: map[string]any{"runtime": "modal"}, Workspace: map[string]any{"a": 1.0}, Trusted: true,
		},
		`{"glue":{"runtime":"modal","modal":{"python_path":"./evil"}}}`: {
			Workspace: map[string]any{"runtime": "modal", "modal": map[string]any{"python_path": "./evil"}},
		},
		`{"other":1}`: {}, `null`: {}, `[1]`: {}, `{"glue":null}`: {},
	} {
		got, _, err := readEditorSettings([]byte(raw))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", raw, err, diff)
		}
	}
	if _, _, err := readEditorSettings([]byte(`{"glue":{"trusted":"yes"}}`)); err == nil || !strings.Contains(err.Error(), "trusted") {
		t.Errorf("a wrong type is %v, want an error that names trusted", err)
	}
}

func TestDoctorListsTheRuntimesChecks(t *testing.T) {
	c := connect(t, Options{Runtimes: []string{"local"}, Checks: func(_ context.Context, _ *config.Settings, runtime, _ string) ([]sandbox.Check, error) {
		return []sandbox.Check{{Name: "git", Status: "warn", Detail: runtime}}, nil
	}})
	c.initialize(`{"capabilities":{}}`)
	got := c.call("glue/doctor", `{"runtime":"local"}`)
	want := `{"ok":true,"checks":[{"name":"settings","status":"ok","detail":"every value is usable"},{"name":"git","status":"warn","detail":"local"}]}`
	if diff := cmp.Diff(into[any](t, json.RawMessage(want)), into[any](t, got)); diff != "" {
		t.Error(diff)
	}
	c.refused("glue/doctor", `{"runtime":"podman"}`, wire.InvalidParams, "runtime")
}

func TestSetTraceReportsWhatWasAnswered(t *testing.T) {
	c := connect(t, Options{})
	c.initialize(`{"capabilities":{}}`)
	c.notify("$/setTrace", `{"value":"messages"}`)
	c.call("glue/doctor", `{}`)
	c.await("$/logTrace", contains("glue/doctor took"))
}
