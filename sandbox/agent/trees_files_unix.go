//go:build unix

package agent

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// createFile makes a new file. It goes below package os, which asks the poller about
// each file, and thousands of files are made in a row.
func createFile(name string, mode uint32, content io.Reader) (st indexStat, err error) {
	fd, err := unix.Open(name, unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_WRONLY|unix.O_CLOEXEC, mode)
	if err != nil {
		return st, err
	}
	_, err = io.Copy(fdWriter(fd), content)
	var s unix.Stat_t
	if err == nil {
		err = unix.Fstat(fd, &s)
	}
	if cerr := unix.Close(fd); err == nil {
		err = cerr
	}
	return statOf(&s), err
}

// linkStat gives the stat data of a link that was made.
func linkStat(name string) (indexStat, error) {
	var s unix.Stat_t
	if err := unix.Lstat(name, &s); err != nil {
		return indexStat{}, &os.PathError{Op: "lstat", Path: name, Err: err}
	}
	return statOf(&s), nil
}

// statOf takes what gitformat-index(5) keeps; it keeps 32 bits of each.
func statOf(s *unix.Stat_t) indexStat {
	return indexStat{
		ctimeSec: uint32(s.Ctim.Sec), ctimeNsec: uint32(s.Ctim.Nsec), mtimeSec: uint32(s.Mtim.Sec), mtimeNsec: uint32(s.Mtim.Nsec),
		dev: uint32(s.Dev), ino: uint32(s.Ino), uid: s.Uid, gid: s.Gid, size: uint32(s.Size),
	}
}

type fdWriter int

func (w fdWriter) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Write(int(w), p[done:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}
