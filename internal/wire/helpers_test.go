package wire

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = time.Minute

// script is a Handler made of functions.
type script struct {
	calls  map[string]func(ctx context.Context, params json.RawMessage) (any, error)
	notify func(ctx context.Context, method string, params json.RawMessage)
}

func (s script) Call(ctx context.Context, method string, params json.RawMessage) (any, error) {
	if f := s.calls[method]; f != nil {
		return f(ctx, params)
	}
	return nil, NotFound(method)
}

func (s script) Notify(ctx context.Context, method string, params json.RawMessage) {
	if s.notify != nil {
		s.notify(ctx, method, params)
	}
}

func echo(_ context.Context, params json.RawMessage) (any, error) { return params, nil }

func echoes() script {
	return script{calls: map[string]func(context.Context, json.RawMessage) (any, error){"echo": echo}}
}

// got is any message as a peer sees it.
type got struct {
	ID     any             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	} `json:"error"`
}

// brief is a message in a form that a table can hold.
func (g got) brief() string {
	switch {
	case g.Method != "":
		return fmt.Sprintf("%s %s", g.Method, g.Params)
	case g.Error != nil:
		return fmt.Sprintf("%v error %d", g.ID, g.Error.Code)
	default:
		return fmt.Sprintf("%v %s", g.ID, g.Result)
	}
}

// peer is the other end of a served connection, byte by byte, over real pipes.
type peer struct {
	tb   testing.TB
	conn *Conn
	in   *os.File // what the connection reads
	out  *bufio.Reader
	outR *os.File
	run  chan error
	msgs chan got
	logs *logBook
}

type logBook struct {
	mu    sync.Mutex
	lines []string
}

func (l *logBook) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

func (l *logBook) contains(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(strings.Join(l.lines, "\n"), s)
}

// serve starts a connection whose peer is the test. Nothing reads what it says until the
// test does, or calls listen.
func serve(tb testing.TB, h Handler, o Options) *peer {
	tb.Helper()
	inR, inW, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	p := &peer{tb: tb, in: inW, outR: outR, out: bufio.NewReaderSize(outR, 64<<10), run: make(chan error, 1), logs: &logBook{}}
	if o.Log == nil {
		o.Log = p.logs.add
	}
	p.conn = New(inR, outW, h, o)
	go func() { p.run <- p.conn.Run(context.Background()) }()
	tb.Cleanup(func() {
		_ = p.conn.Close()
		_ = inW.Close()
		_ = outR.Close()
	})
	return p
}

// listen reads in the background, so that the test can wait with a limit.
func (p *peer) listen() *peer {
	p.msgs = make(chan got, 1<<16)
	go func() {
		defer close(p.msgs)
		for {
			m, err := readMessage(p.out)
			if err != nil {
				return
			}
			p.msgs <- m
		}
	}()
	return p
}

func readBody(r *bufio.Reader) ([]byte, error) {
	header, err := textproto.NewReader(r).ReadMIMEHeader()
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(header.Get("Content-Length"))
	if err != nil {
		return nil, err
	}
	body := make([]byte, n)
	_, err = io.ReadFull(r, body)
	return body, err
}

func readMessage(r *bufio.Reader) (got, error) {
	body, err := readBody(r)
	if err != nil {
		return got{}, err
	}
	var g got
	return g, json.Unmarshal(body, &g)
}

func frame(body string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body) }

func call(id int, method, params string) string {
	return frame(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, id, method, params))
}

func notification(method, params string) string {
	return frame(fmt.Sprintf(`{"jsonrpc":"2.0","method":%q,"params":%s}`, method, params))
}

func (p *peer) send(raw string) {
	p.tb.Helper()
	if _, err := io.WriteString(p.in, raw); err != nil {
		p.tb.Fatalf("send: %v", err)
	}
}

// recv returns the next message; it needs listen.
func (p *peer) recv() got {
	p.tb.Helper()
	select {
	case m, ok := <-p.msgs:
		if !ok {
			p.tb.Fatal("the connection ended; a message was expected")
		}
		return m
	case <-time.After(patience):
		p.tb.Fatal("no message came")
	}
	return got{}
}

func (p *peer) expect(want string) {
	p.tb.Helper()
	if m := p.recv(); m.brief() != want {
		detail := ""
		if m.Error != nil {
			detail = " (" + m.Error.Message + ")"
		}
		p.tb.Fatalf("got %s%s, want %s", m.brief(), detail, want)
	}
}

// alive checks that the connection still serves.
func (p *peer) alive() {
	p.tb.Helper()
	p.send(call(4711, "echo", `{"alive":true}`))
	p.expect(`4711 {"alive":true}`)
}

// end closes the input and returns what Run did.
func (p *peer) end() error {
	p.tb.Helper()
	_ = p.in.Close()
	return p.ended()
}

func (p *peer) ended() error {
	p.tb.Helper()
	select {
	case err := <-p.run:
		return err
	case <-time.After(patience):
		p.tb.Fatal("Run did not return")
		return errors.New("unreachable")
	}
}

// couple joins two connections.
func couple(tb testing.TB, left, right Handler, o Options) (*Conn, *Conn) {
	tb.Helper()
	lr, rw, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	rr, lw, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	l, r := New(lr, lw, left, o), New(rr, rw, right, o)
	var wg sync.WaitGroup
	for _, c := range []*Conn{l, r} {
		wg.Go(func() { _ = c.Run(context.Background()) })
	}
	tb.Cleanup(func() {
		_ = l.Close()
		_ = r.Close()
		wg.Wait()
	})
	return l, r
}

func happens(tb testing.TB, what string, done <-chan struct{}) {
	tb.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		tb.Fatalf("%s did not happen", what)
	}
}

func ctxFor(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	tb.Cleanup(cancel)
	return ctx
}

func waitFor(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline, again := time.After(patience), time.NewTicker(time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-again.C:
		case <-deadline:
			tb.Fatalf("waited in vain for %s", what)
		}
	}
}
