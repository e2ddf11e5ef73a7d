package agent

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// startPatience bounds the wait for a daemon that was started.
	startPatience = 20 * time.Second
	// logName is beside the socket, where the daemon complains.
	logName = "agent.log"
)

// runStart starts the daemon as a process of its own and returns when its socket takes
// connections. One that is there already is as good.
func runStart(args []string, stdout io.Writer) error {
	f, err := parseDaemonFlags("start", args)
	if err != nil {
		return err
	}
	if listens(f.socket) {
		return nil
	}
	if err := os.MkdirAll(f.root, newDirMode); err != nil {
		return fmt.Errorf("the workspace's folder cannot be made: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(f.socket), 0o700); err != nil {
		return fmt.Errorf("the socket's folder cannot be made: %w", err)
	}
	name := filepath.Join(filepath.Dir(f.socket), logName)
	log, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	daemon := exec.Command(self, append([]string{Word, "daemon"}, args...)...)
	daemon.Stdout, daemon.Stderr, daemon.Dir = log, log, "/"
	daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := daemon.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- daemon.Wait() }()
	late := time.NewTimer(startPatience)
	defer late.Stop()
	for !listens(f.socket) {
		select {
		case err := <-ended:
			said, _ := os.ReadFile(name)
			if err == nil {
				err = errors.New("exit status 0")
			}
			return fmt.Errorf("it ended at once (%w): %s", err, bytes.TrimSpace(said))
		case <-late.C:
			return fmt.Errorf("it did not listen within %s", startPatience)
		case <-time.After(time.Millisecond):
		}
	}
	_, err = fmt.Fprintln(stdout, "ready")
	return err
}

// listens reports whether an agent takes connections on a socket.
func listens(socket string) bool {
	conn, err := DialSocket(socket)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// runCheck succeeds if an agent takes connections on a socket.
func runCheck(args []string) error {
	set := flag.NewFlagSet("agent check", flag.ContinueOnError)
	socket := set.String("socket", "", "the agent's socket")
	if err := set.Parse(args); err != nil {
		return err
	}
	conn, err := DialSocket(*socket)
	if err != nil {
		return err
	}
	return conn.Close()
}
