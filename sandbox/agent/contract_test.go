package agent

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/sandboxtest"
)

// bare is an agent that nothing confines, as a sandbox.
type bare struct {
	*Client
	agent *agentProcess
}

func (s *bare) Info() sandbox.Info {
	return sandbox.Info{
		ID: s.Instance(), Root: s.Root(), Cwd: s.Cwd(), Isolation: "none", Transport: "agent", HasGit: s.HasGit(),
	}
}

func (s *bare) State() []byte { return nil }

func (s *bare) Close(ctx context.Context) error {
	select {
	case <-s.Done():
		return nil
	default:
		return s.Client.Close(ctx)
	}
}

func openBare(t *testing.T, change func(*Args), env ...string) sandbox.Sandbox {
	t.Helper()
	// A folder of its own above the root, since a test may put things beside it.
	home := t.TempDir()
	root := filepath.Join(home, "w")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	a, conn := startAgent(t, func(args *Args) {
		args.Root = root
		if change != nil {
			change(args)
		}
	}, env...)
	c, err := Dial(testContext(t), conn, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &bare{c, a}
}

var allCaps = sandboxtest.Caps{
	Git: true, Trees: true, Watch: true, PTY: true, Control: true, Attach: true, Background: true,
	Kill: func(t *testing.T, sb sandbox.Sandbox) { _ = sb.(*bare).agent.cmd.Process.Kill() },
}

func TestAnAgentKeepsTheContract(t *testing.T) {
	sandboxtest.Run(t, func(t *testing.T) sandbox.Sandbox { return openBare(t, nil) }, allCaps)
}

func TestF19_AnAgentWithoutGitKeepsTheContract(t *testing.T) {
	path := withoutGit(t)
	caps := allCaps
	caps.Git = false
	sandboxtest.Run(t, func(t *testing.T) sandbox.Sandbox { return openBare(t, nil, "PATH="+path) }, caps)
}

// withoutGit makes a folder of links to every program but git.
func withoutGit(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, from := range filepath.SplitList(os.Getenv("PATH")) {
		list, err := os.ReadDir(from)
		if err != nil {
			continue
		}
		for _, d := range list {
			if name := d.Name(); name != "git" && name[:min(4, len(name))] != "git-" {
				_ = os.Symlink(filepath.Join(from, name), filepath.Join(dir, name)) // the first one wins
			}
		}
	}
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatal("git is not installed; these tests need it")
	}
	return dir
}
