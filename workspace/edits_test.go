package workspace

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestMinimalEditsTurnOneTextIntoTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.StringOfN(rapid.RuneFrom([]rune("ab cé😀\u2028")), 0, 6, -1)
		end := rapid.SampledFrom([]string{"\n", "\r\n", "\r"}).Draw(t, "end")
		text := rapid.Custom(func(t *rapid.T) string {
			lines := rapid.SliceOfN(line, 0, 12).Draw(t, "lines")
			out := strings.Join(lines, end)
			if rapid.Bool().Draw(t, "ended") && len(lines) > 0 {
				out += end
			}
			return out
		})
		before, after := text.Draw(t, "before"), text.Draw(t, "after")
		edits := minimalEdits([]byte(before), []byte(after))
		var out []byte
		at := 0
		for i, e := range edits {
			switch {
			case e.Start < at || e.End < e.Start || e.End > len(before):
				t.Fatalf("edit %d %+v overlaps or lies outside", i, e)
			case i > 0 && e.Start == edits[i-1].End && e.Start == e.End:
				t.Fatalf("edit %d %+v begins where the one before ends", i, e)
			case splitsCRLF(before, e.Start) || splitsCRLF(before, e.End):
				t.Fatalf("edit %d %+v splits a CRLF", i, e)
			case !utf8.ValidString(e.New) || !utf8.ValidString(before[e.Start:e.End]):
				t.Fatalf("edit %d %+v splits a character", i, e)
			}
			out = append(append(out, before[at:e.Start]...), e.New...)
			at = e.End
		}
		if got := string(append(out, before[at:]...)); got != after {
			t.Fatalf("%q with %+v gives %q, want %q", before, edits, got, after)
		}
	})
}

func TestEditsAreSmall(t *testing.T) {
	for _, c := range []struct {
		before, after string
		want          []TextEdit
	}{
		{"a\nb\nc\n", "a\nB\nc\n", []TextEdit{{2, 3, "B"}}},
		{"a\nb\n", "a\nb\nc\n", []TextEdit{{3, 3, "\nc"}}},
		{"", "new\n", []TextEdit{{0, 0, "new\n"}}},
		{"same\n", "same\n", nil},
		{"func old(x int) {}\n", "func new(x int) {}\n", []TextEdit{{5, 8, "new"}}},
		{"one\r\ntwo\r\n", "one\r\n2\r\n", []TextEdit{{5, 8, "2"}}},
		{"a😀b\n", "a😁b\n", []TextEdit{{1, 5, "😁"}}},
	} {
		same(t, c.before+"→"+c.after, c.want, minimalEdits([]byte(c.before), []byte(c.after)))
	}
}

// Neovim has no line after the last line end, and makes one where text is put there.
func TestLinesAreAddedBeforeTheLastLineEnd(t *testing.T) {
	for _, c := range []struct {
		before, after string
		want          []TextEdit
	}{
		{"a\r\n", "a\r\nb\r\nc\r\n", []TextEdit{{1, 1, "\r\nb\r\nc"}}},
		{"a\n", "a\n\n", []TextEdit{{1, 1, "\n"}}},
		{"\n", "\n\n", []TextEdit{{0, 0, "\n"}}},
		{"a\n", "ab\nc\n", []TextEdit{{1, 1, "b\nc"}}},
		{"a\nb\n", "x\nb\nc\n", []TextEdit{{0, 1, "x"}, {3, 3, "\nc"}}},
		{"a\n", "a\nb", []TextEdit{{2, 2, "b"}}}, // no line end, so no line
	} {
		same(t, c.before+"→"+c.after, c.want, minimalEdits([]byte(c.before), []byte(c.after)))
	}
}

func TestLargeTextsAreComparedByLines(t *testing.T) {
	before := strings.Repeat("some line of text\n", 40_000)
	after := strings.Replace(before, "some", "another", 1) + "end\n"
	edits := minimalEdits([]byte(before), []byte(after))
	if len(edits) != 2 {
		t.Errorf("%d edits, want 2", len(edits))
	}
	same(t, "text", after, string(applyEdits(t, []byte(before), edits)))
}

func TestOnlyWhatEditorsKeepExactlyIsGivenToThem(t *testing.T) {
	for _, c := range []struct {
		name      string
		was, want string
		kept      bool
	}{
		{"text", "a\n", "b\n", true},
		{"CRLF stays CRLF", "a\r\n", "b\r\n", true},
		{"LF to CRLF", "a\n", "a\r\n", false},
		{"mixed before", "a\r\nb\n", "a\n", false},
		{"mixed after", "a\n", "a\nb\r\n", false},
		{"lone CR", "a\rb\r", "a\rc\r", false},
		{"a CR within a line", "a\n", "a\rb\n", false},
		{"BOM kept", "\ufeffa\n", "\ufeffb\n", true},
		{"BOM removed", "\ufeffa\n", "a\n", false},
		{"BOM added", "a\n", "\ufeffa\n", false},
		{"two BOMs", "\ufeff\ufeffa\n", "\ufeff\ufeffb\n", false},
		{"Latin-1", "a\n", "\xe9\n", false},
		{"was Latin-1", "\xe9\n", "e\n", false},
		{"NUL", "a\n", "a\x00\n", false},
		{"emptied", "a\r\n", "", true},
		{"last line end removed", "a\r\nb\r\n", "a\r\nb", true},
		{"UTF-16", "\xff\xfea\x00", "\xff\xfeb\x00", false},
		{"first CRLF in a file", "a", "a\r\nb", false},
	} {
		if _, _, ok := keptByEditors([]byte(c.was), []byte(c.want)); ok != c.kept {
			t.Errorf("%s: kept is %v, want %v", c.name, ok, c.kept)
		}
	}
}
