package agent

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"glue-lsp/sandbox"
)

// The test binary is its own agent, as the product's binary is.
func TestMain(m *testing.M) {
	if IsAgent(os.Args) {
		os.Exit(Main(os.Args[2:], os.Stdin, os.Stdout))
	}
	goleak.VerifyTestMain(m)
}

// patience bounds what must happen at all; it is never what a test measures.
const patience = time.Minute

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// socketPair is a stream's two ends.
func socketPair(t testing.TB) (mine net.Conn, theirs *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fds[0])
	syscall.CloseOnExec(fds[1])
	f := os.NewFile(uintptr(fds[0]), "mine")
	defer f.Close()
	mine, err = net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	return mine, os.NewFile(uintptr(fds[1]), "theirs")
}

// agentProcess is an agent in a process of its own.
type agentProcess struct {
	cmd    *exec.Cmd
	root   string
	socket string
	log    *safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// startAgent runs an agent with a clean environment and gives the first stream to it.
func startAgent(t testing.TB, change func(*Args), env ...string) (*agentProcess, net.Conn) {
	t.Helper()
	mine, theirs := socketPair(t)
	defer theirs.Close()
	a := &agentProcess{root: t.TempDir(), log: &safeBuffer{}}
	a.socket = filepath.Join(t.TempDir(), "s", "agent.sock")
	args := Args{Root: a.root, Socket: a.socket, Grace: time.Minute, NoLogin: true}
	if change != nil {
		change(&args)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a.cmd = exec.Command(self, args.List()...)
	a.cmd.Stdin, a.cmd.Stdout, a.cmd.Stderr = theirs, theirs, a.log
	a.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + a.root}, env...)
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = a.cmd.Process.Kill()
		_ = a.cmd.Wait()
		if t.Failed() && a.log.String() != "" {
			t.Logf("the agent's log:\n%s", a.log)
		}
	})
	return a, mine
}

// connect gives a client of a fresh agent, closed at the test's end.
func connect(t testing.TB, change func(*Args), env ...string) (*Client, *agentProcess) {
	t.Helper()
	a, conn := startAgent(t, change, env...)
	c, err := Dial(testContext(t), conn, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = c.Close(ctx)
	})
	return c, a
}

// inProcess gives a client of an agent in this very process.
func inProcess(t testing.TB, root string) *Client {
	t.Helper()
	d, err := newDaemon(config{root: root, env: []string{"PATH=" + os.Getenv("PATH")}})
	if err != nil {
		t.Fatal(err)
	}
	mine, theirs := socketPair(t)
	conn, err := net.FileConn(theirs)
	theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- d.serve(conn) }()
	c, err := Dial(testContext(t), mine, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close(testContext(t))
		<-served
		d.shutdown()
		d.wait()
	})
	return c
}

// ran is what came of a command.
type ran struct {
	sandbox.ExecResult
	out, err string
}

func run(t testing.TB, c *Client, req sandbox.ExecRequest) ran {
	t.Helper()
	p, err := c.Start(testContext(t), req)
	if err != nil {
		t.Fatalf("start %v %q: %v", req.Argv, req.Command, err)
	}
	return wait(t, p)
}

func wait(t testing.TB, p sandbox.Process) ran {
	t.Helper()
	var out, errs bytes.Buffer
	res, err := p.Wait(testContext(t), func(s sandbox.Stream, off int64, b []byte) error {
		to := &out
		if s == sandbox.Stderr {
			to = &errs
		}
		if int64(to.Len()) != off {
			t.Errorf("stream %d: offset %d after %d bytes", s, off, to.Len())
		}
		to.Write(b)
		return nil
	})
	if err != nil {
		t.Fatalf("wait: %v", err)
	}
	return ran{res, out.String(), errs.String()}
}

func contextWithCancel(t testing.TB) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithCancel(testContext(t))
}

// until polls for something that must become true.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// alive reports whether a process is there and no zombie.
func alive(pid string) bool {
	b, err := os.ReadFile("/proc/" + strings.TrimSpace(pid) + "/stat")
	if err != nil {
		return false
	}
	i := bytes.LastIndexByte(b, ')')
	return i > 0 && !bytes.HasPrefix(b[i+1:], []byte(" Z"))
}

var _ io.Writer = (*safeBuffer)(nil)
