package session

import (
	"slices"
	"time"

	"glue-lsp/internal/tree"
)

// The states of a session.
const (
	Opening   = "opening"
	Ready     = "ready"
	Returning = "returning"
	Closed    = "closed"
	StateLost = "lost"
)

// Info is what a session is at one moment: the contract's SessionInfo without LSP's
// types. Its slices are the reader's to keep.
type Info struct {
	ID, Runtime, State string
	Folder             string // the workspace folder on the host
	Root, Cwd          string // in the sandbox
	SandboxID          string
	Image              string // what exactly the sandbox was made of, "" where there are no images
	Isolation          string
	Gaps               []string // what the isolation cannot hold
	Transport          string
	Base               BaseInfo
	Bootstrap          BootstrapInfo
	Checkpoint         CheckpointInfo
	Execs              []ExecInfo
	CreatedAt          time.Time
	ExpiresAt          *time.Time
	Warnings           []string
	Lost               *LostInfo
	// Stays says that it has ended and its sandbox goes on, by the person's wish.
	Stays bool
	// Alert is what a person should hear at once, such as that the sandbox's time is nearly
	// over; each text once.
	Alert string
	// Waiting says that it has ended with changes that nobody was asked about.
	Waiting bool
	// Undoable says that the last return can be taken back.
	Undoable bool
}

// BaseInfo is what went up when the session was opened. Bytes is the content's size,
// Unsaved how many buffers lay over their files.
type BaseInfo struct {
	Commit  string    `json:"commit"`
	Files   int       `json:"files"`
	Bytes   int64     `json:"bytes"`
	Unsaved int       `json:"unsaved"`
	Skipped []Skipped `json:"skipped"`
}

// Skipped names something that was left out, and why.
type Skipped struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// BootstrapInfo says how the tree came into the sandbox. Bytes is what was sent.
type BootstrapInfo struct {
	Strategy string        `json:"strategy"`
	Bytes    int64         `json:"bytes"`
	Took     time.Duration `json:"took"`
}

// CheckpointInfo is a state of the sandbox's tree that is safe on the host.
type CheckpointInfo struct {
	Seq          int       `json:"seq"`
	Commit       string    `json:"commit"`
	At           time.Time `json:"at"`
	ChangedFiles int       `json:"changed_files"`
}

// ExecInfo is a command that runs, or left processes in the background.
type ExecInfo struct {
	ExecID    string
	Command   string
	StartedAt time.Time
	State     string
}

// LostInfo says why a session was lost.
type LostInfo struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

// skippedOf puts a scan's reasons into words for people.
func skippedOf(in []tree.Skipped) []Skipped {
	out := make([]Skipped, 0, len(in))
	for _, s := range in {
		reason := string(s.Reason)
		if s.Detail != "" {
			reason += ": " + s.Detail
		}
		out = append(out, Skipped{Path: s.Path, Reason: reason})
	}
	return out
}

// Info gives the session as it is now.
func (s *Session) Info() Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &s.state
	info := Info{
		ID: st.ID, Runtime: st.Runtime, State: st.State, Folder: st.Folder,
		Root: st.Root, Cwd: st.Cwd, SandboxID: st.SandboxID, Image: st.Image, Isolation: st.Isolation,
		Gaps: slices.Clone(st.Gaps), Transport: st.Transport, Base: st.Base, Bootstrap: st.Bootstrap,
		Checkpoint: st.Checkpoint, CreatedAt: st.CreatedAt, Warnings: slices.Clone(st.Warnings), Lost: st.Lost,
	}
	info.Stays, info.Alert = st.Stays && !st.open(), s.alert
	info.Waiting = !st.open() && st.unreturned() && !st.Settled
	info.Undoable = st.LastReturn != nil && st.LastReturn.Branch == ""
	if !st.ExpiresAt.IsZero() {
		at := st.ExpiresAt
		info.ExpiresAt = &at
	}
	for _, e := range s.execs {
		if state := e.runState(); state != "" {
			info.Execs = append(info.Execs, ExecInfo{ExecID: e.ID, Command: e.Command, StartedAt: e.startedAt, State: state})
		}
	}
	slices.SortFunc(info.Execs, func(a, b ExecInfo) int { return a.StartedAt.Compare(b.StartedAt) })
	return info
}
