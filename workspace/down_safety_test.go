package workspace

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"glue-lsp/internal/tree"
)

func TestX5_FilesThatActOnOpenAreLeftOutUntilConfirmed(t *testing.T) {
	tr := newTrip(t, "a.txt", "a\n", ".envrc", "x\n", "cfg/tasks.json", "{}\n").
		inside("a.txt", "b\n", ".envrc", "curl\n", ".vscode/tasks.json", "{}\n", "sub/.MCP.json", "{}\n", "package.json", "{}\n")
	for name, caps := range map[string]*ClientCaps{"with annotations": wholeEditor, "without": {Create: true, Rename: true, Delete: true, DocumentChanges: true}, "none": nil} {
		d := tr.plan(func(r *DownRequest) { r.Caps = caps })
		same(t, name, map[string]tree.Reason{".envrc": ActsOnOpen, ".vscode/tasks.json": ActsOnOpen, "sub/.MCP.json": ActsOnOpen}, reasons(d))
		for _, p := range append(tr.inEdit(d), diskPaths(d)...) {
			if !strings.HasSuffix(p, "a.txt") && !strings.HasSuffix(p, "package.json") {
				t.Errorf("%s: %s would be written", name, p)
			}
		}
		for _, c := range d.Changes {
			want := map[string]string{".envrc": OnOpen, ".vscode/tasks.json": OnOpen, "sub/.MCP.json": OnOpen, "package.json": OnBuild}[c.Path]
			got := ""
			if c.Acts != nil {
				got = c.Acts.When
			}
			if got != want {
				t.Errorf("%s: %s acts on %q, want %q", name, c.Path, got, want)
			}
		}
	}
	d := tr.plan(confirm(".envrc"))
	tr.take(d)
	same(t, ".envrc", "curl\n", tr.read(".envrc"))
	if _, err := os.Stat(tr.path(".vscode")); err == nil {
		t.Error(".vscode came back unconfirmed")
	}
}

func TestX5_ALinkGivesAFileAnActingName(t *testing.T) {
	h := newRepo(t, "cfg/tasks.json", "{}\n", "agents/rules.md", "x\n", "plain/x.txt", "x\n")
	h.link(".vscode", "cfg")
	h.link("CLAUDE.md", "agents/rules.md")
	tr := h.trip(h.open()).inside("cfg/tasks.json", "{evil}\n", "agents/rules.md", "evil\n", "plain/x.txt", "y\n")
	same(t, "skipped", map[string]tree.Reason{"cfg/tasks.json": ActsOnOpen, "agents/rules.md": ActsOnOpen}, reasons(tr.plan()))

	tr = newTrip(t, "d/tasks.json", "{}\n").inside(".vscode", "-> d")
	same(t, "a new link", map[string]tree.Reason{".vscode": ActsOnOpen}, reasons(tr.plan()))
}

func TestX4_LinksThatLeaveTheRootAreNeverMade(t *testing.T) {
	h := newRepo(t, "d/f.txt", "f\n")
	h.link("self", ".")
	tr := h.trip(h.open()).inside(
		"ok", "-> d/f.txt", "d/up", "-> ../d", "abs", "-> /etc/passwd", "out", "-> ../x", "d/out", "-> ../../x",
		"tricky", "-> self/../..", "git", "-> .git/hooks", "d/git", "-> ../.GIT", "nowhere", "-> d/nothing", "loop", "-> loop",
	)
	d := tr.plan()
	same(t, "skipped", map[string]tree.Reason{
		"abs": LeavesRoot, "out": LeavesRoot, "d/out": LeavesRoot, "tricky": LeavesRoot, "git": LeavesRoot, "d/git": LeavesRoot, "loop": LeavesRoot,
	}, reasons(d))
	tr.take(d)
	got := tr.onDisk()
	same(t, "links that stay inside", []string{"-> d/f.txt", "-> ../d", "-> d/nothing"}, []string{got["ok"], got["d/up"], got["nowhere"]})
}

func TestX12_ALinkThatWasThereBeforeIsNotFollowed(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n")
	tr := h.trip(h.open()).inside("x/config", "[core]\n\thooksPath = /tmp\n", "y/file", "f\n")
	h.link("x", ".git")
	h.link("y", "/")
	d := tr.plan()
	if d.Edit != nil || len(d.Disk) > 0 {
		t.Errorf("something would be written through a link: %v %v", tr.inEdit(d), diskPaths(d))
	}
	if len(d.Skipped)+len(d.Conflicts) < 2 {
		t.Errorf("what is left out is not named: %v %v", d.Skipped, d.Conflicts)
	}
}

