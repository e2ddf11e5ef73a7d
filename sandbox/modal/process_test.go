package modal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"glue-lsp/internal/modaltest"
	"glue-lsp/sandbox"
)

// fakePython makes a program that plays an interpreter.
func fakePython(t *testing.T, text string) interpreter {
	t.Helper()
	file := filepath.Join(t.TempDir(), "python")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return interpreter{path: file}
}

// started starts a sidecar, which ends with the test.
func started(t *testing.T, environ []string) *sidecarProcess {
	t.Helper()
	p, err := startSidecar(within(t), t.TempDir(), interpreter{path: modaltest.Python(t)}, environ, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		p.close(ctx)
	})
	return p
}

func TestF18_AStartUpFailureShowsAtOnceAndWhole(t *testing.T) {
	const answer = `printf 'Content-Length: %d\r\n\r\n%s' ${#b} "$b"; cat >/dev/null`
	for name, c := range map[string]struct{ script, want string }{
		"it ends with words":       {`echo "Traceback (most recent call last):" >&2; echo "ImportError: libssl.so" >&2; exit 3`, "exit status 3"},
		"its words are all there":  {`echo "Traceback (most recent call last):" >&2; echo "ImportError: libssl.so" >&2; exit 3`, "Traceback (most recent call last):\nImportError: libssl.so"},
		"it ends without a word":   {`exit 0`, "without a word"},
		"a signal ends it":         {`kill -9 $$`, "killed"},
		"it prints something else": {`echo "Welcome to Python"; cat >/dev/null`, `"Welcome to Python`},
		"it answers another":       {`b='{"id":1,"result":{"protocolVersion":1,"nonce":"other"}}'; ` + answer, "not to this process"},
		"it refuses":               {`b='{"id":1,"error":{"code":-32803,"message":"modal 0.9 is too old","data":{"kind":"runtimeUnavailable","hint":"upgrade it"}}}'; ` + answer, "modal 0.9 is too old"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := startSidecar(within(t), t.TempDir(), fakePython(t, c.script), os.Environ(), nil)
			var e *sandbox.Error
			if !errors.As(err, &e) || e.Kind != sandbox.RuntimeUnavailable || e.Op == "" || e.Hint == "" {
				t.Fatalf("got %#v", err)
			}
			if !strings.Contains(e.Error(), c.want) {
				t.Errorf("%q does not say %q", e, c.want)
			}
		})
	}
	t.Run("there is no such program", func(t *testing.T) {
		_, err := startSidecar(within(t), t.TempDir(), interpreter{path: "/no/such/python"}, os.Environ(), nil)
		var e *sandbox.Error
		if !errors.As(err, &e) || e.Kind != sandbox.RuntimeUnavailable || e.Path != "/no/such/python" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the wait for it can be ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := startSidecar(ctx, t.TempDir(), fakePython(t, "exec sleep 1000"), os.Environ(), nil); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestX10_NoTokenIsInWhatAFailedStartSays(t *testing.T) {
	environ := append(os.Environ(), "MODAL_TOKEN_ID=ak-plainwords", "MODAL_TOKEN_SECRET=quite unusual secret")
	var logged strings.Builder
	_, err := startSidecar(within(t), t.TempDir(), fakePython(t, `echo "token $MODAL_TOKEN_ID / $MODAL_TOKEN_SECRET" >&2; echo "proxy http://me:pass@proxy:1" >&2; exit 1`), environ,
		func(format string, args ...any) { fmt.Fprintf(&logged, format+"\n", args...) })
	for _, secret := range []string{"ak-plainwords", "quite unusual secret", "pass"} {
		for _, text := range []string{err.Error(), logged.String()} {
			if strings.Contains(text, secret) {
				t.Errorf("%q holds %q", text, secret)
			}
		}
	}
	if !strings.Contains(err.Error(), "token *** / ***") {
		t.Errorf("what it said is not told: %v", err)
	}
}

func TestX3_TheSidecarRunsWhereNobodyElseWrites(t *testing.T) {
	evil := t.TempDir()
	for _, name := range []string{"json.py", "modal.py", "asyncio.py", "sitecustomize.py", "usercustomize.py", "glue_sidecar.py"} {
		if err := os.WriteFile(filepath.Join(evil, name), []byte("import os; open(os.path.join("+fmt.Sprintf("%q", evil)+", 'imported'), 'w')\nraise SystemExit(9)\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(evil)
	environ := append(os.Environ(), modaltest.Shared(t).Environ()...)
	p := started(t, append(environ, "PYTHONPATH="+evil, "PYTHONHOME="+evil, "PYTHONSTARTUP="+evil+"/json.py", "PYTHONUSERBASE=."))
	if err := p.call(within(t), "doctor/auth", map[string]any{}, nil); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(evil, "imported")); err == nil {
		t.Error("something of the folder was imported")
	}
	dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.cmd.Process.Pid))
	if err != nil || dir != p.cmd.Dir || dir == evil {
		t.Errorf("it runs in %s: %v", dir, err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its folder is %v, %v", info, err)
	}
}

func TestX10_TheTokenIsNoArgumentOfTheSidecar(t *testing.T) {
	cloud := modaltest.Shared(t)
	p := started(t, append(os.Environ(), cloud.Environ()...))
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.cmd.Process.Pid))
	if err != nil || strings.Contains(string(line), cloud.TokenSecret) || strings.Contains(string(line), cloud.TokenID) {
		t.Errorf("%q %v", line, err)
	}
}

func TestClosingTheSidecarLeavesNoProcess(t *testing.T) {
	for name, do := range map[string]func(ctx context.Context, p *sidecarProcess){
		"asked":   func(ctx context.Context, p *sidecarProcess) { p.close(ctx) },
		"stopped": func(ctx context.Context, p *sidecarProcess) { _ = p.cmd.Process.Signal(syscall.SIGSTOP); p.close(ctx) },
		"twice":   func(ctx context.Context, p *sidecarProcess) { go p.close(ctx); p.close(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			p := started(t, os.Environ())
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if name != "stopped" {
				ctx = within(t)
			}
			do(ctx, p)
			<-p.exited
			if p.cmd.ProcessState == nil {
				t.Error("it was not waited for")
			}
		})
	}
}

func TestASidecarThatWasKilledIsStartedAgainWhenItIsNeeded(t *testing.T) {
	r := newRuntime(t, modaltest.Shared(t), nil)
	first, err := r.sidecar(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.sidecar(within(t)); err != nil || again != first {
		t.Errorf("a second one was started: %v", err)
	}
	kill(t, first)
	var e *sandbox.Error
	if err := first.call(within(t), "doctor/auth", map[string]any{}, nil); !errors.As(err, &e) || e.Kind != sandbox.ExecutorDead || !strings.Contains(e.Message, "signal: killed") {
		t.Errorf("got %v", err)
	}
	second, err := r.sidecar(within(t))
	if err != nil || second == first {
		t.Errorf("got %v", err)
	}
}

// kill kills a sidecar and waits until that is known.
func kill(t *testing.T, p *sidecarProcess) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.done()
}

func TestOnlyOneSidecarIsStartedHoweverManyNeedIt(t *testing.T) {
	r := newRuntime(t, modaltest.Shared(t), nil)
	const many = 8
	got := make(chan *sidecarProcess, many)
	for range many {
		go func() {
			p, err := r.sidecar(within(t))
			if err != nil {
				t.Error(err)
			}
			got <- p
		}()
	}
	var all []*sidecarProcess
	for range many {
		all = append(all, <-got)
	}
	if slices.ContainsFunc(all, func(p *sidecarProcess) bool { return p != all[0] }) {
		t.Error("several were started")
	}
}
