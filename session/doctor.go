package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"glue-lsp/internal/git"
	"glue-lsp/sandbox"
	"glue-lsp/workspace"
)

// Doctor checks what sessions need: git, the state folder and the runtime's own needs. With
// o.Folder it looks at what a session on that folder, opened with o, would have. With all,
// the other runtimes are looked at too: what they lack is then no more than a warning.
func (m *Manager) Doctor(ctx context.Context, o OpenOptions, all bool) ([]sandbox.Check, error) {
	if m.o.Runtimes[o.Runtime] == nil {
		return nil, &Error{Kind: "runtimeUnavailable", Op: "doctor", Message: fmt.Sprintf("there is no runtime %q here", o.Runtime)}
	}
	spec := sandbox.Spec{Network: o.Network, Log: m.o.Log}
	lines := []func() []sandbox.Check{
		func() []sandbox.Check { return []sandbox.Check{m.checkGit(), m.checkHome()} },
		func() []sandbox.Check { return []sandbox.Check{m.checkUse(ctx)} },
	}
	c, src, ok := m.checkFolder(ctx, o, &spec)
	if ok {
		lines = append(lines, func() []sandbox.Check { return []sandbox.Check{c} })
	}
	names := m.runtimes()
	slices.Sort(names)
	for _, name := range names {
		if name != o.Runtime && !all {
			continue
		}
		lines = append(lines, func() []sandbox.Check {
			checks := m.o.Runtimes[name].Checks(ctx, spec)
			if d, ok := m.o.Runtimes[name].(sandbox.Distant); ok {
				checks = append(checks, checkUpload(name, d, o, src))
			}
			for i := range checks {
				if name != o.Runtime && checks[i].Status == "fail" {
					checks[i].Status = "warn"
				}
			}
			return checks
		})
	}
	// Side by side: each may wait for something, and the person waits for all.
	said := make([][]sandbox.Check, len(lines))
	var asked sync.WaitGroup
	for i, line := range lines {
		asked.Go(func() { said[i] = line() })
	}
	asked.Wait()
	return slices.Concat(said...), nil
}

// checkFolder looks at the working tree, and says in spec what a sandbox would get of it.
// The source is its repository, if it is in one.
func (m *Manager) checkFolder(ctx context.Context, o OpenOptions, spec *sandbox.Spec) (sandbox.Check, *git.Source, bool) {
	if o.Folder == "" {
		return sandbox.Check{}, nil, false
	}
	c := sandbox.Check{Name: "folder", Status: "ok", Detail: o.Folder}
	g, err := m.git()
	if err != nil {
		return c, nil, false // told by checkGit
	}
	ws, err := workspace.Open(ctx, g, o.Folder, m.workspaceOptions(o, o.Folder))
	if err != nil {
		c.Status, c.Detail = "fail", err.Error()
		var e *workspace.Error
		if errors.As(err, &e) {
			c.Hint = e.Hint
		}
		return c, nil, true
	}
	spec.HostRoot, spec.Subdir, spec.LendCaches = ws.Root(), ws.Subdir(), len(o.Share) > 0
	spec.Lend = func(ctx context.Context) ([]string, error) { return lendable(ctx, ws, o.Share) }
	spec.Unconfined = m.unconfinedAllowed(o.Folder)
	if len(o.Setup) > 0 {
		c.Detail += fmt.Sprintf("; %d setup %s run before the first one", len(o.Setup), plural(len(o.Setup), "command", "commands"))
	}
	return c, ws.Source(), true
}

func (m *Manager) checkGit() sandbox.Check {
	g, err := m.git()
	if err != nil {
		return sandbox.Check{Name: "git", Status: "fail", Detail: err.Error(), Hint: "install git 2.38 or later, e.g. apt install git"}
	}
	return sandbox.Check{Name: "git", Status: "ok", Detail: g.Version + " at " + g.Path}
}

// checkUpload says how much goes up, and what happens beyond; src is the folder's
// repository or nil.
func checkUpload(runtime string, d sandbox.Distant, o OpenOptions, src *git.Source) sandbox.Check {
	bundle, all := cmp.Or(o.BundleMaxBytes, d.BundleMax()), cmp.Or(o.UploadMaxBytes, defaultUploadMax)
	c := sandbox.Check{
		Name: runtime + " upload cap", Status: "ok",
		Detail: fmt.Sprintf("a tree that packs to more than %s (bundle_max_mb) is cloned from its remote where that is possible, with what the remote lacks over it; more than %s (upload_max_mb) is never sent",
			inMiB(min(bundle, all)), inMiB(all)),
	}
	if src == nil || src.Remote == "" {
		return c
	}
	switch url, note := git.PublicURL(src.Remotes[src.Remote]); {
	case url == "":
		c.Detail += fmt.Sprintf("; remote %s cannot serve for that: %s", clipped(src.Remote), note)
	case note != "":
		c.Detail += fmt.Sprintf("; remote %s would be %s: %s", clipped(src.Remote), clipped(url), note)
	}
	return c
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
