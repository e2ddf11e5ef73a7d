package wire

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkCall is one small request at a time through two real pipes, both ends ours.
func BenchmarkCall(b *testing.B) {
	client, _ := couple(b, script{}, echoes(), Options{})
	ctx := context.Background()
	params := json.RawMessage(`{"session":"abc","path":"a/b/c"}`)
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		if err := client.Call(ctx, "echo", params, nil); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	reportPercentiles(b, took)
}

// BenchmarkServe is the same with a peer that costs nothing: what one server adds.
func BenchmarkServe(b *testing.B) {
	p := serve(b, echoes(), Options{})
	request := call(1, "echo", `{"session":"abc","path":"a/b/c"}`)
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		p.send(request)
		if _, err := readBody(p.out); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	reportPercentiles(b, took)
}

func reportPercentiles(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-µs")
	b.ReportMetric(float64(took[len(took)*9/10].Nanoseconds())/1e3, "p90-µs")
}

type output struct {
	Session  string `json:"session"`
	ExecID   string `json:"execId"`
	Stream   string `json:"stream"`
	Data     string `json:"data"`
	Encoding string `json:"encoding"`
}

func (o output) AppendJSON(dst []byte) ([]byte, error) {
	dst = append(dst, `{"session":`...)
	dst = AppendString(dst, o.Session)
	dst = append(dst, `,"execId":`...)
	dst = AppendString(dst, o.ExecID)
	dst = append(dst, `,"stream":`...)
	dst = AppendString(dst, o.Stream)
	dst = append(dst, `,"data":`...)
	dst = AppendString(dst, o.Data)
	dst = append(dst, `,"encoding":`...)
	dst = AppendString(dst, o.Encoding)
	return append(dst, '}'), nil
}

// BenchmarkStream sends command output in 64 KiB pieces to a peer that only reads.
func BenchmarkStream(b *testing.B) {
	p := serve(b, script{}, Options{})
	go func() { _, _ = io.Copy(io.Discard, bufio.NewReaderSize(p.outR, 1<<20)) }()
	ctx := context.Background()
	params := output{"s1", "e1", "stdout", strings.Repeat("go: downloading example.org/module v1.2.3\n", 1561)[:64<<10], "utf-8"}
	b.SetBytes(int64(len(params.Data)))
	for b.Loop() {
		if err := p.conn.Stream(ctx, "glue/exec/output", params); err != nil {
			b.Fatal(err)
		}
	}
	if err := p.conn.Flush(ctx); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFlood is a burst of tiny notifications.
func BenchmarkFlood(b *testing.B) {
	p := serve(b, echoes(), Options{}).listen()
	burst := strings.Repeat(notification("n", "{}"), 1000)
	for b.Loop() {
		p.send(burst)
	}
	p.alive()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/message")
}
