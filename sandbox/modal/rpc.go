package modal

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"glue-lsp/sandbox"
)

// Bounds on what the sidecar may send; its own are the same (wire.py).
const (
	maxHeader = 4 << 10
	maxBody   = 8 << 20
	// maxSending bounds the calls that wait to be written.
	maxSending = 64
)

// note is a notification of the sidecar's.
type note struct {
	Method string
	Params json.RawMessage
}

// decode reads the parameters; what is missing stays as it is.
func (n note) decode(into any) error { return json.Unmarshal(n.Params, into) }

// rpc is JSON-RPC 2.0 in frames with a Content-Length header. Calls run side by side.
type rpc struct {
	sending chan []byte

	mu      sync.Mutex
	last    int64
	waiting map[int64]chan answer
	subs    map[string][]*subscription
	kept    map[string]note // the last words about a sandbox, for who asks later
	dead    error

	ended chan struct{}
}

type answer struct {
	result json.RawMessage
	err    *rpcError
}

// rpcError is an error as it travels.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    struct {
		Kind      sandbox.Kind `json:"kind"`
		Operation string       `json:"operation"`
		Hint      string       `json:"hint"`
		Path      string       `json:"path"`
	} `json:"data"`
}

type subscription struct{ each func(note) }

// message is whatever the sidecar sends.
type message struct {
	ID     *int64          `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *rpcError       `json:"error"`
}

// outgoing is a call, or without an id a notification.
type outgoing struct {
	Version string `json:"jsonrpc"`
	ID      int64  `json:"id,omitempty"`
	Method  string `json:"method"`
	Params  any    `json:"params"`
}

func newRPC() *rpc {
	return &rpc{
		sending: make(chan []byte, maxSending), waiting: map[int64]chan answer{}, subs: map[string][]*subscription{}, kept: map[string]note{},
		ended: make(chan struct{}),
	}
}

// call asks the sidecar and decodes its answer into result, which may be nil. An error is
// a *sandbox.Error, by the sidecar's kind or ExecutorDead where it has ended, or ctx's,
// whose end also ends the call over there.
func (r *rpc) call(ctx context.Context, method string, params, result any) error {
	return r.callFor(ctx, method, params, result, nil)
}

// lateTimeout bounds the wait for an answer that nobody waits for any more.
const lateTimeout = 2 * time.Minute

// callFor is call. An answer that comes although the call was given up goes to late, if
// that is not nil, as a goroutine: what it tells of was made and is nobody's.
func (r *rpc) callFor(ctx context.Context, method string, params, result any, late func(answer)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	came := make(chan answer, 1)
	r.mu.Lock()
	if r.dead != nil {
		r.mu.Unlock()
		return r.gone(method)
	}
	r.last++
	id := r.last
	r.waiting[id] = came
	r.mu.Unlock()
	given := false // to who waits for a late answer
	defer func() {
		if !given {
			r.forget(id)
		}
	}()
	if err := r.send(ctx, method, outgoing{ID: id, Method: method, Params: params}); err != nil {
		return err
	}
	select {
	case a := <-came:
		return a.decode(method, result)
	case <-r.ended:
		select {
		case a := <-came: // its last words
			return a.decode(method, result)
		default:
			return r.gone(method)
		}
	case <-ctx.Done():
		if frame, err := encode(outgoing{Method: "$/cancelRequest", Params: map[string]int64{"id": id}}); err == nil {
			select {
			case r.sending <- frame:
			default: // it does not read: it is told nothing
			}
		}
		if given = late != nil; given {
			go r.awaitLate(id, came, late)
		}
		return ctx.Err()
	}
}

func (r *rpc) awaitLate(id int64, came <-chan answer, late func(answer)) {
	defer r.forget(id)
	over := time.NewTimer(lateTimeout)
	defer over.Stop()
	select {
	case a := <-came:
		late(a)
	case <-r.ended: // what it held it has ended
	case <-over.C:
	}
}

func (r *rpc) forget(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, id)
}

func (r *rpc) send(ctx context.Context, method string, m outgoing) error {
	frame, err := encode(m)
	if err != nil {
		return &sandbox.Error{Kind: sandbox.InvalidParams, Op: method, Message: err.Error(), Err: err}
	}
	select {
	case r.sending <- frame:
		return nil
	case <-r.ended:
		return r.gone(method)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func encode(m outgoing) ([]byte, error) {
	m.Version = "2.0"
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("a call of %d bytes is too large", len(body))
	}
	return append(fmt.Appendf(nil, "Content-Length: %d\r\n\r\n", len(body)), body...), nil
}

func (a answer) decode(method string, result any) error {
	if a.err != nil {
		return a.err.sandboxError(method)
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(a.result, result); err != nil {
		return &sandbox.Error{Kind: sandbox.Unavailable, Op: method, Message: "the sidecar's answer does not decode: " + err.Error(), Err: err}
	}
	return nil
}

const (
	codeInvalidParams  = -32602
	codeMethodNotFound = -32601
)

func (e *rpcError) sandboxError(method string) error {
	kind := e.Data.Kind
	switch {
	case kind != "":
	case e.Code == codeInvalidParams:
		kind = sandbox.InvalidParams
	case e.Code == codeMethodNotFound:
		kind = sandbox.Unsupported
	default:
		kind = sandbox.Unavailable
	}
	return &sandbox.Error{Kind: kind, Op: method, Path: e.Data.Path, Message: e.Message, Hint: e.Data.Hint}
}

// gone says, for a call, why the sidecar has ended.
func (r *rpc) gone(method string) error {
	r.mu.Lock()
	why := r.dead
	r.mu.Unlock()
	e := &sandbox.Error{Kind: sandbox.ExecutorDead, Op: method, Message: "the sidecar has ended", Err: why}
	var known *sandbox.Error
	if errors.As(why, &known) {
		e.Message, e.Hint = known.Message, known.Hint
	} else if why != nil {
		e.Message = why.Error()
	}
	return e
}

// subscribe has each called with every notification about an id (of a sandbox, a command
// or a tunnel), or, of those that are about none, by their method. It is called by the
// one that reads from the sidecar, in order, and must not block. That a sandbox has ended
// is told also to who comes after it.
func (r *rpc) subscribe(id string, each func(note)) (stop func()) {
	s := &subscription{each}
	r.mu.Lock()
	r.subs[id] = append(r.subs[id], s)
	last, told := r.kept[id]
	r.mu.Unlock()
	if told {
		each(last)
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		left := r.subs[id][:0:0]
		for _, other := range r.subs[id] {
			if other != s {
				left = append(left, other)
			}
		}
		if r.subs[id] = left; len(left) == 0 {
			delete(r.subs, id)
		}
	}
}

// read takes what the sidecar sends until it ends or sends what is no message.
func (r *rpc) read(in *bufio.Reader) error {
	for {
		m, err := readMessage(in)
		if err != nil {
			return err
		}
		r.take(m)
	}
}

func (r *rpc) take(m message) {
	if m.Method != "" {
		r.dispatch(note{m.Method, m.Params})
		return
	}
	if m.ID == nil {
		return
	}
	r.mu.Lock()
	came := r.waiting[*m.ID]
	delete(r.waiting, *m.ID)
	r.mu.Unlock()
	if came != nil {
		came <- answer{m.Result, m.Error}
	}
}

func (r *rpc) dispatch(n note) {
	var about struct{ TunnelID, ExecID, SandboxID string }
	_ = n.decode(&about)
	id := n.Method
	for _, known := range []string{about.TunnelID, about.ExecID, about.SandboxID} {
		if known != "" {
			id = known
			break
		}
	}
	r.mu.Lock()
	subs := r.subs[id]
	if n.Method == noteSandboxEnded {
		r.kept[id] = n
	}
	r.mu.Unlock()
	for _, s := range subs {
		s.each(n)
	}
}

// The sidecar's notifications.
const (
	noteProgress     = "progress"
	noteLog          = "log"
	noteSandboxEnded = "sandbox/ended"
	noteTunnelClosed = "tunnel/closed"
)

// write sends what is queued until the sidecar has ended.
func (r *rpc) write(out io.Writer) {
	for {
		select {
		case frame := <-r.sending:
			if _, err := out.Write(frame); err != nil {
				return // the reader sees the end, and says why
			}
		case <-r.ended:
			return
		}
	}
}

// end answers every call in flight.
func (r *rpc) end(why error) {
	r.mu.Lock()
	r.dead = why
	r.mu.Unlock()
	close(r.ended)
}

// readMessage reads one frame.
func readMessage(in *bufio.Reader) (message, error) {
	var m message
	length := int64(-1)
	for seen := 0; ; {
		line, err := in.ReadSlice('\n')
		if err != nil {
			if errors.Is(err, io.EOF) && (len(line) > 0 || seen > 0) {
				err = io.ErrUnexpectedEOF
			}
			return m, err
		}
		if seen += len(line); seen > maxHeader {
			return m, errors.New("the header of a frame is too long")
		}
		text := strings.TrimSpace(string(line))
		if text == "" {
			break
		}
		name, value, ok := strings.Cut(text, ":")
		if !ok {
			return m, fmt.Errorf("%q is no header of a frame", clip(text, 80))
		}
		if strings.EqualFold(strings.TrimSpace(name), "Content-Length") {
			if length, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64); err != nil {
				return m, fmt.Errorf("%q is no length of a frame", clip(value, 80))
			}
		}
	}
	if length < 0 || length > maxBody {
		return m, fmt.Errorf("a frame of %d bytes cannot be taken", length)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(in, body); err != nil {
		return m, io.ErrUnexpectedEOF
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return m, fmt.Errorf("a frame is not JSON: %w", err)
	}
	return m, nil
}