func TestT7_NamesThatDifferOnlyInCaseAreANamedConflictWhereTheyAreOne(t *testing.T) {
	h := newRepo(t, "README.md", "x\n", "Src/a.txt", "a\n", "old.txt", strings.Repeat("old\n", 20))
	h.run("config", "core.ignoreCase", "true")
	tr := h.trip(h.open()).inside("readme.md", "y\n", "src/b.txt", "b\n", "new.txt", "n\n", "NEW.txt", "n2\n", "old.txt", "", "OLD.txt", strings.Repeat("old\n", 20))
	d := tr.plan()
	same(t, "conflicts", map[string]string{"readme.md": "addAdd", "src/b.txt": "addAdd", "new.txt": "addAdd"}, conflictKinds(d))
	same(t, "the case-only rename goes to disk, removal first", "old.txt", d.Disk[0].Path)
}

func TestFilesAndFoldersCanChangePlaces(t *testing.T) {
	tr := newTrip(t, "a", "file\n", "b/x", "x\n", "b/y", "y\n", "l", "-> a", "keep", "k\n")
	tr.inside("a", "", "a/inner", "i\n", "b/x", "", "b/y", "", "b", "file now\n")
	d := tr.plan()
	if d.Edit != nil {
		t.Errorf("the order of an edit's operations is the editor's: %+v", d.Edit)
	}
	tr.take(d)
	same(t, "host", tr.theirs, tr.onDisk())
}

func TestAFolderThatHoldsIgnoredFilesIsNotReplaced(t *testing.T) {
	h := newRepo(t, ".gitignore", "*.log\n", "out/x", "x\n")
	h.write("out/a.log", "precious\n")
	h.write("other/b.log", "precious\n")
	tr := h.trip(h.open()).inside("out/x", "", "out", "file\n", "other", "file\n")
	d := tr.plan()
	same(t, "skipped", map[string]tree.Reason{"out": InTheWay, "other": InTheWay}, reasons(d))
	tr.take(d)
	same(t, "the ignored files", "precious\nprecious\n", tr.read("out/a.log")+tr.read("other/b.log"))
}

func TestAFolderWithEmptyFoldersIsNotReplaced(t *testing.T) {
	h := newRepo(t, "x", "x\n")
	h.mkdir("nested/empty")
	h.mkdir("empty")
	tr := h.trip(h.open()).inside("nested", "file\n", "empty", "file\n", "y", "y\n")
	d := tr.plan(disk)
	same(t, "skipped", map[string]tree.Reason{"nested": InTheWay}, reasons(d))
	tr.take(d)
	same(t, "the others", "file\ny\n", tr.read("empty")+tr.read("y"))
}

func TestAnIgnoredHostFileIsNotOverwritten(t *testing.T) {
	h := newRepo(t, ".gitignore", "*.log\n")
	h.write("a.log", "host's\n")
	tr := h.trip(h.open()).inside("a.log", "sandbox's\n")
	d := tr.plan()
	same(t, "conflicts", map[string]string{"a.log": "addAdd"}, conflictKinds(d))
	tr.take(d)
	same(t, "a.log", "host's\n", tr.read("a.log"))
}

func TestAConflictWithTheDiskIsSettledLikeAnyOther(t *testing.T) {
	for choice, want := range map[string]string{ChooseMine: "host's\n", ChooseTheirs: "sandbox's\n"} {
		t.Run(choice, func(t *testing.T) {
			h := newRepo(t, ".gitignore", "*.log\n")
			h.write("a.log", "host's\n")
			tr := h.trip(h.open()).inside("a.log", "sandbox's\n")
			d := tr.plan(func(r *DownRequest) { r.Resolutions = []Resolution{{Path: "a.log", Choice: choice}} })
			same(t, "conflicts", map[string]string{}, conflictKinds(d))
			same(t, "what becomes agreed", tree.HashBytes(tree.SHA1, []byte("sandbox's\n")), d.Targets["a.log"].Theirs.Hash)
			tr.take(d)
			same(t, "a.log", want, tr.read("a.log"))
		})
	}
}

func TestAnUnknownResolutionIsAnError(t *testing.T) {
	tr := newTrip(t, "a.txt", "a\n")
	_, err := tr.w.PlanDown(context.Background(), tr.s, DownRequest{
		Agreed: tr.agreed, Host: tr.snap(tr.w, tr.s), Theirs: tr.agreed, Resolutions: []Resolution{{Path: "a.txt", Choice: "ours"}},
	})
	var failed *Error
	if !errors.As(err, &failed) || failed.Path != "a.txt" || failed.Hint == "" {
		t.Errorf("%v", err)
	}
}
