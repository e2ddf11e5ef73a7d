package handlers

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.lsp.dev/protocol"
	"pgregory.net/rapid"
)

func TestS3_BytesTravelUnchanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.OneOf(
			rapid.SliceOf(rapid.Byte()),
			rapid.Map(rapid.String(), func(s string) []byte { return []byte(s) }),
		).Draw(t, "bytes")
		raw, err := protocol.Marshal(toPayload(in))
		if err != nil {
			t.Fatal(err)
		}
		var p payload
		if err := decodeParams(raw, &p); err != nil {
			t.Fatal(err)
		}
		out, err := p.bytes("")
		if err != nil || string(out) != string(in) {
			t.Fatalf("%q became %q, %v", in, out, err)
		}
	})
}

func TestF31_AByteOrderMarkAndReplacementCharactersAreData(t *testing.T) {
	for in, enc := range map[string]string{"\uFEFFx": encUTF8, "a\uFFFDb": encUTF8, "\xEF\xBB": encBase64, "a\x00b": encUTF8, "\xED\xA0\x80": encBase64} {
		p := toPayload([]byte(in))
		if p.Encoding != enc {
			t.Errorf("%q travels as %s", in, p.Encoding)
		}
		if out, err := p.bytes(""); err != nil || string(out) != in {
			t.Errorf("%q became %q", in, out)
		}
	}
}

func TestSandboxPathsAreNormalisedByTheirText(t *testing.T) {
	for in, want := range map[string]string{
		"": "/w/sub", ".": "/w/sub", "a": "/w/sub/a", "./a/": "/w/sub/a", "../a": "/w/a", "../../../../x": "/x", "/": "/", "//etc//x": "/etc/x",
		"/../x": "/x", "~": "/w/sub/~", "~/x": "/w/sub/~/x", "a/../b": "/w/sub/b", " ": "/w/sub/ ", "a\nb": "/w/sub/a\nb", "\xE4": "/w/sub/\xE4",
	} {
		if got := sandboxPath("/w/sub", in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestF5_NamesThatAreNotUTF8AreShownAndKept(t *testing.T) {
	for in, want := range map[string][2]string{
		"plain ä": {"plain ä", ""}, "gr\xFC\xDF/ä": {`gr\xFC\xDF/ä`, "Z3L83y/DpA=="}, "": {"", ""}, "\uFFFD": {"\uFFFD", ""},
	} {
		text, b64 := showPath(in)
		if diff := cmp.Diff(want, [2]string{text, b64}); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
		back, err := rawPath("path", text, b64)
		if err != nil || back != in {
			t.Errorf("%q came back as %q, %v", in, back, err)
		}
	}
}

func TestResultsHaveEmptyArraysNotNull(t *testing.T) {
	raw, err := protocol.Marshal(toReturnForTest(t))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"mbox":null,"files":[],"edit":null,"applied":false,"disk":[],"declined":[],"conflicts":[],"skipped":[]}`
	if diff := cmp.Diff(into[any](t, json.RawMessage(want)), into[any](t, raw)); diff != "" {
		t.Errorf("a return without changes is %s: %s", raw, diff)
	}
}

func toReturnForTest(t *testing.T) returnResult {
	c := connect(t, Options{})
	c.initialize(`{"capabilities":{}}`)
	return c.server.toReturn(nil)
}
