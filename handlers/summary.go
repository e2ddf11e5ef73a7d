package handlers

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.lsp.dev/protocol"
	"go.uber.org/zap"

	"glue-lsp/session"
	"glue-lsp/workspace"
)

// What people are told after a command. A client that knows the glue/ methods shows the
// results itself; these words are for all others.

// Output that fits is shown as a message, in bytes and lines; maxShown is what is kept of
// a longer one besides its log.
const (
	shortOutput = 400
	shortLines  = 4
	maxShown    = 64 << 10
	maxNamed    = 5 // paths in one message
)

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// outcomeText says how a command ended, with its output if that is short.
func outcomeText(title string, o session.ExecOutcome) (text string, short bool) {
	end := "done"
	switch {
	case o.TimedOut:
		end = "timed out"
	case o.Signal != "":
		end = "ended by " + o.Signal
	case o.ExitCode != 0:
		end = "ended with status " + strconv.Itoa(o.ExitCode)
	}
	text = title + ": " + end
	all := strings.TrimRight(string(o.Stdout)+string(o.Stderr), "\r\n")
	short = o.TruncatedStdout == 0 && o.TruncatedStderr == 0 && len(all) <= shortOutput && strings.Count(all, "\n") < shortLines
	if short && all != "" {
		shown, _ := showPath(all)
		text += "\n" + shown
	}
	return text, short
}

func openedText(i sessionInfo) string {
	text := "The sandbox is ready (" + i.Isolation + "): " + count(i.Base.Files, "file") + " in it."
	if n := len(i.Base.Skipped); n > 0 {
		text += " " + count(n, "path") + " left out."
	}
	for _, w := range i.Warnings {
		text += "\n" + w
	}
	return text
}

func syncedText(r session.SyncResult) string {
	text := "The sandbox is up to date: " + count(r.Sent, "file") + " sent."
	if len(r.Conflicts) > 0 {
		paths := make([]string, len(r.Conflicts))
		for i, c := range r.Conflicts {
			paths[i] = c.Path
		}
		text += " Changed on both sides, left as they are: " + nameSome(paths) + "."
	}
	if len(r.Skipped) > 0 {
		text += " " + count(len(r.Skipped), "path") + " left out."
	}
	return text
}

func doctorText(r doctorResult) string {
	var b strings.Builder
	good := 0
	for _, c := range r.Checks {
		if c.Status == "ok" {
			good++
			continue
		}
		b.WriteString("\n" + c.Status + ": " + c.Name + ": " + c.Detail)
		if c.Hint != "" {
			b.WriteString(" (" + c.Hint + ")")
		}
	}
	return "glue doctor: " + count(good, "check") + " of " + strconv.Itoa(len(r.Checks)) + " passed." + b.String()
}

func nameSome(paths []string) string {
	shown := make([]string, 0, maxNamed)
	for i, p := range paths {
		if i == maxNamed {
			shown = append(shown, "and "+strconv.Itoa(len(paths)-maxNamed)+" more")
			break
		}
		text, _ := showPath(p)
		shown = append(shown, text)
	}
	return strings.Join(shown, ", ")
}

