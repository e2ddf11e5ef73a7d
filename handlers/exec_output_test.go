package handlers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"glue-lsp/sandbox"
)

// pieces are the output notifications of a command, in order.
func (c *testClient) pieces(execID string) []outputParams {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []outputParams
	for _, m := range c.messages {
		if m.method == methodOutput {
			if p := into[outputParams](c.t, m.params); p.ExecID == execID {
				out = append(out, p)
			}
		}
	}
	return out
}

func decoded(t interface{ Fatalf(string, ...any) }, pieces []outputParams, stream string) []byte {
	var out []byte
	for _, p := range pieces {
		b, err := p.bytes("")
		if err != nil {
			t.Fatalf("%v", err)
		}
		if p.Stream == stream {
			out = append(out, b...)
		}
	}
	return out
}

func TestOutputArrivesByteForByteAndNoCharacterIsSplit(t *testing.T) {
	c := connect(t, Options{})
	c.initialize(`{"capabilities":{}}`)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		id := "exec-" + strconv.Itoa(run)
		o := c.server.newOutput(testContext(t), "s1", id, 0)
		defer c.server.flows.remove(o)
		valid := rapid.Bool().Draw(rt, "text")
		var want [2][]byte
		for range rapid.IntRange(0, 12).Draw(rt, "writes") {
			part := []byte(rapid.String().Draw(rt, "text"))
			if !valid {
				part = append(part, rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(rt, "bytes")...)
			}
			st := rapid.IntRange(0, 1).Draw(rt, "stream")
			for cut := part; len(cut) > 0; { // as pipes deliver it: cut anywhere
				n := rapid.IntRange(1, len(cut)).Draw(rt, "cut")
				if err := o.sink(sandbox.Stream(st+1), int64(len(want[st])), cut[:n]); err != nil {
					rt.Fatal(err)
				}
				want[st] = append(want[st], cut[:n]...)
				cut = cut[n:]
			}
		}
		if _, err := o.finish(testContext(t)); err != nil {
			rt.Fatal(err)
		}
		c.call("glue/doctor", `{}`) // passes output that waits, so all has been written: see finish
		pieces := c.pieces(id)
		for i, stream := range []string{"stdout", "stderr"} {
			if got := decoded(rt, pieces, stream); !bytes.Equal(got, want[i]) {
				rt.Fatalf("%s is %q, want %q", stream, got, want[i])
			}
		}
		for _, p := range pieces {
			if p.Session != "s1" || valid && p.Encoding != encUTF8 {
				rt.Fatalf("a piece of text travels as %+v", p)
			}
		}
	})
}

func TestLongOutputComesInBoundedPieces(t *testing.T) {
	c := connect(t, Options{})
	c.initialize(`{"capabilities":{}}`)
	o := c.server.newOutput(testContext(t), "s1", "long", 0)
	defer c.server.flows.remove(o)
	want := []byte(strings.Repeat("äöü€𝄞\x1b[31m\n", 40_000))
	if err := o.sink(sandbox.Stdout, 0, want); err != nil {
		t.Fatal(err)
	}
	if _, err := o.finish(testContext(t)); err != nil {
		t.Fatal(err)
	}
	c.call("glue/doctor", `{}`)
	pieces := c.pieces("long")
	if got := decoded(t, pieces, "stdout"); !bytes.Equal(got, want) {
		t.Error("the output is not what was written")
	}
	for _, p := range pieces {
		if len(p.Data) > maxPiece || p.Encoding != encUTF8 {
			t.Errorf("a piece has %d bytes as %s", len(p.Data), p.Encoding)
		}
	}
}

