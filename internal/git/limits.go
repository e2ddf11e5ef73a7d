package git

import (
	"bytes"
	"cmp"
	"fmt"
	"strconv"
	"time"
)

// Limits bound a git command that reads what a sandbox sent. Zero means no limit.
type Limits struct {
	Memory int64         // bytes of address space
	Piece  int64         // bytes that are asked for at once, such as for one object; zero is Memory
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
	LimitOutput  Limit = "output"
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
	return []string{"GIT_ALLOC_LIMIT=" + strconv.FormatInt(cmp.Or(l.Piece, l.Memory), 10)}
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

// maxOutput is how much of a command's output is held in memory, in bytes. What lists
// files of a tree that came from a sandbox is read record by record instead.
const maxOutput = 256 << 20

// boundedBuffer keeps a command's output, and ends a command that prints too much.
type boundedBuffer struct {
	most int
	buf  bytes.Buffer // not embedded: its ReadFrom knows no bound
	err  error
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	if b.err == nil && b.buf.Len()+len(p) > b.most {
		b.err = &LimitError{What: LimitOutput, Max: byteCount(int64(b.most))}
		b.buf = bytes.Buffer{}
	}
	if b.err != nil {
		return 0, b.err
	}
	return b.buf.Write(p)
}

// result gives what a command printed, and why it is not all of it.
func (b *boundedBuffer) result(err error) ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	return b.buf.Bytes(), err
}
