package machine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Main is a sandbox's first process: it starts what the socket asks for, tells how it
// ended, and reaps what others leave. It ends when the socket does.
func Main() int {
	unix.CloseOnExec(Socket)
	p := &first{byPID: map[int]string{}, byID: map[string]int{}}
	// Caught and not ignored: commands would inherit that, and no shell can take it back.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	children := make(chan os.Signal, 16)
	signal.Notify(children, syscall.SIGCHLD)
	go func() {
		for range children {
			p.reap()
		}
	}()
	in := newReceiver()
	for {
		var r request
		fds, err := in.receive(Socket, &r)
		if err != nil {
			return 0
		}
		switch r.Op {
		case "start":
			p.start(r, fds)
		case "signal":
			p.signal(r)
		}
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
}

type first struct {
	mu    sync.Mutex // held while a process is started, so that it is known before it is reaped
	byPID map[int]string
	byID  map[string]int
}

func (p *first) tell(e event) {
	// When nobody listens any more the read in Main ends too.
	_ = send(Socket, e)
}

func (p *first) start(r request, fds []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pid, err := fork(r, fds)
	if err != nil {
		p.tell(event{ID: r.ID, Op: "failed", Error: err.Error()})
		return
	}
	p.byPID[pid], p.byID[r.ID] = r.ID, pid
	p.tell(event{ID: r.ID, Op: "started"})
}

func fork(r request, fds []int) (int, error) {
	if len(r.Argv) == 0 || len(fds) != 3 {
		return 0, errors.New("nothing to start")
	}
	if info, err := os.Stat(r.Dir); err != nil || !info.IsDir() {
		if err := os.MkdirAll(r.Dir, 0o755); err != nil {
			return 0, fmt.Errorf("working directory: %w", err)
		}
	}
	path, err := find(r.Argv[0], r.Dir, r.Env)
	if err != nil {
		return 0, err
	}
	attr := &syscall.ProcAttr{Dir: r.Dir, Env: r.Env, Files: []uintptr{uintptr(fds[0]), uintptr(fds[1]), uintptr(fds[2])}}
	attr.Sys = &syscall.SysProcAttr{Setsid: true, Setctty: r.TTY}
	return syscall.ForkExec(path, r.Argv, attr)
}

// find is what execvp does with the command's own PATH.
func find(name, dir string, env []string) (string, error) {
	missing := fmt.Errorf("%s: %w", name, exec.ErrNotFound)
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return name, nil
	}
	for _, e := range env {
		list, ok := strings.CutPrefix(e, "PATH=")
		if !ok {
			continue
		}
		for _, d := range filepath.SplitList(list) {
			full := filepath.Join(d, name)
			if info, err := os.Stat(full); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
				return full, nil
			}
		}
	}
	return "", missing
}

func (p *first) signal(r request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pid := p.byID[r.ID]; pid > 0 {
		_ = syscall.Kill(-pid, syscall.Signal(r.Sig))
	}
}

func (p *first) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		id, ok := p.byPID[pid]
		if !ok {
			continue
		}
		delete(p.byPID, pid)
		delete(p.byID, id)
		e := event{ID: id, Op: "exited", Code: ws.ExitStatus()}
		if ws.Signaled() {
			e.Code, e.Signal = 0, int(ws.Signal())
		}
		p.tell(e)
	}
}
