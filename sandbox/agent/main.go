package agent

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// Word is the first argument that makes a program the agent.
const Word = "agent"

// IsAgent reports whether a program was started to be the agent. A program that
// offers it asks this first and calls Main with what follows the word:
//
//	if agent.IsAgent(os.Args) {
//		os.Exit(agent.Main(os.Args[2:], os.Stdin, os.Stdout))
//	}
func IsAgent(argv []string) bool { return len(argv) > 1 && argv[1] == Word }

// Args are the arguments with which a program that asks IsAgent becomes the agent of
// a sandbox, its first stream being standard input and output.
type Args struct {
	Root   string        // of the workspace
	Cwd    string        // where commands start; default Root
	Socket string        // further streams are taken here; "" is none
	Grace  time.Duration // without a client, before the agent ends; zero is the default of 5 minutes
	Life   time.Duration // after which the agent ends in any case; zero is never
	// NoLogin leaves the login shell out.
	NoLogin bool
	// Background starts the agent as a process of its own, without a first stream, and the
	// program ends when Socket can be connected to: for a sandbox in which the agent is
	// started by a command. It then says why it could not by its status and standard error.
	Background bool
	// Lent are folders of Root, relative to it, that stay when the root is filled: they
	// were lent to the sandbox and are no part of its tree.
	Lent []string
	// Inherited is for an agent that is confined so that it can make neither: it finds its
	// socket, listening already, and a connection to ServeTerminals as descriptors ListenFD
	// and TerminalsFD. It keeps its commands from signalling it, where the kernel can.
	Inherited bool
}

// The descriptors of Args.Inherited.
const (
	TerminalsFD = 3
	ListenFD    = 4
)

// List gives the arguments, the word first.
func (a Args) List() []string {
	list := []string{Word, "serve", "--root", a.Root}
	if a.Background {
		list[1] = "start"
	}
	if a.Cwd != "" {
		list = append(list, "--cwd", a.Cwd)
	}
	if a.Socket != "" {
		list = append(list, "--socket", a.Socket)
	}
	if a.Grace != 0 {
		list = append(list, "--grace", a.Grace.String())
	}
	if a.Life != 0 {
		list = append(list, "--life", a.Life.String())
	}
	if a.NoLogin {
		list = append(list, "--login=false")
	}
	if a.Inherited {
		list = append(list, "--inherited")
	}
	for _, dir := range a.Lent {
		list = append(list, "--lent", dir)
	}
	return list
}

const usage = `usage: agent COMMAND
  serve  --root DIR [--cwd DIR] [--socket PATH] [--grace DURATION]
         be the agent; standard input and output are the first stream
  daemon --root DIR --socket PATH …   be the agent, without a first stream
  start  --root DIR --socket PATH …   start the daemon, and end when it can be joined
  check  --socket PATH                succeed if an agent can be joined
  attach --socket PATH [--stream NAME [--down]] [--wait DURATION]
         join standard input and output to an agent, or to one of several lanes to it
  capture --socket PATH --to FILE [--end-commands]
         have an agent write into a file what its host does not have yet
  environ                             write the environment to descriptor 3
  read   [--offset N] [--length N] PATH
         write a file to standard output
  lend   ROOT PATH AT UPPER WORK … -- PROGRAM …   mount overlays, then be PROGRAM
`

