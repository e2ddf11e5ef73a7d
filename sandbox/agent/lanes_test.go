package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"glue-lsp/sandbox"
)

// pieces cuts content into numbered pieces of the given sizes, and the rest.
func pieces(content []byte, sizes []int) (out [][]byte) {
	for len(content) > 0 {
		n := min(len(content), MaxPiece)
		if len(out) < len(sizes) {
			n = min(n, sizes[len(out)])
		}
		out = append(out, AppendPiece(nil, uint64(len(out)), content[:n]))
		content = content[n:]
	}
	return out
}

func TestLaw_PiecesFromAnyLaneAreOneStreamInOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 1, 5000).Draw(rt, "content")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 700), 0, 40).Draw(rt, "sizes")
		count := rapid.IntRange(1, 5).Draw(rt, "lanes")
		l := newLanes("s", patience)
		defer l.Close()
		// Each lane has its pieces in order; which lane has which is anybody's choice.
		carried := make([]bytes.Buffer, count)
		for _, p := range pieces(content, sizes) {
			carried[rapid.IntRange(0, count-1).Draw(rt, "lane")].Write(p)
		}
		ends := make(chan struct{})
		for i := range carried {
			mine, theirs := net.Pipe()
			defer mine.Close()
			if err := l.join(theirs, i > 0); err != nil {
				rt.Fatal(err)
			}
			go func() { _ = l.carry(theirs); ends <- struct{}{} }()
			go func() { _, _ = mine.Write(carried[i].Bytes()) }()
		}
		got := make([]byte, len(content))
		if _, err := io.ReadFull(l, got); err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(got, content) {
			rt.Fatalf("%d bytes came as others", len(got))
		}
		l.Close()
		for range carried {
			<-ends
		}
	})
}

// joined gives lanes with so many connections, the first with a way up.
func joined(t *testing.T, count int) (*lanes, []net.Conn) {
	t.Helper()
	l := newLanes("s", patience)
	t.Cleanup(func() { l.Close() })
	var ends []net.Conn
	for i := range count {
		mine, theirs := net.Pipe()
		t.Cleanup(func() { mine.Close() })
		if err := l.join(theirs, i > 0); err != nil {
			t.Fatal(err)
		}
		go func() { _ = l.carry(theirs) }()
		ends = append(ends, mine)
	}
	return l, ends
}

func TestHostileLanesEndTheStreamAndNothingElse(t *testing.T) {
	damaged := AppendPiece(nil, 0, []byte("hello"))
	damaged[len(damaged)-1] ^= 1
	huge := AppendPiece(nil, 0, nil)
	binary.BigEndian.PutUint32(huge[8:], MaxPiece+1)
	for name, tt := range map[string]struct {
		send []byte
		want string
	}{
		"a damaged piece":          {damaged, "damaged"},
		"a piece that is too big":  {huge, "a piece of 65537 bytes"},
		"a piece that comes twice": {append(AppendPiece(nil, 0, []byte("a")), AppendPiece(nil, 0, []byte("a"))...), "came twice"},
		"an end":                   {nil, "has ended"},
		"an end in a piece":        {AppendPiece(nil, 0, []byte("hello"))[:18], "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			l, ends := joined(t, 2)
			go func() {
				_, _ = ends[1].Write(tt.send)
				ends[1].Close()
			}()
			_, err := io.ReadAll(l)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
			// The other lane is let go of, too.
			if _, err := ends[0].Read(make([]byte, 1)); err == nil {
				t.Error("the other lane is still there")
			}
		})
	}
}

