package handlers

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.lsp.dev/protocol"
	"pgregory.net/rapid"
)

func TestLinesEndAtLFAndCRLFAndCR(t *testing.T) {
	for text, want := range map[string][]int{
		"": {0}, "a": {0}, "\n": {0, 1}, "a\nb": {0, 2}, "a\r\nb": {0, 3}, "a\rb": {0, 2}, "\r": {0, 1},
		"\r\r\n\n": {0, 1, 3, 4}, "a\n\rb": {0, 2, 3}, "x\r": {0, 2}, "\r\n\r\n": {0, 2, 4}, "\u2028": {0},
	} {
		if diff := cmp.Diff(want, lineStarts([]byte(text))); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestPositionsInEveryEncoding(t *testing.T) {
	text := []byte("aä€𝄞z\r\nx\ry\nlast")
	starts := lineStarts(text)
	for _, c := range []struct {
		enc             encoding
		line, character uint32
		offset          int
	}{
		{utf8Units, 0, 0, 0},
		{utf8Units, 0, 1, 1},
		{utf8Units, 0, 3, 3},
		{utf8Units, 0, 10, 10},
		{utf8Units, 0, 11, 11},
		{utf16Units, 0, 1, 1},
		{utf16Units, 0, 2, 3},
		{utf16Units, 0, 3, 6},
		{utf16Units, 0, 5, 10},
		{utf16Units, 0, 6, 11},
		{utf32Units, 0, 3, 6},
		{utf32Units, 0, 4, 10},
		{utf32Units, 0, 5, 11},
		{utf16Units, 1, 1, 14},
		{utf16Units, 2, 0, 15},
		{utf16Units, 3, 4, 21},
	} {
		pos := protocol.Position{Line: c.line, Character: c.character}
		if got := offsetAt(text, starts, pos, c.enc); got != c.offset {
			t.Errorf("%s %d:%d is offset %d, want %d", c.enc.kind(), c.line, c.character, got, c.offset)
		}
		if got := positionAt(text, starts, c.offset, c.enc); got != pos {
			t.Errorf("%s offset %d is %+v, want %+v", c.enc.kind(), c.offset, got, pos)
		}
	}
}

func TestPositionsOutsideOfTheTextAreClamped(t *testing.T) {
	text := []byte("a𝄞\r\nb")
	starts := lineStarts(text)
	for name, c := range map[string]struct {
		enc    encoding
		pos    protocol.Position
		offset int
	}{
		"past the line's end":        {utf16Units, protocol.Position{Character: 99}, 5},
		"far past it":                {utf8Units, protocol.Position{Character: math.MaxUint32}, 5},
		"past the last line":         {utf16Units, protocol.Position{Line: 7, Character: 1}, 8},
		"inside a surrogate pair":    {utf16Units, protocol.Position{Character: 2}, 1},
		"inside a character's bytes": {utf8Units, protocol.Position{Character: 3}, 1},
		"the greatest line":          {utf32Units, protocol.Position{Line: math.MaxUint32}, 8},
	} {
		if got := offsetAt(text, starts, c.pos, c.enc); got != c.offset {
			t.Errorf("%s: offset %d, want %d", name, got, c.offset)
		}
	}
}

// drawText makes texts in which line ends and wide characters are common.
func drawText(t *rapid.T, label string) []byte {
	parts := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "bc", "\n", "\r", "\r\n", "ä", "€", "𝄞", " ", "line"}), 0, 30).Draw(t, label)
	return []byte(join(parts))
}

func join(parts []string) string {
	var b bytes.Buffer
	for _, p := range parts {
		b.WriteString(p)
	}
	return b.String()
}

func TestSpliceKeepsTheIndexThatAFullScanGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawText(t, "text")
		starts := lineStarts(text)
		for range rapid.IntRange(1, 8).Draw(t, "edits") {
			start := rapid.IntRange(0, len(text)).Draw(t, "start")
			end := rapid.IntRange(start, len(text)).Draw(t, "end")
			insert := drawText(t, "insert")
			want := slices.Concat(text[:start], insert, text[end:])
			text, starts = spliceText(text, starts, start, end, insert)
			if !bytes.Equal(text, want) {
				t.Fatalf("the text is %q, want %q", text, want)
			}
			if diff := cmp.Diff(lineStarts(text), starts); diff != "" {
				t.Fatalf("the index of %q: %s", text, diff)
			}
		}
	})
}

func TestPositionsComeBackToTheirOffset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawText(t, "text")
		starts := lineStarts(text)
		enc := rapid.SampledFrom([]encoding{utf8Units, utf16Units, utf32Units}).Draw(t, "encoding")
		at := rapid.IntRange(0, len(text)).Draw(t, "offset")
		for at < len(text) && !utf8.RuneStart(text[at]) {
			at++
		}
		if at > 0 && at < len(text) && text[at-1] == '\r' && text[at] == '\n' {
			at++
		}
		pos := positionAt(text, starts, at, enc)
		if got := offsetAt(text, starts, pos, enc); got != at {
			t.Fatalf("offset %d of %q is %+v, which is offset %d", at, text, pos, got)
		}
		line := text[starts[pos.Line]:at]
		units := map[encoding]int{
			utf8Units: len(line), utf32Units: utf8.RuneCount(line), utf16Units: len(utf16.Encode([]rune(string(line)))),
		}
		if int(pos.Character) != units[enc] {
			t.Fatalf("%q in %s is %d wide, want %d", line, enc.kind(), pos.Character, units[enc])
		}
	})
}

func BenchmarkEditInOneMegabyte(b *testing.B) {
	text := bytes.Repeat([]byte("the quick brown fox jumps over it\n"), 30000)
	d := newDocuments(utf16Units)
	if err := d.open("file:///x", "/x", "plaintext", 1, string(text), nil); err != nil {
		b.Fatal(err)
	}
	change := []textChange{{Range: &textRange{Start: textPosition{Line: 15000, Character: 4}, End: textPosition{Line: 15000, Character: 4}}, Text: "x"}}
	for b.Loop() {
		if err := d.change("/x", 2, change); err != nil {
			b.Fatal(err)
		}
	}
}