// Main is the agent's program; its result is the exit status. It is meant for a
// process of its own: it takes over signals and the process's children.
func Main(args []string, stdin io.Reader, stdout io.Writer) int {
	if len(args) > 0 && args[0] == Word {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	var err error
	switch args[0] {
	case "serve", "daemon":
		err = runDaemon(args[0], args[1:], stdin, stdout)
	case "start":
		err = runStart(args[1:], stdout)
	case "check":
		err = runCheck(args[1:])
	case "attach":
		err = runAttach(args[1:], stdin, stdout)
	case "capture":
		err = runCapture(args[1:])
	case "read":
		err = runRead(args[1:], stdout, os.Stderr)
	case "lend":
		err = lend(args[1:])
	case "environ":
		err = writeEnviron(os.NewFile(3, "environment"), os.Environ())
	default:
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 2
	case errors.Is(err, errLeftInside):
		return StatusLeftInside
	case err != nil:
		fmt.Fprintf(os.Stderr, "agent %s: %v\n", args[0], err)
		return 1
	}
	return 0
}

// daemonFlags are the arguments of serve, daemon and start.
type daemonFlags struct {
	root, cwd, socket string
	grace, life       time.Duration
	login, inherited  bool
	lent              []string
}

func parseDaemonFlags(name string, args []string) (daemonFlags, error) {
	var f daemonFlags
	set := flag.NewFlagSet("agent "+name, flag.ContinueOnError)
	set.StringVar(&f.root, "root", "", "the workspace's root")
	set.StringVar(&f.cwd, "cwd", "", "where commands start (default: the root)")
	set.StringVar(&f.socket, "socket", "", "take streams on this unix socket")
	set.DurationVar(&f.grace, "grace", defaultGrace, "end after so long without a client; 0 is never")
	set.DurationVar(&f.life, "life", 0, "end after so long in any case; 0 is never")
	set.BoolVar(&f.login, "login", true, "give commands a login shell's environment")
	set.BoolVar(&f.inherited, "inherited", false, "the socket and the source of terminals are descriptors 4 and 3")
	set.Func("lent", "a folder of the root that stays when the root is filled (repeatable)", func(dir string) error {
		f.lent = append(f.lent, dir)
		return nil
	})
	if err := set.Parse(args); err != nil {
		return f, err
	}
	if set.NArg() > 0 {
		return f, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	if !strings.HasPrefix(f.root, "/") {
		return f, fmt.Errorf("--root must be an absolute path, not %q", f.root)
	}
	if name != "serve" && f.socket == "" {
		return f, errors.New("--socket is missing")
	}
	return f, nil
}

func runDaemon(name string, args []string, stdin io.Reader, stdout io.Writer) error {
	f, err := parseDaemonFlags(name, args)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	// Notify, not Ignore: an ignored signal would stay ignored in every command.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	defer signal.Stop(signals)
	if err := becomeReaper(); err != nil {
		return err
	}
	// Commands must not find what an editor or a launcher left open by mistake.
	if err := closeAllOnExec(); err != nil {
		return err
	}
	listener, terminals, err := doors(f.socket, f.inherited)
	if err != nil {
		return err
	}
	if listener != nil {
		defer listener.Close()
	}
	d, err := newDaemon(config{
		root: f.root, cwd: f.cwd, lent: f.lent, grace: f.grace, idle: defaultIdle, env: os.Environ(), self: []string{self, Word}, login: f.login, own: true, terminals: terminals, shielded: f.inherited,
		log: func(format string, a ...any) { fmt.Fprintf(os.Stderr, "agent: "+format+"\n", a...) },
	})
	if err != nil {
		return err
	}
	if f.life > 0 {
		cap := time.AfterFunc(f.life, d.shutdown)
		defer cap.Stop()
	}
	go d.execs.reapOrphans()
	go func() {
		for s := range signals {
			if s == syscall.SIGTERM {
				d.shutdown()
			}
		}
	}()
	if listener != nil {
		go d.listen(listener)
	}
	if name == "serve" {
		rw, err := stdio2stream(stdin, stdout)
		if err != nil {
			return err
		}
		go func() {
			if err := d.serve(rw); err != nil && !errors.Is(err, io.EOF) && d.ctx.Err() == nil {
				d.cfg.log("standard input and output: %v", err)
			}
			if !d.wasGreeted() {
				d.shutdown() // who started it was gone before it was ready: nobody knows of it
			}
		}()
	}
	d.wait()
	return nil
}

// doors are the listener for further streams, nil for none, and where terminals come from.
func doors(socket string, inherited bool) (net.Listener, terminals, error) {
	if inherited {
		l, err := net.FileListener(os.NewFile(ListenFD, "socket"))
		if err != nil {
			return nil, nil, fmt.Errorf("the inherited socket: %w", err)
		}
		t, err := newTerminalClient(os.NewFile(TerminalsFD, "terminals"))
		if err != nil {
			l.Close()
			return nil, nil, fmt.Errorf("the inherited source of terminals: %w", err)
		}
		return l, t, nil
	}
	if socket == "" {
		return nil, openTerminal, nil
	}
	l, err := Listen(socket)
	return l, openTerminal, err
}

// listen takes clients until the agent ends.
func (d *daemon) listen(l net.Listener) {
	go func() {
		<-d.ctx.Done()
		l.Close()
	}()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if err := checkPeer(conn); err != nil {
			d.cfg.log("%v", err)
			conn.Close()
			continue
		}
		go func() { _ = d.serve(conn) }()
	}
}
