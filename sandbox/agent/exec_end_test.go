package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glue-lsp/sandbox"
)

// escapes are ways in which a descendant leaves its parent, group, session, terminal
// or environment. Each writes its pid to a file of its own and stays.
var escapes = map[string]string{
	"a child":               `sh -c 'echo $$ >p1; exec sleep 1000' & wait`,
	"setsid":                `setsid sh -c 'echo $$ >p1; exec sleep 1000' & wait`,
	"setsid, parent gone":   `setsid -f sh -c 'echo $$ >p1; exec sleep 1000'; sleep 1000`,
	"double fork":           `(setsid sh -c '(echo $$ >p0; sh -c "echo \$\$ >p1; exec sleep 1000") & exit 0' &); sleep 1000`,
	"cleared environment":   `setsid -f env -i /bin/sh -c 'echo $$ >p1; exec sleep 1000'; sleep 1000`,
	"nohup":                 `nohup sh -c 'echo $$ >p1; exec sleep 1000' >/dev/null 2>&1 & sleep 1000`,
	"ignores TERM and HUP":  `setsid -f sh -c 'trap "" TERM HUP INT; echo $$ >p1; while :; do sleep 1000; done'; trap "" TERM; sleep 1000; sleep 1000`,
	"stopped":               `setsid -f sh -c 'echo $$ >p1; kill -STOP $$; sleep 1000'; sleep 1000`,
	"several that escaped":  `for i in 1 2 3 4; do setsid -f sh -c "echo \$\$ >p$i; exec sleep 1000"; done; sleep 1000`,
	"one that forks others": `setsid -f sh -c 'echo $$ >p1; while :; do sleep 0.05 & sleep 0.01; done'; sleep 1000`,
}

// escapees waits for the pids that an escape wrote and that are alive.
func escapees(t *testing.T, dir, command string) []string {
	t.Helper()
	want := 1
	if strings.Contains(command, "p$i") {
		want = 4
	}
	var pids []string
	until(t, "the descendants are there", func() bool {
		pids = nil
		for i := range want {
			b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("p%d", i+1)))
			if err != nil || !strings.HasSuffix(string(b), "\n") {
				return false
			}
			pids = append(pids, strings.TrimSpace(string(b)))
		}
		return true
	})
	return pids
}

func assertGone(t *testing.T, pids []string) {
	t.Helper()
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %s is still there", pid)
		}
	}
}

func TestF27_L2_CancelEndsEveryDescendant(t *testing.T) {
	for name, command := range escapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, a := connect(t, nil)
			p, err := c.Start(testContext(t), sandbox.ExecRequest{Command: command})
			if err != nil {
				t.Fatal(err)
			}
			pids := escapees(t, a.root, command)
			if err := p.Cancel(testContext(t)); err != nil {
				t.Fatal(err)
			}
			assertGone(t, pids)
			if got := wait(t, p); !got.Canceled || got.TimedOut {
				t.Errorf("got %+v", got.ExecResult)
			}
		})
	}
}

func TestF27_ATimeoutEndsEveryDescendantAndKeepsTheOutput(t *testing.T) {
	for name, command := range escapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, a := connect(t, nil)
			p, err := c.Start(testContext(t), sandbox.ExecRequest{Command: "echo before; " + command, Timeout: 3 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			pids := escapees(t, a.root, command)
			got := wait(t, p)
			if got.ExitCode != 124 || !got.TimedOut || got.Canceled || !strings.HasPrefix(got.out, "before\n") {
				t.Errorf("got %+v", got)
			}
			assertGone(t, pids)
		})
	}
}

func TestF27_CloseEndsEveryDescendant(t *testing.T) {
	for name, command := range escapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, a := connect(t, nil)
			if _, err := c.Start(testContext(t), sandbox.ExecRequest{Command: command}); err != nil {
				t.Fatal(err)
			}
			pids := escapees(t, a.root, command)
			if err := c.Close(testContext(t)); err != nil {
				t.Fatal(err)
			}
			assertGone(t, pids)
		})
	}
}

func TestATimeoutOfMillisecondsCounts(t *testing.T) {
	c, _ := connect(t, nil)
	got := run(t, c, sandbox.ExecRequest{Command: "sleep 1000", Timeout: 250 * time.Millisecond})
	if !got.TimedOut || got.Duration < 250*time.Millisecond {
		t.Errorf("got %+v", got.ExecResult)
	}
}

