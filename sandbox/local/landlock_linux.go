package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// devices are the device nodes that commands may use. A terminal of the person is not
// among them: /dev/tty is always a command's own.
var devices = []pathRule{
	{Path: "/dev/null", Rights: mayUse, File: true},
	{Path: "/dev/zero", Rights: mayUse, File: true},
	{Path: "/dev/full", Rights: mayUse, File: true},
	{Path: "/dev/random", Rights: mayUse, File: true},
	{Path: "/dev/urandom", Rights: mayUse, File: true},
	{Path: "/dev/tty", Rights: mayControl, File: true},
}

// sharedMemory is where POSIX shared memory and semaphores are, see shm_overview(7).
const sharedMemory = "/dev/shm"

// landlockABI asks the kernel for its version of landlock.
func landlockABI() (int, *sandbox.Error) {
	abi, err := ll.LandlockGetABIVersion()
	fail := func(what, hint string) *sandbox.Error {
		return &sandbox.Error{Kind: sandbox.RuntimeUnavailable, Op: "open", Message: what, Hint: hint, Err: err}
	}
	switch {
	case errors.Is(err, syscall.EOPNOTSUPP):
		return 0, fail("landlock is switched off in this kernel", "add landlock to the kernel's parameter lsm=")
	case err != nil:
		return 0, fail("this kernel has no landlock: "+err.Error(), "landlock needs Linux 6.2 or later; some containers hide it")
	case abi < minABI:
		return 0, fail(fmt.Sprintf("this kernel's landlock (version %d) is too old: it cannot keep your files from being emptied", abi), "use Linux 6.2 or later")
	}
	return abi, nil
}

// tryLandlock confines a process that does nothing, to see whether the kernel lets it.
func tryLandlock(ctx context.Context, agentPath string) (abi int, _ *sandbox.Error) {
	abi, failed := landlockABI()
	if failed != nil {
		return 0, failed
	}
	c := &confinement{ABI: abi, Network: "none", Socket: os.DevNull, Argv: []raw{raw(agentPath), agent.Word, trialWord}}
	addSystem(c, machineView(nil, "", nil), nil, nil)
	addFile(c, agentPath)
	arg, err := c.encode()
	if err != nil {
		return 0, unavailable("landlock does not work here", err)
	}
	ctx, cancel := context.WithTimeout(ctx, trialTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, agentPath, agent.Word, trialWord, arg)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	if err == nil && bytes.Contains(out, []byte(trialWorks)) {
		return abi, nil
	}
	said := firstLine(out)
	if said == "" && err != nil {
		said = err.Error()
	}
	return 0, &sandbox.Error{
		Kind: sandbox.RuntimeUnavailable, Op: "open", Message: "landlock does not work here: " + said,
		Hint: "a container may forbid it", Err: err,
	}
}

// landlock plans an agent that landlock and a filter of system calls confine.
func (p *plan) landlock(c choice) error {
	home := realHome(p.environ)
	if err := linkToolchains(home, p.dirs.home); err != nil {
		return &sandbox.Error{Kind: sandbox.Unavailable, Op: "open", Path: p.dirs.home, Message: err.Error(), Err: err}
	}
	if err := p.linkCache(); err != nil {
		return err
	}
	p.root = p.dirs.tree
	network := "on"
	if p.spec.Network == "none" {
		network = "none"
	}
	args := p.agentArgs(p.dirs.socket())
	args.Inherited = true
	conf := &confinement{ABI: c.abi, Network: network, Socket: raw(p.dirs.socket())}
	for _, a := range append([]string{p.agentPath}, args.List()...) {
		conf.Argv = append(conf.Argv, raw(a))
	}
	v := machineView(p.environ, home, p.hidden())
	var secrets []string
	for _, name := range secretsOfHome {
		if home != "" {
			secrets = append(secrets, filepath.Join(home, name))
		}
	}
	addSystem(conf, v, p.hidden(), secrets)
	addFile(conf, p.agentPath)
	mods := p.goModules()
	if real, err := filepath.EvalSymlinks(mods); mods != "" && err == nil {
		conf.allow(pathRule{Path: raw(real), Rights: mayRead})
	}
	for _, dir := range []string{p.dirs.tree, p.dirs.home, p.dirs.tmp, p.dirs.varTmp, p.spec.CacheDir} {
		if dir != "" {
			conf.allow(pathRule{Path: raw(dir), Rights: mayWrite})
		}
	}
	arg, err := conf.encode()
	if err != nil {
		return unavailable("the sandbox cannot be planned", err)
	}
	p.gaps = landlockGaps(c.abi, network)
	p.argv = []string{p.agentPath, agent.Word, holdWord, arg}
	own := slices.Concat(
		[]string{"HOME=" + p.dirs.home, "TMPDIR=" + p.dirs.tmp}, p.cacheVariables(p.dirs.home), goVariables(p.environ, mods),
		javaVariables(p.environ, p.dirs.home),
	)
	p.env = environment(p.environ, p.spec.Env, own...)
	p.hasInit = true
	return nil
}

