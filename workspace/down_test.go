package workspace

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"glue-lsp/internal/tree"
)

func TestS2_UntrackedNewFilesComeBack(t *testing.T) {
	tr := newTrip(t, "a.txt", "a\n").inside("new/b.txt", "b\n", "empty.txt", "\x00"[:0]+"x\n")
	d := tr.plan()
	same(t, "changes", []string{"added empty.txt", "added new/b.txt"}, statuses(d.Changes))
	same(t, "in the edit", []string{"create empty.txt", "create new/b.txt", "text empty.txt", "text new/b.txt"}, tr.inEdit(d))
	same(t, "read back", map[string]string{"empty.txt": Taken, "new/b.txt": Taken}, tr.take(d))
	same(t, "host", tr.theirs, tr.onDisk())
}

func TestS3_BinaryChangesComeBackByteForByte(t *testing.T) {
	was, want := "\x89PNG\r\n\x00\x01old", "\x89PNG\r\n\x00\x02new\xff\xfe\n"
	tr := newTrip(t, "logo.png", was, "a.txt", "a\n").inside("logo.png", want, "new.bin", "\x00\x00\r\n", "a.txt", "b\n")
	d := tr.plan()
	same(t, "written by Apply", []string{"logo.png", "new.bin"}, diskPaths(d))
	for _, c := range d.DiskChanges {
		if c.Kind != KindBinary {
			t.Errorf("%s is said to be %s", c.Path, c.Kind)
		}
	}
	tr.take(d)
	same(t, "host", tr.theirs, tr.onDisk())
}

func TestR3_TheHostsEditsStayWhenTheTreeIsDirty(t *testing.T) {
	base := "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"
	tr := newTrip(t, "f.txt", base, "g.txt", "g\n").inside("f.txt", strings.Replace(base, "seven", "SEVEN", 1))
	tr.write("f.txt", strings.Replace(base, "one", "ONE", 1))
	tr.write("untracked.txt", "mine\n")
	d := tr.plan()
	tr.take(d)
	same(t, "f.txt", "ONE\ntwo\nthree\nfour\nfive\nsix\nSEVEN\n", tr.read("f.txt"))
	same(t, "untracked.txt", "mine\n", tr.read("untracked.txt"))
	same(t, "the plan's merged tree", contents(t, tr.s, d.Merged), tr.onDisk())
}

func TestR4_CommitsOfTheHostMeanwhileAreMergedAgainstWhatWasAgreed(t *testing.T) {
	tr := newTrip(t, "f.txt", "f\n", "gone.txt", "gone\n", "g.txt", "g\n").inside("g.txt", "sandbox\n")
	tr.remove("gone.txt")
	tr.write("later.txt", "later\n")
	tr.run("add", "-A")
	tr.run("commit", "-q", "-m", "moved on")
	d := tr.plan()
	same(t, "changes", []string{"modified g.txt"}, statuses(d.Changes))
	tr.take(d)
	same(t, "host", map[string]string{"f.txt": "f\n", "later.txt": "later\n", "g.txt": "sandbox\n"}, tr.onDisk())
}

func TestR5_RenamesComeBackAsRenames(t *testing.T) {
	body := strings.Repeat("a line of some length\n", 20)
	tr := newTrip(t, "old/name.txt", body, "data.bin", "\x00binary"+body).
		inside("old/name.txt", "", "new/name.txt", body+"and one more\n", "data.bin", "", "moved.bin", "\x00binary"+body)
	d := tr.plan()
	same(t, "changes", []string{"renamed moved.bin from data.bin", "renamed new/name.txt from old/name.txt"}, statuses(d.Changes))
	same(t, "in the edit", []string{"rename data.bin", "rename old/name.txt", "text new/name.txt"}, tr.inEdit(d))
	tr.take(d)
	same(t, "host", tr.theirs, tr.onDisk())
}

