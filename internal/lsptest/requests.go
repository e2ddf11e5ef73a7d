package lsptest

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"glue-lsp/internal/wire"
)

// peer is the editor as the server sees it.
type peer struct{ e *Editor }

// OnRequest answers a request of the server's in the test's own way, known or not.
func (e *Editor) OnRequest(method string, answer func(params json.RawMessage) (any, error)) {
	e.change(func(*State) { e.handlers[method] = answer })
}

// OnMessage chooses one of the actions under a message; "" closes it, which is what happens
// without OnMessage.
func (e *Editor) OnMessage(choose func(Message) string) {
	e.change(func(*State) { e.choose = choose })
}

// Call answers a request of the server's.
func (p peer) Call(ctx context.Context, method string, params json.RawMessage) (any, error) {
	e := p.e
	e.mu.Lock()
	own, profile := e.handlers[method], e.profile
	e.mu.Unlock()
	if own != nil {
		return own(params)
	}
	declared := func(yes bool) {
		if !yes {
			e.tb.Errorf("%s was sent to a client that does not declare it", method)
		}
	}
	switch method {
	case "workspace/applyEdit":
		return e.applyEdit(ctx, params)
	case "window/showMessageRequest":
		return e.messageRequest(params)
	case "window/showDocument":
		declared(profile.ShowDocument)
		return e.showDocument(params)
	case "window/workDoneProgress/create":
		declared(profile.Progress)
		return nil, e.createProgress(params)
	case "workspace/configuration":
		declared(profile.Configuration)
		return e.configuration(params)
	case "workspace/workspaceFolders":
		return e.folders(), nil
	case "client/registerCapability":
		return nil, e.register(params)
	case "client/unregisterCapability":
		return nil, nil
	case "workspace/codeLens/refresh":
		declared(profile.CodeLens)
		e.change(func(s *State) { s.Refreshes = append(s.Refreshes, method) })
		return nil, nil
	case "workspace/textDocumentContent/refresh":
		declared(profile.DocumentContent)
		e.change(func(s *State) { s.Refreshes = append(s.Refreshes, method) })
		return nil, nil
	}
	e.tb.Errorf("the server asked for %s, which this editor does not know: %s", method, params)
	return nil, wire.NotFound(method)
}

// Notify takes a notification of the server's.
func (p peer) Notify(_ context.Context, method string, params json.RawMessage) {
	e := p.e
	switch {
	case method == "window/showMessage":
		var m struct {
			Type    int    `json:"type"`
			Message string `json:"message"`
		}
		if e.decode(method, params, &m) {
			e.change(func(s *State) { s.Messages = append(s.Messages, Message{Type: m.Type, Text: m.Message}) })
		}
	case method == "window/logMessage":
		var m struct {
			Message string `json:"message"`
		}
		if e.decode(method, params, &m) {
			e.change(func(s *State) { s.Logs = append(s.Logs, m.Message) })
		}
	case method == "$/progress":
		e.progress(params)
	case method == "$/logTrace":
	case strings.HasPrefix(method, "glue/"):
		e.change(func(s *State) { s.Notifications = append(s.Notifications, Notification{method, params}) })
	default:
		e.tb.Errorf("the server sent %s, which this editor does not know: %s", method, params)
	}
}

// decode fails the test when the server's params are not what LSP says.
func (e *Editor) decode(method string, params json.RawMessage, into any) bool {
	if err := json.Unmarshal(params, into); err != nil {
		e.tb.Errorf("%s: %v in %s", method, err, params)
		return false
	}
	return true
}

