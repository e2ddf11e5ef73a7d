package agent

import (
	"bufio"
	"os"
	"strings"
)

// mountBelow names a mount point at dir or below it, "" if there is none. The list
// is the kernel's, see proc(5) on /proc/self/mountinfo; where that cannot be read,
// the removal itself will find out.
func mountBelow(dir string) string {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		if at := unescapeMount(fields[4]); within(dir, at) {
			return at
		}
	}
	return ""
}

// unescapeMount undoes the octal escapes of space, tab, newline and backslash.
func unescapeMount(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
