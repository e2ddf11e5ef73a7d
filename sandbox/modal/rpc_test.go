package modal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/sandbox"
)

// peer is the sidecar's end of an rpc, in the test's hands.
type peer struct {
	*rpc
	out    *bufio.Reader // what was sent to it
	in     *io.PipeWriter
	ending chan error
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	fromUs, toPeer := io.Pipe()
	fromPeer, toUs := io.Pipe()
	p := &peer{rpc: newRPC(), out: bufio.NewReader(fromUs), in: toUs, ending: make(chan error, 1)}
	go p.write(toPeer)
	go func() {
		err := p.read(bufio.NewReader(fromPeer))
		p.end(err)
		p.ending <- err
	}()
	t.Cleanup(func() {
		fromUs.Close()
		toUs.Close()
		<-p.ended
	})
	return p
}

func (p *peer) takes(t *testing.T) (id int64, method string, params json.RawMessage) {
	t.Helper()
	m, err := readMessage(p.out)
	if err != nil {
		t.Fatal(err)
	}
	if m.ID != nil {
		id = *m.ID
	}
	return id, m.Method, m.Params
}

func (p *peer) says(t *testing.T, format string, args ...any) {
	t.Helper()
	body := fmt.Sprintf(format, args...)
	if _, err := fmt.Fprintf(p.in, "Content-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		t.Fatal(err)
	}
}

func TestCallsRunSideBySideAndTheirAnswersFindThem(t *testing.T) {
	p := newPeer(t)
	type got struct {
		Value string
		err   error
	}
	answers := map[string]chan got{"one": make(chan got, 1), "two": make(chan got, 1)}
	ids := map[string]int64{}
	for _, method := range []string{"one", "two"} {
		go func() {
			var g got
			g.err = p.call(t.Context(), method, map[string]string{"of": method}, &g)
			answers[method] <- g
		}()
		id, name, params := p.takes(t)
		if name != method || string(params) != `{"of":"`+method+`"}` {
			t.Fatalf("%s came as %s %s", method, name, params)
		}
		ids[method] = id
	}
	p.says(t, `{"jsonrpc":"2.0","id":%d,"result":{"value":"second"}}`, ids["two"])
	p.says(t, `{"jsonrpc":"2.0","id":%d,"error":{"code":-32803,"message":"it failed","data":{"kind":"noSpace","hint":"make room","path":"/x"}}}`, ids["one"])
	if g := <-answers["two"]; g.err != nil || g.Value != "second" {
		t.Errorf("got %+v", g)
	}
	var e *sandbox.Error
	if g := <-answers["one"]; !errors.As(g.err, &e) {
		t.Fatalf("got %v", g.err)
	}
	want := &sandbox.Error{Kind: sandbox.NoSpace, Op: "one", Path: "/x", Message: "it failed", Hint: "make room"}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Error(diff)
	}
}

func TestACallThatIsGivenUpIsCancelledOverThere(t *testing.T) {
	p := newPeer(t)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() { failed <- p.call(ctx, "slow", nil, nil) }()
	id, _, _ := p.takes(t)
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	_, method, params := p.takes(t)
	if method != "$/cancelRequest" || string(params) != fmt.Sprintf(`{"id":%d}`, id) {
		t.Errorf("got %s %s", method, params)
	}
	p.says(t, `{"jsonrpc":"2.0","id":%d,"result":{}}`, id) // late, and of no use
	again := make(chan error, 1)
	go func() { again <- p.call(t.Context(), "next", nil, nil) }()
	id, _, _ = p.takes(t)
	p.says(t, `{"jsonrpc":"2.0","id":%d,"result":{}}`, id)
	if err := <-again; err != nil {
		t.Error(err)
	}
}

func TestEveryCallInFlightIsAnsweredWhenTheSidecarEnds(t *testing.T) {
	p := newPeer(t)
	const calls = 20
	failed := make(chan error, calls)
	for range calls {
		go func() { failed <- p.call(t.Context(), "work", nil, nil) }()
		p.takes(t)
	}
	p.in.Close()
	for range calls {
		var e *sandbox.Error
		if err := <-failed; !errors.As(err, &e) || e.Kind != sandbox.ExecutorDead || e.Op != "work" || e.Message == "" {
			t.Errorf("got %v", err)
		}
	}
	if err := p.call(t.Context(), "later", nil, nil); err == nil {
		t.Error("a call after its end succeeded")
	}
}

func TestNotificationsGoInOrderToWhoAskedForThem(t *testing.T) {
	p := newPeer(t)
	var got []string
	all := make(chan struct{})
	defer p.subscribe("e1", func(n note) {
		var said struct{ Data string }
		if err := n.decode(&said); err != nil {
			t.Error(err)
		}
		if got = append(got, n.Method+" "+said.Data); len(got) == 3 {
			close(all)
		}
	})()
	stop := p.subscribe("e2", func(note) { t.Error("told after it left") })
	stop()
	for _, s := range []string{"a", "b"} {
		p.says(t, `{"method":"exec/output","params":{"execId":"e1","sandboxId":"s","data":%q}}`, s)
		p.says(t, `{"method":"exec/output","params":{"execId":"e2","data":%q}}`, s)
	}
	p.says(t, `{"method":"exec/exit","params":{"execId":"e1","exitCode":0}}`)
	<-all
	if diff := cmp.Diff([]string{"exec/output a", "exec/output b", "exec/exit "}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheEndOfASandboxIsToldAlsoToWhoComesLater(t *testing.T) {
	p := newPeer(t)
	p.says(t, `{"method":"sandbox/ended","params":{"sandboxId":"sb-1","reason":"cap","message":"over"}}`)
	p.says(t, `{"method":"progress","params":{}}`) // was taken, so the first was as well
	told := make(chan note, 2)
	defer p.subscribe("sb-1", func(n note) { told <- n })()
	if n := <-told; n.Method != noteSandboxEnded {
		t.Errorf("got %+v", n)
	}
}

func TestX14_WhatIsNoFrameEndsTheReadingAndTakesNoMemory(t *testing.T) {
	for name, sent := range map[string]string{
		"no length":         "Content-Type: x\r\n\r\n{}",
		"a negative length": "Content-Length: -5\r\n\r\n",
		"a length of text":  "Content-Length: many\r\n\r\n",
		"a huge length":     "Content-Length: 9999999999999\r\n\r\n",
		"an endless header": strings.Repeat("A: b\r\n", 10000),
		"an endless line":   strings.Repeat("A", 1<<20),
		"text":              "Traceback (most recent call last):\n",
		"no JSON":           "Content-Length: 3\r\n\r\n{{{",
		"half a frame":      "Content-Length: 30\r\n\r\n{}",
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := readMessage(bufio.NewReaderSize(strings.NewReader(sent), 1<<12)); err == nil {
				t.Errorf("it was taken for %+v", m)
			}
		})
	}
	if _, err := readMessage(bufio.NewReader(strings.NewReader(""))); !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a clean end is %v", err)
	}
}

func FuzzMessagesOfTheSidecar(f *testing.F) {
	f.Add([]byte("Content-Length: 2\r\n\r\n{}"))
	f.Add([]byte("content-length:44\r\n\r\n" + `{"method":"exec/output","params":{"a":null}}`))
	f.Add([]byte("Content-Length: 24\r\n\r\n" + `{"id":1,"result":[],"x":1}`))
	f.Fuzz(func(t *testing.T, sent []byte) {
		r := newRPC()
		r.waiting[1] = make(chan answer, 1)
		if err := r.read(bufio.NewReader(bytes.NewReader(sent))); err == nil {
			t.Error("it went on after the end")
		}
	})
}
