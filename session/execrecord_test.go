package session

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"glue-lsp/sandbox"
)

// A server can be killed between any two writes: what the index vouches for is in the
// log, and the log goes on from there without hole or repetition.
func TestLaw_F28_ALogGoesOnAfterAnyDeath(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp("", "log")
		if err != nil {
			r.Fatal(err)
		}
		defer os.RemoveAll(dir)
		name := filepath.Join(dir, "x.log")
		limit := rapid.Int64Range(2, 64).Draw(r, "limit")
		streams := [2][]byte{}
		for i := range streams {
			streams[i] = rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(r, "stream")
		}
		l := newOutputLog(name, limit)

		for l.pos != [2]int64{int64(len(streams[0])), int64(len(streams[1]))} {
			i := rapid.IntRange(0, 1).Draw(r, "which")
			rest := streams[i][l.pos[i]:]
			if len(rest) == 0 {
				continue
			}
			n := rapid.IntRange(1, len(rest)).Draw(r, "piece")
			index, _ := os.ReadFile(l.index.name)
			l.take(sandbox.Stream(i+1), l.pos[i], rest[:n])
			if !rapid.Bool().Draw(r, "dies") {
				continue
			}
			l.leave()
			if rapid.Bool().Draw(r, "before the index was written") {
				if err := os.WriteFile(l.index.name, index, 0o600); err != nil {
					r.Fatal(err)
				}
			}
			if l = openLog(name); l.half == maxLog/2 { // nothing was vouched for: it begins anew
				l.half = max(limit/2, 1)
			}
		}
		l.finish()
		var whole [2]bytes.Buffer
		from := int64(0)
		for _, s := range l.segments {
			for ; from < s.end; from++ {
				if l.kept(from) != from {
					return // not all of it is kept: that is the ring's own law
				}
				b := make([]byte, 1)
				f, err := os.Open(name)
				if err != nil {
					r.Fatal(err)
				}
				_, err = f.ReadAt(b, l.place(from))
				f.Close()
				if err != nil {
					r.Fatal(err)
				}
				whole[s.stream-sandbox.Stdout].Write(b)
			}
		}
		for i := range streams {
			if !bytes.Equal(whole[i].Bytes(), streams[i]) {
				r.Fatalf("stream %d: %q, want %q", i+1, whole[i].Bytes(), streams[i])
			}
		}
	})
}

func TestADamagedIndexBeginsTheLogAnew(t *testing.T) {
	for name, damage := range map[string]func(index []byte) []byte{
		"cut short":      func(b []byte) []byte { return b[:indexHeader-1] },
		"no segments":    func(b []byte) []byte { return b[:indexHeader] },
		"another magic":  func(b []byte) []byte { b[0] ^= 1; return b },
		"a negative end": func(b []byte) []byte { b[indexHeader] = 0xff; return b },
		"no stream":      func(b []byte) []byte { b[indexHeader+8] = 7; return b },
		"a longer log":   func(b []byte) []byte { b[indexHeader-1] = 200; return b },
	} {
		t.Run(name, func(t *testing.T) {
			l := newOutputLog(filepath.Join(t.TempDir(), "x.log"), maxLog)
			l.write(sandbox.Stdout, []byte("before"))
			l.leave()
			b, err := os.ReadFile(l.index.name)
			if err == nil {
				err = os.WriteFile(l.index.name, damage(b), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			again := openLog(l.name)
			if again.offsets() != (sandbox.Offsets{}) {
				t.Errorf("it goes on at %+v", again.offsets())
			}
			again.take(sandbox.Stdout, 0, []byte("from the start"))
			again.finish()
			if got, _ := os.ReadFile(l.name); string(got) != "from the start" {
				t.Errorf("the log: %q", got)
			}
		})
	}
}
