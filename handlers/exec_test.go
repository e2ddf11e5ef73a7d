package handlers

import (
	"encoding/json"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"glue-lsp/internal/wire"
)

func TestExecAnswersWithOutputAndStatus(t *testing.T) {
	c, _, _ := opensSession(t, map[string]string{"a.txt": "one\n"})
	got := into[execResult](t, c.call("glue/exec", `{"command":"cat a.txt; printf '\\303\\244' ; echo err >&2; exit 3"}`))
	if got.ExitCode != 3 || got.Stdout != (payload{"one\nä", encUTF8}) || got.Stderr != (payload{"err\n", encUTF8}) || got.TimedOut || got.ExecID == "" {
		t.Errorf("the result is %+v", got)
	}
	got = into[execResult](t, c.call("glue/exec", `{"argv":["printf","%s|","$(id)","-n","a b"],"execId":"mine"}`))
	if got.Stdout.Data != "$(id)|-n|a b|" || got.ExecID != "mine" {
		t.Errorf("the result is %+v", got)
	}
	got = into[execResult](t, c.call("glue/exec", `{"command":"printf '\\377\\000'; cat","stdin":{"data":"/w==","encoding":"base64"}}`))
	if got.Stdout != (payload{"/wD/", encBase64}) {
		t.Errorf("the result is %+v", got)
	}
	got = into[execResult](t, c.call("glue/exec", `{"command":"echo before; sleep 60","timeoutMs":300}`))
	if got.ExitCode != 124 || !got.TimedOut || got.Stdout.Data != "before\n" {
		t.Errorf("after a time-out the result is %+v", got)
	}
}

func TestU5_ACommandSeesTheUnsavedBuffer(t *testing.T) {
	c, folder, _ := opensSession(t, map[string]string{"a.txt": "on disk\n"})
	uri := fileURI(filepath.Join(folder, "a.txt"))
	c.notify("textDocument/didOpen", `{"textDocument":{"uri":"`+uri+`","languageId":"plaintext","version":1,"text":"on disk\n"}}`)
	c.notify("textDocument/didChange", `{"textDocument":{"uri":"`+uri+`","version":2},"contentChanges":[{"range":{"start":{"line":0,"character":0},"end":{"line":0,"character":7}},"text":"unsaved"}]}`)
	got := into[execResult](t, c.call("glue/exec", `{"command":"cat a.txt"}`))
	if got.Stdout.Data != "unsaved\n" {
		t.Errorf("the command saw %q", got.Stdout.Data)
	}
}

func TestStreamedOutputComesBeforeTheReply(t *testing.T) {
	c, _, _ := opensSession(t, nil)
	got := into[execResult](t, c.call("glue/exec", `{"execId":"st","stream":true,"command":"i=0; while [ $i -lt 200 ]; do echo line $i ä; i=$((i+1)); done; echo e >&2"}`))
	pieces := c.pieces("st")
	var want string
	for i := range 200 {
		want += "line " + itoa(i) + " ä\n"
	}
	if out := decoded(t, pieces, "stdout"); string(out) != want {
		t.Errorf("stdout is %q", out)
	}
	if out := decoded(t, pieces, "stderr"); string(out) != "e\n" {
		t.Errorf("stderr is %q", out)
	}
	if got.Stdout.Data != "" || got.Truncated != (truncated{}) || got.ExitCode != 0 {
		t.Errorf("the reply is %+v", got)
	}
}

func TestL2_CancellingEndsTheCommandAndAnswersAtOnce(t *testing.T) {
	c, _, _ := opensSession(t, nil)
	ctx, cancel := testCancel(t)
	failed := make(chan error, 1)
	go func() {
		failed <- c.conn.Call(ctx, "glue/exec", json.RawMessage(`{"execId":"long","stream":true,"command":"echo started; exec sleep 300"}`), nil)
	}()
	c.await(methodOutput, contains("started"))
	cancel()
	<-failed
	waitFor(t, func() (empty, bool) {
		list := into[execListResult](t, c.call("glue/exec/list", `{}`))
		return empty{}, len(list.Execs) == 0
	}, c)
}

