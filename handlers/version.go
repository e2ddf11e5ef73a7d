package handlers

import (
	"context"

	"go.lsp.dev/protocol"

	"glue-lsp/session"
	"glue-lsp/workspace"
)

type versionParams struct {
	sessionRef
	Side      string `json:"side" doc:"sandbox, or base: what both sides agreed on"`
	Path      string `json:"path" or:"pathBytes" doc:"relative to the tree's root"`
	PathBytes string `json:"pathBytes,omitzero"`
	Offset    int64  `json:"offset,omitzero"`
	Length    *int64 `json:"length,omitzero" doc:"default to the end"`
}

func (p *versionParams) check() error {
	switch {
	case p.Side != "sandbox" && p.Side != "base":
		return badParam("side", "expected sandbox or base, found %q", clip(p.Side, 40))
	case p.Offset < 0:
		return badParam("offset", "must not be negative")
	case p.Length != nil && *p.Length < 0:
		return badParam("length", "must not be negative")
	}
	return nil
}

type versionResult struct {
	payload
	Size           int64  `json:"size" doc:"of the whole file"`
	Mode           uint32 `json:"mode" doc:"permission bits"`
	IsSymbolicLink bool   `json:"isSymbolicLink" doc:"data is then where it points"`
}

func (s *Server) sessionVersion(ctx context.Context, p *versionParams) (versionResult, error) {
	path, err := rawPath("path", p.Path, p.PathBytes)
	if err != nil {
		return versionResult{}, err
	}
	sess, err := s.find(ctx, p.Session)
	if err != nil {
		return versionResult{}, err
	}
	v, err := sess.Version(ctx, p.Side, path)
	if err != nil {
		return versionResult{}, err
	}
	size := int64(len(v.Content))
	part := v.Content[min(p.Offset, size):]
	if p.Length != nil {
		part = part[:min(*p.Length, int64(len(part)))]
	}
	return versionResult{payload: toPayload(part), Size: size, Mode: v.Perm, IsSymbolicLink: v.Link}, nil
}

type contentParams struct {
	URI string `json:"uri"`
}

// maxContent bounds what is shown of one file, in bytes.
const maxContent = 32 << 20

// textDocumentContent serves either side of a change.
func (s *Server) textDocumentContent(ctx context.Context, p *contentParams) (*protocol.TextDocumentContentResult, error) {
	side, id, path, err := parseContentURI(p.URI)
	if err != nil {
		return nil, badParam("uri", "%v", err)
	}
	sess, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	v, err := sess.Version(ctx, side, path)
	if err != nil {
		return nil, err
	}
	text, err := shownText(path, v.Content)
	if err != nil {
		return nil, err
	}
	return &protocol.TextDocumentContentResult{Text: text}, nil
}

// shownText gives a file's text as an editor would show it.
func shownText(path string, content []byte) (string, error) {
	if len(content) > maxContent {
		return "", &session.Error{
			Kind: kindTooLarge, Op: "show", Path: path, Message: "the file is too large to be shown",
			Hint: "read it with glue/session/version",
		}
	}
	text, _, ok := workspace.DecodeDocument(content)
	if !ok {
		return "", &session.Error{
			Kind: kindUnsupported, Op: "show", Path: path, Message: "the file is not text",
			Hint: "read it with glue/session/version",
		}
	}
	return string(text), nil
}
