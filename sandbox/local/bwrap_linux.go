package local

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"glue-lsp/sandbox"
)

const installHint = "install bubblewrap, for example with: apt install bubblewrap"

// namespaces are bubblewrap's options that separate a sandbox, see bwrap(1). There is
// no --die-with-parent: a sandbox outlives a killed server by a grace, so that the
// next one can take its changes.
func namespaces(b bwrap) []string {
	args := []string{"--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--new-session", "--cap-drop", "ALL"}
	if b.userNS {
		args = append([]string{"--unshare-user"}, args...)
	}
	return args
}

// tryBubblewrap runs a program in bubblewrap, to see whether the kernel lets it.
func tryBubblewrap(ctx context.Context, o Options) (bwrap, *sandbox.Error) {
	path := o.Bubblewrap
	if path == "" {
		var err error
		if path, err = findOnPath("bwrap", envOf(o.Environ, "PATH")); err != nil {
			return bwrap{}, &sandbox.Error{Kind: sandbox.RuntimeUnavailable, Op: "open", Message: "bubblewrap is not installed", Hint: installHint}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, trialTimeout)
	defer cancel()
	b := bwrap{path: path, version: bubblewrapVersion(ctx, path), userNS: true}
	said, err := b.try(ctx)
	if err != nil && os.Geteuid() == 0 {
		without := b
		without.userNS = false
		if _, werr := without.try(ctx); werr == nil {
			return without, nil
		}
	}
	if err == nil {
		return b, nil
	}
	if said == "" {
		said = err.Error()
	}
	return bwrap{}, &sandbox.Error{
		Kind: sandbox.RuntimeUnavailable, Op: "open", Message: "bubblewrap does not work here: " + said,
		Hint: kernelHint(), Err: err,
	}
}

func bubblewrapVersion(ctx context.Context, path string) string {
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.TrimPrefix(string(out), "bubblewrap"))
}

func (b bwrap) try(ctx context.Context) (said string, err error) {
	args := append(namespaces(b), "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--", "/bin/sh", "-c", "exit 0")
	cmd := exec.CommandContext(ctx, b.path, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	err = cmd.Run()
	said = strings.TrimSpace(errs.String())
	return strings.TrimPrefix(said, "bwrap: "), err
}

// kernelHint looks for the reasons for which kernels refuse user namespaces.
func kernelHint() string {
	is := func(file, value string) bool {
		b, err := os.ReadFile(file)
		return err == nil && strings.TrimSpace(string(b)) == value
	}
	switch {
	case is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"):
		return "AppArmor restricts user namespaces on this system: add a profile for bwrap that allows userns, or set kernel.apparmor_restrict_unprivileged_userns=0"
	case is("/proc/sys/kernel/unprivileged_userns_clone", "0"):
		return "the kernel refuses user namespaces: set kernel.unprivileged_userns_clone=1"
	case is("/proc/sys/user/max_user_namespaces", "0"):
		return "the kernel allows no user namespaces: raise user.max_user_namespaces"
	}
	return "if this is a container, it may forbid namespaces; use the modal runtime, or local.isolation: none where you trust what runs"
}

// bubblewrap plans a confined agent.
func (p *plan) bubblewrap(c choice) error {
	p.root = workspaceRoot
	home := insideHome(p.environ)
	v := machineView(p.environ, realHome(p.environ), p.hidden())
	leads := p.leadsToHostRoot(home)
	if leads {
		v.withoutBelow(p.spec.HostRoot)
	}
	// Commands of earlier sessions wrote there: what PATH or a certificate's variable
	// names of it is not shown, see dirs.
	v.withoutBelow(filepath.Join(home, cacheName))
	if real := realHome(p.environ); real != home {
		// Tools that look in HOME find what is shown in the real one's place.
		if err := linkToolchains(real, p.dirs.home); err != nil {
			return &sandbox.Error{Kind: sandbox.Unavailable, Op: "open", Path: p.dirs.home, Message: err.Error(), Err: err}
		}
	}
	args := append([]string{c.bwrap.path}, namespaces(c.bwrap)...)
	if p.spec.Network == "none" {
		args = append(args, "--unshare-net")
	}
	for _, dir := range v.folders {
		args = append(args, "--dir", dir)
	}
	args = append(
		args, "--dev", "/dev", "--proc", "/proc",
		// bubblewrap leaves these alone where it finds the folder unwritable. Their files
		// are root's all the same: run by root, a command could set the host's core_pattern.
		"--ro-bind", "/proc/sys", "/proc/sys", "--ro-bind-try", "/proc/sysrq-trigger", "/proc/sysrq-trigger",
		"--bind", p.dirs.tmp, "/tmp", "--bind", p.dirs.varTmp, "/var/tmp", "--symlink", "../run", "/var/run",
		"--bind", p.dirs.home, home,
	)
	if p.spec.CacheDir != "" {
		args = append(args, "--bind", p.spec.CacheDir, filepath.Join(home, cacheName))
	}
	for _, b := range v.binds {
		if b.from == "" {
			args = append(args, "--tmpfs", b.at)
			continue
		}
		args = append(args, "--ro-bind", b.from, b.at)
	}
	for _, l := range v.links {
		args = append(args, "--symlink", l.from, l.at)
	}
	for _, dir := range v.maskDir {
		args = append(args, "--tmpfs", dir, "--remount-ro", dir)
	}
	for _, file := range v.maskFile {
		args = append(args, "--ro-bind", os.DevNull, file)
	}
	if leads {
		more, err := p.hostRootArgs(&v, home)
		if err != nil {
			return err
		}
		args = append(args, more...)
	}
	mods := ""
	if dir := p.goModules(); dir != "" {
		mods = insideMods
		args = append(args, "--ro-bind", dir, mods)
	}
	args = append(
		args,
		"--ro-bind", p.agentPath, insideAgent, "--bind", p.dirs.run, insideRun,
		"--bind", p.dirs.tree, workspaceRoot,
		"--remount-ro", "/", "--chdir", workspaceRoot,
		// The agent is the init: bubblewrap's own, which holds the agent's stream too, could
		// be traced by commands, and killed.
		"--as-pid-1", "--info-fd", "3", "--", insideAgent,
	)
	p.argv = slices.Concat(args, p.agentArgs(filepath.Join(insideRun, socketName)).List())
	p.env = environment(p.environ, p.spec.Env, slices.Concat([]string{"HOME=" + home}, p.cacheVariables(home), goVariables(p.environ, mods), javaVariables(p.environ, home))...)
	p.hasInit = true
	return nil
}

// hidden are folders of this product that no sandbox may see.
func (p *plan) hidden() []string {
	var out []string
	for _, dir := range []string{p.glueHome, p.spec.Dir, p.spec.TreeDir} {
		if dir == "" {
			continue
		}
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			out = append(out, real)
		}
	}
	return out
}

// otherHome is where HOME is when its own place is taken.
const otherHome = "/home/glue"

// insideHome is where a sandbox has its private HOME: where the user has the real
// one, since tools remember absolute paths.
func insideHome(environ []string) string {
	home := realHome(environ)
	if home == "" {
		return otherHome
	}
	for _, root := range append([]string{workspaceRoot, "/dev", "/proc", "/run/glue"}, shownRoots...) {
		if within(root, home) || within(home, root) {
			return otherHome
		}
	}
	for _, root := range []string{"/tmp", "/var/tmp"} {
		if within(home, root) {
			return otherHome
		}
	}
	return home
}
