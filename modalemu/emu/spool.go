package emu

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// keep bounds the disk space of an output, within an eighth.
	keep = 512 << 20
	// inMemory is how long an output gets before it has a file.
	inMemory = 64 << 10
)

// spool keeps one output of a process, so that it can be read from any offset while it
// grows and after it has ended. Beyond limit bytes the oldest are given back to the disk,
// and can no longer be read. What somebody has begun to read is not lost that way: then
// it is the process that has to wait.
type spool struct {
	dir   string
	limit int64

	mu      sync.Mutex
	begin   []byte   // all of it, as long as there is no file
	f       *os.File // nil for short ones
	size    int64
	punched int64
	taken   int64 // by the reader that is furthest, or 0
	done    bool
	grown   chan struct{} // closed and replaced when there is more
}

// newSpool makes an empty one, whose file will be in dir.
func newSpool(dir string, limit int64) *spool {
	return &spool{dir: dir, limit: limit, grown: make(chan struct{})}
}

func (s *spool) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.done && s.taken > 0 && s.size-s.taken >= s.limit {
		grown := s.grown
		s.mu.Unlock()
		<-grown
		s.mu.Lock()
	}
	if s.done {
		return 0, os.ErrClosed
	}
	n, err := s.append(p)
	s.size += int64(n)
	s.wake()
	return n, errors.Join(err, s.trim())
}

// trim gives back what is too old.
func (s *spool) trim() error {
	old := s.size - s.limit
	if s.taken > 0 {
		old = min(old, s.taken)
	}
	if s.f == nil || old-s.punched <= s.limit/8 {
		return nil
	}
	err := unix.Fallocate(int(s.f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, old)
	if err != nil {
		return os.NewSyscallError("fallocate", err)
	}
	s.punched = old
	return nil
}

func (s *spool) append(p []byte) (int, error) {
	if s.f == nil && len(s.begin)+len(p) <= inMemory {
		s.begin = append(s.begin, p...)
		return len(p), nil
	}
	if s.f == nil {
		f, err := os.CreateTemp(s.dir, "out-")
		if err != nil {
			return 0, err
		}
		// The name is not needed: the file goes with its last descriptor.
		_ = os.Remove(f.Name())
		if _, err := f.WriteAt(s.begin, 0); err != nil {
			f.Close()
			return 0, err
		}
		s.f, s.begin = f, nil
	}
	return s.f.WriteAt(p, s.size)
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

// forget gives back what it holds; it cannot be read any more.
func (s *spool) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f != nil {
		s.f.Close()
	}
	s.begin, s.punched, s.done = nil, s.size, true
	s.wake()
}

// read gives what there is from an offset on; it waits for more, and ends with io.EOF.
func (s *spool) read(ctx context.Context, offset int64, p []byte) (int, error) {
	for {
		s.mu.Lock()
		if offset < s.punched {
			s.mu.Unlock()
			return 0, errTooOld
		}
		if n := min(int64(len(p)), s.size-offset); n > 0 {
			defer s.mu.Unlock()
			return s.take(offset, p[:n])
		}
		done, grown := s.done, s.grown
		s.mu.Unlock()
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

func (s *spool) take(offset int64, p []byte) (int, error) {
	if end := offset + int64(len(p)); end > s.taken {
		s.taken = end
		s.wake() // who waits for room
	}
	if s.f == nil {
		return copy(p, s.begin[offset:]), nil
	}
	return s.f.ReadAt(p, offset)
}
