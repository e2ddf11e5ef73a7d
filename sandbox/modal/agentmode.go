package modal

import (
	"context"
	"fmt"
	"io"
	"time"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// Where the agent is in a sandbox. The program's name holds its hash, so that whoever
// comes later knows whether it is the same.
const (
	agentDir    = "/tmp/.glue-agent"
	agentSocket = agentDir + "/run/agent.sock"
)

// agentBox is a sandbox whose agent does the work.
type agentBox struct {
	*agent.Client
	*held
}

var _ sandbox.Sandbox = (*agentBox)(nil)

// enterByAgent puts the agent into a sandbox and greets it.
func (r *Runtime) enterByAgent(ctx context.Context, h *held) (sandbox.Sandbox, error) {
	p, err := h.process(ctx)
	if err != nil {
		return nil, err
	}
	inside, err := h.startAgent(ctx, p)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.state.Transport, h.state.Agent, h.state.Socket = Agent, inside, agentSocket
	h.mu.Unlock()
	return h.dialAgent(ctx, p)
}

// reconnectPatience is how long a call waits for a lost connection: a new sidecar, the
// joining of the sandbox and a tunnel to it take several seconds.
const reconnectPatience = 15 * time.Second

// dialAgent joins the agent that runs in the sandbox.
func (h *held) dialAgent(ctx context.Context, p *sidecarProcess) (*agentBox, error) {
	first, err := h.tunnel(ctx, p)
	if err != nil {
		return nil, err
	}
	client, err := agent.Dial(ctx, first, agent.Options{Log: h.spec.Log, Redial: h.redial, PingInterval: tunnelPing, PingTimeout: tunnelPatience, Patience: reconnectPatience})
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	if h.state.Instance == "" {
		h.state.Instance = client.Instance()
	}
	same := h.state.Instance == client.Instance()
	h.state.Root, h.state.Cwd = client.Root(), client.Cwd()
	h.info.Root, h.info.Cwd, h.info.HasGit, h.info.Transport = client.Root(), client.Cwd(), client.HasGit(), Agent
	h.mu.Unlock()
	if !same {
		client.Detach()
		return nil, &sandbox.Error{Kind: sandbox.ExecutorDead, Op: "connect", Message: "another agent has taken the place of the one that knew this session", Hint: hintKept}
	}
	h.whenDead(func(why *sandbox.Error) { client.Fail(why) })
	if err := h.ready(ctx, p); err != nil {
		client.Detach()
		return nil, err
	}
	return &agentBox{client, h}, nil
}

// tunnel opens a stream to the agent.
func (h *held) tunnel(ctx context.Context, p *sidecarProcess) (io.ReadWriteCloser, error) {
	h.mu.Lock()
	s := h.state
	h.mu.Unlock()
	return openTunnel(ctx, p, s.SandboxID, func(args agent.AttachArgs) []string {
		args.Socket = s.Socket
		return append([]string{s.Agent}, args.List()...)
	})
}

// redial makes a new stream to the same agent, of which the sidecar may have been started
// anew.
func (h *held) redial(ctx context.Context) (io.ReadWriteCloser, error) {
	gone := func(why error) error { return fmt.Errorf("%w: %w", agent.ErrGone, why) }
	p, err := h.process(ctx)
	if why := h.death(); why != nil {
		return nil, gone(why)
	}
	if kindIs(err, sandbox.NotAuthenticated) {
		return nil, gone(err)
	}
	if err != nil {
		return nil, err
	}
	// A lane waits for an agent that is only starting, which this one is not.
	if err := h.agentListens(ctx, p); err != nil {
		return nil, err
	}
	return h.tunnel(ctx, p)
}

// agentListens asks whether there is an agent to connect to. The error wraps
// agent.ErrGone when the sandbox says that there is none.
func (h *held) agentListens(ctx context.Context, p *sidecarProcess) error {
	h.mu.Lock()
	s := h.state
	h.mu.Unlock()
	r, err := run(ctx, p, s.SandboxID, nil, s.Agent, agent.Word, "check", "--socket", s.Socket)
	switch {
	case kindIs(err, sandbox.InvalidParams), kindIs(err, sandbox.FileNotFound), err == nil && (r.ExitCode == 126 || r.ExitCode == 127):
		// Commands deleted the program, while the agent runs: it is brought again.
		_, err := h.startAgent(ctx, p)
		return err
	case err != nil:
		return err
	case r.ExitCode != 0:
		return fmt.Errorf("%w: the agent in the sandbox has ended, though the sandbox runs: %s", agent.ErrGone, r.said())
	}
	return nil
}

// Info says what the sandbox is.
func (b *agentBox) Info() sandbox.Info {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.info
}

// State is what Attach, Reopen and Reap need.
func (b *agentBox) State() []byte { return b.encoded() }

// Err says why the sandbox is gone: nil before that, and after a Close that succeeded.
func (b *agentBox) Err() error {
	err := b.Client.Err()
	if why := b.death(); why != nil && err != nil {
		return why
	}
	return err
}

// Detach lets go of the sandbox and leaves it running.
func (b *agentBox) Detach() {
	b.Client.Detach()
	b.letGo()
}

// closeGrace is how long the agent may take to end what runs.
const closeGrace = 15 * time.Second

// Close ends every process and the sandbox, and waits for that.
func (b *agentBox) Close(ctx context.Context) error {
	asked, cancel := context.WithTimeout(ctx, closeGrace)
	defer cancel()
	if b.death() != nil {
		b.Client.Detach()
		b.forget()
		return nil
	}
	if err := b.Client.Close(asked); err != nil && b.spec.Log != nil && ctx.Err() == nil {
		b.spec.Log("the sandbox's agent did not end by itself: %v", err)
	}
	return b.terminate(ctx)
}
