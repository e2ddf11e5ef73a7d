package agent

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"glue-lsp/sandbox"
)

// ProtocolVersion is the version of everything that goes over an agent's stream.
// Both ends must have the same one.
const ProtocolVersion = 1

// Bounds on what one end takes from the other.
const (
	maxMessage = 8 << 20 // one JSON message
	maxChunk   = 1 << 20 // one piece of raw bytes
)

// request opens every stream.
type request struct {
	Op   string          `json:"op"`
	Body bool            `json:"body,omitempty"` // the client sends more, up to an end frame
	Args json.RawMessage `json:"args,omitempty"`
}

// wireError is a sandbox.Error as it travels in an end frame.
type wireError struct {
	Kind    sandbox.Kind `json:"kind"`
	Op      string       `json:"op,omitempty"`
	Path    wireString   `json:"path,omitempty"`
	Message string       `json:"message"`
	Hint    string       `json:"hint,omitempty"`
}

// wireString is a string of raw bytes, such as a path or an argument. JSON strings
// hold only Unicode, so that anything else travels as base64.
type wireString string

type wireBytes struct {
	B64 string `json:"b64"`
}

// MarshalJSON gives a plain string where that loses nothing.
func (w wireString) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(w)) {
		return json.Marshal(string(w))
	}
	return json.Marshal(wireBytes{base64.StdEncoding.EncodeToString([]byte(w))})
}

// UnmarshalJSON takes both forms.
func (w *wireString) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		var raw wireBytes
		if err := json.Unmarshal(b, &raw); err != nil {
			return err
		}
		p, err := base64.StdEncoding.DecodeString(raw.B64)
		if err != nil {
			return fmt.Errorf("a path's bytes: %w", err)
		}
		*w = wireString(p)
		return nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*w = wireString(s)
	return nil
}

func toWire(ss []string) []wireString {
	if ss == nil {
		return nil
	}
	out := make([]wireString, len(ss))
	for i, s := range ss {
		out[i] = wireString(s)
	}
	return out
}

func fromWire(ws []wireString) []string {
	if ws == nil {
		return nil
	}
	out := make([]string, len(ws))
	for i, w := range ws {
		out[i] = string(w)
	}
	return out
}

// opName is an operation's name for people; on the wire it has the short one.
func opName(op string) string {
	switch op {
	case "exec.start":
		return startOp
	case "exec.attach":
		return "attach to the command"
	case "exec.stdin":
		return "write to the command"
	case "exec.resize":
		return "resize the terminal"
	case "exec.signal":
		return "signal the command"
	case "exec.cancel":
		return "end the command"
	case "fs.receive":
		return "write"
	case "exec.list":
		return "list commands"
	}
	_, name, ok := strings.Cut(op, ".")
	if !ok {
		return op
	}
	return name
}

const startOp = "run the command"
