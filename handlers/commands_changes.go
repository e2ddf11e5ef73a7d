package handlers

import (
	"context"

	"go.lsp.dev/protocol"

	"glue-lsp/session"
)

// Commands on a session's changes. They work on ended sessions too, which are read from
// disk: no sandbox is asked.

func (s *Server) diffCommand(p *sessionRef) (started, error) {
	sess, err := s.find(s.base, p.Session)
	if err != nil {
		return started{}, err
	}
	s.work("Showing the changes", func(ctx context.Context, _ *progress) (func(), error) {
		return func() { s.showChanges(ctx, sess) }, nil
	})
	return started{Started: true, Session: sess.ID()}, nil
}

func (s *Server) undoCommand(p *undoParams) (started, error) {
	sess, err := s.find(s.base, p.Session)
	if err != nil {
		return started{}, err
	}
	s.work("Undoing the last return", func(ctx context.Context, report *progress) (func(), error) {
		r, err := sess.Undo(ctx, report.report)
		if err != nil {
			return nil, err
		}
		return func() { s.tell(undoText(r)) }, nil
	})
	return started{Started: true, Session: sess.ID()}, nil
}

func (s *Server) discardCommand(p *discardParams) (started, error) {
	sess, err := s.find(s.base, p.Session)
	if err != nil {
		return started{}, err
	}
	s.work("Discarding the sandbox's changes", func(ctx context.Context, _ *progress) (func(), error) {
		files, err := sess.Discard(ctx, rawPaths(p.Paths))
		if err != nil {
			return nil, err
		}
		return func() { s.tell(protocol.MessageTypeInfo, count(len(files), "changed file")+" discarded.") }, nil
	})
	return started{Started: true, Session: sess.ID()}, nil
}

type stopArgs struct {
	ExecID string `json:"execId,omitzero" doc:"default all that run"`
}

// stopCommand ends commands; most clients show progress without a way to cancel it.
func (s *Server) stopCommand(p *stopArgs) (started, error) {
	ids := []string{p.ExecID}
	if p.ExecID == "" {
		ids = ids[:0]
		for _, info := range s.news.that(isOpen) {
			for _, e := range info.Execs {
				ids = append(ids, e.ExecID)
			}
		}
	}
	if len(ids) == 0 {
		return started{}, &session.Error{Kind: "noSuchExec", Op: "stop a command", Message: "no command is running"}
	}
	for _, id := range ids {
		_, ex, err := s.command(id)
		switch {
		case err != nil && p.ExecID == "":
			continue // it has ended since it was told of; the others have not
		case err != nil:
			return started{}, err
		}
		s.work("Stopping", func(ctx context.Context, _ *progress) (func(), error) { return nil, ex.Cancel(ctx) })
	}
	return started{Started: true, ExecID: p.ExecID}, nil
}
