package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Host makes machines.
type Host struct {
	self  string
	bwrap string
	dir   string // for what machines share, which none can write
	log   func(string, ...any)

	mu    sync.Mutex
	farms map[string]string // folders of programs, by what they leave out
}

// NewHost finds what is needed. self is the program that becomes the first process and
// the file helper; "" is this one. What machines share is kept in dir.
func NewHost(self, dir string, log func(string, ...any)) (*Host, error) {
	if self == "" {
		p, err := os.Executable()
		if err != nil {
			return nil, err
		}
		self = p
	}
	bwrap, err := exec.LookPath("bwrap")
	if err != nil {
		return nil, fmt.Errorf("sandboxes are emulated with bubblewrap, which is not installed: %w", err)
	}
	return &Host{self: self, bwrap: bwrap, dir: dir, log: log, farms: map[string]string{}}, nil
}

// ToolPath is where the file helper is inside, as in Modal's sandboxes.
const ToolPath = "/__modal/.bin/modal-sandbox-fs-tools"

// Spec is one machine.
type Spec struct {
	Dir     string   // its files on the host; Dir/root becomes /
	Hide    []string // programs that its image does not have
	Network bool
	Mounts  []Mount
}

// Mount shows a folder of the host inside.
type Mount struct {
	Source, Target string
	ReadOnly       bool
}

// Machine is a running sandbox.
type Machine struct {
	cmd  *exec.Cmd
	init int
	sock *os.File
	gone chan struct{}

	send    sync.Mutex
	mu      sync.Mutex
	waiting map[string]chan event // of starts
	procs   map[string]*Process
}

// Process is one that the machine runs.
type Process struct {
	m    *Machine
	id   string
	done chan struct{}

	// Code and Signal are how it ended; they are set when Done is closed.
	Code, Signal int
}

// Command says what to start.
type Command struct {
	ID                    string
	Argv, Env             []string
	Dir                   string
	TTY                   bool // the files are a terminal
	Stdin, Stdout, Stderr *os.File
}

// Start boots a machine.
func (h *Host) Start(spec Spec) (*Machine, error) {
	args, err := h.arguments(spec)
	if err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	// A message may be as long as a command line.
	for _, fd := range pair {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 2*maxMessage)
	}
	mine, theirs := os.NewFile(uintptr(pair[0]), "machine"), os.NewFile(uintptr(pair[1]), "machine")
	defer theirs.Close()
	infoR, infoW, err := os.Pipe()
	if err != nil {
		mine.Close()
		return nil, err
	}
	defer infoR.Close()
	var complaint strings.Builder
	cmd := exec.Command(h.bwrap, args...)
	cmd.ExtraFiles = []*os.File{theirs, infoW} // descriptors 3, which is Socket, and 4
	cmd.Stderr = &complaint
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Env = []string{}
	if err := cmd.Start(); err != nil {
		mine.Close()
		infoW.Close()
		return nil, err
	}
	infoW.Close()
	m := &Machine{cmd: cmd, sock: mine, gone: make(chan struct{}), waiting: map[string]chan event{}, procs: map[string]*Process{}}
	var told struct {
		Pid int `json:"child-pid"`
	}
	_ = infoR.SetReadDeadline(time.Now().Add(10 * time.Second))
	err = json.NewDecoder(io.LimitReader(infoR, 4<<10)).Decode(&told)
	m.init = told.Pid
	go m.run()
	if err != nil || told.Pid == 0 {
		m.Kill()
		<-m.gone
		return nil, fmt.Errorf("bubblewrap did not start: %w: %s", errors.Join(err, ErrGone), complaint.String())
	}
	return m, nil
}

func (h *Host) arguments(spec Spec) ([]string, error) {
	root := filepath.Join(spec.Dir, "root")
	for _, d := range []string{"tmp", "root", "home", "opt", "srv", "mnt", "run", "var/tmp", "workspace", "__modal/.bin", "__modal/host"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return nil, err
		}
	}
	_ = os.Chmod(filepath.Join(root, "tmp"), 0o1777)
	args := []string{"--unshare-pid", "--unshare-ipc", "--unshare-uts", "--as-pid-1", "--die-with-parent", "--hostname", "modal", "--info-fd", "4", "--bind", root, "/"}
	if os.Geteuid() != 0 {
		args = append(args, "--unshare-user", "--uid", "0", "--gid", "0")
	}
	if !spec.Network {
		args = append(args, "--unshare-net")
	}
	for _, d := range []string{"/usr", "/etc"} {
		args = append(args, "--ro-bind", d, d)
	}
	for _, d := range []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"} {
		target, err := os.Readlink(d)
		switch {
		case err == nil:
			if _, err := os.Lstat(filepath.Join(root, d)); errors.Is(err, os.ErrNotExist) {
				args = append(args, "--symlink", target, d)
			}
		case !errors.Is(err, os.ErrNotExist):
			args = append(args, "--ro-bind", d, d)
		}
	}
	farm, err := h.without(spec.Hide)
	if err != nil {
		return nil, err
	}
	// Programs that somebody installed on this machine are in no image.
	args = append(args, "--ro-bind", "/usr/bin", "/__modal/host", "--ro-bind", farm, "/usr/bin", "--tmpfs", "/usr/local")
	if slices.Contains(spec.Hide, "git") {
		if _, err := os.Stat("/usr/lib/git-core"); err == nil {
			args = append(args, "--tmpfs", "/usr/lib/git-core")
		}
	}
	args = append(args, "--proc", "/proc", "--dev", "/dev", "--ro-bind", h.self, ToolPath)
	for _, m := range spec.Mounts {
		how := "--bind"
		if m.ReadOnly {
			how = "--ro-bind"
		}
		args = append(args, how, m.Source, m.Target)
	}
	return append(args, "--chdir", "/", ToolPath, Word), nil
}

