package local

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"glue-lsp/sandbox"
)

// Bounds of a doctor's visit.
const (
	doctorTimeout = 20 * time.Second
	toolTimeout   = 10 * time.Second
	maxVersion    = 200
)

// comparedTools are asked for their version inside and outside.
var comparedTools = []struct{ name, version string }{
	{"git", "--version"},
	{"python3", "--version"},
	{"node", "--version"},
	{"go", "version"},
	{"cargo", "--version"},
	{"java", "-version"},
}

// Checks looks at the isolation and at what commands will find in a sandbox, by
// opening one.
func (r *Runtime) Checks(ctx context.Context) []sandbox.Check {
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	checks := []sandbox.Check{r.checkBubblewrap(ctx)}
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
	return append(checks, r.checkInside(ctx)...)
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

func failed(name string, err error) sandbox.Check {
	e := unavailable("", err)
	return sandbox.Check{Name: name, Status: "fail", Detail: strings.TrimPrefix(e.Message, ": "), Hint: e.Hint}
}

// checkInside opens a sandbox and looks around.
func (r *Runtime) checkInside(ctx context.Context) []sandbox.Check {
	dir, err := os.MkdirTemp("", "glue-doctor-")
	if err != nil {
		return []sandbox.Check{failed("local sandbox", err)}
	}
	defer os.RemoveAll(dir)
	began := time.Now()
	box, err := r.Open(ctx, sandbox.Spec{Session: "doctor", Dir: dir, TreeDir: filepath.Join(dir, "t")})
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
	return append(checks, r.compareTools(ctx, box)...)
}

func checkShell(ctx context.Context, box sandbox.Sandbox) sandbox.Check {
	out, err := ask(ctx, box, sandbox.ExecRequest{Command: `echo "${BASH_VERSION:-sh}"`})
	switch {
	case err != nil:
		return failed("shell in the sandbox", err)
	case out == "sh":
		return sandbox.Check{Name: "shell in the sandbox", Status: "warn", Detail: "sh only", Hint: "install bash: command lines that need it will fail"}
	}
	return sandbox.Check{Name: "shell in the sandbox", Status: "ok", Detail: "bash " + out}
}

// compareTools asks all tools at once.
func (r *Runtime) compareTools(ctx context.Context, box sandbox.Sandbox) []sandbox.Check {
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	checks := make([]sandbox.Check, len(comparedTools))
	var wg sync.WaitGroup
	for i, tool := range comparedTools {
		wg.Go(func() {
			argv := []string{tool.name, tool.version}
			outside := r.askOutside(ctx, argv)
			inside, _ := ask(ctx, box, sandbox.ExecRequest{Argv: argv})
			checks[i] = compare(tool.name, outside, inside)
		})
	}
	wg.Wait()
	return checks
}

// compare judges what a tool says of itself on both sides; "" is a tool that is not
// there or does not work.
func compare(name, outside, inside string) sandbox.Check {
	c := sandbox.Check{Name: name, Status: "ok", Detail: inside}
	switch {
	case inside == "" && outside == "":
		c.Detail = "neither here nor in the sandbox"
		if name == "git" {
			c.Status, c.Hint = "fail", "install git (2.38 or later)"
		}
	case inside == outside:
	case inside == "":
		c.Status, c.Detail = "warn", fmt.Sprintf("%s here, not in the sandbox", outside)
		c.Hint = "it is probably installed in a folder that sandboxes are not shown"
	case outside == "":
		c.Detail = inside + " in the sandbox, not here"
	default:
		c.Status, c.Detail = "warn", fmt.Sprintf("%s in the sandbox, but %s here", inside, outside)
		c.Hint = "commands may behave differently; look at PATH in your shell's profile"
	}
	return c
}

// ask runs a command in the sandbox and gives the first line that it prints.
func ask(ctx context.Context, box sandbox.Sandbox, req sandbox.ExecRequest) (string, error) {
	req.Timeout = toolTimeout
	p, err := box.Start(ctx, req)
	if err != nil {
		return "", err
	}
	var out, errs []byte
	res, err := p.Wait(ctx, func(s sandbox.Stream, _ int64, b []byte) error {
		to := &out
		if s == sandbox.Stderr {
			to = &errs
		}
		*to = append(*to, b[:min(len(b), maxVersion-min(maxVersion, len(*to)))]...)
		return nil
	})
	if err != nil {
		return "", err
	}
	if res.ExitCode != 0 {
		return "", fmt.Errorf("exit status %d: %s", res.ExitCode, firstLine(errs))
	}
	if len(out) == 0 {
		out = errs // java speaks there
	}
	return firstLine(out), nil
}

func (r *Runtime) askOutside(ctx context.Context, argv []string) string {
	path, err := findOnPath(argv[0], envOf(r.opts.Environ, "PATH"))
	if err != nil {
		return ""
	}
	cmd := exec.CommandContext(ctx, path, argv[1:]...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = r.opts.Environ, os.TempDir(), time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return ""
	}
	return firstLine(out)
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
