package wire

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"go.lsp.dev/jsonrpc2"
)

// answer is what the peer said to a call of ours.
type answer struct {
	result json.RawMessage
	err    error
}

// Call asks the peer and decodes its answer into result (a pointer, or nil to drop it; a
// *json.RawMessage takes it as it is). A peer's error is an *Error. ctx's end sends
// $/cancelRequest and returns ctx.Err() at once; the end of the connection is ErrClosed.
func (c *Conn) Call(ctx context.Context, method string, params, result any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.out.room(ctx); err != nil {
		return err
	}
	raw, err := c.encodeParams(method, params)
	if err != nil {
		return err
	}
	got := make(chan answer, 1)
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return ErrClosed
	}
	c.lastID++
	id := c.lastID
	c.outgoing[id] = got
	c.mu.Unlock()

	if err := c.out.put(jsonrpc2.AppendCall(sized(raw), jsonrpc2.NewNumberID(id), method, raw)); err != nil {
		c.forget(id)
		return err
	}
	select {
	case a := <-got:
		return c.decodeAnswer(method, a, result)
	case <-ctx.Done():
	}
	if c.forget(id) {
		_ = c.out.put(jsonrpc2.AppendNotification(nil, "$/cancelRequest", fmt.Appendf(nil, `{"id":%d}`, id)))
	}
	return ctx.Err()
}

// Notify sends a notification after all that was sent before it. It waits only while more
// than Options.MaxQueued waits for the peer to read.
func (c *Conn) Notify(ctx context.Context, method string, params any) error {
	if err := c.out.room(ctx); err != nil {
		return err
	}
	raw, err := c.encodeParams(method, params)
	if err != nil {
		return err
	}
	return c.out.put(jsonrpc2.AppendNotification(sized(raw), method, raw))
}

// Stream sends a bulk notification (command output): it waits while more than
// Options.MaxBulk of bulk output is queued, and replies and other notifications pass it.
// Flush waits until bulk output that was queued before is written (so that a reply can be
// sent after it). Large params are cheapest as an Appender.
func (c *Conn) Stream(ctx context.Context, method string, params any) error {
	buf := scratch.Get().(*buffers)
	defer scratch.Put(buf)
	var raw []byte
	var err error
	if a, ok := params.(Appender); ok {
		if raw, err = a.AppendJSON(buf.params[:0]); err != nil {
			return fmt.Errorf("encode the params of %s: %w", method, err)
		}
		buf.params = keep(raw)
	} else if raw, err = c.encodeParams(method, params); err != nil {
		return err
	}
	body := jsonrpc2.AppendNotification(buf.body[:0], method, raw)
	buf.body = keep(body)
	return c.out.putBulk(ctx, body)
}

// buffers are reused by Stream, whose messages are many and large.
type buffers struct{ params, body []byte }

var scratch = sync.Pool{New: func() any { return new(buffers) }}

// keep drops a buffer that a rare giant made.
func keep(b []byte) []byte {
	if cap(b) > keepChunk {
		return nil
	}
	return b
}

// Flush waits until all bulk output that Stream accepted before is written.
func (c *Conn) Flush(ctx context.Context) error { return c.out.flush(ctx) }

// encodeParams leaves null out: JSON-RPC 2.0 section 4.2 allows only structured params.
func (c *Conn) encodeParams(method string, params any) ([]byte, error) {
	if params == nil {
		return nil, nil
	}
	raw, err := encode(c.opts.Marshal, params)
	if err != nil {
		return nil, fmt.Errorf("encode the params of %s: %w", method, err)
	}
	if string(raw) == "null" {
		return nil, nil
	}
	return raw, nil
}

func (c *Conn) decodeAnswer(method string, a answer, result any) error {
	if a.err != nil || result == nil {
		return a.err
	}
	if raw, ok := result.(*json.RawMessage); ok {
		*raw = a.result
		return nil
	}
	if err := c.opts.Unmarshal(a.result, result); err != nil {
		return fmt.Errorf("decode the answer to %s: %w", method, err)
	}
	return nil
}

// answered hands an answer to its call. One that nobody waits for is dropped: its call was
// given up, or never made.
func (c *Conn) answered(id jsonrpc2.ID, a answer) {
	n, isNumber := id.Number()
	c.mu.Lock()
	got := c.outgoing[n]
	delete(c.outgoing, n)
	c.mu.Unlock()
	if got == nil || !isNumber {
		return
	}
	got <- a
}

// forget reports whether the call still waited.
func (c *Conn) forget(id int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, waiting := c.outgoing[id]
	delete(c.outgoing, id)
	return waiting
}

// failOutgoing ends every call of ours, and those to come: nobody will answer.
func (c *Conn) failOutgoing() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for id, got := range c.outgoing {
		delete(c.outgoing, id)
		got <- answer{err: ErrClosed}
	}
}
