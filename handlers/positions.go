package handlers

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"

	"go.lsp.dev/protocol"
)

// encoding says what Position.character counts (LSP 3.18, "Position encodings").
type encoding uint8

const (
	utf16Units encoding = iota // the default that every client knows
	utf8Units
	utf32Units
)

func (e encoding) kind() protocol.PositionEncodingKind {
	switch e {
	case utf8Units:
		return protocol.PositionEncodingKindUTF8
	case utf32Units:
		return protocol.PositionEncodingKindUTF32
	default:
		return protocol.PositionEncodingKindUTF16
	}
}

// negotiate picks the encoding that costs least: bytes, then code points, then UTF-16.
func negotiate(offered []protocol.PositionEncodingKind) encoding {
	for _, e := range []encoding{utf8Units, utf32Units} {
		if slices.Contains(offered, e.kind()) {
			return e
		}
	}
	return utf16Units
}

// lineStarts gives the offset of each line's first byte. A line ends with "\n", "\r\n"
// or "\r" (LSP 3.18, "Text Documents"); the last line has no end.
func lineStarts(text []byte) []int {
	starts := make([]int, 1, 16+len(text)/32)
	return appendLineStarts(starts, text, 0)
}

// appendLineStarts adds the starts of the lines that follow the first one of text,
// which lies at offset base.
func appendLineStarts(starts []int, text []byte, base int) []int {
	hasCR := bytes.IndexByte(text, '\r') >= 0
	for at := 0; ; {
		nl := bytes.IndexByte(text[at:], '\n')
		end := len(text)
		if nl >= 0 {
			end = at + nl
		}
		if hasCR {
			// Every CR before the line feed ends a line, unless the feed follows it.
			for i := at; i < end; {
				cr := bytes.IndexByte(text[i:end], '\r')
				if cr < 0 {
					break
				}
				i += cr + 1
				if i == end && nl >= 0 {
					break
				}
				starts = append(starts, base+i)
			}
		}
		if nl < 0 {
			return starts
		}
		at = end + 1
		starts = append(starts, base+at)
	}
}

// lineEnd is where line i's content ends, before its line end.
func lineEnd(text []byte, starts []int, i int) int {
	if i+1 >= len(starts) {
		return len(text)
	}
	end := starts[i+1] - 1
	if text[end] == '\n' && end > starts[i] && text[end-1] == '\r' {
		end--
	}
	return end
}

// offsetAt gives the byte offset of a position. What lies past a line's end is its end,
// what lies past the last line is the text's end, and a position inside a character is
// the character's start.
func offsetAt(text []byte, starts []int, pos protocol.Position, enc encoding) int {
	if int64(pos.Line) >= int64(len(starts)) {
		return len(text)
	}
	i := int(pos.Line)
	start, end := starts[i], lineEnd(text, starts, i)
	line := text[start:end]
	return start + columnOffset(line, int64(pos.Character), enc)
}

func columnOffset(line []byte, units int64, enc encoding) int {
	if enc == utf8Units {
		if units >= int64(len(line)) {
			return len(line)
		}
		at := int(units)
		for at > 0 && !utf8.RuneStart(line[at]) {
			at--
		}
		return at
	}
	at := 0
	for units > 0 && at < len(line) {
		if line[at] < utf8.RuneSelf {
			at++
			units--
			continue
		}
		r, size := utf8.DecodeRune(line[at:])
		width := int64(1)
		if enc == utf16Units && r > 0xFFFF {
			width = 2
		}
		if units < width {
			break
		}
		units -= width
		at += size
	}
	return at
}

// positionAt gives the position of a byte offset. An offset inside a line end is the
// line's end; callers that cannot live with that widen first (see widenOverLineEnds).
func positionAt(text []byte, starts []int, offset int, enc encoding) protocol.Position {
	offset = min(max(offset, 0), len(text))
	i, exact := slices.BinarySearch(starts, offset)
	if !exact {
		i--
	}
	end := min(offset, lineEnd(text, starts, i))
	column := countUnits(text[starts[i]:end], enc)
	return protocol.Position{Line: uint32(i), Character: uint32(column)}
}

func countUnits(p []byte, enc encoding) int {
	switch enc {
	case utf8Units:
		return len(p)
	case utf32Units:
		return utf8.RuneCount(p)
	}
	n := 0
	for i := 0; i < len(p); {
		if p[i] < utf8.RuneSelf {
			i++
			n++
			continue
		}
		r, size := utf8.DecodeRune(p[i:])
		if r > 0xFFFF {
			n++
		}
		n++
		i += size
	}
	return n
}

// spliceText replaces text[start:end] and keeps the index of line starts right without
// reading the rest of the text again. Both slices may be written to.
func spliceText(text []byte, starts []int, start, end int, insert []byte) ([]byte, []int) {
	firstLine := lineOf(starts, start)
	lastLine := lineOf(starts, end)
	// One line more on each side, since a CR and an LF that meet are one line end.
	from := max(firstLine-1, 0)
	to := min(lastLine+2, len(starts)) // first start that is only shifted
	fromOffset := starts[from]
	delta := len(insert) - (end - start)
	toOffset := len(text) + delta
	if to < len(starts) {
		toOffset = starts[to] + delta
	}

	text = slices.Replace(text, start, end, insert...)
	middle := appendLineStarts([]int{fromOffset}, text[fromOffset:toOffset], fromOffset)
	if to < len(starts) {
		// The line at toOffset is already in the shifted part; and what ended there ends
		// there still, since the line before it was not touched.
		if n := len(middle); n > 0 && middle[n-1] == toOffset {
			middle = middle[:n-1]
		}
		for i := to; i < len(starts); i++ {
			starts[i] += delta
		}
	}
	return text, slices.Replace(starts, from, to, middle...)
}

func lineOf(starts []int, offset int) int {
	i, exact := slices.BinarySearch(starts, offset)
	if !exact {
		i--
	}
	return i
}

// textRange is a range as it comes from a client. It is decoded here, because the
// protocol package takes a change with a malformed range for one of the whole text.
type textRange struct {
	Start textPosition `json:"start"`
	End   textPosition `json:"end"`
}

type textPosition struct {
	Line      uint32 `json:"line"`
	Character uint32 `json:"character"`
}

func (r textRange) offsets(text []byte, starts []int, enc encoding) (int, int, error) {
	a := offsetAt(text, starts, protocol.Position(r.Start), enc)
	b := offsetAt(text, starts, protocol.Position(r.End), enc)
	if a > b {
		return 0, 0, fmt.Errorf("the range ends (line %d) before it starts (line %d)", r.End.Line, r.Start.Line)
	}
	return a, b, nil
}
