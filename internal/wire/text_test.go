package wire

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAppendString_MeansWhatEncodingJSONMeans(t *testing.T) {
	texts := []string{
		"", "plain", "\x00\x01\x1f \x7f", `"quoted" \ back`, "line\r\n\ttab", "ümlaut 漢字 🎉",
		"\xff\xfe broken", "12345678\"", "1234567\"9", strings.Repeat("!\" ", 50), "<script>&\u2028",
	}
	for _, s := range texts {
		checkText(t, s)
	}
	rapid.Check(t, func(t *rapid.T) {
		checkText(t, string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")))
		checkText(t, rapid.String().Draw(t, "text"))
	})
}

func checkText(t rapid.TB, s string) {
	t.Helper()
	std, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var want, have string
	if err := json.Unmarshal(std, &want); err != nil {
		t.Fatal(err)
	}
	ours := AppendString([]byte("x"), s)[1:]
	if err := json.Unmarshal(ours, &have); err != nil {
		t.Fatalf("%q became %s, which is not JSON: %v", s, ours, err)
	}
	// encoding/json replaces each broken byte, AppendString each run of them.
	if want, have := squeeze(want), squeeze(have); want != have {
		t.Fatal(cmp.Diff(want, have))
	}
}

func squeeze(s string) string {
	for strings.Contains(s, "\uFFFD\uFFFD") {
		s = strings.ReplaceAll(s, "\uFFFD\uFFFD", "\uFFFD")
	}
	return s
}
