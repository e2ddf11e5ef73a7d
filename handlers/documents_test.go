package handlers

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/workspace"
)

// opened starts a client with one document open, and gives the ways to look at it.
func opened(t *testing.T, enc, onDisk, text string) (c *testClient, file, uri string, now func() workspace.Document) {
	t.Helper()
	c = connect(t, Options{})
	c.initialize(`{"capabilities":{"general":{"positionEncodings":["` + enc + `"]}}}`)
	file = filepath.Join(t.TempDir(), "a b.txt")
	if err := os.WriteFile(file, []byte(onDisk), 0o600); err != nil {
		t.Fatal(err)
	}
	uri = fileURI(file)
	c.notify("textDocument/didOpen", `{"textDocument":{"uri":"`+uri+`","languageId":"plaintext","version":1,"text":`+quoted(text)+`}}`)
	return c, file, uri, func() workspace.Document {
		t.Helper()
		c.call("glue/doctor", `{}`) // everything before it is applied
		docs, err := (&editor{s: c.server}).Documents(testContext(t))
		if err != nil || len(docs) != 1 {
			t.Fatalf("%d documents, %v", len(docs), err)
		}
		return docs[0]
	}
}

func TestU5_UnsavedEditsAreSeenInEveryEncoding(t *testing.T) {
	// The change replaces € and the 𝄞 after it; only the columns differ.
	for enc, columns := range map[string][2]int{"utf-8": {3, 10}, "utf-16": {2, 5}, "utf-32": {2, 4}} {
		t.Run(enc, func(t *testing.T) {
			c, file, uri, now := opened(t, enc, "x\r\naä€𝄞z\r\n", "x\r\naä€𝄞z\r\n")
			if d := now(); d.Changed || d.Path != file || d.Version != 1 {
				t.Fatalf("an untouched buffer is %+v", d)
			}
			c.notify("textDocument/didChange", fmt.Sprintf(
				`{"textDocument":{"uri":%q,"version":2},"contentChanges":[{"range":{"start":{"line":1,"character":%d},"end":{"line":1,"character":%d}},"text":"é\n"}]}`,
				uri, columns[0], columns[1]))
			d := now()
			if string(d.Text) != "x\r\naäé\nz\r\n" || !d.Changed || d.Version != 2 {
				t.Errorf("the buffer is %q, changed %v, version %d", d.Text, d.Changed, d.Version)
			}
			c.notify("textDocument/didSave", `{"textDocument":{"uri":"`+uri+`"}}`)
			if d := now(); d.Changed {
				t.Error("a saved buffer counts as changed")
			}
			c.notify("textDocument/didChange", `{"textDocument":{"uri":"`+uri+`","version":3},"contentChanges":[{"text":"whole"},{"range":{"start":{"line":0,"character":0},"end":{"line":0,"character":1}},"text":"W"}]}`)
			if d := now(); string(d.Text) != "Whole" || !d.Changed {
				t.Errorf("after a full change the buffer is %q, changed %v", d.Text, d.Changed)
			}
		})
	}
}

func TestF31_ABufferUnlikeTheDiskWhenOpenedIsUnsaved(t *testing.T) {
	for name, c := range map[string]struct {
		disk, buffer string
		changed      bool
	}{
		"the same":                          {"a\nb\n", "a\nb\n", false},
		"another text":                      {"a\n", "b\n", true},
		"without the byte order mark":       {"\xEF\xBB\xBFa\n", "a\n", false},
		"line feeds of a CRLF file":         {"a\r\nb\r\n", "a\nb\n", false},
		"line feeds of a CR file":           {"a\rb", "a\nb", false},
		"a final line end more":             {"a", "a\n", true},
		"UTF-16 little endian":              {"\xFF\xFEa\x00\n\x00", "a\n", false},
		"UTF-16 big endian, changed":        {"\xFE\xFF\x00a", "b", true},
		"Latin-1 read as such":              {"gr\xFC\xDF", "grüß", false},
		"windows-1252 read as such":         {"\x93x\x94 \x80", "“x” €", false},
		"Latin-1 read as UTF-8":             {"gr\xFC\xDFe", "gr\uFFFD\uFFFDe", false},
		"Latin-1 read as UTF-8, one mark":   {"gr\xFC\xDFe", "gr\uFFFDe", false},
		"Latin-1 read as UTF-8 and changed": {"gr\xFC\xDFe", "gr\uFFFDer", true},
		"an empty file":                     {"", "", false},
		"an empty buffer":                   {"x", "", true},
	} {
		if got := !sameText([]byte(c.buffer), []byte(c.disk)); got != c.changed {
			t.Errorf("%s: changed is %v", name, got)
		}
	}
	_, _, _, now := opened(t, "utf-8", "on disk", "restored by the editor")
	if d := now(); !d.Changed {
		t.Error("a buffer that the editor restored counts as saved")
	}
}

