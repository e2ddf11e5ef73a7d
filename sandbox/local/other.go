//go:build !linux

package local

import (
	"context"
	"os/exec"
	"strconv"
	"strings"

	"glue-lsp/sandbox"
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

// identify asks ps for a process's start.
func identify(pid int) (identity, bool) {
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	stat, start, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || !ok || strings.HasPrefix(stat, "Z") {
		return identity{}, false
	}
	return identity{Pid: pid, Start: strings.TrimSpace(start)}, true
}
