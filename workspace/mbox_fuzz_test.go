package workspace

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzLetter: whatever a sandbox puts into a commit, the message stays one message,
// and nothing of it before the patch is taken for a patch or a header.
func FuzzLetter(f *testing.F) {
	f.Add("subject\n\nbody\n", "A B", "a@b", "1700000000 +0100")
	f.Add("[x]\n\ndiff --git a/x b/x\n---\nFrom x\n", "\"q\" (c)", "@@", "-1 +9999")
	f.Add("\xff\r\n\nFrom: y\n>From z\n", "\n\x00<>", "", "")
	f.Fuzz(func(t *testing.T, message, name, email, date string) {
		message = strings.ReplaceAll(message, "\x00", "")
		l, lost := letterOf(&mboxCommit{id: "1", message: message, name: name, email: email, date: date}, time.Unix(0, 0))
		var out bytes.Buffer
		l.write(&out, strings.Repeat("a", 40))
		if !utf8.Valid(out.Bytes()) {
			t.Fatalf("not UTF-8: %q", out.Bytes())
		}
		head, body, ok := strings.Cut(out.String(), "\n\n")
		if !ok {
			t.Fatalf("no end of the headers: %q", out.String())
		}
		fields := 0
		for i, line := range strings.Split(head, "\n") {
			switch {
			case i == 0:
				if !strings.HasPrefix(line, "From a") {
					t.Fatalf("first line %q", line)
				}
			case strings.HasPrefix(line, " "):
			default:
				fields++
			}
		}
		if fields != 6 {
			t.Fatalf("%d header fields: %q", fields, head)
		}
		body, ok = strings.CutSuffix(body, "---\n\n")
		if !ok {
			t.Fatalf("no separator at the end: %q", body)
		}
		first := true
		for line := range strings.Lines(body) {
			if strings.HasPrefix(line, "From ") || beginsPatch(line) || first && beginsHeaders(line) && !strings.HasPrefix(line, ">From ") {
				t.Fatalf("%q stands in the body %q", line, body)
			}
			first = first && strings.TrimSpace(line) == ""
		}
		if lost == nil && (stripSpace(message) != message || !utf8.ValidString(message)) {
			t.Fatalf("%q is said to survive", message)
		}
	})
}

// FuzzActsByItself and the resolution of links take any path that a sandbox makes up.
func FuzzActsByItself(f *testing.F) {
	f.Add(".vscode/tasks.json", "../x")
	f.Add("a/[/\\", "\xff/../..")
	f.Fuzz(func(t *testing.T, path, target string) {
		acts := ActsByItself(path)
		if below := ActsByItself("x/" + path); acts != nil && below == nil {
			t.Fatalf("%q acts, but not in a folder", path)
		}
		l := &linkMap{targets: map[string]string{"a/link": target}}
		real, inside := l.resolve("a/link/" + path)
		if inside && (strings.HasPrefix(real, "/") || strings.HasPrefix(real, "../") || real == "..") {
			t.Fatalf("%q is said to lie inside", real)
		}
	})
}
