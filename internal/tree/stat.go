package tree

import "time"

// stat is what tells one state of a file from another. Two equal values mean the
// same content, unless the file was so young that its times could stand still; see
// [stat.racy].
type stat struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // nanoseconds since the epoch
	mode         uint32
}

// steady compares what lstat and fstat say of one file. Device and inode are left
// out because stacked file systems may number an open file differently; a file that
// was swapped in has another change time.
func (s stat) steady(o stat) bool {
	s.dev, s.ino = o.dev, o.ino
	return s == o
}

// racy reports whether the file could change at or after the moment without its
// stat data showing it.
func (s stat) racy(moment time.Time) bool { return !settled(s.mtime, s.ctime, moment) }

// How far a file's times may lag behind the moment of its change. Kernels stamp
// with the time of the last timer tick, at most 10 ms ago (CONFIG_HZ=100); some
// file systems keep whole seconds, or two of them (FAT).
const (
	tickLag   = 20 * time.Millisecond
	secondLag = 2100 * time.Millisecond
)

// settled reports whether a file or folder with these times, in nanoseconds since
// the epoch, cannot change at or after the moment without its times showing it. It
// is the rule by which git calls entries of its index racily clean
// (Documentation/technical/racy-git).
func settled(mtime, ctime int64, moment time.Time) bool {
	lag := tickLag
	if mtime%int64(time.Second) == 0 && ctime%int64(time.Second) == 0 {
		lag = secondLag
	}
	return max(mtime, ctime) < moment.Add(-lag).UnixNano()
}