func TestABufferWithoutAFileIsUnsaved(t *testing.T) {
	dir := t.TempDir()
	if readDisk(filepath.Join(dir, "none"), 10) != nil || readDisk(dir, 10) != nil {
		t.Error("something was read where no file is")
	}
	if err := os.WriteFile(filepath.Join(dir, "long"), []byte("12345678901"), 0o600); err != nil {
		t.Fatal(err)
	}
	if readDisk(filepath.Join(dir, "long"), 10) != nil {
		t.Error("a file over the limit was read")
	}
}

func TestDocumentsAreSnapshots(t *testing.T) {
	d := newDocuments(utf16Units)
	if err := d.open("file:///x", "/x", "go", 1, "one", nil); err != nil {
		t.Fatal(err)
	}
	before := d.snapshot()
	change := []textChange{{Range: &textRange{End: textPosition{Character: 3}}, Text: "two"}}
	if err := d.change("/x", 2, change); err != nil {
		t.Fatal(err)
	}
	if string(before[0].Text) != "one" {
		t.Errorf("a snapshot became %q", before[0].Text)
	}
	if got := d.snapshot(); string(got[0].Text) != "two" {
		t.Errorf("the buffer is %q", got[0].Text)
	}
	d.close("/x")
	if got := d.snapshot(); len(got) != 0 || d.bytes != 0 {
		t.Errorf("after closing there are %d documents and %d bytes", len(got), d.bytes)
	}
}

func TestOneFileUnderTwoURIsIsOneDocument(t *testing.T) {
	d := newDocuments(utf16Units)
	for i, uri := range []string{"file:///a%20b", "file:///a b"} {
		if err := d.open(uri, "/a b", "", int32(i), "text", []byte("text")); err != nil {
			t.Fatal(err)
		}
	}
	if got := d.snapshot(); len(got) != 1 || d.bytes != 4 {
		t.Errorf("there are %d documents with %d bytes", len(got), d.bytes)
	}
	if got := d.uriOf("/a b"); got != "file:///a b" {
		t.Errorf("the client's name is %s", got)
	}
}

