package git

import (
	"errors"

	"golang.org/x/sys/unix"
)

// apply sets the limits on a child that was just started, by prlimit(2). Between
// start and here the child has read no input, and what it has allocated counts.
// git's commands are one process each, so none can have forked before.
func (l *Limits) apply(pid int) error {
	set := func(what int, soft, hard uint64) error {
		return unix.Prlimit(pid, what, &unix.Rlimit{Cur: soft, Max: hard}, nil)
	}
	// No core file of a killed command, which would hold the user's text.
	if err := set(unix.RLIMIT_CORE, 0, 0); err != nil {
		return ignoreGone(err)
	}
	if l.Memory > 0 {
		if err := set(unix.RLIMIT_AS, uint64(l.Memory), uint64(l.Memory)); err != nil {
			return ignoreGone(err)
		}
	}
	if l.CPU > 0 {
		s := seconds(l.CPU)
		if err := set(unix.RLIMIT_CPU, s, s+1); err != nil {
			return ignoreGone(err)
		}
	}
	if l.File > 0 {
		if err := set(unix.RLIMIT_FSIZE, uint64(l.File), uint64(l.File)); err != nil {
			return ignoreGone(err)
		}
	}
	return nil
}

// ignoreGone passes over a child that has already ended.
func ignoreGone(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}
