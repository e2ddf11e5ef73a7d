package delay

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that sends back what it gets, and its address.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, roundTrip time.Duration) net.Conn {
	t.Helper()
	p, err := Start(echo(t), roundTrip)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestAByteTakesARoundTripThereAndBack(t *testing.T) {
	const roundTrip = 100 * time.Millisecond
	c := dial(t, roundTrip)
	start := time.Now()
	if _, err := c.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d < roundTrip {
		t.Errorf("the byte was back after %s", d)
	}
}

func TestChunksDoNotWaitForOneAnother(t *testing.T) {
	const count, late = 500, 200 * time.Millisecond
	l := newLine(late)
	want := bytes.Repeat([]byte("x"), count)
	start := time.Now()
	if err := l.fill(iotest.OneByteReader(bytes.NewReader(want))); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if len(l.queue) <= count {
		t.Fatalf("%d chunks are under way", len(l.queue))
	}
	var got bytes.Buffer
	if err := l.drain(&got); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d < late || d > count*late/2 {
		t.Errorf("%d chunks took %s, each alone %s", count, d, late)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%d bytes came", got.Len())
	}
}

func TestBytesArriveWholeAndTheEndAfterThem(t *testing.T) {
	c := dial(t, 10*time.Millisecond)
	want := make([]byte, 40<<20) // over what is in flight
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range want {
		want[i] = byte(rnd.Uint32())
	}
	go func() {
		_, _ = c.Write(want)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d came, %v", len(got), len(want), err)
	}
}

func TestClosingEndsConnectionsInFlight(t *testing.T) {
	p, err := Start(echo(t), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// Accepted, and known to the proxy, before it is closed.
	for {
		p.mu.Lock()
		n := len(p.conns)
		p.mu.Unlock()
		if n > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still there")
	}
}
