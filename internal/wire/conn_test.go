package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNotifications_AreServedInOrderAndBeforeTheCallAfterThem(t *testing.T) {
	const n = 20_000
	var mu sync.Mutex
	var seen []string
	h := script{
		notify: func(_ context.Context, _ string, params json.RawMessage) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, string(params))
		},
		calls: map[string]func(context.Context, json.RawMessage) (any, error){
			"count": func(context.Context, json.RawMessage) (any, error) {
				mu.Lock()
				defer mu.Unlock()
				return len(seen), nil
			},
		},
	}
	p := serve(t, h, Options{MaxCalls: n}).listen()
	go func() {
		var b strings.Builder
		for i := range n {
			b.WriteString(notification("didChange", fmt.Sprintf("[%d]", i)))
			b.WriteString(call(i, "count", "{}"))
		}
		_, _ = io.WriteString(p.in, b.String())
	}()
	for range n {
		m := p.recv()
		var count int
		if err := json.Unmarshal(m.Result, &count); err != nil {
			t.Fatal(m.brief(), err)
		}
		if id := int(m.ID.(float64)); count <= id {
			t.Fatalf("call %d started after %d notifications only", id, count)
		}
	}
	for i, params := range seen {
		if params != fmt.Sprintf("[%d]", i) {
			t.Fatalf("notification %d is %s", i, params)
		}
	}
}

func TestCalls_Overlap(t *testing.T) {
	first, second := make(chan struct{}), make(chan struct{})
	h := script{calls: map[string]func(context.Context, json.RawMessage) (any, error){
		"slow": func(context.Context, json.RawMessage) (any, error) { close(first); <-second; return "slow", nil },
		"fast": func(context.Context, json.RawMessage) (any, error) { <-first; return "fast", nil },
	}}
	p := serve(t, h, Options{}).listen()
	p.send(call(1, "slow", "{}") + call(2, "fast", "{}"))
	p.expect(`2 "fast"`)
	close(second)
	p.expect(`1 "slow"`)
}

func TestCancel_AnswersAtOnceEvenIfTheHandlerHangs(t *testing.T) {
	release, late := make(chan struct{}), make(chan error, 1)
	h := echoes()
	h.calls["hang"] = func(ctx context.Context, _ json.RawMessage) (any, error) {
		<-release
		late <- ctx.Err()
		return "too late", nil
	}
	p := serve(t, h, Options{}).listen()
	for _, id := range []string{`1`, `"one"`} {
		p.send(frame(`{"jsonrpc":"2.0","id":` + id + `,"method":"hang"}`))
		p.send(notification("$/cancelRequest", `{"id":`+id+`}`))
		p.expect(strings.Trim(id, `"`) + " error -32800")
	}
	close(release)
	for range 2 {
		if err := <-late; !errors.Is(err, context.Canceled) {
			t.Errorf("the handler's context says %v", err)
		}
	}
	p.alive() // and no late answer came before this one
}

func TestCancel_OfAnAnsweredCallIsNothing(t *testing.T) {
	p := serve(t, echoes(), Options{}).listen()
	p.alive()
	p.send(notification("$/cancelRequest", `{"id":4711}`))
	p.alive()
}

func TestErrors_KeepTheirCodeAndDataUnderMoreWords(t *testing.T) {
	h := script{calls: map[string]func(context.Context, json.RawMessage) (any, error){
		"plain": func(context.Context, json.RawMessage) (any, error) { return nil, errors.New("it broke") },
		"coded": func(context.Context, json.RawMessage) (any, error) {
			return nil, fmt.Errorf("open: %w", &Error{Code: RequestFailed, Message: "no such file", Data: map[string]string{"kind": "fileNotFound"}})
		},
		"badText": func(context.Context, json.RawMessage) (any, error) { return nil, errors.New("name \xff\n") },
	}}
	client, _ := couple(t, script{}, h, Options{})
	want := map[string]Error{
		"plain":   {Code: InternalError, Message: "it broke"},
		"coded":   {Code: RequestFailed, Message: "open: no such file", Data: json.RawMessage(`{"kind":"fileNotFound"}`)},
		"badText": {Code: InternalError, Message: "name \uFFFD\n"},
		"none":    {Code: MethodNotFound, Message: `method "none" is not known here`},
	}
	for method, want := range want {
		err := client.Call(ctxFor(t), method, nil, nil)
		got, ok := errors.AsType[*Error](err)
		if !ok {
			t.Fatalf("%s: %v is no *Error", method, err)
		}
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("%s: %s", method, diff)
		}
	}
}

func TestDuplicateIDs_TheSecondIsRefusedWhileTheFirstRuns(t *testing.T) {
	release := make(chan struct{})
	h := echoes()
	h.calls["wait"] = func(context.Context, json.RawMessage) (any, error) { <-release; return "first", nil }
	p := serve(t, h, Options{}).listen()
	p.send(call(4711, "wait", "{}") + call(4711, "echo", "{}"))
	p.expect("4711 error -32600")
	close(release)
	p.expect(`4711 "first"`)
	p.alive() // the id is free again
}

