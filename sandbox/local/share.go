package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// Folders of the machine are lent to a sandbox: dependencies of the workspace, and
// download caches of HOME. An overlay costs nothing and keeps what is written apart; it
// needs mounts, and so bubblewrap. Elsewhere a folder is copied, by reference where the
// file system can. It is never made of hard links: a write would reach the host's file.

// loan is one folder that is lent.
type loan struct {
	root, path string // on the host
	at         string // the host's name of the folder that the sandbox sees
	ofHome     bool   // a cache of HOME, which is only ever lent by an overlay
	how        string // as in sandbox.Lent
	problem    string
}

// maxLoans bounds the folders of one workspace: each is a mount.
const maxLoans = 500

// lending is what a runtime knows about overlays on this machine.
type lending struct {
	mu  sync.Mutex
	off string // why there are none, once that is known
}

func (l *lending) refused() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.off
}

func (l *lending) refuse(why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.off = why
}

// planLoans asks what is to be lent, and decides how.
func (p *plan) planLoans(ctx context.Context, overlays bool) error {
	if !isEmpty(p.dirs.tree) || !isEmpty(p.dirs.home) {
		return nil // commands were here: their links could lead what is made here elsewhere
	}
	if p.spec.Lend != nil && p.spec.HostRoot != "" {
		paths, err := p.spec.Lend(ctx)
		if err != nil {
			return err
		}
		for i, path := range paths {
			l := loan{root: p.spec.HostRoot, path: path, at: filepath.Join(p.dirs.tree, filepath.FromSlash(path))}
			switch {
			case !filepath.IsLocal(filepath.FromSlash(path)) || path == ".":
				l.problem = "it is not in the workspace"
			case i >= maxLoans:
				l.problem = fmt.Sprintf("it is one of more than %d such folders", maxLoans)
			}
			p.loans = append(p.loans, l)
		}
	}
	if !overlays {
		return nil
	}
	if home := realHome(p.environ); home != "" && p.spec.LendCaches {
		for _, name := range homeCaches {
			if name == cargoGit && namesToken(filepath.Join(home, name)) {
				continue
			}
			p.loans = append(p.loans, loan{root: home, path: name, at: filepath.Join(p.dirs.home, name), ofHome: true})
		}
	}
	for i := range p.loans {
		if l := &p.loans[i]; l.problem == "" && ownFolder(l.root, l.path) {
			if err := p.makeOverlay(i); err != nil {
				return &sandbox.Error{Kind: sandbox.Unavailable, Op: "open", Path: l.at, Message: "the sandbox's folder cannot be made: " + err.Error(), Err: err}
			}
			l.how = sandbox.LentOverlay
		}
	}
	return nil
}

func isEmpty(dir string) bool {
	list, err := os.ReadDir(dir)
	return err == nil && len(list) == 0
}

// makeOverlay makes the folders of the i-th loan's overlay.
func (p *plan) makeOverlay(i int) error {
	o := p.overlay(i)
	for _, dir := range []string{o.At, o.Upper, o.Work} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	// The topmost folder takes its mode from here; those below take the host's.
	if info, err := os.Lstat(filepath.Join(o.Root, o.Path)); err == nil {
		return os.Chmod(o.Upper, info.Mode().Perm()|0o700)
	}
	return nil
}

func (p *plan) overlay(i int) agent.Overlay {
	l, dir := p.loans[i], filepath.Join(p.dirs.lent, fmt.Sprintf("%d.%d", i, p.attempt))
	return agent.Overlay{Root: l.root, Path: l.path, At: l.at, Upper: filepath.Join(dir, "upper"), Work: filepath.Join(dir, "work")}
}

// lentPaths are the folders of the root that are no part of its tree.
func (p *plan) lentPaths() []string {
	var out []string
	for _, l := range p.loans {
		if !l.ofHome && l.problem == "" {
			out = append(out, l.path)
		}
	}
	return out
}

// byOverlay are the indices of the loans that are to be mounted.
func (p *plan) byOverlay() []int {
	var out []int
	for i, l := range p.loans {
		if l.how == sandbox.LentOverlay {
			out = append(out, i)
		}
	}
	return out
}

