package agent

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"glue-lsp/sandbox"
)

// start starts a command, with a reader attached from its first byte on.
func (t *execTable) start(ctx context.Context, req startRequest) (*command, *reader, error) {
	if err := checkStart(req); err != nil {
		return nil, nil, err
	}
	if err := t.reserve(req.ID); err != nil {
		return nil, nil, err
	}
	c, rd, err := t.spawn(ctx, req)
	if err != nil {
		t.release(req.ID)
		return nil, nil, err
	}
	t.started(c)
	return c, rd, nil
}

func checkStart(req startRequest) error {
	bad := func(what string) error {
		return &sandbox.Error{Kind: sandbox.InvalidParams, Op: startOp, Message: what}
	}
	switch {
	case req.ID == "" || len(req.ID) > 256:
		return bad("execId must have 1 to 256 bytes")
	case strings.ContainsAny(req.ID, "\x00\n"):
		return bad("execId holds a NUL or a newline")
	case len(req.Argv) == 0 && req.Command == "":
		return bad("neither command nor argv is given")
	case len(req.Argv) > 0 && req.Command != "":
		return bad("both command and argv are given")
	case len(req.Argv) > 0 && req.Argv[0] == "":
		return bad("argv[0], the program, is empty")
	case strings.ContainsRune(string(req.Command), 0):
		return bad("command holds a NUL byte, which no argument can")
	case strings.ContainsRune(string(req.Cwd), 0):
		return bad("cwd holds a NUL byte, which no path can")
	case req.TimeoutMs < 0:
		return bad("timeoutMs is negative")
	}
	for _, a := range req.Argv {
		if strings.ContainsRune(string(a), 0) {
			return bad("argv holds a NUL byte, which no argument can")
		}
	}
	for _, kv := range req.Env {
		name, _, ok := strings.Cut(string(kv), "=")
		if !ok || name == "" {
			return bad("env holds a variable without a name")
		}
		if strings.ContainsRune(string(kv), 0) {
			return bad("env holds a NUL byte, which no variable can")
		}
	}
	return nil
}

func (t *execTable) spawn(ctx context.Context, req startRequest) (*command, *reader, error) {
	env, err := t.login.get(ctx)
	if err != nil {
		return nil, nil, err
	}
	cwd, err := t.workDir(string(req.Cwd))
	if err != nil {
		return nil, nil, err
	}
	env = mergeEnv(env, "PWD="+cwd)
	if req.PTY != nil && envValue(env, "TERM") == "" {
		env = mergeEnv(env, "TERM=xterm-256color")
	}
	env = mergeEnv(env, fromWire(req.Env)...)
	path, argv, err := program(req, env, cwd)
	if err != nil {
		return nil, nil, err
	}

	c := &command{
		id: req.ID, mark: t.marks.mark(t.count.Add(1)), text: describe(req),
		out: newOutput(), done: make(chan struct{}),
	}
	env = mergeEnv(env, t.marks.env(req.ID))
	io, err := openStdio(req, t.d.cfg.terminals)
	if err != nil {
		return nil, nil, asError(startOp, "", err)
	}
	rd := c.out.attach(sandbox.Offsets{})
	attr := &os.ProcAttr{Dir: cwd, Env: env, Files: io.child[:], Sys: &syscall.SysProcAttr{Setsid: true}}
	if io.pty != nil {
		attr.Sys.Setctty, attr.Sys.Ctty = true, 0
	}
	t.spawnMu.Lock()
	err = t.marks.around(c.mark, func() error {
		return t.onShield(func() (err error) {
			c.started = time.Now()
			c.proc, err = os.StartProcess(path, argv, attr)
			return err
		})
	})
	if err == nil {
		t.pids[c.proc.Pid] = true
	}
	t.spawnMu.Unlock()
	io.closeChild()
	if err != nil {
		io.closeParent()
		return nil, nil, startError(path, argv[0], cwd, err)
	}
	c.pty = io.pty
	if io.in != nil {
		c.stdin = newStdinPipe(io.in, io.pty)
	}
	for _, s := range [2]sandbox.Stream{sandbox.Stdout, sandbox.Stderr} {
		if f := io.out[s]; f != nil {
			go c.pump(s, f)
		} else {
			c.out.finish(s)
		}
	}
	if req.TimeoutMs > 0 {
		c.mu.Lock()
		c.timer = time.AfterFunc(time.Duration(req.TimeoutMs)*time.Millisecond, func() {
			c.mu.Lock()
			over := c.exited
			c.mu.Unlock()
			if !over {
				t.end(c, true)
			}
		})
		c.mu.Unlock()
	}
	go func() {
		c.reap(io.out, func() {
			t.spawnMu.Lock()
			delete(t.pids, c.proc.Pid)
			t.spawnMu.Unlock()
		})
	}()
	return c, rd, nil
}

// workDir makes a command's folder absolute and looks whether it is there.
func (t *execTable) workDir(cwd string) (string, error) {
	dir := cwd
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(t.d.cfg.cwd, dir)
	}
	dir = filepath.Clean(dir)
	info, err := os.Stat(dir)
	if err != nil {
		e := asError(startOp, dir, err)
		e.Message = "the folder to run in: " + e.Message
		return "", e
	}
	if !info.IsDir() {
		return "", &sandbox.Error{Kind: sandbox.NotADirectory, Op: startOp, Path: dir, Message: "the folder to run in is a file"}
	}
	return dir, nil
}

// program finds what to run: argv's program, or a shell for command.
func program(req startRequest, env []string, cwd string) (path string, argv []string, err error) {
	search := envValue(env, "PATH")
	if len(req.Argv) > 0 {
		argv = fromWire(req.Argv)
		path, err = lookProgram(argv[0], search, cwd)
		if err != nil {
			return "", nil, startError(argv[0], argv[0], cwd, err)
		}
		return path, argv, nil
	}
	for _, shell := range []string{"bash", "sh"} {
		if path, err = lookProgram(shell, search, cwd); err == nil {
			return path, []string{shell, "-c", string(req.Command)}, nil
		}
	}
	return "", nil, &sandbox.Error{
		Kind: sandbox.FileNotFound, Op: startOp, Path: "sh",
		Message: "there is neither bash nor sh in the sandbox, so that a command line cannot be run",
		Hint:    "give the program and its arguments as argv, or use an image with a shell",
	}
}

// startError says why a program could not be started.
func startError(path, name, cwd string, err error) error {
	e := asError(startOp, name, err)
	switch {
	case e.Kind == sandbox.FileNotFound && path != name:
		// The file is there: what its first line or header names is not.
		e.Message = "the program cannot be started: its interpreter or loader is not there"
	case e.Kind == sandbox.FileNotFound:
		e.Message = "there is no such program"
		if !strings.Contains(name, "/") {
			e.Message += " on the sandbox's PATH"
		}
	case e.Kind == sandbox.PermissionDenied:
		e.Message = "the file is not executable"
		if errors.Is(err, fs.ErrPermission) && strings.HasPrefix(path, cwd) {
			e.Hint = "chmod +x, or run it by its interpreter"
		}
	case errors.Is(err, syscall.ENOEXEC):
		e.Message = "the file is no program of this machine's kind, and has no #! line"
	case errors.Is(err, syscall.E2BIG):
		e.Message = "the arguments and the environment together are too long"
	}
	return e
}
