package emu

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestASpoolGivesAnyOffsetWhileItGrowsAndAfterwards(t *testing.T) {
	for _, size := range []int{10, inMemory, inMemory + 1, 3 * inMemory} {
		s := newSpool(t.TempDir(), keep)
		t.Cleanup(s.forget)
		want := bytes.Repeat([]byte("0123456789abcde\n"), size/16+1)[:size]
		for at := 0; at < size; at += 1000 {
			if _, err := s.Write(want[at:min(at+1000, size)]); err != nil {
				t.Fatal(err)
			}
		}
		s.end()
		for _, from := range []int{0, 1, size / 2, size} {
			got, err := io.ReadAll(&spoolReader{s, int64(from)})
			if err != nil || !bytes.Equal(got, want[from:]) {
				t.Errorf("%d bytes from %d: %d came, %v", size, from, len(got), err)
			}
		}
	}
}

func TestASpoolKeepsOnlySoMuch(t *testing.T) {
	const limit = 8 << 20
	s := newSpool(t.TempDir(), limit)
	t.Cleanup(s.forget)
	chunk := bytes.Repeat([]byte{'x'}, 1<<20)
	for range 40 {
		if _, err := s.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(s.f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	if held := st.Blocks * 512; held > limit*5/4 {
		t.Errorf("%d bytes are held on the disk", held)
	}
	if _, err := s.read(t.Context(), 0, make([]byte, 10)); !errors.Is(err, errTooOld) {
		t.Errorf("what was given back is read as %v", err)
	}
	if n, err := s.read(t.Context(), 40<<20-5, make([]byte, 10)); n != 5 || err != nil {
		t.Errorf("the last bytes: %d, %v", n, err)
	}
}

func TestWhatSomebodyBeganToReadIsNotLostWhenTheyAreSlow(t *testing.T) {
	const limit, size = 1 << 20, 10 << 20
	s := newSpool(t.TempDir(), limit)
	t.Cleanup(s.forget)
	want := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	if _, err := s.Write(want[:100]); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 10)
	if _, err := s.read(t.Context(), 0, first); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() {
		defer s.end()
		for at := 100; at < size; at += 64 << 10 {
			if _, err := s.Write(want[at:min(at+64<<10, size)]); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	got, err := io.ReadAll(&spoolReader{s, 10})
	if err != nil || !bytes.Equal(append(first, got...), want) {
		t.Errorf("%d bytes of %d came: %v", 10+len(got), size, err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

func TestASpoolThatIsForgottenHoldsNothingAndWakesItsReaders(t *testing.T) {
	dir := t.TempDir()
	s := newSpool(dir, keep)
	if _, err := s.Write(make([]byte, 2*inMemory)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := s.read(context.Background(), 2*inMemory, make([]byte, 1))
		ended <- err
	}()
	s.forget()
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Errorf("who waited for more got %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("files were left: %v", left)
	}
}

type spoolReader struct {
	s  *spool
	at int64
}

func (r *spoolReader) Read(p []byte) (int, error) {
	n, err := r.s.read(context.Background(), r.at, p)
	r.at += int64(n)
	return n, err
}