// Warm prepares what the first ordinary machine would otherwise wait for.
func (h *Host) Warm() error {
	_, err := h.without(nil)
	return err
}

// without gives a folder of links to the machine's programs, but for some. Images of
// Modal's have python where Debian has python3.
func (h *Host) without(hide []string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := strings.Join(hide, " ")
	if farm := h.farms[key]; farm != "" {
		return farm, nil
	}
	farm, err := os.MkdirTemp(h.dir, "bin-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(farm, 0o755); err != nil {
		return "", err
	}
	entries, err := os.ReadDir("/usr/bin")
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		hidden := slices.ContainsFunc(hide, func(h string) bool { return e.Name() == h || strings.HasPrefix(e.Name(), h+"-") })
		if hidden {
			continue
		}
		if err := os.Symlink("/__modal/host/"+e.Name(), filepath.Join(farm, e.Name())); err != nil && !errors.Is(err, os.ErrExist) {
			return "", err
		}
	}
	if !slices.Contains(hide, "python") {
		if err := os.Symlink("/__modal/host/python3", filepath.Join(farm, "python")); err != nil && !errors.Is(err, os.ErrExist) {
			return "", err
		}
	}
	h.farms[key] = farm
	return farm, nil
}

// run takes the first process's events until the machine is gone.
func (m *Machine) run() {
	in := newReceiver()
	for {
		var e event
		if _, err := in.receive(int(m.sock.Fd()), &e); err != nil {
			break
		}
		m.handle(e)
	}
	_ = syscall.Kill(m.init, syscall.SIGKILL)
	_ = m.cmd.Wait()
	m.mu.Lock()
	for id, p := range m.procs {
		p.Signal = int(syscall.SIGKILL)
		close(p.done)
		delete(m.procs, id)
	}
	for _, c := range m.waiting {
		close(c)
	}
	m.waiting = nil
	close(m.gone)
	m.mu.Unlock()
	m.sock.Close()
}

func (m *Machine) handle(e event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch e.Op {
	case "started", "failed":
		if c := m.waiting[e.ID]; c != nil {
			delete(m.waiting, e.ID)
			if e.Op == "failed" {
				delete(m.procs, e.ID)
			}
			c <- e
		}
	case "exited":
		if p := m.procs[e.ID]; p != nil {
			delete(m.procs, e.ID)
			p.Code, p.Signal = e.Code, e.Signal
			close(p.done)
		}
	}
}

// ErrGone says that the machine has ended.
var ErrGone = errors.New("the machine has ended")

// Start starts a process. Its files may be closed afterwards.
func (m *Machine) Start(c Command) (*Process, error) {
	p := &Process{m: m, id: c.ID, done: make(chan struct{})}
	answer := make(chan event, 1)
	m.mu.Lock()
	if m.waiting == nil {
		m.mu.Unlock()
		return nil, ErrGone
	}
	m.waiting[c.ID], m.procs[c.ID] = answer, p
	m.mu.Unlock()
	err := m.tell(request{ID: c.ID, Op: "start", Argv: c.Argv, Env: c.Env, Dir: c.Dir, TTY: c.TTY}, c.Stdin, c.Stdout, c.Stderr)
	if err != nil {
		m.mu.Lock()
		delete(m.waiting, c.ID)
		delete(m.procs, c.ID)
		m.mu.Unlock()
		return nil, err
	}
	e, ok := <-answer
	if !ok {
		return nil, ErrGone
	}
	if e.Op == "failed" {
		return nil, errors.New(e.Error)
	}
	return p, nil
}

func (m *Machine) tell(r request, files ...*os.File) error {
	m.send.Lock()
	defer m.send.Unlock()
	return send(int(m.sock.Fd()), r, files...)
}

// Kill sends a signal to the process's group.
func (p *Process) Kill(sig syscall.Signal) {
	_ = p.m.tell(request{ID: p.id, Op: "signal", Sig: int(sig)})
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Kill ends the machine and everything in it.
func (m *Machine) Kill() {
	if m.init > 0 {
		_ = syscall.Kill(m.init, syscall.SIGKILL)
	}
	_ = m.cmd.Process.Kill()
}

// Gone is closed when the machine has ended.
func (m *Machine) Gone() <-chan struct{} { return m.gone }

// RemoveAll deletes a machine's files, also where its processes took the right to.
func RemoveAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(p, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
