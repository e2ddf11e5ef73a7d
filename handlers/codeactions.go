package handlers

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"go.lsp.dev/protocol"

	"glue-lsp/session"
)

// kindRun is the kind of every code action here. It is not below "source", whose actions
// editors run by themselves on saving.
const kindRun protocol.CodeActionKind = "glue.run"

const (
	titleRun    = "Run in sandbox"
	titleReturn = "Return changes from sandbox"
	titleShow   = "Show changes in sandbox"
	titleUndo   = "Undo the last return from sandbox"
	titleClose  = "Close sandbox"
	titleStop   = "Stop what runs in sandbox"
)

type codeActionParams struct {
	TextDocument textDocumentIdentifier `json:"textDocument"`
	Range        textRange              `json:"range"`
	Context      struct {
		Only []protocol.CodeActionKind `json:"only,omitzero"`
	} `json:"context,omitzero"`
}

type codeLensParams struct {
	TextDocument textDocumentIdentifier `json:"textDocument"`
}

// target is a file with everything that is known about running it.
type target struct {
	view
	runners []runner
	places  []runnable
	whole   bool
}

// targetOf looks at an open file. Other documents cannot be run: they are in no tree.
func (s *Server) targetOf(uri string) (target, bool) {
	file, err := hostPath(uri)
	if err != nil {
		return target{}, false
	}
	v, open := s.peer.Load().docs.view(file)
	if !open {
		return target{}, false
	}
	language := languageOf(v.language, file, v.text)
	t := target{view: v, runners: runners(s.currentSettings().Runners, language, file)}
	t.places, t.whole = detect(language, file, v.text)
	return t, true
}

func (t *target) can(template func(runner) string) bool {
	_, ok := firstRunner(t.runners, template)
	return ok
}

func (s *Server) codeAction(_ context.Context, p *codeActionParams) ([]protocol.CommandOrCodeAction, error) {
	out := []protocol.CommandOrCodeAction{}
	if !wantsKind(p.Context.Only, kindRun) {
		return out, nil
	}
	var commands []protocol.Command
	if t, ok := s.targetOf(p.TextDocument.URI); ok {
		commands = s.actionsFor(&t, p)
		if len(commands) == 1 {
			commands[0].Title = titleRun // there is nothing to tell it from
		}
	}
	if s.peer.Load().client.reviews {
		for _, info := range s.news.that(hasChanges) {
			commands = append(commands, newCommand(titleReturn, commandReturn, sessionRef{Session: info.ID}))
		}
	} else {
		commands = append(commands, s.sessionActions()...)
	}
	for _, c := range commands {
		if s.peer.Load().client.actionLiterals {
			out = append(out, &protocol.CodeAction{Title: c.Title, Kind: ptr(kindRun), Command: c})
		} else {
			out = append(out, &c)
		}
	}
	return out, nil
}

// sessionActions are what a person can do with the sessions, for clients that have no
// views of their own. What an earlier session left is told apart by its time, and open
// sessions, where there are several, by their folders.
func (s *Server) sessionActions() []protocol.Command {
	var out []protocol.Command
	several := len(s.news.that(isOpen)) > 1
	add := func(title, command string, infos []session.Info) {
		for _, info := range infos {
			which := title
			switch {
			case !isOpen(info):
				which += " of " + info.CreatedAt.Local().Format("15:04:05")
			case several:
				which += " of " + path.Base(info.Folder)
			}
			out = append(out, newCommand(which, command, sessionRef{Session: info.ID}))
		}
	}
	each := func(is func(session.Info) bool, title, command string) { add(title, command, s.news.that(is)) }
	each(hasChanges, titleReturn, commandReturn)
	each(hasChanges, titleShow, commandDiff)
	if len(s.news.that(func(i session.Info) bool { return isOpen(i) && len(i.Execs) > 0 })) > 0 {
		out = append(out, newCommand(titleStop, commandStop, stopArgs{}))
	}
	add(titleUndo, commandUndo, lastReturns(s.news.that(func(i session.Info) bool { return i.Undoable })))
	each(isOpen, titleClose, commandClose)
	return out
}

