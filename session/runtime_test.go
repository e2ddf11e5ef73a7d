package session

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

func TestMain(m *testing.M) {
	if agent.IsAgent(os.Args) {
		os.Exit(agent.Main(os.Args[2:], os.Stdin, os.Stdout))
	}
	goleak.VerifyTestMain(m)
}

// bareRuntime runs the agent as a plain child process: the least that a session needs,
// so that these tests are about sessions. The real runtimes have their own.
type bareRuntime struct {
	mu   sync.Mutex
	last *bareSandbox
}

type bareSandbox struct {
	*agent.Client
	cmd *exec.Cmd
	dir string
}

type pipes struct {
	io.Reader
	io.WriteCloser
	kill func()
}

func (p pipes) Close() error {
	err := p.WriteCloser.Close()
	p.kill()
	return err
}

func (r *bareRuntime) Name() string                                     { return "local" }
func (r *bareRuntime) Checks(context.Context) []sandbox.Check           { return nil }
func (r *bareRuntime) Reap(context.Context, sandbox.Spec, []byte) error { return nil }
func (r *bareRuntime) Open(ctx context.Context, s sandbox.Spec) (sandbox.Sandbox, error) {
	root := filepath.Join(s.TreeDir, "w")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := agent.Args{Root: root, Cwd: filepath.Join(root, filepath.FromSlash(s.Subdir)), Grace: time.Second, NoLogin: true}
	cmd := exec.Command(self, args.List()...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c, err := agent.Dial(ctx, pipes{Reader: out, WriteCloser: in, kill: func() { out.Close() }}, agent.Options{})
	if err != nil {
		return nil, err
	}
	b := &bareSandbox{Client: c, cmd: cmd, dir: root}
	r.mu.Lock()
	r.last = b
	r.mu.Unlock()
	return b, nil
}

func (b *bareSandbox) Info() sandbox.Info {
	return sandbox.Info{
		ID: strconv.Itoa(b.cmd.Process.Pid), Root: b.Root(), Cwd: b.Cwd(), Isolation: "none", Transport: "agent", HasGit: true,
	}
}
func (b *bareSandbox) State() []byte { return []byte("{}") }
func (b *bareSandbox) Close(ctx context.Context) error {
	err := b.Client.Close(ctx)
	_ = b.cmd.Wait()
	return err
}