func TestR5_RenamesGoToDiskWhereTheEditorCannotRename(t *testing.T) {
	body := strings.Repeat("a line of some length\n", 20)
	tr := newTrip(t, "old.txt", body).inside("old.txt", "", "new.txt", body)
	d := tr.plan(func(r *DownRequest) { r.Caps = &ClientCaps{} })
	if d.Edit != nil {
		t.Errorf("an edit for an editor that can do nothing: %+v", d.Edit)
	}
	same(t, "written by Apply", []string{"new.txt", "old.txt"}, diskPaths(d))
	tr.take(d)
	same(t, "host", tr.theirs, tr.onDisk())
}

func TestR6_LineEndsAreBytes(t *testing.T) {
	tr := newTrip(t, "crlf.txt", "a\r\nb\r\n", "lf.txt", "a\nb\n", "mixed.txt", "a\r\nb\n", "same.txt", "x\r\n")
	tr.inside("crlf.txt", "a\r\nB\r\n", "lf.txt", "a\r\nb\r\n", "mixed.txt", "a\r\nB\n", "cr.txt", "a\rb\r", "newcrlf.txt", "a\r\n")
	d := tr.plan()
	same(t, "in the edit", []string{"text crlf.txt"}, tr.inEdit(d))
	same(t, "written by Apply", []string{"cr.txt", "lf.txt", "mixed.txt", "newcrlf.txt"}, diskPaths(d))
	tr.take(d)
	same(t, "host", tr.theirs, tr.onDisk())
}

func TestR8_LockFilesOfAnotherPlatformWaitForAYes(t *testing.T) {
	tr := newTrip(t, "package-lock.json", "{}\n", "a.txt", "a\n").inside("package-lock.json", "{1}\n", "sub/yarn.lock", "new\n", "a.txt", "b\n")
	foreign := func(r *DownRequest) { r.Platform = "plan9/mips" }
	d := tr.plan(foreign)
	same(t, "skipped", map[string]tree.Reason{"package-lock.json": OtherPlatform, "sub/yarn.lock": OtherPlatform}, reasons(d))
	same(t, "listed", []string{"modified a.txt", "modified package-lock.json", "added sub/yarn.lock"}, statuses(d.Changes))
	same(t, "in the edit", []string{"text a.txt"}, tr.inEdit(d))

	d = tr.plan(foreign, confirm("package-lock.json"))
	same(t, "skipped once confirmed", map[string]tree.Reason{"sub/yarn.lock": OtherPlatform}, reasons(d))
	same(t, "skipped on the host's own platform", map[string]tree.Reason{}, reasons(tr.plan()))
}

func TestF2_AnUntrackedHostFileThatTheSandboxEditedReturns(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n")
	h.write("notes.txt", "notes\n")
	tr := h.trip(h.open()).inside("notes.txt", "notes\nmore\n")
	d := tr.plan()
	same(t, "changes", []string{"modified notes.txt"}, statuses(d.Changes))
	tr.take(d)
	same(t, "notes.txt", "notes\nmore\n", tr.read("notes.txt"))
}

func TestF4_NewAndModifiedCRLFFilesReturnByteForByteInEveryMode(t *testing.T) {
	for _, mode := range []func(*DownRequest){func(*DownRequest) {}, disk} {
		tr := newTrip(t, "win.txt", "one\r\ntwo\r\n").inside("win.txt", "one\r\n2\r\nthree\r\n", "new.bat", "echo\r\n")
		tr.take(tr.plan(mode))
		same(t, "win.txt", "one\r\n2\r\nthree\r\n", tr.read("win.txt"))
		same(t, "new.bat", "echo\r\n", tr.read("new.bat"))
	}
}

func TestF5_TextThatIsNotUTF8AndNamesThatAreNot(t *testing.T) {
	tr := newTrip(t, "latin.txt", "caf\xe9\nx\n", "utf16.txt", "\xff\xfea\x00\n\x00").
		inside("latin.txt", "caf\xe9\ny \xfc\n", "utf16.txt", "\xff\xfea\x00\n\x00b\x00\n\x00", "na\xefve.txt", "name\n")
	tr.openFile("latin.txt")
	d := tr.plan()
	same(t, "written by Apply", []string{"latin.txt", "na\xefve.txt", "utf16.txt"}, diskPaths(d))
	tr.take(d)
	same(t, "host", tr.theirs, tr.onDisk())
}

