package session

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Usage is what lies under the state folder. Sizes are bytes on the disk.
type Usage struct {
	Sessions []SessionUsage // newest first
	Caches   []CacheUsage   // last used first
	Trees    []TreeUsage    // sandboxes' trees that belong to no session
	Total    int64
	Quota    int64
	Partial  bool // ctx ended before everything was looked at
}

// SessionUsage is one session's record and, where it is still there, its sandbox's tree.
type SessionUsage struct {
	ID, State, Folder string
	CreatedAt         time.Time
	Bytes             int64
	Open              bool   // a living process has it
	Unreturned        bool   // it holds what was neither returned nor thrown away
	Problem           string // why its record cannot be read; such a session is never deleted
}

// CacheUsage is what is kept of one working tree between sessions: hashes, and the
// build caches of its sandboxes.
type CacheUsage struct {
	Dir      string
	Bytes    int64
	LastUsed time.Time
	InUse    bool
}

// TreeUsage is a sandbox's tree whose session's record is gone.
type TreeUsage struct {
	Dir   string
	Bytes int64
	Since time.Time
}

// Usage measures what lies under the state folder. No link is followed: what commands
// left in caches and trees may point anywhere.
func (m *Manager) Usage(ctx context.Context) (Usage, error) {
	u := Usage{Quota: m.o.Quota}
	inUse := map[string]bool{}
	known := map[string]bool{}
	names, err := m.subfolders("sessions")
	if err != nil {
		return u, err
	}
	for _, name := range names {
		s := m.sessionUsage(name)
		known[name] = true
		s.Bytes = u.add(ctx, m.sessionDir(name)) + u.add(ctx, m.treeDir(name))
		if s.Open && s.Folder != "" {
			inUse[cacheName(s.Folder)] = true
		}
		u.Sessions = append(u.Sessions, s)
	}
	slices.SortFunc(u.Sessions, func(a, b SessionUsage) int { return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID)) })
	if names, err = m.subfolders("trees"); err != nil {
		return u, err
	}
	for _, name := range names {
		if !known[name] {
			t := TreeUsage{Dir: m.treeDir(name), Since: modified(m.treeDir(name))}
			t.Bytes = u.add(ctx, t.Dir)
			u.Trees = append(u.Trees, t)
		}
	}
	if names, err = m.subfolders("cache"); err != nil {
		return u, err
	}
	for _, name := range names {
		c := CacheUsage{Dir: filepath.Join(m.o.Home, "cache", name), InUse: inUse[name]}
		c.LastUsed = modified(c.Dir)
		c.Bytes = u.add(ctx, c.Dir)
		u.Caches = append(u.Caches, c)
	}
	slices.SortFunc(u.Caches, func(a, b CacheUsage) int { return b.LastUsed.Compare(a.LastUsed) })
	return u, nil
}

// add measures a folder and counts it in.
func (u *Usage) add(ctx context.Context, dir string) int64 {
	n, err := diskUsage(ctx, dir)
	if err != nil && ctx.Err() != nil {
		u.Partial = true
	}
	u.Total += n
	return n
}

func (m *Manager) treeDir(id string) string { return filepath.Join(m.o.Home, "trees", id) }

// cacheName is the folder under cache that belongs to a workspace folder.
func cacheName(folder string) string {
	sum := sha256.Sum256([]byte(folder))
	return hex.EncodeToString(sum[:8])
}

// subfolders names the folders in one of the state folder's own; links are none.
func (m *Manager) subfolders(of string) ([]string, error) {
	dir := filepath.Join(m.o.Home, of)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, &Error{Kind: "unavailable", Op: "measure the state folder", Path: dir, Message: err.Error(), Err: err}
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// sessionUsage reads a session's record, without its size.
func (m *Manager) sessionUsage(id string) SessionUsage {
	dir := m.sessionDir(id)
	s := SessionUsage{ID: id, CreatedAt: modified(dir), Open: isLocked(filepath.Join(dir, "lock"))}
	st, err := readState(dir)
	if err != nil {
		s.Problem, s.Unreturned = err.Error(), true
		if errors.Is(err, fs.ErrNotExist) {
			s.Problem = "it has no record"
			_, err := os.Lstat(filepath.Join(dir, "objects.git"))
			s.Unreturned = !errors.Is(err, fs.ErrNotExist)
		}
		return s
	}
	s.State, s.Folder, s.CreatedAt = st.State, st.Folder, st.CreatedAt
	// One that is open has an owner, or waits for somebody to capture what is in it.
	s.Unreturned = st.owed() && st.State != StateLost || st.unreturned() || m.treeHoldsMore(id, st) || m.staysOn(st)
	return s
}

// treeHoldsMore reports whether the tree of a sandbox that ended by itself may hold what
// no checkpoint does: something in it has changed since the last one looked.
func (m *Manager) treeHoldsMore(id string, st *state) bool {
	if st.State == Opening || st.Final || st.Recovered {
		return false // the last checkpoint was taken at the end; nothing ran yet
	}
	dir := filepath.Join(m.treeDir(id), "w")
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return st.CapturedFrom.IsZero() || changedSince(dir, st.CapturedFrom.Add(-clockSlack))
}

// clockSlack is more than a file's change time may lag behind the clock.
const clockSlack = 3 * time.Second

func modified(dir string) time.Time {
	info, err := os.Lstat(dir)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// eachBelow calls do for everything below dir. It stays inside, whatever links commands
// left there or make meanwhile, and passes over what cannot be read.
func eachBelow(dir string, do func(info fs.FileInfo) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // it may be gone by now, or locked
		}
		info, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // the same
		}
		return do(info)
	})
}

// diskUsage adds up what everything below dir takes on the disk; nothing is nothing.
func diskUsage(ctx context.Context, dir string) (int64, error) {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return 0, nil //nolint:nilerr // there is nothing to measure
	}
	total := int64(0)
	err = eachBelow(dir, func(info fs.FileInfo) error {
		total += blocks(info)
		return ctx.Err()
	})
	return total, err
}

var errChangedSince = errors.New("something is newer")

// changedSince reports whether anything below dir has changed since then, or cannot be
// told not to have.
func changedSince(dir string, then time.Time) bool {
	return eachBelow(dir, func(info fs.FileInfo) error {
		if changeTime(info).After(then) {
			return errChangedSince
		}
		return nil
	}) != nil
}

// Summary says the usage in one line.
func (u Usage) Summary() string {
	var sessions, caches int64
	waiting := 0
	for _, s := range u.Sessions {
		sessions += s.Bytes
		if s.Unreturned && !s.Open {
			waiting++
		}
	}
	for _, c := range u.Caches {
		caches += c.Bytes
	}
	total := HumanBytes(u.Total)
	if u.Partial {
		total = "at least " + total
	}
	return fmt.Sprintf("%s of %s: %d %s (%s), %d with changes that were not returned; caches %s",
		total, HumanBytes(u.Quota), len(u.Sessions), plural(len(u.Sessions), "session", "sessions"), HumanBytes(sessions), waiting, HumanBytes(caches))
}
