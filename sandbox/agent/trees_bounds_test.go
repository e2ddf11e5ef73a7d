package agent

import (
	"strings"
	"testing"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

func TestX7_AnAgentThatSendsMoreThanWasAskedForIsCutOff(t *testing.T) {
	entry := func(path string, size int64) tree.Entry {
		return tree.Entry{Path: path, Mode: tree.Regular, Hash: strings.Repeat("a", 40), Size: size}
	}
	req := sandbox.CaptureRequest{Format: tree.SHA1, MaxFileSize: 100, MaxBytes: 250}
	for _, x := range []struct {
		name  string
		sizes []int64
		ok    bool
	}{
		{"what fits", []int64{100, 100, 50}, true},
		{"empty files behind what fills it", []int64{100, 100, 50, 0, 0}, true},
		{"one file over its bound", []int64{101}, false},
		{"together over theirs", []int64{100, 100, 51}, false},
		{"sizes that overflow together", []int64{100, 1 << 62, 1 << 62, 1 << 62}, false},
	} {
		b := newCaptureBounds(req)
		var err error
		for _, size := range x.sizes {
			if err == nil {
				err = b.take(entry("x", size))
			}
		}
		if (err == nil) != x.ok {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	free := newCaptureBounds(sandbox.CaptureRequest{})
	if err := free.take(entry("x", 1<<50)); err != nil {
		t.Errorf("without bounds: %v", err)
	}
	// Lists cost memory even where there is no content.
	names := newCaptureBounds(sandbox.CaptureRequest{})
	long, n := strings.Repeat("n", 1<<20), 0
	for ; n < 10_000 && names.list(long) == nil; n++ {
	}
	if n<<20 > maxListedText {
		t.Errorf("%d MiB of names are taken", n)
	}
	many, n := newCaptureBounds(sandbox.CaptureRequest{}), 0
	for ; n < 2*maxListed && many.take(entry("", 0)) == nil; n++ {
	}
	if n > maxListed {
		t.Errorf("%d entries are taken", n)
	}
}

func TestX7_OfTooMuchTheLargestStay(t *testing.T) {
	c := &captured{trees: &trees{}, room: 10}
	changed := []tree.Entry{{Path: "a", Size: 6}, {Path: "b", Size: 1}, {Path: "c", Size: 7}, {Path: "gone"}, {Path: "z", Size: 3}}
	var got []string
	for _, e := range c.fitting(changed) {
		got = append(got, e.Path)
	}
	if strings.Join(got, " ") != "a b gone z" || len(c.skipped) != 1 || c.skipped[0].Path != "c" || c.skipped[0].Reason != tree.TooMuch {
		t.Errorf("%q, skipped %+v", got, c.skipped)
	}
}
