package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// The isolations, as settings and Info.Isolation name them.
const (
	Auto       = "auto"
	Bubblewrap = "bubblewrap"
	Landlock   = "landlock"
	None       = "none"
)

// Options for New. The zero value takes everything from this process.
type Options struct {
	// AgentPath is a program that becomes the agent by agent.Word; default is this
	// program.
	AgentPath string
	// Isolation is auto (the default), bubblewrap, landlock or none. Other than auto, it
	// is held or refused.
	Isolation string
	// Home is GLUE_HOME, which no sandbox may see.
	Home string
	// Environ is where commands' environment is chosen from; default os.Environ().
	Environ []string
	// Bubblewrap is the program bwrap; default is the first on the PATH.
	Bubblewrap string
	// Grace is how long a sandbox outlives a server that was killed; default 5 minutes.
	Grace time.Duration
}

// Runtime is the local [sandbox.Runtime].
type Runtime struct {
	opts          Options
	trial         trial
	landlockTrial landlockTrial
	lends         lending
	tryLandlock   func(ctx context.Context, agentPath string) (abi int, _ *sandbox.Error)
}

var _ sandbox.Runtime = (*Runtime)(nil)

// New makes the runtime; nothing is started or tried yet.
func New(o Options) *Runtime {
	if o.Isolation == "" {
		o.Isolation = Auto
	}
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	return &Runtime{opts: o, tryLandlock: tryLandlock}
}

// Name is "local".
func (r *Runtime) Name() string { return "local" }

// Open starts a sandbox whose tree is Spec.TreeDir/w. Errors are of kind
// RuntimeUnavailable (what was asked for does not work here), Unsupported (it cannot be
// held) or NeedsConfirmation (nothing works here, and nobody agreed to go without), or
// the context's.
func (r *Runtime) Open(ctx context.Context, spec sandbox.Spec) (sandbox.Sandbox, error) {
	return r.open(ctx, spec, false)
}

// open is Open; with onlyLooking nothing is copied, and what would be counts as lent.
func (r *Runtime) open(ctx context.Context, spec sandbox.Spec, onlyLooking bool) (sandbox.Sandbox, error) {
	if err := checkSpec(spec); err != nil {
		return nil, err
	}
	agentPath, err := r.agentPath()
	if err != nil {
		return nil, err
	}
	choice, err := r.choose(ctx)
	if err != nil {
		return nil, err
	}
	if choice.unasked && !spec.Unconfined {
		return nil, choice.question()
	}
	dirs, err := makeDirs(spec.TreeDir)
	if err != nil {
		return nil, err
	}
	p := plan{
		spec: spec, dirs: dirs, agentPath: agentPath, grace: cmp.Or(spec.Grace, r.opts.Grace), environ: r.opts.Environ, glueHome: r.opts.Home,
		isolation: choice.isolation, gaps: choice.gaps, onlyLooking: onlyLooking,
	}
	if err := p.planLoans(ctx, choice.isolation == Bubblewrap); err != nil {
		return nil, err
	}
	switch choice.isolation {
	case Bubblewrap:
		err = p.bubblewrap(choice)
	case Landlock:
		err = p.landlock(choice)
	default:
		err = p.unconfined()
	}
	if err != nil {
		return nil, err
	}
	return p.startLending(ctx, &r.lends)
}

func checkSpec(spec sandbox.Spec) error {
	bad := func(what string) error {
		return &sandbox.Error{Kind: sandbox.InvalidParams, Op: "open", Message: what}
	}
	switch {
	case !filepath.IsAbs(spec.TreeDir):
		return bad("the sandbox's tree folder must be an absolute path")
	case spec.Subdir != "" && !filepath.IsLocal(filepath.FromSlash(spec.Subdir)):
		return bad("the folder to start in leaves the workspace")
	case spec.Network != "" && spec.Network != "on" && spec.Network != "none":
		return bad(fmt.Sprintf("network must be on or none, not %q", spec.Network))
	}
	return nil
}

func (r *Runtime) agentPath() (string, error) {
	p := r.opts.AgentPath
	if p == "" {
		self, err := os.Executable()
		if err != nil {
			return "", &sandbox.Error{Kind: sandbox.RuntimeUnavailable, Op: "open", Message: "this program cannot find itself: " + err.Error(), Err: err}
		}
		p = self
	}
	abs, err := filepath.Abs(p)
	if err == nil {
		_, err = os.Stat(abs)
	}
	if err != nil {
		return "", &sandbox.Error{Kind: sandbox.RuntimeUnavailable, Op: "open", Path: p, Message: "the agent's program is not there", Err: err}
	}
	return abs, nil
}

// dirs are a sandbox's folders on the host. The tree and the socket's folder stay over
// Reopen. The others are new for each start: bubblewrap makes mount points in them by
// their paths and follows links there, before the host's root is out of its reach, and so
// must only ever find folders that no command has written.
type dirs struct {
	tree   string // the workspace
	home   string // HOME, with caches
	tmp    string // /tmp
	varTmp string
	run    string // the agent's socket
	lent   string // what the sandbox writes to folders that it was lent
	log    string // what the agent and its launcher complain about; a file
	init   string // what the launcher tells about the sandbox; a file
}

