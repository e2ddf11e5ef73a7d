package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"glue-lsp/internal/lsptest"
	"glue-lsp/internal/modaltest"
)

// A token that nobody else on this machine has.
const (
	markedID     = "ak-Marked0Id0Of0X10"
	markedSecret = "as-Marked0Secret0Of0X10"
)

// signed is what Modal signs for a client: it opens a sandbox to whoever has it (RFC 7519).
var signed = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`)

// secretIn says which secret a text holds, "" for none.
func secretIn(b []byte) string {
	for _, s := range []string{markedSecret, markedID} {
		if bytes.Contains(b, []byte(s)) {
			return s
		}
	}
	return string(signed.Find(b))
}

func TestX10_TokensOfModalAreInNoLogArgumentErrorFileOrSandbox(t *testing.T) {
	for _, transport := range []string{"agent", "direct"} {
		t.Run(transport, func(t *testing.T) { tokensStay(t, transport) })
	}
}

func tokensStay(t *testing.T, transport string) {
	if secretIn([]byte("x eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDAwMDAwMDB9.c2lnbmF0dXJl y")) == "" || secretIn([]byte(`{"a": "`+markedID+`"}`)) == "" {
		t.Fatal("the test is blind")
	}
	p := &subscriber{newPerson(t), modaltest.Start(t, "-token-id", markedID, "-token-secret", markedSecret)}
	p.env = append(p.cloud.Environ(), "GLUE_RUNTIME=modal", "MODAL_PYTHON="+modaltest.Python(t), "MODAL_LOGLEVEL=DEBUG", "GLUE_SIDECAR_LOG=DEBUG")
	logs := t.TempDir()
	if err := os.MkdirAll(p.home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.home, "config.yaml"), []byte("modal:\n  transport: "+transport+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	// An editor's session with all that can go wrong in it, everything written down.
	cmd := p.glue("serve", "--stdio", "--log-level", "debug", "--log-wire", filepath.Join(logs, "wire"))
	server := lsptest.Binary("/bin/sh", append([]string{"-c", `exec "$0" "$@" 2>>` + filepath.Join(logs, "stderr"), cmd.Path}, cmd.Args[1:]...), cmd.Env)
	e := lsptest.Start(t, server, lsptest.Options{Root: p.repo, Patience: endingPatience})
	e.SaveCleanFiles()
	e.Initialize(lsptest.VSCode())
	var s struct{ Transport string }
	e.Call("glue/session/open", map[string]any{}, &s)
	if s.Transport != transport {
		t.Errorf("the transport is %q", s.Transport)
	}
	e.Call("glue/doctor", map[string]any{"runtime": "modal"}, nil)
	var inside struct {
		ExitCode int
		Stdout   struct{ Data string }
	}
	// The environments of all processes that a command can see, and all their files.
	e.Call("glue/exec", map[string]any{"command": "env; cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'; grep -rl Marked0 /tmp /root /home /etc /run /workspace 2>/dev/null; echo end"}, &inside)
	if !strings.HasSuffix(inside.Stdout.Data, "\nend\n") {
		t.Errorf("the look inside: %+v", inside)
	}
	if s := secretIn([]byte(inside.Stdout.Data)); s != "" || strings.Contains(inside.Stdout.Data, "MODAL_TOKEN") {
		t.Errorf("a secret is in the sandbox: %q in\n%s", s, inside.Stdout.Data)
	}
	running := e.Begin("glue/exec", map[string]any{"execId": "x", "command": "echo changed > a.txt; echo running; sleep 600"})
	p.until("the command runs", func() bool {
		var r struct{ Execs []struct{ ExecID string } }
		e.Call("glue/exec/list", map[string]any{}, &r)
		return len(r.Execs) == 1
	})
	for _, x := range processes() {
		if x.pid == p.cloud.PID {
			continue // it is Modal
		}
		if s := secretIn([]byte(x.command)); s != "" {
			t.Errorf("%q is an argument of process %d: %.300s", s, x.pid, x.command)
		}
	}
	kill(t, p.sidecar())
	p.until("another sidecar has the sandbox", func() bool {
		return e.TryCall("glue/fs/stat", map[string]any{"path": "a.txt"}, nil) == nil
	})
	p.cloud.Faults(t, map[string]any{"refuseToken": true})
	if err := e.TryCall("glue/session/open", map[string]any{"new": true}, nil); err == nil || secretIn(fmt.Append(nil, err.Message, err.Data)) != "" {
		t.Errorf("the refusal: %v", err)
	}
	e.Execute("glue.doctor", map[string]any{}, nil)
	e.Await(lsptest.NoProgressRuns())
	p.cloud.Faults(t, nil)
	running.Cancel()
	e.Call("glue/session/close", map[string]any{}, nil)
	e.Shutdown()

	// The command line, with a token that is refused and one that is not.
	run := func(name string, more []string, args ...string) {
		t.Helper()
		c := p.glue(args...)
		c.Env = append(c.Env, more...)
		out, _ := c.CombinedOutput()
		if err := os.WriteFile(filepath.Join(logs, name), out, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run("run", nil, "run", "--apply=no", "--", "env")
	run("doctor", nil, "doctor", "--runtime", "modal", "--json")
	run("refused", []string{"MODAL_TOKEN_ID=ak-Marked0Other0Id"}, "run", "--", "true")
	run("list", nil, "sessions", "list", "--json")

	looked := 0
	for _, dir := range []string{p.home, logs, p.repo} {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(name)
			looked++
			if s := secretIn(b); s != "" {
				t.Errorf("%q is in %s", s, name)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"wire", "stderr", "run", "doctor", "refused"} {
		if info, err := os.Stat(filepath.Join(logs, name)); err != nil || info.Size() == 0 {
			t.Errorf("nothing was written to %s (%v): the test looks at nothing", name, err)
		}
	}
	if looked < 20 {
		t.Errorf("only %d files were looked at", looked)
	}
	for _, sb := range p.cloud.Stats(t).Sandboxes {
		if s := secretIn([]byte(strings.Join(sb.Env, "\n"))); s != "" {
			t.Errorf("%q was sent into sandbox %s", s, sb.ID)
		}
	}
	p.nothingBills()
}
