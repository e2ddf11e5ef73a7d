package local

import (
	"context"
	"encoding/json"
	"syscall"
	"time"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// state is enough to find a sandbox again after its owner died, and to be sure that
// it is the same one: a process id alone may by then be another program's.
type state struct {
	Version   int        `json:"version"`
	Isolation string     `json:"isolation"`
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
	s := state{Version: 1, Isolation: p.isolation, Socket: p.dirs.socket(), Instance: instance, log: p.spec.Log}
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
func (r *Runtime) Reap(ctx context.Context, _ sandbox.Spec, raw []byte) error {
	var s state
	if err := json.Unmarshal(raw, &s); err != nil {
		return &sandbox.Error{Kind: sandbox.InvalidParams, Op: "reap", Message: "the sandbox's record does not decode: " + err.Error(), Err: err}
	}
	defer s.endLeftovers()
	if s.anyAlive() {
		s.ask(ctx)
	}
	for pause := time.Millisecond; s.anyAlive(); pause = min(2*pause, 100*time.Millisecond) {
		for _, id := range s.Processes {
			if id.alive() {
				_ = syscall.Kill(id.Pid, syscall.SIGKILL)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
	return nil
}

// endLeftovers ends what a sandbox without namespaces left when its agent died.
func (s state) endLeftovers() {
	if s.Isolation == None {
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
	for s.anyAlive() && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}
