package agent

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// becomeReaper makes this process the parent of descendants whose own parent died, and
// closes it to other processes of the same user, who could else write into its stream
// through /proc; see PR_SET_CHILD_SUBREAPER and PR_SET_DUMPABLE in prctl(2).
func becomeReaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	// Where this is not known, commands are trusted that much more.
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	return nil
}

// closeAllOnExec keeps what this process inherited from its children, see
// close_range(2). Kernels before 5.11 have no such flag.
func closeAllOnExec() error {
	err := unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
	if err == nil || !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EINVAL) {
		return os.NewSyscallError("close_range", err)
	}
	return closeListedOnExec("/proc/self/fd")
}

const (
	// reapPause is the least time between two looks for orphans.
	reapPause = time.Second
	// strangerAge is the age after which a zombie without a mark, which some other part
	// of this process may be about to wait for, is nobody's.
	strangerAge = time.Minute
)

// reapOrphans takes the exit status of adopted descendants, so that they do not stay
// as zombies. It never takes that of a process that somebody else waits for.
func (t *execTable) reapOrphans() {
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	defer signal.Stop(children)
	strangers := map[int]time.Time{}
	tick := time.NewTicker(strangerAge)
	defer tick.Stop()
	for {
		select {
		case <-t.d.ctx.Done():
			return
		case <-children:
		case <-tick.C:
		}
		select {
		case <-t.d.ctx.Done():
			return
		case <-time.After(reapPause):
		}
		if anyZombie() {
			t.reapOnce(strangers, time.Now())
		}
	}
}

// anyZombie looks for a child that has ended, without taking its status.
func anyZombie() bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo != 0
}

// reapKilled is reapOrphans at once, for the descendants of commands.
func (t *execTable) reapKilled() { t.reapOnce(map[int]time.Time{}, time.Now()) }

func (t *execTable) reapOnce(strangers map[int]time.Time, now time.Time) {
	t.spawnMu.Lock() // no command is between its start and its entry in pids
	defer t.spawnMu.Unlock()
	seen := map[int]bool{}
	for pid, p := range t.marks.table(nil) {
		if !p.zombie || p.ppid != t.marks.self || t.pids[pid] {
			continue
		}
		seen[pid] = true
		if mark, ok := t.marks.limitMark(pid); !ok || mark == 0 {
			if _, known := strangers[pid]; !known {
				strangers[pid] = now
			}
			if now.Sub(strangers[pid]) < strangerAge {
				continue
			}
		}
		_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
	}
	for pid := range strangers {
		if !seen[pid] {
			delete(strangers, pid)
		}
	}
}

// checkPeer refuses another user at the other end, see SO_PEERCRED in unix(7).
func checkPeer(conn net.Conn) error {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("a client that is no unix socket")
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) {
		cred, cerr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if cerr != nil {
		return cerr
	}
	if int(cred.Uid) != os.Geteuid() {
		return fmt.Errorf("refused a connection with user %d", cred.Uid)
	}
	return nil
}

// shortSocket gives a name for a socket that fits where its path does not: through
// its folder's descriptor.
func shortSocket(path string) (short string, done func(), err error) {
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	fd, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, &os.PathError{Op: "open", Path: filepath.Dir(path), Err: err}
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", fd, filepath.Base(path)), func() { unix.Close(fd) }, nil
}

// dialNoFollow connects to the very file that was looked at.
func dialNoFollow(path string) (net.Conn, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return nil, errNoSocket(path)
	}
	return dialUnix(fmt.Sprintf("/proc/self/fd/%d", fd))
}
