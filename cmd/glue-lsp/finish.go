package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"glue-lsp/session"
)

// finishLimit is how long a finisher tries; what it could not end by then, such as one
// on a full disk, is left to the next start.
const finishLimit = time.Hour

// newSessionsFinish is `sessions finish`, by which a server that must end leaves a session
// to a process of its own.
func newSessionsFinish() *cobra.Command {
	var here bool
	cmd := &cobra.Command{
		Use: "finish ID", Short: "Capture what a session's sandbox changed and end it, once its server has left it", Hidden: true,
		Args: cobra.ExactArgs(1),
		Long: `Finish waits until no other process has the session, captures what its sandbox changed
and ends the sandbox. A server that is told to end starts it for what it has no time
for. It does its work in the background; its log is finish.log in the session's folder.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !here {
				return startFinisher(args[0])
			}
			// It runs for nobody's terminal, and ends what it began.
			signal.Ignore(syscall.SIGHUP, syscall.SIGINT)
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM)
			defer stop()
			ctx, cancel := context.WithTimeout(ctx, finishLimit)
			defer cancel()
			a, err := newApp(session.Options{Log: logToStderr})
			if err != nil {
				return err
			}
			return a.manager.Finish(ctx, args[0])
		},
	}
	cmd.Flags().BoolVar(&here, "here", false, "do the work in this process")
	return cmd
}

func logToStderr(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().Format(time.DateTime), fmt.Sprintf(format, args...))
}

// startFinisher starts the process that does the work. It is no child of the server's:
// editors end a server with all its children.
func startFinisher(id string) error {
	home, err := homeDir()
	if err != nil {
		return err
	}
	dir := filepath.Join(home, "sessions", id)
	if id != filepath.Base(id) {
		return fmt.Errorf("%q is not a session's id", id)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("there is no session %s", id)
	}
	log, err := os.OpenFile(filepath.Join(dir, "finish.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "sessions", "finish", "--here", id)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, home
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// finisherStart bounds the starting of a finisher, which a shutdown waits for.
const finisherStart = 5 * time.Second

// leaveToFinisher is session.Options.Finish.
func leaveToFinisher(id, _ string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), finisherStart)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "sessions", "finish", id)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, printable(string(out)))
	}
	return err
}
