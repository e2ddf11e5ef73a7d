package workspace

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff/lcs"
)

var (
	errNotText     = errors.New("the file on disk is not text")
	errBadText     = errors.New("the editor's text is not valid UTF-8")
	errNoEncoding  = errors.New("the file's encoding is not known, so the changed lines cannot be written in it")
	errManyEncodes = errors.New("the changed lines could be written in several encodings, and nothing tells which is the file's")
)

// overlay gives the bytes that a file will hold once an open buffer with the given
// text is saved over disk, as far as that can be told: the file's byte order mark,
// encoding and line ends stay. A buffer that differs from the file in nothing else
// gives disk itself. An error says why the text cannot be written in the file's form.
func overlay(disk, text []byte) ([]byte, error) {
	if !utf8.Valid(text) {
		return nil, errBadText
	}
	old, form, ok := DecodeDocument(disk)
	if !ok {
		return overlayUnknown(disk, text)
	}
	if sameText(old, text) {
		return disk, nil
	}
	if form.BOM {
		text = bytes.TrimPrefix(text, bomUTF8)
	}
	if form.Ends == MixedEnds {
		text = keepEnds(old, text)
	}
	return form.Encode(text)
}

// line is one line of a text: its content and the line end after it, which is empty
// for a last line without one.
type line struct{ content, end []byte }

func splitLines(text []byte) []line {
	var out []line
	for len(text) > 0 {
		i := bytes.IndexAny(text, "\r\n")
		if i < 0 {
			return append(out, line{content: text})
		}
		n := i + 1
		if text[i] == '\r' && n < len(text) && text[n] == '\n' {
			n++
		}
		out = append(out, line{content: text[:i], end: text[i:n]})
		text = text[n:]
	}
	return out
}

func joinLines(lines []line) []byte {
	var out []byte
	for _, l := range lines {
		out = append(append(out, l.content...), l.end...)
	}
	return out
}

// pairs matches the lines of two texts: for each new line the index of the old line
// it is, or takes the place of, and whether their contents are the same. The index is
// -1 for a line that was inserted. Line ends are not compared. What is alike at the
// beginning and at the end is matched first, so that an edit in one place leaves all
// other lines matched as a person would say.
func pairs(before, after []line, key func([]byte) string) (index []int, same []bool) {
	index, same = make([]int, len(after)), make([]bool, len(after))
	a, b := keys(before, key), keys(after, key)
	head := 0
	for head < min(len(a), len(b)) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < min(len(a), len(b))-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	match := func(x, y, n int) {
		for i := range n {
			index[y+i], same[y+i] = x+i, true
		}
	}
	match(0, 0, head)
	match(len(a)-tail, len(b)-tail, tail)
	x, y := head, head
	for _, d := range lcs.DiffLines(a[head:len(a)-tail], b[head:len(b)-tail]) {
		match(x, y, head+d.Start-x)
		for i := d.ReplStart; i < d.ReplEnd; i++ {
			index[head+i] = -1
			if from := d.Start + i - d.ReplStart; from < d.End {
				index[head+i] = head + from
			}
		}
		x, y = head+d.End, head+d.ReplEnd
	}
	match(x, y, len(a)-tail-x)
	return index, same
}

func keys(lines []line, key func([]byte) string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = key(l.content)
	}
	return out
}

// keepEnds gives text the line ends of old where a line was kept or changed in
// place. An editor that opened a file of mixed ends may hold them all alike.
func keepEnds(old, text []byte) []byte {
	before, after := splitLines(old), splitLines(text)
	index, _ := pairs(before, after, func(b []byte) string { return string(b) })
	for i, from := range index {
		if from >= 0 && len(after[i].end) > 0 && len(before[from].end) > 0 {
			after[i].end = before[from].end
		}
	}
	return joinLines(after)
}
