package handlers

import (
	"bytes"
	"context"
	"errors"
	"path"
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
	return s.runByTemplate(a.sessionRef, a.URI, runOf, subject{}, "")
}

func (s *Server) runTestCommand(a *runTestArgs) (started, error) {
	return s.runByTemplate(a.sessionRef, a.URI, testOf, subject{name: a.Name}, a.Name+" in ")
}

func (s *Server) runSelectionCommand(a *runSelectionArgs) (started, error) {
	file, err := hostPath(a.URI)
	if err != nil {
		return started{}, badParam("arguments[0].uri", "%v", err)
	}
	p := s.peer.Load()
	v, open := p.docs.view(file)
	if !open {
		return started{}, badParam("arguments[0].uri", "the file is not open, so it has no selection")
	}
	from, to, err := a.Range.offsets(v.text, v.starts, p.client.encoding)
	if err != nil {
		return started{}, badParam("arguments[0].range", "%v", err)
	}
	if from == to {
		return started{}, badParam("arguments[0].range", "nothing is selected")
	}
	// Whole lines keep their indentation, which then is taken off alike.
	lineStart := v.starts[lineOf(v.starts, from)]
	if len(bytes.TrimLeft(v.text[lineStart:from], " \t")) == 0 {
		from = lineStart
	}
	text := dedent(string(uniformLines(v.text[from:to])))
	if strings.ContainsRune(text, 0) {
		return started{}, badParam("arguments[0].range", "the selection holds a NUL character")
	}
	return s.runByTemplate(a.sessionRef, a.URI, selectionOf, subject{text: text}, "selection of ")
}

// dedent takes the indentation off that all lines share; languages that care would
// refuse it.
func dedent(text string) string {
	lines := strings.SplitAfter(text, "\n")
	common, first := "", true
	for _, l := range lines {
		body := strings.TrimLeft(l, " \t")
		if strings.TrimSpace(body) == "" {
			continue
		}
		indent := l[:len(l)-len(body)]
		if first {
			common, first = indent, false
			continue
		}
		n := 0
		for n < len(common) && n < len(indent) && common[n] == indent[n] {
			n++
		}
		common = common[:n]
	}
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, common)
	}
	return strings.Join(lines, "")
}

// runByTemplate runs a file, or a part of it, by the first runner that can.
func (s *Server) runByTemplate(ref sessionRef, uri string, template func(runner) string, sub subject, what string) (started, error) {
	file, err := hostPath(uri)
	if err != nil {
		return started{}, badParam("arguments[0].uri", "%v", err)
	}
	v, open := s.peer.Load().docs.view(file)
	if !open {
		v.text = readDisk(file, detectLimit)
	}
	language := languageOf(v.language, file, v.text)
	r, ok := firstRunner(runners(s.currentSettings().Runners, language, file), template)
	if !ok {
		return started{}, &session.Error{
			Kind: kindUnsupported, Op: "run " + path.Base(file), Path: file, Message: "no runner is known for this kind of file",
			Hint: "add one to the setting runners",
		}
	}
	if r.identifiers && sub.name != "" && !isIdentifier(sub.name) {
		return started{}, badParam("arguments[0].name", "%q is not a name of a test in this language", clip(sub.name, 80))
	}
	return s.startRun(ref, what+path.Base(file), file, func(sess *session.Session) (session.ExecOptions, error) {
		where, err := fileInSandbox(sess.Info(), inRealFolder(file))
		if err != nil {
			return session.ExecOptions{}, err
		}
		sub.file = where
		return session.ExecOptions{Command: fill(template(r), sub)}, nil
	})
}

func isIdentifier(name string) bool {
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r > 0x7F
		if !letter && (i == 0 || r != ':' && (r < '0' || r > '9')) {
			return false
		}
	}
	return name != ""
}

// inRealFolder follows the links of a file's folder, but not a link that the file itself
// is: a link in the tree is run as such.
func inRealFolder(file string) string {
	return path.Join(resolved(path.Dir(file)), path.Base(file))
}

// fileInSandbox gives a host file's place: relative to the cwd where it lies below it,
// else absolute.
func fileInSandbox(info session.Info, file string) (string, error) {
	if isBelow(file, info.Folder) && file != info.Folder {
		return strings.TrimPrefix(strings.TrimPrefix(file, info.Folder), "/"), nil
	}
	// The folder is the cwd's twin; the root's is as many folders up.
	sub := strings.TrimPrefix(strings.TrimPrefix(info.Cwd, info.Root), "/")
	hostRoot := path.Clean(strings.TrimSuffix(info.Folder, "/"+sub))
	if sub == "" {
		hostRoot = info.Folder
	}
	if isBelow(file, hostRoot) && file != hostRoot {
		return path.Join(info.Root, strings.TrimPrefix(file, hostRoot)), nil
	}
	return "", &session.Error{
		Kind: kindUnsupported, Op: "run " + path.Base(file), Path: file, Session: info.ID,
		Message: "the file is outside of the tree that is in the sandbox", Hint: "open a session on its folder",
	}
}

// startRun runs something in the background and tells what came of it.
func (s *Server) startRun(ref sessionRef, title, file string, build func(*session.Session) (session.ExecOptions, error)) (started, error) {
	id := newExecID()
	s.work("Run "+title, func(ctx context.Context, report *progress) error {
		sess, err := s.sessionFor(ctx, ref.Session, file, report)
		if err != nil {
			return err
		}
		o, err := build(sess)
		if err != nil {
			return err
		}
		o.ID, o.Sync, o.MaxOutput, o.Progress = id, true, maxShown, report.report
		ex, err := sess.Start(ctx, o)
		if err != nil {
			return err
		}
		report.report(title, -1)
		outcome, err := ex.Wait(ctx)
		if ctx.Err() != nil {
			end, stop := context.WithTimeout(context.WithoutCancel(ctx), answerLimit)
			defer stop()
			return errors.Join(ctx.Err(), ex.Cancel(end))
		}
		if err != nil {
			return err
		}
		if outcome.SetupFailure != "" {
			failure, _ := showPath(outcome.SetupFailure)
			s.say(protocol.MessageTypeWarning, "glue: "+failure)
		}
		s.tellOutcome(ctx, title, ex.LogFile(), outcome)
		s.background(func(ctx context.Context) { s.offerReturn(ctx, sess, outcome.Checkpoint) })
		return nil
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
		for _, info := range s.news.ready() {
			if isBelow(inRealFolder(file), info.Folder) {
				return m.Get(info.ID)
			}
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

// ready are the open sessions.
func (a *announcements) ready() []session.Info {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []session.Info
	for _, info := range a.latest {
		if info.State == session.Ready || info.State == session.Returning {
			out = append(out, info)
		}
	}
	return out
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
