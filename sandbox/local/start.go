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
			select {
			case <-proc.gone:
				return nil, fmt.Errorf("%w: its process has ended%s", agent.ErrGone, p.complaint())
			default:
				return agent.DialSocket(p.dirs.socket())
			}
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
	s := &running{Client: client, proc: proc}
	s.state = newState(p, proc, client.Instance())
	s.info = sandbox.Info{
		ID: fmt.Sprintf("local-%d", proc.cmd.Process.Pid), Root: client.Root(), Cwd: client.Cwd(), Isolation: p.isolation, Gaps: p.gaps,
		Transport: "agent", HasGit: client.HasGit(),
	}
	if p.spec.Timeout > 0 {
		s.info.ExpiresAt = began.Add(p.spec.Timeout)
	}
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
	var info *os.File
	if p.hasInit {
		r, w, err := os.Pipe()
		if err != nil {
			mine.Close()
			return fail(err)
		}
		defer w.Close()
		defer r.Close()
		info, cmd.ExtraFiles = r, []*os.File{w}
	}
	if err := cmd.Start(); err != nil {
		mine.Close()
		return fail(err)
	}
	proc := &launched{cmd: cmd, gone: make(chan struct{}), stream: mine}
	go func() {
		_ = cmd.Wait()
		close(proc.gone)
	}()
	if info != nil {
		cmd.ExtraFiles[0].Close()
		proc.init = readInit(info)
	}
	return mine, proc, nil
}

// readInit reads what bubblewrap tells about the sandbox: {"child-pid": 123}. A
// launcher that fails closes it unwritten.
func readInit(r *os.File) int {
	_ = r.SetReadDeadline(time.Now().Add(trialTimeout))
	var told struct {
		Pid int `json:"child-pid"`
	}
	if json.NewDecoder(io.LimitReader(r, 4<<10)).Decode(&told) != nil {
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

// State is what Reap needs.
func (s *running) State() []byte {
	b, err := json.Marshal(s.state)
	if err != nil {
		return nil
	}
	return b
}

// Close ends every process and waits for that; the tree stays.
func (s *running) Close(ctx context.Context) error {
	defer s.state.endLeftovers()
	select {
	case <-s.proc.gone:
		s.Client.Detach()
		return nil
	default:
	}
	asked, cancel := context.WithTimeout(ctx, closeGrace)
	defer cancel()
	err := s.Client.Close(asked)
	select {
	case <-s.proc.gone:
		return nil
	case <-asked.Done():
	case <-time.After(time.Second):
		// It answered, or never will; what is left is cut.
	}
	s.proc.kill()
	if err != nil && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
		s.log("the sandbox's agent did not end by itself: %v", err)
	}
	return nil
}

func (s *running) log(format string, args ...any) {
	if s.state.log != nil {
		s.state.log(format, args...)
	}
}
