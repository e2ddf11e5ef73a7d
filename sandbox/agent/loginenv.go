package agent

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// loginTimeout bounds what a profile may take; commands then get the plain
// environment.
const loginTimeout = 5 * time.Second

// maxEnviron bounds what a login shell may hand over.
const maxEnviron = 4 << 20

// loginEnv is the environment that a login shell makes, computed once.
type loginEnv struct {
	ready chan struct{}
	env   []string
}

func startLoginEnv(ctx context.Context, cfg config) *loginEnv {
	l := &loginEnv{ready: make(chan struct{}), env: plainEnv(cfg.env)}
	if !cfg.login || len(cfg.self) == 0 {
		close(l.ready)
		return l
	}
	go func() {
		defer close(l.ready)
		env, err := askLoginShell(ctx, cfg)
		if err != nil {
			cfg.log("the login shell's environment could not be had, commands get the plain one: %v", err)
			return
		}
		l.env = mergeLogin(l.env, env)
	}()
	return l
}

// get waits for the environment.
func (l *loginEnv) get(ctx context.Context) ([]string, error) {
	select {
	case <-l.ready:
		return slices.Clone(l.env), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// askLoginShell runs a login shell that runs this program as `agent environ`, which
// writes its environment to descriptor 3: whatever a profile prints is not in it.
func askLoginShell(ctx context.Context, cfg config) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	search := envValue(cfg.env, "PATH")
	var shell string
	var args []string
	if p, err := lookProgram("bash", search, cfg.root); err == nil {
		shell, args = p, []string{"-lc"}
	} else if p, err := lookProgram("sh", search, cfg.root); err == nil {
		shell, args = p, []string{"-l", "-c"} // not POSIX, but dash and busybox take it
	} else {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	args = append(args, `exec "$0" "$@"`)
	args = append(args, cfg.self...)
	cmd := exec.CommandContext(ctx, shell, append(args, "environ")...)
	cmd.Dir, cmd.Env, cmd.ExtraFiles = "/", cfg.env, []*os.File{w}
	cmd.SysProcAttr = ownSession()
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	cmd.WaitDelay = 100 * time.Millisecond
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, err
	}
	w.Close()
	// A profile's background process may keep the pipe: the end is a NUL NUL.
	stop := context.AfterFunc(ctx, func() { r.Close() })
	defer stop()
	raw, err := readEnviron(r)
	werr := cmd.Wait()
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if werr != nil {
			return nil, werr
		}
		return nil, err
	}
	return raw, nil
}

var environEnd = []byte{0, 0}

// writeEnviron is the other end, in the login shell.
func writeEnviron(w io.Writer, env []string) error {
	var b bytes.Buffer
	for _, kv := range env {
		b.WriteString(kv)
		b.WriteByte(0)
	}
	b.WriteByte(0)
	_, err := w.Write(b.Bytes())
	return err
}

func readEnviron(r io.Reader) ([]string, error) {
	var b []byte
	buf := make([]byte, 16<<10)
	for {
		n, err := r.Read(buf)
		b = append(b, buf[:n]...)
		if i := bytes.Index(b, environEnd); i >= 0 {
			var env []string
			for _, kv := range bytes.Split(b[:i], []byte{0}) {
				env = append(env, string(kv))
			}
			return env, nil
		}
		if err != nil {
			return nil, cut(err)
		}
		if len(b) > maxEnviron {
			return nil, protocolError("an environment of over %d bytes", maxEnviron)
		}
	}
}

// shellOwn are variables of the login shell itself, not of the session.
var shellOwn = []string{"_", "SHLVL", "PWD", "OLDPWD", markEnv}

func plainEnv(env []string) []string {
	var out []string
	for _, kv := range env {
		if name, _, ok := strings.Cut(kv, "="); ok && !slices.Contains(shellOwn, name) {
			out = append(out, kv)
		}
	}
	return out
}

// mergeLogin takes the login shell's environment, with the PATH entries of the plain
// one in front: profiles that set PATH anew (Debian's does) must not hide what the
// image or the machine put there.
func mergeLogin(plain, login []string) []string {
	out := plainEnv(login)
	dirs := filepath.SplitList(envValue(plain, "PATH"))
	for _, d := range filepath.SplitList(envValue(login, "PATH")) {
		if !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	if len(dirs) == 0 {
		return out
	}
	return mergeEnv(out, "PATH="+strings.Join(dirs, string(filepath.ListSeparator)))
}
