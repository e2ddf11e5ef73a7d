package lsptest

import (
	"encoding/json"
	"slices"
)

// State is all that the editor has got to know from the server, oldest first.
type State struct {
	Messages      []Message      // window/showMessage and window/showMessageRequest
	Logs          []string       // window/logMessage
	Notifications []Notification // those under glue/
	Progress      []Progress
	Documents     []Document // window/showDocument
	Asked         int        // how many workspace/applyEdit came
	Edits         []Applied  // those that were answered, or never will be
	Registered    []string   // methods, by client/registerCapability
	Refreshes     []string   // methods such as workspace/codeLens/refresh
	Ended         bool       // the connection has ended
}

// Message is something that the person reads. Type is 1 for errors, 2 for warnings, 3 for
// information (LSP 3.18 "MessageType").
type Message struct {
	Type    int
	Text    string
	Actions []string
}

// Notification is one under glue/.
type Notification struct {
	Method string
	Params json.RawMessage
}

// Progress is one piece of work that the server reports on.
type Progress struct {
	Token   string
	Title   string
	Reports []string
	Begun   bool
	Ended   bool
	// Last is the message that it ended with.
	Last string
}

// Document is one that the server wanted shown.
type Document struct {
	URI       string
	External  bool
	TakeFocus bool
}

// Applied is an edit that the server sent.
type Applied struct {
	Label   string
	Applied bool
	Files   []string // touched, sorted, relative to the root
}

// State is a copy of what the editor knows by now.
func (e *Editor) State() State {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state.clone()
}

func (s State) clone() State {
	s.Messages = slices.Clone(s.Messages)
	s.Logs = slices.Clone(s.Logs)
	s.Notifications = slices.Clone(s.Notifications)
	s.Progress = slices.Clone(s.Progress)
	for i := range s.Progress {
		s.Progress[i].Reports = slices.Clone(s.Progress[i].Reports)
	}
	s.Documents = slices.Clone(s.Documents)
	s.Edits = slices.Clone(s.Edits)
	s.Registered = slices.Clone(s.Registered)
	s.Refreshes = slices.Clone(s.Refreshes)
	return s
}

// change moves the state and wakes those who wait for that.
func (e *Editor) change(f func(s *State)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f(&e.state)
	close(e.moved)
	e.moved = make(chan struct{})
}
