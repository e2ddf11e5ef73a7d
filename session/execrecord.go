package session

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"glue-lsp/sandbox"
)

// A command's output is one file, exec/<id>.log. Two small ones stand beside it, for a
// server that takes the session up again: exec/<id>.json, which command it was and how
// it ended, and exec/<id>.at, up to where the log goes and which stream its bytes are of.

// execRecord is exec/<id>.json.
type execRecord struct {
	ID        string      `json:"id"`
	Command   string      `json:"command"`
	StartedAt time.Time   `json:"started_at"`
	Result    *execResult `json:"result,omitempty"` // once it has ended
	Lost      string      `json:"lost,omitempty"`   // why nobody knows how it ended
}

type execResult struct {
	ExitCode   int             `json:"exit_code"`
	Signal     string          `json:"signal,omitempty"`
	TimedOut   bool            `json:"timed_out,omitempty"`
	Canceled   bool            `json:"canceled,omitempty"`
	Duration   time.Duration   `json:"duration"`
	Lost       sandbox.Offsets `json:"lost_output,omitzero"`
	Checkpoint int             `json:"checkpoint"`
}

// record writes what is known of a command. Without it the command is not worse off; a
// server that comes after this one would only know less of it.
func (e *Exec) record() {
	r := execRecord{ID: e.ID, Command: e.Command, StartedAt: e.startedAt}
	select {
	case <-e.done:
		if e.err != nil {
			r.Lost = e.err.Error()
			break
		}
		o := &e.outcome
		r.Result = &execResult{
			ExitCode: o.ExitCode, Signal: o.Signal, TimedOut: o.TimedOut, Canceled: o.Canceled, Duration: o.Duration,
			Lost: o.Lost, Checkpoint: o.Checkpoint,
		}
	default:
	}
	b, err := json.Marshal(r)
	// Not synced: a machine that went down took the command along.
	name, temp := besideLog(e.log.name, ".json"), besideLog(e.log.name, ".json.new")
	if err == nil {
		err = os.WriteFile(temp, b, 0o600)
	}
	if err == nil {
		err = os.Rename(temp, name)
	}
	if err != nil {
		e.s.m.o.Log("session %s: record of command %s: %v", e.s.ID(), e.ID, err)
	}
}

// besideLog names a file that stands beside a command's log.
func besideLog(log, ext string) string { return strings.TrimSuffix(log, ".log") + ext }

// readExecRecords gives the commands that a session's folder knows of, the oldest
// first. What is damaged is left out: it was only a convenience.
func readExecRecords(dir string) []execRecord {
	names, _ := filepath.Glob(filepath.Join(dir, "exec", "*.json"))
	var out []execRecord
	for _, name := range names {
		var r execRecord
		b, err := os.ReadFile(name)
		if err == nil && json.Unmarshal(b, &r) == nil && r.ID != "" && besideLog(logName(r.ID), ".json") == filepath.Base(name) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b execRecord) int { return a.StartedAt.Compare(b.StartedAt) })
	return out
}

// logIndex is exec/<id>.at: a header and one record for each segment of the log. The
// header is written last, so that what it says is in the log; bytes after that are
// written once more when the log goes on.
type logIndex struct {
	name string
	f    *os.File // opened with the first write
	n    int      // segments in the file
}

const (
	indexMagic   = "glue-at1"
	indexHeader  = 8 + 4*8 // magic, half, both streams' offsets, size; big endian
	indexSegment = 9       // end, stream
)

// note says that the log holds the segments up to size. Only the last segments changed.
func (x *logIndex) note(l *outputLog) error {
	if x.f == nil {
		f, err := os.OpenFile(x.name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		x.f = f
	}
	from := max(0, x.n-1)
	var b []byte
	for _, s := range l.segments[from:] {
		b = append(binary.BigEndian.AppendUint64(b, uint64(s.end)), byte(s.stream))
	}
	if _, err := x.f.WriteAt(b, indexHeader+int64(from)*indexSegment); err != nil {
		return err
	}
	x.n = len(l.segments)
	head := append(make([]byte, 0, indexHeader), indexMagic...)
	for _, v := range []int64{l.half, l.pos[0], l.pos[1], l.size} {
		head = binary.BigEndian.AppendUint64(head, uint64(v))
	}
	_, err := x.f.WriteAt(head, 0)
	return err
}

func (x *logIndex) close() {
	if x.f != nil {
		_ = x.f.Close() // see execRecord: a convenience
		x.f = nil
	}
}

// openLog opens the log of a command that another server began to follow, to go on where
// that one ended. A log without an index begins anew.
func openLog(name string) *outputLog {
	l := newOutputLogAt(name)
	index, err := os.ReadFile(l.index.name)
	if err == nil {
		err = l.restore(index)
	}
	var info os.FileInfo
	if err == nil {
		info, err = os.Stat(name)
	}
	if err == nil && info.Size() < min(l.size, 2*l.half) {
		err = errors.New("the log is shorter than its index says")
	}
	if err != nil {
		_, _ = os.Remove(l.index.name), os.Remove(name)
		return newOutputLog(name, maxLog)
	}
	// The file is only longer than both halves once the marker stands between them.
	if info.Size() > 2*l.half {
		l.joint, l.settled = info.Size()-2*l.half, true
	}
	l.index.n = len(l.segments)
	l.f, l.failed = os.OpenFile(name, os.O_RDWR, 0o600)
	return l
}

// restore takes over what an index says, as far as its header vouches for it.
func (l *outputLog) restore(index []byte) error {
	if len(index) < indexHeader || string(index[:8]) != indexMagic {
		return errors.New("no index of a log")
	}
	var v [4]int64
	for i := range v {
		v[i] = int64(binary.BigEndian.Uint64(index[8+8*i:]))
		if v[i] < 0 {
			return fmt.Errorf("the index holds a negative number")
		}
	}
	l.half, l.pos, l.size = max(v[0], 1), [2]int64{v[1], v[2]}, v[3]
	at := int64(0)
	for b := index[indexHeader:]; len(b) >= indexSegment && at < l.size; b = b[indexSegment:] {
		s := segment{end: min(int64(binary.BigEndian.Uint64(b)), l.size), stream: sandbox.Stream(b[8])}
		if s.end <= at || s.stream != sandbox.Stdout && s.stream != sandbox.Stderr {
			return errors.New("the index is damaged")
		}
		l.segments, at = append(l.segments, s), s.end
	}
	if at != l.size {
		return errors.New("the index is not complete")
	}
	return nil
}
