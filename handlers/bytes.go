package handlers

import (
	"encoding/base64"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The encodings of bytes in messages.
const (
	encUTF8   = "utf-8"
	encBase64 = "base64"
)

// payload is how bytes travel. utf-8 is used only for bytes that are valid UTF-8, so
// that decoding gives the same bytes again; a byte order mark is data like any other.
type payload struct {
	Data     string `json:"data" doc:"the bytes as text or base64"`
	Encoding string `json:"encoding" doc:"\"utf-8\" or \"base64\""`
}

func toPayload(p []byte) payload {
	if utf8.Valid(p) {
		return payload{Data: string(p), Encoding: encUTF8}
	}
	return base64Payload(p)
}

func base64Payload(p []byte) payload {
	return payload{Data: base64.StdEncoding.EncodeToString(p), Encoding: encBase64}
}

// bytes decodes what a client sent; field is the payload's name for errors.
func (p payload) bytes(field string) ([]byte, error) {
	switch p.Encoding {
	case encUTF8:
		return []byte(p.Data), nil
	case encBase64:
		return decodeBase64(joinField(field, "data"), p.Data)
	}
	return nil, badParam(joinField(field, "encoding"), "expected %q or %q, found %q", encUTF8, encBase64, clip(p.Encoding, 40))
}

// filePath names a file in a request. A name that is not UTF-8 is given as pathBytes;
// path is then only for show.
type filePath struct {
	Path      string `json:"path" or:"pathBytes" doc:"absolute, or relative to the session's cwd"`
	PathBytes string `json:"pathBytes,omitzero" doc:"base64 of the path, where it is not UTF-8; it counts"`
}

func (p filePath) raw() (string, error) { return rawPath("path", p.Path, p.PathBytes) }

// rawPath gives the path's bytes.
func rawPath(field, text, b64 string) (string, error) {
	if b64 != "" {
		b, err := decodeBase64(field+"Bytes", b64)
		if err != nil {
			return "", err
		}
		if err := checkNUL(string(b)); err != nil {
			return "", badParam(field+"Bytes", "%v", err)
		}
		return string(b), nil
	}
	if err := checkNUL(text); err != nil {
		return "", badParam(field, "%v", err)
	}
	return text, nil
}

// sandboxPath makes a request's path absolute: `..` stops at the root, an empty path is
// the cwd, and no other name means anything.
func sandboxPath(cwd, p string) string {
	if !strings.HasPrefix(p, "/") {
		p = cwd + "/" + p
	}
	return path.Clean("/" + p)
}

// somePath is a path in a list: a string, or an object with path and pathBytes.
type somePath string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (s *somePath) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '{' {
		var text string
		if err := json.UnmarshalDecode(dec, &text); err != nil {
			return err
		}
		if err := checkNUL(text); err != nil {
			return badParam("", "%v", err)
		}
		*s = somePath(text)
		return nil
	}
	var p struct {
		Path      string `json:"path"`
		PathBytes string `json:"pathBytes"`
	}
	if err := json.UnmarshalDecode(dec, &p); err != nil {
		return err
	}
	raw, err := rawPath("path", p.Path, p.PathBytes)
	if err != nil {
		return err
	}
	*s = somePath(raw)
	return nil
}

func rawPaths(in []somePath) []string {
	if in == nil {
		return nil
	}
	out := make([]string, len(in))
	for i, p := range in {
		out[i] = string(p)
	}
	return out
}

// showPath gives a path as text: bytes that are not UTF-8 appear as \xE4. The second
// result is pathBytes, "" when the text is the path.
func showPath(p string) (text, b64 string) {
	if utf8.ValidString(p) {
		return p, ""
	}
	var b strings.Builder
	for i := 0; i < len(p); {
		r, size := utf8.DecodeRuneInString(p[i:])
		if r == utf8.RuneError && size == 1 {
			b.WriteString(`\x`)
			b.WriteByte(upperHex[p[i]>>4])
			b.WriteByte(upperHex[p[i]&15])
		} else {
			b.WriteString(p[i : i+size])
		}
		i += size
	}
	return b.String(), base64.StdEncoding.EncodeToString([]byte(p))
}
