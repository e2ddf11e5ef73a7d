package modal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/modaltest"
	"glue-lsp/sandbox"
)

// output runs a command and gives what it printed.
func output(t *testing.T, sb sandbox.Sandbox, command string) string {
	t.Helper()
	p, err := sb.Start(within(t), sandbox.ExecRequest{Command: command})
	if err != nil {
		t.Fatal(err)
	}
	out, res := wait(t, p)
	if res.ExitCode != 0 {
		t.Fatalf("%s: status %d\n%s", command, res.ExitCode, out)
	}
	return out
}

// wait collects all output of a command.
func wait(t *testing.T, p sandbox.Process) (string, sandbox.ExecResult) {
	t.Helper()
	var out strings.Builder
	res, err := p.Wait(within(t), func(_ sandbox.Stream, _ int64, b []byte) error {
		out.Write(b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if res.Lost != (sandbox.Offsets{}) {
		t.Errorf("output was lost: %+v", res.Lost)
	}
	return out.String(), res
}

func TestACommandRunsInModalByTheAgent(t *testing.T) {
	cloud := modaltest.Smoke(t)
	r := newRuntime(t, cloud, nil)
	var told []string
	sb := openBox(t, r, func(s *sandbox.Spec) {
		s.Env = map[string]string{"GREETING": "it's $HOME"}
		s.Progress = func(m string) { told = append(told, m) }
	})
	info := sb.Info()
	if info.Transport != Agent || info.Isolation != "modal" || info.Root != "/workspace" || info.Cwd != info.Root || !info.HasGit || info.Stays {
		t.Errorf("got %+v", info)
	}
	if left := time.Until(info.ExpiresAt); left <= 0 || left > 10*time.Minute {
		t.Errorf("it ends in %s", left)
	}
	if got := output(t, sb, `echo "$GREETING"`); got != "it's $HOME\n" {
		t.Errorf("got %q", got)
	}
	if len(told) == 0 {
		t.Error("nobody was told what takes long")
	}
	seen := cloud.Stats(t).Sandbox(t, info.ID)
	if seen.TimeoutSeconds != 600 || seen.App != "tests" || seen.Tags["glue-session"] != "s1" {
		t.Errorf("Modal was asked for %+v", seen)
	}
}

func TestTheSettingsReachModal(t *testing.T) {
	cloud := modaltest.Shared(t)
	r := newRuntime(t, cloud, func(o *Options) {
		o.CPU, o.MemoryMB, o.Region, o.Network = 0.5, 512, "us-east", "none"
		o.Env = map[string]string{"FROM_SETTINGS": "yes"}
		o.App, o.Timeout = "another", 90*time.Second
	})
	sb := openBox(t, r, func(s *sandbox.Spec) { s.Timeout = 0 })
	seen := cloud.Stats(t).Sandbox(t, sb.Info().ID)
	if seen.App != "another" || seen.TimeoutSeconds != 90 || seen.MilliCPU != 500 || seen.MemoryMB != 512 || !seen.BlockNetwork ||
		cmp.Diff([]string{"us-east"}, seen.Regions) != "" {
		t.Errorf("got %+v", seen)
	}
	if got := output(t, sb, "echo $FROM_SETTINGS"); got != "yes\n" {
		t.Errorf("got %q", got)
	}
}

func TestWhatModalCannotDoIsRefusedBeforeItIsAsked(t *testing.T) {
	cloud := modaltest.Shared(t)
	for name, c := range map[string]struct {
		options func(*Options)
		spec    sandbox.Spec
	}{
		"less than a second":     {spec: sandbox.Spec{Timeout: time.Millisecond}},
		"more than a day":        {spec: sandbox.Spec{Timeout: 24*time.Hour + time.Second}},
		"a negative time":        {spec: sandbox.Spec{Timeout: -time.Second}},
		"an unknown network":     {spec: sandbox.Spec{Network: "some"}},
		"a folder outside":       {spec: sandbox.Spec{Subdir: "../x"}},
		"a volume without place": {options: func(o *Options) { o.Volumes = []string{"data"} }},
		"a volume at no path":    {options: func(o *Options) { o.Volumes = []string{"data:here"} }},
	} {
		t.Run(name, func(t *testing.T) {
			before := cloud.Stats(t).Calls["SandboxCreateV2"]
			_, err := newRuntime(t, cloud, c.options).Open(within(t), c.spec)
			var e *sandbox.Error
			if !errors.As(err, &e) || e.Kind != sandbox.InvalidParams || e.Message == "" {
				t.Errorf("got %v", err)
			}
			if after := cloud.Stats(t).Calls["SandboxCreateV2"]; after != before {
				t.Error("Modal was asked all the same")
			}
		})
	}
}

func TestF28_WhenTheSidecarIsKilledCommandsGoOnAndTheirOutputIsComplete(t *testing.T) {
	r := newRuntime(t, modaltest.Shared(t), nil)
	sb := openBox(t, r, nil)
	p, err := sb.Start(within(t), sandbox.ExecRequest{Command: `for i in $(seq 1 300); do echo "line $i"; sleep 0.01; done; read word; echo "$word"`, Stdin: true})
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		out string
		res sandbox.ExecResult
	}
	all := make(chan result)
	begun := make(chan struct{})
	go func() {
		var out strings.Builder
		res, err := p.Wait(within(t), func(_ sandbox.Stream, _ int64, b []byte) error {
			if out.Len() == 0 {
				close(begun)
			}
			out.Write(b)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		all <- result{out.String(), res}
	}()
	<-begun
	first, err := r.sidecar(within(t))
	if err != nil {
		t.Fatal(err)
	}
	kill(t, first)
	eventually(t, "input is taken again", func() bool { return p.Stdin(within(t), []byte("word\n"), true) == nil })
	got := <-all
	var want strings.Builder
	for i := range 300 {
		want.WriteString("line " + strconv.Itoa(i+1) + "\n")
	}
	want.WriteString("word\n")
	if got.out != want.String() || got.res.ExitCode != 0 || got.res.Lost != (sandbox.Offsets{}) {
		t.Errorf("got %d bytes of %d, %+v", len(got.out), want.Len(), got.res)
	}
	if second, err := r.sidecar(within(t)); err != nil || second == first {
		t.Errorf("there is no other sidecar: %v", err)
	}
	if got := output(t, sb, "echo after"); got != "after\n" {
		t.Errorf("got %q", got)
	}
}

func TestL3_AfterACutTheSessionGoesOnInTheSameSandbox(t *testing.T) {
	cloud := modaltest.Start(t)
	r := newRuntime(t, cloud, nil)
	sb := openBox(t, r, nil)
	output(t, sb, "echo kept > /workspace/f")
	cloud.Cut(t, 2*time.Second)
	if got := output(t, sb, "cat /workspace/f"); got != "kept\n" {
		t.Errorf("got %q", got)
	}
	if n := cloud.Stats(t).Calls["SandboxCreateV2"]; n != 1 {
		t.Errorf("%d sandboxes were made", n)
	}
}

func TestS4_WhenTheSandboxEndsEveryCallSaysWhy(t *testing.T) {
	cloud := modaltest.Shared(t)
	for how, want := range map[string]string{
		"timeout":    "modal.sandbox_timeout_seconds",
		"terminated": "ended from outside",
	} {
		t.Run(how, func(t *testing.T) {
			sb := openBox(t, newRuntime(t, cloud, nil), nil)
			p, err := sb.Start(within(t), sandbox.ExecRequest{Argv: []string{"sleep", "1000"}})
			if err != nil {
				t.Fatal(err)
			}
			waited := make(chan error, 1)
			go func() {
				_, err := p.Wait(within(t), nil)
				waited <- err
			}()
			cloud.End(t, sb.Info().ID, how)
			<-sb.Done()
			_, err = sb.Stat(within(t), "/")
			for what, err := range map[string]error{"the sandbox": sb.Err(), "a call in flight": <-waited, "a later call": err} {
				var e *sandbox.Error
				if !errors.As(err, &e) || e.Kind != sandbox.ExecutorDead || !strings.Contains(e.Message, want) || e.Hint == "" {
					t.Errorf("%s says %v", what, err)
				}
			}
		})
	}
}

func TestWhenOnlyTheAgentIsKilledThatIsSaid(t *testing.T) {
	r := newRuntime(t, modaltest.Shared(t), nil)
	sb := openBox(t, r, nil)
	p, err := r.sidecar(within(t))
	if err != nil {
		t.Fatal(err)
	}
	killed, err := run(within(t), p, sb.Info().ID, nil, "sh", "-c", `for d in /proc/[0-9]*; do case "$(tr '\0' ' ' <"$d/cmdline")" in *" agent daemon "*) kill -9 "${d#/proc/}";; esac; done`)
	if err != nil {
		t.Fatalf("%+v %v", killed, err)
	}
	<-sb.Done()
	var e *sandbox.Error
	if err := sb.Err(); !errors.As(err, &e) || e.Kind != sandbox.ExecutorDead || !strings.Contains(e.Message, "agent") {
		t.Errorf("got %v", err)
	}
}

func TestTheAgentIsSentOnceToASandbox(t *testing.T) {
	cloud := modaltest.Shared(t)
	r := newRuntime(t, cloud, nil)
	sb := openBox(t, r, nil)
	h := sb.(*agentBox).held
	p, err := h.process(within(t))
	if err != nil {
		t.Fatal(err)
	}
	before := h.state.Agent
	h.spec.Progress = func(m string) { t.Errorf("it was sent again: %s", m) }
	if again, err := h.startAgent(within(t), p); err != nil || again != before {
		t.Errorf("%s and then %s: %v", before, again, err)
	}
}

func TestF17_ClosingEndsTheSandboxAtModal(t *testing.T) {
	cloud := modaltest.Shared(t)
	sb := openBox(t, newRuntime(t, cloud, nil), nil)
	if err := sb.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	if cloud.Stats(t).Sandbox(t, sb.Info().ID).Alive {
		t.Error("it goes on")
	}
	if err := sb.Err(); err != nil {
		t.Errorf("it says %v", err)
	}
	if err := sb.Close(within(t)); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestAnOpeningThatIsGivenUpLeavesNothingRunning(t *testing.T) {
	cloud := modaltest.Start(t)
	r := newRuntime(t, cloud, nil)
	ctx, cancel := context.WithCancel(within(t))
	_, err := r.Open(ctx, sandbox.Spec{Session: "s", Timeout: time.Minute, Progress: func(m string) {
		if m == "sending the agent" {
			cancel() // the sandbox is there by then
		}
	}})
	if err == nil {
		t.Fatal("it opened")
	}
	if s := cloud.Stats(t); s.Alive != 0 || len(s.Sandboxes) != 1 {
		t.Errorf("%d of %d sandboxes live", s.Alive, len(s.Sandboxes))
	}
}

func TestAServerThatKnowsOnlyWhatIsNeededIsEnough(t *testing.T) {
	cloud := modaltest.Start(t)
	cloud.Faults(t, map[string]any{"coreOnly": true})
	r := newRuntime(t, cloud, func(o *Options) { o.Transport = Auto })
	sb := openBox(t, r, nil)
	if info := sb.Info(); info.Transport != Agent {
		t.Errorf("got %+v", info)
	}
	if got := output(t, sb, "echo hello"); got != "hello\n" {
		t.Errorf("got %q", got)
	}
	if err := sb.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	if n := cloud.Stats(t).Alive; n != 0 {
		t.Errorf("%d sandboxes go on", n)
	}
}

func TestTheSidecarFollowsTheSettings(t *testing.T) {
	python := modaltest.Python(t)
	another := filepath.Join(t.TempDir(), "python")
	if err := os.WriteFile(another, []byte("#!/bin/sh\nexec '"+python+"' \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	cloud := modaltest.Shared(t)
	var o atomic.Pointer[Options]
	o.Store(&Options{Home: t.TempDir(), Python: python, App: "before", Timeout: time.Minute, DeleteOnClose: true, Environ: append(os.Environ(), cloud.Environ()...)})
	r := Following(func() Options { return *o.Load() })
	t.Cleanup(func() {
		if err := r.Close(within(t)); err != nil {
			t.Error(err)
		}
	})
	sb := openBox(t, r, nil)
	first, err := r.sidecar(within(t))
	if err != nil {
		t.Fatal(err)
	}
	changed := *o.Load()
	changed.Python, changed.App = another, "after"
	o.Store(&changed)
	beside := openBox(t, r, nil)
	if now, err := r.sidecar(within(t)); err != nil || now != first {
		t.Errorf("a sidecar that holds a sandbox was ended: %v", err)
	}
	if app := cloud.Stats(t).Sandbox(t, beside.Info().ID).App; app != "after" {
		t.Errorf("the new sandbox is of app %s", app)
	}
	for _, b := range []sandbox.Sandbox{sb, beside} {
		if err := b.Close(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	openBox(t, r, nil)
	if now, err := r.sidecar(within(t)); err != nil || now == first {
		t.Errorf("the sidecar runs by the former settings: %v", err)
	}
}

func TestTheAgentIsSentAlsoWhereModalsFileCallsDoNotWork(t *testing.T) {
	for name, c := range map[string]struct {
		answer string // of the command
		want   string // in the error, "" is none
	}{
		"by a command":           {`"result":{"exitCode":0}`, ""},
		"not by one that fails":  {`"result":{"exitCode":1,"stderr":"cat: no space"}`, "cat: no space"},
		"not without a shell":    {`"error":{"code":-32803,"message":"the image has no sh","data":{"kind":"unsupported"}}`, "the image has no sh"},
		"and the first is told":  {`"result":{"exitCode":1}`, "no file program"},
		"nor in a dead sandbox":  {`"error":{"code":-32803,"message":"it has ended","data":{"kind":"executorDead"}}`, "it has ended"},
		"and the kind is no end": {`"result":{"exitCode":2}`, "fs/upload"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t)
			h := &held{info: sandbox.Info{ID: "sb-1"}}
			sent := make(chan error, 1)
			go func() {
				sent <- h.sendAgent(within(t), &sidecarProcess{rpc: p.rpc}, "/host/agent", "/tmp/.glue-agent/agent-1")
			}()
			id, method, _ := p.takes(t)
			if method != "fs/upload" {
				t.Fatalf("first came %s", method)
			}
			p.says(t, `{"id":%d,"error":{"code":-32803,"message":"no file program","data":{"kind":"unavailable"}}}`, id)
			id, method, params := p.takes(t)
			if method != "exec/pipe" || !strings.Contains(string(params), `"stdinPath":"/host/agent"`) || !strings.Contains(string(params), `"/tmp/.glue-agent/agent-1"`) {
				t.Fatalf("then came %s %s", method, params)
			}
			p.says(t, `{"id":%d,%s}`, id, c.answer)
			err := <-sent
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
