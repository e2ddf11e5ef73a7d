package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glue-lsp/internal/lsptest"
	"glue-lsp/internal/modaltest"
)

// refusal is something that Modal needs and that is not there, or that Modal does not do.
type refusal struct {
	name   string
	env    []string
	faults map[string]any
	kind   string
	says   []string // the message
	hint   string
}

// python is an interpreter that says of itself what it is told.
func (p *person) python(said string) string {
	p.Helper()
	file := filepath.Join(p.TempDir(), "python3")
	text := fmt.Sprintf("#!/bin/sh\nprintf '\\nglue-lsp %%s\\n' '%s'\n", said)
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		p.Fatal(err)
	}
	return file
}

func (p *person) refusals() []refusal {
	return []refusal{
		{
			name: "no Python", env: []string{"MODAL_PYTHON=/no/such/python"}, kind: "runtimeUnavailable",
			says: []string{"modal.python_path (MODAL_PYTHON): /no/such/python: no such file"}, hint: "absolute path",
		},
		{
			name: "an old Python", env: []string{"MODAL_PYTHON=" + p.python(`{"version": [3, 9, 2]}`)}, kind: "runtimeUnavailable",
			says: []string{"is Python 3.9.2, 3.10 or later is needed"}, hint: "install Python 3.10",
		},
		{
			name: "no package", env: []string{"MODAL_PYTHON=" + p.python(`{"version": [3, 12, 1], "pip": true}`)}, kind: "runtimeUnavailable",
			says: []string{"has no package modal"}, hint: "-m pip install --user modal",
		},
		{
			name: "an old package", env: []string{"MODAL_PYTHON=" + p.python(`{"version": [3, 12, 1], "pip": true, "venv": true, "modal": "1.2.0", "importable": true}`)}, kind: "runtimeUnavailable",
			says: []string{"has modal 1.2.0, 1.6 or later is needed"}, hint: "-m pip install --upgrade modal",
		},
		{
			name: "a wrong token", env: []string{"MODAL_TOKEN_SECRET=as-0wrong0wrong"}, kind: "notAuthenticated",
			says: []string{"secret is wrong"}, hint: "modal token new",
		},
		{
			name: "a token that was revoked", faults: map[string]any{"refuseToken": true}, kind: "notAuthenticated",
			says: []string{"revoked"}, hint: "modal token new",
		},
		{
			name: "no token", env: []string{"MODAL_TOKEN_ID=", "MODAL_TOKEN_SECRET="}, kind: "notAuthenticated",
			says: []string{"Token missing"}, hint: "modal token new",
		},
		{
			name: "no network", env: []string{"MODAL_SERVER_URL=http://127.0.0.1:1"}, kind: "runtimeUnavailable",
			says: []string{"Modal cannot be reached", "Connection refused"}, hint: "check the network",
		},
		{
			name: "an image that does not build", faults: map[string]any{"imageFails": "E: Unable to locate package gti"}, kind: "runtimeUnavailable",
			says: []string{"E: Unable to locate package gti"}, hint: "modal.image",
		},
	}
}

// readable fails for what only a programmer can make something of.
func readable(t *testing.T, text string) {
	t.Helper()
	for _, noise := range []string{"Traceback", "goroutine", "GRPC", "grpclib", "sandbox/create", "0wrong0wrong"} {
		if strings.Contains(text, noise) {
			t.Errorf("%q is in what a person reads:\n%s", noise, text)
		}
	}
	if lines := strings.Count(text, "\n"); lines > 8 {
		t.Errorf("nobody reads %d lines:\n%s", lines, text)
	}
}

func TestWhatModalNeedsAndIsNotThereIsSaidOnTheCommandLineWithWhatHelps(t *testing.T) {
	p := onModal(t)
	common := p.env
	for _, r := range p.refusals() {
		t.Run(r.name, func(t *testing.T) {
			p.cloud.Faults(t, r.faults)
			p.env = append(common[:len(common):len(common)], r.env...)
			out, errs := p.does(exitFailure, "run", "--", "true")
			p.sees(errs, append(r.says, r.hint)...)
			readable(t, out+errs)
		})
	}
	if n := len(p.cloud.Stats(t).Sandboxes); n > 0 {
		t.Errorf("%d sandboxes were started", n)
	}
	if left := p.sessions(); len(left) > 0 {
		t.Errorf("sessions are left: %q", left)
	}
}

