package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// Bounds of a doctor's visit.
const (
	doctorTimeout = 20 * time.Second
	toolTimeout   = 10 * time.Second
	maxVersion    = 200
	maxAnswer     = 4 << 10
)

// Checks looks at the isolation and at what commands will find in a sandbox, by
// opening one. Where it would confine nothing and nobody agreed to that, it is not opened.
func (r *Runtime) Checks(ctx context.Context, spec sandbox.Spec) []sandbox.Check {
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	checks := []sandbox.Check{r.checkBubblewrap(ctx), r.checkLandlock(ctx)}
	choice, err := r.choose(ctx)
	if err != nil {
		return append(checks, failed("local isolation", err))
	}
	isolation := sandbox.Check{Name: "local isolation", Status: "ok", Detail: choice.isolation + ": " + choice.why}
	if choice.isolation == None {
		isolation.Status = "warn"
		isolation.Hint = "commands run with your own rights; use it only where you trust them"
	}
	checks = append(checks, isolation)
	for _, gap := range choice.gaps {
		checks = append(checks, sandbox.Check{Name: "local isolation gap", Status: "ok", Detail: gap})
	}
	if choice.unasked && !spec.Unconfined {
		q := choice.question()
		return append(checks, sandbox.Check{Name: "local sandbox", Status: "warn", Detail: "not opened, and no tool asked: " + q.Message, Hint: q.Hint})
	}
	return append(checks, r.checkInside(ctx, spec)...)
}

func (r *Runtime) checkBubblewrap(ctx context.Context) sandbox.Check {
	found, err := r.bubblewrap(ctx)
	if err != nil {
		return sandbox.Check{Name: "bubblewrap", Status: "warn", Detail: err.Message, Hint: err.Hint}
	}
	detail := found.path + " " + found.version
	if !found.userNS {
		detail += ", without a user namespace"
	}
	return sandbox.Check{Name: "bubblewrap", Status: "ok", Detail: detail}
}

func (r *Runtime) checkLandlock(ctx context.Context) sandbox.Check {
	abi, err := r.landlocked(ctx)
	if err != nil {
		return sandbox.Check{Name: "landlock", Status: "warn", Detail: err.Message, Hint: err.Hint}
	}
	c := sandbox.Check{Name: "landlock", Status: "ok", Detail: fmt.Sprintf("version %d of its interface", abi)}
	if abi < abiScopes {
		c.Hint = "from Linux 6.12 on it also keeps commands from signalling your other processes"
	}
	return c
}

func failed(name string, err error) sandbox.Check {
	e := unavailable("", err)
	return sandbox.Check{Name: name, Status: "fail", Detail: strings.TrimPrefix(e.Message, ": "), Hint: e.Hint}
}

// checkInside opens a sandbox and looks around.
func (r *Runtime) checkInside(ctx context.Context, spec sandbox.Spec) []sandbox.Check {
	dir, err := os.MkdirTemp("", "glue-doctor-")
	if err != nil {
		return []sandbox.Check{failed("local sandbox", err)}
	}
	defer func() { _ = tree.RemoveAll(dir) }()
	began := time.Now()
	whole := spec
	spec.Session, spec.Dir, spec.TreeDir = "doctor", dir, filepath.Join(dir, "t")
	spec.Subdir = "" // the tree is empty
	box, err := r.open(ctx, spec, true)
	if err != nil {
		return []sandbox.Check{failed("local sandbox", err)}
	}
	took := time.Since(began)
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
		defer cancel()
		_ = box.Close(ctx)
	}()
	checks := []sandbox.Check{{Name: "local sandbox", Status: "ok", Detail: fmt.Sprintf("opens in %s", took.Round(time.Millisecond))}}
	checks = append(checks, checkShell(ctx, box))
	checks = append(checks, r.compareTools(ctx, box, whole)...)
	return append(checks, checkLent(ctx, box, spec)...)
}

func checkShell(ctx context.Context, box sandbox.Sandbox) sandbox.Check {
	out, err := ask(ctx, box, sandbox.ExecRequest{Command: `echo "${BASH_VERSION:-sh}"`})
	switch {
	case err != nil:
		return failed("shell in the sandbox", err)
	case out[0] == "sh":
		return sandbox.Check{Name: "shell in the sandbox", Status: "warn", Detail: "sh only", Hint: "install bash: command lines that need it will fail"}
	}
	return sandbox.Check{Name: "shell in the sandbox", Status: "ok", Detail: "bash " + out[0]}
}

// statusError is a command that ended with a status other than 0.
type statusError struct{ status int }

func (e *statusError) Error() string { return fmt.Sprintf("exit status %d", e.status) }

// ask runs a command in the sandbox and gives the first lines that it prints, at least
// one. With an error it gives what was printed until then.
func ask(ctx context.Context, box sandbox.Sandbox, req sandbox.ExecRequest) ([]string, error) {
	req.Timeout = toolTimeout
	p, err := box.Start(ctx, req)
	if err != nil {
		return nil, err
	}
	var out, errs []byte
	res, err := p.Wait(ctx, func(s sandbox.Stream, _ int64, b []byte) error {
		to := &out
		if s == sandbox.Stderr {
			to = &errs
		}
		*to = append(*to, b[:min(len(b), maxAnswer-min(maxAnswer, len(*to)))]...)
		return nil
	})
	var lines []string
	if text := strings.TrimSpace(string(out)); text != "" {
		lines = strings.Split(text, "\n")
	}
	switch {
	case err != nil:
		return lines, err
	case res.TimedOut:
		return lines, context.DeadlineExceeded
	case res.ExitCode != 0:
		return lines, &statusError{res.ExitCode}
	case len(lines) == 0:
		return nil, errors.New("it printed nothing")
	}
	return lines, nil
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, line)
	return line[:min(len(line), maxVersion)]
}

// findOnPath looks for a program along a PATH, in absolute folders only.
func findOnPath(name, path string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		p := filepath.Join(dir, name)
		if info, err := os.Stat(p); filepath.IsAbs(dir) && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, os.ErrNotExist)
}
