package agent

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// noConversions is the info/attributes of every repository that the agent makes:
// whatever a .gitattributes says, files are what the host sent (gitattributes(5):
// this file comes before all others).
const noConversions = "* -text !eol -ident -filter !working-tree-encoding\n"

// gitGrace is how long a git that was told to end may take to do so.
const gitGrace = 5 * time.Second

// gitError is a git command that failed, in git's own words.
type gitError struct {
	command string
	stderr  string
	err     error
}

func (e *gitError) Error() string {
	if e.stderr == "" {
		return "git " + e.command + ": " + e.err.Error()
	}
	return "git " + e.command + ": " + e.stderr
}

func (e *gitError) Unwrap() error { return e.err }

// gitRun runs one git command in the workspace, with no configuration but the
// repository's own.
func (t *trees) gitRun(ctx context.Context, stdin io.Reader, stdout io.Writer, args ...string) error {
	var stderr tail
	cmd := t.gitCommand(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, &stderr
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &gitError{command: args[0], stderr: stderr.text(), err: err}
}

func (t *trees) gitCommand(ctx context.Context, args ...string) *exec.Cmd {
	fixed := []string{
		// A root that belongs to another user is refused otherwise.
		"-c", "safe.directory=*",
		"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0",
	}
	cmd := exec.CommandContext(ctx, t.git, append(fixed, args...)...)
	cmd.Dir = t.root
	cmd.Env = isolatedGitEnv(t.env)
	cmd.WaitDelay = gitGrace
	return cmd
}

// isolatedGitEnv takes out of an environment what would make git read or do something
// else: its own variables, and the folders of a person's configuration.
func isolatedGitEnv(env []string) []string {
	out := slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return strings.HasPrefix(name, "GIT_") || name == "HOME" || name == "XDG_CONFIG_HOME" || name == "LC_ALL" || name == "LANGUAGE"
	})
	return append(out,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_REPLACE_OBJECTS=1",
		// What a new repository is made of, whatever a later git's defaults are.
		"GIT_DEFAULT_HASH=sha1", "GIT_DEFAULT_REF_FORMAT=files",
		"HOME=/nonexistent", "XDG_CONFIG_HOME=/nonexistent", "LC_ALL=C",
	)
}

// gitDir is where the workspace's repository keeps its data: `.git`, or what a file
// of that name points to (gitrepository-layout(5)).
func (t *trees) gitDir() (string, error) {
	dir := filepath.Join(t.root, ".git")
	b, err := readSmall(dir)
	switch {
	case errors.Is(err, errIsDir):
		return dir, nil
	case err != nil:
		return "", err
	}
	to, ok := strings.CutPrefix(strings.TrimRight(string(b), "\n"), "gitdir: ")
	if !ok {
		return "", errors.New("the file .git names no repository")
	}
	if !filepath.IsAbs(to) {
		to = filepath.Join(t.root, to)
	}
	return to, nil
}

// tail keeps the last part of what is written to it.
type tail struct{ b []byte }

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if over := len(t.b) - tailSize; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

// text is what was written, as one line.
func (t *tail) text() string {
	return strings.Join(strings.Fields(string(t.b)), " ")
}
