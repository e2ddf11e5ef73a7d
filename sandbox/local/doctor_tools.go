package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"glue-lsp/sandbox"
)

// tool is a program that is asked for its version on both sides. A workspace needs it if
// one of the files is at its top; without files every workspace does.
type tool struct {
	name, version string
	files         []string
}

func comparedTools() []tool {
	python := []string{"pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile", "manage.py", "tox.ini", ".python-version"}
	return []tool{
		{"git", "--version", nil},
		{"python3", "--version", python},
		{"poetry", "--version", []string{"poetry.lock"}},
		{"uv", "--version", []string{"uv.lock"}},
		{"node", "--version", []string{"package.json"}},
		{"npm", "--version", []string{"package.json"}},
		{"yarn", "--version", []string{"yarn.lock"}},
		{"pnpm", "--version", []string{"pnpm-lock.yaml"}},
		{"bun", "--version", []string{"bun.lock", "bun.lockb"}},
		{"deno", "--version", []string{"deno.json", "deno.jsonc"}},
		{"go", "version", []string{"go.mod", "go.work"}},
		{"cargo", "--version", []string{"Cargo.toml"}},
		{"java", "-version", []string{"pom.xml", "build.gradle", "build.gradle.kts"}},
		{"mvn", "--version", []string{"pom.xml"}},
		{"gradle", "--version", []string{"build.gradle", "build.gradle.kts"}},
		{"ruby", "--version", []string{"Gemfile"}},
		{"php", "--version", []string{"composer.json"}},
		{"make", "--version", []string{"Makefile", "GNUmakefile"}},
	}
}

// toolsOf are the tools that a workspace needs; with nothing known of it, all.
func toolsOf(spec sandbox.Spec) []tool {
	needed := func(t tool) bool {
		return len(t.files) == 0 || slices.ContainsFunc(t.files, func(name string) bool {
			for _, dir := range []string{spec.HostRoot, filepath.Join(spec.HostRoot, filepath.FromSlash(spec.Subdir))} {
				if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
					return true
				}
			}
			return false
		})
	}
	all := comparedTools()
	if spec.HostRoot == "" {
		return all
	}
	if some := slices.DeleteFunc(slices.Clone(all), func(t tool) bool { return !needed(t) }); len(some) > 1 {
		return some
	}
	return all
}

// found is what a side has by a name; without a path it has nothing. fails is what a
// program says that does not work. One that says nothing in time has neither.
type found struct{ path, version, fails string }

// compareTools asks all tools at once, on both sides.
func (r *Runtime) compareTools(ctx context.Context, box sandbox.Sandbox, spec sandbox.Spec) []sandbox.Check {
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	tools := toolsOf(spec)
	path := envOf(r.opts.Environ, "PATH")
	ofShell := make(chan string, 1)
	go func() { ofShell <- r.shellsPath(ctx) }()
	compared := make([]sandbox.Check, len(tools))
	var wg sync.WaitGroup
	for i, t := range tools {
		wg.Go(func() { compared[i] = compare(t.name, r.askOutside(ctx, t, spec.HostRoot), askInside(ctx, box, t)) })
	}
	wg.Wait()
	shell := <-ofShell
	var checks []sandbox.Check
	for i, t := range tools {
		if compared[i].Detail == nowhere && t.name != "git" && (spec.HostRoot == "" || len(tools) == len(comparedTools())) {
			continue
		}
		checks = append(checks, compared[i])
		if c, differs := compareShell(t.name, path, shell); differs {
			checks = append(checks, c)
		}
	}
	return checks
}

const nowhere = "neither here nor in the sandbox"

// compare judges what a tool is on both sides.
func compare(name string, outside, inside found) sandbox.Check {
	c := sandbox.Check{Name: name, Status: "ok", Detail: inside.String()}
	switch {
	case inside.path == "" && outside.path == "":
		c.Detail = nowhere
		if name == "git" {
			c.Status, c.Hint = "fail", "install git (2.38 or later)"
		}
	case inside.path == "":
		c.Status, c.Detail = "warn", fmt.Sprintf("%s here, not in the sandbox", outside)
		c.Hint = "it is probably installed in a folder that sandboxes are not shown; a folder that PATH names is shown"
	case outside.path == "":
		c.Detail = inside.String() + " in the sandbox, not here"
	case inside.fails != "" && outside.fails == "":
		c.Status, c.Detail = "warn", fmt.Sprintf("%s works here, and not in the sandbox: %s", outside, inside.fails)
		c.Hint = "what it needs is probably in a folder that sandboxes are not shown"
	case inside.version == "" || outside.version == "": // one was not asked, or does not work here either
	case inside.version != outside.version:
		c.Status, c.Detail = "warn", fmt.Sprintf("%s in the sandbox, but %s here", inside, outside)
		c.Hint = "commands may behave differently; look at PATH in your shell's profile"
	case inside.path != outside.path:
		c.Detail += ", here " + outside.path
	}
	return c
}

