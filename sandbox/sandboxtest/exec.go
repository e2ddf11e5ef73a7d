package sandboxtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/sandbox"
)

func sortBytes(names []string) { slices.Sort(names) }

var execTests = []test{
	{"a status is a result and not an error", func(t *testing.T, b *box) {
		for _, code := range []int{0, 1, 2, 42, 126, 127, 255} {
			if r := b.run(t, sandbox.ExecRequest{Command: fmt.Sprintf("exit %d", code)}); r.ExitCode != code || r.Signal != "" || r.TimedOut || r.Canceled {
				t.Errorf("exit %d: %+v", code, r.ExecResult)
			}
		}
	}},
	{"death by a signal is 128 and its number, with its name", func(t *testing.T, b *box) {
		for signal, code := range map[string]int{"SIGKILL": 137, "SIGTERM": 143, "SIGSEGV": 139} {
			r := b.run(t, sandbox.ExecRequest{Command: "kill -" + strings.TrimPrefix(signal, "SIG") + " $$"})
			if r.ExitCode != code || r.Signal != signal {
				t.Errorf("%s: %+v", signal, r.ExecResult)
			}
		}
	}},
	{"F15: a command starts in the workspace", func(t *testing.T, b *box) {
		p, err := b.sb.Start(within(t), sandbox.ExecRequest{Command: "pwd"})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(wait(t, p).out); got != b.sb.Info().Cwd {
			t.Errorf("it started in %s, not %s", got, b.sb.Info().Cwd)
		}
	}},
	{"cwd may be relative", func(t *testing.T, b *box) {
		if err := b.sb.Mkdir(within(t), b.at("sub"), false); err != nil {
			t.Fatal(err)
		}
		rel := strings.TrimPrefix(b.at("sub"), b.sb.Info().Cwd+"/")
		if r := b.run(t, sandbox.ExecRequest{Argv: []string{"pwd"}, Cwd: rel}); strings.TrimSuffix(r.out, "\n") != b.at("sub") {
			t.Errorf("it started in %q", r.out)
		}
	}},
	{"a cwd that is not there is fileNotFound, one that is a file notADirectory", func(t *testing.T, b *box) {
		b.write(t, b.at("file"), "")
		for name, kind := range map[string]sandbox.Kind{"none": sandbox.FileNotFound, "file": sandbox.NotADirectory} {
			_, err := b.sb.Start(within(t), sandbox.ExecRequest{Command: "true", Cwd: b.at(name)})
			wantKind(t, err, kind)
		}
	}},
	{"env lies over the sandbox's", func(t *testing.T, b *box) {
		env := map[string]string{"A": "with space", "B": "$HOME `x` \"y\" 'z'", "C": "two\nlines", "PAGER": ""}
		r := b.run(t, sandbox.ExecRequest{Command: `printf '%s|' "$A" "$B" "$C" "${PAGER-unset}"; [ -n "$PATH" ] && [ -n "$HOME" ]`, Env: env})
		want := "with space|" + env["B"] + "|two\nlines||"
		if r.out != want || r.ExitCode != 0 {
			t.Errorf("got %q, status %d", r.out, r.ExitCode)
		}
	}},
	{"X11: argv runs with no shell, and arguments stay arguments", func(t *testing.T, b *box) {
		args := append([]string{""}, awkward...)
		r := b.run(t, sandbox.ExecRequest{Argv: append([]string{"printf", `%s\0`}, args...)})
		got := strings.Split(strings.TrimSuffix(r.out, "\x00"), "\x00")
		if diff := cmp.Diff(args, got); diff != "" {
			t.Error(diff)
		}
	}},
	{"a program that is not there is an error that names it", func(t *testing.T, b *box) {
		_, err := b.sb.Start(within(t), sandbox.ExecRequest{Argv: []string{"no-such-program-here"}, Cwd: b.dir})
		wantKind(t, err, sandbox.FileNotFound)
		if err != nil && !strings.Contains(err.Error(), "no-such-program-here") {
			t.Errorf("it does not name the program: %v", err)
		}
	}},
	{"nothing to run is invalidParams", func(t *testing.T, b *box) {
		_, err := b.sb.Start(within(t), sandbox.ExecRequest{})
		wantKind(t, err, sandbox.InvalidParams)
		_, err = b.sb.Start(within(t), sandbox.ExecRequest{Command: "echo \x00"})
		wantKind(t, err, sandbox.InvalidParams)
	}},
	{"standard input is closed unless it is asked for", func(t *testing.T, b *box) {
		if r := b.run(t, sandbox.ExecRequest{Argv: []string{"cat"}}); r.ExitCode != 0 || r.out != "" {
			t.Errorf("got %+v", r)
		}
	}},
	{"F20: one slow command blocks nothing else", func(t *testing.T, b *box) {
		slow := b.start(t, sandbox.ExecRequest{Command: `echo started > sign; until [ -e go ]; do sleep 0.02; done`})
		b.appears(t, b.at("sign"))
		var calls sync.WaitGroup
		for i := range 8 {
			calls.Go(func() {
				name := b.at(fmt.Sprint("beside ", i))
				b.write(t, name, "x")
				if got := b.sh(t, "echo beside"); got != "beside\n" {
					t.Errorf("got %q", got)
				}
				b.stat(t, name)
			})
		}
		calls.Wait()
		b.write(t, b.at("go"), "")
		if r := wait(t, slow); r.ExitCode != 0 {
			t.Errorf("the slow one: %+v", r.ExecResult)
		}
	}},
	{"ending a Wait leaves the command running", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{Command: `echo up > sign; until [ -e go ]; do sleep 0.02; done; echo done > end`})
		b.appears(t, b.at("sign"))
		ctx, cancel := context.WithCancel(within(t))
		cancel()
		if _, err := p.Wait(ctx, func(sandbox.Stream, int64, []byte) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("Wait gave %v", err)
		}
		b.write(t, b.at("go"), "")
		b.appears(t, b.at("end"))
	}},
	{"a Wait without a sink forgets the output", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{Command: "echo out; echo err >&2; exit 3"})
		if r, err := p.Wait(within(t), nil); err != nil || r.ExitCode != 3 {
			t.Errorf("%+v %v", r, err)
		}
	}},
}