func TestAGapInTheOutputEndsAHeldCharacter(t *testing.T) {
	c := connect(t, Options{})
	c.initialize(`{"capabilities":{}}`)
	o := c.server.newOutput(testContext(t), "s1", "gap", 0)
	defer c.server.flows.remove(o)
	for _, w := range []struct {
		at int64
		p  string
	}{{0, "a\xE2\x82"}, {100, "\xACb"}} {
		if err := o.sink(sandbox.Stdout, w.at, []byte(w.p)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.finish(testContext(t)); err != nil {
		t.Fatal(err)
	}
	c.call("glue/doctor", `{}`)
	if got := decoded(t, c.pieces("gap"), "stdout"); string(got) != "a\xE2\x82\xACb" {
		t.Errorf("the output is %q", got)
	}
	if n := len(c.pieces("gap")); n != 3 {
		t.Errorf("two parts that do not belong together came in %d pieces", n)
	}
}

func TestOutputStopsAtTheWindowUntilItIsAcknowledged(t *testing.T) {
	c := connect(t, Options{})
	c.initialize(`{"capabilities":{}}`)
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	o := c.server.newOutput(ctx, "s1", "win", 10)
	defer c.server.flows.remove(o)
	want := strings.Repeat("0123456789abcdeé", 4) // 68 bytes
	done := make(chan error, 1)
	go func() { done <- o.sink(sandbox.Stdout, 0, []byte(want)) }()

	shown := 0
	for shown < len(want) {
		c.await(methodOutput, func(json.RawMessage) bool { return true })
		got := waitFor(t, func() (int, bool) {
			n := len(decoded(t, c.pieces("win"), "stdout"))
			return n, n > shown
		}, c)
		if got-shown > 10 {
			t.Fatalf("%d bytes are unacknowledged, the window is 10", got-shown)
		}
		c.notify("glue/exec/ack", fmt.Sprintf(`{"execId":"win","bytes":%d}`, got-shown))
		shown = got
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := decoded(t, c.pieces("win"), "stdout"); string(got) != want {
		t.Errorf("the output is %q", got)
	}
	// Without an acknowledgement the next write waits, until the request ends.
	go func() { done <- o.sink(sandbox.Stdout, int64(len(want)), []byte(strings.Repeat("x", 50))) }()
	cancel()
	if err := <-done; err == nil {
		t.Error("a full window did not hold the output back")
	}
}

// waitFor looks again whenever a message has come.
func waitFor[T any](t *testing.T, look func() (T, bool), c *testClient) T {
	t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		if c.moved == nil {
			c.moved = make(chan struct{})
		}
		moved := c.moved
		c.mu.Unlock()
		if v, ok := look(); ok {
			return v
		}
		select {
		case <-moved:
		case <-deadline:
			t.Fatal("it never came")
		}
	}
}

func TestAWindowSmallerThanACharacterStillMoves(t *testing.T) {
	if n := pieceLength([]byte("𝄞x"), 1); n != 4 {
		t.Errorf("the first piece has %d bytes, want the whole character", n)
	}
	if n := pieceLength([]byte("\xFF\xFE"), 1); n != 1 {
		t.Errorf("the first piece of bytes has %d, want 1", n)
	}
}

func TestU11_AClientThatDoesNotReadHoldsNoCommandUp(t *testing.T) {
	toServer, clientOut := io.Pipe()
	toClient, serverOut := io.Pipe()
	s := New(Options{NewManager: noManager, Home: t.TempDir()})
	s.stall = time.Millisecond
	exit := make(chan int, 1)
	go func() { exit <- s.Serve(context.Background(), toServer, serverOut) }()
	reader := bufio.NewReader(toClient)
	send(t, clientOut, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}`)
	receive(t, reader)

	o := s.newOutput(testContext(t), "s1", "flood", 0)
	name := "/home/x/.glue/sessions/s1/exec/flood.log"
	o.logFile.Store(&name)
	const total = 64 << 20
	chunk := bytes.Repeat([]byte("0123456789abcde\n"), 4096)
	for at := int64(0); at < total; at += int64(len(chunk)) { // nobody reads meanwhile
		if err := o.sink(sandbox.Stdout, at, chunk); err != nil {
			t.Fatal(err)
		}
	}
	type end struct {
		cut truncated
		err error
	}
	finished := make(chan end, 1)
	go func() {
		cut, err := o.finish(testContext(t))
		finished <- end{cut, err}
	}()
	var shown int64
	marker := ""
	for marker == "" {
		var m struct {
			Method string
			Params outputParams
		}
		if err := json.Unmarshal(receive(t, reader), &m); err != nil || m.Method != methodOutput {
			continue
		}
		if strings.HasPrefix(m.Params.Data, "\n[glue: ") {
			marker = m.Params.Data
		} else {
			shown += int64(len(m.Params.Data))
		}
	}
	got := <-finished
	if got.err != nil || got.cut.Stdout == 0 || got.cut.Stdout+shown != total {
		t.Errorf("%d bytes shown and %d in the log only, of %d; %v", shown, got.cut.Stdout, total, got.err)
	}
	if want := strconv.FormatInt(got.cut.Stdout, 10); !strings.Contains(marker, want) || !strings.Contains(marker, name) {
		t.Errorf("the marker is %q", marker)
	}
	if shown > 4<<20 {
		t.Errorf("%d bytes were queued for a client that does not read", shown)
	}
	s.flows.remove(o)
	_ = clientOut.Close()
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	<-exit
	_ = serverOut.Close()
}

func send(t *testing.T, w io.Writer, body string) {
	t.Helper()
	if _, err := fmt.Fprintf(w, "Content-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		t.Fatal(err)
	}
}

func receive(t testing.TB, r *bufio.Reader) []byte {
	t.Helper()
	length := 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		line = strings.TrimSpace(line)
		if line == "" {
			break
		}
		if v, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			length, _ = strconv.Atoi(v)
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		t.Fatal(err)
	}
	return body
}

func TestX9_OutputThatLooksLikeTheProtocolIsOnlyOutput(t *testing.T) {
	c := connect(t, Options{})
	c.initialize(`{"capabilities":{}}`)
	o := c.server.newOutput(testContext(t), "s1", "x9", 0)
	defer c.server.flows.remove(o)
	evil := "Content-Length: 52\r\n\r\n{\"jsonrpc\":\"2.0\",\"method\":\"exit\",\"params\":null}\"}}\u2028\x00\x7f"
	if err := o.sink(sandbox.Stdout, 0, []byte(evil)); err != nil {
		t.Fatal(err)
	}
	if _, err := o.finish(testContext(t)); err != nil {
		t.Fatal(err)
	}
	c.call("glue/doctor", `{}`)
	if got := decoded(t, c.pieces("x9"), "stdout"); string(got) != evil {
		t.Errorf("the output is %q", got)
	}
}

func TestATruncatedTextStaysText(t *testing.T) {
	euro := "€€€€" // 12 bytes
	for _, x := range []struct {
		kept           string
		limit, dropped int64
		want           payload
		cut            int64
	}{
		{euro, 100, 0, payload{euro, encUTF8}, 0},
		{euro[:4] + euro[8:], 8, 4, payload{"€€", encUTF8}, 6},
		{"ab\xFFc" + "defg", 8, 90, base64Payload([]byte("ab\xFFcdefg")), 90},
		{"abcd" + "efgh", 8, 90, payload{"abcdefgh", encUTF8}, 90},
	} {
		got, cut := halvesPayload([]byte(x.kept), x.dropped, x.limit)
		if got != x.want || cut != x.cut {
			t.Errorf("%q: %+v, %d left out; want %+v, %d", x.kept, got, cut, x.want, x.cut)
		}
	}
}

func FuzzIncompleteSuffix(f *testing.F) {
	f.Add([]byte("a\xE2\x82"))
	f.Fuzz(func(t *testing.T, p []byte) {
		n := incompleteSuffix(p)
		if n < 0 || n > 3 || n > len(p) {
			t.Fatalf("%q: %d", p, n)
		}
		if utf8.Valid(p) && n != 0 {
			t.Errorf("%q is whole", p)
		}
	})
}

func BenchmarkOutputThroughTheConnection(b *testing.B) {
	toServer, clientOut := io.Pipe()
	s := New(Options{NewManager: noManager, Home: b.TempDir()})
	exit := make(chan int, 1)
	go func() { exit <- s.Serve(context.Background(), toServer, struct{ io.Writer }{io.Discard}) }()
	o := (*output)(nil)
	for o == nil { // until Serve has made its connection
		if s.phase.Load() == uninitialized {
			body := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}`
			fmt.Fprintf(clientOut, "Content-Length: %d\r\n\r\n%s", len(body), body)
		}
		o = s.newOutput(context.Background(), "s1", "bench", 0)
	}
	chunk := bytes.Repeat([]byte("the quick brown fox jumps over it\n"), 1900)
	b.SetBytes(int64(len(chunk)))
	at := int64(0)
	for b.Loop() {
		if err := o.sink(sandbox.Stdout, at, chunk); err != nil {
			b.Fatal(err)
		}
		at += int64(len(chunk))
	}
	if _, err := o.finish(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	s.flows.remove(o)
	_ = clientOut.Close()
	<-exit
}