func TestX14_AChangeThatCannotBeReadNeverYieldsAWrongText(t *testing.T) {
	for name, changes := range map[string]string{
		"a negative line":         `[{"range":{"start":{"line":-1,"character":0},"end":{"line":0,"character":0}},"text":"y"}]`,
		"a huge character":        `[{"range":{"start":{"line":0,"character":0},"end":{"line":0,"character":50000000000}},"text":"y"}]`,
		"an end before its start": `[{"range":{"start":{"line":0,"character":2},"end":{"line":0,"character":1}},"text":"y"}]`,
		"a text that is none":     `[{"text":7}]`,
		"no text":                 `[{"range":{"start":{"line":0,"character":0},"end":{"line":0,"character":1}}}]`,
		"no array":                `{"text":"x"}`,
		"half a range":            `[{"range":{"start":{"line":0,"character":0}},"text":"y"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			c, _, uri, now := opened(t, "utf-16", "abc", "abc")
			c.notify("textDocument/didChange", `{"textDocument":{"uri":"`+uri+`","version":2},"contentChanges":`+changes+`}`)
			c.await("window/showMessage", contains("cannot follow the text"))
			docs, _ := (&editor{s: c.server}).Documents(testContext(t))
			if len(docs) != 0 {
				t.Fatalf("a text is still offered: %q", docs[0].Text)
			}
			c.notify("textDocument/didChange", `{"textDocument":{"uri":"`+uri+`","version":3},"contentChanges":[{"text":"again"}]}`)
			if d := now(); string(d.Text) != "again" || !d.Changed {
				t.Errorf("after a whole text the buffer is %q", d.Text)
			}
		})
	}
}

func TestF31_ALoneSurrogateIsReadAsItWouldBeSaved(t *testing.T) {
	c, _, uri, now := opened(t, "utf-16", "abc", "abc")
	c.notify("textDocument/didChange", `{"textDocument":{"uri":"`+uri+`","version":2},"contentChanges":[{"range":{"start":{"line":0,"character":1},"end":{"line":0,"character":2}},"text":"\ud83d"},
		{"range":{"start":{"line":0,"character":2},"end":{"line":0,"character":2}},"text":"x"}]}`)
	if d := now(); string(d.Text) != "a\uFFFDxc" {
		t.Errorf("the buffer is %q", d.Text)
	}
	c.refused("glue/exec", `{"command":"echo \ud83d"}`, -32602, "command")
}

func TestX14_TextNotificationsOutOfPlaceAreIgnored(t *testing.T) {
	c := connect(t, Options{})
	c.initialize(`{"capabilities":{}}`)
	for _, n := range []struct{ method, params string }{
		{"textDocument/didChange", `{"textDocument":{"uri":"file:///never","version":2},"contentChanges":[{"text":"x"}]}`},
		{"textDocument/didChange", `null`},
		{"textDocument/didOpen", `[]`},
		{"textDocument/didOpen", `{"textDocument":{"uri":"untitled:1","languageId":"x","version":1,"text":""}}`},
		{"textDocument/didOpen", `{"textDocument":{"uri":"file:///x%zz","languageId":"x","version":1,"text":""}}`},
		{"textDocument/didSave", `{"textDocument":{"uri":"file:///never"}}`},
		{"textDocument/didClose", `{"textDocument":{}}`},
		{"workspace/didChangeConfiguration", `7`},
		{"workspace/didChangeWorkspaceFolders", `{}`},
		{"glue/exec/ack", `{"execId":"none","bytes":-5}`},
		{"window/workDoneProgress/cancel", `{"token":{}}`},
		{"$/setTrace", `{}`},
	} {
		c.notify(n.method, n.params)
	}
	c.call("glue/doctor", `{}`)
	if docs := c.server.peer.Load().docs.snapshot(); len(docs) != 0 {
		t.Errorf("there are documents: %+v", docs)
	}
}

func TestBuffersOfAnySizeAreBounded(t *testing.T) {
	d := newDocuments(utf8Units)
	big := strings.Repeat("x", maxDocumentBytes+1)
	if err := d.open("file:///x", "/x", "", 1, big, nil); err == nil {
		t.Error("a buffer over the limit was taken without a word")
	}
	if got := d.snapshot(); len(got) != 0 || d.bytes != 0 {
		t.Errorf("it is kept: %d documents, %d bytes", len(got), d.bytes)
	}
	if err := d.open("file:///y", "/y", "", 1, big[:maxDocumentBytes-1], nil); err != nil {
		t.Error(err)
	}
	grow := []textChange{{Range: &textRange{}, Text: "xx"}}
	if err := d.change("/y", 2, grow); err == nil || d.bytes != 0 {
		t.Errorf("a buffer grew over the limit: %v, %d bytes", err, d.bytes)
	}
}

func TestUniformLinesHasOnlyLF(t *testing.T) {
	for in, want := range map[string]string{"": "", "a\r\nb\rc\n\r\n\r": "a\nb\nc\n\n\n", "\r\r\n": "\n\n"} {
		if diff := cmp.Diff(want, string(uniformLines([]byte(in)))); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
	}
	if p := []byte("a\nb"); &uniformLines(p)[0] != &p[0] {
		t.Error("a text without CR was copied")
	}
	if !bytes.Equal(collapseReplaced([]byte("a\uFFFD\uFFFDb")), []byte("a\uFFFDb")) {
		t.Error("a run of replacement characters is not one")
	}
}

func TestABufferThatTheEditorReloadedFromDiskIsNotUnsavedText(t *testing.T) {
	c, file, uri, now := opened(t, "utf-16", "one\r\n", "one\n")
	if d := now(); d.Changed {
		t.Error("an untouched buffer counts as changed")
	}
	if err := os.WriteFile(file, []byte("two\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.notify("textDocument/didChange", `{"textDocument":{"uri":"`+uri+`","version":2},"contentChanges":[{"text":"two\n"}]}`)
	if d := now(); d.Changed {
		t.Error("a reloaded buffer counts as changed")
	}
	if err := os.WriteFile(file, []byte("newer\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if d := now(); d.Changed {
		t.Error("a buffer that is about to be reloaded counts as changed")
	}
	c.notify("textDocument/didChange", `{"textDocument":{"uri":"`+uri+`","version":3},"contentChanges":[{"text":"three\n"}]}`)
	if d := now(); !d.Changed {
		t.Error("typing does not count")
	}
	c.notify("textDocument/didChange", `{"textDocument":{"uri":"`+uri+`","version":4},"contentChanges":[{"text":"newer\n"}]}`)
	if d := now(); !d.Changed {
		t.Error("text that was typed and changed back is not read again by the editor, and counts as clean")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if d := now(); !d.Changed {
		t.Error("text whose file is gone does not count")
	}
}

func TestABufferThatWasReloadedAgainAndAgainIsNotUnsavedText(t *testing.T) {
	c, file, uri, now := opened(t, "utf-16", "one\n", "one\n")
	now()
	for version, text := range []string{"two\n", "three\n", "four\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c.notify("textDocument/didChange", fmt.Sprintf(`{"textDocument":{"uri":"%s","version":%d},"contentChanges":[{"text":%q}]}`, uri, version+2, text))
		c.call("glue/doctor", `{}`) // the change has come
	}
	if d := now(); d.Changed {
		t.Error("a buffer that nobody looked at between its reloads counts as changed")
	}
}
