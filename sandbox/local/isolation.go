package local

import (
	"context"
	"fmt"
	"strings"
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
	abi       int // of landlock
	// unasked: nobody chose to go without isolation, it is just all that is left.
	unasked bool
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

// landlockTrial remembers what came of trying landlock.
type landlockTrial struct {
	mu   sync.Mutex
	done bool
	abi  int
	err  *sandbox.Error
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

// landlocked tries landlock, the first time that it is asked.
func (r *Runtime) landlocked(ctx context.Context) (abi int, _ *sandbox.Error) {
	r.landlockTrial.mu.Lock()
	defer r.landlockTrial.mu.Unlock()
	t := &r.landlockTrial
	if !t.done {
		path, err := r.agentPath()
		if err != nil {
			return 0, unavailable("landlock cannot be tried", err)
		}
		abi, failed := r.tryLandlock(ctx, path)
		if ctx.Err() != nil {
			return 0, &sandbox.Error{Kind: sandbox.Timeout, Op: "open", Message: "trying landlock was interrupted", Err: ctx.Err()}
		}
		t.abi, t.err, t.done = abi, failed, true
	}
	return t.abi, t.err
}

// choose takes the strongest isolation that works, or the one that was asked for.
func (r *Runtime) choose(ctx context.Context) (choice, error) {
	asked := r.opts.Isolation
	switch asked {
	case None:
		return choice{isolation: None, why: "the setting asks for it", gaps: noneGaps()}, nil
	case Auto, Bubblewrap, Landlock:
	default:
		return choice{}, &sandbox.Error{
			Kind: sandbox.InvalidParams, Op: "open", Message: fmt.Sprintf("there is no isolation %q", asked),
			Hint: "it is one of auto, bubblewrap, landlock, none",
		}
	}
	var reasons []string
	if asked != Landlock {
		found, err := r.bubblewrap(ctx)
		switch {
		case ctx.Err() != nil:
			return choice{}, ctx.Err()
		case err == nil:
			return choice{isolation: Bubblewrap, why: "it works here", gaps: bubblewrapGaps(), bwrap: found}, nil
		case asked == Bubblewrap:
			return choice{}, err
		}
		reasons = append(reasons, reason(err))
	}
	abi, err := r.landlocked(ctx)
	switch {
	case ctx.Err() != nil:
		return choice{}, ctx.Err()
	case err == nil && asked == Landlock:
		return choice{isolation: Landlock, why: "the setting asks for it", gaps: landlockGaps(abi, "on"), abi: abi}, nil
	case err == nil:
		return choice{isolation: Landlock, why: reasons[0], gaps: landlockGaps(abi, "on"), abi: abi}, nil
	case asked == Landlock:
		return choice{}, err
	}
	why := strings.Join(append(reasons, reason(err)), "; ")
	return choice{isolation: None, why: why, gaps: append([]string{"not confined because " + why}, noneGaps()...), unasked: true}, nil
}

// question is the error of a sandbox that would confine nothing, before a person has
// agreed to that.
func (c choice) question() *sandbox.Error {
	return &sandbox.Error{
		Kind: sandbox.NeedsConfirmation, Op: "open", Message: "commands would run without a sandbox around them, with all your rights: " + c.why,
		Hint: "say yes for once or for this folder where you trust what runs, or set local.isolation: none in config.yaml for all",
	}
}

// reason is why an isolation does not work, and what would help.
func reason(err *sandbox.Error) string {
	if err.Hint == "" {
		return err.Message
	}
	return err.Message + " (" + err.Hint + ")"
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
