package local

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"glue-lsp/sandbox"
)

// The test binary is also the attacker: a command in a sandbox that makes the system
// calls named by its arguments, and prints what came of each.

// attackEnv makes it that.
const attackEnv = "GLUE_TEST_ATTACK"

// attacks are what an attacker can be told to do, with one argument.
var attacks = map[string]func(arg string) error{
	"connect": func(path string) error { return connectTo(path, unix.SOCK_STREAM) },
	"send":    sendTo,
	"signal": func(pid string) error {
		return unix.Kill(number(pid), unix.SIGCONT) // does nothing to a process that runs
	},
	"probe": func(pid string) error { return unix.Kill(number(pid), 0) },
	"trace": func(pid string) error {
		runtime.LockOSThread()
		err := unix.PtraceAttach(number(pid))
		if err == nil {
			_ = unix.PtraceDetach(number(pid))
		}
		return err
	},
	"take descriptor": func(pid string) error {
		p, err := unix.PidfdOpen(number(pid), 0)
		if err != nil {
			return err
		}
		_, err = unix.PidfdGetfd(p, 0, 0)
		return err
	},
	"read memory": func(pid string) error {
		var b [1]byte
		local := []unix.Iovec{{Base: &b[0], Len: 1}}
		_, err := unix.ProcessVMReadv(number(pid), local, []unix.RemoteIovec{{Base: 1, Len: 1}}, 0)
		if errors.Is(err, unix.EFAULT) {
			return nil // it was allowed to look
		}
		return err
	},
	"read": func(path string) error {
		_, err := os.ReadFile(path)
		return err
	},
	"write": func(path string) error {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		return f.Close()
	},
	"empty": func(path string) error { return os.Truncate(path, 0) },
	"link": func(path string) error {
		defer os.Remove("hard")
		if err := os.Link(path, "hard"); err != nil {
			return err
		}
		_, err := os.ReadFile("hard")
		return err
	},
	"list": func(dir string) error {
		_, err := os.ReadDir(dir)
		return err
	},
	"follow": func(link string) error {
		_, err := os.Readlink(link)
		return err
	},
	"find descriptors": func(string) error {
		for fd := 3; fd < 1024; fd++ {
			// Go opens what it needs itself with close-on-exec.
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
				return nil
			}
		}
		return errors.New("there are none")
	},
	"user namespace": func(string) error { return unix.Unshare(unix.CLONE_NEWUSER) },
	"mount":          func(at string) error { return unix.Mount("none", at, "tmpfs", 0, "") },
	"device": func(string) error {
		defer os.Remove("node")
		return unix.Mknod("node", unix.S_IFBLK|0o600, int(unix.Mkdev(8, 0)))
	},
	"socket": func(family string) error {
		fd, err := unix.Socket(number(family), unix.SOCK_RAW, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	},
	"stream socket": func(family string) error {
		fd, err := unix.Socket(number(family), unix.SOCK_STREAM, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	},
	"keys": func(string) error {
		_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_KEYRING, true)
		return err
	},
	"ring": func(string) error {
		_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&[120]byte{})), 0)
		return asErr(errno)
	},
	"x32": func(string) error {
		_, _, errno := unix.RawSyscall(0x40000000|unix.SYS_GETPID, 0, 0, 0)
		return asErr(errno)
	},
	"type": func(string) error {
		c := byte('x')
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, 0, unix.TIOCSTI, uintptr(unsafe.Pointer(&c)))
		return asErr(errno)
	},
	"become root": func(string) error {
		v, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
		if err == nil && v == 1 {
			return errors.New("no new privileges")
		}
		return err
	},
	"capabilities": func(string) error {
		b, err := os.ReadFile("/proc/self/status")
		if err == nil && bytes.Contains(b, []byte("CapEff:\t0000000000000000")) && bytes.Contains(b, []byte("CapPrm:\t0000000000000000")) {
			return errors.New("there are none")
		}
		return err
	},
}

func asErr(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

func connectTo(path string, kind int) error {
	fd, err := unix.Socket(unix.AF_UNIX, kind, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: path})
}

// sendTo reaches for a datagram socket from one of a pair, for which no socket(2) is
// needed.
func sendTo(path string) error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	return unix.Sendto(fds[0], []byte("hello"), 0, &unix.SockaddrUnix{Name: path})
}

// beAttacker ends this process after its attacks, if it was told to make some.
func beAttacker() {
	if os.Getenv(attackEnv) != "" {
		os.Exit(attack(os.Args[1:]))
	}
}

// attack is the attacker's main.
func attack(args []string) int {
	for i := 0; i+1 < len(args); i += 2 {
		err := attacks[args[i]](args[i+1])
		if err == nil {
			fmt.Printf("%s %s: DONE\n", args[i], args[i+1])
			continue
		}
		fmt.Printf("%s %s: %v\n", args[i], args[i+1], err)
	}
	return 0
}

