package sandboxtest

import (
	"context"
	"strings"
	"testing"

	"glue-lsp/sandbox"
)

func deathTests(caps Caps) []test {
	tests := []test{
		{"close ends every process, and calls afterwards are executorDead", func(t *testing.T, b *box) {
			p := b.start(t, sandbox.ExecRequest{Command: "setsid sleep 1000 >/dev/null 2>&1 & echo up > sign; sleep 1000"})
			b.appears(t, b.at("sign"))
			waited := make(chan error, 1)
			go func() {
				_, err := p.Wait(within(t), func(sandbox.Stream, int64, []byte) error { return nil })
				waited <- err
			}()
			if err := b.sb.Close(within(t)); err != nil {
				t.Fatal(err)
			}
			select {
			case <-b.sb.Done():
			default:
				t.Error("Done is not closed")
			}
			// The command may have told its end before the sandbox was gone.
			if err := <-waited; err != nil {
				wantKind(t, err, sandbox.ExecutorDead)
			}
			b.isDead(t)
			if err := b.sb.Close(within(t)); err != nil {
				t.Errorf("closing twice: %v", err)
			}
		}},
		{"a call whose context has ended is that context's error", func(t *testing.T, b *box) {
			ctx, cancel := context.WithCancel(within(t))
			cancel()
			if _, err := b.sb.Stat(ctx, b.dir); err == nil || ctx.Err() == nil || !strings.Contains(err.Error(), "canceled") {
				t.Errorf("got %v", err)
			}
			if !b.exists(t, b.dir) {
				t.Error("and nothing works afterwards")
			}
		}},
	}
	if caps.Kill == nil {
		return tests
	}
	return append(tests, test{"S4: a sandbox that dies settles every call in flight as executorDead", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{Command: "echo up > sign; sleep 1000"})
		b.appears(t, b.at("sign"))
		calls := make(chan error, 2)
		go func() {
			_, err := p.Wait(within(t), func(sandbox.Stream, int64, []byte) error { return nil })
			calls <- err
		}()
		blocked := &gate{first: strings.NewReader("x"), reached: make(chan struct{}), open: make(chan struct{})}
		go func() {
			_, err := b.sb.WriteFile(within(t), b.at("f"), blocked, sandbox.WriteOptions{Create: true})
			calls <- err
		}()
		<-blocked.reached
		caps.Kill(t, b.sb)
		<-b.sb.Done()
		if b.sb.Err() == nil {
			t.Error("nobody says why it died")
		}
		close(blocked.open)
		for range cap(calls) {
			wantKind(t, <-calls, sandbox.ExecutorDead)
		}
		b.isDead(t)
	}})
}

// isDead checks that every kind of call says so.
func (b *box) isDead(t *testing.T) {
	t.Helper()
	ctx := within(t)
	_, errStart := b.sb.Start(ctx, sandbox.ExecRequest{Argv: []string{"true"}})
	_, errStat := b.sb.Stat(ctx, b.dir)
	_, errMany := b.sb.StatMany(ctx, []string{b.dir})
	_, errDir := b.sb.ReadDir(ctx, b.dir)
	_, _, errRead := b.sb.ReadFile(ctx, b.at("f"), 0, -1)
	_, errWrite := b.sb.WriteFile(ctx, b.at("f"), strings.NewReader("x"), sandbox.WriteOptions{Create: true})
	for _, err := range []error{errStart, errStat, errMany, errDir, errRead, errWrite, b.sb.Mkdir(ctx, b.at("d"), true), b.sb.Remove(ctx, b.at("d"), true, true)} {
		wantKind(t, err, sandbox.ExecutorDead)
	}
	if !b.caps.Trees {
		return
	}
	_, errCapture := b.sb.Capture(ctx, sandbox.CaptureRequest{}, func(sandbox.Captured) error { return nil })
	_, errCommits := b.sb.Commits(ctx, sandbox.CommitsRequest{})
	for _, err := range []error{errCapture, errCommits} {
		wantKind(t, err, sandbox.ExecutorDead)
	}
}
