package handlers

import (
	"context"
	"errors"
	"reflect"

	"github.com/go-json-experiment/json/jsontext"
	"go.lsp.dev/protocol"
	"go.uber.org/zap"
)

// The commands of workspace/executeCommand.
const (
	commandOpen         = "glue.session.open"
	commandClose        = "glue.session.close"
	commandReturn       = "glue.session.return"
	commandCheckpoint   = "glue.session.checkpoint"
	commandDiff         = "glue.session.diff"
	commandUndo         = "glue.session.undo"
	commandDiscard      = "glue.session.discard"
	commandRun          = "glue.run"
	commandRunFile      = "glue.runFile"
	commandRunSelection = "glue.runSelection"
	commandRunTest      = "glue.runTest"
	commandSync         = "glue.sync"
	commandDoctor       = "glue.doctor"
	commandShowOutput   = "glue.showOutput"
	commandStop         = "glue.stop"
)

// started answers a command at once: some clients block while they wait for it. What
// comes of the work follows by progress, messages and documents.
type started struct {
	Started bool   `json:"started"`
	ExecID  string `json:"execId,omitzero" doc:"where the command runs something"`
	Session string `json:"session,omitzero" doc:"where it is known already"`
}

// command is one command: its single argument's type, and what starts the work.
type command struct {
	name string
	args reflect.Type
	doc  string
	run  func(*Server, jsontext.Value) (started, error)
}

// commandOf makes a command whose start must not wait for anything.
func commandOf[A any](name, doc string, start func(*Server, *A) (started, error)) command {
	return command{
		name: name, args: reflect.TypeFor[A](), doc: doc,
		run: func(s *Server, raw jsontext.Value) (started, error) {
			a := new(A)
			if err := decodeParams(raw, a); err != nil {
				if p, ok := errors.AsType[*paramError](err); ok {
					return started{}, &paramError{Field: joinField("arguments[0]", p.Field), Reason: p.Reason}
				}
				return started{}, err
			}
			return start(s, a)
		},
	}
}

// commands is everything that executeCommand offers.
func commands() []command {
	return []command{
		commandOf(commandOpen, "Opens a session.", (*Server).openCommand),
		commandOf(commandClose, "Ends the session and returns its changes.", (*Server).closeCommand),
		commandOf(commandReturn, "Returns the sandbox's changes.", (*Server).returnCommand),
		commandOf(commandCheckpoint, "Stores the sandbox's changes on the host.", (*Server).checkpointCommand),
		commandOf(commandDiff, "Shows the sandbox's changes as a patch.", (*Server).diffCommand),
		commandOf(commandUndo, "Takes the last return back.", (*Server).undoCommand),
		commandOf(commandDiscard, "Throws the sandbox's changes away.", (*Server).discardCommand),
		commandOf(commandRun, "Runs a shell command.", (*Server).runCommand),
		commandOf(commandRunFile, "Runs a file by the runner that fits it.", (*Server).runFileCommand),
		commandOf(commandRunSelection, "Runs a part of an open file.", (*Server).runSelectionCommand),
		commandOf(commandRunTest, "Runs one test of a file.", (*Server).runTestCommand),
		commandOf(commandSync, "Brings the sandbox up to the editor's state.", (*Server).syncCommand),
		commandOf(commandDoctor, "Checks whether everything that the runtimes need is there.", (*Server).doctorCommand),
		commandOf(commandShowOutput, "Opens a command's output.", (*Server).showOutputCommand),
		commandOf(commandStop, "Ends a command that runs.", (*Server).stopCommand),
	}
}

func commandNames() []string {
	var out []string
	for _, c := range commands() {
		out = append(out, c.name)
	}
	return out
}

type executeCommandParams struct {
	Command   string           `json:"command"`
	Arguments []jsontext.Value `json:"arguments,omitzero"`
}

func (s *Server) executeCommand(_ context.Context, p *executeCommandParams) (started, error) {
	for _, c := range commands() {
		if c.name != p.Command {
			continue
		}
		var raw jsontext.Value
		if len(p.Arguments) > 0 && p.Arguments[0].Kind() != 'n' {
			raw = p.Arguments[0]
		}
		return c.run(s, raw)
	}
	return started{}, badParam("command", "there is no command %q", clip(p.Command, 80))
}

// work does something for a person who is not waiting for an answer: under a progress
// that they can cancel, with a message when it fails. What came of it is told by the
// function that do gives: after the progress has ended, whose end takes the place of a
// message in some editors.
func (s *Server) work(title string, do func(ctx context.Context, p *progress) (tell func(), err error)) {
	s.background(func(base context.Context) {
		ctx, cancel := context.WithCancel(base)
		defer cancel()
		p := s.onItsOwn(ctx, title, cancel)
		tell, err := do(ctx, p)
		p.end("")
		if tell != nil {
			tell()
		}
		switch {
		case err == nil || base.Err() != nil:
		case ctx.Err() != nil && errors.Is(err, context.Canceled):
			s.say(protocol.MessageTypeInfo, title+": cancelled")
		default:
			s.log.Info("a command failed", zap.String("title", title), zap.Error(err))
			s.say(protocol.MessageTypeError, title+": "+messageOf(err))
		}
	})
}

