package modal

import (
	"context"
	"io"
	"net"
	"os"
	"time"

	"glue-lsp/sandbox/agent"
)

// A tunnel outlives a network that is away for less than this: the sidecar goes on where
// it was, and what was asked meanwhile is answered late. Only then is it given up for a
// new one.
const (
	tunnelPing     = 10 * time.Second
	tunnelPatience = 60 * time.Second
)

// attachPatience is how long a lane waits inside for an agent that is still starting.
const attachPatience = 20 * time.Second

// openTunnel joins a new stream to a sandbox's agent. The command that attach gives for
// some arguments (all but the agent's socket) runs once per lane. ctx bounds the opening.
// The agent may still be starting. Closing the stream ends those commands.
func openTunnel(ctx context.Context, p *sidecarProcess, sandboxID string, attach func(agent.AttachArgs) []string) (io.ReadWriteCloser, error) {
	ticket := newNonce()
	up, upTheirs, err := streamPair()
	if err != nil {
		return nil, err
	}
	theirs := []*os.File{upTheirs}
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
	}()
	var down []net.Conn
	drop := func(err error) (io.ReadWriteCloser, error) {
		up.Close()
		for _, conn := range down {
			conn.Close()
		}
		return nil, err
	}
	for range laneCount {
		mine, other, err := streamPair()
		if err != nil {
			return drop(err)
		}
		down, theirs = append(down, mine), append(theirs, other)
	}
	if err := p.sendDescriptors(ticket, theirs...); err != nil {
		return drop(err)
	}
	args := agent.AttachArgs{Stream: newNonce(), Wait: attachPatience}
	both := attach(args)
	args.Down = true
	params := map[string]any{"sandboxId": sandboxID, "ticket": ticket, "lanes": laneCount, "argv": both, "laneArgv": attach(args)}
	if err := p.call(ctx, "tunnel/open", params, nil); err != nil {
		return drop(err)
	}
	return newLanes(up, down), nil
}
