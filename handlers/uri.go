package handlers

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// The conversions below are byte for byte: a file name that is not UTF-8 travels as
// percent-encoded bytes (RFC 3986 section 2.1). go.lsp.dev/uri is not used for this,
// because it re-encodes %FF to %25FF while decoding a message.

const upperHex = "0123456789ABCDEF"

// fileURI gives the file: URI of an absolute host path. Everything but RFC 3986's
// unreserved characters and the slash is encoded, which every client decodes alike.
func fileURI(hostPath string) string {
	return "file://" + escapePath(hostPath)
}

func escapePath(p string) string {
	var b strings.Builder
	b.Grow(len(p) + 8)
	for i := range len(p) {
		c := p[i]
		if c == '/' || isUnreserved(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

var errNotFile = errors.New("not a file: URI")

// hostPath gives the absolute, cleaned host path of a file: URI. Other schemes are
// errNotFile; an authority other than none or localhost is refused, since the file is
// then on another machine.
func hostPath(uri string) (string, error) {
	rest, ok := cutScheme(uri, "file")
	if !ok {
		return "", errNotFile
	}
	rest, ok = strings.CutPrefix(rest, "//")
	if ok {
		authority, p, _ := strings.Cut(rest, "/")
		if authority != "" && !strings.EqualFold(authority, "localhost") {
			return "", fmt.Errorf("the file is on the host %q, not on this machine", authority)
		}
		rest = "/" + p
	}
	if !strings.HasPrefix(rest, "/") {
		return "", errors.New("the path is not absolute")
	}
	p, err := unescapePath(rest)
	if err != nil {
		return "", err
	}
	return path.Clean(p), nil
}

// cutScheme removes "scheme:"; schemes compare without case (RFC 3986 section 3.1).
func cutScheme(uri, scheme string) (string, bool) {
	if len(uri) <= len(scheme) || uri[len(scheme)] != ':' || !strings.EqualFold(uri[:len(scheme)], scheme) {
		return "", false
	}
	return uri[len(scheme)+1:], true
}

// unescapePath decodes the path component, without query and fragment.
func unescapePath(s string) (string, error) {
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		s = s[:i]
	}
	if !strings.Contains(s, "%") {
		return s, checkNUL(s)
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", errors.New("a percent sign without two hexadecimal digits")
		}
		hi, ok1 := unhex(s[i+1])
		lo, ok2 := unhex(s[i+2])
		if !ok1 || !ok2 {
			return "", errors.New("a percent sign without two hexadecimal digits")
		}
		out = append(out, hi<<4|lo)
		i += 2
	}
	p := string(out)
	return p, checkNUL(p)
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

var errNUL = errors.New("must not hold a NUL byte")

func checkNUL(s string) error {
	if strings.IndexByte(s, 0) >= 0 {
		return errNUL
	}
	return nil
}

// The schemes under which either side of a session's changes can be read.
const (
	schemeSandbox = "glue-sandbox"
	schemeBase    = "glue-base"
)

// contentURI names one side's version of a path: side is "sandbox" or "base", the path
// is relative to the tree's root.
func contentURI(side, sessionID, treePath string) string {
	scheme := schemeSandbox
	if side == "base" {
		scheme = schemeBase
	}
	return scheme + ":/" + escapePath(sessionID) + "/" + escapePath(treePath)
}

// parseContentURI is contentURI's inverse.
func parseContentURI(uri string) (side, sessionID, treePath string, err error) {
	rest, ok := cutScheme(uri, schemeSandbox)
	side = "sandbox"
	if !ok {
		rest, ok = cutScheme(uri, schemeBase)
		side = "base"
	}
	if !ok {
		return "", "", "", fmt.Errorf("the scheme is neither %s nor %s", schemeSandbox, schemeBase)
	}
	// Some clients write an empty authority: glue-base:///id/path.
	if r, ok := strings.CutPrefix(rest, "//"); ok && strings.HasPrefix(r, "/") {
		rest = r
	}
	rest, ok = strings.CutPrefix(rest, "/")
	if !ok {
		return "", "", "", errors.New("expected " + schemeSandbox + ":/<session>/<path>")
	}
	id, p, ok := strings.Cut(rest, "/")
	if !ok || id == "" || p == "" {
		return "", "", "", errors.New("expected " + schemeSandbox + ":/<session>/<path>")
	}
	if sessionID, err = unescapePath(id); err != nil {
		return "", "", "", err
	}
	if treePath, err = unescapePath(p); err != nil {
		return "", "", "", err
	}
	return side, sessionID, treePath, nil
}
