package modal

import (
	"context"
	"errors"

	"glue-lsp/sandbox"
)

// renew ends a sidecar whose token was refused, if it holds no sandbox: it read the
// person's token when it started, and the next try is to use the one that they make now.
func (r *Runtime) renew(p *sidecarProcess, err error) {
	var e *sandbox.Error
	if errors.As(err, &e) && e.Kind == sandbox.NotAuthenticated {
		r.retire(p)
	}
}

// renewChanged ends a sidecar that was started by other settings, if it holds no sandbox.
func (r *Runtime) renewChanged() {
	o := r.options()
	r.mu.Lock()
	p := r.current
	r.mu.Unlock()
	if p != nil && stillTalks(p) && p.asked != wish(o) {
		r.retire(p)
	}
}

// asked is what settings say about the sidecar itself.
type asked struct{ python, cli string }

func wish(o Options) asked { return asked{o.Python, o.CLI} }

// retire ends a sidecar if it holds no sandbox.
func (r *Runtime) retire(p *sidecarProcess) {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	var answer struct {
		Stopping bool `json:"stopping"`
	}
	if p.call(ctx, "shutdown", map[string]any{"ifIdle": true}, &answer) != nil || !answer.Stopping {
		return
	}
	r.mu.Lock()
	if r.current == p {
		r.current = nil
	}
	r.mu.Unlock()
	p.close(ctx)
}
