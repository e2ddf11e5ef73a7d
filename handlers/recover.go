package handlers

import (
	"context"
	"slices"
	"time"

	"go.lsp.dev/protocol"
	"go.uber.org/zap"

	"glue-lsp/session"
)

// The buttons under what an earlier session left.
const (
	buttonReturn = "Return changes"
	buttonShow   = "Show"
	buttonLater  = "Later"
)

// recoverSessions looks after what servers left that died: it goes on with the session of
// a folder of this client's if its sandbox still runs, and offers what others kept.
func (s *Server) recoverSessions(ctx context.Context) {
	m, err := s.manager()
	if err != nil {
		return // it was said already
	}
	found, err := m.Recover(ctx, session.RecoverOptions{Resume: func(dir string) (session.OpenOptions, bool) {
		if !s.peer.Load().has(dir) {
			return session.OpenOptions{}, false
		}
		o, err := s.openOptions(dir, "")
		return o, err == nil
	}, Late: func(info session.Info) {
		// It may wait for a person, and must not keep the sessions from ending.
		s.background(func(ctx context.Context) { s.tellWaiting(ctx, m, info) })
	}})
	if err != nil && ctx.Err() == nil {
		s.log.Warn("looking for sessions whose server died", zap.Error(err))
	}
	// Beside the questions, which may stay open for as long as the person likes.
	s.tasks.Go(func() { s.sweep(ctx, m) })
	kept, err := m.List(ctx)
	if err != nil {
		return
	}
	p := s.peer.Load()
	for _, info := range found {
		if info.State == session.Ready && len(info.Execs) == 0 && p.has(info.Folder) {
			// Nothing runs in it: unless somebody uses it, it ends soon.
			s.offerEarlier(ctx, m, info)
		}
	}
	for _, info := range kept {
		s.tellWaiting(ctx, m, info)
	}
}

// tellWaiting announces an ended session of a folder of this client's that has changes.
func (s *Server) tellWaiting(ctx context.Context, m *session.Manager, info session.Info) {
	p := s.peer.Load()
	switch {
	case !info.Waiting || !p.has(info.Folder):
	case p.client.reviews:
		s.news.add(info)
	default:
		s.news.learn(info)
		s.offerEarlier(ctx, m, info)
	}
}

// sweep ends sandboxes in the cloud that run for nobody.
func (s *Server) sweep(ctx context.Context, m *session.Manager) {
	swept, err := m.Sweep(ctx, false)
	if err != nil && ctx.Err() == nil {
		s.log.Warn("sandboxes that run for nobody", zap.Error(err))
	}
	for _, one := range swept {
		s.log.Info("a sandbox ran for nobody", zap.String("sandbox", one.ID), zap.String("session", one.Session), zap.Bool("ended", one.Ended), zap.String("why", one.Why))
	}
}

// has reports whether a folder is a workspace folder of the client's.
func (p *peer) has(dir string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.folders, func(f folder) bool { return f.path == dir || f.real == dir })
}

// earlierText says what there is of a session that ended without its changes coming back.
func earlierText(i session.Info) string {
	what := "holds " + count(i.Checkpoint.ChangedFiles, "changed file") + " that did not come back"
	when := i.CreatedAt.Local().Format(time.DateTime)
	if i.State == session.Ready {
		return "glue's server ended unexpectedly. The sandbox of " + when + " still runs and " + what + "."
	}
	return "The sandbox of " + when + " ended and " + what + "."
}

// offerEarlier asks what shall become of an earlier session's changes. Only an answer
// settles it: a client that closes the message is asked again by the next start.
func (s *Server) offerEarlier(ctx context.Context, m *session.Manager, info session.Info) {
	if info.Checkpoint.ChangedFiles == 0 || s.peer.Load().client.reviews || !s.offers.begin(info.ID) {
		return
	}
	defer s.offers.end(info.ID)
	text := earlierText(info)
	if !s.peer.Load().client.questions {
		s.say(protocol.MessageTypeWarning, text+" Return them by the action \""+titleReturn+"\", or by: glue-lsp sessions apply "+info.ID)
		return
	}
	buttons := []string{buttonReturn, buttonShow, buttonLater}
	for {
		chosen, err := s.ask(ctx, protocol.MessageTypeWarning, text, buttons...)
		if err != nil {
			return
		}
		// It may have ended since, or another process may have it.
		sess, err := m.Find(ctx, info.ID)
		if err != nil {
			if chosen != "" && chosen != buttonLater {
				s.say(protocol.MessageTypeError, messageOf(err))
			}
			return
		}
		switch chosen {
		case buttonReturn:
			r, err := sess.Return(ctx, *s.shownFirst(session.ReturnOptions{Apply: true}), nil)
			if err != nil {
				s.say(protocol.MessageTypeError, "Returning changes: "+messageOf(err))
				return
			}
			s.tellReturn(ctx, sess, r, "")
			return
		case buttonShow:
			s.showChanges(ctx, sess)
			buttons = []string{buttonReturn, buttonLater}
		case buttonLater:
			if err := sess.PutOff(ctx); err != nil {
				s.log.Info("noting an answer", zap.Error(err))
			}
			return
		default:
			return
		}
	}
}

// showChanges shows a session's changes as a patch.
func (s *Server) showChanges(ctx context.Context, sess *session.Session) {
	d, err := sess.Diff(ctx, "")
	if err != nil {
		s.say(protocol.MessageTypeError, "Showing the changes: "+messageOf(err))
		return
	}
	patch, _ := showPath(d.Patch) // file names and Latin-1 text need not be UTF-8
	name, err := s.writeView(sess.ID(), "changes", sess.ID()+".patch", []byte(plain(patch)))
	if err != nil {
		s.say(protocol.MessageTypeError, "Showing the changes: "+messageOf(err))
		return
	}
	s.show(ctx, fileURI(name), "The changes are in "+name)
	if text := unseen(d.Files); text != "" {
		s.say(protocol.MessageTypeInfo, text)
	}
}
