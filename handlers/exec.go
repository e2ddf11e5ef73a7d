package handlers

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"glue-lsp/sandbox"
	"glue-lsp/session"
)

type execParams struct {
	sessionRef
	ExecID         string            `json:"execId,omitzero" doc:"the client's name for the command, unique per server; default one of the server's"`
	Command        string            `json:"command" or:"argv,run" doc:"run by bash -c, or sh -c where there is no bash"`
	Argv           []string          `json:"argv,omitzero" doc:"run without a shell; instead of command"`
	Run            *runTarget        `json:"run,omitzero" doc:"run a file of the tree by its runner, as the commands glue.runFile, glue.runTest and glue.runSelection do; instead of command"`
	Cwd            string            `json:"cwd,omitzero" doc:"default the session's cwd"`
	Env            map[string]string `json:"env,omitzero" doc:"laid over the sandbox's environment"`
	TimeoutMs      int64             `json:"timeoutMs,omitzero" doc:"0 or none: no limit"`
	Stdin          *payload          `json:"stdin,omitzero" doc:"standard input; without it, it is closed at once"`
	KeepStdin      bool              `json:"keepStdin,omitzero" doc:"keep standard input open for glue/exec/stdin"`
	PTY            *ptySize          `json:"pty,omitzero" doc:"give the command a terminal"`
	Stream         bool              `json:"stream,omitzero" doc:"send output as notifications while it comes"`
	WindowBytes    int64             `json:"windowBytes,omitzero" doc:"with stream: hold the command back while so many bytes are not acknowledged"`
	Sync           *bool             `json:"sync,omitzero" doc:"default true: send the editor's tree first"`
	MaxOutputBytes *int64            `json:"maxOutputBytes,omitzero" doc:"default 10485760; without stream: how much of each stream is kept, as its first and last halves"`
	longRunning
}

type ptySize struct {
	Rows uint16 `json:"rows"`
	Cols uint16 `json:"cols"`
}

func (p *ptySize) winsize() *sandbox.Winsize {
	if p == nil {
		return nil
	}
	return &sandbox.Winsize{Rows: p.Rows, Cols: p.Cols}
}

type execResult struct {
	ExecID     string    `json:"execId"`
	ExitCode   int       `json:"exitCode" doc:"124 after a time-out, 128+n after death by signal n"`
	Signal     string    `json:"signal,omitzero" doc:"like SIGTERM"`
	TimedOut   bool      `json:"timedOut"`
	Stdout     payload   `json:"stdout" doc:"empty with stream"`
	Stderr     payload   `json:"stderr" doc:"empty with stream"`
	Truncated  truncated `json:"truncated" doc:"bytes that were left out"`
	DurationMs int64     `json:"durationMs"`
	Checkpoint int       `json:"checkpoint" doc:"number of the checkpoint that holds, or will hold, what the command changed"`
}

type truncated struct {
	Stdout int64 `json:"stdout"`
	Stderr int64 `json:"stderr"`
}

// Bounds of glue/exec.
const (
	defaultOutput = 10 << 20
	maxOutput     = 256 << 20
	maxExecID     = 200
)

func (p *execParams) check() error {
	switch {
	case p.Command != "" && p.Argv != nil:
		return badParam("argv", "must not be given together with command")
	case p.Run != nil && (p.Command != "" || p.Argv != nil):
		return badParam("run", "must not be given together with command or argv")
	case p.Argv != nil && (len(p.Argv) == 0 || p.Argv[0] == ""):
		return badParam("argv", "must name a program")
	case p.TimeoutMs < 0 || p.TimeoutMs > maxSeconds*1000:
		return badParam("timeoutMs", "must be between 0 and %d", int64(maxSeconds)*1000)
	case p.WindowBytes < 0:
		return badParam("windowBytes", "must not be negative")
	case p.MaxOutputBytes != nil && (*p.MaxOutputBytes < 1 || *p.MaxOutputBytes > maxOutput):
		return badParam("maxOutputBytes", "must be between 1 and %d", maxOutput)
	case len(p.ExecID) > maxExecID:
		return badParam("execId", "must not be longer than %d bytes", maxExecID)
	}
	if p.Run != nil {
		if err := p.Run.check("run"); err != nil {
			return err
		}
	}
	texts := map[string]string{"command": p.Command, "cwd": p.Cwd, "execId": p.ExecID}
	for i, a := range p.Argv {
		texts["argv["+itoa(i)+"]"] = a
	}
	for name, v := range p.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return badParam("env", "%q cannot be the name of a variable", clip(name, 80))
		}
		texts["env."+name] = v
	}
	for field, text := range texts {
		if err := checkNUL(text); err != nil {
			return badParam(field, "%v", err)
		}
	}
	return nil
}

