package main

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"glue-lsp/internal/lsptest"
)

// withoutLandlock makes this test binary see a kernel without landlock.
const withoutLandlock = "GLUE_TEST_WITHOUT_LANDLOCK"

// hideLandlock lets the first system call of landlock fail as it does on kernels that do
// not know it, for this process and all that it starts, if withoutLandlock says so.
func hideLandlock() {
	if os.Getenv(withoutLandlock) == "" {
		return
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_LANDLOCK_CREATE_RULESET},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		panic(errno)
	}
}

// nothingWorks is an environment in which no isolation does: no bwrap on the PATH, and a
// kernel without landlock.
func nothingWorks(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	for _, from := range filepath.SplitList(os.Getenv("PATH")) {
		list, err := os.ReadDir(from)
		if err != nil {
			continue
		}
		for _, d := range list {
			if d.Name() != "bwrap" {
				_ = os.Symlink(filepath.Join(from, d.Name()), filepath.Join(dir, d.Name())) // the first one wins
			}
		}
	}
	return []string{"PATH=" + dir, withoutLandlock + "=1", "GLUE_LOCAL_ISOLATION=auto"}
}

func TestStoriesWhereNoIsolationWorks(t *testing.T) {
	lsptest.RunStories(t, "testdata/unconfined", serverWith(t, nothingWorks(t)...), lsptest.StoryOptions{Runtime: "local"})
}

func TestRunAsksOnceWhereNoIsolationWorks(t *testing.T) {
	p := newPerson(t)
	p.env = nothingWorks(t)
	out, errs := p.does(exitFailure, "run", "--", "echo", "ran")
	if out != "" {
		t.Errorf("it ran: %q", out)
	}
	p.sees(errs, "bubblewrap is not installed", "no landlock", "--unconfined", "local.isolation: none")
	out, errs = p.does(0, "run", "--unconfined", "--", "echo", "ran")
	if out != "ran\n" {
		t.Errorf("with --unconfined: %q", out)
	}
	p.sees(errs, "not confined")
	p.does(exitFailure, "run", "--", "echo", "ran") // that was for once
	// What the person set is an answer.
	p.env = append(p.env, "GLUE_LOCAL_ISOLATION=none")
	if out, _ := p.does(0, "run", "--", "echo", "ran"); out != "ran\n" {
		t.Errorf("with the setting: %q", out)
	}
	// One that cannot be held is refused.
	p.env = append(p.env, "GLUE_LOCAL_ISOLATION=landlock")
	_, errs = p.does(exitFailure, "run", "--unconfined", "--", "echo", "ran")
	p.sees(errs, "no landlock")
}

func TestRunAsksOnTheTerminalWhereNoIsolationWorks(t *testing.T) {
	p := newPerson(t)
	p.env = nothingWorks(t)
	// typed answers the question at a terminal and gives what it then shows.
	typed := func(answer string) (string, error) {
		cmd := p.glue("run", "--", "echo", "r-a-n")
		tty, err := pty.Start(cmd) // in a session of its own, with this as its terminal
		if err != nil {
			t.Fatal(err)
		}
		defer tty.Close()
		if _, err := tty.WriteString(answer); err != nil {
			t.Fatal(err)
		}
		out, _ := io.ReadAll(tty) // it ends with EIO, when nothing holds the other side any more
		return string(out), cmd.Wait()
	}
	for _, tt := range []struct {
		answer string
		runs   bool
	}{{"n\n", false}, {"o\n", true}, {"n\n", false}, {"a\n", true}, {"", true}} {
		out, err := typed(tt.answer)
		// Both terminals may add a carriage return, by when the outer one is made raw.
		if ran := strings.Contains(out, "\nr-a-n\r"); ran != tt.runs || (err == nil) != tt.runs {
			t.Errorf("answered %q: %v\n%s", tt.answer, err, out)
		}
	}
}