func (f found) String() string {
	if f.version == "" {
		return f.path
	}
	return f.version + " (" + f.path + ")"
}

// askInside finds a tool as a command line would.
func askInside(ctx context.Context, box sandbox.Sandbox, t tool) found {
	const script = `command -v "$0" && "$0" "$1" 2>&1`
	lines, err := ask(ctx, box, sandbox.ExecRequest{Argv: []string{"sh", "-c", script, t.name, t.version}})
	var status *statusError
	switch {
	case err == nil:
		return found{path: lines[0], version: versionLine(lines[1:])}
	case !errors.As(err, &status) || len(lines) == 0:
		return found{path: firstOf(lines)}
	}
	return found{path: lines[0], fails: fmt.Sprintf("%v: %s", err, firstLine([]byte(firstOf(lines[1:]))))}
}

func firstOf(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}

// askOutside finds a tool on the machine. It is run in a folder that belongs to nobody:
// in the workspace, its files could choose another program. One that lies in the
// workspace is not run.
func (r *Runtime) askOutside(ctx context.Context, t tool, workspace string) found {
	path, err := findOnPath(t.name, envOf(r.opts.Environ, "PATH"))
	if err != nil {
		return found{}
	}
	if real, err := filepath.EvalSymlinks(path); err != nil || within(workspace, path) || within(workspace, real) {
		return found{path: path}
	}
	cmd := exec.CommandContext(ctx, path, t.version)
	cmd.Env, cmd.Dir, cmd.WaitDelay = r.opts.Environ, "/", time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return found{path: path}
	}
	if err != nil {
		return found{path: path, fails: err.Error()}
	}
	return found{path: path, version: versionLine(strings.Split(string(out), "\n"))}
}

// colours are escape sequences that some tools print whatever they print to; see ECMA-48,
// SGR.
var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// versionLine is the first line that says something: some tools warn before.
func versionLine(lines []string) string {
	for _, line := range lines {
		if line = firstLine([]byte(colours.ReplaceAllString(line, ""))); strings.ContainsAny(line, "0123456789") && !strings.Contains(strings.ToLower(line), "warn") {
			return line
		}
	}
	return ""
}

// shellTimeout bounds what a person's shell may take to start.
const shellTimeout = 4 * time.Second

// shellsPath is the PATH of a terminal: what the person's shell makes of it when it
// starts. An editor that was not started from one may have another. "" is unknown.
func (r *Runtime) shellsPath(ctx context.Context) string {
	shell := envOf(r.opts.Environ, "SHELL")
	switch filepath.Base(shell) {
	case "bash", "zsh", "fish":
	default:
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, shellTimeout)
	defer cancel()
	const mark = "glue-lsp-path:"
	cmd := exec.CommandContext(ctx, shell, "-l", "-i", "-c", "env | sed -n 's/^PATH=/"+mark+"/p'")
	cmd.Env, cmd.Dir, cmd.WaitDelay = r.opts.Environ, "/", 100*time.Millisecond
	// A shell of its own, which ends with what it started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	_, path, ok := strings.Cut(string(out), mark)
	if !ok {
		return ""
	}
	path, _, _ = strings.Cut(path, "\n")
	return path
}

// compareShell says when a terminal finds another program than commands do.
func compareShell(name, path, shell string) (sandbox.Check, bool) {
	there, err := findOnPath(name, shell)
	if shell == "" || err != nil {
		return sandbox.Check{}, false
	}
	here, err := findOnPath(name, path)
	if here == there {
		return sandbox.Check{}, false
	}
	if err != nil {
		here = "nothing"
	}
	return sandbox.Check{
		Name: name + " in your shell", Status: "warn", Detail: fmt.Sprintf("a terminal finds %s, commands here find %s", there, here),
		Hint: "start the editor from a terminal, or set PATH where your desktop session starts",
	}, true
}
