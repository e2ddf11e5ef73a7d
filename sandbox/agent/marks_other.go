//go:build !linux

package agent

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
)

const markEnv = "GLUE_EXEC_ID"

// marks without /proc: only the process table's parents and sessions tell what
// descends from a command. A descendant that left both is not found, which the local
// runtime names among its gaps.
type marks struct {
	self     int
	instance string
}

func newMarks(instance string) *marks { return &marks{self: os.Getpid(), instance: instance} }

func (m *marks) mark(n uint32) uint64 { return 1<<58 | uint64(n) }

func (m *marks) env(id string) string { return markEnv + "=" + m.instance + ":" + id }

func (m *marks) around(_ uint64, spawn func() error) error { return spawn() }

func (m *marks) table(map[string]uint64) map[int]*process {
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,sess=,stat=").Output()
	if err != nil {
		return nil
	}
	table := map[int]*process{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		pid, err := strconv.Atoi(f[0])
		if err != nil || pid == m.self {
			continue
		}
		p := &process{pid: pid, zombie: strings.HasPrefix(f[3], "Z")}
		p.ppid, _ = strconv.Atoi(f[1])
		p.session, _ = strconv.Atoi(f[2])
		p.descends = p.ppid == m.self
		table[pid] = p
	}
	return table
}

// EndLeftovers does nothing: without /proc there is no telling whose a process is.
func EndLeftovers(string) {}
