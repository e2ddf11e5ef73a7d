package local

import (
	"os"
	"strconv"
	"strings"
)

// identify reads a process's start (in clock ticks since boot, see proc_pid_stat(5))
// and the boot's id. A zombie is no process any more.
func identify(pid int) (identity, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return identity{}, false
	}
	s := string(b)
	f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(f) < 20 || f[0] == "Z" || f[0] == "X" {
		return identity{}, false
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return identity{}, false
	}
	return identity{Pid: pid, Start: f[19], Boot: strings.TrimSpace(string(boot))}, true
}
