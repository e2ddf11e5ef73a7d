package tree

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
)

// memoryLimit is the largest content that is held in memory, in bytes; larger ones
// are spooled to a temporary file.
const memoryLimit = 1 << 20

// Content is one file's content, held in memory or spooled to a temporary file, so
// that its size and hash are those of the very bytes that Reader gives, whatever
// becomes of the file. The temporary file has no name, so that it ends with the
// process at the latest.
type Content struct {
	entry  Entry
	memory []byte
	file   *os.File // instead of memory
}

// Entry says what was read: path, mode, hash and size.
func (c *Content) Entry() Entry { return c.entry }

// Reader gives the content from its beginning, each time. It is good until Close;
// several may be read at once.
func (c *Content) Reader() io.Reader {
	if c.file != nil {
		return io.NewSectionReader(c.file, 0, c.entry.Size)
	}
	return bytes.NewReader(c.memory)
}

// Close lets go of the memory or the temporary file.
func (c *Content) Close() error {
	c.memory = nil
	if c.file == nil {
		return nil
	}
	f := c.file
	c.file = nil
	return f.Close()
}

// SpoolContent takes exactly size bytes from r. (Used by whoever receives content.)
// Fewer are an io.ErrUnexpectedEOF; what follows them in r is not touched.
func SpoolContent(r io.Reader, mode Mode, size int64, f Format) (*Content, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if size < 0 {
		return nil, fmt.Errorf("content of %d bytes: the size is negative", size)
	}
	s := spool{}
	if err := s.begin(size); err != nil {
		return nil, err
	}
	h := NewHash(f, size)
	n, err := io.Copy(io.MultiWriter(&s, h), io.LimitReader(r, size))
	if err == nil && n < size {
		err = fmt.Errorf("content of %d bytes ended after %d: %w", size, n, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return nil, errors.Join(err, s.discard())
	}
	return s.content(Entry{Mode: mode, Hash: sumHex(h), Size: size}), nil
}

func sumHex(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// spool collects a content of a size that is told beforehand.
type spool struct {
	memory []byte
	file   *os.File
}

// begin starts, or starts again, to collect size bytes.
func (s *spool) begin(size int64) error {
	s.memory = s.memory[:0]
	if s.file != nil {
		if _, err := s.file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		return s.file.Truncate(0)
	}
	if size <= memoryLimit {
		s.memory = slices.Grow(s.memory, int(size))
		return nil
	}
	f, err := os.CreateTemp("", "glue-content-*")
	if err != nil {
		return fmt.Errorf("spool content: %w", err)
	}
	s.file = f
	if err := os.Remove(f.Name()); err != nil {
		return fmt.Errorf("spool content: %w", err)
	}
	return nil
}

// Write adds to what is collected.
func (s *spool) Write(b []byte) (int, error) {
	if s.file != nil {
		return s.file.Write(b)
	}
	s.memory = append(s.memory, b...)
	return len(b), nil
}

func (s *spool) content(e Entry) *Content {
	return &Content{entry: e, memory: s.memory, file: s.file}
}

func (s *spool) discard() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
