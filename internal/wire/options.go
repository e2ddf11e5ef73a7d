package wire

import (
	"context"
	"encoding/json"
	"time"

	"go.lsp.dev/jsonrpc2"
)

// Handler answers what comes in. Notify runs in line, in order, and must not block;
// Call runs in a goroutine of its own, after every notification that came before it.
// ctx of Call ends on $/cancelRequest, which wire handles itself: the peer has its answer
// by then, so what Call returns afterwards is dropped. Both ctx end with the connection.
// params are the handler's to keep; nil when the peer sent none or null.
//
// A Call that knows no such method returns NotFound; a Notify ignores it. Refusing calls
// before "initialize" (ServerNotInitialized) is the Handler's business too.
type Handler interface {
	Call(ctx context.Context, method string, params json.RawMessage) (result any, err error)
	Notify(ctx context.Context, method string, params json.RawMessage)
}

// Options bound what a peer can make us do. The zero value of each field means its default.
type Options struct {
	// MaxBody is the largest message read, in bytes; default 64 MiB. A larger one is
	// skipped in constant memory and answered with InvalidRequest.
	MaxBody int64
	// MaxHeader bounds one frame's header block in bytes; default 8 KiB.
	MaxHeader int
	// MaxDepth bounds how deep arrays and objects may nest; default 128.
	MaxDepth int
	// MaxCalls bounds the peer's calls that run at once; default 1024. More wait for a
	// moment, then get ServerCancelled. A cancelled call counts until its handler returns.
	MaxCalls int
	// MaxQueued bounds replies and ordinary messages that wait for the peer to read, in
	// bytes; default 128 MiB. Beyond it senders wait and no more is read.
	MaxQueued int64
	// MaxBulk is the same for Stream; default 1 MiB. Beyond it only Stream waits.
	MaxBulk int64
	// Grace bounds each step of ending a connection (calls finish, output is written);
	// default 1 s.
	Grace time.Duration

	// Trace, when not nil, gets every message with its direction, "in" or "out", from
	// several goroutines. body is valid during the call only; Trace must not call back into
	// the connection.
	Trace func(dir string, body []byte)
	// Log gets what no peer is told: panics with their stacks, broken frames, dropped answers.
	Log func(format string, args ...any)
	// Marshal encodes results, params and error data (handlers pass one that knows LSP's
	// unions); default jsonrpc2.DefaultCodec. json.RawMessage is passed through untouched.
	Marshal func(any) ([]byte, error)
	// Unmarshal decodes the peer's results; default jsonrpc2.DefaultCodec.
	Unmarshal func([]byte, any) error
}

func (o Options) withDefaults() Options {
	o.MaxBody = orDefault(o.MaxBody, 64<<20)
	o.MaxHeader = orDefault(o.MaxHeader, 8<<10)
	o.MaxDepth = orDefault(o.MaxDepth, 128)
	o.MaxCalls = orDefault(o.MaxCalls, 1024)
	o.MaxQueued = orDefault(o.MaxQueued, 128<<20)
	o.MaxBulk = orDefault(o.MaxBulk, 1<<20)
	o.Grace = orDefault(o.Grace, time.Second)
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.Marshal == nil {
		o.Marshal = jsonrpc2.DefaultCodec.Marshal
	}
	if o.Unmarshal == nil {
		o.Unmarshal = jsonrpc2.DefaultCodec.Unmarshal
	}
	return o
}

func orDefault[T int | int64 | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}
