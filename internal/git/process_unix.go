//go:build unix

package git

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// ownGroup puts the command into a process group of its own, so that it can be
// killed as a whole and a terminal's Ctrl-C does not reach it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// killGroup ends a command and everything that it started.
func killGroup(pid int) {
	_ = syscall.Kill(-pid, syscall.SIGKILL)
}

// reached tells which limit ended a process, or nil if none did.
func (l *Limits) reached(state *os.ProcessState, stderr string) error {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		switch status.Signal() {
		case syscall.SIGXCPU:
			return &LimitError{What: LimitCPU, Max: l.CPU.String()}
		case syscall.SIGXFSZ:
			return &LimitError{What: LimitFile, Max: byteCount(l.File)}
		}
	}
	if l.Memory > 0 {
		// The words are those of git's wrapper.c and zlib.c, and of libc (LC_ALL=C).
		for _, words := range []string{"out of memory", "attempting to allocate", "attempting to mmap", "cannot allocate memory"} {
			if strings.Contains(strings.ToLower(stderr), words) {
				return &LimitError{What: LimitMemory, Max: byteCount(l.Memory)}
			}
		}
	}
	return nil
}

// isNotDir reports that a parent of a path is a file.
func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// processLives reports whether there is a process of that id, whosever it is.
func processLives(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
