package main

import (
	"bytes"
	"slices"
	"strings"
)

// escapes lets through, of what a sandbox prints to a terminal, what only paints there:
// text and control sequences, and of control strings (ECMA-48, 5.6) titles, colours and
// links to the web. The others reach further: they give and take the clipboard (OSC 52),
// claim to be a shell, run what some terminals define. It keeps its state between pieces.
type escapes struct {
	state stringState
	kind  byte // of the string
	lead  bool // the first byte of what may be a control in two bytes of UTF-8
	held  []byte
	long  bool // the string is longer than what is held
}

type stringState int

const (
	inText stringState = iota
	inEscape
	inString
	inStringEscape
)

const (
	bel, can, sub, esc, del = 0x07, 0x18, 0x1a, 0x1b, 0x7f
	// maxControlString bounds what is held, in bytes.
	maxControlString = 4096
)

// filter gives a piece without what reaches further.
func (e *escapes) filter(p []byte) []byte {
	out := make([]byte, 0, len(p)+2)
	for _, c := range p {
		if e.lead {
			e.lead = false
			if c >= 0x80 && c <= 0x9f { // the same control as ESC and another byte
				out = e.step(e.step(out, esc), c-0x40)
				continue
			}
			out = e.step(out, 0xc2)
		}
		if e.lead = c == 0xc2; !e.lead {
			out = e.step(out, c)
		}
	}
	return out
}

func (e *escapes) step(out []byte, c byte) []byte {
	switch e.state {
	case inText:
		if c == esc {
			e.state = inEscape
			return out
		}
		return append(out, c)
	case inEscape:
		return e.afterEscape(out, c)
	case inString:
		switch {
		case c == bel && e.kind == ']':
			return e.endString(out, "\a")
		case c == can || c == sub:
			e.state = inText
		case c == esc:
			e.state = inStringEscape
		case len(e.held) == maxControlString:
			e.long = true
		default:
			e.held = append(e.held, c)
		}
		return out
	case inStringEscape:
		if c == '\\' {
			return e.endString(out, "\x1b\\")
		}
		return e.afterEscape(out, c) // it ends the string, which does nothing then
	}
	return out
}

func (e *escapes) afterEscape(out []byte, c byte) []byte {
	e.state = inEscape
	switch {
	case strings.IndexByte("]PX^_", c) >= 0: // OSC, DCS, SOS, PM, APC
		e.state, e.kind, e.held, e.long = inString, c, e.held[:0], false
		return out
	case c == esc || c == del: // passed over, or begins anew
		return out
	case c < 0x20 && c != can && c != sub: // acts at once, and the escape goes on
		return append(out, c)
	}
	e.state = inText
	if c >= 0x20 && c < del {
		out = append(out, esc)
	}
	return append(out, c)
}

func (e *escapes) endString(out []byte, terminator string) []byte {
	e.state = inText
	isControl := func(c rune) bool { return c < 0x20 || c == del }
	if e.kind != ']' || e.long || bytes.ContainsFunc(e.held, isControl) || !paints(string(e.held)) {
		return out
	}
	out = append(append(out, esc, ']'), e.held...)
	return append(out, terminator...)
}

// paints reports whether an operating system command stays in the terminal's window.
func paints(command string) bool {
	code, rest, _ := strings.Cut(command, ";")
	if slices.Contains([]string{"0", "1", "2", "4", "10", "11", "12", "104", "110", "111", "112"}, code) {
		return true
	}
	if code != "8" {
		return false
	}
	_, target, _ := strings.Cut(rest, ";")
	target = strings.ToLower(target)
	return target == "" || strings.HasPrefix(target, "https://") || strings.HasPrefix(target, "http://")
}