func (p *execParams) options(cwd string) (session.ExecOptions, error) {
	o := session.ExecOptions{
		ID: p.ExecID, Command: p.Command, Argv: p.Argv, Env: p.Env,
		Timeout: time.Duration(p.TimeoutMs) * time.Millisecond, KeepStdin: p.KeepStdin,
		PTY: p.PTY.winsize(), Sync: p.Sync == nil || *p.Sync, MaxOutput: defaultOutput,
	}
	if p.Cwd != "" {
		o.Cwd = sandboxPath(cwd, p.Cwd)
	}
	if p.MaxOutputBytes != nil {
		o.MaxOutput = *p.MaxOutputBytes
	}
	if p.Stdin != nil {
		b, err := p.Stdin.bytes("stdin")
		if err != nil {
			return o, err
		}
		o.Stdin, o.HasStdin = b, true
	}
	return o, nil
}

func (s *Server) exec(ctx context.Context, p *execParams) (execResult, error) {
	sess, err := s.open(p.Session)
	if err != nil {
		return execResult{}, err
	}
	o, err := p.options(sess.Info().Cwd)
	if err != nil {
		return execResult{}, err
	}
	if p.Run != nil {
		plan, err := s.planRun("run", *p.Run)
		if err != nil {
			return execResult{}, err
		}
		planned, err := plan.options(sess, o.Cwd)
		if err != nil {
			return execResult{}, err
		}
		o.Command = planned.Command
	}
	if o.ID == "" {
		o.ID = newExecID()
	}
	report := s.withToken(p.WorkDoneToken, "Running in the sandbox")
	defer report.end("")
	o.Progress = report.report

	var out *output
	if p.Stream {
		out = s.newOutput(ctx, sess.ID(), o.ID, p.WindowBytes)
		defer s.flows.remove(out)
		out.ready = make(chan struct{})
		o.Sink = out.sink
	}
	ex, err := sess.Start(ctx, o)
	if err != nil {
		return execResult{}, err
	}
	if out != nil {
		name := ex.LogFile()
		out.logFile.Store(&name)
		close(out.ready)
	}
	outcome, err := ex.Wait(ctx)
	if ctx.Err() != nil {
		// The client has its answer already; what is left is to end the command.
		end, stop := context.WithTimeout(context.WithoutCancel(ctx), answerLimit)
		defer stop()
		if err := ex.Cancel(end); err != nil {
			s.log.Warn("cancelling " + ex.ID + ": " + err.Error())
		}
		return execResult{}, ctx.Err()
	}
	return s.finishExec(ctx, ex.ID, out, outcome, o.MaxOutput, err)
}

// finishExec sends what is left of the output and puts the outcome into words. out is nil
// for a buffered command.
func (s *Server) finishExec(ctx context.Context, id string, out *output, o session.ExecOutcome, limit int64, err error) (execResult, error) {
	r := execResult{
		ExecID: id, ExitCode: o.ExitCode, Signal: o.Signal, TimedOut: o.TimedOut,
		DurationMs: o.Duration.Milliseconds(), Checkpoint: o.Checkpoint,
		Stdout: payload{Encoding: encUTF8}, Stderr: payload{Encoding: encUTF8},
	}
	if out != nil {
		dropped, flushErr := out.finish(ctx)
		if err == nil {
			err = flushErr
		}
		r.Truncated = dropped
		return r, err
	}
	r.Stdout, r.Truncated.Stdout = halvesPayload(o.Stdout, o.TruncatedStdout, limit)
	r.Stderr, r.Truncated.Stderr = halvesPayload(o.Stderr, o.TruncatedStderr, limit)
	return r, err
}

// halvesPayload encodes a stream of which the middle may be missing. The cut can lie in a
// character; the rest of it is left out too, so that text stays text.
func halvesPayload(p []byte, dropped, limit int64) (payload, int64) {
	cut := int(max(limit/2, 1))
	if dropped == 0 || cut >= len(p) || utf8.Valid(p) {
		return toPayload(p), dropped
	}
	head, tail := p[:cut], p[cut:]
	head = head[:len(head)-incompleteSuffix(head)]
	for i := 0; i < utf8.UTFMax-1 && len(tail) > 0 && !utf8.RuneStart(tail[0]); i++ {
		tail = tail[1:]
	}
	if !utf8.Valid(head) || !utf8.Valid(tail) {
		return base64Payload(p), dropped
	}
	text := string(head) + string(tail)
	return payload{Data: text, Encoding: encUTF8}, dropped + int64(len(p)-len(text))
}

