package session

import (
	"io/fs"
	"syscall"
	"time"
)

// changeTime is when a file's content, name or rights last changed; commands cannot set
// it (inode(7)).
func changeTime(info fs.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(int64(st.Ctim.Sec), int64(st.Ctim.Nsec)) //nolint:unconvert // their types differ between processors
	}
	return time.Now()
}
