package session

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
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
	grace time.Duration // of agents without a client; default 1 s

	mu   sync.Mutex
	last *bareSandbox
}

type bareSandbox struct {
	*agent.Client
	cmd  *exec.Cmd // nil when it was attached to
	gone chan struct{}
	dir  string
	is   bareState
}

// bareState is how another runtime finds the sandbox again.
type bareState struct {
	Pid      int
	Instance string
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

func (r *bareRuntime) Name() string                                         { return "local" }
func (r *bareRuntime) Checks(context.Context, sandbox.Spec) []sandbox.Check { return nil }

func (r *bareRuntime) Reap(_ context.Context, _ sandbox.Spec, raw []byte) error {
	is := readBareState(raw)
	if is.Pid > 0 {
		_ = syscall.Kill(is.Pid, syscall.SIGKILL) // a child of this process, and so still itself
		agent.EndLeftovers(is.Instance)
	}
	return nil
}

func readBareState(raw []byte) bareState {
	var is bareState
	_ = json.Unmarshal(raw, &is)
	return is
}

func bareSocket(s sandbox.Spec) string { return filepath.Join(s.TreeDir, "run", "agent.sock") }

func (r *bareRuntime) Open(ctx context.Context, s sandbox.Spec) (sandbox.Sandbox, error) {
	root := filepath.Join(s.TreeDir, "w")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := agent.Args{
		Root: root, Cwd: filepath.Join(root, filepath.FromSlash(s.Subdir)), Grace: cmp.Or(r.grace, 5*time.Second), NoLogin: true, Socket: bareSocket(s),
	}
	cmd := exec.Command(self, args.List()...)
	cmd.Stderr = os.Stderr
	// Not the pipes of cmd, which its Wait closes before the last answer was read.
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdin, cmd.Stdout = inR, outW
	err = cmd.Start()
	_, _ = inR.Close(), outW.Close()
	if err != nil {
		return nil, err
	}
	b := &bareSandbox{cmd: cmd, gone: make(chan struct{}), dir: root}
	go func() {
		_ = cmd.Wait()
		close(b.gone)
	}()
	b.Client, err = agent.Dial(ctx, pipes{Reader: outR, WriteCloser: inW, kill: func() { outR.Close() }}, agent.Options{})
	if err != nil {
		_ = cmd.Process.Kill()
		<-b.gone
		return nil, err
	}
	b.is = bareState{Pid: cmd.Process.Pid, Instance: b.Instance()}
	r.keep(b)
	return b, nil
}

func (r *bareRuntime) keep(b *bareSandbox) {
	r.mu.Lock()
	r.last = b
	r.mu.Unlock()
}

// newest is the sandbox that was started or joined last.
func (r *bareRuntime) newest() *bareSandbox {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func (r *bareRuntime) Attach(ctx context.Context, s sandbox.Spec, raw []byte) (sandbox.Sandbox, error) {
	gone := &sandbox.Error{Kind: sandbox.ExecutorDead, Op: "attach", Message: "the sandbox has ended"}
	conn, err := agent.DialSocket(bareSocket(s))
	if err != nil {
		return nil, gone
	}
	c, err := agent.Dial(ctx, conn, agent.Options{})
	if err != nil {
		return nil, err
	}
	is := readBareState(raw)
	if c.Instance() != is.Instance {
		c.Detach()
		return nil, gone
	}
	b := &bareSandbox{Client: c, dir: filepath.Join(s.TreeDir, "w"), is: is}
	r.keep(b)
	return b, nil
}

func (r *bareRuntime) Reopen(ctx context.Context, s sandbox.Spec, raw []byte) (sandbox.Sandbox, error) {
	if err := r.Reap(ctx, s, raw); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(s.TreeDir, "w")); err != nil {
		return nil, &sandbox.Error{Kind: sandbox.FileNotFound, Op: "reopen", Message: "no tree"}
	}
	return r.Open(ctx, s)
}

func (b *bareSandbox) Info() sandbox.Info {
	return sandbox.Info{
		ID: strconv.Itoa(b.is.Pid), Root: b.Root(), Cwd: b.Cwd(), Isolation: "none", Transport: "agent", HasGit: true,
	}
}

func (b *bareSandbox) State() []byte {
	raw, _ := json.Marshal(b.is)
	return raw
}

func (b *bareSandbox) Close(ctx context.Context) error {
	err := b.Client.Close(ctx)
	if b.gone != nil {
		<-b.gone
	}
	return err
}
