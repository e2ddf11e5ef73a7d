package wire

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"go.lsp.dev/jsonrpc2"
)

// message is one decoded body. Its slices are parts of the body it was decoded from.
type message struct {
	kind   jsonrpc2.MessageViewKind
	id     jsonrpc2.ID
	method string
	params json.RawMessage // nil when absent or null
	result json.RawMessage
	err    *jsonrpc2.Error
}

// decode checks a body whole (jsonrpc2's scanner looks at brackets only) and classifies it.
// On failure the id is set if the body still shows whose call it was, or, for an answer
// without sense, which call of ours it was meant for.
func decode(body []byte, maxDepth int) (message, *Error) {
	if !utf8.Valid(body) {
		return message{id: callID(body)}, Errorf(ParseError, "the message is not valid UTF-8")
	}
	if deeper(body, maxDepth) {
		return message{id: callID(body)}, Errorf(InvalidRequest, "the message nests deeper than %d levels", maxDepth)
	}
	// Escaped lone surrogates (which the UTF-8 option covers too) are what editors send for
	// text that holds them; refusing such a change would lose it.
	if !jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
		return message{}, Errorf(ParseError, "the message is not JSON")
	}
	view, err := jsonrpc2.ScanMessageView(body)
	if err != nil {
		return broken(body), Errorf(InvalidRequest, "the message is not a JSON-RPC 2.0 request, notification or response")
	}
	id, _ := view.ID.ID()
	m := message{kind: view.Kind, id: id, params: view.Params, result: view.Result}
	switch view.Kind {
	case jsonrpc2.MessageViewCall, jsonrpc2.MessageViewNotification:
		if m.kind == jsonrpc2.MessageViewNotification && view.IDRaw != nil {
			return message{}, Errorf(InvalidRequest, "a request's id must be a number or a string, not null")
		}
		method, ok := view.MethodString()
		if !ok {
			return broken(body), Errorf(InvalidRequest, "the method's name is not a JSON string")
		}
		m.method = method
	case jsonrpc2.MessageViewResponseError:
		e, ok := view.Error.Owned()
		if !ok {
			return broken(body), Errorf(InvalidRequest, "the response's error is malformed")
		}
		m.err = e
	}
	return m, nil
}

// broken tells what can be told about valid JSON that is no valid message.
func broken(body []byte) message {
	top := peek(body)
	if !top.isCall && top.isAnswer {
		return message{kind: jsonrpc2.MessageViewResponseError, id: top.id}
	}
	if !top.isCall {
		return message{}
	}
	return message{kind: jsonrpc2.MessageViewCall, id: top.id}
}

// callID finds the id of a call in a body that is broken or cut off; the zero ID if there
// is none. An answer's id is not a call's.
func callID(body []byte) jsonrpc2.ID {
	if top := peek(body); top.isCall {
		return top.id
	}
	return jsonrpc2.ID{}
}

type outline struct {
	id               jsonrpc2.ID
	isCall, isAnswer bool
}

// peek reads the top-level members of an object as far as it goes.
func peek(body []byte) outline {
	var top outline
	dec := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return top
	}
	for {
		name, err := dec.ReadToken()
		if err != nil || name.Kind() != '"' {
			return top
		}
		member := strings.Clone(name.String())
		switch member {
		case "method":
			top.isCall = true
		case "result", "error":
			top.isAnswer = true
		case "id":
			value, err := dec.ReadValue()
			if err != nil {
				return top
			}
			top.id = parseID(value)
			continue
		}
		if err := dec.SkipValue(); err != nil {
			return top
		}
	}
}

// parseID reads a JSON number or string as an id; the zero ID for anything else.
func parseID(value []byte) jsonrpc2.ID {
	var s string
	var n int64
	switch {
	case len(value) == 0 || value[0] == 'n':
		return jsonrpc2.ID{}
	case json.Unmarshal(value, &n) == nil:
		return jsonrpc2.NewNumberID(n)
	case json.Unmarshal(value, &s) == nil:
		return jsonrpc2.NewStringID(s)
	}
	return jsonrpc2.ID{}
}

// deeper reports whether brackets outside of strings nest deeper than limit. It bounds the
// recursion of every decoder that comes after it.
func deeper(body []byte, limit int) bool {
	depth := 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '{', '[':
			if depth++; depth > limit {
				return true
			}
		case '}', ']':
			depth--
		case '"':
			i = stringEnd(body, i+1)
		}
	}
	return false
}

// stringEnd returns the index of the quote that ends a string whose text starts at i.
func stringEnd(body []byte, i int) int {
	for {
		n := bytes.IndexByte(body[i:], '"')
		if n < 0 {
			return len(body)
		}
		end := i + n
		slashes := 0
		for end-1-slashes >= i && body[end-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return end
		}
		i = end + 1
	}
}

// encode turns a value into JSON. Raw JSON passes through, nil is null.
func encode(marshal func(any) ([]byte, error), v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return []byte("null"), nil
	case json.RawMessage:
		return orNull(v), nil
	case jsonrpc2.RawMessage:
		return orNull(v), nil
	case Appender:
		return v.AppendJSON(nil)
	}
	return marshal(v)
}

// sized is a buffer for an envelope around raw.
func sized(raw []byte) []byte { return make([]byte, 0, len(raw)+128) }

func orNull(raw []byte) []byte {
	if len(raw) == 0 {
		return []byte("null")
	}
	return raw
}

// validText makes text fit for JSON, which jsonrpc2 does not check.
func validText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// clip shortens text that a peer chose before it goes into a message.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return validText(s[:most]) + "…"
}