// try runs attacks in a sandbox and gives those that succeeded.
func (s *running) try(t *testing.T, args ...string) (done []string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if s.info.Isolation == Bubblewrap {
		self = insideAgent
	}
	out, errs, status := run(t, s, sandbox.ExecRequest{Argv: append([]string{self}, args...), Env: map[string]string{attackEnv: "1"}})
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if status != 0 || len(lines) != len(args)/2 {
		t.Fatalf("the attacker ended with %d: %s%s", status, out, errs)
	}
	for _, line := range lines {
		if what, ok := strings.CutSuffix(line, ": DONE"); ok {
			done = append(done, what)
		}
	}
	return done
}

// confining are the isolations that have to hold attacks off.
var confining = []string{Bubblewrap, Landlock}

// inEach runs a test in each of them.
func inEach(t *testing.T, test func(t *testing.T, isolation string)) {
	t.Helper()
	for _, isolation := range confining {
		t.Run(isolation, func(t *testing.T) { test(t, isolation) })
	}
}

func TestAnAttackerWithoutASandboxSucceeds(t *testing.T) {
	// So that the tests below can fail.
	box := open(t, Options{Isolation: None}, nil)
	dir := t.TempDir()
	put(t, filepath.Join(dir, "file"), "SECRET")
	other := sleeper(t)
	path := filepath.Join(dir, "sock")
	listening(t, path)
	calls := []string{
		"read", dir + "/file", "write", dir + "/new", "link", dir + "/file", "list", dir, "empty", dir + "/file", "signal", other, "probe", other, "trace", other,
		"take descriptor", other, "read memory", other, "connect", path, "stream socket", strconv.Itoa(unix.AF_UNIX),
	}
	if got := box.try(t, calls...); len(got) != len(calls)/2 {
		t.Errorf("only these succeed: %q", got)
	}
}

// sleeper is another process of the person.
func sleeper(t *testing.T) (pid string) {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return strconv.Itoa(cmd.Process.Pid)
}

// listening is a service of the person's on a unix socket.
func listening(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
}

func TestX6_FilesOutsideAreOutOfReachByEveryWay(t *testing.T) {
	inEach(t, func(t *testing.T, isolation string) {
		home, environ := userHome(t, map[string]string{".ssh/id": "SECRET", "documents/plan": "SECRET"})
		glue := filepath.Join(home, ".glue")
		put(t, filepath.Join(glue, "sessions", "other", "session.json"), "SECRET")
		put(t, filepath.Join(glue, "config.yaml"), "SECRET")
		secret := filepath.Join(home, ".ssh", "id")
		box := open(t, Options{Isolation: isolation, Environ: environ, Home: glue}, nil)
		sh(t, box, "ln -s "+secret+" soft && ln -s "+home+" folder")
		agentPid := strconv.Itoa(box.state.Processes[0].Pid)
		calls := []string{
			"read", secret, "read", "soft", "read", "folder/.ssh/id", "link", secret, "link", "soft",
			"read", "/proc/self/root" + secret, "read", "/proc/" + strconv.Itoa(os.Getpid()) + "/root" + secret, "read", "/proc/" + agentPid + "/root" + secret,
			"read", "/proc/" + strconv.Itoa(os.Getpid()) + "/environ", "read", filepath.Join(home, "documents", "plan"), "list", glue,
			"write", secret, "empty", secret,
			"read", filepath.Join(glue, "sessions/other/session.json"), "read", filepath.Join(glue, "config.yaml"), "write", filepath.Join(glue, "config.yaml"),
			"list", filepath.Join(glue, "sessions"), "list", filepath.Join(glue, "trees"), "write", box.state.Socket, "read", "/etc/shadow",
			"write", "/usr/glue-test", "write", "/etc/glue-test", "write", "/proc/sys/kernel/core_pattern", "device", "", "mount", box.info.Root,
		}
		if isolation == Landlock {
			calls = append(calls, "list", home, "write", filepath.Join(home, ".bashrc"), "write", "folder/new", "list", filepath.Join(box.state.Socket, "../.."), "write", "/tmp/glue-test", "list", "/tmp", "list", "/", "list", "/dev/pts", "read", "/dev/ptmx")
		}
		if got := box.try(t, calls...); len(got) != 0 {
			t.Errorf("done: %q", got)
		}
		for _, p := range []string{".bashrc", "new"} {
			if _, err := os.Lstat(filepath.Join(home, p)); err == nil {
				t.Errorf("%s was written", p)
			}
		}
		for _, p := range []string{secret, filepath.Join(glue, "config.yaml")} {
			if b, err := os.ReadFile(p); err != nil || string(b) != "SECRET" {
				t.Errorf("%s: %q, %v", p, b, err)
			}
		}
	})
}

