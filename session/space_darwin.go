package session

import (
	"io/fs"
	"syscall"
	"time"
)

// changeTime is when a file's content, name or rights last changed; commands cannot set
// it (stat(2)).
func changeTime(info fs.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctimespec.Sec, st.Ctimespec.Nsec)
	}
	return time.Now()
}
