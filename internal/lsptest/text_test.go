package lsptest

import (
	"io/fs"
	"testing"

	"pgregory.net/rapid"
)

// walk names the regular files of a tree.
func walk(root fs.FS) (names []string, err error) {
	err = fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, path)
		}
		return err
	})
	return names, err
}

func TestPositions(t *testing.T) {
	const text = "aü🎉b\r\nc\rd\n"
	cases := []struct {
		encoding string
		at       Position
		offset   int
	}{
		{"utf-8", Position{0, 3}, 3},
		{"utf-16", Position{0, 2}, 3},
		{"utf-32", Position{0, 2}, 3},
		{"utf-8", Position{0, 7}, 7},
		{"utf-16", Position{0, 4}, 7},
		{"utf-32", Position{0, 3}, 7},
		{"utf-16", Position{0, 5}, 8},
		{"utf-16", Position{1, 1}, 11},
		{"utf-16", Position{2, 0}, 12},
		{"utf-16", Position{3, 0}, 14},
	}
	for _, c := range cases {
		if got := offsetAt(text, c.at, c.encoding); got != c.offset {
			t.Errorf("%s %v is at %d, want %d", c.encoding, c.at, got, c.offset)
		}
		if got := positionAt(text, c.offset, c.encoding); got != c.at {
			t.Errorf("%s %d is %v, want %v", c.encoding, c.offset, got, c.at)
		}
	}
	if got := offsetAt(text, Position{0, 99}, "utf-16"); got != 8 {
		t.Errorf("past the line's end is at %d", got)
	}
	if got := offsetAt(text, Position{99, 0}, "utf-16"); got != len(text) {
		t.Errorf("past the text's end is at %d", got)
	}
}

func TestPositions_ThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("ab\n\rü漢🎉"))).Draw(t, "text")
		encoding := rapid.SampledFrom([]string{"utf-8", "utf-16", "utf-32"}).Draw(t, "encoding")
		for at := range text { // the start of each character
			if at > 0 && text[at-1] == '\r' && text[at] == '\n' {
				continue // no position lies inside a line end
			}
			if got := offsetAt(text, positionAt(text, at, encoding), encoding); got != at {
				t.Fatalf("%q: %d became %d", text, at, got)
			}
		}
	})
}

func TestReplace(t *testing.T) {
	text, err := replace("abcdef", []replacement{{4, 5, "E"}, {0, 0, "1"}, {0, 0, "2"}, {1, 3, ""}})
	if err != nil || text != "12adEf" {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := replace("abc", []replacement{{0, 2, ""}, {1, 3, ""}}); err == nil {
		t.Error("overlapping edits were accepted")
	}
}

func TestLineEnds_AreVSCodes(t *testing.T) {
	for text, want := range map[string]string{
		"": "\n", "a": "\n", "a\n": "\n", "a\r\n": "\r\n", "a\r\nb\n": "\n", "a\r\nb\r\nc\n": "\r\n", "a\rb\r": "\r\n",
	} {
		if got := lineEnd(text); got != want {
			t.Errorf("%q has %q, want %q", text, got, want)
		}
	}
}
