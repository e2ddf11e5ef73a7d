package agent

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"glue-lsp/sandbox"
)

// agentProgram runs this program as an agent to its end.
func agentProgram(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(testContext(t), os.Args[0], args...).CombinedOutput()
	return string(out), err
}

func TestAnAgentThatIsStartedInTheBackgroundCanBeJoinedOnceTheCommandHasEnded(t *testing.T) {
	dir := t.TempDir()
	args := Args{Root: filepath.Join(dir, "new", "root"), Socket: filepath.Join(dir, "run", "agent.sock"), Background: true}
	check := []string{Word, "check", "--socket", args.Socket}
	if out, err := agentProgram(t, check...); err == nil {
		t.Errorf("there is an agent before one was started: %s", out)
	}
	join := func() *Client {
		t.Helper()
		out, err := agentProgram(t, args.List()...)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		conn, err := DialSocket(args.Socket)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Dial(testContext(t), conn, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := join()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	if out, err := agentProgram(t, check...); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if info, err := os.Stat(args.Root); err != nil || !info.IsDir() {
		t.Errorf("the root: %v", err)
	}
	again := join()
	if again.Instance() != c.Instance() {
		t.Error("a second start made a second agent")
	}
	again.Detach()
}

func TestAnAgentThatCannotStartInTheBackgroundSaysWhy(t *testing.T) {
	dir := t.TempDir()
	blocked := filepath.Join(dir, "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args Args
		want string
	}{
		"no root":                          {Args{Socket: filepath.Join(dir, "s", "a.sock")}, "--root"},
		"no socket":                        {Args{Root: dir}, "--socket"},
		"a root below a file":              {Args{Root: blocked + "/root", Socket: filepath.Join(dir, "s", "a.sock")}, "workspace's folder"},
		"a socket that others could reach": {Args{Root: dir, Socket: filepath.Join(open, "a.sock")}, "closed to others"},
	} {
		t.Run(name, func(t *testing.T) {
			c.args.Background = true
			out, err := agentProgram(t, c.args.List()...)
			if err == nil || !strings.Contains(out, c.want) {
				t.Errorf("%v: %q does not say %q", err, out, c.want)
			}
		})
	}
}

func TestWhoKnowsThatTheSandboxIsGoneEndsTheClientWithThatReason(t *testing.T) {
	_, conn := startAgent(t, nil)
	c, err := Dial(testContext(t), conn, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Start(testContext(t), sandbox.ExecRequest{Argv: []string{"sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() {
		_, err := p.Wait(testContext(t), nil)
		waited <- err
	}()
	why := deadError("sandbox", os.ErrClosed)
	why.Message, why.Hint = "its time was over", "give it more"
	c.Fail(why)
	<-c.Done()
	_, later := c.Stat(testContext(t), "/")
	for what, err := range map[string]error{"the client": c.Err(), "a call in flight": <-waited, "a later call": later} {
		if err == nil || !strings.Contains(err.Error(), "its time was over") {
			t.Errorf("%s says %v", what, err)
		}
	}
	c.Detach()
}
