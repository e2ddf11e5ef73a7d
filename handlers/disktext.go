package handlers

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"unicode/utf16"
	"unicode/utf8"
)

// readDisk reads a regular file for comparison with a buffer. nil means that there is
// nothing to compare with. Notifications are handled in line, so it must not wait for
// what is not a plain file.
func readDisk(path string, limit int64) []byte {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > limit {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil || int64(len(text)) > limit {
		return nil
	}
	if text == nil {
		text = []byte{}
	}
	return text
}

// sameText reports whether a buffer's text is what an editor shows of the file's bytes:
// the byte order mark and the kind of line ends do not count, since editors keep them
// apart from the text, and neither does the encoding that the editor read the file in.
func sameText(buffer, file []byte) bool {
	buffer = uniformLines(trimBOM(buffer))
	if text, ok := fromUTF16(file); ok && bytes.Equal(buffer, uniformLines(text)) {
		return true
	}
	file = trimBOM(file)
	if bytes.Equal(buffer, uniformLines(file)) {
		return true
	}
	if utf8.Valid(file) {
		return false
	}
	return bytes.Equal(collapseReplaced(buffer), collapseReplaced(uniformLines(bytes.ToValidUTF8(file, replacement)))) ||
		bytes.Equal(buffer, uniformLines(fromSingleByte(file, false))) ||
		bytes.Equal(buffer, uniformLines(fromSingleByte(file, true)))
}

var (
	bom         = []byte("\xEF\xBB\xBF")
	replacement = []byte(string(utf8.RuneError))
)

func trimBOM(p []byte) []byte { return bytes.TrimPrefix(p, bom) }

// uniformLines turns CRLF and lone CR into LF. It copies only if there is a CR.
func uniformLines(p []byte) []byte {
	if bytes.IndexByte(p, '\r') < 0 {
		return p
	}
	out := make([]byte, 0, len(p))
	for i := 0; i < len(p); i++ {
		if p[i] != '\r' {
			out = append(out, p[i])
			continue
		}
		if i+1 < len(p) && p[i+1] == '\n' {
			continue
		}
		out = append(out, '\n')
	}
	return out
}

// collapseReplaced makes one U+FFFD of each run: decoders differ in how many they
// write for one malformed sequence.
func collapseReplaced(p []byte) []byte {
	if !bytes.Contains(p, replacement) {
		return p
	}
	out := make([]byte, 0, len(p))
	for len(p) > 0 {
		if bytes.HasPrefix(p, replacement) {
			if !bytes.HasSuffix(out, replacement) {
				out = append(out, replacement...)
			}
			p = p[len(replacement):]
			continue
		}
		out = append(out, p[0])
		p = p[1:]
	}
	return out
}

// fromUTF16 decodes a file that starts with a UTF-16 byte order mark.
func fromUTF16(p []byte) ([]byte, bool) {
	if len(p) < 2 || len(p)%2 != 0 {
		return nil, false
	}
	var order binary.ByteOrder
	switch {
	case p[0] == 0xFF && p[1] == 0xFE:
		order = binary.LittleEndian
	case p[0] == 0xFE && p[1] == 0xFF:
		order = binary.BigEndian
	default:
		return nil, false
	}
	units := make([]uint16, 0, len(p)/2-1)
	for i := 2; i < len(p); i += 2 {
		units = append(units, order.Uint16(p[i:]))
	}
	return []byte(string(utf16.Decode(units))), true
}

// fromSingleByte reads Latin-1, or windows-1252, which differs in 0x80 to 0x9F.
func fromSingleByte(p []byte, windows bool) []byte {
	out := make([]byte, 0, len(p)+len(p)/4)
	for _, c := range p {
		r := rune(c)
		if windows && 0x80 <= c && c <= 0x9F {
			r = windows1252[c-0x80]
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// windows1252 is the WHATWG Encoding Standard's index for 0x80 to 0x9F.
var windows1252 = [32]rune{
	0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D, 0x017D, 0x8F,
	0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D, 0x017E, 0x0178,
}
