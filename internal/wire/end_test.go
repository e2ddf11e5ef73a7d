package wire

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func TestEnd_CallsThatRunMayStillAnswer(t *testing.T) {
	started := make(chan struct{})
	release := make(chan struct{})
	h := script{calls: map[string]func(context.Context, json.RawMessage) (any, error){
		"wait": func(context.Context, json.RawMessage) (any, error) { close(started); <-release; return "done", nil },
	}}
	p := serve(t, h, Options{Grace: patience}).listen()
	p.send(call(1, "wait", "{}"))
	<-started
	_ = p.in.Close()
	if err := p.conn.Call(ctxFor(t), "anybody there", nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("a call to a peer that is gone: %v", err)
	}
	close(release)
	m := p.recv()
	if m.Method != "" { // the call may have gone out before the end was seen
		m = p.recv()
	}
	if m.brief() != `1 "done"` {
		t.Errorf("got %s", m.brief())
	}
	if err := p.ended(); err != nil {
		t.Error(err)
	}
}

func TestEnd_CallsThatDoNotFinishAreCancelled(t *testing.T) {
	h := script{calls: map[string]func(context.Context, json.RawMessage) (any, error){
		"wait": func(ctx context.Context, _ json.RawMessage) (any, error) { <-ctx.Done(); return nil, ctx.Err() },
	}}
	p := serve(t, h, Options{Grace: time.Millisecond}).listen()
	p.send(call(1, "wait", "{}"))
	if err := p.end(); err != nil {
		t.Error(err)
	}
	if err := p.conn.Notify(context.Background(), "late", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Notify after the end: %v", err)
	}
}

func TestClose_MayBeCalledByAHandlerAndWritesWhatIsQueued(t *testing.T) {
	var p *peer
	ready := make(chan struct{})
	p = serve(t, script{notify: func(ctx context.Context, _ string, _ json.RawMessage) {
		<-ready
		_ = p.conn.Notify(ctx, "bye", json.RawMessage(`{}`))
		_ = p.conn.Close()
	}}, Options{}).listen()
	close(ready)
	p.send(notification("exit", "{}"))
	p.expect("bye {}")
	if err := p.ended(); err != nil {
		t.Error(err)
	}
}

func TestClose_UnwindsWhateverIsUnderWay(t *testing.T) {
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	started := make(chan struct{}, 2)
	h := script{calls: map[string]func(context.Context, json.RawMessage) (any, error){
		"polite": func(ctx context.Context, _ json.RawMessage) (any, error) {
			started <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"deaf": func(context.Context, json.RawMessage) (any, error) { started <- struct{}{}; <-hold; return nil, nil },
	}}
	p := serve(t, h, Options{Grace: 10 * time.Millisecond, MaxBulk: 1})
	p.send(call(1, "polite", "{}") + call(2, "deaf", "{}"))
	<-started
	<-started
	ended := make(chan error, 2)
	go func() { ended <- p.conn.Call(context.Background(), "nobody answers", nil, nil) }()
	go func() { // more than the pipe holds: nobody reads
		for {
			if err := p.conn.Stream(context.Background(), "out", strings.Repeat("x", 100_000)); err != nil {
				ended <- err
				return
			}
		}
	}()
	_ = p.conn.Close()
	_ = p.conn.Close()
	if err := p.ended(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	}
}

func TestRun_EndsWithItsContext(t *testing.T) {
	in, feed := io.Pipe()
	defer feed.Close()
	ctx, cancel := context.WithCancel(context.Background())
	c := New(in, io.Discard, script{}, Options{})
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRun_SaysWhyItFailed(t *testing.T) {
	in, feed := io.Pipe()
	defer feed.Close()
	c := New(in, brokenWriter{}, script{}, Options{})
	if err := c.Notify(context.Background(), "hello", nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Run(context.Background()); !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "write to the peer") {
		t.Errorf("Run: %v", err)
	}
	c = New(brokenReader{}, io.Discard, script{}, Options{})
	if err := c.Run(context.Background()); !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "read from the peer") {
		t.Errorf("Run: %v", err)
	}
}

type (
	brokenWriter struct{}
	brokenReader struct{}
)

func (brokenWriter) Write([]byte) (int, error) { return 0, os.ErrPermission }
func (brokenReader) Read([]byte) (int, error)  { return 0, os.ErrPermission }
