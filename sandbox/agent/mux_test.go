package agent

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"glue-lsp/sandbox"
)

// writeCounter counts the writes of a client.
type writeCounter struct {
	net.Conn
	n atomic.Int64
}

func (c *writeCounter) Write(p []byte) (int, error) {
	c.n.Add(1)
	return c.Conn.Write(p)
}

// A write is what costs a lane for a round trip: the frames that open and free an
// operation's stream must not be writes of their own.
func TestAnOperationIsOneWriteOfTheClient(t *testing.T) {
	_, conn := startAgent(t, nil)
	counter := &writeCounter{Conn: conn}
	c, err := Dial(testContext(t), counter, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(testContext(t)) })
	ctx := testContext(t)
	for name, op := range map[string]func() error{
		"stat": func() error { _, err := c.Stat(ctx, "/"); return err },
		"a stat that fails": func() error {
			if _, err := c.Stat(ctx, "none"); kind(err) != sandbox.FileNotFound {
				return err
			}
			return nil
		},
		"a command": func() error {
			p, err := c.Start(ctx, sandbox.ExecRequest{Argv: []string{"true"}})
			if err == nil {
				_, err = p.Wait(ctx, nil)
			}
			return err
		},
		"reading": func() error {
			r, _, err := c.ReadFile(ctx, "/proc/self/stat", 0, -1)
			if err != nil {
				return err
			}
			defer r.Close()
			_, err = io.Copy(io.Discard, r)
			return err
		},
		"writing": func() error {
			_, err := c.WriteFile(ctx, "f", strings.NewReader("hello"), sandbox.WriteOptions{Create: true, Overwrite: true})
			return err
		},
	} {
		const times = 20
		before := counter.n.Load()
		for range times {
			if err := op(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		// One more each may be on its way from before.
		if n := counter.n.Load() - before; n > times+1 {
			t.Errorf("%s %d times were %d writes", name, times, n)
		}
	}
}

func TestWhatIsKeptBackGoesOutByItselfAtTheAgentsEnd(t *testing.T) {
	// The client's first window of a stream is smaller than this: it needs to hear that the
	// stream was accepted, though nothing else is said before all of it has come.
	c, _ := connect(t, nil)
	content := strings.Repeat("x", 4*windowSize)
	n, err := c.WriteFile(testContext(t), "f", strings.NewReader(content), sandbox.WriteOptions{Create: true})
	if err != nil || n != int64(len(content)) {
		t.Errorf("%d bytes, %v", n, err)
	}
}
