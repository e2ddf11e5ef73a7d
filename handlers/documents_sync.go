package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.lsp.dev/protocol"
)

type textDocumentIdentifier struct {
	URI string `json:"uri"`
}

type didOpenParams struct {
	TextDocument struct {
		URI        string `json:"uri"`
		LanguageID string `json:"languageId,omitzero"`
		Version    int32  `json:"version,omitzero"`
		Text       string `json:"text"`
	} `json:"textDocument"`
}

type didChangeParams struct {
	TextDocument struct {
		URI     string `json:"uri"`
		Version int32  `json:"version,omitzero"`
	} `json:"textDocument"`
	ContentChanges []textChange `json:"contentChanges"`
}

type didSaveParams struct {
	TextDocument textDocumentIdentifier `json:"textDocument"`
	Text         *string                `json:"text,omitzero"`
}

type didCloseParams struct {
	TextDocument textDocumentIdentifier `json:"textDocument"`
}

func (*didOpenParams) carriesEditorText()   {}
func (*didChangeParams) carriesEditorText() {}
func (*didSaveParams) carriesEditorText()   {}

// documentPath is the host path of a document, or false for one that is not a file here:
// those have no place in the tree and are not followed.
func documentPath(uri string) (string, bool, error) {
	p, err := hostPath(uri)
	switch {
	case errors.Is(err, errNotFile):
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("%s: %w", clip(uri, 200), err)
	}
	return p, true, nil
}

func (s *Server) didOpen(_ context.Context, p *didOpenParams) error {
	path, ok, err := documentPath(p.TextDocument.URI)
	if !ok {
		return err
	}
	d := p.TextDocument
	return s.warned(s.peer.Load().docs.open(d.URI, path, d.LanguageID, d.Version, d.Text, readDisk(path, maxDocumentBytes)))
}

// warned shows the person that the server lost a buffer's text: what is unsaved in it
// will not reach the sandbox.
func (s *Server) warned(err error) error {
	if lost, ok := errors.AsType[*lostTextError](err); ok {
		s.say(protocol.MessageTypeWarning, lost.Error())
	}
	return err
}

// didChangeRaw applies changes. If they cannot be read, the text that is kept is wrong
// from then on, so it is forgotten until the client sends a whole one.
func (s *Server) didChangeRaw(_ context.Context, raw json.RawMessage) error {
	docs := s.peer.Load().docs
	var p didChangeParams
	decodeErr := decodeParams(raw, &p)
	path, ok, err := documentPath(p.TextDocument.URI)
	if !ok {
		return errors.Join(decodeErr, err)
	}
	if decodeErr != nil {
		if docs.forget(path) {
			return s.warned(&lostTextError{path, "a change that the editor sent cannot be read (" + decodeErr.Error() + ")"})
		}
		return fmt.Errorf("%s: %w", path, decodeErr)
	}
	err = docs.change(path, p.TextDocument.Version, p.ContentChanges)
	docs.settleReloaded(path)
	return s.warned(err)
}

func (s *Server) didSave(_ context.Context, p *didSaveParams) error {
	path, ok, err := documentPath(p.TextDocument.URI)
	if ok {
		s.peer.Load().docs.saved(path, p.Text)
	}
	return err
}

func (s *Server) didClose(_ context.Context, p *didCloseParams) error {
	path, ok, err := documentPath(p.TextDocument.URI)
	if ok {
		s.peer.Load().docs.close(path)
	}
	return err
}
