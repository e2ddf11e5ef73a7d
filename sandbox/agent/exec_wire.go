package agent

import (
	"encoding/binary"
	"sort"
	"strings"
	"time"

	"glue-lsp/sandbox"
)

// The messages of the exec operations.

type startRequest struct {
	ID        string           `json:"id"`
	Command   wireString       `json:"command,omitempty"`
	Argv      []wireString     `json:"argv,omitempty"`
	Cwd       wireString       `json:"cwd,omitempty"`
	Env       []wireString     `json:"env,omitempty"` // NAME=value
	TimeoutMs int64            `json:"timeoutMs,omitempty"`
	Stdin     bool             `json:"stdin,omitempty"`
	PTY       *sandbox.Winsize `json:"pty,omitempty"`
}

type attachRequest struct {
	ID     string `json:"id"`
	Stdout int64  `json:"stdout"`
	Stderr int64  `json:"stderr"`
}

// startReply answers both; output frames and a resultMessage follow it.
type startReply struct {
	PTY bool `json:"pty,omitempty"`
}

type resultMessage struct {
	ExitCode int    `json:"exitCode"`
	Signal   string `json:"signal,omitempty"`
	TimedOut bool   `json:"timedOut,omitempty"`
	Canceled bool   `json:"canceled,omitempty"`
	Nanos    int64  `json:"nanos"`
	// Where the outputs end, so that a reader knows what it did not get.
	Stdout int64 `json:"stdout"`
	Stderr int64 `json:"stderr"`
}

type stdinRequest struct {
	ID  string `json:"id"`
	EOF bool   `json:"eof,omitempty"`
}

type resizeRequest struct {
	ID   string          `json:"id"`
	Size sandbox.Winsize `json:"size"`
}

type signalRequest struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type cancelRequest struct {
	ID string `json:"id"`
}

type listReply struct {
	Execs []listedExec `json:"execs"`
}

type listedExec struct {
	ID        string     `json:"id"`
	Command   wireString `json:"command"`
	StartedAt time.Time  `json:"startedAt"`
	State     string     `json:"state"`
}

// An output frame's payload is the stream (one byte), the offset of its first byte
// (eight, big endian) and the bytes.
const outputHeader = 9

func appendOutputHeader(b []byte, s sandbox.Stream, off int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, byte(s)), uint64(off))
}

// envList makes NAME=value strings of a map, sorted so that the same request is the
// same bytes.
func envList(env map[string]string) []string {
	out := make([]string, 0, len(env))
	for k, v := range env {
		out = append(out, k+"="+v)
	}
	sort.Strings(out)
	return out
}

// mergeEnv lays `over` over `base`, by name.
func mergeEnv(base []string, over ...string) []string {
	at := make(map[string]int, len(base)+len(over))
	out := make([]string, 0, len(base)+len(over))
	for _, list := range [2][]string{base, over} {
		for _, kv := range list {
			name, _, ok := strings.Cut(kv, "=")
			if !ok || name == "" {
				continue
			}
			if i, seen := at[name]; seen {
				out[i] = kv
				continue
			}
			at[name] = len(out)
			out = append(out, kv)
		}
	}
	return out
}
