package workspace

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"pgregory.net/rapid"
)

func TestF31_ABufferIsWrittenInItsFilesForm(t *testing.T) {
	for _, c := range []struct{ name, disk, buffer, want string }{
		{"plain", "a\nb\n", "a\nB\n", "a\nB\n"},
		{"nothing on disk", "", "a\nb\n", "a\nb\n"},
		{"nothing on disk, other line ends", "", "a\r\n", "a\r\n"},
		{"carriage returns hidden by the editor", "a\r\nb\r\n", "a\nB\n", "a\r\nB\r\n"},
		{"carriage returns shown by the editor", "a\r\nb\r\n", "a\r\nB\r\n", "a\r\nB\r\n"},
		{"only carriage returns", "a\rb\r", "a\nB\n", "a\rB\r"},
		{"line ends changed by the person", "a\nb\n", "a\r\nB\r\n", "a\r\nB\r\n"},
		{"mark stripped by the editor", "\xEF\xBB\xBFa\n", "b\n", "\xEF\xBB\xBFb\n"},
		{"mark shown by the editor", "\xEF\xBB\xBFa\n", "\uFEFFb\n", "\xEF\xBB\xBFb\n"},
		{"UTF-16", "\xFF\xFEa\x00\r\x00\n\x00", "é\n", "\xFF\xFE\xE9\x00\r\x00\n\x00"},
		{"mixed ends, held alike by the editor", "a\r\nb\nc\r\n", "a\nb\nC\n", "a\r\nb\nC\r\n"},
		{"mixed ends, a line inserted", "a\r\nb\nc\r\n", "a\nx\nb\nc\n", "a\r\nx\nb\nc\r\n"},
		{"mixed ends, a line removed", "a\r\nb\nc\r\nd\n", "a\r\nc\r\nd\n", "a\r\nc\r\nd\n"},
		{"mixed ends, last line loses its end", "a\r\nb\n", "a\nb", "a\r\nb"},
		{"mixed ends, last line gets an end", "a\r\nb\nc", "a\nb\nc\n", "a\r\nb\nc\n"},
		{"emptied", "a\r\n", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := overlay([]byte(c.disk), []byte(c.buffer))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestF31_ABufferThatSaysNothingNewLeavesTheDisksBytes(t *testing.T) {
	for name, c := range map[string]struct{ disk, buffer string }{
		"mark stripped":           {"\xEF\xBB\xBFa\n", "a\n"},
		"carriage returns hidden": {"a\r\nb\r\n", "a\nb\n"},
		"mixed made one":          {"a\r\nb\nc\r", "a\nb\nc\n"},
		"UTF-16":                  {"\xFE\xFF\x00a\x00\n", "a\n"},
		"Latin-1":                 {"caf\xE9\r\nx\n", "café\nx\n"},
		"Latin-1, read as UTF-8":  {"caf\xE9\nx\n", "caf\uFFFD\nx\n"},
	} {
		got, err := overlay([]byte(c.disk), []byte(c.buffer))
		if err != nil || string(got) != c.disk {
			t.Errorf("%s: %q (%v), want the disk's %q", name, got, err, c.disk)
		}
	}
}

func TestF31_LinesOfAnUnknownEncodingKeepTheirBytes(t *testing.T) {
	sjis, err := japanese.ShiftJIS.NewEncoder().String("日本語\r\n表\r\n")
	if err != nil {
		t.Fatal(err)
	}
	sjisWant, err := japanese.ShiftJIS.NewEncoder().String("日本語\r\n表と本\r\n")
	if err != nil {
		t.Fatal(err)
	}
	koi8, err := charmap.KOI8R.NewEncoder().String("привет, мир\nждём\n")
	if err != nil {
		t.Fatal(err)
	}
	koi8Want, err := charmap.KOI8R.NewEncoder().String("привет, мир\nне ждём\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, disk, buffer, want string }{
		{"plain change beside a Latin-1 line", "caf\xE9\nx = 1\n", "café\nx = 2\n", "caf\xE9\nx = 2\n"},
		{"plain change, the editor read it as UTF-8", "caf\xE9\nx = 1\n", "caf\uFFFD\nx = 2\n", "caf\xE9\nx = 2\n"},
		{"the Latin-1 line itself", "caf\xE9\n", "un café\n", "un caf\xE9\n"},
		{"another Latin-1 letter", "caf\xE9\n", "café à\n", "caf\xE9 \xE0\n"},
		{"the one letter goes", "caf\xE9\n", "cafe\n", "cafe\n"},
		{"Latin-1 with carriage returns hidden", "caf\xE9\r\nb\r\n", "café\nB\n", "caf\xE9\r\nB\r\n"},
		{"Latin-1 with mixed ends", "caf\xE9\r\nb\nc\r\n", "café\nB\nc\n", "caf\xE9\r\nB\nc\r\n"},
		{"Shift JIS", sjis, "日本語\n表と本\n", sjisWant},
		{"KOI8-R", koi8, "привет, мир\nне ждём\n", koi8Want},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := overlay([]byte(c.disk), []byte(c.buffer))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]byte(c.want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestF31_ATextThatCannotBeWrittenInTheFilesFormIsRefusedWithAReason(t *testing.T) {
	for _, c := range []struct{ name, disk, buffer, reason string }{
		{"binary", "a\x00b", "ab", "not text"},
		{"no encoding shown", "\xE9\n", "plain and é\n\u20AC", "several encodings"},
		{"a letter which the editor lost is in a changed line", "caf\xE9\n", "un caf\uFFFD\n", "not known"},
		{"a letter that Latin-1 lacks", "caf\xE9\n", "café 日本\n", "not known"},
		{"the editor's text", "a\n", "\xFF", "not valid UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := overlay([]byte(c.disk), []byte(c.buffer))
			if err == nil {
				t.Fatalf("written as %q", got)
			}
			if !strings.Contains(err.Error(), c.reason) {
				t.Errorf("reason %q does not say %q", err, c.reason)
			}
		})
	}
}

// Whatever the bytes and whatever the editor shows of them, a buffer that was not
// edited leaves them alone, and an edit of one line leaves all other lines alone.
func TestF31_UneditedLinesKeepTheirBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.SampledFrom([]string{"", "x", "caf\xE9", "na\xC3\xAFve", "\xFF\xFE\xFD", "y = 1"})
		end := rapid.SampledFrom([]string{"\n", "\r\n", "\r"})
		var disk []byte
		for range rapid.IntRange(1, 6).Draw(t, "lines") {
			disk = append(append(disk, content.Draw(t, "line")...), end.Draw(t, "end")...)
		}
		if bytes.HasPrefix(disk, bomUTF16LE) {
			return // that would be UTF-16
		}
		shown := bytes.ToValidUTF8(disk, []byte("\uFFFD"))
		if rapid.Bool().Draw(t, "line feeds only") {
			shown = withLF(shown)
		}
		got, err := overlay(disk, shown)
		if err != nil || !bytes.Equal(got, disk) {
			t.Fatalf("unedited %q became %q (%v)", disk, got, err)
		}

		lines := splitLines(shown)
		at := rapid.IntRange(0, len(lines)-1).Draw(t, "edited line")
		before, after := joinLines(splitLines(disk)[:at]), joinLines(splitLines(disk)[at+1:])
		lines[at].content = []byte("EDITED")
		got, err = overlay(disk, joinLines(lines))
		if err != nil || !bytes.HasPrefix(got, before) || !bytes.HasSuffix(got, after) || !bytes.Contains(got, []byte("EDITED")) {
			t.Fatalf("%q with line %d edited became %q (%v)", disk, at, got, err)
		}
	})
}