var endingTests = []test{
	{"a time-out is 124 with what was printed until then", func(t *testing.T, b *box) {
		r := b.run(t, sandbox.ExecRequest{Command: "echo before; echo too >&2; sleep 1000", Timeout: 700 * time.Millisecond})
		if r.ExitCode != 124 || !r.TimedOut || r.out != "before\n" || r.err != "too\n" {
			t.Errorf("got %+v", r)
		}
	}},
	{"a time-out counts milliseconds", func(t *testing.T, b *box) {
		r := b.run(t, sandbox.ExecRequest{Argv: []string{"sleep", "1000"}, Timeout: 1300 * time.Millisecond})
		if !r.TimedOut || r.Duration < 1300*time.Millisecond {
			t.Errorf("it ended after %s: %+v", r.Duration, r.ExecResult)
		}
	}},
	{"a command that ends in time is not timed out", func(t *testing.T, b *box) {
		if r := b.run(t, sandbox.ExecRequest{Command: "exit 124", Timeout: patience}); r.ExitCode != 124 || r.TimedOut {
			t.Errorf("got %+v", r.ExecResult)
		}
	}},
	{"a command that ignores TERM is ended all the same", func(t *testing.T, b *box) {
		r := b.run(t, sandbox.ExecRequest{Command: `trap '' TERM; echo up; while :; do sleep 0.05; done`, Timeout: 500 * time.Millisecond})
		if r.ExitCode != 124 || !r.TimedOut || r.out != "up\n" {
			t.Errorf("got %+v", r)
		}
	}},
	{"F27: a time-out ends every descendant, setsid included", func(t *testing.T, b *box) {
		r := b.run(t, sandbox.ExecRequest{
			Command: `sleep 1000 & echo $! > plain; setsid sh -c 'echo $$ > own; exec sleep 1000' & sleep 1000`,
			Timeout: 700 * time.Millisecond,
		})
		if !r.TimedOut {
			t.Fatalf("got %+v", r.ExecResult)
		}
		b.gone(t, "plain", "own")
	}},
}

// gone checks that the processes whose numbers a command left in files have ended.
func (b *box) gone(t *testing.T, files ...string) {
	t.Helper()
	for _, name := range files {
		pid := b.appears(t, b.at(name))
		until(t, name+" has ended", func() bool { return !b.alive(t, pid) })
	}
}
