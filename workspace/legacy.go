package workspace

import (
	"bytes"
	"cmp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// legacyEncodings are the encodings in which editors open files that are not UTF-8.
// A nil encoding is UTF-8 read with replacement characters, which is what an editor
// does that was not told of another one.
func legacyEncodings() []encoding.Encoding {
	return []encoding.Encoding{
		nil,
		charmap.Windows1252, charmap.ISO8859_1, charmap.ISO8859_15,
		charmap.Windows1250, charmap.ISO8859_2, charmap.Windows1251, charmap.KOI8R, charmap.KOI8U, charmap.ISO8859_5,
		charmap.Windows1253, charmap.ISO8859_7, charmap.Windows1254, charmap.ISO8859_9, charmap.Windows1255, charmap.ISO8859_8,
		charmap.Windows1256, charmap.Windows1257, charmap.Windows1258, charmap.Macintosh, charmap.CodePage437, charmap.CodePage850, charmap.CodePage866,
		japanese.ShiftJIS, japanese.EUCJP, simplifiedchinese.GB18030, simplifiedchinese.GBK, traditionalchinese.Big5, korean.EUCKR,
	}
}

// overlayUnknown lays text over a file whose encoding nothing states. Lines that the
// person left alone keep their bytes. Changed lines of plain ASCII are written as
// they are; other ones only in an encoding which the unchanged part of the buffer
// shows to be the file's, and only if all encodings so shown agree on the bytes.
func overlayUnknown(disk, text []byte) ([]byte, error) {
	if bytes.IndexByte(disk, 0) >= 0 {
		return nil, errNotText
	}
	raw, after := splitLines(disk), splitLines(text)
	if EndsOf(text) == LF {
		setEnds(after, EndsOf(disk))
	}

	var best evidence
	var shown []candidate
	for _, enc := range legacyEncodings() {
		c := weigh(raw, after, enc)
		if best.less(c.evidence) {
			best, shown = c.evidence, nil
		}
		if c.evidence == best {
			shown = append(shown, c)
		}
	}
	var out []byte
	err := errNoEncoding
	for _, c := range shown {
		got, ok := c.write(raw, after, best.proves())
		switch {
		case !ok:
		case out == nil:
			out, err = got, nil
		case !bytes.Equal(out, got):
			return nil, errManyEncodes
		}
	}
	if err != nil {
		return nil, err
	}
	if out == nil {
		out = []byte{}
	}
	return out, nil
}

// setEnds gives lines the one kind of end that a file has.
func setEnds(lines []line, ends LineEnds) {
	for i := range lines {
		if len(lines[i].end) > 0 {
			lines[i].end = withEnds(lines[i].end, ends)
		}
	}
}

// candidate is one way to read a file, and how the buffer's lines correspond to the
// file's when it is read so.
type candidate struct {
	enc      encoding.Encoding
	index    []int
	same     []bool
	evidence evidence
}

// evidence is what speaks for an encoding, the strongest first: characters beyond
// ASCII in lines that are the same in file and buffer, the number of such lines, and
// characters beyond ASCII that occur in both.
type evidence struct{ inSame, lines, inBoth int }

func (e evidence) less(o evidence) bool {
	return cmp.Or(cmp.Compare(e.inSame, o.inSame), cmp.Compare(e.lines, o.lines), cmp.Compare(e.inBoth, o.inBoth)) < 0
}

// proves reports whether there is any evidence but plain ASCII.
func (e evidence) proves() bool { return e.inSame > 0 || e.inBoth > 0 }

func weigh(raw, after []line, enc encoding.Encoding) candidate {
	read := make([]line, len(raw))
	var before runeCounts
	for i, l := range raw {
		read[i].content = decodeLegacy(l.content, enc)
		before.add(read[i].content)
	}
	c := candidate{enc: enc}
	c.index, c.same = pairs(read, after, foldReplacements)

	var now, kept runeCounts
	for i, l := range after {
		now.add(l.content)
		if c.same[i] {
			c.evidence.lines++
			kept.add(l.content)
		}
	}
	c.evidence.inSame, c.evidence.inBoth = kept.common(kept), before.common(now)
	return c
}

// write gives the file's new bytes. It is not ok when a changed line holds a
// character that the encoding lacks, or any beyond ASCII while nothing proves the
// encoding.
func (c candidate) write(raw, after []line, proven bool) ([]byte, bool) {
	var out []byte
	mixed := EndsOf(joinLines(raw)) == MixedEnds
	for i, l := range after {
		content, end, from := l.content, l.end, c.index[i]
		if c.same[i] {
			content = raw[from].content
		}
		if from >= 0 && (c.same[i] || mixed) && len(end) > 0 && len(raw[from].end) > 0 {
			end = raw[from].end
		}
		if !c.same[i] && !isASCII(content) {
			if !proven || bytes.ContainsRune(content, utf8.RuneError) {
				return nil, false
			}
			var ok bool
			if content, ok = encodeLegacy(content, c.enc); !ok {
				return nil, false
			}
		}
		out = append(append(out, content...), end...)
	}
	return out, true
}

func decodeLegacy(b []byte, enc encoding.Encoding) []byte {
	if isASCII(b) {
		return b
	}
	if enc == nil {
		return bytes.ToValidUTF8(b, []byte("\uFFFD"))
	}
	out, err := enc.NewDecoder().Bytes(b)
	if err != nil {
		return bytes.ToValidUTF8(b, []byte("\uFFFD"))
	}
	return out
}

func encodeLegacy(b []byte, enc encoding.Encoding) ([]byte, bool) {
	if enc == nil {
		return b, true
	}
	out, err := enc.NewEncoder().Bytes(b)
	return out, err == nil
}

// foldReplacements makes a run of replacement characters one: editors differ in how
// many they put for one broken sequence.
func foldReplacements(b []byte) string {
	s := string(b)
	for strings.Contains(s, "\uFFFD\uFFFD") {
		s = strings.ReplaceAll(s, "\uFFFD\uFFFD", "\uFFFD")
	}
	return s
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// runeCounts counts the characters beyond ASCII, replacement characters aside.
type runeCounts map[rune]int

func (r *runeCounts) add(b []byte) {
	if isASCII(b) {
		return
	}
	if *r == nil {
		*r = runeCounts{}
	}
	for _, c := range string(b) {
		if c >= utf8.RuneSelf && c != utf8.RuneError {
			(*r)[c]++
		}
	}
}

func (r runeCounts) common(o runeCounts) int {
	n := 0
	for c, count := range r {
		n += min(count, o[c])
	}
	return n
}
