package agent

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
)

// errDelta says that a pack stores an object as a difference to another one. Packs
// that the host makes for a sandbox do not; one with the project's history may.
var errDelta = errors.New("the pack holds deltas")

// The object types of a pack; see gitformat-pack(5).
const (
	packBlob     = 3
	packTag      = 4
	packOfsDelta = 6
	packRefDelta = 7
)

// readPack gives each blob of a pack to blob, in the order of the pack. It stops with
// errDelta at the first delta. What follows the last object is not read.
func readPack(r *bufio.Reader, blob func(size int64, content io.Reader) error) error {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return cut(err)
	}
	version := binary.BigEndian.Uint32(head[4:])
	if string(head[:4]) != "PACK" || version < 2 || version > 3 {
		return errors.New("it is not a pack of version 2 or 3")
	}
	var z io.ReadCloser
	for range binary.BigEndian.Uint32(head[8:]) {
		kind, size, err := packObject(r)
		if err != nil {
			return err
		}
		if z == nil {
			z, err = zlib.NewReader(r)
		} else {
			err = z.(zlib.Resetter).Reset(r, nil)
		}
		if err != nil {
			return fmt.Errorf("an object is not compressed as it should be: %w", cut(err))
		}
		content := &exactly{r: z, left: size}
		if kind == packBlob {
			if err := blob(size, content); err != nil {
				return err
			}
		}
		if _, err := io.Copy(io.Discard, content); err != nil {
			return err
		}
	}
	return nil
}

// packObject reads an object's type and size.
func packObject(r *bufio.Reader) (kind byte, size int64, err error) {
	b, err := r.ReadByte()
	if err != nil {
		return 0, 0, cut(err)
	}
	kind, size = b>>4&7, int64(b&15)
	for shift := 4; b&0x80 != 0; shift += 7 {
		if b, err = r.ReadByte(); err != nil {
			return 0, 0, cut(err)
		}
		if shift > 55 {
			return 0, 0, errors.New("an object's size is beyond all bounds")
		}
		size |= int64(b&0x7f) << shift
	}
	switch {
	case kind == packOfsDelta || kind == packRefDelta:
		return 0, 0, errDelta
	case kind == 0 || kind > packTag:
		return 0, 0, fmt.Errorf("an object of unknown type %d", kind)
	}
	return kind, size, nil
}

// exactly reads an object of a known size: less or more than that is an error, and
// the end of the compressed data, with its checksum, is read too.
type exactly struct {
	r    io.Reader
	left int64
	end  bool
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.end {
		return 0, io.EOF
	}
	if e.left == 0 {
		return 0, e.finish()
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	switch {
	case errors.Is(err, io.EOF) && e.left > 0:
		return n, errors.New("an object is shorter than it says")
	case err != nil && !errors.Is(err, io.EOF):
		return n, err
	case errors.Is(err, io.EOF):
		e.end = true
	}
	return n, nil
}

func (e *exactly) finish() error {
	var one [1]byte
	for {
		n, err := e.r.Read(one[:])
		switch {
		case n > 0:
			return errors.New("an object is longer than it says")
		case errors.Is(err, io.EOF):
			e.end = true
			return io.EOF
		case err != nil:
			return err
		}
	}
}
