package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// row is what a peer sends and what comes back.
type row struct {
	send string
	want []string
}

// survives plays each row against a connection of its own, which must serve the next
// requests as if nothing had happened and end without an error.
func survives(t *testing.T, rows map[string]row) {
	t.Helper()
	for name, c := range rows {
		t.Run(name, func(t *testing.T) {
			p := serve(t, mishaps(), Options{MaxBody: 8 << 20}).listen()
			p.send(c.send)
			for _, want := range c.want {
				p.expect(want)
			}
			p.alive()
			p.alive()
			if err := p.end(); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
}

// mishaps is a handler with all that can go wrong in one.
func mishaps() script {
	h := echoes()
	h.calls["panic"] = func(context.Context, json.RawMessage) (any, error) { panic("on purpose") }
	h.calls["chan"] = func(context.Context, json.RawMessage) (any, error) { return make(chan int), nil }
	h.calls["badJSON"] = func(context.Context, json.RawMessage) (any, error) { return badMarshaler{}, nil }
	h.calls["badData"] = func(context.Context, json.RawMessage) (any, error) {
		return nil, &Error{Code: RequestFailed, Message: "no", Data: make(chan int)}
	}
	h.notify = func(_ context.Context, method string, _ json.RawMessage) {
		if method == "panic" {
			panic("on purpose")
		}
	}
	return h
}

func TestX14_HugeLengthsAreSkipped(t *testing.T) {
	survives(t, map[string]row{
		"a gigabyte announced":          {"Content-Length: 1073741824\r\n\r\n{}", []string{"<nil> error -32600"}},
		"more than there is memory":     {"Content-Length: 9223372036854775807\r\n\r\n{}", []string{"<nil> error -32600"}},
		"more than a number holds":      {"Content-Length: 18446744073709551616\r\n\r\n{}", []string{"<nil> error -32700"}},
		"less than nothing":             {"Content-Length: -5\r\n\r\n{}", []string{"<nil> error -32700"}},
		"no length":                     {"Content-Type: application/vscode-jsonrpc\r\n\r\n{}", []string{"<nil> error -32700"}},
		"a length that is too short":    {"Content-Length: 10\r\n\r\n" + `{"jsonrpc":"2.0","id":1,"method":"echo"}`, []string{"<nil> error -32700"}},
		"a large call names its caller": {call(7, "echo", `"`+strings.Repeat("x", 9<<20)+`"`), []string{"7 error -32600"}},
		"no header at all":              {strings.Repeat("x", 100_000) + "\n", []string{"<nil> error -32700"}},
		"a shell's greeting":            {"Welcome to Debian!\r\n", nil},
	})
}

func TestX14_BadJSONIsAnswered(t *testing.T) {
	deep := strings.Repeat("[", 500) + strings.Repeat("]", 500)
	survives(t, map[string]row{
		"malformed JSON":                      {frame(`{"jsonrpc":"2.0","id":1,`), []string{"<nil> error -32700"}},
		"malformed JSON inside params":        {frame(`{"jsonrpc":"2.0","id":1,"method":"echo","params":{"a":}}`), []string{"<nil> error -32700"}},
		"brackets that only balance":          {frame(`{"jsonrpc":"2.0","id":1,"method":"echo","params":[1 2}}`), []string{"<nil> error -32700"}},
		"an empty body":                       {frame(""), []string{"<nil> error -32700"}},
		"white space":                         {frame(" \r\n "), []string{"<nil> error -32700"}},
		"two values in a frame":               {frame(`{} {}`), []string{"<nil> error -32700"}},
		"a byte order mark":                   {frame("\uFEFF" + `{"jsonrpc":"2.0","id":1,"method":"echo"}`), []string{"<nil> error -32700"}},
		"a NUL":                               {frame("\x00"), []string{"<nil> error -32700"}},
		"JSON deeper than any stack":          {frame(`{"jsonrpc":"2.0","id":1,"method":"echo","params":` + deep + `}`), []string{"1 error -32600"}},
		"unclosed JSON deeper than any stack": {frame(strings.Repeat(`{"a":[`, 1_000_000)), []string{"<nil> error -32600"}},
	})
}

func TestX14_BadUTF8IsAnswered(t *testing.T) {
	survives(t, map[string]row{
		"broken UTF-8 in params":   {frame("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":[\"\xff\"]}"), []string{"1 error -32700"}},
		"broken UTF-8 in a method": {frame("{\"jsonrpc\":\"2.0\",\"method\":\"\xc3\x28\"}"), []string{"<nil> error -32700"}},
		"a lone surrogate, escaped, as editors send it": {
			frame(`{"jsonrpc":"2.0","id":1,"method":"echo","params":["\ud800"]}`),
			[]string{`1 ["\ud800"]`},
		},
	})
}

func TestX14_UnknownNotificationsAreSilentAndUnknownCallsAreNot(t *testing.T) {
	survives(t, map[string]row{
		"an unknown method":                         {call(1, "no/such", "{}"), []string{"1 error -32601"}},
		"an unknown optional method":                {call(1, "$/no/such", "{}"), []string{"1 error -32601"}},
		"an unknown notification":                   {notification("no/such", "{}"), nil},
		"an unknown notification, no params":        {frame(`{"jsonrpc":"2.0","method":"no/such"}`), nil},
		"an unknown optional notification":          {notification("$/no/such", "[1]"), nil},
		"an answer to nothing":                      {frame(`{"jsonrpc":"2.0","id":99,"result":{}}`), nil},
		"an answer to nothing, by name":             {frame(`{"jsonrpc":"2.0","id":"x","result":null}`), nil},
		"an error without id":                       {frame(`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}`), nil},
		"an answer without sense":                   {frame(`{"jsonrpc":"2.0","id":99,"error":"no"}`), nil},
		"a cancel of nothing":                       {notification("$/cancelRequest", `{"id":99}`), nil},
		"a cancel of nonsense":                      {notification("$/cancelRequest", `"x"`), nil},
		"a cancel without params":                   {frame(`{"jsonrpc":"2.0","method":"$/cancelRequest"}`), nil},
		"a call of $/cancelRequest":                 {call(1, "$/cancelRequest", `{"id":1}`), []string{"1 error -32601"}},
		"a method name that is a text of megabytes": {call(1, strings.Repeat("x", 2<<20), "{}"), []string{"1 error -32601"}},
	})
}

func TestX14_WrongTypesAreAnswered(t *testing.T) {
	survives(t, map[string]row{
		"a number":                        {frame(`1`), []string{"<nil> error -32600"}},
		"null":                            {frame(`null`), []string{"<nil> error -32600"}},
		"an empty object":                 {frame(`{}`), []string{"<nil> error -32600"}},
		"a batch":                         {frame(`[{"jsonrpc":"2.0","id":1,"method":"echo"}]`), []string{"<nil> error -32600"}},
		"an empty batch":                  {frame(`[]`), []string{"<nil> error -32600"}},
		"no version":                      {frame(`{"id":1,"method":"echo"}`), []string{"1 error -32600"}},
		"another version":                 {frame(`{"jsonrpc":"1.0","id":"a","method":"echo"}`), []string{"a error -32600"}},
		"a version that is a number":      {frame(`{"jsonrpc":2.0,"id":1,"method":"echo"}`), []string{"1 error -32600"}},
		"a method that is a number":       {frame(`{"jsonrpc":"2.0","id":1,"method":7}`), []string{"1 error -32600"}},
		"an id that is an object":         {frame(`{"jsonrpc":"2.0","id":{},"method":"echo"}`), []string{"<nil> error -32600"}},
		"an id that is a fraction":        {frame(`{"jsonrpc":"2.0","id":1.5,"method":"echo"}`), []string{"<nil> error -32600"}},
		"an id that is true":              {frame(`{"jsonrpc":"2.0","id":true,"method":"echo"}`), []string{"<nil> error -32600"}},
		"an id that is null":              {frame(`{"jsonrpc":"2.0","id":null,"method":"echo"}`), []string{"<nil> error -32600"}},
		"an id beyond 64 bits":            {frame(`{"jsonrpc":"2.0","id":99999999999999999999,"method":"echo"}`), []string{"<nil> error -32600"}},
		"a request that is also a result": {frame(`{"jsonrpc":"2.0","id":1,"method":"echo","result":1}`), []string{"1 error -32600"}},
		"an id that is an empty string":   {frame(`{"jsonrpc":"2.0","id":"","method":"echo"}`), []string{" null"}},
		"params that are null":            {frame(`{"jsonrpc":"2.0","id":1,"method":"echo","params":null}`), []string{"1 null"}},
	})
}

func TestX14_PanicsAndBadResultsStayInTheirRequest(t *testing.T) {
	survives(t, map[string]row{
		"a panic in a call":                     {call(1, "panic", "{}"), []string{"1 error -32603"}},
		"a panic in a notification":             {notification("panic", "{}"), nil},
		"a result that cannot be encoded":       {call(1, "chan", "{}"), []string{"1 error -32603"}},
		"a result whose encoder panics":         {call(1, "badJSON", "{}"), []string{"1 error -32603"}},
		"an error whose data cannot be encoded": {call(1, "badData", "{}"), []string{"1 error -32803"}},
	})
}

type badMarshaler struct{}

func (badMarshaler) MarshalJSON() ([]byte, error) { panic("on purpose") }

func TestX14_APanicIsLoggedWithItsStack(t *testing.T) {
	h := script{calls: map[string]func(context.Context, json.RawMessage) (any, error){
		"panic": func(context.Context, json.RawMessage) (any, error) { panic("on purpose") },
	}}
	p := serve(t, h, Options{}).listen()
	p.send(call(1, "panic", "{}"))
	p.expect("1 error -32603")
	if !p.logs.contains("on purpose") || !p.logs.contains("x14_test.go") {
		t.Errorf("the log does not name the panic and its place:\n%s", p.logs.lines)
	}
}

func TestX14_HalfAFrameAtTheEndIsAQuietEnd(t *testing.T) {
	for _, half := range []string{"Content-Le", "Content-Length: 10\r\n", "Content-Length: 10\r\n\r\n", "Content-Length: 10\r\n\r\n{", "Content-Length: 1073741824\r\n\r\n{"} {
		p := serve(t, echoes(), Options{}).listen()
		p.alive()
		p.send(half)
		if err := p.end(); err != nil {
			t.Errorf("after %q Run returned %v", half, err)
		}
		for m := range p.msgs {
			if m.ID != nil {
				t.Errorf("after %q came %s", half, m.brief())
			}
		}
	}
}

func TestX14_AMillionTinyMessagesAreServedInFlatMemory(t *testing.T) {
	const n = 1_000_000
	grown := watchMemory(func(sample func()) {
		served := 0
		h := echoes()
		h.notify = func(context.Context, string, json.RawMessage) {
			if served++; served%(n/20) == 0 {
				sample()
			}
		}
		p := serve(t, h, Options{}).listen()
		burst := strings.Repeat(frame(`{"jsonrpc":"2.0","method":"n"}`), 1000)
		for range n / 1000 {
			p.send(burst)
		}
		p.alive()
		if served != n {
			t.Errorf("%d of %d notifications were served before the call after them", served, n)
		}
	})
	if grown > 64<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

func TestX14_AHundredThousandTinyCallsAreEachAnswered(t *testing.T) {
	const n = 100_000
	p := serve(t, echoes(), Options{})
	go func() {
		var b bytes.Buffer
		for i := range n {
			b.WriteString(frame(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"no/such"}`, i)))
			if b.Len() > 64<<10 || i == n-1 {
				if _, err := b.WriteTo(p.in); err != nil {
					return
				}
			}
		}
	}()
	answered := make([]bool, n)
	grown := watchMemory(func(sample func()) {
		for i := range n {
			body, err := readBody(p.out)
			if err != nil {
				t.Fatalf("after %d answers: %v", i, err)
			}
			var id, code int
			if _, err := fmt.Sscanf(string(body), `{"jsonrpc":"2.0","id":%d,"error":{"code":%d,`, &id, &code); err != nil || code != MethodNotFound || answered[id] {
				t.Fatalf("answer %d is %s", i, body)
			}
			answered[id] = true
			if i%10_000 == 0 {
				sample()
			}
		}
	})
	if grown > 256<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

func TestX14_APeerThatDoesNotReadCostsBoundedMemoryAndMayReadLater(t *testing.T) {
	const n = 1500
	var served atomic.Int64
	h := script{calls: map[string]func(context.Context, json.RawMessage) (any, error){
		"echo": func(_ context.Context, params json.RawMessage) (any, error) { served.Add(1); return params, nil },
	}}
	p := serve(t, h, Options{MaxQueued: 4 << 20, MaxCalls: 64})
	request := call(1, "echo", `"`+strings.Repeat("x", 32<<10)+`"`)
	go func() {
		for i := range n {
			if _, err := io.WriteString(p.in, strings.Replace(request, `"id":1`, fmt.Sprintf(`"id":%d`, 1+i%9), 1)); err != nil {
				return
			}
		}
	}()
	grown := watchMemory(func(sample func()) {
		waitFor(t, "the queue to fill", func() bool {
			p.conn.out.mu.Lock()
			defer p.conn.out.mu.Unlock()
			return p.conn.out.now.bytes > p.conn.out.maxNow
		})
		sample()
	})
	if grown > 64<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	if got := served.Load(); got > 1000 {
		t.Errorf("%d requests were served for a peer that reads nothing", got)
	}
	for i := range n {
		if _, err := readBody(p.out); err != nil {
			t.Fatalf("after %d of %d answers: %v", i, n, err)
		}
	}
}

// watchMemory returns by how much the heap grew at most while f ran, as seen by the samples.
func watchMemory(f func(sample func())) uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	base, peak := m.HeapInuse, uint64(0)
	f(func() {
		runtime.ReadMemStats(&m)
		if m.HeapInuse > base {
			peak = max(peak, m.HeapInuse-base)
		}
	})
	return peak
}
