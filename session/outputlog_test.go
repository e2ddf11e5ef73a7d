package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"glue-lsp/sandbox"
)

// followed collects what a reader from a byte on gets: the offset of each byte is the
// byte's place in the whole output.
func followed(t *rapid.T, l *outputLog, from int64) map[int64]byte {
	got := map[int64]byte{}
	err := l.follow(context.Background(), from, func(_ sandbox.Stream, off int64, p []byte) error {
		for i, c := range p {
			got[off+int64(i)] = c
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestX8_ALogKeepsStartAndEndOfAFloodWithinItsBound(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp("", "log")
		if err != nil {
			r.Fatal(err)
		}
		defer os.RemoveAll(dir)
		limit := rapid.Int64Range(2, 40).Draw(r, "limit")
		l := newOutputLog(filepath.Join(dir, "exec", "x.log"), limit)
		var whole []byte
		for i, n := range rapid.SliceOfN(rapid.IntRange(1, 30), 0, 12).Draw(r, "writes") {
			p := make([]byte, n)
			for j := range p {
				p[j] = byte('a' + (len(whole)+j)%26)
			}
			l.write(sandbox.Stream(1+i%2), p)
			whole = append(whole, p...)
			info, err := os.Stat(l.name)
			if err != nil || info.Size() > limit {
				r.Fatalf("the log has %d bytes (%v)", info.Size(), err)
			}
		}
		l.finish()
		from := rapid.Int64Range(0, int64(len(whole))+3).Draw(r, "from")
		got := followed(r, l, from)
		half := int(limit / 2)
		for i, c := range whole {
			kept := len(whole) <= 2*half || i < half || i >= len(whole)-half
			b, ok := got[int64(i)]
			if want := kept && int64(i) >= from; ok != want || ok && b != c {
				r.Fatalf("byte %d of %d from %d: %q %v, want %v", i, len(whole), from, b, ok, want)
			}
		}
		want := string(whole)
		if len(whole) > 2*half {
			want = fmt.Sprintf("%s\n[glue: %d bytes of output were left out here]\n%s", whole[:half], len(whole)-2*half, whole[len(whole)-half:])
		}
		if b, err := os.ReadFile(l.name); err != nil || string(b) != want {
			r.Fatalf("the file holds %q (%v), want %q", b, err, want)
		}
	})
}

func TestX8_AReaderThatFallsBehindAFloodGoesOnWithWhatIsKept(t *testing.T) {
	l := newOutputLog(filepath.Join(t.TempDir(), "x.log"), 8)
	l.write(sandbox.Stdout, []byte("0123"))
	var got strings.Builder
	err := l.follow(context.Background(), 0, func(_ sandbox.Stream, off int64, p []byte) error {
		fmt.Fprintf(&got, "%d:%s|", off, p)
		if off == 0 {
			l.write(sandbox.Stdout, []byte("456789abcdef"))
			l.finish()
		}
		return nil
	})
	if err != nil || got.String() != "0:0123|12:cdef|" {
		t.Errorf("%q %v", got.String(), err)
	}
}

func TestU10_ALogThatFillsTheDiskKeepsWhatItHasAndHoldsNobodyUp(t *testing.T) {
	l := newOutputLog(filepath.Join(t.TempDir(), "x.log"), 1<<20)
	l.write(sandbox.Stdout, []byte("before\n"))
	// A handle that cannot be written to fails as a full disk does.
	name := l.f.Name()
	if err := l.f.Close(); err != nil {
		t.Fatal(err)
	}
	ro, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	l.f = ro
	l.write(sandbox.Stdout, []byte("lost\n"))
	l.write(sandbox.Stdout, []byte("lost\n"))
	l.finish()
	var got strings.Builder
	if err := l.follow(context.Background(), 0, func(_ sandbox.Stream, _ int64, p []byte) error {
		got.Write(p)
		return nil
	}); err != nil || got.String() != "before\n" || l.failed == nil {
		t.Errorf("%q, %v, failed: %v", got.String(), err, l.failed)
	}
	gone := errors.New("the client is gone")
	if err := l.follow(context.Background(), 0, func(sandbox.Stream, int64, []byte) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("a reader's error: %v", err)
	}
}
