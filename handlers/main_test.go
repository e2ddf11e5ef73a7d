package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"glue-lsp/config"
	"glue-lsp/internal/wire"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
	"glue-lsp/sandbox/local"
	"glue-lsp/session"
)

// The test binary is its own agent, as the product's binary is.
func TestMain(m *testing.M) {
	if agent.IsAgent(os.Args) {
		os.Exit(local.AgentMain(os.Args[2:], os.Stdin, os.Stdout))
	}
	goleak.VerifyTestMain(m)
}

// patience bounds what must happen at all; it is never what a test measures.
const patience = time.Minute

// message is what the server sent by itself.
type message struct {
	method string
	params json.RawMessage
}

// testClient is the other end of a server in this process.
type testClient struct {
	t      testing.TB
	server *Server
	conn   *wire.Conn
	input  *io.PipeWriter
	exit   chan int
	ran    chan struct{}

	mu       sync.Mutex
	messages []message
	moved    chan struct{}
	// answer serves the server's requests; nil answers null.
	answer func(ctx context.Context, method string, params json.RawMessage) (any, error)
}

func (c *testClient) Call(ctx context.Context, method string, params json.RawMessage) (any, error) {
	c.Notify(ctx, method, params)
	c.mu.Lock()
	answer := c.answer
	c.mu.Unlock()
	if answer == nil {
		return nil, nil
	}
	return answer(ctx, method, params)
}

func (c *testClient) Notify(_ context.Context, method string, params json.RawMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.messages = append(c.messages, message{method, params})
	if c.moved != nil {
		close(c.moved)
		c.moved = nil
	}
}

// await gives the first message, at or after index from, that fits.
func (c *testClient) await(method string, fits func(json.RawMessage) bool) json.RawMessage {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		for _, m := range c.messages {
			if m.method == method && (fits == nil || fits(m.params)) {
				c.mu.Unlock()
				return m.params
			}
		}
		if c.moved == nil {
			c.moved = make(chan struct{})
		}
		moved := c.moved
		seen := slices.Clone(c.messages)
		c.mu.Unlock()
		select {
		case <-moved:
		case <-deadline:
			c.t.Fatalf("%s never came; what came was %s", method, clip(show(seen), 4000))
		}
	}
}

func show(ms []message) string {
	var b strings.Builder
	for _, m := range ms {
		b.WriteString("\n" + m.method + " " + clip(string(m.params), 300))
	}
	return b.String()
}

func contains(part string) func(json.RawMessage) bool {
	return func(p json.RawMessage) bool { return strings.Contains(string(p), part) }
}

func noManager(func() *config.Settings, func(session.Info)) (*session.Manager, error) {
	return nil, errors.New("this test has no sessions")
}

// connect starts a server and a client, without initialize.
func connect(t testing.TB, o Options) *testClient {
	t.Helper()
	if o.NewManager == nil {
		o.NewManager = noManager
	}
	if o.Home == "" {
		o.Home = t.TempDir()
	}
	o.Version = "1.2.3"
	toServer, clientOut := io.Pipe()
	toClient, serverOut := io.Pipe()
	c := &testClient{t: t, server: New(o), input: clientOut, exit: make(chan int, 1), ran: make(chan struct{})}
	c.conn = wire.New(toClient, clientOut, c, wire.Options{})
	go func() {
		code := c.server.Serve(context.Background(), toServer, serverOut)
		_ = serverOut.Close()
		c.exit <- code
	}()
	go func() {
		defer close(c.ran)
		_ = c.conn.Run(context.Background())
	}()
	t.Cleanup(func() {
		_ = c.conn.Close()
		_ = clientOut.Close()
		<-c.ran
		select {
		case <-c.exit:
		case <-time.After(patience):
			t.Error("the server did not end")
		}
		_ = toClient.Close()
	})
	return c
}

// initialize is what follows connect in most tests. capabilities and extra are JSON.
func (c *testClient) initialize(params string) json.RawMessage {
	c.t.Helper()
	raw := c.call("initialize", params)
	c.notify("initialized", `{}`)
	return raw
}

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func (c *testClient) call(method, params string) json.RawMessage {
	c.t.Helper()
	raw, err := c.try(method, params)
	if err != nil {
		data, _ := err.Data.(json.RawMessage)
		c.t.Fatalf("%s %s: %d %s %s", method, clip(params, 300), err.Code, err.Message, data)
	}
	return raw
}

func (c *testClient) try(method, params string) (json.RawMessage, *wire.Error) {
	c.t.Helper()
	var raw json.RawMessage
	err := c.conn.Call(testContext(c.t), method, json.RawMessage(params), &raw)
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return nil, e
	}
	if err != nil {
		c.t.Fatalf("%s: %v", method, err)
	}
	return raw, nil
}

// refused calls what must fail with a code and a text in its message.
func (c *testClient) refused(method, params string, code int, part string) {
	c.t.Helper()
	raw, err := c.try(method, params)
	if err == nil {
		c.t.Fatalf("%s %s was answered with %s, want error %d", method, params, raw, code)
	}
	if err.Code != code || !strings.Contains(err.Message, part) {
		c.t.Fatalf("%s %s: error %d %q, want %d with %q", method, params, err.Code, err.Message, code, part)
	}
}

func (c *testClient) notify(method, params string) {
	c.t.Helper()
	if err := c.conn.Notify(testContext(c.t), method, json.RawMessage(params)); err != nil {
		c.t.Fatal(err)
	}
}

func into[T any](t testing.TB, raw json.RawMessage) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%s: %v", clip(string(raw), 300), err)
	}
	return v
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

var _ sandbox.Sink = (&output{}).sink

func testCancel(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithCancel(testContext(t))
}
