package session

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A process that must end before its sessions have leaves each of them to a finisher, a
// process of its own that waits for the session's lock and does the rest.

// Finish ends the session of an owner that is about to end, or died: it waits for the
// session's lock, brings what the sandbox changed to the host and ends the sandbox. What
// fails is tried again until ctx ends; the next start of a server would do the same. A
// session that ended properly in the meantime is done.
func (m *Manager) Finish(ctx context.Context, id string) error {
	for pause := finishPause; ; pause = min(2*pause, time.Minute) {
		own, st, err := m.takeOver(ctx, id, forever)
		if err != nil {
			return err
		}
		if !st.owed() {
			return own.Close()
		}
		m.o.Log("session %s: its server has left it; ending it", id)
		if _, err = m.salvage(ctx, own, st, false); err == nil {
			m.o.Log("session %s: ended", id)
			return nil
		}
		m.o.Log("session %s: %v", id, err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

const (
	finishPause = time.Second
	forever     = 365 * 24 * time.Hour
)

// leaveToFinisher hands on every session that this process still has. It is called again
// and again by an impatient Shutdown; each session gets one finisher.
func (m *Manager) leaveToFinisher() {
	if m.o.Finish == nil {
		return
	}
	m.mu.Lock()
	left := slices.Collect(maps.Values(m.open))
	m.mu.Unlock()
	for _, s := range left {
		m.handOn(s)
	}
}

// handOn leaves one session to a finisher, once.
func (m *Manager) handOn(s *Session) {
	m.mu.Lock()
	already := s.handedOn
	s.handedOn = true
	m.mu.Unlock()
	if m.o.Finish == nil || already {
		return
	}
	if err := m.o.Finish(s.ID(), s.dir); err != nil {
		m.o.Log("session %s: nobody can be left to end it; the next start will: %v", s.ID(), err)
	}
}

// isStopped reports whether Shutdown has begun.
func (m *Manager) isStopped() bool {
	select {
	case <-m.stopped:
		return true
	default:
		return false
	}
}

// noteEnding tells whoever waits for the locks of the open sessions that it is not long.
func (m *Manager) noteEnding(all []*Session) {
	for _, s := range all {
		s.mu.Lock()
		l := s.wsLock
		s.mu.Unlock()
		h := holder{PID: os.Getpid(), Session: s.ID(), Since: m.o.Now(), Ending: true}
		if l != nil {
			writeHolder(l.Path(), h)
		}
		writeHolder(filepath.Join(s.dir, "lock"), h)
	}
}
