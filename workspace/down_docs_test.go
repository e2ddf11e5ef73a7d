package workspace

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestU5_UnsavedTextSurvivesTheReturn(t *testing.T) {
	base := "one\ntwo\nthree\nfour\nfive\n"
	tr := newTrip(t, "f.txt", base, "del.txt", base, "mv.txt", strings.Repeat(base, 9), "mode.txt", base, "bin.txt", base)
	for _, name := range []string{"f.txt", "del.txt", "mv.txt", "mode.txt", "bin.txt"} {
		tr.openFile(name)
	}
	tr.typeIn("f.txt", "UNSAVED\ntwo\nthree\nfour\nfive\n")
	tr.typeIn("del.txt", base+"unsaved\n")
	tr.typeIn("mv.txt", strings.Repeat(base, 9)+"unsaved\n")
	tr.typeIn("mode.txt", base+"unsaved\n")
	tr.typeIn("bin.txt", base+"unsaved\n")
	tr.inside("f.txt", "one\ntwo\nthree\nfour\nFIVE\n", "del.txt", "", "mv.txt", "", "mv2.txt", strings.Repeat(base, 9), "mode.txt", "*"+base, "bin.txt", "\x00")
	d := tr.plan()
	same(t, "in the edit", []string{"text f.txt"}, tr.inEdit(d))
	same(t, "written by Apply", []string{}, diskPaths(d))
	kinds := conflictKinds(d)
	for _, path := range []string{"del.txt", "mode.txt", "bin.txt"} {
		if kinds[path] == "" {
			t.Errorf("%s has unsaved text and is no conflict: %v", path, kinds)
		}
	}
	editor := &fakeEditor{TB: t, docs: tr.docs}
	editor.apply(d.Edit)
	same(t, "f.txt's buffer", "UNSAVED\ntwo\nthree\nfour\nFIVE\n", string(editor.doc(tr.path("f.txt")).Text))
	same(t, "read back", map[string]string{"f.txt": Taken}, tr.verdicts(d))
	same(t, "f.txt on disk", base, tr.read("f.txt"))
}

func TestU5_InDiskModeUnsavedTextIsAConflict(t *testing.T) {
	tr := newTrip(t, "f.txt", "1\n2\n3\n4\n5\n").inside("f.txt", "1\n2\n3\n4\nfive\n")
	tr.openFile("f.txt")
	tr.typeIn("f.txt", "one\n2\n3\n4\n5\n")
	for name, with := range map[string]func(*DownRequest){"no editor": disk, "disk": func(r *DownRequest) { r.Mode = ModeDisk }} {
		d := tr.plan(with)
		if d.Edit != nil || len(d.Disk) > 0 {
			t.Errorf("%s: the file would be written: %+v %v", name, d.Edit, diskPaths(d))
		}
		same(t, name, map[string]string{"f.txt": "content"}, conflictKinds(d))
	}
}

func TestOpenCleanDocumentsAreEditedInTheirBuffers(t *testing.T) {
	tr := newTrip(t, "f.txt", "one\r\ntwo\r\n", "b.bin", "text\n", "x.sh", "echo\n", "gone.txt", "gone\n")
	for _, name := range []string{"f.txt", "b.bin", "x.sh", "gone.txt"} {
		tr.openFile(name)
	}
	tr.inside("f.txt", "one\r\n2\r\n", "b.bin", "\x00\n", "x.sh", "*echo\n", "gone.txt", "")
	d := tr.plan()
	same(t, "in the edit", []string{"delete gone.txt", "text f.txt"}, tr.inEdit(d))
	same(t, "written by Apply", []string{"b.bin", "x.sh"}, diskPaths(d))
	if v := d.Edit.Texts[0].Version; v == nil || *v != 1 {
		t.Errorf("the edit of an open document has version %v", v)
	}
	same(t, "edits", []TextEdit{{Start: 5, End: 8, New: "2"}}, d.Edit.Texts[0].Edits)
	tr.take(d)
	same(t, "host", tr.theirs, tr.onDisk())
}

func TestABufferThatHoldsLFOfACRLFFileIsEditedWithLF(t *testing.T) {
	tr := newTrip(t, "f.txt", "one\r\ntwo\r\n").inside("f.txt", "one\r\n2\r\n")
	tr.docs = []Document{{Path: tr.path("f.txt"), Version: 7, Text: []byte("one\ntwo\n")}}
	d := tr.plan()
	same(t, "edit", []TextEdit{{Start: 4, End: 7, New: "2"}}, d.Edit.Texts[0].Edits)
	tr.take(d)
	same(t, "f.txt", "one\r\n2\r\n", tr.read("f.txt"))
}

func TestTheEditHoldsAtMostSoManyClosedFiles(t *testing.T) {
	tr := newTrip(t, "open.txt", "o\n", "a.txt", "a\n")
	for i := range 30 {
		tr.inside(fmt.Sprintf("n%02d.txt", i), "new\n")
	}
	tr.inside("open.txt", "O\n", "a.txt", "A\n")
	tr.openFile("open.txt")
	d := tr.plan(func(r *DownRequest) { r.MaxFiles = 10 })
	closed := map[string]bool{}
	for _, c := range d.Edit.Texts {
		if c.Version == nil {
			closed[c.Path] = true
		}
	}
	same(t, "closed files in the edit", 10, len(closed))
	same(t, "written by Apply", 21, len(d.Disk))
	tr.take(d)
	same(t, "host", tr.theirs, tr.onDisk())
}

func TestModesAndLinksGoToDisk(t *testing.T) {
	tr := newTrip(t, "run.sh", "echo\n", "f", "x\n", "l", "y\n").inside("run.sh", "*echo\n", "f", "-> run.sh", "new.sh", "*echo 2\n", "big.txt", strings.Repeat("0123456789abcde\n", 70_000))
	d := tr.plan()
	same(t, "changes", []string{"added big.txt", "type f", "added new.sh", "mode run.sh"}, statuses(d.Changes))
	same(t, "written by Apply", []string{"big.txt", "f", "new.sh", "run.sh"}, diskPaths(d))
	tr.take(d)
	same(t, "host", tr.theirs, tr.onDisk())
}

func TestU5_ALinkToNowhereWithUnsavedTextStays(t *testing.T) {
	tr := newTrip(t, "f.txt", "text\n")
	tr.openFile("f.txt")
	tr.typeIn("f.txt", "text\nunsaved\n")
	tr.inside("f.txt", "")
	if err := os.Remove(tr.path("f.txt")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", tr.path("f.txt")); err != nil {
		t.Fatal(err)
	}
	d := tr.plan()
	if d.Edit != nil || len(d.Disk) > 0 {
		t.Errorf("the link would go: %+v %v", d.Edit, diskPaths(d))
	}
	if kinds := conflictKinds(d); kinds["f.txt"] == "" {
		t.Errorf("nothing is said of it: %v", kinds)
	}
}
