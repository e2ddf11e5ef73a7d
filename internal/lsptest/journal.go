package lsptest

import (
	"fmt"
	"strings"
	"sync"
)

// journal keeps the last messages, shortened, for the log of a test that failed.
type journal struct {
	mu    sync.Mutex
	lines []string
}

const (
	journalLines  = 400
	journalLength = 2000
)

func (j *journal) add(dir string, body []byte) {
	arrow := "server → editor"
	if dir == "out" {
		arrow = "editor → server"
	}
	text := string(body[:min(len(body), journalLength)])
	if len(body) > journalLength {
		text += fmt.Sprintf("… (%d bytes)", len(body))
	}
	j.note("%s  %s", arrow, text)
}

func (j *journal) note(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.lines) == journalLines {
		j.lines = j.lines[1:]
	}
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, "\n")
}
