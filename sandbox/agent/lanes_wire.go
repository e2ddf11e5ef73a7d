package agent

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// A stream that is carried by several lanes is cut into pieces, each with its place in
// the stream and a checksum before it: whatever carries them may deliver them side by
// side, and a hole or a repetition in a lane that was cut and resumed is seen.
//
// Down to the agent a piece may come over any lane; one lane's pieces are in order. Up
// from the agent all pieces come over one.
const (
	// MaxPiece is how many bytes of the stream one piece holds at most.
	MaxPiece = 64 << 10
	// PieceHeader is the size of what stands before them: number (8 bytes), length (4)
	// and checksum (4), big endian.
	PieceHeader = 16
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendPiece appends piece number seq, which holds p (at most MaxPiece bytes), to b.
func AppendPiece(b []byte, seq uint64, p []byte) []byte {
	at := len(b)
	b = binary.BigEndian.AppendUint64(b, seq)
	b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
	sum := crc32.Update(crc32.Checksum(b[at:at+12], castagnoli), castagnoli, p)
	b = binary.BigEndian.AppendUint32(b, sum)
	return append(b, p...)
}

// PieceReader reads the pieces of one lane.
type PieceReader struct {
	r   io.Reader
	buf []byte
}

// NewPieceReader reads from r, which is best buffered.
func NewPieceReader(r io.Reader) *PieceReader { return &PieceReader{r: r} }

// Next reads one piece; what it holds is valid until the next call. A piece that is not
// as it was sent is an error, and io.EOF is an end between two pieces.
func (r *PieceReader) Next() (seq uint64, p []byte, err error) {
	var head [PieceHeader]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return 0, nil, err
	}
	seq = binary.BigEndian.Uint64(head[:])
	n := binary.BigEndian.Uint32(head[8:])
	if n > MaxPiece {
		return 0, nil, fmt.Errorf("%w: a piece of %d bytes", errProtocol, n)
	}
	if cap(r.buf) < int(n) {
		// Most pieces are small: few lanes ever carry a large one.
		r.buf = make([]byte, max(int(n), 4<<10))
	}
	p = r.buf[:n]
	if _, err := io.ReadFull(r.r, p); err != nil {
		return 0, nil, cut(err)
	}
	if crc32.Update(crc32.Checksum(head[:12], castagnoli), castagnoli, p) != binary.BigEndian.Uint32(head[12:]) {
		return 0, nil, fmt.Errorf("%w: piece %d came damaged", errProtocol, seq)
	}
	return seq, p, nil
}
