package session

import (
	"fmt"
	"time"
)

// expiryMarks are how long before the end of a sandbox's time the person is told, the last
// one aside, which only takes a checkpoint: what is changed until then is safe.
var expiryMarks = []time.Duration{5 * time.Minute, time.Minute, 15 * time.Second}

const lastMark = 15 * time.Second

// expiryGlance bounds the waiting for a mark: clocks for waiting stand still while a
// machine sleeps.
const expiryGlance = 20 * time.Second

// watchExpiry takes checkpoints as the end of the sandbox's time comes near, and tells the
// person.
func (s *Session) watchExpiry() {
	st := s.snapshotState()
	if !s.m.o.Now().Before(st.ExpiresAt) {
		return // or it has none
	}
	s.mu.Lock()
	sb := s.sb
	s.mu.Unlock()
	if sb == nil {
		return
	}
	for _, mark := range expiryMarks {
		if st.ExpiresAt.Sub(st.CreatedAt) <= mark {
			continue // it never had that much
		}
		if !s.waitUntil(st.ExpiresAt.Add(-mark), sb.Done()) {
			return
		}
		s.nears(st.ExpiresAt, mark)
	}
}

// waitUntil waits for a time of day. It reports false when the session has ended, or the
// sandbox has.
func (s *Session) waitUntil(at time.Time, gone <-chan struct{}) bool {
	for {
		select {
		case <-gone:
			return false
		default:
		}
		left := at.Sub(s.m.o.Now())
		if left <= 0 {
			return true
		}
		select {
		case <-s.m.o.After(min(left, expiryGlance)):
		case <-s.finished:
			return false
		case <-gone:
			return false
		}
	}
}

// nears takes a checkpoint, and tells the person unless more than a mark was slept away.
func (s *Session) nears(end time.Time, mark time.Duration) {
	s.check.request()
	left := end.Sub(s.m.o.Now())
	if mark == lastMark || left <= 0 {
		return
	}
	text := fmt.Sprintf("the sandbox ends in %s, at %s (modal.sandbox_timeout_seconds); what it has changed is being saved here, and what runs in it ends then",
		minutes(left), end.Local().Format(time.TimeOnly))
	s.warn("%s", text)
	s.mu.Lock()
	s.alert = text
	s.mu.Unlock()
	s.m.announce(s)
}

// minutes says a short time as people do.
func minutes(d time.Duration) string {
	n := int((d + 30*time.Second) / time.Minute)
	if n < 1 {
		return "less than a minute"
	}
	return fmt.Sprintf("%d %s", n, plural(n, "minute", "minutes"))
}
