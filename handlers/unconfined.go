package handlers

import (
	"context"

	"go.lsp.dev/protocol"

	"glue-lsp/session"
)

// The answers to whether commands may run on this machine with nothing around them.
const (
	unconfinedOnce   = "once"
	unconfinedAlways = "always"
)

func checkUnconfined(answer string) error {
	switch answer {
	case "", unconfinedOnce, unconfinedAlways:
		return nil
	}
	return badParam("unconfined", "expected once or always, found %q", clip(answer, 40))
}

// openOn opens a session. Where its commands would not be confined, and nobody has agreed
// to that, the person is asked first. answer is the client's, "" for none.
func (s *Server) openOn(ctx context.Context, m *session.Manager, o session.OpenOptions, answer string, report *progress) (*session.Session, error) {
	sess, err := s.openAnswered(ctx, m, o, answer, report)
	if err == nil || describe(err).Kind != session.NeedsConfirmation || !s.peer.Load().client.questions {
		return sess, err
	}
	// One question at a time; the answer to the one before may hold for this one too.
	select {
	case s.asking <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.asking }()
	sess, err = s.openAnswered(ctx, m, o, "", report)
	if err == nil || describe(err).Kind != session.NeedsConfirmation {
		return sess, err
	}
	if answer, err2 := s.askUnconfined(ctx, err); err2 != nil {
		return nil, err2
	} else if answer != "" {
		return s.openAnswered(ctx, m, o, answer, report)
	}
	return nil, err
}

func (s *Server) openAnswered(ctx context.Context, m *session.Manager, o session.OpenOptions, answer string, report *progress) (*session.Session, error) {
	if answer == unconfinedAlways {
		if err := m.AllowUnconfined(o.Folder); err != nil {
			return nil, err
		}
	}
	o.Unconfined = answer != ""
	sess, err := m.Open(ctx, o, report.report)
	if err == nil {
		s.tellUnconfined(sess)
	}
	return sess, err
}

// askUnconfined waits for the person; a question that is closed is a no.
func (s *Server) askUnconfined(ctx context.Context, why error) (answer string, err error) {
	const once, always = "Run once", "Always for this folder"
	text, _ := showPath(withoutCredentials(why.Error()))
	chosen, err := s.ask(ctx, protocol.MessageTypeWarning, "Run without a sandbox? "+text, once, always, "Cancel")
	if err != nil {
		s.log.Info("the client did not ask") // and so nobody said yes
	}
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case chosen == once:
		return unconfinedOnce, nil
	case chosen == always:
		return unconfinedAlways, nil
	}
	return "", nil
}
