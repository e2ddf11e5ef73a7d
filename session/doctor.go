package session

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"glue-lsp/sandbox"
)

// Doctor checks what sessions need: git, the state folder and the runtime's own needs;
// runtime "" is every runtime.
func (m *Manager) Doctor(ctx context.Context, runtime string) ([]sandbox.Check, error) {
	if runtime != "" && m.o.Runtimes[runtime] == nil {
		return nil, &Error{Kind: "runtimeUnavailable", Op: "doctor", Message: fmt.Sprintf("there is no runtime %q here", runtime)}
	}
	checks := []sandbox.Check{m.checkGit(), m.checkHome()}
	names := m.runtimes()
	slices.Sort(names)
	for _, name := range names {
		if runtime == "" || runtime == name {
			checks = append(checks, m.o.Runtimes[name].Checks(ctx)...)
		}
	}
	return checks, nil
}

func (m *Manager) checkGit() sandbox.Check {
	g, err := m.git()
	if err != nil {
		return sandbox.Check{Name: "git", Status: "fail", Detail: err.Error(), Hint: "install git 2.38 or later, e.g. apt install git"}
	}
	return sandbox.Check{Name: "git", Status: "ok", Detail: g.Version + " at " + g.Path}
}

func (m *Manager) checkHome() sandbox.Check {
	c := sandbox.Check{Name: "state folder", Status: "ok", Detail: m.o.Home}
	f, err := os.CreateTemp(filepath.Join(m.o.Home, "cache"), "doctor-")
	if err != nil {
		c.Status, c.Detail, c.Hint = "fail", err.Error(), "set GLUE_HOME to a folder that you can write"
		return c
	}
	_ = f.Close()
	if err := os.Remove(f.Name()); err != nil {
		c.Status, c.Detail = "warn", err.Error()
	}
	return c
}
