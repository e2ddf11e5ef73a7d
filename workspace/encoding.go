package workspace

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// Form says how a text file is written, apart from its text: what an editor
// remembers on opening it and uses again on saving. The zero Form is that of an
// empty file: UTF-8, no byte order mark, no line ends.
type Form struct {
	Encoding Encoding
	BOM      bool
	Ends     LineEnds
}

// Encoding is a character encoding that a file states or proves by itself.
type Encoding uint8

// The encodings of a [Form]. UTF-16 is recognised by its byte order mark only.
const (
	UTF8 Encoding = iota
	UTF16LE
	UTF16BE
)

// LineEnds says which line ends a text has.
type LineEnds uint8

// The line ends of a [Form].
const (
	NoEnds LineEnds = iota // a single line without an end
	LF
	CRLF
	CR
	MixedEnds
)

var (
	bomUTF8    = []byte{0xEF, 0xBB, 0xBF}
	bomUTF16LE = []byte{0xFF, 0xFE}
	bomUTF16BE = []byte{0xFE, 0xFF}
)

// DecodeDocument gives a file's text as UTF-8 without its byte order mark, line
// ends as they are, and the form in which [Form.Encode] writes the same bytes
// again. It is not ok when the bytes are not text in one of the encodings of a
// Form: they hold a NUL, are not valid, or would not come back the same. The text
// may share memory with b.
func DecodeDocument(b []byte) (text []byte, f Form, ok bool) {
	switch {
	case bytes.HasPrefix(b, bomUTF8):
		f.BOM, text = true, b[len(bomUTF8):]
		ok = utf8.Valid(text)
	case bytes.HasPrefix(b, bomUTF16LE):
		f.Encoding, f.BOM = UTF16LE, true
		text, ok = decodeUTF16(b[2:], f.Encoding)
	case bytes.HasPrefix(b, bomUTF16BE):
		f.Encoding, f.BOM = UTF16BE, true
		text, ok = decodeUTF16(b[2:], f.Encoding)
	default:
		text, ok = b, utf8.Valid(b)
	}
	if !ok || bytes.IndexByte(text, 0) >= 0 {
		return nil, Form{}, false
	}
	f.Ends = EndsOf(text)
	return text, f, true
}

// Encode gives the bytes of a file of this form with the given text (UTF-8). Line
// feeds become the form's line ends when they are the only ends in the text, which
// is how editors that keep LF in their buffers save; any other text keeps its ends.
func (f Form) Encode(text []byte) ([]byte, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("the text is not valid UTF-8")
	}
	if EndsOf(text) == LF {
		text = withEnds(text, f.Ends)
	}
	var out []byte
	switch f.Encoding {
	case UTF8:
		if !f.BOM {
			return text, nil
		}
		out = append(out, bomUTF8...)
		return append(out, text...), nil
	case UTF16LE, UTF16BE:
		return encodeUTF16(text, f), nil
	}
	return nil, fmt.Errorf("unknown encoding %d", f.Encoding)
}

// BufferText gives the text that an open buffer must hold so that saving it writes
// the bytes want. The form is that of the file the buffer was opened from, and
// buffer is its present text, which shows whether the editor keeps the file's line
// ends or line feeds. It is not ok when no text does that: want has another
// encoding, byte order mark or line ends than the editor would write.
func (f Form) BufferText(buffer, want []byte) (text []byte, ok bool) {
	text, to, ok := DecodeDocument(want)
	if !ok || to.Encoding != f.Encoding || to.BOM != f.BOM {
		return nil, false
	}
	if to.Ends == NoEnds {
		return text, true
	}
	switch held := EndsOf(buffer); {
	case held == MixedEnds:
		return nil, false // inserted text would be given other ends
	case held == NoEnds && f.Ends == NoEnds:
		return text, to.Ends == LF // what editors begin a second line with
	case held == NoEnds:
		return text, f.Ends == LF && to.Ends == LF
	case held == LF && (f.Ends == CRLF || f.Ends == CR):
		return withLF(text), to.Ends == f.Ends // held as LF, saved as the file's
	default:
		return text, to.Ends == held
	}
}

// EndsOf says which line ends a text has.
func EndsOf(text []byte) LineEnds {
	crlf := bytes.Count(text, []byte("\r\n"))
	lf := bytes.Count(text, []byte("\n")) - crlf
	cr := bytes.Count(text, []byte("\r")) - crlf
	switch {
	case lf == 0 && crlf == 0 && cr == 0:
		return NoEnds
	case crlf == 0 && cr == 0:
		return LF
	case lf == 0 && cr == 0:
		return CRLF
	case lf == 0 && crlf == 0:
		return CR
	}
	return MixedEnds
}

// withEnds replaces the line feeds of a text that has no other ends.
func withEnds(text []byte, ends LineEnds) []byte {
	switch ends {
	case CRLF:
		return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	case CR:
		return bytes.ReplaceAll(text, []byte("\n"), []byte("\r"))
	}
	return text
}

// withLF gives a text with every line end as a line feed.
func withLF(text []byte) []byte {
	if bytes.IndexByte(text, '\r') < 0 {
		return text
	}
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
}

// sameText compares two texts without byte order mark and with uniform line ends:
// an editor may strip the first and change the second while it opens a file.
func sameText(a, b []byte) bool {
	a, b = bytes.TrimPrefix(a, bomUTF8), bytes.TrimPrefix(b, bomUTF8)
	return bytes.Equal(a, b) || bytes.Equal(withLF(a), withLF(b))
}

// decodeUTF16 is strict: an odd length or a lone surrogate is not text, since
// neither would come back the same.
func decodeUTF16(b []byte, e Encoding) ([]byte, bool) {
	if len(b)%2 != 0 {
		return nil, false
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i += 2 {
		r := rune(unit(b[i:], e))
		if utf16.IsSurrogate(r) {
			if i+4 > len(b) {
				return nil, false
			}
			r = utf16.DecodeRune(r, rune(unit(b[i+2:], e)))
			if r == utf8.RuneError {
				return nil, false
			}
			i += 2
		}
		out = utf8.AppendRune(out, r)
	}
	return out, true
}

func unit(b []byte, e Encoding) uint16 {
	if e == UTF16BE {
		return uint16(b[0])<<8 | uint16(b[1])
	}
	return uint16(b[1])<<8 | uint16(b[0])
}

func encodeUTF16(text []byte, f Form) []byte {
	out := make([]byte, 0, 2+2*len(text))
	put := func(u uint16) {
		if f.Encoding == UTF16BE {
			out = append(out, byte(u>>8), byte(u))
			return
		}
		out = append(out, byte(u), byte(u>>8))
	}
	if f.BOM {
		put(0xFEFF)
	}
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		text = text[n:]
		if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
			put(uint16(hi))
			put(uint16(lo))
			continue
		}
		put(uint16(r))
	}
	return out
}
