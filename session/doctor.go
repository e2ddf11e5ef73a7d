package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"glue-lsp/sandbox"
	"glue-lsp/workspace"
)

// Doctor checks what sessions need: git, the state folder and the runtime's own needs;
// o.Runtime "" is every runtime. With o.Folder it looks at what a session on that folder,
// opened with o, would have.
func (m *Manager) Doctor(ctx context.Context, o OpenOptions) ([]sandbox.Check, error) {
	if o.Runtime != "" && m.o.Runtimes[o.Runtime] == nil {
		return nil, &Error{Kind: "runtimeUnavailable", Op: "doctor", Message: fmt.Sprintf("there is no runtime %q here", o.Runtime)}
	}
	checks := []sandbox.Check{m.checkGit(), m.checkHome(), m.checkUse(ctx)}
	spec := sandbox.Spec{Network: o.Network, Log: m.o.Log}
	if c, ok := m.checkFolder(ctx, o, &spec); ok {
		checks = append(checks, c)
	}
	names := m.runtimes()
	slices.Sort(names)
	for _, name := range names {
		if o.Runtime == "" || o.Runtime == name {
			checks = append(checks, m.o.Runtimes[name].Checks(ctx, spec)...)
		}
	}
	return checks, nil
}

// checkFolder looks at the working tree, and says in spec what a sandbox would get of it.
func (m *Manager) checkFolder(ctx context.Context, o OpenOptions, spec *sandbox.Spec) (sandbox.Check, bool) {
	if o.Folder == "" {
		return sandbox.Check{}, false
	}
	c := sandbox.Check{Name: "folder", Status: "ok", Detail: o.Folder}
	g, err := m.git()
	if err != nil {
		return c, false // told by checkGit
	}
	ws, err := workspace.Open(ctx, g, o.Folder, m.workspaceOptions(o, o.Folder))
	if err != nil {
		c.Status, c.Detail = "fail", err.Error()
		var e *workspace.Error
		if errors.As(err, &e) {
			c.Hint = e.Hint
		}
		return c, true
	}
	spec.HostRoot, spec.Subdir, spec.LendCaches = ws.Root(), ws.Subdir(), len(o.Share) > 0
	spec.Lend = func(ctx context.Context) ([]string, error) { return lendable(ctx, ws, o.Share) }
	spec.Unconfined = m.unconfinedAllowed(o.Folder)
	if len(o.Setup) > 0 {
		c.Detail += fmt.Sprintf("; %d setup %s run before the first one", len(o.Setup), plural(len(o.Setup), "command", "commands"))
	}
	return c, true
}

func (m *Manager) checkGit() sandbox.Check {
	g, err := m.git()
	if err != nil {
		return sandbox.Check{Name: "git", Status: "fail", Detail: err.Error(), Hint: "install git 2.38 or later, e.g. apt install git"}
	}
	return sandbox.Check{Name: "git", Status: "ok", Detail: g.Version + " at " + g.Path}
}

// measuring bounds how long doctor looks at sizes; beyond it says "at least".
const measuring = 3 * time.Second

func (m *Manager) checkUse(ctx context.Context) sandbox.Check {
	ctx, cancel := context.WithTimeout(ctx, measuring)
	defer cancel()
	u, err := m.Usage(ctx)
	if err != nil {
		return sandbox.Check{Name: "disk use", Status: "warn", Detail: err.Error()}
	}
	c := sandbox.Check{Name: "disk use", Status: "ok", Detail: u.Summary()}
	if u.Total > u.Quota {
		c.Status, c.Hint = "warn", "glue-lsp sessions prune deletes what nobody needs; return or discard the rest, or raise sessions.quota_mb"
	}
	return c
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
