package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// joined is a sandbox that another process started.
type joined struct {
	*agent.Client
	info  sandbox.Info
	state state
}

var _ sandbox.Sandbox = (*joined)(nil)

// Attach joins the agent of a sandbox whose owner died, over its socket. It is the same
// agent if its process is the recorded one, this user's, and it gives the recorded name.
func (r *Runtime) Attach(ctx context.Context, spec sandbox.Spec, raw []byte) (sandbox.Sandbox, error) {
	const op = "attach"
	s, err := readState(op, spec, raw)
	if err != nil {
		return nil, err
	}
	gone := func(why error) error {
		return &sandbox.Error{Kind: sandbox.ExecutorDead, Op: op, Message: "the sandbox has ended", Err: why}
	}
	if !s.anyAlive() {
		return nil, gone(nil)
	}
	s.log = spec.Log
	redial := func(context.Context) (io.ReadWriteCloser, error) {
		if !s.anyAlive() {
			return nil, fmt.Errorf("%w: its process has ended", agent.ErrGone)
		}
		return agent.DialSocket(s.Socket)
	}
	conn, err := agent.DialSocket(s.Socket)
	if errors.Is(err, agent.ErrGone) {
		return nil, gone(err)
	}
	if err != nil {
		return nil, unjoinable(err)
	}
	client, err := agent.Dial(ctx, conn, agent.Options{Log: spec.Log, Redial: redial})
	switch {
	case ctx.Err() != nil:
		if err == nil {
			client.Detach()
		}
		return nil, ctx.Err()
	case err != nil && !s.anyAlive():
		return nil, gone(err)
	case err != nil:
		return nil, unjoinable(err)
	case client.Instance() != s.Instance:
		client.Detach()
		return nil, gone(errors.New("another agent has taken its place"))
	}
	return &joined{Client: client, state: s, info: sandbox.Info{
		ID: s.ID, Root: client.Root(), Cwd: client.Cwd(), Isolation: s.Isolation, Gaps: s.Gaps,
		Transport: "agent", ExpiresAt: s.ExpiresAt, HasGit: client.HasGit(),
	}}, nil
}

func unjoinable(err error) error {
	e := unavailable("the sandbox lives, and cannot be joined", err)
	e.Op = "attach"
	return e
}

// Reopen starts an agent over the tree that a dead sandbox left. The tree is as hostile
// as its commands were, so that the new one is confined like the old one or not at all.
func (r *Runtime) Reopen(ctx context.Context, spec sandbox.Spec, raw []byte) (sandbox.Sandbox, error) {
	const op = "reopen"
	s, err := readState(op, spec, raw)
	if err != nil {
		return nil, err
	}
	w := filepath.Join(spec.TreeDir, treeName)
	// What is left of it would go on changing the tree.
	if err := s.end(ctx); err != nil {
		return nil, err
	}
	info, err := os.Lstat(w)
	if err != nil || !info.IsDir() {
		return nil, &sandbox.Error{Kind: sandbox.FileNotFound, Op: op, Path: w, Message: "the sandbox's tree is not there", Err: err}
	}
	again := r.opts
	again.Isolation = s.Isolation
	return New(again).Open(ctx, spec)
}

// readState decodes a record and checks that it is of this sandbox's folder.
func readState(op string, spec sandbox.Spec, raw []byte) (state, error) {
	var s state
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, &sandbox.Error{Kind: sandbox.InvalidParams, Op: op, Message: "the sandbox's record does not decode: " + err.Error(), Err: err}
	}
	if want := (dirs{run: filepath.Join(spec.TreeDir, runName)}).socket(); s.Socket != want {
		return s, &sandbox.Error{Kind: sandbox.InvalidParams, Op: op, Path: s.Socket, Message: "the sandbox's record is of another folder than " + spec.TreeDir}
	}
	switch s.Isolation {
	case Bubblewrap, Landlock, None:
		return s, nil
	}
	return s, &sandbox.Error{Kind: sandbox.InvalidParams, Op: op, Message: fmt.Sprintf("the sandbox's record names no isolation, but %q", s.Isolation)}
}

// Info says what the sandbox is.
func (s *joined) Info() sandbox.Info { return s.info }

// State is what Attach, Reopen and Reap need.
func (s *joined) State() []byte { return s.state.encode() }

// Close ends every process and waits for that; the tree stays.
func (s *joined) Close(ctx context.Context) error {
	asked, cancel := context.WithTimeout(ctx, closeGrace)
	defer cancel()
	if err := s.Client.Close(asked); err != nil && ctx.Err() == nil && s.state.anyAlive() && s.state.log != nil {
		s.state.log("the sandbox's agent did not end by itself: %v", err)
	}
	s.state.await(asked, time.Second)
	return s.state.end(context.WithoutCancel(ctx))
}

// end kills what is left of a sandbox and waits until it is gone.
func (s state) end(ctx context.Context) error {
	defer s.endLeftovers()
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

// await gives the processes some time to end by themselves.
func (s state) await(ctx context.Context, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for s.anyAlive() && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (s state) encode() []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return nil // it holds only text, numbers and times
	}
	return b
}
