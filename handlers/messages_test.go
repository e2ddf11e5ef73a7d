package handlers

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestX8_MessagesHoldNoTerminalEscapes(t *testing.T) {
	for in, want := range map[string]string{
		"plain ä\n\ttext": "plain ä\n\ttext", "\x1b[31mred\x1b[0m": "red", "a\x1b]0;title\x07b": "ab", "a\x1b]8;;http://x\x1b\\b": "ab",
		"a\x1b[": "a", "a\x1b": "a", "\x1bcx": "x", "a\rb\x00c\x7f": "abc", "a\u009bb": "ab", "a\u202eb\u2066": "ab", "\x1bP1;2q\x1b\\z": "z",
	} {
		if got := plain(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		got := plain(rapid.String().Draw(t, "text"))
		if strings.ContainsFunc(got, isControl) || !utf8.ValidString(got) {
			t.Fatalf("%q", got)
		}
	})
}

func TestADocumentThatIsNotShownIsNamed(t *testing.T) {
	for name, answer := range map[string]func() (any, error){
		"refused": func() (any, error) { return map[string]any{"success": false}, nil },
		"null":    func() (any, error) { return nil, nil },
	} {
		c := connect(t, Options{})
		c.answer = func(_ context.Context, method string, _ json.RawMessage) (any, error) { return answer() }
		c.initialize(`{"capabilities":{"window":{"showDocument":{"support":true}}}}`)
		c.server.show(testContext(t), "file:///x/gr%FC", "it is at x")
		c.await("window/showDocument", contains(`"uri":"file:///x/gr%FC"`))
		if c.await("window/showMessage", contains("it is at x")) == nil {
			t.Error(name)
		}
	}
}

func TestAskGivesTheChosenButton(t *testing.T) {
	for answer, want := range map[string]string{`{"title":"Yes"}`: "Yes", `null`: ""} {
		c := connect(t, Options{})
		c.answer = func(context.Context, string, json.RawMessage) (any, error) { return json.RawMessage(answer), nil }
		c.initialize(`{"capabilities":{}}`)
		got, err := c.server.ask(testContext(t), 3, "Well?", "Yes", "No")
		if got != want || err != nil {
			t.Errorf("%s gives %q, %v", answer, got, err)
		}
		c.await("window/showMessageRequest", contains(`"actions":[{"title":"Yes"},{"title":"No"}]`))
	}
}
