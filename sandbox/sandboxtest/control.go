package sandboxtest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"glue-lsp/sandbox"
)

// controlTests are about commands while they run.
func controlTests(caps Caps) []test {
	var tests []test
	add := func(can bool, with []test, without test) {
		if can {
			tests = append(tests, with...)
		} else {
			tests = append(tests, without)
		}
	}
	add(caps.Control, controlledTests, test{"signals and cancel are refused as unsupported", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{Argv: []string{"sleep", "1"}})
		wantKind(t, p.Signal(within(t), "SIGINT"), sandbox.Unsupported)
		wait(t, p)
	}})
	add(caps.PTY, ptyTests, test{"a terminal is refused as unsupported", func(t *testing.T, b *box) {
		_, err := b.sb.Start(within(t), sandbox.ExecRequest{Argv: []string{"true"}, PTY: &sandbox.Winsize{Rows: 24, Cols: 80}})
		wantKind(t, err, sandbox.Unsupported)
	}})
	add(caps.Attach, attachTests, test{"attach is refused", func(t *testing.T, b *box) {
		_, err := b.sb.Attach(within(t), "none", sandbox.Offsets{})
		if k := kindOf(err); k != sandbox.Unsupported && k != sandbox.NoSuchExec {
			t.Errorf("got %v", err)
		}
	}})
	add(caps.Background, backgroundTests, test{"the list of commands works all the same", func(t *testing.T, b *box) {
		if _, err := b.sb.Processes(within(t)); err != nil && kindOf(err) != sandbox.Unsupported {
			t.Error(err)
		}
	}})
	return tests
}

var controlledTests = []test{
	{"standard input reaches the command, byte for byte, until its end", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{Argv: []string{"cat"}, Stdin: true})
		big := strings.Repeat("0123456789abcdef", 1<<14)
		var got ran
		done := make(chan struct{})
		go func() { defer close(done); got = wait(t, p) }()
		for _, piece := range []string{"one\n", "\xff\x00\r\n", big, ""} {
			if err := p.Stdin(within(t), []byte(piece), false); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Stdin(within(t), []byte("last"), true); err != nil {
			t.Fatal(err)
		}
		<-done
		if want := "one\n\xff\x00\r\n" + big + "last"; got.out != want || got.ExitCode != 0 {
			t.Errorf("%d bytes of %d came back, status %d", len(got.out), len(want), got.ExitCode)
		}
	}},
	{"a signal goes to the whole process group", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{Command: `
			sh -c 'trap "echo child; exit" USR1; echo up > child; while :; do sleep 0.02; done' &
			trap 'wait; echo parent; exit 5' USR1; echo up > parent; while :; do sleep 0.02; done`})
		b.appears(t, b.at("child"))
		b.appears(t, b.at("parent"))
		if err := p.Signal(within(t), "SIGUSR1"); err != nil {
			t.Fatal(err)
		}
		if r := wait(t, p); r.ExitCode != 5 || r.out != "child\nparent\n" {
			t.Errorf("got %+v", r)
		}
	}},
	{"an interrupt is 130 with its name", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{Argv: []string{"sleep", "1000"}})
		if err := p.Signal(within(t), "SIGINT"); err != nil {
			t.Fatal(err)
		}
		if r := wait(t, p); r.ExitCode != 130 || r.Signal != "SIGINT" || r.Canceled {
			t.Errorf("got %+v", r.ExecResult)
		}
	}},
	{"a signal of no name is invalidParams", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{Argv: []string{"sleep", "1000"}})
		wantKind(t, p.Signal(within(t), "SIGNONSENSE"), sandbox.InvalidParams)
		if err := p.Cancel(within(t)); err != nil {
			t.Error(err)
		}
		if r := wait(t, p); !r.Canceled {
			t.Errorf("got %+v", r.ExecResult)
		}
	}},
	{"F27: cancel ends every descendant, setsid included, and keeps what was printed", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{Command: `
			sleep 1000 & echo $! > plain
			setsid sh -c 'echo $$ > own; exec sleep 1000' >/dev/null 2>&1 &
			(setsid sh -c 'trap "" TERM; echo $$ > stubborn; while :; do sleep 0.05; done' >/dev/null 2>&1 &)
			echo before; sleep 1000`})
		for _, name := range []string{"plain", "own", "stubborn"} {
			b.appears(t, b.at(name))
		}
		if err := p.Cancel(within(t)); err != nil {
			t.Fatal(err)
		}
		if r := wait(t, p); !r.Canceled || r.out != "before\n" {
			t.Errorf("got %+v", r)
		}
		b.gone(t, "plain", "own", "stubborn")
	}},
	{"an ended command takes no signal, and cancelling it is no error", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{Argv: []string{"true"}})
		wait(t, p)
		if err := p.Signal(within(t), "SIGTERM"); err != nil {
			wantKind(t, err, sandbox.NoSuchExec)
		}
		if err := p.Cancel(within(t)); err != nil {
			wantKind(t, err, sandbox.NoSuchExec)
		}
	}},
}