func TestF5_AnOpenUTF16FileIsEditedInItsBuffer(t *testing.T) {
	tr := newTrip(t, "u.txt", "\xff\xfea\x00\n\x00").inside("u.txt", "\xff\xfea\x00\n\x00b\x00\n\x00")
	tr.openFile("u.txt")
	d := tr.plan()
	same(t, "in the edit", []string{"text u.txt"}, tr.inEdit(d))
	tr.take(d)
	same(t, "u.txt", tr.theirs["u.txt"], tr.read("u.txt"))
}

func TestF6_T1_ChangesOutsideTheWorkspaceFolderAreMarkedAndWait(t *testing.T) {
	h := newRepo(t, "app/a.txt", "a\n", "lib/b.txt", "b\n")
	tr := h.trip(h.openAt(h.path("app"))).inside("app/a.txt", "A\n", "lib/b.txt", "B\n", "root.txt", "new\n")
	d := tr.plan()
	same(t, "skipped", map[string]tree.Reason{"lib/b.txt": OutsideFolder, "root.txt": OutsideFolder}, reasons(d))
	outside := map[string]bool{}
	for _, c := range d.Changes {
		outside[c.Path] = c.Outside
	}
	same(t, "listed and marked", map[string]bool{"app/a.txt": false, "lib/b.txt": true, "root.txt": true}, outside)
	same(t, "in the edit", []string{"text app/a.txt"}, tr.inEdit(d))
	same(t, "taken", map[string]string{"app/a.txt": Taken}, tr.take(d))

	d = tr.plan(func(r *DownRequest) { r.Paths = []string{"lib"} })
	same(t, "the folder that was named", []string{"modified lib/b.txt"}, statuses(d.Changes))
	tr.take(d)
	same(t, "lib/b.txt", "B\n", tr.read("lib/b.txt"))
	if _, err := os.Stat(tr.path("root.txt")); err == nil {
		t.Error("root.txt came back without having been named")
	}
}

func TestF22_AttributesChangeNoByteOnTheWayBack(t *testing.T) {
	h := newRepo(t, "a.txt", "a $Id$\n", "b.u", "b\n", "c.lfs", "c\n", "d.txt", "d\r\n")
	h.write(".gitattributes", "* text=auto eol=crlf ident\n*.u working-tree-encoding=UTF-16\n*.lfs filter=lfs diff=lfs -text\n")
	tr := h.trip(h.open()).inside("a.txt", "A $Id$\n", "b.u", "B\n", "c.lfs", "C\n", "d.txt", "D\r\n", "e.txt", "$Id$\n")
	tr.take(tr.plan())
	same(t, "host", tr.theirs, tr.onDisk())
}