// returnText says what came back and what did not.
func returnText(r *session.Return) (protocol.MessageType, string) {
	kind, parts := protocol.MessageTypeInfo, []string{}
	switch {
	case r.Branch != "":
		parts = append(parts, "The changes are on "+r.Branch+".")
	case len(r.Files) == 0 && len(r.Conflicts) == 0 && len(r.Skipped) == 0:
		parts = append(parts, "Nothing has changed in the sandbox.")
	case r.Applied:
		parts = append(parts, count(len(r.Files), "file")+" returned.")
	case len(r.Files) > 0:
		kind = protocol.MessageTypeWarning
		parts = append(parts, count(len(r.Files), "changed file")+" not applied; the changes are kept.")
	}
	var both, held []string
	for _, c := range r.Conflicts {
		if c.Held {
			held = append(held, c.Path+" ("+c.Detail+")")
		} else {
			both = append(both, c.Path)
		}
	}
	if len(r.Conflicts) > 0 {
		kind = protocol.MessageTypeWarning
	}
	if len(both) > 0 {
		parts = append(parts, "Changed on both sides: "+nameSome(both)+".")
	}
	if len(held) > 0 {
		parts = append(parts, "Not returned: "+nameSome(held)+".")
	}
	if len(r.Skipped) > 0 {
		kind = protocol.MessageTypeWarning
		paths := make([]string, len(r.Skipped))
		for i, k := range r.Skipped {
			paths[i] = k.Path + " (" + k.Reason + ")"
		}
		parts = append(parts, "Left out: "+nameSome(paths)+".")
	}
	if u := r.Unavailable; u != nil {
		kind = protocol.MessageTypeWarning
		parts = append(parts, withoutCredentials(u.Message))
		if u.Recovered != nil {
			parts = append(parts, "Checkpoint "+strconv.Itoa(u.Recovered.Seq)+" was returned instead.")
		}
	}
	return kind, strings.Join(parts, " ")
}

// undoText says what an undo took back and what it could not.
func undoText(r *session.Return) (protocol.MessageType, string) {
	if len(r.Conflicts) > 0 {
		paths := make([]string, len(r.Conflicts))
		for i, c := range r.Conflicts {
			paths[i] = c.Path
		}
		return protocol.MessageTypeWarning, count(len(r.Files), "file") + " as before the return. Edited since, left as they are: " + nameSome(paths) + "."
	}
	if !r.Applied && len(r.Files) > 0 {
		return protocol.MessageTypeWarning, "The last return was not taken back: the editor did not apply the edit."
	}
	return protocol.MessageTypeInfo, "The last return was taken back: " + count(len(r.Files), "file") + " as before it. The sandbox keeps the changes."
}

// unseen names the changes of which a difference of texts shows nothing: files that go,
// and those that are no text or get another mode. It is "" when there are none.
func unseen(files []workspace.Change) string {
	var names []string
	for _, c := range files {
		var what string
		switch {
		case c.Status == workspace.StatusDeleted:
			what = "deleted"
		case c.Kind == workspace.KindSymlink:
			what = "link"
		case c.Kind == workspace.KindBinary:
			what = "binary"
		case c.Status == workspace.StatusMode, c.OldMode != c.NewMode && c.Old.Exists(), c.Status == workspace.StatusAdded && c.NewMode&0o111 != 0:
			what = "mode"
		default:
			continue
		}
		names = append(names, c.Path+" ("+what+")")
	}
	if len(names) == 0 {
		return ""
	}
	return "Not only text: " + nameSome(names) + "."
}

func withSpace(text string) string {
	if text == "" {
		return ""
	}
	return " " + text
}

// shownFirst makes a return tell the person, before anything is written, what no
// editor's own view would show them. It is for clients that know no better; others
// look at glue/session/diff first.
func (s *Server) shownFirst(o session.ReturnOptions) *session.ReturnOptions {
	o = s.returnDefaults(o)
	if s.peer.Load().client.reviews {
		return &o
	}
	o.Before = func(r *session.Return) {
		if text := unseen(r.Files); text != "" {
			s.say(protocol.MessageTypeInfo, "Returning "+count(len(r.Files), "file")+". "+text)
		}
	}
	return &o
}

// tell says what became of changes, unless the client does that by itself.
func (s *Server) tell(kind protocol.MessageType, text string) {
	if !s.peer.Load().client.reviews {
		s.say(kind, text)
	}
}

