package local

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// launchersOf finds the launchers of a sandbox that nobody recorded: bubblewrap's
// processes that were told to show its tree. One whose other half was killed waits for
// ever. The tree's name is a random one of this product's.
func launchersOf(treeDir string) []identity {
	want := []byte("\x00--bind\x00" + filepath.Join(treeDir, treeName) + "\x00" + workspaceRoot + "\x00")
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var out []identity
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		dir := filepath.Join("/proc", p.Name())
		info, err := os.Stat(dir)
		if err != nil || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()) {
			continue
		}
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		name, _, _ := bytes.Cut(line, []byte{0})
		if err != nil || filepath.Base(string(name)) != "bwrap" || !bytes.Contains(line, want) {
			continue
		}
		if id, ok := identify(pid); ok {
			out = append(out, id)
		}
	}
	return out
}
