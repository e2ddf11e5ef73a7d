package workspace

import (
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// A stamp is what stat says of a file or folder, as far as it shows a change. A
// folder's times change when a name is added to it or taken away.
type stamp struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // nanoseconds since the epoch
}

// stampOf gives a path's stamp, the zero one when nothing is there.
func stampOf(path string) stamp {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return stamp{}
	}
	return stamp{
		dev: uint64(st.Dev), ino: st.Ino, size: st.Size, //nolint:unconvert // signed on some systems
		mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(),
	}
}

// How far a file's times may lag behind the moment of its change: kernels stamp with
// the time of the last timer tick (at most 10 ms ago), and some file systems keep
// whole seconds, or two of them (FAT).
const (
	tickLag   = 20 * time.Millisecond
	secondLag = 2100 * time.Millisecond
)

// settled reports whether a change at or after the moment would show in the stamp.
func (s stamp) settled(moment time.Time) bool {
	lag := tickLag
	if s.mtime%int64(time.Second) == 0 && s.ctime%int64(time.Second) == 0 {
		lag = secondLag
	}
	return max(s.mtime, s.ctime) < moment.Add(-lag).UnixNano()
}

// stamps prove that a listing is still true: they are those of every folder in which
// a new name would count, and of every file that says which names count.
type stamps struct {
	began time.Time // before the listing was made
	seen  map[string]stamp
	racy  bool
}

func newStamps(now time.Time) *stamps {
	return &stamps{began: now, seen: map[string]stamp{}}
}

// watch notes a path by its absolute name.
func (s *stamps) watch(path string) {
	st := stampOf(path)
	if st != (stamp{}) && !st.settled(s.began) {
		s.racy = true
	}
	s.seen[path] = st
}

// watchRepository notes what decides in a repository which files belong to it.
func (s *stamps) watchRepository(gitDir, commonDir string) {
	for _, name := range []string{"index", "info/sparse-checkout", "config.worktree"} {
		s.watch(filepath.Join(gitDir, filepath.FromSlash(name)))
	}
	for _, name := range []string{"info/exclude", "config"} {
		s.watch(filepath.Join(commonDir, filepath.FromSlash(name)))
	}
}

// same reports whether nothing has changed since.
func (s *stamps) same() bool {
	if s.racy {
		return false
	}
	for path, was := range s.seen {
		if stampOf(path) != was {
			return false
		}
	}
	return true
}
