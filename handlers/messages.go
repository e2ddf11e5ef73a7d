package handlers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.lsp.dev/protocol"
	"go.uber.org/zap"

	"glue-lsp/internal/wire"
)

// maxMessage bounds what is put into a message box, in bytes.
const maxMessage = 2000

// say shows a message. Control characters are taken out: part of it may come from a
// sandbox, and some clients print messages to a terminal.
func (s *Server) say(kind protocol.MessageType, text string) {
	p := &protocol.ShowMessageParams{Type: kind, Message: plain(clip(text, maxMessage))}
	if err := s.conn.Notify(s.base, protocol.MethodWindowShowMessage, p); err != nil {
		s.log.Debug("message not shown", zap.String("message", p.Message), zap.Error(err))
	}
}

// ask shows a message with buttons, of which the last changes nothing, and gives the title
// of the one that was pressed, "" for none. It waits as long as the person does, up to ctx.
func (s *Server) ask(ctx context.Context, kind protocol.MessageType, text string, buttons ...string) (string, error) {
	p := &protocol.ShowMessageRequestParams{Type: kind, Message: plain(clip(text, maxMessage))}
	if s.peer.Load().client.preselects {
		buttons = slices.Clone(buttons)
		slices.Reverse(buttons)
	}
	for _, b := range buttons {
		p.Actions = append(p.Actions, protocol.MessageActionItem{Title: b})
	}
	var chosen *struct {
		Title string `json:"title"`
	}
	if err := s.conn.Call(ctx, protocol.MethodWindowShowMessageRequest, p, &chosen); err != nil || chosen == nil {
		return "", err
	}
	return chosen.Title, nil
}

// show opens a document, or says where it is when the client cannot.
func (s *Server) show(ctx context.Context, uri, otherwise string) {
	if s.peer.Load().client.showDocument {
		ctx, cancel := s.within(ctx, answerLimit)
		defer cancel()
		params := &protocol.ShowDocumentParams{URI: protocolURI(uri)}
		if !s.peer.Load().client.falseIsTrue {
			params.TakeFocus = ptr(false)
		}
		var shown struct {
			Success bool `json:"success"`
		}
		err := s.conn.Call(ctx, protocol.MethodWindowShowDocument, params, &shown)
		if err == nil && shown.Success || errors.Is(err, wire.ErrClosed) {
			return
		}
		s.log.Info("the client did not open a document", zap.String("uri", uri), zap.Error(err))
	}
	s.say(protocol.MessageTypeInfo, otherwise)
}

// plain takes terminal escapes and other control characters out of a text; line ends and
// tabs stay.
func plain(text string) string {
	if !strings.ContainsFunc(text, isControl) {
		return text
	}
	var b strings.Builder
	for rest := text; rest != ""; {
		if n := escapeLength(rest); n > 0 {
			rest = rest[n:]
			continue
		}
		r, size := utf8.DecodeRuneInString(rest)
		if !isControl(r) {
			b.WriteString(rest[:size])
		}
		rest = rest[size:]
	}
	return b.String()
}

func isControl(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r)
}

// escapeLength is the length of a terminal escape at the start of s: ECMA-48 control
// sequences (ESC [ … final byte) and strings (ESC ] … BEL or ESC \), or two bytes.
func escapeLength(s string) int {
	if len(s) < 2 || s[0] != 0x1B || s[1] >= utf8.RuneSelf {
		return 0
	}
	switch s[1] {
	case '[':
		for i := 2; i < len(s); i++ {
			if s[i] >= 0x40 && s[i] <= 0x7E {
				return i + 1
			}
		}
		return len(s)
	case ']', 'P', 'X', '^', '_':
		for i := 2; i < len(s); i++ {
			if s[i] == 0x07 {
				return i + 1
			}
			if s[i] == 0x1B && i+1 < len(s) && s[i+1] == '\\' {
				return i + 2
			}
		}
		return len(s)
	}
	return 2
}
