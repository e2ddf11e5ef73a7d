package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"

	"glue-lsp/sandbox/agent"
)

// The launcher's words. `hold` stays outside, hands terminals in, and starts `confine`,
// which gives up its rights and becomes the agent.
const (
	holdWord    = "hold"
	confineWord = "confine"
	trialWord   = "trial"
)

// trialWorks is what a confined process says that was only to be tried.
const trialWorks = "confinement works"

// AgentMain is agent.Main, with the launchers of confined agents.
func AgentMain(args []string, stdin io.Reader, stdout io.Writer) int {
	if len(args) == 0 {
		return agent.Main(args, stdin, stdout)
	}
	var err error
	status := 0
	switch word, rest := args[0], args[1:]; {
	case word == holdWord && len(rest) == 1:
		status, err = hold(rest[0])
	case word == confineWord && len(rest) == 1:
		err = confineAndRun(rest[0])
	case word == trialWord && len(rest) == 1:
		err = tryConfinement(rest[0])
	case word == trialWord && len(rest) == 0:
		fmt.Fprintln(stdout, trialWorks)
	default:
		return agent.Main(args, stdin, stdout)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "agent %s: %v\n", args[0], err)
		return 1
	}
	return status
}

// infoFD is where the launcher tells the agent's pid, as bubblewrap's --info-fd does.
const infoFD = 3

// hold starts the confined agent and gives it terminals until it ends.
func hold(arg string) (status int, err error) {
	info := os.NewFile(infoFD, "info")
	unix.CloseOnExec(infoFD)
	defer info.Close()
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socketpair", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "terminals")
	mine, err := net.FileConn(os.NewFile(uintptr(fds[0]), "terminals"))
	if err != nil {
		return 0, err
	}
	// The kernel sends the agent its signal when the thread that started it ends.
	runtime.LockOSThread()
	cmd := exec.Command(self, agent.Word, confineWord, arg)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stdin, os.Stdout, os.Stderr, []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP) // they are the agent's to act on
	theirs.Close()
	if err := json.NewEncoder(info).Encode(map[string]int{"child-pid": cmd.Process.Pid}); err != nil {
		_ = cmd.Process.Kill()
		return 0, errors.Join(err, cmd.Wait())
	}
	info.Close()
	// The stream has to end with the agent.
	os.Stdin.Close()
	os.Stdout.Close()
	done := make(chan error, 1)
	go func() { done <- agent.ServeTerminals(mine.(*net.UnixConn)) }()
	err = cmd.Wait()
	mine.Close()
	if serr := <-done; serr != nil && !errors.Is(serr, net.ErrClosed) && !errors.Is(serr, syscall.ECONNRESET) {
		fmt.Fprintf(os.Stderr, "agent %s: terminals: %v\n", holdWord, serr)
	}
	if cmd.ProcessState == nil {
		return 0, err
	}
	return max(cmd.ProcessState.ExitCode(), 0), nil
}

// confineAndRun makes what the agent cannot make any more, gives up its rights and
// becomes the agent.
func confineAndRun(arg string) error {
	c, err := decodeConfinement(arg)
	if err != nil {
		return err
	}
	l, err := agent.Listen(string(c.Socket))
	if err != nil {
		return fmt.Errorf("the agent's socket: %w", err)
	}
	f, err := l.(*net.UnixListener).File()
	if err != nil {
		return fmt.Errorf("the agent's socket: %w", err)
	}
	// dup2(2) leaves the copy open for the agent, which finds it by its number.
	if err := unix.Dup3(int(f.Fd()), agent.ListenFD, 0); err != nil {
		return os.NewSyscallError("dup3", err)
	}
	return c.run()
}

// tryConfinement is confineAndRun for a process that is no agent.
func tryConfinement(arg string) error {
	c, err := decodeConfinement(arg)
	if err != nil {
		return err
	}
	return c.run()
}

// run confines the thread it runs on and executes the program there, which takes the
// thread's restrictions over (execve(2), credentials(7)). It returns only to fail.
func (c *confinement) run() error {
	runtime.LockOSThread()
	filter, err := c.filter()
	if err != nil {
		return err
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	if err := c.restrict(); err != nil {
		return err
	}
	if err := install(filter); err != nil {
		return err
	}
	argv := make([]string, len(c.Argv))
	for i, a := range c.Argv {
		argv[i] = string(a)
	}
	err = unix.Exec(argv[0], argv, os.Environ())
	return &os.PathError{Op: "exec", Path: argv[0], Err: err}
}

// restrict enforces the rules and sets no_new_privs, for all threads.
func (c *confinement) restrict() error {
	cfg := c.config()
	rules := make([]landlock.Rule, 0, len(c.Rules))
	for _, r := range c.Rules {
		// A path may go away between the planning and now.
		rules = append(rules, landlock.PathAccess(r.access()&cfg.HandledAccessFS, string(r.Path)).IgnoreIfMissing())
	}
	if err := cfg.Restrict(rules...); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	return nil
}

// config is what landlock handles: everything of files that the kernel knows, the
// network only where it is to be taken away.
func (c *confinement) config() landlock.Config {
	cfg := []landlock.Config{
		landlock.V3, landlock.V4, landlock.V5, landlock.V6, landlock.V7, landlock.V8, landlock.V9, landlock.V10, landlock.V11,
	}[min(c.ABI, newestABI)-minABI]
	if c.Network != "none" {
		cfg.HandledAccessNet = 0
	}
	return cfg
}

// access is what the kernel calls the rights, before those are taken out that it does
// not know.
func (r pathRule) access() landlock.AccessFSSet {
	const (
		readFile = ll.AccessFSExecute | ll.AccessFSReadFile
		write    = ll.AccessFSWriteFile | ll.AccessFSTruncate
		// No device nodes: a program of root could make one of the disk and read it.
		change = ll.AccessFSReadDir | ll.AccessFSRemoveDir | ll.AccessFSRemoveFile | ll.AccessFSMakeDir | ll.AccessFSMakeReg |
			ll.AccessFSMakeSock | ll.AccessFSMakeFifo | ll.AccessFSMakeSym | ll.AccessFSRefer | ll.AccessFSResolveUnix
	)
	switch r.Rights {
	case mayRead:
		if r.File {
			return readFile
		}
		return readFile | ll.AccessFSReadDir
	case mayList:
		return ll.AccessFSReadDir
	case mayWrite:
		return readFile | write | change
	case mayUse:
		return ll.AccessFSReadFile | write
	case mayControl:
		return ll.AccessFSReadFile | write | ll.AccessFSIoctlDev
	case mayShare:
		return ll.AccessFSReadFile | write | ll.AccessFSMakeReg | ll.AccessFSRemoveFile
	}
	return 0
}

// dropCapabilities gives up what root could do (capabilities(7)). Without any, the
// bounding set cannot be changed, and need not be: no_new_privs keeps it from mattering.
func dropCapabilities() error {
	for cap := uintptr(0); ; cap++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, cap, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
			break
		}
		if err != nil {
			return os.NewSyscallError("prctl", err)
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return os.NewSyscallError("capset", unix.Capset(&header, &none[0]))
}