func TestF25_WhatWasTakenOrRefusedIsNotOfferedTwiceNorReverted(t *testing.T) {
	tr := newTrip(t, "yes.txt", "1\n", "no.txt", "1\n", "both.txt", "1\n").inside("yes.txt", "2\n", "no.txt", "2\n", "both.txt", "2\n")
	tr.write("both.txt", "2\n") // the person did the same by hand
	d := tr.plan()
	var refused *Edit
	if d.Edit != nil {
		e := *d.Edit
		e.Texts = nil
		for _, c := range d.Edit.Texts {
			if c.Path == tr.path("yes.txt") {
				e.Texts = append(e.Texts, c)
			}
		}
		refused = &e
	}
	editor := &fakeEditor{TB: t}
	editor.apply(refused) // the person unticked no.txt
	same(t, "verdicts", map[string]string{"yes.txt": Taken, "no.txt": Declined, "both.txt": Taken}, tr.verdicts(d))

	var moved []tree.Entry
	declined := map[string]tree.Entry{}
	for path, outcome := range tr.verdicts(d) {
		if outcome == Taken {
			moved = append(moved, d.Targets[path].Theirs)
		} else {
			declined[path] = d.Targets[path].Theirs
		}
	}
	ctx := context.Background()
	var err error
	if tr.agreed, err = tr.s.Advance(ctx, tr.agreed, moved); err != nil {
		t.Fatal(err)
	}
	again := func(r *DownRequest) { r.Declined = declined }
	d = tr.plan(again)
	same(t, "offered again", []string{}, statuses(d.Changes))
	same(t, "named as declined", []string{"modified no.txt"}, statuses(d.Declined))

	// The person takes back what both had; the sandbox's old version must not return.
	tr.write("both.txt", "1\n")
	tr.write("yes.txt", "1\n")
	same(t, "offered after a revert", []string{}, statuses(tr.plan(again).Changes))

	// New content of the refused file is a new offer.
	tr.inside("no.txt", "3\n")
	same(t, "offered once it is another content", []string{"modified no.txt"}, statuses(tr.plan(again).Changes))

	// What was refused can still be asked for by name.
	tr.inside("no.txt", "2\n")
	d = tr.plan(again, func(r *DownRequest) { r.Paths = []string{"no.txt"} })
	same(t, "asked for by name", []string{"modified no.txt"}, statuses(d.Changes))
}

func TestF25_AConflictIsNamedAndLeavesItsPathAlone(t *testing.T) {
	tr := newTrip(t, "f.txt", "1\n", "g.txt", "g\n", "gone.txt", "1\n").inside("f.txt", "theirs\n", "g.txt", "G\n", "gone.txt", "")
	tr.write("f.txt", "mine\n")
	tr.write("gone.txt", "mine\n")
	d := tr.plan()
	same(t, "conflicts", map[string]string{"f.txt": "content", "gone.txt": "modifyDelete"}, conflictKinds(d))
	same(t, "the rest comes back", []string{"modified g.txt"}, statuses(d.Changes))
	for _, path := range []string{"f.txt", "gone.txt"} {
		if _, ok := d.Targets[path]; ok {
			t.Errorf("%s would be agreed on", path)
		}
	}
	tr.take(d)
	same(t, "host", map[string]string{"f.txt": "mine\n", "gone.txt": "mine\n", "g.txt": "G\n"}, tr.onDisk())
}

func TestResolutionsSettleConflicts(t *testing.T) {
	start := func() *trip {
		tr := newTrip(t, "f.txt", "1\n", "gone.txt", "1\n").inside("f.txt", "theirs\n", "gone.txt", "")
		tr.write("f.txt", "mine\n")
		tr.write("gone.txt", "mine\n")
		return tr
	}
	resolve := func(choice, content string) func(*DownRequest) {
		return func(r *DownRequest) {
			r.Resolutions = []Resolution{
				{Path: "f.txt", Choice: choice, Content: []byte(content)},
				{Path: "gone.txt", Choice: choice, Content: []byte(content)},
			}
		}
	}
	for _, c := range []struct {
		choice, content string
		want            map[string]string
	}{
		{ChooseMine, "", map[string]string{"f.txt": "mine\n", "gone.txt": "mine\n"}},
		{ChooseTheirs, "", map[string]string{"f.txt": "theirs\n"}},
		{ChooseContent, "both\n", map[string]string{"f.txt": "both\n", "gone.txt": "both\n"}},
	} {
		t.Run(c.choice, func(t *testing.T) {
			tr := start()
			d := tr.plan(resolve(c.choice, c.content))
			same(t, "conflicts", map[string]string{}, conflictKinds(d))
			same(t, "read back", map[string]string{"f.txt": Taken, "gone.txt": Taken}, tr.take(d))
			same(t, "host", c.want, tr.onDisk())
			same(t, "what becomes agreed is the sandbox's", tree.HashBytes(tree.SHA1, []byte("theirs\n")), d.Targets["f.txt"].Theirs.Hash)
			if d.Targets["gone.txt"].Theirs.Exists() {
				t.Error("what becomes agreed is not that the sandbox deleted gone.txt")
			}
		})
	}
}