func TestTermComesBeforeKill(t *testing.T) {
	c, _ := connect(t, nil)
	got := run(t, c, sandbox.ExecRequest{
		Command: `trap 'echo cleaned up; exit 0' TERM; echo ready; while :; do sleep 0.01; done`,
		Timeout: 1500 * time.Millisecond,
	})
	if got.out != "ready\ncleaned up\n" || got.ExitCode != 124 {
		t.Errorf("got %+v", got)
	}
}

func TestAfterANormalExitDescendantsLiveOnAndAreListed(t *testing.T) {
	c, a := connect(t, nil)
	command := `setsid -f sh -c 'echo $$ >p1; exec sleep 1000' >/dev/null 2>&1`
	p, err := c.Start(testContext(t), sandbox.ExecRequest{ID: "server", Command: command})
	if err != nil {
		t.Fatal(err)
	}
	wait(t, p)
	pids := escapees(t, a.root, command)
	list, err := c.Processes(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].ID != "server" || list[0].State != "background" || list[0].Command != command || list[0].StartedAt.IsZero() {
		t.Errorf("listed %+v", list)
	}
	if !alive(pids[0]) {
		t.Error("the descendant did not live on")
	}
	// Cancelling what has ended ends what it left.
	if err := p.Cancel(testContext(t)); err != nil {
		t.Fatal(err)
	}
	assertGone(t, pids)
	if list, err := c.Processes(testContext(t)); err != nil || len(list) != 0 {
		t.Errorf("listed %+v, %v", list, err)
	}
}

func TestARunningCommandIsListedAndAnEndedOneIsNot(t *testing.T) {
	c, _ := connect(t, nil)
	run(t, c, sandbox.ExecRequest{Command: "true"})
	p, err := c.Start(testContext(t), sandbox.ExecRequest{ID: "long", Argv: []string{"sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.Processes(testContext(t))
	if err != nil || len(list) != 1 || list[0].ID != "long" || list[0].State != "running" || list[0].Command != "sleep 1000" {
		t.Errorf("listed %+v, %v", list, err)
	}
	if err := p.Cancel(testContext(t)); err != nil {
		t.Fatal(err)
	}
}

func TestTheResultDoesNotWaitForABackgroundChildThatHoldsTheOutput(t *testing.T) {
	c, _ := connect(t, nil)
	for name, child := range map[string]string{
		"silent":  `sleep 1000 &`,
		"chatty":  `(while :; do echo noise; done) &`,
		"escaped": `setsid -f sleep 1000`,
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, c, sandbox.ExecRequest{Command: child + "\n" + `head -c 300000 /dev/zero | tr '\0' x; echo; echo last; exit 7`})
			if got.ExitCode != 7 || !strings.Contains(got.out, "last\n") || strings.Count(got.out, "x") != 300000 {
				t.Errorf("status %d, %d bytes", got.ExitCode, len(got.out))
			}
		})
	}
}

func TestSignalsGoToTheWholeGroup(t *testing.T) {
	c, _ := connect(t, nil)
	p, err := c.Start(testContext(t), sandbox.ExecRequest{
		Command: `sh -c 'trap "echo child; exit 0" HUP; echo ready; sleep 1000 & wait' & trap 'wait; echo parent; exit 5' HUP; wait`,
	})
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	done := make(chan ran, 1)
	go func() {
		var out strings.Builder
		res, err := p.Wait(testContext(t), func(_ sandbox.Stream, _ int64, b []byte) error {
			out.Write(b)
			if out.String() == "ready\n" {
				close(ready)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		done <- ran{ExecResult: res, out: out.String()}
	}()
	<-ready
	if err := p.Signal(testContext(t), "SIGNOSUCH"); kind(err) != sandbox.InvalidParams {
		t.Errorf("got %v", err)
	}
	if err := p.Signal(testContext(t), "SIGHUP"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.out != "ready\nchild\nparent\n" || got.ExitCode != 5 {
		t.Errorf("got %+v", got)
	}
	if err := p.Signal(testContext(t), "SIGINT"); kind(err) != sandbox.NoSuchExec {
		t.Errorf("a signal to an ended command: %v", err)
	}
}
