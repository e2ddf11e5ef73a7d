package agent

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"glue-lsp/sandbox"
)

// cutOff gives a client whose stream is lost and comes back when back is closed.
func cutOff(t *testing.T, patience time.Duration) (c *Client, back chan struct{}) {
	t.Helper()
	a, conn := startAgent(t, nil)
	back = make(chan struct{})
	tried := make(chan struct{}, 1)
	c, err := Dial(testContext(t), conn, Options{Patience: patience, Redial: func(ctx context.Context) (io.ReadWriteCloser, error) {
		select {
		case tried <- struct{}{}:
		default:
		}
		select {
		case <-back:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return DialSocket(a.socket)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Detach() })
	conn.Close()
	<-tried
	return c, back
}

func TestF28_ACallWaitsForALostStreamAsLongAsItIsTold(t *testing.T) {
	c, back := cutOff(t, time.Hour)
	answered := make(chan error, 1)
	go func() { answered <- c.Ping(testContext(t)) }()
	close(back)
	if err := <-answered; err != nil {
		t.Error(err)
	}

	c, _ = cutOff(t, time.Millisecond)
	if err := c.Ping(testContext(t)); err == nil || !strings.Contains(err.Error(), "not back yet") {
		t.Errorf("without patience: %v", err)
	}
}

func TestF28_WhoeverWaitsForALostStreamIsAnsweredWhenTheSandboxIsGoneOrTheCallCancelled(t *testing.T) {
	c, _ := cutOff(t, time.Hour)
	ctx, cancel := context.WithCancel(testContext(t))
	answered := make(chan error, 2)
	go func() { answered <- c.Ping(ctx) }()
	cancel()
	if err := <-answered; err == nil || ctx.Err() == nil {
		t.Errorf("cancelled: %v", err)
	}
	go func() { answered <- c.Ping(testContext(t)) }()
	c.Fail(&sandbox.Error{Kind: sandbox.ExecutorDead, Op: "sandbox", Message: "its time was over"})
	if err := <-answered; err == nil || !strings.Contains(err.Error(), "its time was over") {
		t.Errorf("gone: %v", err)
	}
}
