package handlers

import (
	"context"
	"errors"
	"strings"

	"go.lsp.dev/protocol"

	"glue-lsp/session"
)

type runArgs struct {
	sessionRef
	Command string `json:"command" doc:"run by a shell"`
	Cwd     string `json:"cwd,omitzero" doc:"default the session's cwd"`
}

func (a *runArgs) check() error {
	for _, f := range []struct{ name, value string }{{"command", a.Command}, {"cwd", a.Cwd}} {
		if err := checkNUL(f.value); err != nil {
			return badParam(f.name, "%v", err)
		}
	}
	return nil
}

type runFileArgs struct {
	sessionRef
	URI string `json:"uri"`
}

type runTestArgs struct {
	sessionRef
	URI  string `json:"uri"`
	Name string `json:"name" doc:"the test's name; parts of it are joined by ::"`
}

func (a *runTestArgs) check() error {
	if a.Name == "" {
		return badParam("name", "must not be empty")
	}
	if err := checkNUL(a.Name); err != nil {
		return badParam("name", "%v", err)
	}
	return nil
}

type runSelectionArgs struct {
	sessionRef
	URI   string    `json:"uri"`
	Range textRange `json:"range" doc:"LSP range; the file must be open"`
}

func (s *Server) runCommand(a *runArgs) (started, error) {
	if strings.TrimSpace(a.Command) == "" {
		return started{}, badParam("arguments[0].command", "must not be empty")
	}
	return s.startRun(a.sessionRef, clip(a.Command, 60), "", func(sess *session.Session) (session.ExecOptions, error) {
		o := session.ExecOptions{Command: a.Command}
		if a.Cwd != "" {
			o.Cwd = sandboxPath(sess.Info().Cwd, a.Cwd)
		}
		return o, nil
	})
}

func (s *Server) runFileCommand(a *runFileArgs) (started, error) {
	return s.startPlanned(a.sessionRef, runTarget{URI: a.URI})
}

func (s *Server) runTestCommand(a *runTestArgs) (started, error) {
	return s.startPlanned(a.sessionRef, runTarget{URI: a.URI, Name: a.Name})
}

func (s *Server) runSelectionCommand(a *runSelectionArgs) (started, error) {
	return s.startPlanned(a.sessionRef, runTarget{URI: a.URI, Range: &a.Range})
}

func (s *Server) startPlanned(ref sessionRef, t runTarget) (started, error) {
	plan, err := s.planRun("arguments[0]", t)
	if err != nil {
		return started{}, err
	}
	return s.startRun(ref, plan.title, plan.file, func(sess *session.Session) (session.ExecOptions, error) {
		return plan.options(sess, "")
	})
}

// startRun runs something in the background and tells what came of it.
func (s *Server) startRun(ref sessionRef, title, file string, build func(*session.Session) (session.ExecOptions, error)) (started, error) {
	id := newExecID()
	s.work("Run "+title, func(ctx context.Context, report *progress) (func(), error) {
		sess, err := s.sessionFor(ctx, ref.Session, file, report)
		if err != nil {
			return nil, err
		}
		o, err := build(sess)
		if err != nil {
			return nil, err
		}
		o.ID, o.Sync, o.MaxOutput, o.Progress = id, true, maxShown, report.report
		ex, err := sess.Start(ctx, o)
		if err != nil {
			return nil, err
		}
		report.report(title, -1)
		outcome, err := ex.Wait(ctx)
		if ctx.Err() != nil {
			end, stop := context.WithTimeout(context.WithoutCancel(ctx), answerLimit)
			defer stop()
			return nil, errors.Join(ctx.Err(), ex.Cancel(end))
		}
		if err != nil {
			return nil, err
		}
		return func() {
			if outcome.SetupFailure != "" {
				failure, _ := showPath(outcome.SetupFailure)
				s.say(protocol.MessageTypeWarning, "glue: "+failure)
			}
			s.tellOutcome(ctx, title, ex.LogFile(), outcome)
			s.background(func(ctx context.Context) { s.offerReturn(ctx, sess, outcome.Checkpoint) })
		}, nil
	})
	return started{Started: true, ExecID: id, Session: s.knownSession(ref.Session)}, nil
}

// sessionFor finds the session for a command, or opens one: by name, else the one whose
// folder holds the file, else the only one.
func (s *Server) sessionFor(ctx context.Context, id, file string, report *progress) (*session.Session, error) {
	m, err := s.manager()
	if err != nil {
		return nil, err
	}
	if id != "" {
		return m.Get(id)
	}
	if file != "" {
		var nearest session.Info
		for _, info := range s.news.that(isOpen) {
			if isBelow(inRealFolder(file), info.Folder) && len(info.Folder) > len(nearest.Folder) {
				nearest = info
			}
		}
		if nearest.ID != "" {
			return m.Get(nearest.ID)
		}
	} else {
		sess, err := m.Get("")
		if err == nil || describe(err).Kind != kindNoSession {
			return sess, err
		}
	}
	folder, ok := s.peer.Load().folderFor(file)
	if !ok && file != "" {
		return nil, &session.Error{
			Kind: kindNoSession, Op: "open a session", Path: file,
			Message: "the file is in none of the editor's workspace folders", Hint: "open its folder in the editor",
		}
	}
	if !ok {
		return nil, &session.Error{
			Kind: kindNoSession, Op: "open a session", Message: "the editor has no workspace folder open",
			Hint: "open a folder in the editor",
		}
	}
	o, err := s.openOptions(folder, "")
	if err != nil {
		return nil, err
	}
	return s.openOn(ctx, m, o, "", report)
}

// showOutput opens a command's log.
func (s *Server) showOutput(ctx context.Context, logFile string) {
	name, _ := showPath(logFile)
	s.show(ctx, fileURI(logFile), "The output is in "+name)
}

// tellOutcome shows a short result as a message and a long one as a document.
func (s *Server) tellOutcome(ctx context.Context, title, logFile string, o session.ExecOutcome) {
	kind := protocol.MessageTypeInfo
	if o.ExitCode != 0 {
		kind = protocol.MessageTypeWarning
	}
	text, short := outcomeText(title, o)
	s.say(kind, text)
	if !short {
		s.showOutput(ctx, logFile)
	}
}
