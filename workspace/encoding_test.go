package workspace

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestF31_AFormWritesTheSameBytesThatItWasReadFrom(t *testing.T) {
	for _, c := range []struct {
		name string
		file string
		text string
		form Form
	}{
		{"empty", "", "", Form{}},
		{"one line", "a", "a", Form{}},
		{"line feeds", "a\nb\n", "a\nb\n", Form{Ends: LF}},
		{"carriage returns and line feeds", "a\r\nb\r\n", "a\r\nb\r\n", Form{Ends: CRLF}},
		{"carriage returns", "a\rb\r", "a\rb\r", Form{Ends: CR}},
		{"mixed", "a\r\nb\n", "a\r\nb\n", Form{Ends: MixedEnds}},
		{"byte order mark", "\xEF\xBB\xBFé\n", "é\n", Form{BOM: true, Ends: LF}},
		{"a second byte order mark is text", "\xEF\xBB\xBF\xEF\xBB\xBFa", "\uFEFFa", Form{BOM: true}},
		{"UTF-16, little end first", "\xFF\xFEa\x00\r\x00\n\x00", "a\r\n", Form{Encoding: UTF16LE, BOM: true, Ends: CRLF}},
		{"UTF-16, big end first", "\xFE\xFF\x00a\xD8\x3D\xDE\x00", "a😀", Form{Encoding: UTF16BE, BOM: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, form, ok := DecodeDocument([]byte(c.file))
			if !ok {
				t.Fatal("not taken for text")
			}
			if diff := cmp.Diff(c.text, string(text)); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.form, form); diff != "" {
				t.Errorf("form (-want +got):\n%s", diff)
			}
			back, err := form.Encode(text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.file, string(back)); diff != "" {
				t.Errorf("bytes written back (-want +got):\n%s", diff)
			}
		})
	}
}

func TestF31_WhatIsNotTextInAKnownEncodingIsNotDecoded(t *testing.T) {
	for name, file := range map[string]string{
		"a NUL":                   "a\x00b",
		"not UTF-8":               "caf\xE9",
		"half a UTF-16 unit":      "\xFF\xFEa\x00b",
		"a lone high surrogate":   "\xFF\xFE\x3D\xD8a\x00",
		"a high surrogate, end":   "\xFF\xFE\x3D\xD8",
		"a lone low surrogate":    "\xFE\xFF\xDE\x00",
		"a NUL in UTF-16":         "\xFF\xFE\x00\x00",
		"UTF-8 mark, not UTF-8":   "\xEF\xBB\xBF\xFF",
		"surrogate coded as text": "\xED\xA0\x80",
	} {
		if text, form, ok := DecodeDocument([]byte(file)); ok {
			t.Errorf("%s: decoded as %q, %+v", name, text, form)
		}
	}
}

func TestF31_ABufferHoldsWhatItsEditorWouldSaveAsTheWantedBytes(t *testing.T) {
	crlf, bom := Form{Ends: CRLF}, Form{BOM: true, Ends: LF}
	for _, c := range []struct {
		name   string
		form   Form
		buffer string
		want   string
		text   string
		ok     bool
	}{
		{"line feeds", Form{Ends: LF}, "a\n", "b\n", "b\n", true},
		{"an editor that shows carriage returns (VS Code)", crlf, "a\r\n", "b\r\nc\r\n", "b\r\nc\r\n", true},
		{"an editor that hides them (Emacs)", crlf, "a\n", "b\r\nc\r\n", "b\nc\n", true},
		{"no line ends at all any more", crlf, "a\r\n", "b", "b", true},
		{"the mark is the editor's business", bom, "a\n", "\xEF\xBB\xBFb\n", "b\n", true},
		{"the mark went", bom, "a\n", "b\n", "", false},
		{"the mark came", Form{Ends: LF}, "a\n", "\xEF\xBB\xBFb\n", "", false},
		{"line ends changed, shown", crlf, "a\r\n", "a\n", "", false},
		{"line ends changed, hidden", crlf, "a\n", "a\n", "", false},
		{"line ends came", Form{Ends: LF}, "a\n", "a\r\n", "", false},
		{"mixed now", Form{Ends: LF}, "a\n", "a\r\nb\n", "", false},
		{"mixed before, uniform in the buffer and wanted so", Form{Ends: MixedEnds}, "a\nb\n", "b\n", "b\n", true},
		{"mixed before and after", Form{Ends: MixedEnds}, "a\r\nb\n", "a\r\nc\n", "", false},
		{"a first line end", Form{}, "a", "a\nb\n", "a\nb\n", true},
		{"a first line end of the other kind", Form{}, "a", "a\r\n", "", false},
		{"an emptied buffer of a CRLF file", crlf, "", "a\r\n", "", false},
		{"binary", Form{Ends: LF}, "a\n", "a\x00", "", false},
		{"other encoding", Form{Encoding: UTF16LE, BOM: true}, "a", "b", "", false},
		{"UTF-16", Form{Encoding: UTF16LE, BOM: true}, "a", "\xFF\xFEb\x00", "b", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, ok := c.form.BufferText([]byte(c.buffer), []byte(c.want))
			if ok != c.ok {
				t.Fatalf("ok = %v, want %v", ok, c.ok)
			}
			if ok && string(text) != c.text {
				t.Errorf("text %q, want %q", text, c.text)
			}
		})
	}
}

// What BufferText promises: saving the text by the form gives the wanted bytes.
func TestF31_SavingABufferTextGivesTheWantedBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.SampledFrom([]string{"a", "é", "\n", "\r\n", "\r", "\uFEFF", "😀"})
		text := func(label string) []byte {
			var out []byte
			for _, p := range rapid.SliceOfN(piece, 0, 8).Draw(t, label) {
				out = append(out, p...)
			}
			return out
		}
		form := rapid.SampledFrom([]Form{{}, {BOM: true}, {Encoding: UTF16LE, BOM: true}, {Encoding: UTF16BE, BOM: true}})
		disk, err := form.Draw(t, "form of the disk").Encode(text("disk"))
		if err != nil {
			t.Fatal(err)
		}
		want, err := form.Draw(t, "form wanted").Encode(text("want"))
		if err != nil {
			t.Fatal(err)
		}
		shown, f, ok := DecodeDocument(disk)
		if !ok {
			t.Fatalf("%q was made as text", disk)
		}
		if rapid.Bool().Draw(t, "editor hides carriage returns") {
			shown = withLF(shown)
		}
		if got, ok := f.BufferText(shown, want); ok {
			saved, err := f.Encode(got)
			if err != nil || !bytes.Equal(saved, want) {
				t.Fatalf("disk %q, buffer %q: text %q is saved as %q (%v), want %q", disk, shown, got, saved, err, want)
			}
		}
	})
}

func FuzzDecodeDocument(f *testing.F) {
	for _, seed := range []string{"", "a\r\n", "\xEF\xBB\xBFa", "\xFF\xFEa\x00", "\xFE\xFF\xD8\x3D\xDE\x00", "\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		text, form, ok := DecodeDocument(file)
		if !ok {
			return
		}
		back, err := form.Encode(text)
		if err != nil || !bytes.Equal(back, file) {
			t.Fatalf("%q came back as %q (%v)", file, back, err)
		}
	})
}
