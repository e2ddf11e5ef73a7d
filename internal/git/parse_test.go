package git

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func FuzzParseMerge(f *testing.F) {
	id := strings.Repeat("a", 40)
	f.Add(id + "\x00")
	f.Add(id + "\x00100644 " + id + " 1\tx\x00\x001\x00x\x00CONFLICT (contents)\x00text\x00")
	f.Add(id + "\x00\x009999999999\x00x\x00")
	f.Fuzz(func(t *testing.T, out string) {
		m, err := parseMerge(out)
		if err == nil && !hexID.MatchString(m.tree) {
			t.Errorf("%q is taken for a tree", m.tree)
		}
		if err == nil {
			settle(m, newSide(nil), newSide(nil))
		}
	})
}

func FuzzRawDifference(f *testing.F) {
	id := strings.Repeat("a", 40)
	f.Add(":100644 100644 " + id + " " + id + " M\x00x\x00:100644 100644 " + id + " " + id + " R090\x00x\x00y\x00")
	f.Add(":\x00")
	f.Fuzz(func(t *testing.T, out string) {
		p := rawParser{most: 100}
		w := &recordWriter{max: 1000, each: p.record}
		if _, err := io.Copy(w, strings.NewReader(out)); err == nil && len(p.entries) > strings.Count(out, "\x00") {
			t.Errorf("%d entries are read from %q", len(p.entries), out)
		}
	})
}

func TestRecordsAreCutWhereverAWriteEnds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := rapid.SliceOf(rapid.StringMatching(`[a-c\n]{0,5}`)).Draw(rt, "records")
		var got []string
		w := &recordWriter{max: 100, each: func(b []byte) error { got = append(got, string(b)); return nil }}
		var in io.Reader = strings.NewReader(strings.Join(append(want, ""), "\x00"))
		if rapid.Bool().Draw(rt, "bytewise") {
			in = iotest.OneByteReader(in)
		}
		if _, err := io.Copy(w, in); err != nil {
			rt.Fatal(err)
		}
		if d := cmp.Diff(append([]string{}, want...), append([]string{}, got...)); d != "" {
			rt.Error(d)
		}
	})
}

func TestGlobsOfConditionsMatchAsGitsDo(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"/a/b", "/a/b", true},
		{"/a/*", "/a/b", true},
		{"/a/*", "/a/b/c", false},
		{"/a/**", "/a/b/c", true},
		{"**/x/**", "/a/x/c", true},
		{"**/x/**", "/ax/c", false},
		{"/a/**/c", "/a/c", true},
		{"/a/**/c", "/a/b/b/c", true},
		{"/a/?", "/a/b", true},
		{"/a/?", "/a//", false},
		{"/a/[b-d]", "/a/c", true},
		{"/a/[!b-d]", "/a/c", false},
		{"/a/[", "/a/[", true},
		{`/a/\*`, "/a/*", true},
		{"/a.b", "/axb", false},
		{"feature/**", "feature/x/y", true},
	} {
		if got := matchGlob(c.pattern, c.path, false); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.pattern, c.path, got, c.want)
		}
	}
}
