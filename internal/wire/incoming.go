package wire

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.lsp.dev/jsonrpc2"
)

// slotPatience is how long a burst of calls may wait for earlier ones to finish; that tells
// a busy machine from handlers that hang. Notifications wait behind it.
const slotPatience = 500 * time.Millisecond

// incomingCall is a call of the peer's that runs.
type incomingCall struct {
	id       jsonrpc2.ID
	cancel   context.CancelFunc
	answered atomic.Bool
}

// admitted counts a call in and gives what serves it; nil if it was refused.
func (c *Conn) admitted(m message) (serve func()) {
	if !c.admit() {
		c.refuse(m.id, Errorf(ServerCancelled, "%d requests are running already; repeat this one when some have been answered", c.opts.MaxCalls))
		return nil
	}
	ctx, cancel := context.WithCancel(c.ctx)
	call := &incomingCall{id: m.id, cancel: cancel}
	if bad := c.enter(call); bad != nil {
		cancel()
		c.release()
		c.refuse(m.id, bad)
		return nil
	}
	return func() {
		defer c.running.Done()
		defer c.release()
		defer cancel()
		result, err := c.callHandler(ctx, m)
		c.reply(call, result, err)
	}
}

// enter counts a call in, unless its id is taken or the connection has ended. The lock
// orders it before Run's waiting for all that runs.
func (c *Conn) enter(call *incomingCall) *Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return Errorf(ServerCancelled, "the server is ending")
	}
	if _, taken := c.incoming[call.id]; taken {
		return Errorf(InvalidRequest, "a request with id %q is still running", fmt.Sprint(call.id))
	}
	c.incoming[call.id] = call
	c.running.Add(1)
	return nil
}

// admit takes a slot for one more handler. When all are taken it waits a moment, once: if
// that was in vain, calls are refused at once until a slot comes free.
func (c *Conn) admit() bool {
	select {
	case c.slots <- struct{}{}:
		return true
	default:
	}
	if c.refusal.Load() {
		return false
	}
	timer := time.NewTimer(slotPatience)
	defer timer.Stop()
	select {
	case c.slots <- struct{}{}:
		return true
	case <-c.closed:
	case <-timer.C:
		c.refusal.Store(true)
	}
	return false
}

func (c *Conn) release() {
	<-c.slots
	c.refusal.Store(false)
}

func (c *Conn) callHandler(ctx context.Context, m message) (result any, err error) {
	defer func() {
		if r := recover(); r != nil {
			c.opts.Log("panic in %s: %v\n%s", clip(m.method, 200), r, debug.Stack())
			result, err = nil, Errorf(InternalError, "internal error in %s: %v", clip(m.method, 200), r)
		}
	}()
	return c.handler.Call(ctx, m.method, m.params)
}

// reply answers a call unless its cancellation did.
func (c *Conn) reply(call *incomingCall, result any, err error) {
	if call.answered.Load() {
		return
	}
	var body []byte
	if err == nil {
		// The slot is kept while the answer waits for room, so waiting answers are bounded.
		if c.out.room(c.ctx) != nil {
			return
		}
		var raw []byte
		if raw, err = c.encodeResult(result); err == nil {
			body = jsonrpc2.AppendResponse(sized(raw), call.id, raw, nil)
		}
	}
	if err != nil {
		body = jsonrpc2.AppendResponse(nil, call.id, nil, asError(err).toWire(c.opts.Marshal))
	}
	c.settle(call, body)
}

// encodeResult is a guard against marshallers that panic on what a handler returned.
func (c *Conn) encodeResult(result any) (raw []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			c.opts.Log("panic while encoding a %T: %v\n%s", result, r, debug.Stack())
			err = Errorf(InternalError, "the result could not be encoded: %v", r)
		}
	}()
	raw, err = encode(c.opts.Marshal, result)
	if err != nil {
		c.opts.Log("encode a %T: %v", result, err)
		return nil, fmt.Errorf("the result could not be encoded: %w", err)
	}
	return raw, nil
}

// settle sends a call's one answer. The id is free again before the peer can see it.
func (c *Conn) settle(call *incomingCall, body []byte) {
	if !call.answered.CompareAndSwap(false, true) {
		return
	}
	c.mu.Lock()
	delete(c.incoming, call.id)
	c.mu.Unlock()
	_ = c.out.put(body)
}

func (c *Conn) notified(m message) {
	if m.method == "$/cancelRequest" {
		c.cancelRequest(m.params)
		return
	}
	defer func() {
		if r := recover(); r != nil {
			c.opts.Log("panic in %s: %v\n%s", clip(m.method, 200), r, debug.Stack())
		}
	}()
	c.handler.Notify(c.ctx, m.method, m.params)
}

// cancelRequest answers a running call at once, whatever its handler does. An unknown id is
// no error: the answer may have crossed the wish.
func (c *Conn) cancelRequest(params json.RawMessage) {
	var p struct {
		ID json.RawMessage `json:"id"`
	}
	if json.Unmarshal(params, &p) != nil {
		return
	}
	c.mu.Lock()
	call := c.incoming[parseID(p.ID)]
	c.mu.Unlock()
	if call == nil {
		return
	}
	e := Errorf(RequestCancelled, "the request was cancelled")
	c.settle(call, jsonrpc2.AppendResponse(nil, call.id, nil, e.toWire(c.opts.Marshal)))
	call.cancel()
}