type attachParams struct {
	ExecID      string `json:"execId"`
	FromByte    int64  `json:"fromByte,omitzero" doc:"counted over both streams in the order in which they came"`
	WindowBytes int64  `json:"windowBytes,omitzero" doc:"as in glue/exec"`
	longRunning
}

func (p *attachParams) check() error {
	switch {
	case p.FromByte < 0:
		return badParam("fromByte", "must not be negative")
	case p.WindowBytes < 0:
		return badParam("windowBytes", "must not be negative")
	}
	return nil
}

func (s *Server) execAttach(ctx context.Context, p *attachParams) (execResult, error) {
	sess, ex, err := s.command(p.ExecID)
	if err != nil {
		return execResult{}, err
	}
	report := s.withToken(p.WorkDoneToken, "Running in the sandbox")
	defer report.end("")
	out := s.newOutput(ctx, sess.ID(), ex.ID, p.WindowBytes)
	defer s.flows.remove(out)
	name := ex.LogFile()
	out.logFile.Store(&name)
	outcome, err := ex.Follow(ctx, p.FromByte, out.sink)
	if ctx.Err() != nil {
		return execResult{}, ctx.Err()
	}
	return s.finishExec(ctx, ex.ID, out, outcome, 0, err)
}

// command finds a command by its id.
func (s *Server) command(id string) (*session.Session, *session.Exec, error) {
	m, err := s.manager()
	if err != nil {
		return nil, nil, err
	}
	return m.Exec(id)
}

type stdinParams struct {
	ExecID string `json:"execId"`
	payload
	EOF bool `json:"eof,omitzero" doc:"close standard input after this"`
}

func (s *Server) execStdin(ctx context.Context, p *stdinParams) (empty, error) {
	data, err := p.bytes("")
	if err != nil {
		return empty{}, err
	}
	_, ex, err := s.command(p.ExecID)
	if err != nil {
		return empty{}, err
	}
	return empty{}, ex.Stdin(ctx, data, p.EOF)
}

type resizeParams struct {
	ExecID string `json:"execId"`
	ptySize
}

func (s *Server) execResize(ctx context.Context, p *resizeParams) (empty, error) {
	_, ex, err := s.command(p.ExecID)
	if err != nil {
		return empty{}, err
	}
	return empty{}, ex.Resize(ctx, *p.winsize())
}

type signalParams struct {
	ExecID string `json:"execId"`
	Signal string `json:"signal" doc:"like SIGINT"`
}

// signalName is the form of signal(7)'s names.
var signalName = regexp.MustCompile(`^SIG[A-Z][A-Z0-9+-]*$`)

func (p *signalParams) check() error {
	if !signalName.MatchString(p.Signal) {
		return badParam("signal", "expected a name like SIGINT, found %q", clip(p.Signal, 40))
	}
	return nil
}

func (s *Server) execSignal(ctx context.Context, p *signalParams) (empty, error) {
	_, ex, err := s.command(p.ExecID)
	if err != nil {
		return empty{}, err
	}
	err = ex.Signal(ctx, p.Signal)
	if e := (*sandbox.Error)(nil); errors.As(err, &e) && e.Kind == sandbox.InvalidParams {
		return empty{}, badParam("signal", "%s", e.Message)
	}
	return empty{}, err
}

type execListParams struct{ sessionRef }

type execListResult struct {
	Execs []execInfo `json:"execs"`
}

func (s *Server) execList(ctx context.Context, p *execListParams) (execListResult, error) {
	sess, err := s.open(p.Session)
	if err != nil {
		return execListResult{}, err
	}
	list, err := sess.Execs(ctx)
	if err != nil {
		return execListResult{}, err
	}
	return execListResult{Execs: toExecs(list)}, nil
}

type ackParams struct {
	ExecID string `json:"execId"`
	Bytes  int64  `json:"bytes" doc:"shown since the last acknowledgement, counted before encoding"`
}

func (s *Server) execAck(_ context.Context, p *ackParams) error {
	if p.Bytes < 0 {
		return badParam("bytes", "must not be negative")
	}
	s.flows.ack(p.ExecID, p.Bytes)
	return nil
}
