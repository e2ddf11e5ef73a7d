package sandboxtest

import (
	"fmt"
	"hash/fnv"
	"io"
	"strings"
	"sync"
	"testing"

	"glue-lsp/sandbox"
)

// lines is what `seq 1 n` prints.
func lines(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintln(&s, i+1)
	}
	return s.String()
}

var streamTests = []test{
	{"F5: output is bytes", func(t *testing.T, b *box) {
		r := b.run(t, sandbox.ExecRequest{Command: `printf '\377\376\000\200end'; printf '\300\257' >&2`})
		if r.out != "\xff\xfe\x00\x80end" || r.err != "\xc0\xaf" {
			t.Errorf("got %q and %q", r.out, r.err)
		}
	}},
	{"output without an end of line arrives", func(t *testing.T, b *box) {
		if got := b.sh(t, "printf abc"); got != "abc" {
			t.Errorf("got %q", got)
		}
	}},
	{"U11: large output on both streams is whole while other calls go on", func(t *testing.T, b *box) {
		const size = 24 << 20
		// Numbers that repeat at no power of two show a piece that is missing or twice.
		p := b.start(t, sandbox.ExecRequest{Command: `seq 1 9999999 | head -c 25165824 & seq 3 9999999 | head -c 25165824 >&2; wait`})
		stop := make(chan struct{})
		var calls sync.WaitGroup
		calls.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				b.write(t, b.at("beside"), fmt.Sprint(n))
				if got := b.read(t, b.at("beside")); got != fmt.Sprint(n) {
					t.Errorf("beside the flood: %q, not %d", got, n)
					return
				}
			}
		})
		sums := [2]io.Writer{fnv.New64a(), fnv.New64a()}
		var sizes [2]int64
		res, err := p.Wait(within(t), func(s sandbox.Stream, offset int64, chunk []byte) error {
			i := s - sandbox.Stdout
			if offset != sizes[i] {
				t.Errorf("stream %d: a piece at %d, expected at %d", s, offset, sizes[i])
			}
			sizes[i] += int64(len(chunk))
			_, err := sums[i].Write(chunk)
			return err
		})
		close(stop)
		calls.Wait()
		if err != nil || res.ExitCode != 0 || sizes != [2]int64{size, size} {
			t.Fatalf("%v bytes of %d, status %d: %v", sizes, size, res.ExitCode, err)
		}
		for i, first := range []int{1, 3} {
			if want := countSum(first, size); sums[i].(interface{ Sum64() uint64 }).Sum64() != want {
				t.Errorf("stream %d is not what was printed", i+1)
			}
		}
	}},
	{"X8: terminal escapes and floods of them are bytes like others", func(t *testing.T, b *box) {
		r := b.run(t, sandbox.ExecRequest{Command: `for i in $(seq 500); do printf '\033]0;title\007\033[2J\033[?1049h\r\b'; done`})
		if r.out != strings.Repeat("\x1b]0;title\x07\x1b[2J\x1b[?1049h\r\b", 500) {
			t.Errorf("%d bytes came", len(r.out))
		}
	}},
	{"X9: a command that prints protocol frames changes nothing", func(t *testing.T, b *box) {
		frames := "\xf5glue-agent\xc1\x00\xff\r\n\x00\x00\x00\x01\x00\x00\x00\x02{}e\x00\x00\x00\x00m\x00\x00\x00\x02{}" +
			"\x00\x03\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00Content-Length: 2\r\n\r\n{}"
		b.write(t, b.at("frames"), strings.Repeat(frames, 100))
		r := b.run(t, sandbox.ExecRequest{Command: "cat frames; cat frames >&2; [ ! -e /dev/fd/3 ] || cat frames >&3"})
		if want := strings.Repeat(frames, 100); r.out != want || r.err != want {
			t.Errorf("%d and %d bytes of %d came", len(r.out), len(r.err), len(want))
		}
		if got := b.sh(t, "echo still here"); got != "still here\n" {
			t.Errorf("afterwards: %q", got)
		}
	}},
	{"a sink that fails ends the delivery, and neither the command nor its result", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{Command: "seq 1 300000; seq 1 300000 >&2; echo end > end; exit 6"})
		calls := 0
		res, err := p.Wait(within(t), func(sandbox.Stream, int64, []byte) error {
			calls++
			return io.ErrClosedPipe
		})
		if err != nil || res.ExitCode != 6 || calls != 1 {
			t.Errorf("called %d times, then %+v: %v", calls, res, err)
		}
		b.appears(t, b.at("end"))
	}},
}

// countSum is the hash of the first size bytes of `seq first …`.
func countSum(first int, size int64) uint64 {
	h := fnv.New64a()
	buf := make([]byte, 0, 64<<10)
	for n := first; size > 0; n++ {
		buf = fmt.Appendln(buf[:0], n)
		buf = buf[:min(int64(len(buf)), size)]
		h.Write(buf)
		size -= int64(len(buf))
	}
	return h.Sum64()
}
