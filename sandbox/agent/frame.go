package agent

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// A stream carries frames: a type, a length (big endian) and that many bytes. Data
// and output frames carry raw bytes, message frames JSON. An end frame is the last one
// in its direction; a stream that stops without one was cut. Its payload is empty,
// or the error with which the operation failed.
const (
	frameMessage = 'm'
	frameData    = 'd'
	frameOutput  = 'o'
	frameEnd     = 'e'

	frameHeader = 5
)

// errProtocol is the root of errors about a peer that does not keep to the protocol.
var errProtocol = errors.New("the other side of the agent's stream broke the protocol")

func protocolError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errProtocol, fmt.Sprintf(format, args...))
}

// frames reads and writes the frames of one stream. One goroutine may read while
// another writes; writes are whole frames and may come from several goroutines.
type frames struct {
	rw io.ReadWriter

	// Of the frame being read.
	typ  byte
	left int
	open bool // a frame's header was read and not all of its payload
	head [frameHeader]byte

	sendMu sync.Mutex
	gather bool
	out    []byte
}

// next makes the next frame current, unless one is already begun.
func (f *frames) next() error {
	if f.open {
		return nil
	}
	if _, err := io.ReadFull(f.rw, f.head[:]); err != nil {
		return cut(err)
	}
	typ, n := f.head[0], binary.BigEndian.Uint32(f.head[1:])
	limit := uint32(maxChunk)
	switch typ {
	case frameMessage, frameEnd:
		limit = maxMessage
	case frameData, frameOutput:
	default:
		return protocolError("a frame of unknown type %d", typ)
	}
	if n > limit {
		return protocolError("a frame of %d bytes", n)
	}
	f.typ, f.left, f.open = typ, int(n), true
	return nil
}

// payload reads what is left of the current frame into memory, which grows only as
// bytes really come.
func (f *frames) payload() ([]byte, error) {
	b := make([]byte, 0, min(f.left, 64<<10))
	for f.left > 0 {
		b = slices.Grow(b, min(f.left, max(512, len(b))))
		n, err := f.rw.Read(b[len(b):min(cap(b), len(b)+f.left)])
		b, f.left = b[:len(b)+n], f.left-n
		if err != nil && f.left > 0 {
			return nil, cut(err)
		}
	}
	f.open = false
	return b, nil
}

// read reads bytes of the current frame.
func (f *frames) read(p []byte) (int, error) {
	n, err := f.rw.Read(p[:min(len(p), f.left)])
	f.left -= n
	if f.left == 0 {
		f.open = false
		return n, nil
	}
	if err != nil {
		return n, cut(err)
	}
	return n, nil
}

// write sends one frame whose payload is head and body together.
func (f *frames) write(typ byte, head, body []byte) error {
	f.sendMu.Lock()
	defer f.sendMu.Unlock()
	f.out = appendFrame(f.out, typ, head, body)
	if f.gather && len(f.out) < gatherLimit {
		return nil
	}
	return f.flushLocked()
}

// gatherLimit is how much gathered output is sent without being asked to.
const gatherLimit = 128 << 10

func (f *frames) flushLocked() error {
	if len(f.out) == 0 {
		return nil
	}
	_, err := f.rw.Write(f.out)
	f.out = f.out[:0]
	return err
}

func appendFrame(b []byte, typ byte, head, body []byte) []byte {
	b = append(b, typ)
	b = binary.BigEndian.AppendUint32(b, uint32(len(head)+len(body)))
	b = append(b, head...)
	return append(b, body...)
}

// cut turns an end of input where there should be more into what it is.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func decodeMessage(b []byte, v any) error {
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(b, v); err != nil {
		return protocolError("a message that does not decode: %v", err)
	}
	return nil
}
