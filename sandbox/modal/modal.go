package modal

import (
	"cmp"
	"context"
	"os"
	"slices"
	"sync"
	"time"

	"glue-lsp/sandbox"
)

// The transports, as the setting and Info.Transport name them.
const (
	Auto   = "auto"
	Agent  = "agent"
	Direct = "direct"
)

// Options for New. Zero values are Modal's own defaults, but for Timeout.
type Options struct {
	Home   string // GLUE_HOME: the sidecar's program and state
	Python string // an interpreter that can import modal; "" is found
	CLI    string // the modal command, whose interpreter is looked for; "" is modal
	// Avoid are working trees: no interpreter is taken from them, unless Python names it.
	Avoid []string
	// App is the Modal app that sandboxes belong to.
	App         string
	Environment string // Modal's
	Image       string // of a registry; "" is Modal's Debian with git
	// Timeout is the cap on a sandbox's life, 1 s to 24 h; zero is 30 minutes.
	Timeout time.Duration
	// DeleteOnClose: closing ends the sandbox; otherwise only its cap does.
	DeleteOnClose bool
	CPU           float64 // cores
	MemoryMB      int
	GPU, Region   string
	Secrets       []string // names of Modal's
	Volumes       []string // name:/path
	Env           map[string]string
	Network       string // "", on or none
	IdleTimeout   time.Duration
	// Transport is auto (the default), agent or direct.
	Transport string
	// Environ is the sidecar's environment; default os.Environ().
	Environ []string
	// Log takes what the sidecar complains about; nil is nobody.
	Log func(format string, args ...any)
}

// Runtime is Modal's [sandbox.Runtime]. One process holds all its sandboxes; it starts
// with the first need of it.
type Runtime struct {
	follow func() Options

	mu       sync.Mutex
	current  *sidecarProcess
	starting chan struct{} // closed when the start under way is over
	failed   error         // of the start that was
	closed   bool
	roots    []string // working trees that sandboxes were asked for, see Options.Avoid
}

var _ sandbox.Runtime = (*Runtime)(nil)

// New makes the runtime; nothing is started yet.
func New(o Options) *Runtime { return Following(func() Options { return o }) }

// Following is New with options that may change: each sandbox is made by those of its
// day, and the sidecar started by them.
func Following(current func() Options) *Runtime { return &Runtime{follow: current} }

// options are those in force.
func (r *Runtime) options() Options {
	o := r.follow()
	o.Transport = cmp.Or(o.Transport, Auto)
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.App = cmp.Or(o.App, defaultApp)
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	return o
}

const (
	defaultApp     = "glue"
	defaultTimeout = 30 * time.Minute
	minTimeout     = time.Second
	maxTimeout     = 24 * time.Hour
)

// Name is "modal".
func (r *Runtime) Name() string { return "modal" }

// sidecar gives the process, and starts one where there is none or it has ended.
func (r *Runtime) sidecar(ctx context.Context) (*sidecarProcess, error) {
	// One that ends as soon as it has started is not started for ever.
	for range startAttempts {
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			return nil, &sandbox.Error{Kind: sandbox.ExecutorDead, Op: "start the sidecar", Message: "this server is ending"}
		}
		if p := r.current; p != nil {
			select {
			case <-p.done():
				r.current = nil
			default:
				r.mu.Unlock()
				return p, nil
			}
		}
		mine := r.starting == nil
		if mine {
			r.starting = make(chan struct{})
			go r.start(r.starting)
		}
		started := r.starting
		r.mu.Unlock()
		select {
		case <-started:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		r.mu.Lock()
		err := r.failed
		r.mu.Unlock()
		if err != nil {
			return nil, err
		}
	}
	return nil, &sandbox.Error{
		Kind: sandbox.RuntimeUnavailable, Op: "start the sidecar", Message: "it ends again as soon as it has started",
		Hint: "run: glue-lsp doctor --runtime modal",
	}
}

// avoid keeps the sidecar's interpreter from being looked for in a working tree.
func (r *Runtime) avoid(root string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if root != "" && !slices.Contains(r.roots, root) {
		r.roots = append(r.roots, root)
	}
}

// startAttempts bounds how often one need of the sidecar starts it.
const startAttempts = 3

// start is for all that wait for it, and so outlives any of them.
func (r *Runtime) start(over chan struct{}) {
	ctx := context.Background()
	o := r.options()
	r.mu.Lock()
	o.Avoid = slices.Concat(o.Avoid, r.roots)
	r.mu.Unlock()
	python, err := findInterpreter(ctx, o)
	var p *sidecarProcess
	if err == nil {
		p, err = startSidecar(ctx, o.Home, python, o.Environ, o.Log)
	}
	if p != nil {
		p.asked = wish(o)
	}
	r.mu.Lock()
	r.current, r.failed, r.starting = p, err, nil
	late := r.closed
	r.mu.Unlock()
	if late && p != nil {
		ended, cancel := context.WithTimeout(ctx, shutdownGrace)
		p.close(ended)
		cancel()
	}
	close(over)
}

// Warm starts the sidecar, which takes most of a second, before it is needed. What goes
// wrong with it the first need of it says.
func (r *Runtime) Warm() {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		_, _ = r.sidecar(ctx)
	}()
}

// Close ends the sidecar. Sandboxes that it still holds it captures and ends, for which
// ctx gives the time.
func (r *Runtime) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	p, starting := r.current, r.starting
	r.mu.Unlock()
	if starting != nil {
		<-starting
	}
	if p != nil {
		p.close(ctx)
	}
	return nil
}
