package local

import (
	"context"
	"fmt"
	"sync"
	"time"

	"glue-lsp/sandbox"
)

// choice is the isolation that a session gets, and why.
type choice struct {
	isolation string
	why       string
	gaps      []string
	bwrap     bwrap
}

// bwrap is a bubblewrap that was seen working.
type bwrap struct {
	path    string
	version string
	// userNS: it makes a user namespace. A container's root may not be allowed to, and
	// then does without.
	userNS bool
}

// trialTimeout bounds the trying of bubblewrap.
const trialTimeout = 5 * time.Second

// trial remembers what came of trying bubblewrap.
type trial struct {
	mu    sync.Mutex
	done  bool
	found bwrap
	err   *sandbox.Error
}

// bubblewrap tries bubblewrap, the first time that it is asked.
func (r *Runtime) bubblewrap(ctx context.Context) (bwrap, *sandbox.Error) {
	r.trial.mu.Lock()
	defer r.trial.mu.Unlock()
	if !r.trial.done {
		found, err := tryBubblewrap(ctx, r.opts)
		if ctx.Err() != nil {
			return bwrap{}, &sandbox.Error{Kind: sandbox.Timeout, Op: "open", Message: "trying bubblewrap was interrupted", Err: ctx.Err()}
		}
		r.trial.found, r.trial.err, r.trial.done = found, err, true
	}
	return r.trial.found, r.trial.err
}

// choose takes the strongest isolation that works, or the one that was asked for.
func (r *Runtime) choose(ctx context.Context) (choice, error) {
	switch r.opts.Isolation {
	case None:
		return choice{isolation: None, why: "the setting asks for it", gaps: noneGaps()}, nil
	case Auto, Bubblewrap:
	case Landlock:
		return choice{}, &sandbox.Error{
			Kind: sandbox.RuntimeUnavailable, Op: "open", Message: "this build has no landlock isolation",
			Hint: "set local.isolation to auto or bubblewrap",
		}
	default:
		return choice{}, &sandbox.Error{
			Kind: sandbox.InvalidParams, Op: "open", Message: fmt.Sprintf("there is no isolation %q", r.opts.Isolation),
			Hint: "it is one of auto, bubblewrap, landlock, none",
		}
	}
	found, err := r.bubblewrap(ctx)
	if ctx.Err() != nil {
		return choice{}, ctx.Err()
	}
	if err == nil {
		return choice{isolation: Bubblewrap, why: "it works here", gaps: bubblewrapGaps(), bwrap: found}, nil
	}
	if r.opts.Isolation == Bubblewrap {
		return choice{}, err
	}
	why := err.Message
	if err.Hint != "" {
		why += " (" + err.Hint + ")"
	}
	return choice{isolation: None, why: why, gaps: append([]string{"not confined because " + why}, noneGaps()...)}, nil
}

func bubblewrapGaps() []string {
	return []string{
		"with the network on, commands reach it as you do, services on this machine's own addresses and abstract sockets included",
		"programs and settings of the machine (such as /usr, /etc and /opt) can be read",
		"memory, processor time and disk space are not limited",
	}
}

func noneGaps() []string {
	return []string{
		"files: commands can read and write everything that you can",
		"network: commands reach it as you do, services on this machine included",
		"processes: commands can see and signal your other processes",
		"memory, processor time and disk space are not limited",
	}
}
