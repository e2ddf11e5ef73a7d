package session

import (
	"os"
	"path/filepath"
	"time"
)

// keptFor is how long the record of a session whose changes were all returned or
// thrown away stays: its output and mbox may still be looked at.
const keptFor = 7 * 24 * time.Hour

// prune deletes records that nobody needs any more. Whatever holds a change that was
// neither returned nor thrown away stays, and so does what cannot be read.
func (m *Manager) prune() {
	entries, err := os.ReadDir(filepath.Join(m.o.Home, "sessions"))
	if err != nil {
		m.o.Log("prune: %v", err)
		return
	}
	for _, e := range entries {
		dir := filepath.Join(m.o.Home, "sessions", e.Name())
		st, err := readState(dir)
		if err != nil || st.State != Closed || st.unreturned() || m.o.Now().Sub(st.CreatedAt) < keptFor || isLocked(filepath.Join(dir, "lock")) {
			continue
		}
		if err := removeTree(dir); err != nil {
			m.o.Log("prune: %v", err)
		}
	}
}
