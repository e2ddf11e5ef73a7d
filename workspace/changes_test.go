package workspace

import (
	"context"
	"strings"
	"testing"
)

func TestChangesNameWhatHappened(t *testing.T) {
	h := newRepo(t, "sub/in.txt", "x\n")
	w, s := h.openAt(h.path("sub")), h.store()
	body := strings.Repeat("line\n", 20)
	from := makeTree(t, s, map[string]string{"sub/m.txt": "a\nb\n", "del.txt": "gone\nfor good\n", "old.txt": body, "mode.sh": "x\n", "t": "x\n", "l": "-> a", "b.bin": "\x00", "sp ace\n.txt": "a\n"})
	to := makeTree(t, s, map[string]string{"sub/m.txt": "a\nB\nc\n", "add.txt": "1\n", "new.txt": body + "more\n", "mode.sh": "*x\n", "t": "-> l", "l": "-> b", "b.bin": "\x01\x00", "sp ace\n.txt": "b\n", "Makefile": "all:\n"})
	changes, err := w.Changes(context.Background(), s, from, to)
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		Status, Kind, Old, Acts string
		Add, Del                int
		Outside                 bool
	}
	got := map[string]row{}
	for _, c := range changes {
		r := row{Status: c.Status, Kind: c.Kind, Old: c.OldPath, Add: c.Additions, Del: c.Deletions, Outside: c.Outside}
		if c.Acts != nil {
			r.Acts = c.Acts.When
		}
		got[c.Path] = r
	}
	same(t, "changes", map[string]row{
		"sub/m.txt":    {Status: StatusModified, Kind: KindText, Add: 2, Del: 1},
		"add.txt":      {Status: StatusAdded, Kind: KindText, Add: 1, Outside: true},
		"del.txt":      {Status: StatusDeleted, Kind: KindText, Del: 2, Outside: true},
		"new.txt":      {Status: StatusRenamed, Kind: KindText, Old: "old.txt", Add: 1, Outside: true},
		"mode.sh":      {Status: StatusMode, Kind: KindText, Outside: true},
		"t":            {Status: StatusType, Kind: KindSymlink, Outside: true},
		"l":            {Status: StatusModified, Kind: KindSymlink, Outside: true},
		"b.bin":        {Status: StatusModified, Kind: KindBinary, Outside: true},
		"sp ace\n.txt": {Status: StatusModified, Kind: KindText, Add: 1, Del: 1, Outside: true},
		"Makefile":     {Status: StatusAdded, Kind: KindText, Add: 1, Acts: OnBuild, Outside: true},
	}, got)
}

func TestPatchIsUnifiedOfTextAndBounded(t *testing.T) {
	h := newRepo(t)
	s := h.store()
	from := makeTree(t, s, map[string]string{"a.txt": "a\n", "d/b.txt": "b\n", "x.bin": "\x00", "*": "star\n"})
	to := makeTree(t, s, map[string]string{"a.txt": "A\n", "d/b.txt": "B\n", "x.bin": "\x01\x00", "*": "STAR\n"})
	patch := func(path string, max int64) string {
		text, err := s.Patch(context.Background(), from, to, path, max)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	all := patch("", 0)
	for _, want := range []string{"--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-a\n+A\n", "+B\n", "Binary files a/x.bin and b/x.bin differ\n"} {
		if !strings.Contains(all, want) {
			t.Errorf("the patch lacks %q:\n%s", want, all)
		}
	}
	if strings.Contains(all, "GIT binary patch") {
		t.Error("the patch holds binary content")
	}
	if one := patch("d", 0); strings.Contains(one, "a.txt") || !strings.Contains(one, "d/b.txt") {
		t.Errorf("the patch of d:\n%s", one)
	}
	if star := patch("*", 0); strings.Contains(star, "a.txt") {
		t.Errorf("a path is taken for a pattern:\n%s", star)
	}
	cut := patch("", 100)
	if !strings.Contains(cut, "# cut here") || !strings.HasPrefix(all, cut[:strings.Index(cut, "# cut")]) || len(cut) > 200 {
		t.Errorf("the cut patch:\n%s", cut)
	}
}
