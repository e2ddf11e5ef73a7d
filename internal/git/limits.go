package git

import (
	"fmt"
	"strconv"
	"time"
)

// Limits bound a git command that reads what a sandbox sent. Zero means no limit.
type Limits struct {
	Memory int64         // bytes of address space
	CPU    time.Duration // of all threads together, rounded up to seconds
	Wall   time.Duration
	File   int64 // bytes of the largest file that it may write
}

// DefaultLimits hold for every command that is given no others. They are far
// above what honest work needs, and stop a command that a crafted object drives
// mad: a pack of 16 KB can ask for gigabytes.
var DefaultLimits = Limits{
	Memory: 2 << 30,
	CPU:    15 * time.Minute,
	Wall:   time.Hour,
}

// Limit names what ran out.
type Limit string

// The limits that a command can reach.
const (
	LimitMemory  Limit = "memory"
	LimitCPU     Limit = "processor time"
	LimitWall    Limit = "time"
	LimitFile    Limit = "file size"
	LimitEntries Limit = "number of files"
)

// LimitError says that a command was ended because it reached a limit. It is
// found with errors.As inside an *Error.
type LimitError struct {
	What Limit
	Max  string // with its unit
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("stopped at the limit of %s for %s", e.Max, e.What)
}

// env bounds single allocations by git's own check (GIT_ALLOC_LIMIT in git's
// wrapper.c). It is the second line of defence on Linux and the first elsewhere.
func (l *Limits) env() []string {
	if l.Memory <= 0 {
		return nil
	}
	return []string{"GIT_ALLOC_LIMIT=" + strconv.FormatInt(l.Memory, 10)}
}

func seconds(d time.Duration) uint64 {
	return uint64((d + time.Second - 1) / time.Second)
}

func byteCount(n int64) string {
	const unit = 1 << 20
	if n >= unit {
		return strconv.FormatInt(n/unit, 10) + " MiB"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}
