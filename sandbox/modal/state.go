package modal

import (
	"encoding/json"
	"fmt"
	"time"

	"glue-lsp/sandbox"
)

// state is enough to find a sandbox again after its owner died.
type state struct {
	Version     int       `json:"version"`
	SandboxID   string    `json:"sandbox_id"`
	App         string    `json:"app"`
	Environment string    `json:"environment,omitempty"`
	Transport   string    `json:"transport"`
	Root        string    `json:"root"`
	Cwd         string    `json:"cwd"`
	Agent       string    `json:"agent,omitempty"`    // the program's path inside
	Socket      string    `json:"socket,omitempty"`   // the agent's
	Instance    string    `json:"instance,omitempty"` // tells one agent from another
	ExpiresAt   time.Time `json:"expires_at,omitzero"`
	Image       string    `json:"image,omitempty"`
	From        string    `json:"from,omitempty"`    // the kept image that it began with
	Kept        bool      `json:"kept,omitempty"`    // closing leaves it running
	Foreign     bool      `json:"foreign,omitempty"` // it was made by somebody else, and is not ours to end
	// EndingMax is how large a last capture without this process may be, in bytes; zero:
	// there is to be none.
	EndingMax int64    `json:"ending_max,omitempty"`
	Notes     []string `json:"notes,omitempty"`
}

const stateVersion = 1

func (s state) encode() []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return nil // it holds only text, numbers and times
	}
	return b
}

// readState decodes a record.
func readState(op string, raw []byte) (state, error) {
	var s state
	bad := func(what string, err error) (state, error) {
		return s, &sandbox.Error{Kind: sandbox.InvalidParams, Op: op, Message: what, Err: err}
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return bad("the sandbox's record does not decode: "+err.Error(), err)
	}
	switch {
	case s.Version != stateVersion:
		return bad(fmt.Sprintf("the sandbox's record has version %d, this glue-lsp knows %d", s.Version, stateVersion), nil)
	case s.SandboxID == "":
		return bad("the sandbox's record names no sandbox", nil)
	}
	return s, nil
}
