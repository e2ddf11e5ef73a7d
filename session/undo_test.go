package session

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/workspace"
)

// files is the working tree: contents, with modes and link targets, by path.
func (f *fixture) files() map[string]string {
	f.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(f.repo, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && d.Name() == ".git" {
				return fs.SkipDir
			}
			return err
		}
		rel, err := filepath.Rel(f.repo, name)
		if err != nil {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			out[rel], err = os.Readlink(name)
			out[rel] = "-> " + out[rel]
			return err
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		info, err := d.Info()
		out[rel] = string(b)
		if err == nil && info.Mode()&0o100 != 0 {
			out[rel] = "*" + out[rel]
		}
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	return out
}

func (f *fixture) undo(s *Session) *Return {
	f.Helper()
	r, err := s.Undo(context.Background(), nil)
	if err != nil {
		f.Fatal(err)
	}
	return r
}

// waiting are the paths that a diff lists.
func (f *fixture) waiting(s *Session) []string {
	f.Helper()
	d, err := s.Diff(context.Background(), "")
	if err != nil {
		f.Fatal(err)
	}
	out := []string{}
	for _, c := range d.Files {
		out = append(out, c.Path)
	}
	return out
}

// everything is a command that does one of each to the tree.
const everything = `set -e
sed -i s/two/TWO/ a.txt
rm b.txt
printf '\0\1\3' > dir/c.bin
rm -r gone
mv name.txt renamed.txt; echo more >> renamed.txt
chmod +x run.sh
ln -sf a.txt link
rm will-be-link; ln -s a.txt will-be-link
mkdir -p new/deep; echo n > new/deep/n.txt
rm folder/x; rmdir folder; echo file > folder
printf 'x\r\nY\r\n' > crlf.txt
printf 'caf\351 2\n' > latin1.txt
printf n > "$(printf 'na\357ve')"`

func everythingFixture(t *testing.T) *fixture {
	f := newFixture(t)
	f.write("gone/one.txt", "1\n")
	f.write("gone/deep/two.txt", "2\n")
	f.write("name.txt", strings.Repeat("a line that stays\n", 9))
	f.write("run.sh", "echo\n")
	f.write("will-be-link", "text\n")
	f.write("folder/x", "x\n")
	f.write("crlf.txt", "x\r\ny\r\n")
	f.write("latin1.txt", "caf\xe9\n")
	if err := os.Symlink("b.txt", filepath.Join(f.repo, "link")); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestUndoTakesBackEverythingByteForByte(t *testing.T) {
	for _, mode := range []string{workspace.ModeEdits, workspace.ModeDisk} {
		t.Run(mode, func(t *testing.T) {
			f := everythingFixture(t)
			s := f.open(OpenOptions{Editor: newPerson(t), ReturnMode: mode})
			before := f.files()
			f.run(s, everything)
			waiting := f.waiting(s)
			if r := f.giveBack(s); !r.Applied || len(r.Conflicts)+len(r.Skipped) > 0 {
				t.Fatalf("return: %+v", r)
			}
			after := f.files()
			if len(after) == len(before) {
				t.Fatal("the return changed nothing")
			}
			r := f.undo(s)
			if !r.Applied || len(r.Conflicts)+len(r.Skipped)+len(r.Declined) > 0 || r.Mbox != nil || len(r.Files) == 0 {
				t.Errorf("undo: %+v", r)
			}
			if diff := cmp.Diff(before, f.files()); diff != "" {
				t.Errorf("after the undo (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(waiting, f.waiting(s)); diff != "" {
				t.Errorf("offered again (-want +got):\n%s", diff)
			}
			// A command syncs first: the sandbox keeps what it did.
			if got := string(f.run(s, "cat renamed.txt | tail -1; cat folder").Stdout); got != "more\nfile\n" {
				t.Errorf("inside, after the undo: %q", got)
			}
			if _, err := s.Undo(context.Background(), nil); kindOf(err) != "unavailable" || !strings.Contains(err.Error(), "no return") {
				t.Errorf("a second undo: %v", err)
			}
			if r := f.giveBack(s); !r.Applied {
				t.Errorf("a return once more: %+v", r)
			}
			if diff := cmp.Diff(after, f.files()); diff != "" {
				t.Errorf("returned once more (-first +second):\n%s", diff)
			}
		})
	}
}

func TestUndoKeepsLaterEditsOnDiskInBuffersAndInTheSandbox(t *testing.T) {
	f := newFixture(t)
	e := newPerson(t)
	s := f.open(OpenOptions{Editor: e})
	f.run(s, "sed -i s/two/TWO/ a.txt; echo box >> b.txt; echo n > n.txt")
	f.giveBack(s)
	// Later: on disk, in a buffer, and one that a sync took up.
	f.write("a.txt", strings.Replace(f.read("a.txt"), "one", "ONE", 1))
	f.run(s, "grep -c ONE a.txt")
	e.typeIn(filepath.Join(f.repo, "a.txt"), strings.Replace(f.read("a.txt"), "three", "THREE", 1))
	r := f.undo(s)
	if !r.Applied || len(r.Conflicts) > 0 {
		t.Fatalf("undo: %+v", r)
	}
	if got, want := e.buffer(filepath.Join(f.repo, "a.txt")), "ONE\n2\n3\n4\n5\ntwo\n7\n8\n9\n10\nTHREE\n"; got != want {
		t.Errorf("the buffer holds %q, want %q", got, want)
	}
	if got := f.read("b.txt"); got != "b\n" {
		t.Errorf("b.txt: %q", got)
	}
	// Only what the sandbox did is offered: not the person's edit that was synced.
	d, err := s.Diff(context.Background(), "a.txt")
	if err != nil || strings.Contains(d.Patch, "+ONE") || !strings.Contains(d.Patch, "+TWO") {
		t.Errorf("offered again: %s %v", d.Patch, err)
	}
	if got := string(f.run(s, "cat a.txt").Stdout); got != "ONE\n2\n3\n4\n5\nTWO\n7\n8\n9\n10\nTHREE\n" {
		t.Errorf("inside: %q", got)
	}
}

func TestUndoNamesConflictsLeavesThemAloneAndCanBeTriedAgain(t *testing.T) {
	f := newFixture(t)
	e := newPerson(t)
	s := f.open(OpenOptions{Editor: e})
	f.run(s, "sed -i s/two/TWO/ a.txt; echo n > n.txt; rm b.txt")
	f.giveBack(s)
	f.write("a.txt", strings.Replace(f.read("a.txt"), "TWO", "TWO and a half", 1))
	e.typeIn(filepath.Join(f.repo, "n.txt"), "n\ntyped\n") // would be deleted
	r := f.undo(s)
	if r.Applied && len(r.Conflicts) == 0 {
		t.Fatalf("undo: %+v", r)
	}
	kinds := map[string]string{}
	for _, c := range r.Conflicts {
		kinds[c.Path] = c.Kind
	}
	if diff := cmp.Diff(map[string]string{"a.txt": "content", "n.txt": "modifyDelete"}, kinds); diff != "" {
		t.Errorf("conflicts (-want +got):\n%s", diff)
	}
	if got := f.read("b.txt"); got != "b\n" {
		t.Errorf("b.txt did not come back: %q", got)
	}
	if got := f.read("a.txt"); !strings.Contains(got, "TWO and a half") {
		t.Errorf("a.txt: %q", got)
	}
	if diff := cmp.Diff([]string{"b.txt"}, f.waiting(s)); diff != "" {
		t.Errorf("offered again (-want +got):\n%s", diff)
	}
	// The person settles both by hand and tries again.
	f.write("a.txt", strings.Replace(f.read("a.txt"), "TWO and a half", "TWO", 1))
	e.docs = nil
	if r := f.undo(s); !r.Applied || len(r.Conflicts) > 0 {
		t.Errorf("again: %+v", r)
	}
	if _, err := os.Stat(filepath.Join(f.repo, "n.txt")); !os.IsNotExist(err) {
		t.Errorf("n.txt: %v", err)
	}
	if diff := cmp.Diff([]string{"a.txt", "b.txt", "n.txt"}, f.waiting(s)); diff != "" {
		t.Errorf("offered again (-want +got):\n%s", diff)
	}
}

func TestUndoWorksAfterARestartAndOnAnEndedSession(t *testing.T) {
	f := everythingFixture(t)
	before := f.files()
	s := f.open(OpenOptions{})
	f.run(s, everything)
	waiting := f.waiting(s)
	f.giveBack(s)
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	f.manager() // another process
	again, err := f.m.Find(context.Background(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	if r := f.undo(again); !r.Applied {
		t.Errorf("undo: %+v", r)
	}
	if diff := cmp.Diff(before, f.files()); diff != "" {
		t.Errorf("after the undo (-before +after):\n%s", diff)
	}
	list, err := f.m.List(context.Background())
	if err != nil || len(list) != 1 || list[0].ID != s.ID() {
		t.Errorf("the session is not listed again: %+v %v", list, err)
	}
	if diff := cmp.Diff(waiting, f.waiting(again)); diff != "" {
		t.Errorf("offered again (-want +got):\n%s", diff)
	}
}

func TestUndoOfAPartlyTakenReturnTakesBackThatPart(t *testing.T) {
	f := newFixture(t)
	e := newPerson(t)
	s := f.open(OpenOptions{Editor: e})
	before := f.files()
	f.run(s, "sed -i 's/one/ONE/; s/three/THREE/' a.txt; echo n > n.txt; echo box > b.txt")
	e.want = func(path string, edit int) bool { // a hunk of a.txt, and all of n.txt
		return strings.HasSuffix(path, "n.txt") || strings.HasSuffix(path, "a.txt") && edit == 0
	}
	if r := f.giveBack(s); r.Applied || len(r.Declined) != 2 {
		t.Fatalf("return: %+v", r)
	}
	if got := f.read("a.txt"); !strings.HasPrefix(got, "ONE\n") || !strings.HasSuffix(got, "\nthree\n") {
		t.Fatalf("a.txt: %q", got)
	}
	e.want = nil
	if r := f.undo(s); !r.Applied || len(r.Conflicts) > 0 {
		t.Errorf("undo: %+v", r)
	}
	if diff := cmp.Diff(before, f.files()); diff != "" {
		t.Errorf("after the undo (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a.txt", "n.txt"}, f.waiting(s)); diff != "" {
		t.Errorf("offered again, and b.txt stays refused (-want +got):\n%s", diff)
	}
}

func TestUndoThatTheEditorRefusesChangesNothing(t *testing.T) {
	f := newFixture(t)
	e := newPerson(t)
	s := f.open(OpenOptions{Editor: e})
	e.openFile(filepath.Join(f.repo, "a.txt"))
	f.run(s, "sed -i s/two/TWO/ a.txt; printf '\\0\\7' > dir/c.bin")
	f.giveBack(s)
	after := f.files()
	e.before = func(*workspace.Edit) (bool, string, error, bool) { return false, "no", nil, true }
	if r := f.undo(s); r.Applied {
		t.Errorf("undo: %+v", r)
	}
	if diff := cmp.Diff(after, f.files()); diff != "" {
		t.Errorf("a refused undo changed files:\n%s", diff)
	}
	if left := f.waiting(s); len(left) != 0 {
		t.Errorf("%v are offered although they were not taken back", left)
	}
	if got := string(f.run(s, "grep -c TWO a.txt").Stdout); got != "1\n" {
		t.Errorf("inside: %q", got)
	}
	e.before = nil
	if r := f.undo(s); !r.Applied || strings.Contains(e.buffer(filepath.Join(f.repo, "a.txt")), "TWO") {
		t.Errorf("tried again: %+v", r)
	}
}

func TestUndoRestoresAFileThatNeverWentUpAndTheSandboxsVersionReplaced(t *testing.T) {
	f := newFixture(t)
	f.write(".env", "mine, a secret\n")
	s := f.open(OpenOptions{})
	f.run(s, "test ! -e .env; echo theirs > .env")
	r := f.giveBack(s)
	if len(r.Conflicts) != 1 || r.Conflicts[0].Path != ".env" {
		t.Fatalf("return: %+v", r)
	}
	r, err := s.Return(context.Background(), ReturnOptions{Apply: true, Resolutions: []workspace.Resolution{{Path: ".env", Choice: workspace.ChooseTheirs}}}, nil)
	if err != nil || !r.Applied || f.read(".env") != "theirs\n" {
		t.Fatalf("resolved: %+v %v", r, err)
	}
	if r := f.undo(s); !r.Applied || f.read(".env") != "mine, a secret\n" {
		t.Errorf("undo: %+v; .env holds %q", r, f.read(".env"))
	}
	// It still does not go up, and the sandbox's version is offered again.
	f.write("b.txt", "so that there is something to send\n")
	if got := string(f.run(s, "cat .env").Stdout); got != "theirs\n" {
		t.Errorf("inside: %q", got)
	}
	if diff := cmp.Diff([]string{".env"}, f.waiting(s)); diff != "" {
		t.Errorf("offered again (-want +got):\n%s", diff)
	}
}

func TestAReturnedFileThatDoesNotGoUpStaysInTheSandbox(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.run(s, "echo x > .env; echo log > build.log; echo '*.log' > .gitignore")
	if r := f.giveBack(s); !r.Applied || f.read(".env") != "x\n" || f.read("build.log") != "log\n" {
		t.Fatalf("return: %+v", r)
	}
	f.write("b.txt", "so that there is something to send\n")
	if got := string(f.run(s, "cat .env build.log").Stdout); got != "x\nlog\n" {
		t.Errorf("inside, after a sync: %q", got)
	}
	if left := f.waiting(s); len(left) != 0 {
		t.Errorf("%v are offered", left)
	}
	f.run(s, "echo 2 > .env")
	if r := f.giveBack(s); !r.Applied || f.read(".env") != "2\n" {
		t.Fatalf("a second return: %+v", r)
	}
	f.write("b.txt", "and once more\n")
	if got := string(f.run(s, "cat .env").Stdout); got != "2\n" {
		t.Errorf("inside, after another sync: %q", got)
	}
}

func TestAPrivateFileStaysPrivateThroughARenameAReturnAndItsUndo(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"deleted.txt", "renamed.sh", "linked.txt"} {
		f.write(name, strings.Repeat("private to the person\n", 5)+name)
		if err := os.Chmod(filepath.Join(f.repo, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	perms := func(want map[string]fs.FileMode) {
		t.Helper()
		for name, perm := range want {
			if info, err := os.Lstat(filepath.Join(f.repo, name)); err != nil || info.Mode().Perm() != perm {
				t.Errorf("%s: %v %v, want %o", name, info, err, perm)
			}
		}
	}
	s := f.open(OpenOptions{})
	f.run(s, "rm deleted.txt; git mv renamed.sh to.sh; ln -sf a.txt linked.txt")
	if r := f.giveBack(s); !r.Applied {
		t.Fatalf("return: %+v", r)
	}
	perms(map[string]fs.FileMode{"to.sh": 0o600})
	if r := f.undo(s); !r.Applied {
		t.Fatalf("undo: %+v", r)
	}
	perms(map[string]fs.FileMode{"deleted.txt": 0o600, "renamed.sh": 0o600, "linked.txt": 0o600})
}

func TestUndoOfABranchSaysWhatCanBeDone(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.run(s, "echo n > n.txt")
	if _, err := s.Undo(context.Background(), nil); kindOf(err) != "unavailable" {
		t.Errorf("before any return: %v", err)
	}
	r, err := s.Return(context.Background(), ReturnOptions{Apply: true, Mode: workspace.ModeBranch}, nil)
	if err != nil || r.Branch == "" {
		t.Fatalf("%+v %v", r, err)
	}
	before := maps.Clone(f.files())
	_, err = s.Undo(context.Background(), nil)
	var e *Error
	if !errors.As(err, &e) || e.Kind != "unsupported" || !strings.Contains(e.Message, r.Branch) || !strings.Contains(e.Hint, "git branch -D "+r.Branch) {
		t.Errorf("%v", err)
	}
	if diff := cmp.Diff(before, f.files()); diff != "" {
		t.Error(diff)
	}
}

func TestASyncDuringAnUndoDoesNotRevertTheSandbox(t *testing.T) {
	f := newFixture(t)
	e := newPerson(t)
	s := f.open(OpenOptions{Editor: e})
	f.run(s, "sed -i s/two/TWO/ a.txt")
	f.giveBack(s)
	e.before = func(edit *workspace.Edit) (bool, string, error, bool) {
		for range 2 { // while the person looks, and right after the edit
			if _, err := s.Sync(context.Background(), false, nil); err != nil {
				t.Error(err)
			}
			for _, c := range edit.Texts {
				e.change(c)
			}
			edit.Texts = nil
		}
		return true, "", nil, true
	}
	if r := f.undo(s); !r.Applied {
		t.Errorf("undo: %+v", r)
	}
	if got := string(f.run(s, "grep -c TWO a.txt").Stdout); got != "1\n" {
		t.Errorf("inside: %q", got)
	}
	if diff := cmp.Diff([]string{"a.txt"}, f.waiting(s)); diff != "" {
		t.Errorf("offered again (-want +got):\n%s", diff)
	}
}

func TestUndoDeletesNoFileThatAnotherProgramWroteBelowUnsavedText(t *testing.T) {
	for name, disk := range map[string]string{"as the editor made it": "", "written by another program": "theirs\n"} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			p := newPerson(t)
			s := f.open(OpenOptions{Editor: p})
			f.run(s, "echo new > new.txt")
			f.giveBack(s)
			// The editor did not save what it was given.
			f.write("new.txt", disk)
			p.typeIn(filepath.Join(f.repo, "new.txt"), "new\n")
			p.before = func(e *workspace.Edit) (bool, string, error, bool) { // that text may go, it came by the return
				p.docs = nil
				return false, "", nil, false
			}
			r, err := s.Undo(context.Background(), nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = os.Stat(filepath.Join(f.repo, "new.txt"))
			if disk == "" {
				if !os.IsNotExist(err) || len(r.Conflicts) > 0 {
					t.Errorf("it stays: %v %+v", err, r.Conflicts)
				}
				return
			}
			if err != nil || f.read("new.txt") != disk || len(r.Conflicts) != 1 {
				t.Errorf("on disk: %v; conflicts %+v", err, r.Conflicts)
			}
		})
	}
}

func TestUndoTakesBackAReturnTogetherWithItsSettledConflicts(t *testing.T) {
	for _, choice := range []string{workspace.ChooseMine, workspace.ChooseTheirs} {
		t.Run(choice, func(t *testing.T) {
			f := newFixture(t)
			f.write("notes.txt", "untracked\n")
			s := f.open(OpenOptions{})
			f.run(s, "sed -i s/two/TWO/ a.txt; echo n > n.txt; rm notes.txt; echo theirs > b.txt")
			f.write("b.txt", "mine\n")
			if r := f.giveBack(s); len(r.Conflicts) != 1 {
				t.Fatalf("returned: %+v", r)
			}
			// Edited between the two, where the return changed it too.
			f.write("n.txt", "n\nand mine\n")
			r, err := s.Return(context.Background(), ReturnOptions{Apply: true, Resolutions: []workspace.Resolution{{Path: "b.txt", Choice: choice}}}, nil)
			if err != nil || len(r.Conflicts) > 0 {
				t.Fatalf("settled: %+v, %v", r, err)
			}
			if r := f.undo(s); !r.Applied || len(r.Conflicts) != 1 || r.Conflicts[0].Path != "n.txt" {
				t.Fatalf("undo: %+v", r)
			}
			want := map[string]string{"notes.txt": "untracked\n", "b.txt": "mine\n", "n.txt": "n\nand mine\n"}
			for name, content := range want {
				if got := f.read(name); got != content {
					t.Errorf("%s: %q", name, got)
				}
			}
			if strings.Contains(f.read("a.txt"), "TWO") {
				t.Error("a.txt was not taken back")
			}
			if diff := cmp.Diff([]string{"a.txt", "b.txt", "notes.txt"}, f.waiting(s)); diff != "" {
				t.Errorf("offered again (-want +got):\n%s", diff)
			}
		})
	}
}
