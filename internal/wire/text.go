package wire

import (
	"strings"
	"unicode/utf8"
)

// Appender is a value that knows its own JSON. Params of bulk output implement it: encoding
// by reflection costs more than all the rest of the way to the peer.
type Appender interface {
	// AppendJSON appends the value's JSON encoding to dst.
	AppendJSON(dst []byte) ([]byte, error)
}

// AppendString appends s as a JSON string (RFC 8259 section 7). Bytes that are not UTF-8
// become U+FFFD, as encoding/json does; senders of bytes that count use base64.
func AppendString(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	dst = append(dst, '"')
	done := 0
	for i := nextEscape(s, 0); i < len(s); i = nextEscape(s, done) {
		dst = append(dst, s[done:i]...)
		dst = appendEscape(dst, s[i])
		done = i + 1
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"')
}

// nextEscape returns the index of the first byte at or after i that a JSON string cannot
// hold as it is, or len(s). It passes eight bytes at a time where none can be such a byte.
func nextEscape(s string, i int) int {
	for i < len(s) {
		for i+8 <= len(s) && plain(s[i:i+8]) {
			i += 8
		}
		for end := min(len(s), i+8); i < end; i++ {
			if mustEscape(s[i]) {
				return i
			}
		}
	}
	return len(s)
}

// plain reports that none of eight bytes needs an escape. It may miss that, since borrows
// run from byte to byte, but is never wrong when it says so.
func plain(s string) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	_ = s[7]
	w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	control := (w - ones*0x20) &^ w
	quote := ((w ^ ones*'"') - ones) &^ (w ^ ones*'"')
	slash := ((w ^ ones*'\\') - ones) &^ (w ^ ones*'\\')
	return (control|quote|slash)&highs == 0
}

func mustEscape(c byte) bool { return c < 0x20 || c == '"' || c == '\\' }

func appendEscape(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
	}
}
