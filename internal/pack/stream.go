package pack

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"slices"

	"github.com/klauspost/compress/zlib"

	"glue-lsp/internal/tree"
)

// streamBuffer is how much of a pack is read at once.
const streamBuffer = 256 << 10

// Stream decodes a pack as it arrives. The pack comes from the other side: every
// number in it is checked before it is believed, nothing is allocated on its word,
// and content never gets longer than its header says. It is for one goroutine.
//
//	for s.Next() → the object's kind and size; s.Read → its content; s.End → where it lies
//	s.Finish → the pack's own checksum was right
type Stream struct {
	source source
	in     *bufio.Reader
	z      io.ReadCloser
	count  uint32 // objects that are still to come
	left   int64  // bytes of the object in hand that are still to come
	start  int64
	ended  bool // the compressed data of the object in hand was read to its end
}

// Object is where an object lies in a pack.
type Object struct {
	Name   Name
	Offset int64
	CRC    uint32 // IEEE, of the object as it lies in the pack
}

// NewStream begins to read a pack from r. Every byte of the pack is also written to
// sink, if that is not nil.
func NewStream(r io.Reader, f tree.Format, sink io.Writer) (*Stream, error) {
	s := &Stream{source: source{r: r, sink: sink, sum: newHash(f)}}
	s.in = bufio.NewReaderSize(&s.source, streamBuffer)
	var head [headLen]byte
	if _, err := io.ReadFull(s.in, head[:]); err != nil {
		return nil, cut(err)
	}
	version := binary.BigEndian.Uint32(head[4:])
	if string(head[:4]) != "PACK" || version < 2 || version > 3 {
		return nil, errors.New("it is not a pack of version 2 or 3")
	}
	s.count = binary.BigEndian.Uint32(head[8:])
	s.source.entry(s.in.Buffered())
	return s, nil
}

// Next goes on to the next object. After the last one it gives io.EOF, at an object
// that is not whole ErrDelta.
func (s *Stream) Next() (Kind, int64, error) {
	if s.count == 0 {
		return 0, 0, io.EOF
	}
	s.start = s.source.offset(s.in.Buffered())
	kind, size, err := readHeader(s.in)
	if err != nil {
		return 0, 0, err
	}
	if s.z == nil {
		s.z, err = zlib.NewReader(s.in)
	} else {
		err = s.z.(zlib.Resetter).Reset(s.in, nil)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("an object is not compressed as it should be: %w", cut(err))
	}
	s.left, s.ended = size, false
	return kind, size, nil
}

// Read gives the content of the object in hand. Less or more content than the header
// says is an error.
func (s *Stream) Read(p []byte) (int, error) {
	if s.ended {
		return 0, io.EOF
	}
	if s.left == 0 {
		return 0, s.checkEnd()
	}
	n, err := s.z.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	switch {
	case errors.Is(err, io.EOF) && s.left > 0:
		return n, errors.New("an object is shorter than it says")
	case errors.Is(err, io.EOF):
		s.ended = true
	case err != nil:
		return n, err
	}
	return n, nil
}

// checkEnd reads the end of the compressed data, with its checksum.
func (s *Stream) checkEnd() error {
	var one [1]byte
	for {
		n, err := s.z.Read(one[:])
		switch {
		case n > 0:
			return errors.New("an object is longer than it says")
		case errors.Is(err, io.EOF):
			s.ended = true
			return io.EOF
		case err != nil:
			return err
		}
	}
}

// End skips what is left of the object in hand and says where it lies. It does not
// know the name.
func (s *Stream) End() (Object, error) {
	if _, err := io.Copy(io.Discard, s); err != nil {
		return Object{}, err
	}
	s.count--
	if s.source.failed != nil {
		return Object{}, s.source.failed // the reader above tells it only when it needs more
	}
	return Object{Offset: s.start, CRC: s.source.entry(s.in.Buffered())}, nil
}

// Raw reads the next object, which is said to take length bytes, as it lies in the
// pack, into buf if there is room. [Decode] tells whether it is one.
func (s *Stream) Raw(buf []byte, length int64) ([]byte, Object, error) {
	if s.count == 0 {
		return nil, Object{}, io.EOF
	}
	o := Object{Offset: s.source.offset(s.in.Buffered())}
	buf = slices.Grow(buf[:0], int(length))[:length]
	if _, err := io.ReadFull(s.in, buf); err != nil {
		return buf, o, cut(err)
	}
	s.count--
	o.CRC = s.source.entry(s.in.Buffered())
	return buf, o, s.source.failed
}

// Finish reads the checksum that ends a pack, and gives it if it is right. What
// follows the pack is not touched, but may have been read from r.
func (s *Stream) Finish() ([]byte, error) {
	want := s.source.finish(s.in.Buffered())
	got := make([]byte, len(want))
	if _, err := io.ReadFull(s.in, got); err != nil {
		return nil, cut(err)
	}
	if s.source.failed != nil {
		return nil, s.source.failed
	}
	if !bytes.Equal(got, want) {
		return nil, errors.New("the pack's checksum is not that of its bytes")
	}
	return got, nil
}

// Drain passes what is left of r to the sink, unread.
func (s *Stream) Drain() error {
	_, err := io.Copy(io.Discard, s.in)
	return err
}

// source counts and hashes the bytes that a bufio.Reader above it has given out. That
// reader asks for more only when it has none left, so that whatever was handed out
// before has been used by then.
type source struct {
	r     io.Reader
	sink  io.Writer
	sum   hash.Hash // of the pack
	chunk []byte    // what was handed out last, in the reader's own buffer
	crc   uint32    // of the object in hand, up to chunk[mark:]
	mark  int
	hash  int   // chunk[hash:] is not in sum yet
	total int64 // bytes before chunk

	failed error // of the sink
}

func (s *source) Read(p []byte) (int, error) {
	s.use(len(s.chunk))
	s.total += int64(len(s.chunk))
	n, err := s.r.Read(p)
	s.chunk, s.mark, s.hash = p[:n], 0, 0
	if n > 0 && s.sink != nil {
		if _, s.failed = s.sink.Write(s.chunk); s.failed != nil {
			return n, s.failed
		}
	}
	return n, err
}

// use takes chunk[:to] into the sums.
func (s *source) use(to int) {
	s.crc = crc32.Update(s.crc, crc32.IEEETable, s.chunk[s.mark:to])
	s.sum.Write(s.chunk[s.hash:to])
	s.mark, s.hash = to, to
}

// offset is where the reader stands; so many bytes it still has.
func (s *source) offset(buffered int) int64 { return s.total + int64(len(s.chunk)-buffered) }

// entry ends an object and gives its checksum.
func (s *source) entry(buffered int) uint32 {
	to := len(s.chunk) - buffered
	crc := crc32.Update(s.crc, crc32.IEEETable, s.chunk[s.mark:to])
	s.crc, s.mark = 0, to
	return crc
}

// finish gives the sum of all that was used.
func (s *source) finish(buffered int) []byte {
	s.use(len(s.chunk) - buffered)
	return s.sum.Sum(nil)
}