// tellReturn shows what a return did, and both sides of its conflicts.
func (s *Server) tellReturn(ctx context.Context, sess *session.Session, r *session.Return, before string) {
	if s.peer.Load().client.reviews {
		return
	}
	if r == nil {
		s.say(protocol.MessageTypeInfo, before)
		return
	}
	kind, text := returnText(r)
	s.say(kind, before+text)
	both := slices.DeleteFunc(slices.Clone(r.Conflicts), func(c workspace.Conflict) bool { return c.Held })
	for _, c := range both[:min(len(both), 2)] {
		for _, side := range []string{"base", "sandbox"} {
			if err := s.showVersion(ctx, sess, side, c.Path); err != nil {
				s.log.Info("a version is not shown", zap.String("path", c.Path), zap.String("side", side), zap.Error(err))
			}
		}
	}
}

// showVersion opens one side's version of a path: by its URI where the client can read
// those, else as a file in the session's folder.
func (s *Server) showVersion(ctx context.Context, sess *session.Session, side, treePath string) error {
	shown, _ := showPath(treePath)
	otherwise := "The " + side + "'s version of " + shown + " is at "
	if s.peer.Load().client.contents {
		u := contentURI(side, sess.ID(), treePath)
		s.show(ctx, u, otherwise+u)
		return nil
	}
	v, err := sess.Version(ctx, side, treePath)
	if err != nil {
		return err
	}
	name, err := s.writeView(sess.ID(), side, treePath, v.Content)
	if err != nil {
		return err
	}
	s.show(ctx, fileURI(name), otherwise+name)
	return nil
}

// writeView puts a version into the session's folder. The path came from a sandbox, so
// it is used below a root that it cannot leave.
func (s *Server) writeView(sessionID, side, treePath string, content []byte) (string, error) {
	if !filepath.IsLocal(treePath) || filepath.Base(sessionID) != sessionID {
		return "", &session.Error{Kind: kindUnsupported, Op: "show", Path: treePath, Message: "the path is not inside the tree"}
	}
	dir := filepath.Join(s.o.Home, "sessions", sessionID, "view", side)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	if err := root.MkdirAll(path.Dir(treePath), 0o700); err != nil {
		return "", err
	}
	if err := root.WriteFile(treePath, content, 0o600); err != nil {
		return "", err
	}
	return filepath.Join(dir, treePath), nil
}

// offers keeps one session from being offered twice at once: some clients never answer.
type offers struct {
	mu   sync.Mutex
	open map[string]bool
}

func (o *offers) begin(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open[id] {
		return false
	}
	if o.open == nil {
		o.open = map[string]bool{}
	}
	o.open[id] = true
	return true
}

func (o *offers) end(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.open, id)
}

// offerReturn asks, once the checkpoint is safe, whether the changes shall come back.
func (s *Server) offerReturn(ctx context.Context, sess *session.Session, seq int) {
	if s.peer.Load().client.reviews || !s.offers.begin(sess.ID()) {
		return
	}
	defer s.offers.end(sess.ID())
	info, err := s.news.checkpoint(ctx, sess.ID(), seq)
	if err != nil || info.State != session.Ready || info.Checkpoint.ChangedFiles == 0 {
		return
	}
	const yes = "Return changes"
	text := "The sandbox has " + count(info.Checkpoint.ChangedFiles, "changed file") + "."
	if d, err := sess.Diff(ctx, ""); err == nil {
		text += withSpace(unseen(d.Files))
	}
	if s.peer.Load().client.interrupts {
		s.say(protocol.MessageTypeInfo, text+" Return them by the action \""+titleReturn+"\", or by the command "+commandReturn+".")
		return
	}
	chosen, err := s.ask(ctx, protocol.MessageTypeInfo, text, yes, "Later")
	if err != nil || chosen != yes {
		return
	}
	r, err := sess.Return(ctx, s.returnDefaults(session.ReturnOptions{Apply: true}), nil)
	if err != nil {
		s.say(protocol.MessageTypeError, "Returning changes: "+messageOf(err))
		return
	}
	s.tellReturn(ctx, sess, r, "")
}
