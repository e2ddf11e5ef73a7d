package handlers

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// values are the progress values of a token, in order.
func (c *testClient) values(token string) []any {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []any
	for _, m := range c.messages {
		if m.method != "$/progress" {
			continue
		}
		p := into[struct{ Token, Value any }](c.t, m.params)
		if p.Token == token {
			out = append(out, p.Value)
		}
	}
	return out
}

func TestProgressUnderTheRequestsToken(t *testing.T) {
	now := time.Unix(0, 0)
	c := connect(t, Options{Now: func() time.Time { return now }})
	c.initialize(`{"capabilities":{}}`)
	p := c.server.withToken([]byte(`"t1"`), "Working")
	p.report("one", -1)
	p.report("one", 10) // too soon, says nothing new
	p.report("two\x1b[1m", 40)
	p.report("three", 20) // percentages never go back
	now = now.Add(time.Second)
	p.report("three", 200)
	p.end("done")
	p.end("twice")
	p.report("late", -1)
	c.call("glue/doctor", `{}`)
	want := `[{"kind":"begin","title":"Working"},{"kind":"report","message":"one"},{"kind":"report","message":"two","percentage":40},
		{"kind":"report","message":"three","percentage":40},{"kind":"report","message":"three","percentage":100},{"kind":"end","message":"done"}]`
	if diff := cmp.Diff(into[any](t, json.RawMessage(want)), any(c.values("t1"))); diff != "" {
		t.Error(diff)
	}
	nobody := c.server.withToken(nil, "x")
	nobody.report("x", 1)
	nobody.end("x")
	if c.server.withToken([]byte(`{"a":1}`), "x") != nil {
		t.Error("an object was taken for a token")
	}
}

func TestQuickWorkShowsNoProgress(t *testing.T) {
	c := connect(t, Options{})
	ticks := make(chan time.Time)
	c.server.o.After = func(time.Duration) <-chan time.Time { return ticks }
	c.initialize(`{"capabilities":{"window":{"workDoneProgress":true}}}`)
	ctx, cancel := context.WithCancel(testContext(t))
	p := c.server.onItsOwn(ctx, "Quick", cancel)
	p.report("x", -1)
	p.end("")
	ticks <- time.Time{} // the delay is over after the work was
	cancel()
	c.call("glue/doctor", `{}`)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.messages {
		if m.method == "window/workDoneProgress/create" || m.method == "$/progress" {
			t.Errorf("%s %s", m.method, m.params)
		}
	}
}

func TestProgressBeginsWithWhatWasReportedMeanwhile(t *testing.T) {
	c := connect(t, Options{})
	ticks := make(chan time.Time)
	c.server.o.After = func(d time.Duration) <-chan time.Time {
		if d == progressDelay {
			return ticks
		}
		return nil
	}
	c.initialize(`{"capabilities":{"window":{"workDoneProgress":true}}}`)
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	p := c.server.onItsOwn(ctx, "Slow", cancel)
	p.report("phase", 5)
	ticks <- time.Time{}
	c.await("$/progress", contains(`"begin"`))
	p.end("")
	c.call("glue/doctor", `{}`)
	want := `[{"kind":"begin","title":"Slow","cancellable":true,"message":"phase","percentage":5},{"kind":"end"}]`
	if diff := cmp.Diff(into[any](t, json.RawMessage(want)), any(c.values("glue-1"))); diff != "" {
		t.Error(diff)
	}
}

func TestTokensOfEitherTypeHaveOneName(t *testing.T) {
	for raw, want := range map[string]string{`"a\u0062"`: "ab", `7`: "7", `"7"`: "7"} {
		if got := tokenName([]byte(raw)); got != want {
			t.Errorf("%s is %q", raw, got)
		}
	}
}
