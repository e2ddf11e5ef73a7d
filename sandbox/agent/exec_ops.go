package agent

import (
	"context"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"glue-lsp/sandbox"
)

// addExecOps adds the operations on commands.
func (d *daemon) addExecOps(o ops) {
	t := d.execs
	o["exec.start"] = streaming(t.serveStart)
	o["exec.attach"] = streaming(t.serveAttach)
	o["exec.stdin"] = streaming(t.serveStdin)
	o["exec.resize"] = unary(t.serveResize)
	o["exec.signal"] = unary(t.serveSignal)
	o["exec.cancel"] = unary(t.serveCancel)
	o["exec.list"] = unary(t.list)
}

func (t *execTable) serveStart(ctx context.Context, req startRequest, s *stream) error {
	c, rd, err := t.start(ctx, req)
	if err != nil {
		return err
	}
	// A client that does not get it has lost the link, and the command goes on, for one
	// that attaches again or cancels it by its id.
	return c.deliver(ctx, s, rd)
}

func (t *execTable) serveAttach(ctx context.Context, req attachRequest, s *stream) error {
	c, err := t.find(req.ID)
	if err != nil {
		return err
	}
	return c.deliver(ctx, s, c.out.attach(sandbox.Offsets{Stdout: req.Stdout, Stderr: req.Stderr}))
}

func (t *execTable) serveStdin(ctx context.Context, req stdinRequest, s *stream) error {
	c, err := t.find(req.ID)
	if err != nil {
		return err
	}
	if c.stdin == nil {
		return &sandbox.Error{
			Kind: sandbox.Unsupported, Message: "the command was started without a standard input",
			Hint: "start it with keepStdin",
		}
	}
	return c.stdin.write(ctx, s, req.EOF)
}

func (t *execTable) serveResize(_ context.Context, req resizeRequest) (nothing, error) {
	c, err := t.find(req.ID)
	if err != nil {
		return nothing{}, err
	}
	if c.pty == nil {
		return nothing{}, &sandbox.Error{Kind: sandbox.Unsupported, Message: "the command has no terminal"}
	}
	if err := c.pty.resize(req.Size); err != nil {
		return nothing{}, &sandbox.Error{Kind: sandbox.NoSuchExec, Message: "the command's terminal is closed"}
	}
	return nothing{}, nil
}

func (t *execTable) serveSignal(_ context.Context, req signalRequest) (nothing, error) {
	c, err := t.find(req.ID)
	if err != nil {
		return nothing{}, err
	}
	sig, err := parseSignal(req.Name)
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, c.signal(sig)
}

func parseSignal(name string) (syscall.Signal, error) {
	upper := strings.ToUpper(name)
	if !strings.HasPrefix(upper, "SIG") {
		upper = "SIG" + upper
	}
	if sig := unix.SignalNum(upper); sig != 0 {
		return sig, nil
	}
	return 0, &sandbox.Error{Kind: sandbox.InvalidParams, Message: "there is no signal " + printable([]byte(name)), Hint: "names are like SIGINT"}
}

// serveCancel answers when the command and every descendant is gone.
func (t *execTable) serveCancel(_ context.Context, req cancelRequest) (nothing, error) {
	c, err := t.find(req.ID)
	if err != nil {
		return nothing{}, err
	}
	t.end(c, false)
	return nothing{}, nil
}
