package modal

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"glue-lsp/sandbox/agent"
)

// sidecarEnd is the sidecar's end of lanes, in a test's hands.
type sidecarEnd struct {
	up   net.Conn
	down []net.Conn
}

func lanePairs(t *testing.T, count int) (*lanes, *sidecarEnd) {
	t.Helper()
	pair := func() (net.Conn, net.Conn) {
		mine, file, err := streamPair()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		theirs, err := net.FileConn(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { theirs.Close() })
		return mine, theirs
	}
	s := &sidecarEnd{}
	up, theirs := pair()
	s.up = theirs
	var down []net.Conn
	for range count {
		mine, theirs := pair()
		down, s.down = append(down, mine), append(s.down, theirs)
	}
	l := newLanes(up, down)
	t.Cleanup(func() { l.Close() })
	return l, s
}

// taken tells that a lane is ready, or that a batch was taken.
func (s *sidecarEnd) taken(t *testing.T, lane int) {
	t.Helper()
	if _, err := s.down[lane].Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
}

func (s *sidecarEnd) batch(t *testing.T, lane int) []byte {
	t.Helper()
	var head [4]byte
	if _, err := io.ReadFull(s.down[lane], head[:]); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(s.down[lane], b); err != nil {
		t.Fatal(err)
	}
	return b
}

// contents joins the pieces of a batch, which begin with number seq.
func contents(t *testing.T, batch []byte, seq uint64) (content []byte, next uint64) {
	t.Helper()
	r := agent.NewPieceReader(bytes.NewReader(batch))
	for {
		got, p, err := r.Next()
		if err != nil {
			return content, seq
		}
		if got != seq {
			t.Fatalf("piece %d where %d was due", got, seq)
		}
		seq++
		content = append(content, p...)
	}
}

func TestWhatIsWrittenWhileNoLaneIsFreeIsOneBatch(t *testing.T) {
	l, s := lanePairs(t, 2)
	for _, text := range []string{"a", "b", "c"} {
		if _, err := io.WriteString(l, text); err != nil {
			t.Fatal(err)
		}
	}
	s.taken(t, 0)
	if got, _ := contents(t, s.batch(t, 0), 0); string(got) != "abc" {
		t.Errorf("got %q", got)
	}
	// The first batch is not answered: what comes goes over the other lane, at once.
	s.taken(t, 1)
	if _, err := io.WriteString(l, "d"); err != nil {
		t.Fatal(err)
	}
	if got, _ := contents(t, s.batch(t, 1), 3); string(got) != "d" {
		t.Errorf("got %q", got)
	}
}

func TestMuchAtOnceLeavesLanesForWhatIsSmall(t *testing.T) {
	l, s := lanePairs(t, 2) // the first one is for all, the second for small batches
	s.taken(t, 1)
	large := bytes.Repeat([]byte("x"), 200<<10)
	wrote := make(chan error, 1)
	go func() { _, err := l.Write(large); wrote <- err }()
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	s.taken(t, 0)
	got, next := contents(t, s.batch(t, 0), 0)
	if !bytes.Equal(got, large) {
		t.Errorf("%d bytes of %d came", len(got), len(large))
	}
	if _, err := io.WriteString(l, "small"); err != nil {
		t.Fatal(err)
	}
	if got, _ := contents(t, s.batch(t, 1), next); string(got) != "small" {
		t.Errorf("got %q", got)
	}
}

func TestAWriterIsHeldBackWhileNothingIsTaken(t *testing.T) {
	l, s := lanePairs(t, 1)
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	wrote := make(chan error, 1)
	go func() { _, err := l.Write(content); wrote <- err }()
	var got []byte
	for seq := uint64(0); len(got) < len(content); {
		select {
		case err := <-wrote:
			if len(got)+2*bulkBatch < len(content) {
				t.Fatalf("all was written when %d bytes had been taken, %v", len(got), err)
			}
		default:
		}
		s.taken(t, 0)
		b := s.batch(t, 0)
		if len(b) > bulkBatch {
			t.Fatalf("a batch of %d bytes", len(b))
		}
		var p []byte
		p, seq = contents(t, b, seq)
		got = append(got, p...)
	}
	if !bytes.Equal(got, content) {
		t.Error("other bytes came")
	}
}

func TestWhatComesUpIsCheckedAndALaneThatEndsEndsTheStream(t *testing.T) {
	for name, tt := range map[string]struct {
		hurt func(*sidecarEnd)
		want string
	}{
		"a hole":         {func(s *sidecarEnd) { _, _ = s.up.Write(agent.AppendPiece(nil, 2, []byte("c"))) }, "piece 2 came where 1 was due"},
		"a repetition":   {func(s *sidecarEnd) { _, _ = s.up.Write(agent.AppendPiece(nil, 0, []byte("a"))) }, "piece 0 came where 1 was due"},
		"no piece":       {func(s *sidecarEnd) { _, _ = io.WriteString(s.up, strings.Repeat("!", 64)) }, "a piece of"},
		"an end":         {func(s *sidecarEnd) { s.up.Close() }, "EOF"},
		"a lane's end":   {func(s *sidecarEnd) { s.down[1].Close() }, "the tunnel into the sandbox has ended"},
		"a cut in piece": {func(s *sidecarEnd) { _, _ = s.up.Write(make([]byte, 3)); s.up.Close() }, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			l, s := lanePairs(t, 2)
			if _, err := s.up.Write(agent.AppendPiece(nil, 0, []byte("ab"))); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(l)
			for _, want := range "ab" {
				if b, err := r.ReadByte(); err != nil || rune(b) != want {
					t.Fatalf("%q, %v", b, err)
				}
			}
			tt.hurt(s)
			if _, err := r.ReadByte(); err == nil || !strings.Contains(err.Error(), tt.want) && name != "a lane's end" {
				t.Errorf("got %v", err)
			}
			// Both directions are over, for the same reason.
			for {
				if _, err := l.Write([]byte("x")); err != nil {
					if !strings.Contains(err.Error(), tt.want) {
						t.Errorf("writing: %v", err)
					}
					break
				}
			}
		})
	}
}
