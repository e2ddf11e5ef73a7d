package agent

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"glue-lsp/sandbox"
)

// pour writes bytes into an output the way a pump does.
func pour(o *output, s sandbox.Stream, p []byte) {
	for len(p) > 0 {
		n := copy(o.space(s), p)
		o.commit(s, n)
		p = p[n:]
	}
}

// drain reads what a reader can have without waiting.
func drain(o *output, rd *reader, s sandbox.Stream, n int) []byte {
	var got []byte
	for len(got) < n {
		which, _, p, ok := o.next(context.Background(), rd)
		if !ok {
			break
		}
		if which == s {
			got = append(got, p...)
		}
		o.advance(rd, which, len(p))
	}
	return got
}

func TestX8_WithoutAReaderTheOldestOutputGoesAndMemoryIsBounded(t *testing.T) {
	o := newOutput()
	block := make([]byte, 1<<20)
	for i := range 64 {
		for j := range block {
			block[j] = byte(i)
		}
		pour(o, sandbox.Stdout, block)
	}
	if kept := o.kept(); kept > maxKeep {
		t.Errorf("%d bytes of memory are held", kept)
	}
	o.finish(sandbox.Stdout)
	o.finish(sandbox.Stderr)
	o.seal()
	rd := o.attach(sandbox.Offsets{})
	s, off, p, ok := o.next(context.Background(), rd)
	if !ok || s != sandbox.Stdout || off < 64<<20-maxKeep || p[0] != byte(off>>20) {
		t.Errorf("stream %d from %d, first byte %d: %v", s, off, p[0], ok)
	}
	if got := drain(o, rd, sandbox.Stdout, 64<<20); int64(len(got)) != 64<<20-off {
		t.Errorf("%d bytes follow offset %d", len(got), off)
	}
}

func TestAReaderHoldsTheCommandBackAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutput()
		rd := o.attach(sandbox.Offsets{})
		const size = 10 << 20
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i * 31 >> 8)
		}
		done := false
		go func() {
			pour(o, sandbox.Stdout, want)
			o.finish(sandbox.Stdout)
			o.finish(sandbox.Stderr)
			o.seal()
			done = true
		}()
		synctest.Wait()
		if done || o.kept() > maxKeep {
			t.Errorf("nobody read, and the pump went on: done %v, %d bytes kept", done, o.kept())
		}
		if got := drain(o, rd, sandbox.Stdout, size); !bytes.Equal(got, want) {
			t.Errorf("%d bytes came of %d, or others", len(got), size)
		}
		synctest.Wait()
		if !done {
			t.Error("the pump is still held back")
		}
	})
}

func TestAReaderThatLeavesLetsTheCommandGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutput()
		rd := o.attach(sandbox.Offsets{})
		done := false
		go func() {
			pour(o, sandbox.Stderr, make([]byte, 3*maxKeep))
			done = true
		}()
		synctest.Wait()
		if done {
			t.Error("the pump was not held back")
		}
		o.detach(rd)
		synctest.Wait()
		if !done {
			t.Error("the pump is still held back")
		}
	})
}

func TestWhatWasSentStaysForAClientThatLostIt(t *testing.T) {
	o := newOutput()
	rd := o.attach(sandbox.Offsets{})
	total := 0
	for range 200 {
		block := make([]byte, 100_000)
		for i := range block {
			block[i] = byte((total + i) % 251)
		}
		pour(o, sandbox.Stdout, block)
		total += len(block)
		drain(o, rd, sandbox.Stdout, len(block))
	}
	o.detach(rd)
	from := int64(total - windowSize - readSize)
	again := o.attach(sandbox.Offsets{Stdout: from})
	_, off, p, ok := o.next(context.Background(), again)
	if !ok || off != from || p[0] != byte(from%251) {
		t.Errorf("asked from %d, got from %d (%v)", from, off, ok)
	}
}

func TestOutputIsTheSameHoweverItIsReadAndWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := newOutput()
		rd := o.attach(sandbox.Offsets{})
		var in, out [2]bytes.Buffer
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			i := rapid.IntRange(0, 1).Draw(t, "stream")
			s := sandbox.Stdout + sandbox.Stream(i)
			if rapid.Bool().Draw(t, "write") {
				n := rapid.IntRange(0, 200_000).Draw(t, "n")
				if in[i].Len()-out[i].Len()+n > maxKeep/4 {
					continue // it would wait for the reader
				}
				p := bytes.Repeat([]byte{byte(in[i].Len()), byte(n), byte(i)}, n/3)
				in[i].Write(p)
				pour(o, s, p)
				continue
			}
			if in[0].Len() == out[0].Len() && in[1].Len() == out[1].Len() {
				continue
			}
			which, off, p, ok := o.next(context.Background(), rd)
			if !ok || off != int64(out[index(which)].Len()) {
				t.Fatalf("offset %d after %d", off, out[index(which)].Len())
			}
			n := rapid.IntRange(1, len(p)).Draw(t, "taken")
			out[index(which)].Write(p[:n])
			o.advance(rd, which, n)
		}
		for i := range in {
			if !bytes.HasPrefix(in[i].Bytes(), out[i].Bytes()) {
				t.Fatalf("stream %d differs", i)
			}
		}
	})
}

func TestAnEndedCommandGivesItsMemoryBack(t *testing.T) {
	o := newOutput()
	pour(o, sandbox.Stdout, make([]byte, 100_000))
	pour(o, sandbox.Stdout, []byte("tail"))
	o.finish(sandbox.Stdout)
	o.finish(sandbox.Stderr)
	o.seal()
	o.compact(false)
	if kept := o.kept(); kept > 256<<10 {
		t.Errorf("%d bytes are held for 100,004", kept)
	}
	rd := o.attach(sandbox.Offsets{Stdout: 100_000})
	if got := drain(o, rd, sandbox.Stdout, 4); string(got) != "tail" {
		t.Errorf("got %q", got)
	}
	o.detach(rd)
	o.compact(true)
	if kept := o.kept(); kept != 0 {
		t.Errorf("%d bytes are held of what is forgotten", kept)
	}
}

func TestWhatDescendantsPrintAfterTheEndIsKeptButNotWaitedFor(t *testing.T) {
	o := newOutput()
	before := o.attach(sandbox.Offsets{})
	pour(o, sandbox.Stdout, []byte("own"))
	o.seal()
	pour(o, sandbox.Stdout, []byte(" and more"))
	if got := drain(o, before, sandbox.Stdout, 100); string(got) != "own" {
		t.Errorf("a reader from before the end got %q", got)
	}
	after := o.attach(sandbox.Offsets{})
	if got := drain(o, after, sandbox.Stdout, 100); string(got) != "own and more" {
		t.Errorf("a reader from after the end got %q", got)
	}
	o.detach(before)
	o.detach(after)
	pour(o, sandbox.Stdout, make([]byte, 10*maxKeep))
	if kept := o.kept(); kept > maxKeep {
		t.Errorf("%d bytes are held", kept)
	}
}
