package lsptest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Position is a place in a text: line and column from 0, as in LSP 3.18 "Position".
type Position struct {
	Line      int `json:"line"`
	Character int `json:"character"`
}

// Range runs from Start up to, not including, End.
type Range struct {
	Start Position `json:"start"`
	End   Position `json:"end"`
}

// characters counts columns the way a person does: in Unicode code points. It is LSP's
// "utf-32".
const characters = "utf-32"

// ParseRange reads "line:col-line:col", or "line:col" for an empty range.
func ParseRange(s string) (Range, error) {
	from, to, found := strings.Cut(s, "-")
	if !found {
		to = from
	}
	var r Range
	for i, text := range []string{from, to} {
		line, column, _ := strings.Cut(text, ":")
		l, lineErr := strconv.Atoi(line)
		c, columnErr := strconv.Atoi(column)
		if lineErr != nil || columnErr != nil || l < 0 || c < 0 {
			return Range{}, fmt.Errorf("range %q: want line:col-line:col, counted from 0", s)
		}
		*[]*Position{&r.Start, &r.End}[i] = Position{l, c}
	}
	return r, nil
}

// lineStarts are the byte offsets at which lines begin. Lines end in \n, \r\n or \r.
func lineStarts(text string) []int {
	starts := []int{0}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\n':
			starts = append(starts, i+1)
		case text[i] == '\r' && (i+1 == len(text) || text[i+1] != '\n'):
			starts = append(starts, i+1)
		}
	}
	return starts
}

// offsetAt is the byte offset of a position, clamped to the line and the text as LSP asks.
func offsetAt(text string, p Position, encoding string) int {
	starts := lineStarts(text)
	if p.Line >= len(starts) {
		return len(text)
	}
	at, end := starts[p.Line], len(text)
	if p.Line+1 < len(starts) {
		end = at + len(strings.TrimRight(text[at:starts[p.Line+1]], "\r\n"))
	}
	for left := p.Character; left > 0 && at < end; {
		r, size := utf8.DecodeRuneInString(text[at:end])
		left -= width(r, size, encoding)
		at += size
	}
	return at
}

// positionAt is the reverse of offsetAt.
func positionAt(text string, offset int, encoding string) Position {
	starts := lineStarts(text)
	line, exact := slices.BinarySearch(starts, offset)
	if !exact {
		line--
	}
	p := Position{Line: line}
	for at := starts[line]; at < offset; {
		r, size := utf8.DecodeRuneInString(text[at:])
		p.Character += width(r, size, encoding)
		at += size
	}
	return p
}

func width(r rune, size int, encoding string) int {
	switch {
	case encoding == "utf-8":
		return size
	case encoding == "utf-16" && r > 0xFFFF:
		return 2
	default:
		return 1
	}
}

// replacement is one edit by byte offsets.
type replacement struct {
	start, end int
	text       string
}

// replace applies edits that all refer to the same text. Insertions at one place keep their
// order; overlapping edits are refused.
func replace(text string, edits []replacement) (string, error) {
	var out strings.Builder
	at := 0
	for _, e := range sorted(edits) {
		if e.start < at || e.end < e.start {
			return "", fmt.Errorf("edits overlap at byte %d", e.start)
		}
		out.WriteString(text[at:e.start])
		out.WriteString(e.text)
		at = e.end
	}
	out.WriteString(text[at:])
	return out.String(), nil
}

func sorted(edits []replacement) []replacement {
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b replacement) int { return a.start - b.start })
	return edits
}

// lineEnd is the line end that VS Code gives a buffer: CRLF if more than half of the text's
// line ends hold a CR (its PieceTreeTextBufferFactory).
func lineEnd(text string) string {
	crlf := strings.Count(text, "\r\n")
	cr := strings.Count(text, "\r") - crlf
	lf := strings.Count(text, "\n") - crlf
	if (cr+crlf)*2 > cr+lf+crlf {
		return "\r\n"
	}
	return "\n"
}

// withLineEnd rewrites every line end.
func withLineEnd(text, eol string) string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	if eol == "\n" {
		return text
	}
	return strings.ReplaceAll(text, "\n", eol)
}
