package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
	"unicode"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// running is a started sandbox.
type running struct {
	*agent.Client
	info  sandbox.Info
	state state
	proc  *launched
}

var _ sandbox.Sandbox = (*running)(nil)

// launched is the process that was started, and what it tells.
type launched struct {
	cmd  *exec.Cmd
	told string        // where its launcher tells about the sandbox; "" is nowhere
	init int           // pid of the sandbox's init as the host sees it, or 0
	gone chan struct{} // closed when the process has ended and was waited for

	stream net.Conn // the first one
}

// start carries the plan out.
func (p *plan) start(ctx context.Context) (sandbox.Sandbox, error) {
	began := time.Now()
	mine, proc, err := p.launch()
	if err != nil {
		return nil, err
	}
	client, err := agent.Dial(ctx, mine, agent.Options{
		Log: p.spec.Log,
		Redial: func(context.Context) (io.ReadWriteCloser, error) {
			conn, err := agent.DialSocket(p.dirs.socket())
			if errors.Is(err, agent.ErrGone) {
				return nil, fmt.Errorf("%w%s", err, p.complaint())
			}
			return conn, err
		},
	})
	if err != nil {
		proc.kill()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		e := unavailable("the sandbox did not start", err)
		e.Message += p.complaint()
		return nil, e
	}
	proc.awaitInit()
	s := &running{Client: client, proc: proc}
	s.state = newState(p, proc, client.Instance())
	s.info = sandbox.Info{
		ID: fmt.Sprintf("local-%d", proc.cmd.Process.Pid), Root: client.Root(), Cwd: client.Cwd(), Isolation: p.isolation, Gaps: p.gaps,
		Transport: "agent", HasGit: client.HasGit(),
	}
	if p.spec.Timeout > 0 {
		s.info.ExpiresAt = began.Add(p.spec.Timeout)
	}
	s.state.ID, s.state.ExpiresAt = s.info.ID, s.info.ExpiresAt
	return s, nil
}

// launch starts the process with one end of a socket pair as its standard input and
// output.
func (p *plan) launch() (net.Conn, *launched, error) {
	fail := func(err error) (net.Conn, *launched, error) {
		return nil, nil, unavailable("the sandbox's process cannot be started", err)
	}
	mine, theirs, err := socketPair()
	if err != nil {
		return fail(err)
	}
	defer theirs.Close()
	log, err := os.OpenFile(p.dirs.log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		mine.Close()
		return fail(err)
	}
	defer log.Close()
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env, cmd.Dir = theirs, theirs, log, p.env, p.dirs.tree
	// A session of its own: the terminal's Ctrl-C is for the server alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if p.hasInit {
		// A file and no pipe: a launcher that cannot tell anybody, since this process was
		// killed, would leave its child waiting for ever.
		info, err := os.OpenFile(p.dirs.init, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			mine.Close()
			return fail(err)
		}
		defer info.Close()
		cmd.ExtraFiles = []*os.File{info}
	}
	stage, err := p.stageFor(cmd)
	if err != nil {
		mine.Close()
		return fail(err)
	}
	defer stage.close()
	if err := cmd.Start(); err != nil {
		mine.Close()
		return fail(err)
	}
	if stage != nil {
		p.refusals = stage.report()
	}
	proc := &launched{cmd: cmd, gone: make(chan struct{}), stream: mine}
	go func() {
		_ = cmd.Wait()
		close(proc.gone)
	}()
	if p.hasInit {
		proc.told = p.dirs.init
	}
	return mine, proc, nil
}

// awaitInit learns what the launcher tells about the sandbox, which it does before, or
// while, the agent greets. One that fails tells nothing.
func (l *launched) awaitInit() {
	deadline := time.Now().Add(trialTimeout)
	for l.told != "" && l.init == 0 && time.Now().Before(deadline) {
		if l.init = readInit(l.told); l.init != 0 {
			return
		}
		select {
		case <-l.gone:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// readInit reads a launcher's word: {"child-pid": 123}.
func readInit(file string) int {
	f, err := os.Open(file)
	if err != nil {
		return 0
	}
	defer f.Close()
	var told struct {
		Pid int `json:"child-pid"`
	}
	if json.NewDecoder(io.LimitReader(f, 4<<10)).Decode(&told) != nil {
		return 0
	}
	return told.Pid
}

func socketPair() (net.Conn, *os.File, error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "agent")
	f := os.NewFile(uintptr(fds[0]), "agent")
	defer f.Close()
	mine, err := net.FileConn(f)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return mine, theirs, nil
}

// maxComplaint bounds what of the log goes into an error.
const maxComplaint = 2 << 10

// complaint is what the launcher or the agent said last, for an error's end.
func (p *plan) complaint() string {
	f, err := os.Open(p.dirs.log)
	if err != nil {
		return ""
	}
	defer f.Close()
	// Commands can write to it too, and as much as they like.
	if info, err := f.Stat(); err == nil && info.Size() > maxComplaint {
		_, _ = f.Seek(-maxComplaint, io.SeekEnd)
	}
	b, _ := io.ReadAll(io.LimitReader(f, maxComplaint))
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) && r != '\n' {
			return ' '
		}
		return r
	}, strings.TrimSpace(strings.ToValidUTF8(string(b), "?")))
	if text == "" {
		return ""
	}
	return "\n" + text
}

// kill ends the process and everything in it, and waits for that.
func (l *launched) kill() {
	select {
	case <-l.gone:
		return // an init that it started has ended before, or is the record's to end
	default:
	}
	if l.init == 0 && l.told != "" {
		l.init = readInit(l.told)
	}
	if l.init > 0 {
		// The init of a pid namespace takes all of it along, see pid_namespaces(7).
		_ = syscall.Kill(l.init, syscall.SIGKILL)
	}
	select {
	case <-l.gone:
		return
	case <-time.After(time.Second):
	}
	_ = l.cmd.Process.Kill()
	<-l.gone
}

// closeGrace is how long an agent may take to end by itself once it was asked.
const closeGrace = 15 * time.Second

// Info says what the sandbox is.
func (s *running) Info() sandbox.Info { return s.info }

// State is what Attach, Reopen and Reap need.
func (s *running) State() []byte { return s.state.encode() }

// Close ends every process and waits for that; the tree stays.
func (s *running) Close(ctx context.Context) error {
	asked, cancel := context.WithTimeout(ctx, closeGrace)
	defer cancel()
	// The launcher may be gone while the agent, which it started, lives.
	if s.state.anyAlive() {
		err := s.Client.Close(asked)
		s.state.await(asked, time.Second)
		if err != nil && s.state.anyAlive() && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
			s.log("the sandbox's agent did not end by itself: %v", err)
		}
	} else {
		s.Client.Detach()
	}
	err := s.state.end(context.WithoutCancel(ctx))
	s.proc.kill()
	return err
}

func (s *running) log(format string, args ...any) {
	if s.state.log != nil {
		s.state.log(format, args...)
	}
}
