package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"glue-lsp/sandbox"
)

// Swept is a running sandbox of this machine's that no session of this machine has.
type Swept struct {
	Runtime, ID, Session string
	ExpiresAt            time.Time
	Ended                bool
	Stays                bool   // by the person's wish
	Why                  string // it was ended, or stays
}

// sweepTimeout bounds a sweep: nobody should wait for a network that is not there.
const sweepTimeout = 20 * time.Second

// Sweep finds sandboxes that run for nobody: those whose session is unknown here, or has
// ended without them. It ends them, unless dry. One that a session is to be recovered from
// is left to that, and one that stays by the person's wish is only named. Where no sandbox
// was started for as long as one can live nothing is looked for.
func (m *Manager) Sweep(ctx context.Context, dry bool) ([]Swept, error) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	states, err := m.states()
	if err != nil {
		return nil, err
	}
	var out []Swept
	var errs []error
	for name, rt := range m.o.Runtimes {
		sw, ok := rt.(sandbox.Sweeper)
		if !ok {
			continue
		}
		file := m.sweepMark(name, sw)
		mark := modified(file)
		if !m.o.Now().Before(mark) {
			continue
		}
		found, err := sw.Owned(ctx)
		if err != nil {
			errs = append(errs, fmt.Errorf("looking for sandboxes of %s that run for nobody: %w", name, err))
			continue
		}
		// One that is being started may not be listed yet.
		nothing := !slices.ContainsFunc(states, func(st *state) bool { return st.Runtime == name && st.owed() })
		for _, o := range found {
			why, orphan := m.orphaned(name, o, states)
			if why == "" {
				nothing = false
				continue
			}
			s := Swept{Runtime: name, ID: o.ID, Session: o.Session, ExpiresAt: o.ExpiresAt, Stays: !orphan, Why: why}
			if orphan && !dry {
				if err := sw.End(ctx, o.ID); err != nil {
					errs = append(errs, fmt.Errorf("ending sandbox %s of session %s: %w", o.ID, o.Session, err))
					nothing = false
					continue
				}
				s.Ended = true
			}
			nothing = nothing && s.Ended
			out = append(out, s)
		}
		if nothing && modified(file).Equal(mark) { // else one was started meanwhile
			_ = os.Remove(file) // it is only looked for again
		}
	}
	return out, errors.Join(errs...)
}

// orphaned says why a sandbox is nobody's, or why it is to stay; "" is for one that is
// somebody's to see to.
func (m *Manager) orphaned(runtime string, o sandbox.Owned, states []*state) (why string, orphan bool) {
	// Another session than its maker's may have joined it.
	if isLocked(m.sandboxLock(runtime, o.ID)) {
		return "", false
	}
	for _, st := range states {
		if st.Runtime == runtime && st.SandboxID == o.ID && st.ID != o.Session && st.owed() {
			return "", false
		}
	}
	dir := m.sessionDir(o.Session)
	if o.Session == "" || !isSessionID(o.Session) {
		return "it belongs to no session", true
	}
	m.mu.Lock()
	open := m.open[o.Session] != nil
	m.mu.Unlock()
	if open || isLocked(lockOf(dir)) {
		return "", false
	}
	st, err := readState(dir)
	switch {
	case isNotExist(err):
		return "its session " + o.Session + " is gone", true
	case err != nil, st.Runtime != runtime:
		return "", false // whatever it is, it is not known to be nobody's
	case st.SandboxID != o.ID && !(st.SandboxID == "" && st.owed()):
		return "its session " + o.Session + " has another one", true
	case st.owed():
		return "", false // to be recovered, or to be ended by a finisher
	case st.Stays:
		return "modal.delete_on_close is false", false
	}
	return "its session " + o.Session + " has ended", true
}

// refuseOpening refuses a sandbox that a session of this machine is still opening, and whose
// record does not name it yet. Where none can be listed nobody can say.
func (m *Manager) refuseOpening(ctx context.Context, rt sandbox.Runtime, o OpenOptions) error {
	sw, ok := rt.(sandbox.Sweeper)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	found, err := sw.Owned(ctx)
	if err != nil {
		m.o.Log("looking for the session of sandbox %s: %v", o.Attach, err)
		return nil
	}
	for _, one := range found {
		if one.ID != o.Attach || !isSessionID(one.Session) {
			continue
		}
		if lock := lockOf(m.sessionDir(one.Session)); isLocked(lock) {
			e := busy(one.Session, readHolder(lock))
			e.Op = "attach to sandbox " + o.Attach
			return e
		}
	}
	return nil
}

// sandboxLock is the lock that a session has which joined a sandbox of another's.
func (m *Manager) sandboxLock(runtime, id string) string {
	return filepath.Join(m.o.Home, "workspaces", cacheName(runtime+"\x00"+id)+".sandbox.lock")
}

// Looking for sandboxes in the cloud costs a process and a network. A file whose time is
// the end of the longest life of any that was started here says whether there can be some.

func (m *Manager) sweepMark(runtime string, sw sandbox.Sweeper) string {
	return filepath.Join(m.o.Home, "workspaces", "may-run-"+runtime+"-"+cacheName(sw.Scope()))
}

// startsOne notes, before it is started, that a sandbox may run from now on.
func (m *Manager) startsOne(runtime string, rt sandbox.Runtime) {
	sw, ok := rt.(sandbox.Sweeper)
	if !ok {
		return
	}
	file := m.sweepMark(runtime, sw)
	until := m.o.Now().Add(sw.LongestLife())
	err := os.WriteFile(file, nil, 0o600)
	if err == nil {
		err = os.Chtimes(file, until, until)
	}
	if err != nil {
		m.o.Log("noting that a sandbox may run: %v", err)
	}
}

func lockOf(dir string) string { return filepath.Join(dir, "lock") }

func isSessionID(id string) bool {
	return id == filepath.Base(id) && id != "." && id != ".."
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
