package handlers

import (
	"context"
	"errors"

	"go.lsp.dev/protocol"

	"glue-lsp/internal/wire"
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

// ApplyEdit implements session.Editor. It waits for ever only where a person may be
// thinking; some clients never answer.
func (e *editor) ApplyEdit(ctx context.Context, label string, edit *workspace.Edit) (bool, string, error) {
	p := e.s.peer.Load()
	if !p.client.applyEdit {
		return false, "the editor cannot apply edits", nil
	}
	translated := toWorkspaceEdit(edit, p.client, p.uriOf)
	if translated == nil {
		return true, "", nil
	}
	if len(translated.ChangeAnnotations) == 0 {
		bounded, cancel := e.s.within(ctx, answerLimit)
		defer cancel()
		applied, reason, err := e.apply(bounded, label, translated)
		if err != nil && bounded.Err() != nil && ctx.Err() == nil {
			return false, "the editor did not answer within " + answerLimit.String(), nil
		}
		return applied, reason, err
	}
	return e.apply(ctx, label, translated)
}

func (e *editor) apply(ctx context.Context, label string, edit *protocol.WorkspaceEdit) (bool, string, error) {
	var answer protocol.ApplyWorkspaceEditResult
	err := e.s.conn.Call(ctx, protocol.MethodWorkspaceApplyEdit, &protocol.ApplyWorkspaceEditParams{Label: &label, Edit: *edit}, &answer)
	if refused, ok := errors.AsType[*wire.Error](err); ok {
		return false, refused.Message, nil // what the client did before it failed is read back
	}
	if err != nil {
		return false, "", err
	}
	reason := ""
	if answer.FailureReason != nil {
		reason = *answer.FailureReason
	}
	return answer.Applied, reason, nil
}
