//go:build unix

package session

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// reserveMost and reserveShare bound what a capture leaves free for everything else on
// the disk: one part in reserveShare of it, at most reserveMost bytes.
const (
	reserveMost  = 512 << 20
	reserveShare = 20
)

// freeSpace gives the bytes that this user may still write on the disk that holds a
// folder, and those of them to leave alone.
func freeSpace(dir string) (free, reserve int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	size := int64(st.Bsize) //nolint:unconvert // its type differs between systems
	return int64(st.Bavail) * size, min(int64(st.Blocks)*size/reserveShare, reserveMost), nil
}

// blocks is what a file takes on the disk: one with a hole takes less than its size.
func blocks(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512 // stat(2): in units of 512 bytes, whatever the file system's
	}
	return info.Size()
}
