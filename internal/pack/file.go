package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strings"

	"glue-lsp/internal/tree"
)

// File is a pack on the disk with its index. It may be used by several goroutines.
type File struct {
	path   string // of the pack
	file   *os.File
	format tree.Format
	size   int64
	index  []byte
	count  int
	starts []int64 // of the objects, ascending, and last of the checksum at the end
}

// Entry is where an object lies in a File: Length bytes from Offset on, its header
// included.
type Entry struct {
	File   *File
	Place  int // among the pack's objects, by name
	Offset int64
	Length int64
	CRC    uint32
}

// DamagedError says that a pack or its index is not what it should be.
type DamagedError struct {
	Path string
	Why  string
}

func (e *DamagedError) Error() string { return e.Path + " is damaged: " + e.Why }

// Open opens the pack whose files are called base+".pack" and base+".idx". The index
// is checked against its checksum and the pack's size; see Verify for the rest.
// Damage is a *DamagedError.
func Open(base string, f tree.Format) (*File, error) {
	index, err := os.ReadFile(base + ".idx")
	if err != nil {
		return nil, err
	}
	file, err := os.Open(base + ".pack")
	if err != nil {
		return nil, err
	}
	p := &File{path: base + ".pack", file: file, format: f, index: index}
	info, err := file.Stat()
	if err == nil {
		p.size = info.Size()
		err = p.read()
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return p, nil
}

// Close closes the pack.
func (p *File) Close() error { return p.file.Close() }

// Path is the pack's name on the disk.
func (p *File) Path() string { return p.path }

// Size is the pack's size in bytes.
func (p *File) Size() int64 { return p.size }

// Count is the number of objects.
func (p *File) Count() int { return p.count }

func (p *File) damaged(why string, args ...any) error {
	return &DamagedError{Path: p.path, Why: fmt.Sprintf(why, args...)}
}

// The parts of an index, one after the other.
func (p *File) namesAt() int   { return len(indexMagic) + 4*fanout }
func (p *File) crcsAt() int    { return p.namesAt() + p.count*nameLen(p.format) }
func (p *File) offsetsAt() int { return p.crcsAt() + 4*p.count }

// read checks the index.
func (p *File) read() error {
	n := nameLen(p.format)
	if len(p.index) < p.namesAt()+2*n || string(p.index[:len(indexMagic)]) != indexMagic {
		return p.damaged("it has no index of version 2")
	}
	h := newHash(p.format)
	h.Write(p.index[:len(p.index)-n])
	if !bytes.Equal(h.Sum(nil), p.index[len(p.index)-n:]) {
		return p.damaged("its index has another checksum than it says")
	}
	last := 0
	for i := range fanout {
		upTo := int(p.uint32(len(indexMagic) + 4*i))
		if upTo < last {
			return p.damaged("its index is out of order")
		}
		last = upTo
	}
	p.count = last
	if len(p.index) < p.offsetsAt()+4*p.count+2*n {
		return p.damaged("its index is too short for %d objects", p.count)
	}
	p.starts = make([]int64, p.count, p.count+1)
	for i := range p.starts {
		var err error
		if p.starts[i], err = p.offset(i); err != nil {
			return err
		}
	}
	slices.Sort(p.starts)
	p.starts = append(p.starts, p.size-int64(n))
	if p.starts[0] != headLen {
		return p.damaged("its first object lies at %d", p.starts[0])
	}
	for i := range p.count {
		if p.starts[i] >= p.starts[i+1] {
			return p.damaged("it ends at %d, and an object should lie there", p.size)
		}
	}
	return nil
}

func (p *File) uint32(at int) uint32 { return binary.BigEndian.Uint32(p.index[at:]) }

// offset gives where the i-th object, by name, lies.
func (p *File) offset(i int) (int64, error) {
	small := p.uint32(p.offsetsAt() + 4*i)
	if small <= maxSmallOffset {
		return int64(small), nil
	}
	at := p.offsetsAt() + 4*p.count + 8*int(small&maxSmallOffset)
	if at+8+2*nameLen(p.format) > len(p.index) {
		return 0, p.damaged("its index lacks an offset")
	}
	large := binary.BigEndian.Uint64(p.index[at:])
	if large > 1<<62 {
		return 0, p.damaged("its index has an offset beyond all bounds")
	}
	return int64(large), nil
}

// Find says where an object lies.
func (p *File) Find(name Name) (Entry, bool) {
	from := 0
	if first := int(name[0]); first > 0 {
		from = int(p.uint32(len(indexMagic) + 4*(first-1)))
	}
	to := int(p.uint32(len(indexMagic) + 4*int(name[0])))
	n := nameLen(p.format)
	for from < to {
		mid := (from + to) / 2
		at := p.namesAt() + mid*n
		switch c := bytes.Compare(p.index[at:at+n], name[:n]); {
		case c < 0:
			from = mid + 1
		case c > 0:
			to = mid
		default:
			return p.entry(mid), true
		}
	}
	return Entry{}, false
}

// entry gives the i-th object by name. Its offset was read before.
func (p *File) entry(i int) Entry {
	offset, _ := p.offset(i)
	next, _ := slices.BinarySearch(p.starts, offset+1)
	return Entry{File: p, Place: i, Offset: offset, Length: p.starts[next] - offset, CRC: p.uint32(p.crcsAt() + 4*i)}
}

// verifyChunk is how much of a pack is read at once.
const verifyChunk = 1 << 20

// Verify reads the whole pack and compares every object, as it lies there, with its
// checksum in the index. It does not decode them: that their content is what their
// name says was so when the index was written.
func (p *File) Verify() error {
	crcs := make([]uint32, p.count)
	for i := range p.count {
		offset, _ := p.offset(i)
		at, _ := slices.BinarySearch(p.starts, offset)
		crcs[at] = p.uint32(p.crcsAt() + 4*i)
	}
	if err := p.verifyEnds(); err != nil {
		return err
	}
	buf := make([]byte, min(verifyChunk, p.size))
	at, i, crc := p.starts[0], 0, uint32(0)
	for end := p.starts[p.count]; at < end; {
		part := buf[:min(int64(len(buf)), end-at)]
		if _, err := p.file.ReadAt(part, at); err != nil {
			return p.damaged("it cannot be read: %v", err)
		}
		for len(part) > 0 {
			n := min(int64(len(part)), p.starts[i+1]-at)
			crc = crc32.Update(crc, crc32.IEEETable, part[:n])
			part = part[n:]
			if at += n; at < p.starts[i+1] {
				continue
			}
			if crc != crcs[i] {
				return p.damaged("the object at %d is not what it was", p.starts[i])
			}
			i, crc = i+1, 0
		}
	}
	return nil
}

// verifyEnds checks what stands before and after the objects.
func (p *File) verifyEnds() error {
	n := nameLen(p.format)
	var head [headLen]byte
	sum := make([]byte, n)
	_, err := p.file.ReadAt(head[:], 0)
	if err == nil {
		_, err = p.file.ReadAt(sum, p.starts[p.count])
	}
	switch {
	case err != nil:
		return p.damaged("it cannot be read: %v", err)
	case !bytes.Equal(head[:], AppendHead(nil, p.count)):
		return p.damaged("it does not begin as its index says")
	case !bytes.Equal(sum, p.index[len(p.index)-2*n:len(p.index)-n]):
		return p.damaged("its checksum is not the one in its index")
	}
	return nil
}

// CopyTo writes the object as it lies in the pack, which is how it lies in any other.
func (e Entry) CopyTo(w io.Writer) error {
	_, err := io.CopyN(w, io.NewSectionReader(e.File.file, e.Offset, e.Length), e.Length)
	return err
}

// Whole reports whether the object is stored as itself, not as a difference.
func (e Entry) Whole() bool {
	var first [1]byte
	_, err := e.File.file.ReadAt(first[:], e.Offset)
	kind := Kind(first[0] >> 4 & 7)
	return err == nil && kind >= Commit && kind <= Tag
}

// ReadAt gives the object as it lies in the pack, in buf if there is room.
func (e Entry) ReadAt(buf []byte) ([]byte, error) {
	buf = slices.Grow(buf[:0], int(e.Length))[:e.Length]
	_, err := e.File.file.ReadAt(buf, e.Offset)
	return buf, err
}

// Content decodes an object of at most max bytes. A delta is an ErrDelta. What it gives
// is good until d is used again.
func (e Entry) Content(d *Decoder, max int64) (Kind, []byte, error) {
	raw, err := e.ReadAt(d.raw)
	if err != nil {
		return 0, nil, err
	}
	d.raw = raw
	kind, size, err := d.Start(raw)
	switch {
	case errors.Is(err, ErrDelta):
		return 0, nil, err
	case err != nil:
		return 0, nil, e.File.damaged("the object at %d: %v", e.Offset, err)
	case size > max:
		return 0, nil, e.File.damaged("the %s at %d has %d bytes, more than %d", kind, e.Offset, size, max)
	}
	d.content.Reset()
	d.content.Grow(int(size) + bytes.MinRead)
	if _, err := d.content.ReadFrom(d); err != nil {
		return 0, nil, e.File.damaged("the object at %d: %v", e.Offset, err)
	}
	return kind, d.content.Bytes(), nil
}

// Bases names the packs in a folder that have an index, without their endings.
func Bases(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var bases []string
	for _, e := range entries {
		if base, ok := strings.CutSuffix(e.Name(), ".idx"); ok && strings.HasPrefix(base, "pack-") {
			bases = append(bases, base)
		}
	}
	return bases, nil
}