func (e *Editor) messageRequest(params json.RawMessage) (any, error) {
	var m struct {
		Type    int    `json:"type"`
		Message string `json:"message"`
		Actions []struct {
			Title string `json:"title"`
		} `json:"actions"`
	}
	if !e.decode("window/showMessageRequest", params, &m) {
		return nil, wire.Errorf(wire.InvalidParams, "malformed")
	}
	shown := Message{Type: m.Type, Text: m.Message}
	for _, a := range m.Actions {
		shown.Actions = append(shown.Actions, a.Title)
	}
	e.change(func(s *State) { s.Messages = append(s.Messages, shown) })
	e.mu.Lock()
	choose := e.choose
	e.mu.Unlock()
	if choose == nil {
		return nil, nil
	}
	title := choose(shown)
	if title == "" {
		return nil, nil
	}
	if !slices.Contains(shown.Actions, title) {
		e.tb.Errorf("the test chose %q; %q offers %q", title, shown.Text, shown.Actions)
	}
	return object{"title": title}, nil
}

func (e *Editor) showDocument(params json.RawMessage) (any, error) {
	var d struct {
		URI       string `json:"uri"`
		External  bool   `json:"external"`
		TakeFocus bool   `json:"takeFocus"`
	}
	ok := e.decode("window/showDocument", params, &d)
	e.change(func(s *State) { s.Documents = append(s.Documents, Document(d)) })
	return object{"success": ok}, nil
}

func (e *Editor) configuration(params json.RawMessage) (any, error) {
	var p struct {
		Items []struct {
			Section string `json:"section"`
		} `json:"items"`
	}
	if !e.decode("workspace/configuration", params, &p) {
		return nil, wire.Errorf(wire.InvalidParams, "malformed")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	values := make([]any, len(p.Items))
	for i, item := range p.Items {
		if item.Section == "glue" {
			values[i] = e.settings
		}
	}
	return values, nil
}

func (e *Editor) register(params json.RawMessage) error {
	var p struct {
		Registrations []struct {
			ID     string `json:"id"`
			Method string `json:"method"`
		} `json:"registrations"`
	}
	if !e.decode("client/registerCapability", params, &p) {
		return wire.Errorf(wire.InvalidParams, "malformed")
	}
	e.change(func(s *State) {
		for _, r := range p.Registrations {
			s.Registered = append(s.Registered, r.Method)
		}
	})
	return nil
}

func (e *Editor) createProgress(params json.RawMessage) error {
	var p struct {
		Token json.RawMessage `json:"token"`
	}
	if !e.decode("window/workDoneProgress/create", params, &p) {
		return wire.Errorf(wire.InvalidParams, "malformed")
	}
	e.change(func(*State) {
		token := tokenOf(p.Token)
		if e.tokens[token] {
			e.tb.Errorf("progress token %s was made twice", token)
		}
		e.tokens[token] = true
	})
	return nil
}

// progress holds the server to the order begin, reports, end (LSP 3.18 "Work Done Progress").
func (e *Editor) progress(params json.RawMessage) {
	var p struct {
		Token json.RawMessage `json:"token"`
		Value struct {
			Kind    string `json:"kind"`
			Title   string `json:"title"`
			Message string `json:"message"`
		} `json:"value"`
	}
	if !e.decode("$/progress", params, &p) {
		return
	}
	token := tokenOf(p.Token)
	e.change(func(s *State) {
		if !e.tokens[token] {
			e.tb.Errorf("progress was reported for token %s, which nobody made", token)
		}
		at := slices.IndexFunc(s.Progress, func(have Progress) bool { return have.Token == token })
		if at < 0 {
			s.Progress = append(s.Progress, Progress{Token: token})
			at = len(s.Progress) - 1
		}
		one := &s.Progress[at]
		if begins := p.Value.Kind == "begin"; begins == one.Begun || one.Ended {
			e.tb.Errorf("progress %s: %q came out of order", token, p.Value.Kind)
		}
		switch p.Value.Kind {
		case "begin":
			one.Begun, one.Title = true, p.Value.Title
			fallthrough
		case "report":
			if p.Value.Message != "" {
				one.Reports = append(one.Reports, p.Value.Message)
			}
		case "end":
			one.Ended, one.Last = true, p.Value.Message
		default:
			e.tb.Errorf("progress %s: no such kind: %q", token, p.Value.Kind)
		}
	})
}

// tokenOf makes one name of a token that may be a number or a string.
func tokenOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}
