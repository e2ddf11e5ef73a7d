package pack

import (
	"bytes"
	"encoding/binary"
	"slices"

	"glue-lsp/internal/tree"
)

// indexMagic begins an index of version 2.
const indexMagic = "\xfftOc\x00\x00\x00\x02"

const fanout = 256

// maxSmallOffset is the largest offset that needs no second table.
const maxSmallOffset = 1<<31 - 1

// AppendIndex appends the index, version 2, of a pack that holds objects and ends in
// sum. It sorts objects by name.
func AppendIndex(out []byte, f tree.Format, objects []Object, sum []byte) []byte {
	slices.SortFunc(objects, func(a, b Object) int { return bytes.Compare(a.Name[:], b.Name[:]) })
	begin := len(out)
	out = slices.Grow(out, len(indexMagic)+4*fanout+len(objects)*(nameLen(f)+8)+2*nameLen(f))
	out = append(out, indexMagic...)
	at := 0
	for first := range fanout {
		for at < len(objects) && int(objects[at].Name[0]) <= first {
			at++
		}
		out = binary.BigEndian.AppendUint32(out, uint32(at)) //nolint:gosec // a pack counts its objects so
	}
	for i := range objects {
		out = append(out, objects[i].Name[:nameLen(f)]...)
	}
	for i := range objects {
		out = binary.BigEndian.AppendUint32(out, objects[i].CRC)
	}
	var large []byte
	for i := range objects {
		offset := objects[i].Offset
		if offset <= maxSmallOffset {
			out = binary.BigEndian.AppendUint32(out, uint32(offset)) //nolint:gosec // checked
			continue
		}
		out = binary.BigEndian.AppendUint32(out, 1<<31|uint32(len(large)/8)) //nolint:gosec // fewer than objects
		large = binary.BigEndian.AppendUint64(large, uint64(offset))         //nolint:gosec // never negative
	}
	out = append(append(out, large...), sum...)
	h := newHash(f)
	h.Write(out[begin:])
	return h.Sum(out)
}

// Duplicate gives an object that is named twice among objects that AppendIndex sorted.
func Duplicate(objects []Object) (Name, bool) {
	for i := 1; i < len(objects); i++ {
		if objects[i].Name == objects[i-1].Name {
			return objects[i].Name, true
		}
	}
	return Name{}, false
}
