package agent

import (
	"context"
	"errors"
	"time"

	"glue-lsp/sandbox"
)

// supervise watches a connection, and replaces it when it is lost.
func (c *Client) supervise(conn *clientConn) {
	defer c.wg.Done()
	defer close(c.done)
	defer c.cancel()
	for {
		c.ping(conn)
		conn.sess.Close()
		next, err := c.redial()
		c.mu.Lock()
		if c.closing {
			c.cur = nil
			c.signal()
			c.mu.Unlock()
			if next != nil {
				next.sess.Close()
			}
			return
		}
		if c.err != nil && next != nil { // Fail came in between
			next.sess.Close()
			next = nil
		}
		if c.err == nil {
			c.err = err
		}
		c.cur, err = next, c.err
		c.signal()
		c.mu.Unlock()
		if err != nil {
			return
		}
		conn = next
	}
}

// ping returns when the connection is lost: its stream ended, or it fell silent.
func (c *Client) ping(conn *clientConn) {
	tick := time.NewTicker(c.opts.PingInterval)
	defer tick.Stop()
	for {
		select {
		case <-conn.sess.CloseChan():
			return
		case <-tick.C:
		}
		err := c.pingOnce(conn)
		// Under load an answer may be late while others arrive all the time.
		if err != nil && conn.link.silence() >= c.opts.PingTimeout {
			c.opts.Log("the sandbox's agent did not answer for %s", conn.link.silence().Round(time.Second))
			return
		}
	}
}

// pingOnce asks for a sign of life, and waits for none that another connection would bring.
func (c *Client) pingOnce(conn *clientConn) error {
	ctx, cancel := context.WithTimeout(c.ctx, c.opts.PingTimeout)
	defer cancel()
	go func() {
		select {
		case <-conn.sess.CloseChan():
			cancel()
		case <-ctx.Done():
		}
	}()
	return c.Ping(ctx)
}

// redial tries to reach the same agent again.
func (c *Client) redial() (*clientConn, error) {
	gone := &sandbox.Error{
		Kind: sandbox.ExecutorDead, Op: "connect", Message: "the connection to the sandbox's agent was lost",
		Hint: "open the session again; what it had changed until its last checkpoint is kept",
	}
	if c.opts.Redial == nil || c.ctx.Err() != nil {
		return nil, gone
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.opts.RedialFor)
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		conn, err := c.redialOnce(ctx)
		if err == nil {
			return conn, nil
		}
		c.opts.Log("reconnecting to the sandbox: %v", err)
		gone.Message, gone.Err = "the connection to the sandbox's agent was lost, and it cannot be reached again: "+err.Error(), err
		if errors.Is(err, ErrGone) {
			return nil, gone
		}
		select {
		case <-ctx.Done():
			return nil, gone
		case <-time.After(pause):
		}
	}
}

func (c *Client) redialOnce(ctx context.Context) (*clientConn, error) {
	rw, err := c.opts.Redial(ctx)
	if err != nil {
		return nil, err
	}
	conn, hello, err := c.connect(ctx, rw)
	if err != nil {
		return nil, err
	}
	if hello.Instance != c.Instance() {
		conn.sess.Close()
		return nil, errors.Join(ErrGone, errors.New("another agent took its place"))
	}
	return conn, nil
}

// reconnected waits until there is a connection, or none to come.
func (c *Client) reconnected(ctx context.Context) error {
	for {
		_, err := c.session(ctx, "exec")
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-c.done:
			_, err := c.session(ctx, "exec")
			return err
		default:
		}
	}
}
