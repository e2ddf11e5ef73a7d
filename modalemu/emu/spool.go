package emu

import (
	"context"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// spool keeps one output of a process in a file, so that it can be read from any
// offset while it grows and after it has ended. Beyond keep bytes the oldest are given
// back to the disk, and can no longer be read.
type spool struct {
	mu      sync.Mutex
	f       *os.File
	size    int64
	punched int64
	done    bool
	grown   chan struct{} // closed and replaced when there is more
}

// keep bounds the disk space of an output.
const keep = 512 << 20

func newSpool(path string) (*spool, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	// The name is not needed: the file goes with its last descriptor.
	_ = os.Remove(path)
	return &spool{f: f, grown: make(chan struct{})}, nil
}

func (s *spool) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.f.WriteAt(p, s.size)
	s.size += int64(n)
	if old := s.size - keep; old-s.punched > 64<<20 {
		if unix.Fallocate(int(s.f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, old) == nil {
			s.punched = old
		}
	}
	s.wake()
	return n, err
}

func (s *spool) wake() {
	close(s.grown)
	s.grown = make(chan struct{})
}

func (s *spool) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	s.wake()
}

// read gives what there is from an offset on; it waits for more, and ends with io.EOF.
func (s *spool) read(ctx context.Context, offset int64, p []byte) (int, error) {
	for {
		s.mu.Lock()
		size, done, grown, punched := s.size, s.done, s.grown, s.punched
		s.mu.Unlock()
		if offset < punched {
			return 0, errTooOld
		}
		if offset < size {
			n := min(int64(len(p)), size-offset)
			return s.f.ReadAt(p[:n], offset)
		}
		if done {
			return 0, io.EOF
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