func (s *Server) openCommand(p *openParams) (started, error) {
	if p.WorkspaceFolder != "" {
		if _, err := hostPath(p.WorkspaceFolder); err != nil {
			return started{}, badParam("arguments[0].workspaceFolder", "%v", err)
		}
	}
	p.WorkDoneToken = nil
	s.work("Opening a sandbox", func(ctx context.Context, report *progress) (func(), error) {
		info, err := s.openSession(ctx, p, report)
		if err != nil {
			return nil, err
		}
		return func() { s.say(protocol.MessageTypeInfo, openedText(info)) }, nil
	})
	return started{Started: true}, nil
}

func (s *Server) closeCommand(p *closeParams) (started, error) {
	o, err := p.toSession()
	if err != nil {
		return started{}, err
	}
	sess, err := s.open(p.Session)
	if err != nil {
		return started{}, err
	}
	s.work("Closing the sandbox", func(ctx context.Context, report *progress) (func(), error) {
		opts := s.shownFirst(o)
		if !orTrue(p.Return) {
			opts = nil
		}
		r, err := sess.Close(ctx, opts, report.report)
		if err != nil {
			return nil, err
		}
		return func() { s.tellReturn(ctx, sess, r, "The sandbox is closed. ") }, nil
	})
	return started{Started: true, Session: sess.ID()}, nil
}

func (s *Server) returnCommand(p *returnParams) (started, error) {
	o, err := p.toSession()
	if err != nil {
		return started{}, err
	}
	// An ended session is read from disk, which is quick: no sandbox is asked.
	sess, err := s.find(s.base, p.Session)
	if err != nil {
		return started{}, err
	}
	s.work("Returning changes", func(ctx context.Context, report *progress) (func(), error) {
		r, err := sess.Return(ctx, *s.shownFirst(o), report.report)
		if err != nil {
			return nil, err
		}
		return func() { s.tellReturn(ctx, sess, r, "") }, nil
	})
	return started{Started: true, Session: sess.ID()}, nil
}

func (s *Server) checkpointCommand(p *checkpointParams) (started, error) {
	sess, err := s.open(p.Session)
	if err != nil {
		return started{}, err
	}
	s.work("Saving the sandbox's changes", func(ctx context.Context, _ *progress) (func(), error) {
		c, err := sess.Checkpoint(ctx)
		if err != nil {
			return nil, err
		}
		return func() {
			s.say(protocol.MessageTypeInfo, "Checkpoint "+itoa(c.Seq)+" is safe: "+count(c.ChangedFiles, "changed file")+".")
		}, nil
	})
	return started{Started: true, Session: sess.ID()}, nil
}

func (s *Server) syncCommand(p *syncParams) (started, error) {
	s.work("Sending changes to the sandbox", func(ctx context.Context, report *progress) (func(), error) {
		sess, err := s.sessionFor(ctx, p.Session, "", report)
		if err != nil {
			return nil, err
		}
		r, err := sess.Sync(ctx, p.AllowMassDelete, report.report)
		if err != nil {
			return nil, err
		}
		return func() { s.say(protocol.MessageTypeInfo, syncedText(r)) }, nil
	})
	return started{Started: true, Session: s.knownSession(p.Session)}, nil
}

func (s *Server) doctorCommand(p *doctorParams) (started, error) {
	s.work("Checking the runtimes", func(ctx context.Context, _ *progress) (func(), error) {
		r, err := s.examine(ctx, p.Runtime)
		if err != nil {
			return nil, err
		}
		kind := protocol.MessageTypeInfo
		if !r.OK {
			kind = protocol.MessageTypeWarning
		}
		return func() { s.say(kind, doctorText(r)) }, nil
	})
	return started{Started: true}, nil
}

type showOutputArgs struct {
	ExecID string `json:"execId"`
}

func (s *Server) showOutputCommand(p *showOutputArgs) (started, error) {
	sess, ex, err := s.command(p.ExecID)
	if err != nil {
		return started{}, err
	}
	s.work("Showing output", func(ctx context.Context, _ *progress) (func(), error) {
		return func() { s.showOutput(ctx, ex.LogFile()) }, nil
	})
	return started{Started: true, ExecID: ex.ID, Session: sess.ID()}, nil
}

// knownSession names the session that a command will use, if that is certain now.
func (s *Server) knownSession(id string) string {
	sess, err := s.open(id)
	if err != nil {
		return ""
	}
	return sess.ID()
}
