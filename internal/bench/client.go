package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"glue-lsp/internal/wire"
)

// client is a server process and a connection to it.
type client struct {
	cmd  *exec.Cmd
	in   io.Closer
	conn *wire.Conn
	done chan error
}

// Call answers what a client must.
func (c *client) Call(_ context.Context, method string, _ json.RawMessage) (any, error) {
	switch method {
	case "workspace/applyEdit":
		return map[string]any{"applied": false, "failureReason": "measured only"}, nil
	case "window/workDoneProgress/create", "client/registerCapability":
		return nil, nil
	}
	return nil, &wire.Error{Code: wire.MethodNotFound, Message: method}
}

// Notify takes notifications, of which none is needed.
func (c *client) Notify(context.Context, string, json.RawMessage) {}

// start starts a server with a state folder of its own and initializes it for folder.
func (b *bench) start(home, folder string, env ...string) (*client, error) {
	cmd, in, out, err := b.spawn(home, env...)
	if err != nil {
		return nil, err
	}
	c := &client{cmd: cmd, in: in, done: make(chan error, 1)}
	c.conn = wire.New(out, in, c, wire.Options{})
	go func() { c.done <- c.conn.Run(context.Background()) }()
	var result json.RawMessage
	err = c.call("initialize", initializeParams(folder), &result)
	if err != nil {
		return nil, err
	}
	return c, c.conn.Notify(context.Background(), "initialized", map[string]any{})
}

// spawn starts a server process with a state folder of its own.
func (b *bench) spawn(home string, env ...string) (cmd *exec.Cmd, in io.WriteCloser, out io.ReadCloser, err error) {
	cmd = exec.Command(b.server, "serve", "--log-level", "error")
	cmd.Env = append(append(os.Environ(), "GLUE_HOME="+home), env...)
	cmd.Stderr = os.Stderr
	if in, err = cmd.StdinPipe(); err != nil {
		return nil, nil, nil, err
	}
	if out, err = cmd.StdoutPipe(); err != nil {
		return nil, nil, nil, err
	}
	return cmd, in, out, cmd.Start()
}

func initializeParams(folder string) map[string]any {
	return map[string]any{
		"processId": os.Getpid(), "capabilities": map[string]any{},
		"workspaceFolders": []any{map[string]any{"uri": "file://" + folder, "name": "bench"}},
	}
}

func (c *client) call(method string, params, result any) error {
	if err := c.conn.Call(context.Background(), method, params, result); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// stop ends the server as an editor does.
func (c *client) stop() error {
	err := c.call("shutdown", nil, nil)
	if notifyErr := c.conn.Notify(context.Background(), "exit", nil); err == nil {
		err = notifyErr
	}
	waitErr := c.cmd.Wait()
	_ = c.conn.Close()
	return errors.Join(err, waitErr, <-c.done)
}

// resident gives the process's resident memory in MiB.
func resident(pid int) (float64, error) { return statusOf(pid, "VmRSS:") }