func TestX6_SocketsOfTheHostAreOutOfReach(t *testing.T) {
	inEach(t, func(t *testing.T, isolation string) {
		dir := t.TempDir()
		path := filepath.Join(dir, "agent")
		listening(t, path)
		datagram := filepath.Join(dir, "log")
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: datagram, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		calls := []string{"connect", path, "send", datagram}
		network := func(*sandbox.Spec) {}
		if isolation == Bubblewrap {
			network = func(s *sandbox.Spec) { s.Network = "none" } // else abstract sockets are a gap that it names
		}
		abstract := "@glue-test-" + unique(t)
		listening(t, abstract)
		box := open(t, Options{Isolation: isolation}, network)
		calls = append(calls, "connect", abstract)
		if isolation == Landlock {
			calls = append(calls, "connect", box.state.Socket)
		}
		if got := box.try(t, calls...); len(got) != 0 {
			t.Errorf("reached: %q", got)
		}
	})
}

func TestX6_OtherProcessesAreOutOfReach(t *testing.T) {
	inEach(t, func(t *testing.T, isolation string) {
		server, other := strconv.Itoa(os.Getpid()), sleeper(t)
		box := open(t, Options{Isolation: isolation}, nil)
		var calls []string
		for _, pid := range []string{server, other, strconv.Itoa(os.Getppid())} {
			calls = append(calls, "signal", pid, "probe", pid, "trace", pid, "take descriptor", pid, "read memory", pid, "read", "/proc/"+pid+"/environ", "follow", "/proc/"+pid+"/fd/0", "follow", "/proc/"+pid+"/cwd")
		}
		if got := box.try(t, calls...); len(got) != 0 {
			t.Errorf("done: %q", got)
		}
	})
}

// The agent carries everything that the host is told of a sandbox.
func TestX9_TheAgentsStreamIsOutOfReachOfCommands(t *testing.T) {
	inEach(t, func(t *testing.T, isolation string) {
		box := open(t, Options{Isolation: isolation}, nil)
		pids := []string{"1"}
		if isolation == Landlock {
			pids = pids[:0]
			for _, id := range box.state.Processes {
				pids = append(pids, strconv.Itoa(id.Pid))
			}
		}
		var calls []string
		for _, pid := range pids {
			calls = append(calls, "take descriptor", pid, "trace", pid, "read memory", pid, "follow", "/proc/"+pid+"/fd/0", "write", "/proc/"+pid+"/fd/1", "write", "/proc/"+pid+"/fd/2",
				"read", "/proc/"+pid+"/environ", "write", "/proc/"+pid+"/mem")
			if isolation == Landlock {
				calls = append(calls, "signal", pid)
			}
		}
		if got := box.try(t, calls...); len(got) != 0 {
			t.Errorf("done: %q", got)
		}
		// Nor can it be ended.
		for _, pid := range pids {
			_, _, _ = run(t, box, sandbox.ExecRequest{Command: "kill -KILL " + pid})
		}
		_, _, _ = run(t, box, sandbox.ExecRequest{Command: "kill -KILL -1"})
		if got := sh(t, box, "echo on"); got != "on\n" {
			t.Errorf("the sandbox does not go on: %q", got)
		}
	})
}

func TestTheGapsOfLandlockAreClosed(t *testing.T) {
	box := open(t, Options{Isolation: Landlock}, nil)
	calls := []string{
		"user namespace", "", "keys", "", "ring", "", "type", "", "become root", "", "capabilities", "",
		"socket", strconv.Itoa(unix.AF_PACKET), "stream socket", strconv.Itoa(unix.AF_VSOCK), "socket", strconv.Itoa(unix.AF_ALG),
		"stream socket", strconv.Itoa(unix.AF_UNIX),
	}
	if runtime.GOARCH == "amd64" {
		calls = append(calls, "x32", "")
	}
	if got := box.try(t, calls...); len(got) != 0 {
		t.Errorf("done: %q", got)
	}
	inet := []string{"stream socket", strconv.Itoa(unix.AF_INET), "stream socket", strconv.Itoa(unix.AF_INET6)}
	if got := box.try(t, inet...); len(got) != 2 {
		t.Errorf("the network is gone: %q", got)
	}
	box = open(t, Options{Isolation: Landlock}, func(s *sandbox.Spec) { s.Network = "none" })
	if got := box.try(t, append(inet, "stream socket", strconv.Itoa(unix.AF_UNIX))...); len(got) != 0 {
		t.Errorf("the network is there: %q", got)
	}
}

func TestNoDescriptorOfTheServerLeaksIntoCommands(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	put(t, secret, "SECRET")
	// An editor's mistake: a descriptor without close-on-exec.
	fd, err := unix.Open(secret, unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			box := open(t, Options{Isolation: isolation}, nil)
			if got := box.try(t, "find descriptors", ""); len(got) != 0 {
				t.Error("there is one")
			}
		})
	}
}

func TestACommandHasATerminalOfItsOwnUnderLandlock(t *testing.T) {
	box := open(t, Options{Isolation: Landlock}, nil)
	for range 3 {
		out, _, status := run(t, box, sandbox.ExecRequest{Command: "stty size && stty raw </dev/tty && test -t 0 && echo hello >/dev/tty", PTY: &sandbox.Winsize{Rows: 31, Cols: 77}})
		if status != 0 || !strings.Contains(out, "31 77") || !strings.Contains(out, "hello") {
			t.Errorf("status %d: %q", status, out)
		}
	}
}