// startLending starts the sandbox with its loans. What cannot be mounted is copied.
func (p *plan) startLending(ctx context.Context, known *lending) (sandbox.Sandbox, error) {
	if why := known.refused(); why != "" {
		p.noOverlays(p.byOverlay(), why)
	}
	var box sandbox.Sandbox
	for {
		tried := p.byOverlay()
		var err error
		if box, err = p.start(ctx); err == nil {
			break
		}
		if ctx.Err() != nil || len(tried) == 0 {
			return nil, err
		}
		p.stageFailed(tried, err, known)
		// The kernel takes no folders again that an overlay had.
		p.attempt++
		for _, i := range p.byOverlay() {
			if err := p.makeOverlay(i); err != nil {
				p.noOverlays([]int{i}, err.Error())
			}
		}
	}
	if err := p.settleLoans(ctx); err != nil {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
		defer cancel()
		return nil, errors.Join(err, box.Close(end))
	}
	if r, ok := box.(*running); ok {
		r.info.Lent = p.told()
	}
	return box, nil
}

// stageFailed decides what is tried next when a start with overlays failed.
func (p *plan) stageFailed(tried []int, err error, known *lending) {
	failed := p.refusals
	p.refusals = nil
	switch {
	case len(failed) == 0 && !p.ownUsers && p.mayOwnUsers():
		p.ownUsers = true // root without the right to mount may have it over itself
	case len(failed) == 0 || len(failed) == len(tried) && !anyFolderTrouble(failed):
		why := err.Error()
		for _, w := range failed {
			why = w
			break
		}
		if len(failed) == 0 || len(tried) > 1 {
			known.refuse(why)
		}
		p.noOverlays(tried, why)
	default:
		for i, why := range failed {
			p.noOverlays([]int{i}, why)
		}
	}
}

// anyFolderTrouble reports whether a refusal came from a folder, which may have changed
// since it was looked at, and so says nothing of the kernel.
func anyFolderTrouble(refusals map[int]string) bool {
	for _, why := range refusals {
		if strings.HasPrefix(why, agent.FolderTrouble) {
			return true
		}
	}
	return false
}

func (p *plan) noOverlays(loans []int, why string) {
	if p.spec.Log != nil && len(loans) > 0 {
		p.spec.Log("folders are not lent by overlays: %s", why)
	}
	for _, i := range loans {
		p.loans[i].how = ""
	}
}

// settleLoans copies what was not mounted, and leads caches of HOME that were not to the
// folder that lasts.
func (p *plan) settleLoans(ctx context.Context) error {
	room := int64(copyMaxBytes)
	for i := range p.loans {
		l := &p.loans[i]
		if l.how != "" || l.problem != "" || l.ofHome {
			continue
		}
		if p.onlyLooking {
			l.how = sandbox.LentCopy
			continue
		}
		c := copier{from: p.spec.HostRoot, room: &room, progress: p.spec.Progress}
		if p.isolation != Bubblewrap {
			c.to = p.root // else the host's paths lead to the workspace
		}
		var err error
		if l.how, err = c.copy(ctx, *l); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			l.how, l.problem = "", err.Error()
		}
	}
	if !p.onlyLooking {
		if err := p.linkPrivateModules(); err != nil {
			return err
		}
	}
	return p.keepCaches()
}

// keepCaches leads the caches of HOME that are not lent to the folder that lasts.
func (p *plan) keepCaches() error {
	if p.spec.CacheDir == "" {
		return nil
	}
	fail := func(at string, err error) error {
		return &sandbox.Error{Kind: sandbox.Unavailable, Op: "open", Path: at, Message: err.Error(), Err: err}
	}
	home, err := openPrivate(p.dirs.home)
	if err != nil {
		return fail(p.dirs.home, err)
	}
	defer home.Close()
	caches, err := openPrivate(p.spec.CacheDir)
	if err != nil {
		return fail(p.spec.CacheDir, err)
	}
	defer caches.Close()
	for _, name := range homeCaches {
		if slices.ContainsFunc(p.loans, func(l loan) bool { return l.ofHome && l.path == name && l.how != "" }) {
			continue
		}
		flat := strings.ReplaceAll(strings.TrimPrefix(name, "."), "/", "-")
		if err := caches.folder(flat); err != nil {
			return fail(filepath.Join(p.spec.CacheDir, flat), err)
		}
		_ = home.Remove(name) // an overlay's, which was not mounted
		up := strings.Repeat("../", strings.Count(name, "/"))
		if err := home.link(name, up+cacheName+"/"+flat); err != nil {
			return fail(filepath.Join(p.dirs.home, name), err)
		}
	}
	return nil
}

// told is what became of the workspace's loans.
func (p *plan) told() []sandbox.Lent {
	var out []sandbox.Lent
	for _, l := range p.loans {
		if !l.ofHome {
			out = append(out, sandbox.Lent{Path: l.path, How: l.how, Problem: l.problem})
		}
	}
	return out
}
