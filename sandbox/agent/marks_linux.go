package agent

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// markEnv is the variable that marks a command's environment.
const markEnv = "GLUE_EXEC_ID"

// marks tell which command a process descends from, however it left its parent,
// group or session. Each command gets two: a variable in its environment, and a soft
// limit of its own on real-time scheduling without a system call (RLIMIT_RTTIME in
// getrlimit(2)), which is far too large to ever act, and which a program that clears
// its environment still inherits. Both stand in /proc.
type marks struct {
	self     int
	start    uint64 // the agent's own start, in clock ticks: nothing older is a descendant
	instance string
	base     uint64 // of limits: high bits that are this agent's
	limits   bool   // whether the kernel takes the limit
}

func newMarks(instance string) *marks {
	m := &marks{self: os.Getpid(), instance: instance, base: limitBase(instance)}
	if st, ok := readStat(m.self); ok {
		m.start = st.start
	}
	var now unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_RTTIME, &now) == nil && now.Max == unix.RLIM_INFINITY {
		m.limits = m.set(m.base) == nil && m.restore() == nil
	}
	return m
}

// limitBase is what all limits of one agent have in common.
func limitBase(instance string) uint64 {
	var b [8]byte
	_, _ = hex.Decode(b[5:], []byte(instance)[:min(6, len(instance))])
	// 1<<58 µs are nine thousand years; 24 bits of the agent, 32 of the command.
	return 1<<58 | binary.BigEndian.Uint64(b[:])<<32
}

// mark is the n-th command's.
func (m *marks) mark(n uint32) uint64 { return m.base | uint64(n) }

// env marks an environment.
func (m *marks) env(id string) string { return markEnv + "=" + m.instance + ":" + id }

// around runs spawn so that the child inherits the mark. One at a time.
func (m *marks) around(mark uint64, spawn func() error) error {
	if !m.limits {
		return spawn()
	}
	_ = m.set(mark)
	defer func() { _ = m.restore() }()
	return spawn()
}

func (m *marks) set(soft uint64) error {
	l := unix.Rlimit{Cur: soft, Max: unix.RLIM_INFINITY}
	return unix.Prlimit(0, unix.RLIMIT_RTTIME, &l, nil)
}

func (m *marks) restore() error { return m.set(unix.RLIM_INFINITY) }

// table reads /proc: every process that is not older than the agent.
func (m *marks) table(byID map[string]uint64) map[int]*process {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	names, _ := dir.Readdirnames(-1)
	dir.Close()
	table := make(map[int]*process, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		st, ok := readStat(pid)
		if !ok || st.start < m.start {
			continue
		}
		p := &process{pid: pid, ppid: st.ppid, session: st.session, zombie: st.state == 'Z' || st.state == 'X'}
		p.descends = p.ppid == m.self
		if !p.zombie && pid != m.self {
			p.mark = m.read(pid, byID)
		}
		if pid != m.self {
			table[pid] = p
		}
	}
	return table
}

// read finds a process's mark: by the limit, else by the environment it started with,
// which names an id. Without ids any command of the agent is as good as another.
func (m *marks) read(pid int, byID map[string]uint64) uint64 {
	if m.limits {
		if mark, ok := m.limitMark(pid); ok {
			return mark
		}
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return 0
	}
	prefix := []byte(markEnv + "=" + m.instance + ":")
	for _, kv := range bytes.Split(b, []byte{0}) {
		if id, ok := bytes.CutPrefix(kv, prefix); ok {
			if byID == nil {
				return m.base
			}
			return byID[string(id)]
		}
	}
	return 0
}

func (m *marks) limitMark(pid int) (uint64, bool) {
	var l unix.Rlimit
	// The limits of another process of the same user, without reading /proc.
	if err := unix.Prlimit(pid, unix.RLIMIT_RTTIME, nil, &l); err != nil {
		return m.limitFromProc(pid)
	}
	return l.Cur, l.Cur != unix.RLIM_INFINITY && l.Cur&^uint64(1<<32-1) == m.base
}

// limitFromProc is for a process that changed its user.
func (m *marks) limitFromProc(pid int) (uint64, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/limits")
	if err != nil {
		return 0, false
	}
	_, line, ok := strings.Cut(string(b), "Max realtime timeout")
	if !ok {
		return 0, false
	}
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return 0, false
	}
	v, err := strconv.ParseUint(fields[0], 10, 64)
	return v, err == nil && v&^uint64(1<<32-1) == m.base
}

// EndLeftovers kills what is left of the commands of an agent that died without
// ending them, wherever they have gone. It is for sandboxes that no namespace holds
// together; instance is Client.Instance of the agent.
func EndLeftovers(instance string) {
	if len(instance) < 6 {
		return
	}
	m := &marks{instance: instance, base: limitBase(instance), limits: true}
	self := os.Getpid()
	deadline := time.Now().Add(killDeadline)
	for pause := time.Millisecond; time.Now().Before(deadline); pause = min(2*pause, 50*time.Millisecond) {
		left := 0
		for pid, p := range m.table(nil) {
			if !p.zombie && p.mark != 0 && pid != self {
				left++
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if left == 0 {
			return
		}
		time.Sleep(pause)
	}
}

type procStat struct {
	state         byte
	ppid, session int
	start         uint64
}

// readStat reads /proc/pid/stat, see proc_pid_stat(5). The name in it may hold
// anything, parentheses and spaces too.
func readStat(pid int) (procStat, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procStat{}, false
	}
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return procStat{}, false
	}
	f := bytes.Fields(b[i+1:])
	if len(f) < 20 {
		return procStat{}, false
	}
	var st procStat
	st.state = f[0][0]
	st.ppid, _ = strconv.Atoi(string(f[1]))
	st.session, _ = strconv.Atoi(string(f[3]))
	st.start, _ = strconv.ParseUint(string(f[19]), 10, 64)
	return st, true
}