func TestCommandsCanBeFedAndSignalled(t *testing.T) {
	c, _, _ := opensSession(t, nil)
	done := make(chan json.RawMessage, 1)
	go func() {
		raw, _ := c.try("glue/exec", `{"execId":"cat","stream":true,"keepStdin":true,"command":"echo ready; cat"}`)
		done <- raw
	}()
	c.await(methodOutput, contains("ready"))
	c.call("glue/exec/stdin", `{"execId":"cat","data":"hällo\n","encoding":"utf-8"}`)
	c.await(methodOutput, contains("hällo"))
	if list := into[execListResult](t, c.call("glue/exec/list", `{}`)); len(list.Execs) != 1 || list.Execs[0].State != "running" {
		t.Errorf("the commands are %+v", list)
	}
	c.call("glue/exec/stdin", `{"execId":"cat","data":"","encoding":"utf-8","eof":true}`)
	if got := into[execResult](t, <-done); got.ExitCode != 0 {
		t.Errorf("after the end of its input: %+v", got)
	}
	go func() {
		raw, _ := c.try("glue/exec", `{"execId":"sig","stream":true,"command":"trap 'exit 7' INT; echo trapped; while :; do sleep 0.05; done"}`)
		done <- raw
	}()
	c.await(methodOutput, contains("trapped"))
	c.refused("glue/exec/signal", `{"execId":"sig","signal":"SIGFOO"}`, -32602, "signal: there is no signal SIGFOO")
	c.call("glue/exec/signal", `{"execId":"sig","signal":"SIGINT"}`)
	if got := into[execResult](t, <-done); got.ExitCode != 7 {
		t.Errorf("after SIGINT: %+v", got)
	}
	c.refused("glue/exec/stdin", `{"execId":"never","data":"","encoding":"utf-8"}`, -32803, "never")
}

func TestF28_AttachReplaysWhatIsKept(t *testing.T) {
	c, _, _ := opensSession(t, nil)
	c.call("glue/exec", `{"execId":"old","command":"echo one; echo two"}`)
	got := into[execResult](t, c.call("glue/exec/attach", `{"execId":"old","fromByte":4}`))
	if out := decoded(t, c.pieces("old"), "stdout"); string(out) != "two\n" || got.ExitCode != 0 {
		t.Errorf("attached: %q, %+v", out, got)
	}
}

func TestF20_OneSlowCommandBlocksNothingElse(t *testing.T) {
	c, _, _ := opensSession(t, map[string]string{"a.txt": "one\n"})
	ctx, cancel := testCancel(t)
	defer cancel()
	slow := make(chan error, 1)
	go func() {
		slow <- c.conn.Call(ctx, "glue/exec", json.RawMessage(`{"execId":"slow","stream":true,"command":"echo on; sleep 300"}`), nil)
	}()
	c.await(methodOutput, contains("on"))
	c.call("glue/exec", `{"argv":["true"]}`)
	c.call("glue/fs/readFile", `{"path":"a.txt"}`)
	c.call("glue/session/status", `{}`)
	select {
	case err := <-slow:
		t.Fatalf("the slow command was over: %v", err)
	default:
	}
	cancel()
	<-slow
}

func TestAFileATestAndASelectionRunByTheirRunners(t *testing.T) {
	c, folder, info := opensSession(t, map[string]string{"d/hello.sh": "echo \"from $0\"\n"})
	uri := fileURI(filepath.Join(folder, "d", "hello.sh"))
	run := func(target string) string {
		t.Helper()
		r := into[execResult](t, c.call("glue/exec", `{"run":`+target+`}`))
		return strings.TrimSpace(r.Stdout.Data + r.Stderr.Data)
	}
	if got := run(`{"uri":"` + uri + `"}`); got != "from ./d/hello.sh" {
		t.Errorf("the file printed %q", got)
	}
	elsewhere := into[execResult](t, c.call("glue/exec", `{"run":{"uri":"`+uri+`"},"cwd":"d"}`))
	if got, want := strings.TrimSpace(elsewhere.Stdout.Data+elsewhere.Stderr.Data), "from "+path.Join(info.Cwd, "d/hello.sh"); got != want {
		t.Errorf("the file printed %q from another folder, not %q", got, want)
	}
	c.notify("textDocument/didOpen", `{"textDocument":{"uri":"`+uri+`","languageId":"shellscript","version":1,"text":"echo one\necho two\n"}}`)
	if got := run(`{"uri":"` + uri + `","range":{"start":{"line":1,"character":0},"end":{"line":2,"character":0}}}`); got != "two" {
		t.Errorf("the selection printed %q", got)
	}
	for params, want := range map[string]string{
		`{"run":{}}`: "run.uri: is required",
		`{"run":{"uri":"` + uri + `"},"command":"true"}`:                                                                     "run: must not",
		`{"run":{"uri":"` + uri + `","name":"x","range":{"start":{"line":0,"character":0},"end":{"line":1,"character":0}}}}`: "run.range: must not",
		`{"run":{"uri":"` + uri + `","range":{"start":{"line":0,"character":0},"end":{"line":0,"character":0}}}}`:            "run.range: nothing is selected",
		`{"run":{"uri":"untitled:x"}}`: "run.uri: ",
	} {
		c.refused("glue/exec", params, wire.InvalidParams, want)
	}
	c.refused("glue/exec", `{"run":{"uri":"`+uri+`","name":"x"}}`, wire.RequestFailed, "no runner")
	c.refused("glue/exec", `{"run":{"uri":"file:///elsewhere/x.sh"}}`, wire.RequestFailed, "outside of the tree")
}