var ptyTests = []test{
	{"U9: a terminal's output is complete", func(t *testing.T, b *box) {
		r := b.run(t, sandbox.ExecRequest{Command: "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && seq 1 20000", PTY: &sandbox.Winsize{Rows: 24, Cols: 80}})
		if got := strings.ReplaceAll(r.out, "\r\n", "\n"); got != lines(20000) || r.err != "" || r.ExitCode != 0 {
			t.Errorf("%d bytes of %d, stderr %q, status %d", len(got), len(lines(20000)), r.err, r.ExitCode)
		}
	}},
	{"a terminal has the size that was asked for, and is told when it changes", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{
			Command: `stty size; trap 'stty size; exit' WINCH; echo up > sign; while :; do sleep 0.02; done`,
			PTY:     &sandbox.Winsize{Rows: 31, Cols: 97},
		})
		b.appears(t, b.at("sign"))
		if err := p.Resize(within(t), sandbox.Winsize{Rows: 12, Cols: 200}); err != nil {
			t.Fatal(err)
		}
		if r := wait(t, p); r.out != "31 97\r\n12 200\r\n" {
			t.Errorf("got %q", r.out)
		}
	}},
	{"typing into a terminal works, Ctrl-C included", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{
			Command: `stty -echo; trap 'echo interrupted; exit 9' INT; echo up > sign; read line; echo "got $line"; echo two > second; while :; do sleep 0.02; done`,
			PTY:     &sandbox.Winsize{Rows: 24, Cols: 80}, Stdin: true,
		})
		b.appears(t, b.at("sign"))
		if err := p.Stdin(within(t), []byte("hello\r"), false); err != nil {
			t.Fatal(err)
		}
		b.appears(t, b.at("second"))
		if err := p.Stdin(within(t), []byte{3}, false); err != nil {
			t.Fatal(err)
		}
		if r := wait(t, p); r.ExitCode != 9 || r.out != "got hello\r\ninterrupted\r\n" {
			t.Errorf("got %+v", r)
		}
	}},
}

var attachTests = []test{
	{"F28: a command is found again, and its output goes on from where the caller was", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{Command: `printf 0123456789; printf abc >&2; echo up > sign; until [ -e go ]; do sleep 0.02; done; printf more`})
		b.appears(t, b.at("sign"))
		again, err := b.sb.Attach(within(t), p.ID(), sandbox.Offsets{Stdout: 4, Stderr: 1})
		if err != nil {
			t.Fatal(err)
		}
		b.write(t, b.at("go"), "")
		r := waitFrom(t, again, sandbox.Offsets{Stdout: 4, Stderr: 1})
		if r.out != "456789more" || r.err != "bc" || r.ExitCode != 0 {
			t.Errorf("got %+v", r)
		}
	}},
	{"a command that ended is still found, with its result", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{Command: "echo out; exit 3"})
		wait(t, p)
		again, err := b.sb.Attach(within(t), p.ID(), sandbox.Offsets{})
		if err != nil {
			t.Fatal(err)
		}
		if r := wait(t, again); r.ExitCode != 3 || r.out != "out\n" {
			t.Errorf("got %+v", r)
		}
	}},
	{"a command of the caller's own name is found by it, and the name is taken", func(t *testing.T, b *box) {
		const id = "the caller's own"
		p := b.start(t, sandbox.ExecRequest{ID: id, Argv: []string{"sleep", "1000"}})
		if p.ID() != id {
			t.Errorf("its id is %q", p.ID())
		}
		_, err := b.sb.Start(within(t), sandbox.ExecRequest{ID: id, Argv: []string{"true"}})
		wantKind(t, err, sandbox.Conflict)
		if err := p.Cancel(within(t)); err != nil {
			t.Error(err)
		}
	}},
	{"an id that nobody has is noSuchExec", func(t *testing.T, b *box) {
		_, err := b.sb.Attach(within(t), "none", sandbox.Offsets{})
		wantKind(t, err, sandbox.NoSuchExec)
	}},
}

var backgroundTests = []test{
	{"a running command is listed, and one that ended is not", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{Command: "echo up > sign; exec sleep 1000"})
		b.appears(t, b.at("sign"))
		if got := b.state(t, p.ID()); got != "running" {
			t.Errorf("its state is %q", got)
		}
		if err := p.Cancel(within(t)); err != nil {
			t.Fatal(err)
		}
		wait(t, p)
		until(t, "it leaves the list", func() bool { return b.state(t, p.ID()) == "" })
	}},
	{"what a command leaves running is listed as background and ends with cancel", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{Command: "sleep 1000 >/dev/null 2>&1 & echo $! > pid"})
		if r := wait(t, p); r.ExitCode != 0 {
			t.Fatalf("got %+v", r)
		}
		pid := b.appears(t, b.at("pid"))
		if !b.alive(t, pid) {
			t.Fatal("it did not outlive its command")
		}
		until(t, "it is listed as background", func() bool { return b.state(t, p.ID()) == "background" })
		if err := p.Cancel(within(t)); err != nil {
			t.Fatal(err)
		}
		b.gone(t, "pid")
		until(t, "it leaves the list", func() bool { return b.state(t, p.ID()) == "" })
	}},
	{"a background process that holds the output does not hold the result", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{Command: "sleep 1000 & echo $! > pid; echo done"})
		if r := wait(t, p); r.ExitCode != 0 || r.out != "done\n" {
			t.Errorf("got %+v", r)
		}
		if err := p.Cancel(within(t)); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		b.gone(t, "pid")
	}},
}

func (b *box) state(t *testing.T, id string) string {
	t.Helper()
	list, err := b.sb.Processes(within(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		if p.ID == id {
			if p.Command == "" || p.StartedAt.IsZero() {
				t.Errorf("incomplete: %+v", p)
			}
			return p.State
		}
	}
	return ""
}