// lastReturns leaves ended sessions out that another one has followed on their folder: each
// of them can be undone for as long as the server lives, and there may be many.
func lastReturns(oldestFirst []session.Info) []session.Info {
	ended := map[string]string{}
	for _, info := range oldestFirst {
		if !isOpen(info) {
			ended[info.Folder] = info.ID
		}
	}
	return slices.DeleteFunc(oldestFirst, func(i session.Info) bool { return !isOpen(i) && ended[i.Folder] != i.ID })
}

func (s *Server) actionsFor(t *target, p *codeActionParams) []protocol.Command {
	var out []protocol.Command
	if place, ok := t.testAt(int(p.Range.Start.Line)); ok && t.can(testOf) {
		out = append(out, newCommand(titleRun+": "+clip(place.name, 60), commandRunTest,
			runTestArgs{URI: t.uri, Name: place.name}))
	}
	if p.Range.Start != p.Range.End && t.can(selectionOf) {
		out = append(out, newCommand(titleRun+": selection", commandRunSelection,
			runSelectionArgs{URI: t.uri, Range: p.Range}))
	}
	if t.whole && t.can(runOf) {
		out = append(out, newCommand(titleRun+": "+clip(path.Base(t.path), 60), commandRunFile,
			runFileArgs{URI: t.uri}))
	}
	return out
}

func runOf(r runner) string       { return r.run }
func testOf(r runner) string      { return r.test }
func selectionOf(r runner) string { return r.selection }

// testAt is the test that a line belongs to: the last one that starts at or above it.
func (t *target) testAt(line int) (runnable, bool) {
	for i := len(t.places) - 1; i >= 0; i-- {
		if t.places[i].name != "" && lineOf(t.starts, t.places[i].start) <= line {
			return t.places[i], true
		}
	}
	return runnable{}, false
}

// wantsKind reports whether a client that asked only for some kinds wants this one:
// kinds are prefixes at dots (LSP 3.18, "CodeActionKind").
func wantsKind(only []protocol.CodeActionKind, kind protocol.CodeActionKind) bool {
	if len(only) == 0 {
		return true
	}
	for _, o := range only {
		if o == "" || o == kind || strings.HasPrefix(string(kind), string(o)+".") {
			return true
		}
	}
	return false
}

func (s *Server) codeLens(_ context.Context, p *codeLensParams) ([]protocol.CodeLens, error) {
	out := []protocol.CodeLens{}
	t, ok := s.targetOf(p.TextDocument.URI)
	if !ok {
		return out, nil
	}
	enc := s.peer.Load().client.encoding
	places := t.places
	if len(places) == 0 && t.whole {
		places = []runnable{{}} // the file itself, at its beginning
	}
	for _, place := range places {
		command := newCommand(titleRun, commandRunFile, runFileArgs{URI: t.uri})
		template := runOf
		if place.name != "" {
			command = newCommand(titleRun, commandRunTest, runTestArgs{URI: t.uri, Name: place.name})
			template = testOf
		}
		if !t.can(template) {
			continue
		}
		out = append(out, protocol.CodeLens{
			Range: protocol.Range{
				Start: positionAt(t.text, t.starts, place.start, enc),
				End:   positionAt(t.text, t.starts, place.end, enc),
			},
			Command: command,
		})
	}
	return out, nil
}

// newCommand builds a command with its one argument, which holds only text and numbers
// and so can always be encoded.
func newCommand(title, name string, argument any) protocol.Command {
	raw, _ := protocol.Marshal(argument)
	return protocol.Command{Title: title, Command: name, Arguments: []protocol.LSPAny{raw}}
}

// that are the sessions of which something is so.
func (a *announcements) that(is func(session.Info) bool) []session.Info {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []session.Info
	for _, id := range slices.Sorted(maps.Keys(a.latest)) {
		if info := a.latest[id]; is(info) {
			out = append(out, info)
		}
	}
	return out
}

func isOpen(i session.Info) bool { return i.State == session.Ready || i.State == session.Returning }

// hasChanges says that there is something to return: also of ended sessions whose changes
// nobody took.
func hasChanges(i session.Info) bool {
	return (i.State == session.Ready || i.Waiting) && i.Checkpoint.ChangedFiles > 0
}