func TestU1_AMassDeletionNeedsAYes(t *testing.T) {
	var files []string
	for i := range 60 {
		files = append(files, fmt.Sprintf("f%02d.txt", i), fmt.Sprintf("%d\n", i))
	}
	tr := newTrip(t, files...)
	clear(tr.theirs)
	tr.inside("left.txt", "left\n")
	d := tr.plan()
	if !d.Mass || d.Edit != nil || d.Disk != nil || len(d.Targets) > 0 {
		t.Errorf("an emptied root would empty the host: mass %v, edit %v, disk %v, %d targets", d.Mass, d.Edit, d.Disk, len(d.Targets))
	}
	same(t, "still listed", 61, len(d.Changes))
	d = tr.plan(func(r *DownRequest) { r.AllowMassDelete = true })
	tr.take(d)
	same(t, "host", tr.theirs, tr.onDisk())
}

func TestU1_DeletingHalfOrFewFilesIsNoMassDeletion(t *testing.T) {
	var files []string
	for i := range 120 {
		files = append(files, fmt.Sprintf("f%03d.txt", i), fmt.Sprintf("%d\n", i))
	}
	tr := newTrip(t, files...)
	for i := range 60 {
		tr.inside(files[2*i], "")
	}
	if d := tr.plan(); d.Mass {
		t.Error("60 of 120 files is not over half")
	}
}

func TestU2_ADirtyTreeDoesNotRefuseTheReturn(t *testing.T) {
	tr := newTrip(t, "a.txt", "a\n", "b.txt", "b\n").inside("a.txt", "A\n")
	tr.write("b.txt", "dirty\n")
	tr.run("add", "b.txt")
	tr.write("b.txt", "dirtier\n")
	tr.take(tr.plan())
	same(t, "host", map[string]string{"a.txt": "A\n", "b.txt": "dirtier\n"}, tr.onDisk())
	same(t, "the index stays", "dirty\n", tr.run("show", ":b.txt"))
}

func TestBranchModeWritesNothing(t *testing.T) {
	tr := newTrip(t, "a.txt", "a\n").inside("a.txt", "b\n", ".envrc", "x\n")
	d := tr.plan(func(r *DownRequest) { r.Mode = ModeBranch })
	if d.Edit != nil || d.Disk != nil || len(d.Targets) > 0 {
		t.Errorf("branch mode plans to write: %+v", d)
	}
	same(t, "the branch's tree", map[string]string{"a.txt": "b\n"}, contents(t, tr.s, d.Merged))
}

func TestNothingChangedPlansNothing(t *testing.T) {
	tr := newTrip(t, "a.txt", "a\n")
	tr.write("mine.txt", "mine\n")
	d := tr.plan()
	if len(d.Changes)+len(d.Disk)+len(d.Skipped)+len(d.Conflicts)+len(d.Targets) > 0 || d.Edit != nil || d.Mass {
		t.Errorf("a plan of nothing: %+v", d)
	}
}

func TestOnlyUnsavedTextIsEditedForAnEditorThatAsksForThat(t *testing.T) {
	tr := newTrip(t, "typed.txt", "a\nx\ny\nb\n", "open.txt", "a\n", "closed.txt", "a\n", "gone.txt", "a\n")
	tr.openFile("open.txt")
	tr.openFile("gone.txt")
	tr.openFile("typed.txt")
	tr.typeIn("typed.txt", "A\nx\ny\nb\n")
	tr.inside("typed.txt", "a\nx\ny\nB\n", "open.txt", "b\n", "closed.txt", "b\n", "gone.txt", "", "new.txt", "n\n")
	d := tr.plan(func(r *DownRequest) {
		caps := *wholeEditor
		caps.UnsavedOnly = true
		r.Caps = &caps
	})
	same(t, "in the edit", []string{"text typed.txt"}, tr.inEdit(d))
	same(t, "written by Apply", []string{"closed.txt", "gone.txt", "new.txt", "open.txt"}, diskPaths(d))
}
