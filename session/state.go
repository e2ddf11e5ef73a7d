package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"

	"glue-lsp/internal/tree"
)

// stateVersion is raised when session.json changes in a way that old readers would
// misunderstand.
const stateVersion = 1

// state is session.json: all that a later process needs to give back what this
// session holds. Tree and commit ids are objects of the session's objects.git.
type state struct {
	Version   int       `json:"version"`
	ID        string    `json:"id"`
	Runtime   string    `json:"runtime"`
	State     string    `json:"state"`
	Folder    string    `json:"folder"`
	Subdir    string    `json:"subdir"`
	HostRoot  string    `json:"host_root,omitempty"` // what the sandbox's tree was filled from
	Root      string    `json:"root"`
	Cwd       string    `json:"cwd"`
	SandboxID string    `json:"sandbox_id,omitempty"`
	Image     string    `json:"image,omitempty"` // what exactly the sandbox was made of
	Isolation string    `json:"isolation"`
	Gaps      []string  `json:"gaps,omitempty"`
	Transport string    `json:"transport"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	OwnerPID  int       `json:"owner_pid"`
	Separate  bool      `json:"separate,omitempty"` // not the one session of its folder
	Network   string    `json:"network,omitempty"`

	PrivateCache bool `json:"private_cache,omitempty"` // the sandbox's build caches are its own

	Include []string `json:"include,omitempty"`
	Exclude []string `json:"exclude,omitempty"`

	Base      BaseInfo      `json:"base"`
	BaseTree  string        `json:"base_tree"`
	Bootstrap BootstrapInfo `json:"bootstrap"`
	RemoteURL string        `json:"remote_url,omitempty"`

	// Agreed is what both sides last held alike, Theirs the sandbox's tree as of the
	// last checkpoint, Head the newest commit made inside.
	Agreed      string                `json:"agreed"`
	Theirs      string                `json:"theirs"`
	Head        string                `json:"head,omitempty"`
	Refs        map[string]string     `json:"refs,omitempty"` // the sandbox's other refs
	Fingerprint string                `json:"fingerprint,omitempty"`
	Token       string                `json:"token,omitempty"`
	Declined    map[string]tree.Entry `json:"declined,omitempty"`
	LastReturn  *lastReturn           `json:"last_return,omitempty"` // what an undo takes back
	Checkpoint  CheckpointInfo        `json:"checkpoint"`
	Counted     [2]string             `json:"counted"` // the agreed tree and theirs when ChangedFiles was counted

	// CapturedFrom is when the last capture began: what changed later may be in no
	// checkpoint.
	CapturedFrom time.Time `json:"captured_from,omitzero"`

	// LeftInside are files that a command made or changed and that were not taken to the
	// host: too large, or not to be read. The sandbox's tree is kept for them.
	LeftInside []string `json:"left_inside,omitempty"`

	Setup setupState `json:"setup,omitzero"`
	Lent  []string   `json:"lent,omitempty"` // folders of the root that are no part of its tree

	Sandbox []byte `json:"sandbox,omitempty"` // for the runtime, to find it again
	// Final says that commands were ended and what they changed is safe: only the sandbox
	// is still to end. Recovered says of a lost session that all it wrote was captured.
	Final     bool `json:"final,omitempty"`
	Recovered bool `json:"recovered,omitempty"`
	// Stays says that the sandbox goes on although the session has ended, because the person
	// wants it; Running that it may, because it could not be ended.
	Stays   bool `json:"stays,omitempty"`
	Running bool `json:"running,omitempty"`
	// Settled says that a person was asked about the changes and wants to see to them later.
	Settled bool `json:"settled,omitempty"`

	Warnings []string  `json:"warnings,omitempty"`
	Lost     *LostInfo `json:"lost,omitempty"`
}

// open reports whether a session in this state has, or is getting, a sandbox.
func (st *state) open() bool {
	return st.State == Opening || st.State == Ready || st.State == Returning
}

// owed reports whether there is still something to see to: a sandbox, or what a dead one
// left and nobody captured.
func (st *state) owed() bool {
	return st.open() || st.Running || st.State == StateLost && !st.Recovered && !st.Final
}

const stateFile = "session.json"

// writeState replaces session.json. With durable it is on the disk when this returns.
func writeState(dir string, st *state, durable bool) error {
	b, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return fmt.Errorf("session state: %w", err)
	}
	name := filepath.Join(dir, stateFile)
	if !durable {
		return renameio.WriteFile(name, b, 0o600, renameio.WithExistingPermissions())
	}
	if err := renameio.WriteFile(name, b, 0o600); err != nil {
		return fmt.Errorf("session state: %w", err)
	}
	return syncDir(dir)
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func readState(dir string) (*state, error) {
	b, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return nil, err
	}
	var st state
	if err := json.Unmarshal(b, &st); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", filepath.Join(dir, stateFile), err)
	}
	if st.Version > stateVersion {
		return nil, fmt.Errorf("%s was written by a newer glue-lsp (version %d); use that one", dir, st.Version)
	}
	return &st, nil
}

// holder says who has a lock, for the message that the second one gets.
type holder struct {
	PID     int       `json:"pid"`
	Session string    `json:"session"`
	Since   time.Time `json:"since"`
	Ending  bool      `json:"ending,omitempty"` // it is about to let go
}

// takeLock locks a file for this process. It is released when the process ends, however
// it ends. When somebody else holds it the lock is nil and holder says who.
func takeLock(file string, h holder) (*flock.Flock, *holder, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, nil, err
	}
	l := flock.New(file, flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err != nil {
		return nil, nil, fmt.Errorf("lock %s: %w", file, err)
	}
	if !ok {
		return nil, readHolder(file), nil
	}
	writeHolder(file, h)
	return l, nil, nil
}

// readHolder reads who has a lock. What cannot be read only makes a message shorter.
func readHolder(file string) *holder {
	h := &holder{}
	if b, err := os.ReadFile(file + ".json"); err == nil {
		_ = json.Unmarshal(b, h)
	}
	return h
}

// writeHolder notes who has a lock. It only makes a message longer: a full disk must not
// keep changes from being returned.
func writeHolder(file string, h holder) {
	if b, err := json.Marshal(h); err == nil {
		_ = renameio.WriteFile(file+".json", b, 0o600)
	}
}

const (
	lockPause = 50 * time.Millisecond
	// endingWait is how long to wait for an owner that says that it is ending: a server
	// that was told to shut down lives for a few seconds more.
	endingWait = 15 * time.Second
	// leftoverWait is how long to wait for the lock of a process that was killed: a child that
	// it was about to start has it too, until that runs its own program.
	leftoverWait = 5 * time.Second
)

// waitForLock is takeLock for whoever can wait: for patience, and longer for a holder
// that is ending or dead. Then the lock is nil and holder says who has it.
func (m *Manager) waitForLock(ctx context.Context, file string, h holder, patience time.Duration) (*flock.Flock, *holder, error) {
	began := time.Now()
	tick := time.NewTicker(lockPause)
	defer tick.Stop()
	for {
		l, other, err := takeLock(file, h)
		if err != nil {
			return nil, nil, &Error{Kind: "unavailable", Op: "lock the session", Path: file, Message: err.Error(), Err: err}
		}
		if l != nil {
			return l, nil, nil
		}
		wait := patience
		switch {
		case !other.alive():
			wait = max(wait, leftoverWait)
		case other.Ending && patience > 0:
			wait = max(wait, endingWait)
		}
		if time.Since(began) >= wait {
			return nil, other, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// alive reports whether the holder's process is there. One that nobody knows counts as such.
func (h *holder) alive() bool {
	return h.PID <= 0 || !errors.Is(syscall.Kill(h.PID, 0), syscall.ESRCH)
}

// mine reports whether this process is the holder.
func (h *holder) mine() bool { return h.PID == os.Getpid() }

// isLocked reports whether a process holds the lock.
func isLocked(file string) bool {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return false
	}
	l := flock.New(file)
	ok, err := l.TryRLock()
	if err == nil && ok {
		_ = l.Close()
		return false
	}
	return true
}
