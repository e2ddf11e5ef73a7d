package agent

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"glue-lsp/sandbox"
)

// callCounter counts the writes of a client, and the reads that gave something: as many
// as the agent's writes where these are apart.
type callCounter struct {
	net.Conn
	writes, reads atomic.Int64
}

func (c *callCounter) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func (c *callCounter) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.reads.Add(1)
	}
	return n, err
}

// A write is what costs a lane for a round trip, and what comes back is a call as well:
// the frames that open and free an operation's stream must not be writes of their own,
// nor what a short command does.
func TestAnOperationIsOneWriteOfEitherEnd(t *testing.T) {
	_, conn := startAgent(t, nil)
	counter := &callCounter{Conn: conn}
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
		const times, rounds = 20, 10
		for round := 1; ; round++ {
			writes, reads := counter.writes.Load(), counter.reads.Load()
			for range times {
				if err := op(); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			writes, reads = counter.writes.Load()-writes, counter.reads.Load()-reads
			// One more each may be on its way from before.
			if writes > times+1 {
				t.Errorf("%s %d times were %d writes", name, times, writes)
			}
			if reads <= times+times/4 {
				break
			}
			// An answer that this machine makes wait does not wait for its company.
			if round == rounds {
				t.Errorf("%s %d times were %d reads", name, times, reads)
				break
			}
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
