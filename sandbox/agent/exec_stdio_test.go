package agent

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"glue-lsp/sandbox"
)

func TestStandardInputIsAtItsEndUnlessAskedFor(t *testing.T) {
	c, _ := connect(t, nil)
	p, err := c.Start(testContext(t), sandbox.ExecRequest{Argv: []string{"cat"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := wait(t, p); got.out != "" || got.ExitCode != 0 {
		t.Errorf("got %+v", got)
	}
	if err := p.Stdin(testContext(t), []byte("x"), false); kind(err) != sandbox.Unsupported {
		t.Errorf("writing to it: %v", err)
	}
}

func TestStandardInputArrivesWholeAndInOrder(t *testing.T) {
	c, _ := connect(t, nil)
	p, err := c.Start(testContext(t), sandbox.ExecRequest{Argv: []string{"cat"}, Stdin: true})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.NewChaCha8([32]byte{1})
	var sent bytes.Buffer
	pieces := make([][]byte, 40)
	for i := range pieces {
		pieces[i] = make([]byte, 1+(i*7919)%200_000)
		random.Read(pieces[i])
		sent.Write(pieces[i])
	}
	go func() {
		for i, piece := range pieces {
			if err := p.Stdin(testContext(t), piece, i == len(pieces)-1); err != nil {
				t.Error(err)
			}
		}
	}()
	if got := wait(t, p); got.out != sent.String() {
		t.Errorf("%d bytes came back of %d, or others", len(got.out), sent.Len())
	}
	if err := p.Stdin(testContext(t), []byte("late"), false); kind(err) != sandbox.Unavailable {
		t.Errorf("input to an ended command: %v", err)
	}
}

func TestInputThatNobodyReadsPushesBackAndCanBeCancelled(t *testing.T) {
	c, _ := connect(t, nil)
	p, err := c.Start(testContext(t), sandbox.ExecRequest{Argv: []string{"sleep", "1000"}, Stdin: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := contextWithCancel(t)
	failed := make(chan error, 1)
	go func() { failed <- p.Stdin(ctx, make([]byte, 8<<20), false) }()
	if err := c.Ping(testContext(t)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-failed; err == nil {
		t.Error("8 MiB were taken by a process that reads nothing")
	}
	if err := p.Cancel(testContext(t)); err != nil {
		t.Fatal(err)
	}
}

func TestATerminalHasItsSizeAndIsControlling(t *testing.T) {
	c, _ := connect(t, nil)
	got := run(t, c, sandbox.ExecRequest{
		Command: `tty >/dev/null && stty size && echo "term $TERM" && echo controlled >/dev/tty; echo error >&2`,
		PTY:     &sandbox.Winsize{Rows: 33, Cols: 111},
	})
	if want := "33 111\r\nterm xterm-256color\r\ncontrolled\r\nerror\r\n"; got.out != want || got.err != "" {
		t.Errorf("got %q and %q, want %q", got.out, got.err, want)
	}
}

func TestATerminalCanBeResized(t *testing.T) {
	c, _ := connect(t, nil)
	p, err := c.Start(testContext(t), sandbox.ExecRequest{
		Command: `trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done`, PTY: &sandbox.Winsize{Rows: 10, Cols: 20},
	})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	_, err = p.Wait(testContext(t), func(_ sandbox.Stream, _ int64, b []byte) error {
		out.Write(b)
		if out.String() == "ready\r\n" {
			return p.Resize(testContext(t), sandbox.Winsize{Rows: 44, Cols: 55})
		}
		return nil
	})
	if err != nil || out.String() != "ready\r\n44 55\r\n" {
		t.Errorf("got %q, %v", out.String(), err)
	}
}

func TestATerminalsEndOfInputIsItsCharacter(t *testing.T) {
	for _, input := range []string{"whole line\n", "half a line"} {
		c, _ := connect(t, nil)
		p, err := c.Start(testContext(t), sandbox.ExecRequest{Command: "stty -echo; echo ready; cat; echo done", PTY: &sandbox.Winsize{Rows: 5, Cols: 80}, Stdin: true})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		_, err = p.Wait(testContext(t), func(_ sandbox.Stream, _ int64, b []byte) error {
			out.Write(b)
			if out.String() == "ready\r\n" {
				return p.Stdin(testContext(t), []byte(input), true)
			}
			return nil
		})
		want := "ready\r\n" + strings.ReplaceAll(input, "\n", "\r\n") + "done\r\n"
		if err != nil || out.String() != want {
			t.Errorf("%q: got %q, %v, want %q", input, out.String(), err, want)
		}
	}
}

func TestU9_ATerminalsOutputIsCompleteWhenTheProcessEndsAtOnce(t *testing.T) {
	c, _ := connect(t, nil)
	for i := range 50 {
		n := 1 + i*400
		got := run(t, c, sandbox.ExecRequest{Command: fmt.Sprintf("seq %d", n), PTY: &sandbox.Winsize{Rows: 24, Cols: 80}})
		var want strings.Builder
		for j := range n {
			fmt.Fprintf(&want, "%d\r\n", j+1)
		}
		if got.out != want.String() {
			t.Fatalf("seq %d: %d bytes of %d", n, len(got.out), want.Len())
		}
	}
}

func TestCtrlCInATerminalInterrupts(t *testing.T) {
	c, _ := connect(t, nil)
	p, err := c.Start(testContext(t), sandbox.ExecRequest{Command: "echo ready; exec sleep 1000", PTY: &sandbox.Winsize{Rows: 5, Cols: 80}, Stdin: true})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	res, err := p.Wait(testContext(t), func(_ sandbox.Stream, _ int64, b []byte) error {
		out.Write(b)
		if out.String() == "ready\r\n" {
			return p.Stdin(testContext(t), []byte{3}, false)
		}
		return nil
	})
	if err != nil || res.Signal != "SIGINT" || res.ExitCode != 130 {
		t.Errorf("got %+v, %v", res, err)
	}
}
