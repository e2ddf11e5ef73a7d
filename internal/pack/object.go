// Package pack reads and writes git packs in which every object is whole: no object is
// stored as a difference to another one. The host writes such packs, because they are
// quick to write and each object can be copied out of them as it is; the agent reads
// them, because no git is needed for that. It knows bytes only: no repository, no refs.
//
// Start with [Stream] for a pack that arrives, [AppendIndex] for the index that git
// wants beside a pack, [Open] for a pack that lies on the disk with its index.
// The formats are those of gitformat-pack(5).
package pack

import (
	"crypto/sha1" //nolint:gosec // git's object ids, not a matter of secrecy
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"

	"glue-lsp/internal/tree"
)

// Kind is an object's type, by its number in a pack.
type Kind byte

// The kinds of whole objects.
const (
	Commit Kind = 1
	Tree   Kind = 2
	Blob   Kind = 3
	Tag    Kind = 4
)

const (
	ofsDelta = 6
	refDelta = 7
)

// String is git's word for the kind.
func (k Kind) String() string {
	switch k {
	case Commit:
		return "commit"
	case Tree:
		return "tree"
	case Blob:
		return "blob"
	case Tag:
		return "tag"
	}
	return fmt.Sprintf("kind %d", byte(k))
}

// ErrDelta says that a pack stores an object as a difference to another one.
var ErrDelta = errors.New("the pack holds deltas")

// Name is an object's name as bytes; one of a format with shorter names ends in zeros.
type Name [sha256.Size]byte

// ParseName reads a name's hexadecimal form.
func ParseName(id string) (Name, error) {
	var n Name
	if len(id) != 2*sha1.Size && len(id) != 2*sha256.Size {
		return n, fmt.Errorf("%q is not the name of an object", id)
	}
	_, err := hex.Decode(n[:], []byte(id))
	return n, err
}

// Hex is the name in hexadecimal.
func (n *Name) Hex(f tree.Format) string { return hex.EncodeToString(n[:nameLen(f)]) }

func nameLen(f tree.Format) int {
	if f == tree.SHA256 {
		return sha256.Size
	}
	return sha1.Size
}

func newHash(f tree.Format) hash.Hash {
	if f == tree.SHA256 {
		return sha256.New()
	}
	return sha1.New() //nolint:gosec // see above
}

// NewHash begins the hash that names an object of size bytes: the caller writes these
// bytes, and [Sum] gives the name.
func NewHash(f tree.Format, k Kind, size int64) hash.Hash {
	h := newHash(f)
	startObject(h, k, size)
	return h
}

// Namer names objects that are held in memory, one after the other. It is for one
// goroutine, and saves making a hash for each.
type Namer struct{ h hash.Hash }

// NewNamer makes a Namer for a format.
func NewNamer(f tree.Format) *Namer { return &Namer{h: newHash(f)} }

// Name gives an object's name.
func (n *Namer) Name(k Kind, content []byte) Name {
	n.h.Reset()
	startObject(n.h, k, int64(len(content)))
	n.h.Write(content)
	return Sum(n.h)
}

// startObject writes what git puts before an object's content to hash it.
func startObject(h hash.Hash, k Kind, size int64) {
	var header [32]byte
	b := append(header[:0], k.String()...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, size, 10)
	h.Write(append(b, 0))
}

// Sum gives a hash's sum as a name.
func Sum(h hash.Hash) Name {
	var n Name
	h.Sum(n[:0])
	return n
}

// headLen is the length of what a pack begins with.
const headLen = 12

// AppendHead appends what a pack begins with: its version and number of objects.
func AppendHead(out []byte, objects int) []byte {
	out = append(out, "PACK\x00\x00\x00\x02"...)
	return binary.BigEndian.AppendUint32(out, uint32(objects)) //nolint:gosec // a pack counts them so
}

// AppendHeader appends what stands before an object's compressed content: its kind
// and size.
func AppendHeader(out []byte, k Kind, size int64) []byte {
	b := byte(k)<<4 | byte(size&0x0f)
	for size >>= 4; size > 0; size >>= 7 {
		out = append(out, b|0x80)
		b = byte(size & 0x7f)
	}
	return append(out, b)
}

// readHeader reads it; a delta is an ErrDelta.
func readHeader(r io.ByteReader) (Kind, int64, error) {
	b, err := r.ReadByte()
	if err != nil {
		return 0, 0, cut(err)
	}
	kind, size := b>>4&7, int64(b&15)
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
	case kind == ofsDelta || kind == refDelta:
		return 0, 0, ErrDelta
	case kind == 0 || kind > byte(Tag):
		return 0, 0, fmt.Errorf("an object of unknown type %d", kind)
	}
	return Kind(kind), size, nil
}

// cut turns a clean end in the middle of something into what it is.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
