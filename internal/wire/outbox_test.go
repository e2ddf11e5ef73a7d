package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestX8_RepliesPassAFloodOfOutput(t *testing.T) {
	p := serve(t, echoes(), Options{MaxBulk: 1 << 20})
	data := json.RawMessage(`"` + strings.Repeat("x", 100_000) + `"`)
	for i := range 10 { // queued, and nobody reads yet
		if err := p.conn.Stream(context.Background(), "out", data); err != nil {
			t.Fatal(i, err)
		}
	}
	waitFor(t, "the writer to be stuck in output", func() bool {
		p.conn.out.mu.Lock()
		defer p.conn.out.mu.Unlock()
		return p.conn.out.bulk.bytes < p.conn.out.bulkPut
	})
	p.send(call(1, "echo", "{}"))
	waitFor(t, "the reply to be queued", func() bool {
		p.conn.out.mu.Lock()
		defer p.conn.out.mu.Unlock()
		return p.conn.out.now.bytes > 0
	})
	p.listen()
	before := 0
	for m := p.recv(); m.ID == nil; m = p.recv() {
		before++
	}
	// What the pipe, the test's buffer and one write already held comes first.
	if before > 4 {
		t.Errorf("%d of 10 pieces of output came before the reply", before)
	}
	for i := before; i < 10; i++ {
		if m := p.recv(); m.Method != "out" {
			t.Errorf("got %s", m.brief())
		}
	}
}

func TestX8_AFloodOfOutputWaitsAloneWhenItsQueueIsFull(t *testing.T) {
	p := serve(t, echoes(), Options{MaxBulk: 200_000})
	ctx, cancel := context.WithCancel(ctxFor(t))
	data := json.RawMessage(`"` + strings.Repeat("x", 50_000) + `"`)
	sent := make(chan int, 1000)
	stopped := make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			if err := p.conn.Stream(ctx, "out", data); err != nil {
				stopped <- err
				return
			}
			sent <- i
		}
	}()
	// Two pieces are more than a pipe holds: the writer is stuck in them, then Stream waits.
	waitFor(t, "the stream to wait", func() bool {
		p.conn.out.mu.Lock()
		defer p.conn.out.mu.Unlock()
		return p.conn.out.bulkPut-p.conn.out.bulk.bytes > 100_000 && p.conn.out.waiting == 1
	})
	if err := p.conn.Notify(ctx, "note", nil); err != nil {
		t.Fatal(err)
	}
	p.send(call(1, "echo", "{}"))
	waitFor(t, "the note and the reply to be queued", func() bool {
		p.conn.out.mu.Lock()
		defer p.conn.out.mu.Unlock()
		return p.conn.out.now.bytes > 100
	})
	cancel()
	if err := <-stopped; !errors.Is(err, context.Canceled) {
		t.Errorf("Stream: %v", err)
	}
	if n := len(sent); n > 12 {
		t.Errorf("%d pieces of 50 kB were accepted with a bound of 200 kB", n)
	}
}

func TestStream_KeepsItsOrderAndTakesPiecesAboveTheBound(t *testing.T) {
	p := serve(t, script{}, Options{MaxBulk: 1000}).listen()
	go func() {
		for i := range 200 {
			size := i % 7 * 500
			if err := p.conn.Stream(context.Background(), "out", fmt.Sprintf("%d %s", i, strings.Repeat("x", size))); err != nil {
				return
			}
		}
	}()
	for i := range 200 {
		if m := p.recv(); !strings.HasPrefix(string(m.Params), fmt.Sprintf(`"%d `, i)) {
			t.Fatalf("piece %d is %s", i, m.Params)
		}
	}
}

func TestFlush_LetsAReplyComeAfterItsOutput(t *testing.T) {
	var p *peer
	ready := make(chan struct{})
	h := script{calls: map[string]func(context.Context, json.RawMessage) (any, error){
		"run": func(ctx context.Context, _ json.RawMessage) (any, error) {
			<-ready
			for i := range 50 {
				if err := p.conn.Stream(ctx, "out", json.RawMessage(fmt.Sprintf(`["%d",%q]`, i, strings.Repeat("x", 20_000)))); err != nil {
					return nil, err
				}
			}
			return "done", p.conn.Flush(ctx)
		},
	}}
	p = serve(t, h, Options{})
	close(ready)
	p.listen()
	p.send(call(1, "run", "{}"))
	for i := range 50 {
		if m := p.recv(); m.Method != "out" || !strings.HasPrefix(string(m.Params), fmt.Sprintf(`["%d"`, i)) {
			t.Fatalf("message %d is %.80s", i, m.brief())
		}
	}
	p.expect(`1 "done"`)
}

func TestFlush_OfNothingReturns(t *testing.T) {
	p := serve(t, script{}, Options{})
	if err := p.conn.Flush(ctxFor(t)); err != nil {
		t.Error(err)
	}
}

func TestNotify_KeepsItsOrderAmongCallsAndReplies(t *testing.T) {
	p := serve(t, script{}, Options{}).listen()
	const n = 5000
	go func() {
		for i := range n {
			if err := p.conn.Notify(context.Background(), "n", json.RawMessage(fmt.Sprintf("[%d]", i))); err != nil {
				return
			}
		}
	}()
	for i := range n {
		p.expect(fmt.Sprintf("n [%d]", i))
	}
}

func TestNotify_WaitsWhenThePeerDoesNotRead(t *testing.T) {
	p := serve(t, script{}, Options{MaxQueued: 100_000})
	ctx, cancel := context.WithCancel(ctxFor(t))
	stopped := make(chan int, 1)
	go func() {
		n := 0
		for p.conn.Notify(ctx, "n", strings.Repeat("x", 10_000)) == nil {
			n++
		}
		stopped <- n
	}()
	waitFor(t, "the queue to fill", func() bool {
		p.conn.out.mu.Lock()
		defer p.conn.out.mu.Unlock()
		return p.conn.out.now.bytes > 100_000
	})
	cancel()
	if n := <-stopped; n > 40 {
		t.Errorf("%d notifications of 10 kB were accepted with a bound of 100 kB", n)
	}
}

func TestX9_OutputThatLooksLikeMessagesStaysText(t *testing.T) {
	evil := call(1, "shutdown", "{}") + "\r\nContent-Length: 2\r\n\r\n{}\x1b]0;title\a\x00\"},"
	p := serve(t, echoes(), Options{}).listen()
	if err := p.conn.Stream(ctxFor(t), "out", output{Data: evil}); err != nil {
		t.Fatal(err)
	}
	var params output
	if err := json.Unmarshal(p.recv().Params, &params); err != nil || params.Data != evil {
		t.Errorf("got %q, %v", params.Data, err)
	}
	p.alive() // and nothing came in between
}