func TestLanesAreBounded(t *testing.T) {
	l, _ := joined(t, 1)
	more := func(down bool) error {
		mine, theirs := net.Pipe()
		t.Cleanup(func() { mine.Close(); theirs.Close() })
		return l.join(theirs, down)
	}
	if err := more(false); err == nil {
		t.Error("a second way up was taken")
	}
	for range MaxLanes - 1 {
		if err := more(true); err != nil {
			t.Fatal(err)
		}
	}
	if err := more(true); err == nil {
		t.Error("one lane too many was taken")
	}
	d, err := newDaemon(config{root: "/"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.shutdown(); d.wait() })
	if _, err := d.laneStream(strings.Repeat("x", maxStreamName+1)); err == nil {
		t.Error("a name without bound was taken")
	}
	for i := range maxLaneStreams {
		if _, err := d.laneStream(itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.laneStream("more"); err == nil {
		t.Error("one stream too many was taken")
	}
	for _, l := range d.lanes {
		defer d.forgetLanes(l)
	}
}

func TestAStreamWhoseWayUpDoesNotComeIsGivenUp(t *testing.T) {
	l := newLanes("s", time.Millisecond)
	if _, err := l.Read(make([]byte, 1)); !errors.Is(err, errNoWayUp) {
		t.Errorf("got %v", err)
	}
}

// greet greets a daemon as a lane would.
func greet(t *testing.T, d *daemon, hello clientHello) (net.Conn, chan error) {
	t.Helper()
	mine, theirs := net.Pipe()
	t.Cleanup(func() { mine.Close() })
	served := make(chan error, 1)
	go func() { served <- d.serve(theirs) }()
	var theirHello agentHello
	if err := readHello(bufio.NewReaderSize(mine, 16), 0, &theirHello); err != nil {
		t.Fatal(err)
	}
	if err := writeHello(mine, ProtocolVersion, hello); err != nil {
		t.Fatal(err)
	}
	return mine, served
}

func TestALaneOfALaneIsRefused(t *testing.T) {
	d, err := newDaemon(config{root: "/"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.shutdown(); d.wait() })
	conn, served := greet(t, d, clientHello{Stream: "s"})
	// The greeting of the stream itself, and an answer that would begin another one.
	up := NewPieceReader(conn)
	if _, p, err := up.Next(); err != nil || !bytes.HasPrefix(p, magic[:]) {
		t.Fatalf("%q, %v", p, err)
	}
	var hello bytes.Buffer
	_ = writeHello(&hello, ProtocolVersion, clientHello{Stream: "s"})
	if _, err := conn.Write(AppendPiece(nil, 0, hello.Bytes())); err != nil {
		t.Fatal(err)
	}
	if err := <-served; !errors.Is(err, errProtocol) {
		t.Errorf("got %v", err)
	}
}

func TestALaneThatComesAfterItsStreamsEndIsRefused(t *testing.T) {
	d, err := newDaemon(config{root: "/"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.shutdown(); d.wait() })
	conn, served := greet(t, d, clientHello{Stream: "s"})
	conn.Close()
	<-served
	_, served = greet(t, d, clientHello{Stream: "s", Down: true})
	if err := <-served; !errors.Is(err, errStreamEnded) {
		t.Errorf("got %v", err)
	}
}

// attachLanes gives a client's end of a stream over attach programs, which a test can
// kill; it sends every piece over the next lane.
func attachLanes(t *testing.T, a *agentProcess, count int) (io.ReadWriteCloser, []*exec.Cmd) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &overLanes{}
	var programs []*exec.Cmd
	name := newID()
	for i := range count {
		args := AttachArgs{Socket: a.socket, Stream: name, Down: i > 0, Wait: patience}
		cmd := exec.Command(self, args.List()...)
		cmd.Stderr = a.log
		down, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		up, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			s.up = NewPieceReader(bufio.NewReader(up))
		}
		s.down = append(s.down, down)
		programs = append(programs, cmd)
		ended := make(chan struct{})
		go func() { defer close(ended); _ = cmd.Wait() }()
		t.Cleanup(func() {
			down.Close()
			select {
			case <-ended:
			case <-time.After(patience):
				t.Error("a lane did not end with its stream")
				_ = cmd.Process.Kill()
				<-ended
			}
		})
	}
	return s, programs
}

type overLanes struct {
	up   *PieceReader
	rest []byte
	down []io.WriteCloser
	sent int
}

func (s *overLanes) Read(p []byte) (n int, err error) {
	if len(s.rest) == 0 {
		if _, s.rest, err = s.up.Next(); err != nil {
			return 0, err
		}
	}
	n = copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *overLanes) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		part := p[done:min(len(p), done+MaxPiece)]
		if _, err := s.down[s.sent%len(s.down)].Write(AppendPiece(nil, uint64(s.sent), part)); err != nil {
			return done, err
		}
		s.sent++
		done += len(part)
	}
	return len(p), nil
}

func (s *overLanes) Close() error {
	for _, d := range s.down {
		d.Close()
	}
	return nil
}

func TestF28_AClientOverLanesOutlivesALaneThatIsKilled(t *testing.T) {
	a, first := startAgent(t, nil)
	t.Cleanup(func() { first.Close() })
	s, programs := attachLanes(t, a, 4)
	again := make(chan struct{}, 1)
	c, err := Dial(testContext(t), s, Options{Redial: func(context.Context) (io.ReadWriteCloser, error) {
		s, _ := attachLanes(t, a, 4)
		select {
		case again <- struct{}{}:
		default:
		}
		return s, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	// Before the lanes are, whose end would have it make new ones.
	defer func() { _ = c.Close(testContext(t)) }()
	content := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
	write := func() {
		t.Helper()
		if n, err := c.WriteFile(testContext(t), "f", bytes.NewReader(content), sandbox.WriteOptions{Create: true, Overwrite: true}); err != nil || n != int64(len(content)) {
			t.Fatalf("%d bytes, %v", n, err)
		}
	}
	write()
	instance := c.Instance()
	if err := programs[2].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// Its end is seen by the agent, which ends the stream; the client makes another one.
	within := testContext(t)
	select {
	case <-again:
	case <-within.Done():
		t.Fatal("no new stream was made")
	}
	for c.Ping(within) != nil && within.Err() == nil {
	}
	write()
	r, _, err := c.ReadFile(testContext(t), "f", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
	if c.Instance() != instance {
		t.Error("it is another agent")
	}
}

func FuzzPieces(f *testing.F) {
	f.Add(AppendPiece(AppendPiece(nil, 0, []byte("hello")), 1, nil))
	f.Add(AppendPiece(nil, 1<<63, bytes.Repeat([]byte("x"), 100))[:50])
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewPieceReader(bytes.NewReader(b))
		var again []byte
		for {
			seq, p, err := r.Next()
			if err != nil {
				break
			}
			again = AppendPiece(again, seq, p)
		}
		// What was read is what was sent.
		if !bytes.HasPrefix(b, again) {
			t.Errorf("read %d bytes that did not come", len(again))
		}
	})
}