func (d dirs) socket() string { return filepath.Join(d.run, socketName) }

const (
	socketName = "agent.sock"
	runName    = "run"
	treeName   = "w"
)

func makeDirs(treeDir string) (dirs, error) {
	fail := func(dir string, err error) (dirs, error) {
		return dirs{}, &sandbox.Error{Kind: sandbox.Unavailable, Op: "open", Path: dir, Message: "the sandbox's folder cannot be made: " + err.Error(), Err: err}
	}
	if err := os.MkdirAll(treeDir, 0o700); err != nil {
		return fail(treeDir, err)
	}
	own, err := freshFolder(treeDir)
	if err != nil {
		return fail(own, err)
	}
	d := dirs{
		tree: filepath.Join(treeDir, treeName), home: filepath.Join(own, "home"), tmp: filepath.Join(own, "tmp"),
		varTmp: filepath.Join(own, "vartmp"), run: filepath.Join(treeDir, runName), lent: filepath.Join(own, "lent"), log: filepath.Join(treeDir, "agent.log"),
		init: filepath.Join(treeDir, "init.json"),
	}
	for _, dir := range []string{d.tree, d.home, d.tmp, d.varTmp, d.run} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fail(dir, err)
		}
	}
	return d, nil
}

// freshFolder makes the folder of one start, own.1 for the first.
func freshFolder(treeDir string) (string, error) {
	for n := 1; ; n++ {
		dir := filepath.Join(treeDir, fmt.Sprintf("own.%d", n))
		if err := os.Mkdir(dir, 0o700); !errors.Is(err, fs.ErrExist) {
			return dir, err
		}
	}
}

// plan is how one sandbox will be started.
type plan struct {
	spec      sandbox.Spec
	dirs      dirs
	agentPath string
	grace     time.Duration
	environ   []string
	glueHome  string
	isolation string
	gaps      []string

	onlyLooking bool
	loans       []loan
	attempt     int            // at starting with them
	ownUsers    bool           // overlays are mounted in a user namespace
	refusals    map[int]string // of overlays: why, by loan

	root    string // of the workspace, inside
	argv    []string
	env     []string
	hasInit bool // the launcher tells the pid of the sandbox's init
}

// unconfined plans an agent that is held by nothing.
func (p *plan) unconfined() error {
	if p.spec.Network == "none" {
		return &sandbox.Error{
			Kind: sandbox.Unsupported, Op: "open", Message: "the network cannot be taken away without isolation",
			Hint: "install bubblewrap, or allow the network for this session",
		}
	}
	if err := p.linkCache(); err != nil {
		return err
	}
	if err := linkToolchains(envOf(p.environ, "HOME"), p.dirs.home); err != nil {
		return &sandbox.Error{Kind: sandbox.Unavailable, Op: "open", Path: p.dirs.home, Message: err.Error(), Err: err}
	}
	p.root = p.dirs.tree
	p.argv = append([]string{p.agentPath}, p.agentArgs(p.dirs.socket()).List()...)
	own := append([]string{"HOME=" + p.dirs.home, "TMPDIR=" + p.dirs.tmp}, p.cacheVariables(p.dirs.home)...)
	own = append(own, goVariables(p.environ, p.goModules())...)
	own = append(own, javaVariables(p.environ, p.dirs.home)...)
	p.env = environment(p.environ, p.spec.Env, own...)
	return nil
}

// linkCache leads the caches of a private HOME to the folder that lasts.
func (p *plan) linkCache() error {
	if p.spec.CacheDir == "" {
		return nil
	}
	return linkIn(p.dirs.home, cacheName, p.spec.CacheDir)
}

// cacheName is where tools keep caches in HOME, see the XDG Base Directory
// Specification.
const cacheName = ".cache"

// goModName is where in it go keeps modules.
const goModName = "go-mod"

// cacheVariables lead tools that keep caches elsewhere to the folder that lasts.
func (p *plan) cacheVariables(home string) []string {
	if p.spec.CacheDir == "" {
		return nil
	}
	dir := filepath.Join(home, cacheName)
	return []string{"GOMODCACHE=" + filepath.Join(dir, goModName), "npm_config_cache=" + filepath.Join(dir, "npm")}
}

func (p *plan) agentArgs(socket string) agent.Args {
	return agent.Args{
		Root: p.root, Cwd: filepath.Join(p.root, filepath.FromSlash(p.spec.Subdir)), Socket: socket, Grace: p.grace, Life: p.spec.Timeout,
		Lent: p.lentPaths(),
	}
}

// unavailable says that an isolation does not work here.
func unavailable(what string, err error) *sandbox.Error {
	e := &sandbox.Error{Kind: sandbox.RuntimeUnavailable, Op: "open", Message: what, Err: err}
	if err != nil {
		e.Message += ": " + err.Error()
	}
	var inner *sandbox.Error
	if errors.As(err, &inner) {
		e.Message, e.Hint = what+": "+inner.Message, inner.Hint
	}
	return e
}
