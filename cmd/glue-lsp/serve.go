package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"glue-lsp/config"
	"glue-lsp/handlers"
	"glue-lsp/sandbox"
	"glue-lsp/session"
)

func newServe(code *int) *cobra.Command {
	var stdio bool
	level, wireLog := "info", ""
	cmd := &cobra.Command{
		Use: "serve", Short: "Serve an editor over standard input and output (the default)", Args: cobra.NoArgs,
		Long: `Serve speaks the Language Server Protocol on standard input and output until the editor
says exit, its process ends or the input closes. Log lines go to standard error.`,
		Example: "  glue-lsp serve --stdio --log-level debug\n  glue-lsp serve --log-wire /tmp/glue.wire",
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := newLogger(level)
			if err != nil {
				return err
			}
			defer log.Sync() //nolint:errcheck // standard error may not support it
			trace, closeTrace, err := wireTrace(wireLog)
			if err != nil {
				return err
			}
			defer closeTrace()
			// Whatever prints by mistake must not end up between two messages.
			out := os.Stdout
			os.Stdout = os.Stderr
			// An editor that is gone must not end the server before its sessions were ended.
			defer outliveReaders()()
			// Told to end by a signal, it still takes the last checkpoints.
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
			defer stop()
			status, err := serve(ctx, log, trace, os.Stdin, out)
			*code = status
			return err
		},
	}
	cmd.Flags().BoolVar(&stdio, "stdio", false, "accepted for editors that pass it; standard input and output are always used")
	cmd.Flags().StringVar(&level, "log-level", level, "debug, info, warn or error")
	cmd.Flags().StringVar(&wireLog, "log-wire", "", "append every message to this file (it holds your code: share it with care)")
	_ = cmd.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions([]string{"debug", "info", "warn", "error"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func serve(ctx context.Context, log *zap.Logger, trace func(string, []byte), in io.Reader, out io.Writer) (int, error) {
	home, err := homeDir()
	if err != nil {
		return exitFailure, err
	}
	logf := log.Sugar().Infof
	var server *handlers.Server
	server = handlers.New(handlers.Options{
		NewManager: func(settings func() *config.Settings, changed func(session.Info)) (*session.Manager, error) {
			m, err := newManager(home, settings, func() []string { return server.Folders() }, session.Options{Log: logf, Changed: changed})
			if err == nil {
				m.Warm(settings().Runtime)
			}
			return m, err
		},
		Checks: func(ctx context.Context, settings *config.Settings, runtime, folder string) ([]sandbox.Check, error) {
			ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
			defer cancel()
			return examine(ctx, home, settings, runtime, folder)
		},
		Runtimes: runtimeNames(),
		Home:     home,
		Environ:  os.Environ(),
		Version:  version,
		Log:      log,
		Trace:    trace,
	})
	return server.Serve(ctx, in, out), nil
}

func newLogger(level string) (*zap.Logger, error) {
	l, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("--log-level=%s: want debug, info, warn or error", level)
	}
	enc := zap.NewProductionEncoderConfig()
	enc.EncodeTime = zapcore.ISO8601TimeEncoder
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(enc), zapcore.Lock(os.Stderr), l)), nil
}

// wireTrace writes each message with its time and direction to a file, for looking into
// what an editor says.
func wireTrace(name string) (trace func(string, []byte), closeFile func(), err error) {
	if name == "" {
		return nil, func() {}, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("--log-wire: %w", err)
	}
	var mu sync.Mutex
	trace = func(dir string, body []byte) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(f, "%s %s %s\n", time.Now().Format(time.RFC3339Nano), dir, body)
	}
	return trace, func() { f.Close() }, nil
}

// outliveReaders keeps a reader of the output that is gone from ending this process: writes
// fail instead. Not by signal.Ignore, which every command would inherit.
func outliveReaders() (stop func()) {
	brokenPipe := make(chan os.Signal, 1)
	signal.Notify(brokenPipe, syscall.SIGPIPE)
	return func() { signal.Stop(brokenPipe) }
}
