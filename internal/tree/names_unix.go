//go:build linux || darwin

package tree

import (
	"bytes"
	"slices"
)

// names is a list of file names in one piece of memory.
type names struct {
	text []byte
	refs []nameRef
}

type nameRef struct {
	start, end   uint32
	isDir, known bool
}

// name is one of names; its text is only lent.
type name struct {
	text         []byte
	isDir, known bool // as of readNames
}

func (n *names) add(text []byte, isDir, known bool) {
	start := uint32(len(n.text))
	n.text = append(n.text, text...)
	n.refs = append(n.refs, nameRef{start, uint32(len(n.text)), isDir, known})
}

func (n names) count() int { return len(n.refs) }

func (n names) at(i int) name {
	r := n.refs[i]
	return name{n.text[r.start:r.end], r.isDir, r.known}
}

func (n names) sort() {
	slices.SortFunc(n.refs, func(a, b nameRef) int {
		return bytes.Compare(n.text[a.start:a.end], n.text[b.start:b.end])
	})
}

// split cuts the list into parts of at most size names.
func (n names) split(size int) []names {
	parts := make([]names, 0, (len(n.refs)+size-1)/size)
	for refs := range slices.Chunk(n.refs, size) {
		parts = append(parts, names{n.text, refs})
	}
	return parts
}
