package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// keptFor is how long the record of a session whose changes were all returned or
	// thrown away stays: its output and mbox may still be looked at.
	keptFor = 7 * 24 * time.Hour
	// cachesKeptFor is how long a cache that no session uses stays.
	cachesKeptFor = 30 * 24 * time.Hour
	// justUsed keeps a cache from being deleted under a session that is about to open.
	justUsed = time.Minute
)

// PruneOptions for [Manager.Prune].
type PruneOptions struct {
	// OlderThan spares records and caches that are younger; nil is a week for records and
	// 30 days for caches.
	OlderThan *time.Duration
	DryRun    bool  // only say what would go
	Quota     int64 // in bytes; 0 is the manager's
}

// Pruned is one thing that was deleted, would be, or could not be.
type Pruned struct {
	Kind  string // session, cache or tree
	Name  string
	Bytes int64
	Why   string // it goes, or stays
}

// PruneResult says what a prune did. Kept names only what a person may wonder about.
type PruneResult struct {
	Removed, Kept []Pruned
	Freed         int64
	Usage         Usage // before
}

// Prune deletes what nobody needs any more: records of sessions whose changes were all
// returned or thrown away, and caches that have not been used for long; while everything
// together is over the quota, also younger ones, the longest unused first. What was not
// returned is never deleted, and neither is a record that cannot be read.
func (m *Manager) Prune(ctx context.Context, o PruneOptions) (PruneResult, error) {
	u, err := m.Usage(ctx)
	u.Quota = cmp.Or(o.Quota, u.Quota)
	out := PruneResult{Usage: u}
	if err != nil {
		return out, err
	}
	records, caches := keptFor, cachesKeptFor
	if o.OlderThan != nil {
		records, caches = *o.OlderThan, *o.OlderThan
	}
	now := m.o.Now()
	total := u.Total
	remove := func(p Pruned, do func() error) {
		if ctx.Err() != nil {
			return
		}
		if !o.DryRun {
			if err := do(); err != nil {
				p.Why = err.Error()
				out.Kept = append(out.Kept, p)
				return
			}
		}
		out.Removed = append(out.Removed, p)
		out.Freed += p.Bytes
		total -= p.Bytes
	}
	var young []candidate // goes only when the quota asks for it
	for _, s := range u.Sessions {
		p := Pruned{Kind: "session", Name: s.ID, Bytes: s.Bytes, Why: "nothing of it is left to return"}
		switch {
		case s.Open:
		case s.Problem != "" && s.Unreturned:
			p.Why = s.Problem
			out.Kept = append(out.Kept, p)
		case s.Unreturned:
			p.Why = "its changes were not returned"
			out.Kept = append(out.Kept, p)
		case now.Sub(s.CreatedAt) >= records:
			remove(p, func() error { return m.removeSession(s.ID) })
		default:
			young = append(young, candidate{p, s.CreatedAt, func() error { return m.removeSession(s.ID) }})
		}
	}
	for _, t := range u.Trees {
		p := Pruned{Kind: "tree", Name: t.Dir, Bytes: t.Bytes, Why: "its session is gone"}
		if now.Sub(t.Since) < max(records, justUsed) {
			out.Kept = append(out.Kept, p)
			continue
		}
		remove(p, func() error { return m.removeOrphan(t.Dir) })
	}
	for _, c := range u.Caches {
		p := Pruned{Kind: "cache", Name: c.Dir, Bytes: c.Bytes, Why: "last used " + c.LastUsed.Format(time.DateOnly)}
		idle := now.Sub(c.LastUsed)
		switch {
		case c.InUse || idle < justUsed:
		case idle >= caches:
			remove(p, func() error { return m.removeCache(c.Dir) })
		default:
			young = append(young, candidate{p, c.LastUsed, func() error { return m.removeCache(c.Dir) }})
		}
	}
	slices.SortFunc(young, func(a, b candidate) int { return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.Name, b.Name)) })
	for _, c := range young {
		if total <= u.Quota {
			break
		}
		c.Why += "; over the quota"
		remove(c.Pruned, c.remove)
	}
	return out, ctx.Err()
}

// candidate is what may go when there is too much.
type candidate struct {
	Pruned
	used   time.Time
	remove func() error
}

// removeSession deletes an ended session's record and tree, if it is still what it was
// when it was measured.
func (m *Manager) removeSession(id string) error {
	dir := m.sessionDir(id)
	lock, other, err := takeLock(filepath.Join(dir, "lock"), holder{PID: os.Getpid(), Session: id, Since: m.o.Now()})
	if err != nil {
		return err
	}
	if lock == nil {
		return busy(id, other)
	}
	defer lock.Close()
	if s := m.sessionUsage(id); s.Unreturned {
		return fmt.Errorf("session %s holds changes by now", id)
	}
	m.mu.Lock()
	delete(m.known, id)
	m.mu.Unlock()
	// The tree first: a record without a tree can be read, a tree without a record not.
	if err := removeTree(m.treeDir(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return removeTree(dir)
}

// removeOrphan deletes a tree whose session is gone. A session's folder is there before its
// tree, so that one that was opened since everything was measured shows.
func (m *Manager) removeOrphan(dir string) error {
	id := filepath.Base(dir)
	if _, err := os.Lstat(m.sessionDir(id)); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("session %s has it by now", id), err)
	}
	return removeTree(dir)
}

// removeCache deletes a workspace's cache. It is renamed first, so that a session that
// opens meanwhile starts with an empty one, never with half of one.
func (m *Manager) removeCache(dir string) error {
	aside, err := os.MkdirTemp(filepath.Dir(dir), "removing-")
	if err != nil {
		return err
	}
	if err := os.Rename(dir, filepath.Join(aside, "c")); err != nil {
		return errors.Join(err, os.Remove(aside))
	}
	return removeTree(aside)
}

// useCache notes that a workspace's cache is in use now.
func (m *Manager) useCache(dir string) {
	now := m.o.Now()
	_ = os.Chtimes(dir, now, now) // it is only forgotten sooner
}

// tidyEvery is how often sessions that open prune: measuring everything costs a while.
const tidyEvery = 24 * time.Hour

// tidy prunes beside everything else, once in the life of a manager and once a day.
func (m *Manager) tidy(quota int64) {
	m.tidying.Do(func() {
		mark := filepath.Join(m.o.Home, "pruned")
		if m.o.Now().Sub(modified(mark)) < tidyEvery {
			return
		}
		if err := os.WriteFile(mark, nil, 0o600); err != nil {
			m.o.Log("prune: %v", err)
		}
		now := m.o.Now()
		_ = os.Chtimes(mark, now, now) // an existing file's content does not change
		ctx, cancel := context.WithCancel(context.Background())
		m.stopTidying = cancel
		m.tidied.Go(func() {
			r, err := m.Prune(ctx, PruneOptions{Quota: quota})
			if err != nil && ctx.Err() == nil {
				m.o.Log("prune: %v", err)
			}
			for _, p := range r.Removed {
				m.o.Log("prune: deleted %s %s (%s; %s)", p.Kind, p.Name, HumanBytes(p.Bytes), p.Why)
			}
		})
	})
}

// endTidying stops the pruning that is under way, which begins no more.
func (m *Manager) endTidying() {
	m.tidying.Do(func() {})
	if m.stopTidying != nil {
		m.stopTidying()
	}
	m.tidied.Wait()
}