// addSystem allows what of the machine is shown. Landlock allows whole folders and
// cannot take back: where something below one is hidden, its other entries are named.
// Nothing of never may be seen, and of secrets only what the view names in them.
func addSystem(c *confinement, v view, never, secrets []string) {
	masked := realPaths(slices.Concat(v.maskDir, v.maskFile))
	never, secrets = realPaths(never), realPaths(secrets)
	for _, b := range v.binds {
		if b.from == "" {
			secrets = append(secrets, b.at)
		}
	}
	for _, b := range v.binds {
		real, err := filepath.EvalSymlinks(b.from)
		if b.from == "" || err != nil {
			continue
		}
		named := func(secret string) bool { return secret != real && within(secret, real) }
		addBelow(c, real, masked, slices.Concat(never, slices.DeleteFunc(slices.Clone(secrets), named)))
	}
	c.allow(pathRule{Path: "/proc", Rights: mayRead})
	for _, d := range devices {
		if _, err := os.Stat(string(d.Path)); err == nil {
			c.allow(d)
		}
	}
	// What must not be seen can lie in there as in any other folder.
	if info, err := os.Stat(sharedMemory); err == nil && info.IsDir() && !anyWithin(sharedMemory, slices.Concat(never, secrets)) {
		c.allow(pathRule{Path: sharedMemory, Rights: mayShare})
	}
}

// addBelow allows reading p, but for what is masked in it, whose name may be seen, and
// what is private, of which nothing may be.
func addBelow(c *confinement, p string, masked, private []string) {
	for _, h := range slices.Concat(masked, private) {
		if within(h, p) {
			return
		}
	}
	inside := anyWithin(p, private)
	if !inside && !anyWithin(p, masked) {
		addPath(c, p)
		return
	}
	list, err := os.ReadDir(p)
	if err != nil {
		return
	}
	if !inside {
		c.allow(pathRule{Path: raw(p), Rights: mayList})
	}
	for _, d := range list {
		// What a link leads to is allowed by itself, or not at all.
		if d.Type()&os.ModeSymlink == 0 {
			addBelow(c, filepath.Join(p, d.Name()), masked, private)
		}
	}
}

func addPath(c *confinement, p string) {
	info, err := os.Lstat(p)
	if err != nil || info.Mode()&(os.ModeSymlink|os.ModeSocket) != 0 {
		return
	}
	c.allow(pathRule{Path: raw(p), Rights: mayRead, File: !info.IsDir()})
}

// addFile allows a program that may lie anywhere.
func addFile(c *confinement, p string) {
	if real, err := filepath.EvalSymlinks(p); err == nil {
		c.allow(pathRule{Path: raw(real), Rights: mayRead, File: true})
	}
}

func anyWithin(dir string, paths []string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return within(dir, p) })
}

// realPaths follows links; what is not there stays as it is named, since it may come to
// be.
func realPaths(paths []string) []string {
	out := make([]string, 0, len(paths))
	for _, p := range paths {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			p = real
		}
		out = append(out, strings.TrimSuffix(p, "/"))
	}
	return out
}
