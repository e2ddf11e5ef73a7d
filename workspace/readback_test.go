package workspace

import (
	"context"
	"testing"

	"glue-lsp/internal/tree"
)

func TestReadBackTellsTakenDeclinedAndChanged(t *testing.T) {
	tr := newTrip(t, "taken.txt", "1\n", "declined.txt", "1\n", "changed.txt", "1\n", "del.txt", "1\n", "kept.txt", "1\n", "dir.txt", "1\n")
	tr.inside("taken.txt", "2\n", "declined.txt", "2\n", "changed.txt", "2\n", "del.txt", "", "kept.txt", "", "dir.txt", "2\n", "new.txt", "n\n", "unmade.txt", "n\n")
	d := tr.plan()
	tr.write("taken.txt", "2\n")
	tr.write("changed.txt", "3\n")
	tr.remove("del.txt")
	tr.remove("dir.txt")
	tr.write("dir.txt/x", "x\n")
	tr.write("new.txt", "n\n")
	same(t, "verdicts", map[string]string{
		"taken.txt": Taken, "declined.txt": Declined, "changed.txt": Changed, "del.txt": Taken, "kept.txt": Declined, "dir.txt": Changed,
		"new.txt": Taken, "unmade.txt": Declined,
	}, tr.verdicts(d))
}

func TestReadBackCountsAChangedBufferOverItsFile(t *testing.T) {
	tr := newTrip(t, "f.txt", "\ufeffone\r\ntwo\r\n", "g.txt", "1\n", "h.txt", "1\n", "i.txt", "1\n")
	tr.inside("f.txt", "\ufeffone\r\n2\r\n", "g.txt", "2\n", "h.txt", "2\n", "i.txt", "2\n", "n.txt", "new\n")
	d := tr.plan()
	tr.docs = []Document{
		tr.buffer("f.txt", "one\n2\n"),                            // an editor that holds LF and no mark
		tr.buffer("g.txt", "typed\n"),                             // neither
		tr.buffer("h.txt", "1\n"),                                 // taken back in the buffer
		{Path: tr.path("i.txt"), Version: 1, Text: []byte("1\n")}, // not reloaded yet
		tr.buffer("n.txt", "new\n"),                               // created, not saved
	}
	tr.write("h.txt", "2\n")
	tr.write("i.txt", "2\n")
	same(t, "verdicts", map[string]string{"f.txt": Taken, "g.txt": Changed, "h.txt": Declined, "i.txt": Taken, "n.txt": Taken}, tr.verdicts(d))

	verdicts, err := tr.w.ReadBack(context.Background(), tr.s, d.Targets, tr.docs)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range verdicts {
		if v.Path == "g.txt" {
			same(t, "what g.txt will hold", tree.HashBytes(tree.SHA1, []byte("typed\n")), v.Found.Hash)
		}
	}
}

func TestReadBackSeesAModeThatWasNotTaken(t *testing.T) {
	tr := newTrip(t, "run.sh", "echo\n").inside("run.sh", "*echo 2\n")
	d := tr.plan()
	tr.write("run.sh", "echo 2\n")
	same(t, "verdicts", map[string]string{"run.sh": Changed}, tr.verdicts(d))
}
