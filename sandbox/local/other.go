//go:build !linux

package local

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// tryBubblewrap says that there is none: it is made of Linux's namespaces.
func tryBubblewrap(context.Context, Options) (bwrap, *sandbox.Error) {
	return bwrap{}, &sandbox.Error{
		Kind: sandbox.RuntimeUnavailable, Op: "open", Message: "bubblewrap exists only on Linux",
		Hint: "use the modal runtime, or local.isolation: none where you trust what runs",
	}
}

func (p *plan) bubblewrap(choice) error {
	return &sandbox.Error{Kind: sandbox.RuntimeUnavailable, Op: "open", Message: "bubblewrap exists only on Linux"}
}

// tryLandlock says that there is none.
func tryLandlock(context.Context, string) (int, *sandbox.Error) {
	return 0, &sandbox.Error{Kind: sandbox.RuntimeUnavailable, Op: "open", Message: "landlock exists only on Linux"}
}

func (p *plan) landlock(choice) error {
	return &sandbox.Error{Kind: sandbox.RuntimeUnavailable, Op: "open", Message: "landlock exists only on Linux"}
}

// AgentMain is agent.Main: there are no launchers here.
func AgentMain(args []string, stdin io.Reader, stdout io.Writer) int {
	return agent.Main(args, stdin, stdout)
}

// ownFolder says that no overlay can stand for a folder here.
func ownFolder(_, _ string) bool { return false }

func (p *plan) mayOwnUsers() bool { return false }

// stage stands for what mounts overlays.
type stage struct{}

func (p *plan) stageFor(*exec.Cmd) (*stage, error) { return nil, nil }

func (s *stage) report() map[int]string { return nil }

func (s *stage) close() {}

func cloneFile(_, _ *os.File) error { return errors.ErrUnsupported }

// identify asks ps for a process's start.
func identify(pid int) (identity, bool) {
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	stat, start, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || !ok || strings.HasPrefix(stat, "Z") {
		return identity{}, false
	}
	return identity{Pid: pid, Start: strings.TrimSpace(start)}, true
}

// launchersOf gives none: there is no launcher here.
func launchersOf(string) []identity { return nil }