func TestMaxCalls_MoreAreRefusedUntilOneEnds(t *testing.T) {
	release := make(chan struct{})
	h := echoes()
	h.calls["wait"] = func(context.Context, json.RawMessage) (any, error) { <-release; return nil, nil }
	p := serve(t, h, Options{MaxCalls: 2}).listen()
	p.send(call(1, "wait", "{}") + call(2, "wait", "{}") + call(3, "echo", "{}") + call(4, "echo", "{}"))
	p.expect("3 error -32802")
	p.expect("4 error -32802")
	p.send(notification("$/cancelRequest", `{"id":1}`)) // is still heard
	p.expect("1 error -32800")
	p.send(call(5, "echo", "{}")) // and its handler still counts
	p.expect("5 error -32802")
	close(release)
	p.expect("2 null")
	p.alive()
}

func TestBursts_AboveMaxCallsAreServedWhole(t *testing.T) {
	const n = 5000
	p := serve(t, echoes(), Options{MaxCalls: 4}).listen()
	go func() {
		for i := range n {
			if _, err := io.WriteString(p.in, call(i, "echo", "{}")); err != nil {
				return
			}
		}
	}()
	for range n {
		if m := p.recv(); m.Error != nil {
			t.Fatal(m.brief())
		}
	}
}

func TestCall_GivingUpTellsThePeer(t *testing.T) {
	cancelled := make(chan struct{})
	started := make(chan struct{})
	h := script{calls: map[string]func(context.Context, json.RawMessage) (any, error){
		"wait": func(ctx context.Context, _ json.RawMessage) (any, error) {
			close(started)
			<-ctx.Done()
			close(cancelled)
			return nil, ctx.Err()
		},
	}}
	client, _ := couple(t, script{}, h, Options{})
	ctx, cancel := context.WithCancel(ctxFor(t))
	go func() { <-started; cancel() }()
	if err := client.Call(ctx, "wait", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Call: %v", err)
	}
	happens(t, "the handler's cancellation", cancelled)
}

func TestCall_BothEndsAskAtOnce(t *testing.T) {
	var left, right *Conn
	ask := func(other **Conn) script {
		return script{calls: map[string]func(context.Context, json.RawMessage) (any, error){
			"down": func(ctx context.Context, params json.RawMessage) (any, error) {
				var n int
				if err := json.Unmarshal(params, &n); err != nil || n == 0 {
					return 0, err
				}
				var sum int
				err := (*other).Call(ctx, "down", n-1, &sum)
				return sum + n, err
			},
		}}
	}
	left, right = couple(t, ask(&left), ask(&right), Options{})
	var sum int
	if err := left.Call(ctxFor(t), "down", 20, &sum); err != nil || sum != 210 {
		t.Errorf("got %d, %v", sum, err)
	}
}

func TestCall_SettlesWhateverThePeerAnswers(t *testing.T) {
	answers := map[string]string{
		`{"jsonrpc":"2.0","id":1,"error":"text"}`:                                    "malformed",
		`{"jsonrpc":"2.0","id":1,"error":{"code":99999999999,"message":"x"}}`:        "malformed",
		`{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":"x"}}`:       "malformed",
		`{"jsonrpc":"2.0","id":1,"result":"text"}`:                                   "decode the answer to ask",
		`{"jsonrpc":"2.0","id":1,"error":{"code":-32803,"message":"no","data":[1]}}`: "no",
	}
	for answer, want := range answers {
		p := serve(t, script{}, Options{}).listen()
		done := make(chan error, 1)
		go func() {
			var n int
			done <- p.conn.Call(ctxFor(t), "ask", nil, &n)
		}()
		p.recv()
		p.send(frame(answer))
		if err := <-done; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gave %v", answer, err)
		}
	}
}

func TestTrace_SeesBothDirections(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	p := serve(t, echoes(), Options{Trace: func(dir string, body []byte) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, dir+" "+string(body))
	}}).listen()
	p.send(call(1, "echo", "[1]"))
	p.expect("1 [1]")
	mu.Lock()
	defer mu.Unlock()
	want := []string{
		`in {"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}`,
		`out {"jsonrpc":"2.0","id":1,"result":[1]}`,
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

func TestParams_BelongToTheHandler(t *testing.T) {
	var kept []json.RawMessage
	h := echoes()
	h.notify = func(_ context.Context, _ string, params json.RawMessage) {
		kept = append(kept, params)
	}
	p := serve(t, h, Options{}).listen()
	for i := range 500 {
		p.send(notification("n", fmt.Sprintf(`["%d %s"]`, i, strings.Repeat("x", i))))
	}
	p.alive()
	for i, params := range kept {
		if want := fmt.Sprintf(`["%d %s"]`, i, strings.Repeat("x", i)); string(params) != want {
			t.Fatalf("params %d became %s", i, params)
		}
	}
}
