package local

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"time"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// state is enough to find a sandbox again after its owner died, and to be sure that
// it is the same one: a process id alone may by then be another program's.
type state struct {
	Version   int        `json:"version"`
	ID        string     `json:"id"`
	Isolation string     `json:"isolation"`
	Gaps      []string   `json:"gaps,omitempty"`
	ExpiresAt time.Time  `json:"expires_at,omitzero"`
	Socket    string     `json:"socket"`
	Instance  string     `json:"instance"`  // of the agent
	Processes []identity `json:"processes"` // the first one takes the others along

	log func(format string, args ...any)
}

// identity is one process of one boot of one machine.
type identity struct {
	Pid   int    `json:"pid"`
	Start string `json:"start"` // as the system counts it
	Boot  string `json:"boot"`
}

func newState(p *plan, proc *launched, instance string) state {
	s := state{Version: 1, Isolation: p.isolation, Gaps: p.gaps, Socket: p.dirs.socket(), Instance: instance, log: p.spec.Log}
	for _, pid := range []int{proc.init, proc.cmd.Process.Pid} {
		if pid > 0 {
			if id, ok := identify(pid); ok {
				s.Processes = append(s.Processes, id)
			}
		}
	}
	return s
}

// alive reports whether the very process is there.
func (i identity) alive() bool {
	now, ok := identify(i.Pid)
	return ok && now == i
}

// reapGrace bounds what a leftover agent may take to end by itself.
const reapGrace = 10 * time.Second

// Reap ends a sandbox whose owner died. One that has ended is no error.
func (r *Runtime) Reap(ctx context.Context, spec sandbox.Spec, raw []byte) error {
	var s state
	if len(raw) == 0 {
		// It may have been on its way, and its launcher have died half way. An agent that
		// nobody ever greeted ends by itself.
		s.Socket = (dirs{run: filepath.Join(spec.TreeDir, runName)}).socket()
		s.ask(ctx)
		s.Processes = launchersOf(spec.TreeDir)
		return errors.Join(s.end(ctx), s.unheard(ctx))
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return &sandbox.Error{Kind: sandbox.InvalidParams, Op: "reap", Message: "the sandbox's record does not decode: " + err.Error(), Err: err}
	}
	if s.anyAlive() {
		s.ask(ctx)
	}
	return s.end(ctx)
}

// unheard waits until nobody listens on the socket any more.
func (s state) unheard(ctx context.Context) error {
	for {
		conn, err := agent.DialSocket(s.Socket)
		if err != nil {
			return nil //nolint:nilerr // which is what was waited for
		}
		conn.Close()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// endLeftovers ends what a sandbox without namespaces left when its agent died.
func (s state) endLeftovers() {
	if s.Isolation != Bubblewrap {
		agent.EndLeftovers(s.Instance)
	}
}

func (s state) anyAlive() bool {
	for _, id := range s.Processes {
		if id.alive() {
			return true
		}
	}
	return false
}

// ask lets the agent end what it started, which for an agent without a namespace is
// the only way to find all of it.
func (s state) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reapGrace)
	defer cancel()
	conn, err := agent.DialSocket(s.Socket)
	if err != nil {
		return
	}
	client, err := agent.Dial(ctx, conn, agent.Options{})
	if err != nil {
		return
	}
	_ = client.Close(ctx)
	s.await(ctx, reapGrace)
}
