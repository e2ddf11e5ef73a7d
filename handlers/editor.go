package handlers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.lsp.dev/protocol"

	"glue-lsp/internal/wire"
	"glue-lsp/session"
	"glue-lsp/workspace"
)

// editor is the client as a session sees it; it implements session.Editor.
type editor struct{ s *Server }

// Documents implements session.Editor. Every notification that came before is applied,
// since notifications are handled in line.
func (e *editor) Documents(context.Context) ([]workspace.Document, error) {
	return e.s.peer.Load().docs.snapshot(), nil
}

// Caps implements session.Editor.
func (e *editor) Caps() workspace.ClientCaps {
	c := e.s.peer.Load().client
	if !c.applyEdit {
		return workspace.ClientCaps{NoEdits: true}
	}
	return c.edit
}

// edits lets one edit at a time be under way at the client.
type edits struct {
	once sync.Once
	busy chan struct{}
}

// take waits until the client has answered the edit before. waited says that it had to.
func (e *edits) take(ctx context.Context) (waited bool, err error) {
	e.once.Do(func() { e.busy = make(chan struct{}, 1) })
	select {
	case e.busy <- struct{}{}:
		return false, nil
	default:
	}
	select {
	case e.busy <- struct{}{}:
		return true, nil
	case <-ctx.Done():
		return true, ctx.Err()
	}
}

func (e *edits) give() { <-e.busy }

// lateLimit is how long an answer is waited for that nobody waits for any more: a client
// may still apply the edit, and a second one on top of it would change files twice.
const lateLimit = 10 * time.Minute

// ApplyEdit implements session.Editor. It waits for ever only where a person may be
// thinking; some clients never answer.
func (e *editor) ApplyEdit(ctx context.Context, label string, edit *workspace.Edit) (bool, string, error) {
	p := e.s.peer.Load()
	if !p.client.applyEdit {
		return false, "the editor cannot apply edits", session.ErrUnable
	}
	translated := toWorkspaceEdit(edit, p.client, p.uriOf)
	if translated == nil {
		return true, "", nil
	}
	bounded, cancel := ctx, context.CancelFunc(func() {})
	if len(translated.ChangeAnnotations) == 0 {
		bounded, cancel = e.s.within(ctx, answerLimit)
	}
	defer cancel()
	waited, err := e.s.edits.take(bounded)
	switch {
	case ctx.Err() != nil:
		if err == nil {
			e.s.edits.give()
		}
		return false, "", ctx.Err()
	case err != nil:
		return false, "the editor has not answered an earlier edit yet; when it does not come back, return with mode: disk", nil
	case waited:
		e.s.edits.give()
		return false, "", session.ErrBehind // what the earlier one did is not in this one
	}
	answer := make(chan answered, 1)
	call, giveUp := context.WithCancel(e.s.base)
	e.s.tasks.Go(func() {
		defer e.s.edits.give()
		defer giveUp()
		answer <- e.apply(call, label, translated)
	})
	select {
	case a := <-answer:
		return a.applied, a.reason, a.err
	case <-bounded.Done():
	}
	e.s.tasks.Go(func() {
		select {
		case <-call.Done():
		case <-e.s.o.After(lateLimit):
			giveUp()
		}
	})
	if ctx.Err() != nil {
		return false, "", ctx.Err()
	}
	return false, "the editor did not answer within " + answerLimit.String(), nil
}

// answered is what came of workspace/applyEdit.
type answered struct {
	applied bool
	reason  string
	err     error
}

func (e *editor) apply(ctx context.Context, label string, edit *protocol.WorkspaceEdit) answered {
	var answer protocol.ApplyWorkspaceEditResult
	err := e.s.conn.Call(ctx, protocol.MethodWorkspaceApplyEdit, &protocol.ApplyWorkspaceEditParams{Label: &label, Edit: *edit}, &answer)
	if refused, ok := errors.AsType[*wire.Error](err); ok {
		// What the client did before it failed is read back.
		return answered{err: fmt.Errorf("%w: %s", session.ErrUnable, refused.Message)}
	}
	if err != nil {
		return answered{err: err}
	}
	reason := ""
	if answer.FailureReason != nil {
		reason = *answer.FailureReason
	}
	return answered{applied: answer.Applied, reason: reason}
}
