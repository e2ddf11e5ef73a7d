package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/muesli/cancelreader"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"glue-lsp/handlers"
	"glue-lsp/sandbox"
	"glue-lsp/session"
)

func newRun(code *int) *cobra.Command {
	var keep, unconfined bool
	apply := "ask"
	cmd := &cobra.Command{
		Use:   "run [flags] -- COMMAND [ARG...]",
		Short: "Run one command in a sandbox on this working tree",
		Long: `Run puts this folder's working tree, uncommitted and untracked files included, into a
sandbox, runs the command there, and offers what it changed. The exit status is the
command's own; 127 and 126 mean that it was not found or cannot be run, 125 that
glue-lsp itself could not do what was asked.`,
		Example: `  glue-lsp run -- make test
  glue-lsp run --apply=yes -- gofmt -w .
  glue-lsp run --apply=branch -- sh -c 'npm update && npm test'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name a command, such as: glue-lsp run -- make test")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch apply {
			case "ask", "yes", "no", "branch":
			default:
				return fmt.Errorf("--apply=%s: want ask, yes, no or branch", apply)
			}
			status, err := runCommand(cmd.Context(), args, apply, keep, unconfined)
			*code = status
			return err
		},
	}
	cmd.Flags().StringVar(&apply, "apply", apply, "what to do with changed files: ask, yes, no (keep them for later) or branch")
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the session's record and output also when nothing is left to return")
	cmd.Flags().BoolVar(&unconfined, "unconfined", false, "where no isolation works on this machine, run all the same, with all your rights")
	_ = cmd.RegisterFlagCompletionFunc("apply", cobra.FixedCompletions([]string{"ask", "yes", "no", "branch"}, cobra.ShellCompDirectiveNoFileComp))
	// Flags behind the command belong to the command.
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// runCommand is `glue-lsp run`: open, run, offer, close.
func runCommand(ctx context.Context, argv []string, apply string, keep, unconfined bool) (status int, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	// What the command changed is kept before this ends, whoever reads its output.
	defer outliveReaders()()
	r := &interrupts{cancelOpening: stop}
	go r.listen(signals)

	told := &once{}
	a, err := newApp(session.Options{Changed: func(i session.Info) {
		if i.Alert != "" && told.first(i.Alert) {
			fmt.Fprintf(os.Stderr, "\r\nglue-lsp: %s\r\n", oneLine(i.Alert)) // the terminal may be raw
		}
	}})
	if err != nil {
		return exitFailure, err
	}
	for _, w := range a.warnings {
		fmt.Fprintf(os.Stderr, "glue-lsp: %s\n", w)
	}
	folder, err := os.Getwd()
	if err != nil {
		return exitFailure, fmt.Errorf("this folder is gone: %w", err)
	}
	if err := isProject(folder); err != nil {
		return exitFailure, err
	}
	a.manager.Warm(a.settings.Runtime)
	show := newStatusLine()
	o := handlers.OpenOptions(a.settings, folder, "", nil)
	o.New, o.Unconfined = true, unconfined
	s, err := a.manager.Open(ctx, o, show.progress)
	show.clear()
	if isQuestion(err) && confirmUnconfined(a.manager, folder, err) {
		o.Unconfined = true
		s, err = a.manager.Open(ctx, o, show.progress)
		show.clear()
	}
	switch {
	case err != nil && r.interrupted():
		return exitInterrupted, errors.New("interrupted before the command ran; nothing was changed")
	case err != nil:
		return exitFailure, err
	}
	defer func() {
		// Whatever happened, the sandbox ends and what it changed is kept.
		end, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		err = errors.Join(err, a.manager.Shutdown(end))
	}()
	defer func() { tellLeft(context.WithoutCancel(ctx), os.Stderr, a.manager, s.Info().Folder) }()
	printWarnings(s, told)
	printLeftOut(os.Stderr, s.Info().Base.Skipped)
	defer func() { printWarnings(s, told) }() // also of what stays behind
	status, err = runIn(ctx, s, argv, r)
	if err != nil {
		return status, errors.Join(err, offer(ctx, a, s, "no", keep, true))
	}
	return status, offer(ctx, a, s, apply, keep, r.ended())
}

// isProject refuses the folders that hold all of a machine or of a person: packing them
// takes long, and is never what somebody meant.
func isProject(folder string) error {
	if _, ok := repositoryOf(folder); ok {
		return nil
	}
	wide := []string{"/"}
	if home, err := os.UserHomeDir(); err == nil {
		wide = append(wide, home)
	}
	for _, dir := range wide {
		if sameFile(folder, dir) {
			return &session.Error{
				Kind: "unsupported", Op: "run a command", Message: folder + " is no project: all of it would go into the sandbox",
				Hint: "change to a project's folder, or make this one a repository: git init",
			}
		}
	}
	return nil
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// once remembers what was said.
type once struct {
	mu   sync.Mutex
	said map[string]bool
}

func (o *once) first(text string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.said == nil {
		o.said = map[string]bool{}
	}
	was := o.said[text]
	o.said[text] = true
	return !was
}

// printWarnings says what was not said yet.
func printWarnings(s *session.Session, told *once) {
	for _, w := range s.Info().Warnings {
		if told.first(w) {
			fmt.Fprintf(os.Stderr, "glue-lsp: %s\n", oneLine(w))
		}
	}
}

// runIn runs the command with this terminal, or these pipes, as its own.
func runIn(ctx context.Context, s *session.Session, argv []string, r *interrupts) (int, error) {
	o := session.ExecOptions{Argv: argv, KeepStdin: true}
	in, out := int(os.Stdin.Fd()), int(os.Stdout.Fd())
	tty := term.IsTerminal(in) && term.IsTerminal(out)
	if tty {
		size := terminalSize(out)
		o.PTY = &size
	}
	printed := newOutput()
	o.Sink = printed.write
	e, err := s.Start(ctx, o)
	if err != nil {
		return startFailure(err), err
	}
	printed.running(e)
	r.running(e)
	defer r.running(nil)
	if tty {
		old, err := term.MakeRaw(in)
		if err == nil {
			defer term.Restore(in, old) //nolint:errcheck // the terminal may be gone by then
		}
		stop := followResizes(e, out)
		defer stop()
	}
	// Reading must end with the command: what is typed later answers the question.
	// A file or /dev/null cannot be waited for, and needs no ending.
	var stdin io.Reader = os.Stdin
	if c, err := cancelreader.NewReader(os.Stdin); err == nil {
		defer c.Cancel()
		stdin = c
	}
	go forwardStdin(e, stdin)
	res, err := e.Wait(context.Background())
	if err != nil {
		return exitFailure, err
	}
	if tty && !printed.endsLine() {
		fmt.Fprint(os.Stderr, "\r\n") // the terminal is still raw
	}
	return res.ExitCode, nil
}

// startFailure is the exit status that shells and env(1) give for a command that cannot
// be started.
func startFailure(err error) int {
	var e *sandbox.Error
	if errors.As(err, &e) {
		switch e.Kind {
		case sandbox.FileNotFound:
			return 127
		case sandbox.PermissionDenied:
			return 126
		}
	}
	return exitFailure
}

// forwardStdin copies this process's input to the command until either ends.
func forwardStdin(e *session.Exec, stdin io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := stdin.Read(buf)
		if n > 0 && e.Stdin(context.Background(), buf[:n], false) != nil {
			return
		}
		if err != nil {
			_ = e.Stdin(context.Background(), nil, true) // it may have ended already
			return
		}
	}
}

func terminalSize(fd int) sandbox.Winsize {
	w, h, err := term.GetSize(fd)
	if err != nil || w <= 0 || h <= 0 {
		return sandbox.Winsize{Rows: 24, Cols: 80}
	}
	return sandbox.Winsize{Rows: uint16(min(h, 1<<15)), Cols: uint16(min(w, 1<<15))}
}

func followResizes(e *session.Exec, fd int) (stop func()) {
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-resized:
				_ = e.Resize(context.Background(), terminalSize(fd)) // only looks
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(resized)
		close(done)
	}
}

// interrupts passes signals on to the command: the first as it is, the third as an
// order to end everything. Before the command runs, one is enough.
type interrupts struct {
	cancelOpening func()

	mu    sync.Mutex
	e     *session.Exec
	count int
	last  bool // ended by TERM or HUP: nobody is there to ask
}

func (r *interrupts) running(e *session.Exec) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.e, r.count = e, 0
}

func (r *interrupts) ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func (r *interrupts) interrupted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count > 0
}

func (r *interrupts) listen(signals <-chan os.Signal) {
	for sig := range signals {
		r.mu.Lock()
		r.count++
		e, n := r.e, r.count
		if sig == syscall.SIGTERM || sig == syscall.SIGHUP {
			r.last, n = true, 3
		}
		r.mu.Unlock()
		switch {
		case e == nil:
			r.cancelOpening()
		case n >= 3:
			go e.Cancel(context.Background()) //nolint:errcheck // Wait reports how it ended
		default:
			name := "SIGINT"
			if sig == syscall.SIGQUIT {
				name = "SIGQUIT"
			}
			go e.Signal(context.Background(), name) //nolint:errcheck // it may be over
		}
	}
}

// offer shows what changed and does with it what --apply says.
func offer(ctx context.Context, a *app, s *session.Session, apply string, keep, unattended bool) error {
	d, err := s.Diff(ctx, "")
	if err != nil {
		return err
	}
	if len(d.Files) == 0 {
		if keep {
			fmt.Fprintf(os.Stderr, "No files changed. Output is kept in %s\n", s.Dir())
			return nil
		}
		return closeAndForget(ctx, a, s)
	}
	printDiffstat(os.Stderr, d.Files)
	if apply == "ask" {
		apply = ask(ctx, s, d, unattended)
		ctx = context.WithoutCancel(ctx) // an interrupt was an answer
	}
	o := session.ReturnOptions{Apply: true, Mode: "disk"}
	switch apply {
	case "no":
		fmt.Fprintf(os.Stderr, "Kept as session %s. Apply later with: glue-lsp sessions apply %s\n", s.ID(), s.ID())
		return s.PutOff(ctx)
	case "branch":
		o.Mode, o.Commits = "branch", true
	}
	ret, err := s.Return(ctx, o, nil)
	if err != nil {
		fmt.Fprintf(os.Stderr, "Nothing is lost: the changes are kept as session %s.\n", s.ID())
		return err
	}
	left := printReturn(os.Stderr, s.ID(), ret)
	switch {
	case ret.Branch != "":
		return s.PutOff(ctx) // nobody needs to be told of them again
	case left || keep:
		return nil
	}
	return closeAndForget(ctx, a, s)
}

func closeAndForget(ctx context.Context, a *app, s *session.Session) error {
	ret, err := s.Close(ctx, nil, nil)
	if err != nil {
		return err
	}
	if ret.Unavailable != nil {
		fmt.Fprintf(os.Stderr, "%s\nWhat is left of it is kept as session %s.\n", printable(ret.Unavailable.Message), s.ID())
		return nil
	}
	if info := s.Info(); info.Checkpoint.ChangedFiles > 0 {
		fmt.Fprintf(os.Stderr, "Kept as session %s: %d files changed at the end.\n", s.ID(), info.Checkpoint.ChangedFiles)
		return nil
	}
	return a.manager.Forget(ctx, s.ID())
}

// ask lets the person decide; without a terminal, and when ctx ends, nothing is applied.
func ask(ctx context.Context, s *session.Session, d session.Diff, unattended bool) string {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil || unattended || !term.IsTerminal(int(os.Stderr.Fd())) {
		return "no"
	}
	defer tty.Close()
	typed, err := cancelreader.NewReader(tty)
	if err != nil {
		return "no"
	}
	defer context.AfterFunc(ctx, func() { typed.Cancel() })()
	in := bufio.NewReader(typed)
	for {
		fmt.Fprint(tty, "Apply to this working tree? [y]es, [n]o (keep for later), [d]iff, [b]ranch: ")
		line, err := in.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) || line == "" {
			fmt.Fprintln(tty)
			return "no"
		}
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes":
			return "yes"
		case "n", "no", "":
			return "no"
		case "b", "branch":
			return "branch"
		case "d", "diff":
			fmt.Fprint(tty, printable(d.Patch))
		}
	}
}
