//go:build linux || darwin

package tree

import (
	"context"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// pauses are the waits before each attempt to read a file, after the first because
// it changed during the one before; most writers are done soon. There are fewer
// attempts once retryLimit bytes were read in vain.
var pauses = [...]time.Duration{0, time.Millisecond, 3 * time.Millisecond, 9 * time.Millisecond, 20 * time.Millisecond}

const retryLimit = 64 << 20

// readSize is the most that is read at once, and thus the memory that a scan's
// worker takes, however large the files are.
const readSize = 256 << 10

var (
	// errChanged says that a file is not what it was when reading began.
	errChanged = errors.New("changed while it was read")
	// errTooLarge says that a file is over the reader's limit.
	errTooLarge = errors.New("too large")
)

// reader reads files and links so that what it gives is what the file held at one
// moment: the stat data before and after must agree. It never maps a file, since
// reading a mapping of a file that shrinks kills the process. For one goroutine.
type reader struct {
	now   func() time.Time
	limit int64 // size of a file that is too large to be read; 0: none is
	hash  hash.Hash
	buf   []byte
	sum   []byte
}

func newReader(f Format, now func() time.Time) *reader {
	return &reader{now: now, hash: f.newHash()}
}

// room gives a buffer for content of the given size, at most readSize of it.
func (r *reader) room(size int64) []byte {
	if want := min(size, readSize); int64(len(r.buf)) < want {
		r.buf = make([]byte, max(want, 4096))
	}
	return r.buf
}

// found is the outcome of one look at a path.
type found struct {
	stat  stat
	mode  Mode // Absent: a folder or a special file, see stat
	hash  string
	size  int64 // of the content
	fresh bool  // hash comes from reading, not from what was known
	// firm says that the stat data will differ once the content does, so that the
	// hash may be remembered by them.
	firm bool
}

// look gives what name in dir holds now. known, when not nil, answers with its hash
// for the stat data it was made with. Content goes to into, if that is not nil. The
// error is one of lstat, open or read, errTooLarge with the stat data, errChanged
// when no attempt was steady, or the context's.
func (r *reader) look(ctx context.Context, dir int, name string, known *record, into sink) (found, error) {
	inVain := int64(0)
	for _, pause := range pauses {
		if inVain > retryLimit {
			break
		}
		if err := sleep(ctx, pause); err != nil {
			return found{}, err
		}
		st, err := lstatAt(dir, name)
		if err != nil {
			return found{}, err
		}
		f := found{stat: st, mode: st.gitMode()}
		switch {
		case f.mode == Absent:
			return f, nil
		case r.limit > 0 && st.size > r.limit:
			return f, errTooLarge
		case known != nil && known.stat == st:
			f.hash, f.size = known.hash, st.size
			return f, nil
		}
		before := r.now()
		f.hash, f.size, err = r.read(ctx, dir, name, st, into)
		switch {
		case err == nil:
			// (Some file systems do not tell a link's length.)
			f.fresh, f.firm = true, !st.racy(before) && f.size == st.size
			return f, nil
		case errors.Is(err, errChanged), errors.Is(err, unix.ELOOP):
			inVain += st.size
		default:
			return found{}, err
		}
	}
	return found{}, errChanged
}

// sink takes a content as it is read. Each attempt starts with begin.
type sink interface {
	begin(size int64) error
	io.Writer
}

// read hashes what name holds if that is still what st says.
func (r *reader) read(ctx context.Context, dir int, name string, st stat, into sink) (string, int64, error) {
	if into != nil {
		if err := into.begin(st.size); err != nil {
			return "", 0, err
		}
	}
	r.hash.Reset()
	if st.isLink() {
		return r.readLink(dir, name, st, into)
	}
	fd, err := openFile(dir, name)
	if err != nil {
		return "", 0, err
	}
	defer unix.Close(fd) //nolint:errcheck // only read
	startBlob(r.hash, st.size)
	if err := r.copy(ctx, fd, st.size, into); err != nil {
		return "", 0, err
	}
	after, err := fstat(fd)
	if err != nil {
		return "", 0, err
	}
	if !after.steady(st) {
		return "", 0, errChanged
	}
	return r.hex(), st.size, nil
}

// copy reads size bytes, and asks for one more so that a file which grew is noticed.
func (r *reader) copy(ctx context.Context, fd int, size int64, into sink) error {
	buf := r.room(size + 1)
	for left := size; ; {
		want := min(left+1, int64(len(buf)))
		n, err := readSome(fd, buf[:want])
		if err != nil {
			return err
		}
		if n == 0 && left > 0 || int64(n) > left {
			return errChanged
		}
		r.hash.Write(buf[:n])
		if into != nil {
			if _, err := into.Write(buf[:n]); err != nil {
				return err
			}
		}
		// A short read of a regular file is its end (read(2)).
		if left -= int64(n); left == 0 && int64(n) < want {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

func (r *reader) readLink(dir int, name string, st stat, into sink) (string, int64, error) {
	target, err := readLink(dir, name, r.room(maxPath+1))
	if err != nil {
		if errors.Is(err, unix.EINVAL) { // not a link any more
			return "", 0, errChanged
		}
		return "", 0, err
	}
	after, err := lstatAt(dir, name)
	if err != nil {
		return "", 0, err
	}
	if after != st {
		return "", 0, errChanged
	}
	size := int64(len(target))
	startBlob(r.hash, size)
	r.hash.Write(target)
	if into != nil {
		if _, err := into.Write(target); err != nil {
			return "", 0, err
		}
	}
	return r.hex(), size, nil
}

func (r *reader) hex() string {
	r.sum = r.hash.Sum(r.sum[:0])
	return hex.EncodeToString(r.sum)
}

func readSome(fd int, buf []byte) (n int, err error) {
	err = again(func() error {
		n, err = unix.Read(fd, buf)
		return err
	})
	if errors.Is(err, unix.EAGAIN) { // a pipe was swapped in
		return 0, errChanged
	}
	return n, err
}

func sleep(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