func TestWhatModalNeedsAndIsNotThereIsSaidInTheEditorByKindAndInWords(t *testing.T) {
	p := onModal(t)
	common := p.env
	for _, r := range p.refusals() {
		t.Run(r.name, func(t *testing.T) {
			p.cloud.Faults(t, r.faults)
			one := &person{T: t, home: p.home, repo: p.repo, env: append(common[:len(common):len(common)], r.env...)}
			e := one.editor()
			err := e.TryCall("glue/session/open", map[string]any{}, nil)
			if err == nil {
				t.Fatal("it opened")
			}
			var data struct{ Kind, Operation, Hint string }
			if raw, ok := err.Data.(json.RawMessage); !ok || json.Unmarshal(raw, &data) != nil {
				t.Fatalf("its data is %v", err.Data)
			}
			if err.Code != -32803 || data.Kind != r.kind || data.Operation == "" || !strings.Contains(data.Hint, r.hint) {
				t.Errorf("code %d, %+v", err.Code, data)
			}
			p.sees(err.Message, r.says...)
			readable(t, err.Message+"\n"+data.Hint)

			// A client that knows no method of ours reads it as a message.
			e.Execute("glue.run", map[string]any{"command": "true"}, nil)
			e.Await(lsptest.SawMessage(r.says[0]), lsptest.SawMessage(r.hint))
			for _, m := range e.State().Messages {
				readable(t, m.Text)
			}
			e.Shutdown()
		})
	}
}

func TestDoctorLooksAtModalFromTheCommandLineAndTheEditor(t *testing.T) {
	p := onModal(t)
	type report struct {
		OK     bool
		Checks []struct{ Name, Status, Detail, Hint string }
	}
	line := func(r report, name string) (status, text string) {
		t.Helper()
		for _, c := range r.Checks {
			if c.Name == name {
				return c.Status, c.Detail + " → " + c.Hint
			}
		}
		t.Errorf("there is no line %q in %+v", name, r)
		return "", ""
	}
	out, _ := p.does(0, "doctor", "--runtime", "modal", "--json")
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	for name, part := range map[string]string{
		"git": "", "modal python": "MODAL_PYTHON", "modal package": "modal 1.", "modal token": "emulated-workspace",
		"modal environment": "main", "modal transport": "agents for linux/", "modal sandboxes": "after 30m", "modal upload cap": "30.0 MiB",
	} {
		if status, text := line(r, name); status != "ok" || !strings.Contains(text, part) {
			t.Errorf("%s: %s %s, want ok and %q", name, status, text, part)
		}
	}
	for _, c := range r.Checks {
		if c.Name == "bubblewrap" {
			t.Error("another runtime was looked at")
		}
	}

	// What is chosen in the editor counts there.
	p.env = append(p.env, "MODAL_PYTHON=")
	e := lsptest.Start(t, p.server(), lsptest.Options{Root: p.repo, Settings: map[string]any{
		"user": map[string]any{"modal": map[string]any{"python_path": modaltest.Python(t), "sandbox_timeout_seconds": 600}},
	}})
	e.Initialize(lsptest.VSCode())
	r = report{}
	e.Call("glue/doctor", map[string]any{"runtime": "modal"}, &r)
	if status, text := line(r, "modal sandboxes"); !r.OK || status != "ok" || !strings.Contains(text, "after 10m") {
		t.Errorf("in the editor: %v, %s", r.OK, text)
	}
	e.Shutdown()

	// A failure of the runtime that is not chosen is no failure of everything.
	p.env = append(p.env, "MODAL_PYTHON=/no/such/python", "GLUE_RUNTIME=local")
	p.does(0, "doctor")
	out, _ = p.does(1, "doctor", "--runtime", "modal")
	p.sees(out, "FAIL  modal python", "/no/such/python", "→")
	if stats := p.cloud.Stats(t); len(stats.Sandboxes) > 0 {
		t.Errorf("doctor started %d sandboxes", len(stats.Sandboxes))
	}
}

func TestX1_TheWorkspacesPythonIsNotRunThoughItIsFirstOnThePath(t *testing.T) {
	p := onModal(t, "MODAL_PYTHON=")
	ran := filepath.Join(t.TempDir(), "ran")
	bin := filepath.Join(p.repo, ".venv", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	trap := "#!/bin/sh\necho \"$0\" >> " + ran + "\n"
	for _, name := range []string{"modal", "python3", "python"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(trap), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	sub := filepath.Join(p.repo, "sub")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(p.repo, link); err != nil {
		t.Fatal(err)
	}
	common := p.env
	for _, path := range []string{bin, "../.venv/bin", filepath.Join(link, ".venv", "bin")} {
		p.env = append(common[:len(common):len(common)], "PATH="+path+":"+p.barePath())
		cmd := p.glue("run", "--", "true")
		cmd.Dir = sub
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("with %s first on the path it ran: %s", path, out)
		}
		p.sees(string(out), path+" was not looked at", "modal.python_path")

		// An editor that opens a folder in the repository.
		e := lsptest.Start(t, p.server(), lsptest.Options{Root: sub})
		e.Initialize(lsptest.VSCode())
		if err := e.TryCall("glue/session/open", map[string]any{}, nil); err == nil || !strings.Contains(err.Message, path+" was not looked at") {
			t.Errorf("with %s first on the path the editor is told %v", path, err)
		}
		e.Call("glue/doctor", map[string]any{"runtime": "modal"}, nil)
		e.Shutdown()
	}
	if b, err := os.ReadFile(ran); err == nil {
		t.Errorf("the workspace's programs ran: %s", b)
	}
}
