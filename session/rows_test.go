package session

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glue-lsp/workspace"
)

func TestS1_TheBaseIsKeptWithTheSessionSoThatARestartDropsNothing(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	base := s.Info().Base.Commit
	f.run(s, "echo box >> b.txt; git add -A; git commit -qm inside; echo more > new.txt")
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	f.write("b.txt", "moved on\nb\n") // nothing of the host's is the base
	f.git("-C", f.repo, "-c", "user.name=P", "-c", "user.email=p@example.com", "commit", "-qam", "moved on")
	f.manager()
	again, err := f.m.Find(context.Background(), s.ID())
	if err != nil || again.Info().Base.Commit != base {
		t.Fatalf("the base became %+v (%v), want %s", again.Info().Base, err, base)
	}
	r := f.giveBack(again)
	if !r.Applied || len(r.Conflicts) > 0 || f.read("b.txt") != "moved on\nb\nbox\n" || f.read("new.txt") != "more\n" {
		t.Errorf("return: %+v", r)
	}
}

func TestF1_WhatChangedIsCapturedWhenTheClientIsAnEditorThatGoesAway(t *testing.T) {
	f, _, s := withPerson(t, "echo box > b.txt; echo n > n.txt")
	if err := f.m.Shutdown(context.Background()); err != nil { // the editor was closed
		t.Fatal(err)
	}
	f.manager()
	list, err := f.m.List(context.Background())
	if err != nil || len(list) != 1 || list[0].ID != s.ID() || list[0].Checkpoint.ChangedFiles != 2 {
		t.Fatalf("list: %+v %v", list, err)
	}
	f.m.UseEditor(newPerson(t))
	again, err := f.m.Find(context.Background(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	if r := f.giveBack(again); !r.Applied || f.read("b.txt")+f.read("n.txt") != "box\nn\n" {
		t.Errorf("return: %+v", r)
	}
}

func TestF9_AnEarlierMboxThatWasNotReturnedIsInTheNextOne(t *testing.T) {
	f, e, s := withPerson(t, "echo first > one.txt; git add -A; git commit -qm 'first inside'")
	e.before = func(*workspace.Edit) (bool, string, error, bool) { return false, "not now", nil, true }
	if r := f.giveBack(s); r.Applied || r.Mbox == nil || r.Mbox.Commits != 1 {
		t.Fatalf("the first return: %+v", r)
	}
	f.run(s, "echo second > two.txt; git add -A; git commit -qm 'second inside'")
	if _, err := s.Close(context.Background(), &ReturnOptions{Apply: true}, nil); err != nil {
		t.Fatal(err)
	}
	f.manager() // and it is gone on with
	again, err := f.m.Find(context.Background(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	r, err := again.Return(context.Background(), ReturnOptions{}, nil)
	if err != nil || r.Mbox == nil || r.Mbox.Commits != 2 {
		t.Fatalf("the next return: %+v %v", r, err)
	}
	b, err := os.ReadFile(filepath.Join(s.Dir(), "runtime.mbox"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"first inside", "second inside"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the mbox does not hold %q", want)
		}
	}
}

func TestF13_CommitsInsideWorkWhereNoIdentityIsSetUp(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	out := f.run(s, "env -u GIT_AUTHOR_NAME -u GIT_COMMITTER_NAME git -c user.useConfigOnly=true commit -q --allow-empty -m inside && git log -1 --format='%an <%ae>'")
	if got := strings.TrimSpace(string(out.Stdout)); !strings.Contains(got, "@") || strings.HasPrefix(got, " ") {
		t.Errorf("the author is %q", got)
	}
}

func TestU3_NothingIsEverHiddenInAStash(t *testing.T) {
	f := newFixture(t)
	f.write("a.txt", strings.Replace(f.read("a.txt"), "one", "ONE", 1)) // a dirty tree, with staged changes too
	f.write("staged.txt", "staged\n")
	f.git("-C", f.repo, "add", "staged.txt")
	before := f.git("-C", f.repo, "for-each-ref") + f.git("-C", f.repo, "reflog", "--all")
	s := f.open(OpenOptions{})
	f.run(s, "sed -i s/three/THREE/ a.txt; echo more >> staged.txt; echo conflict > b.txt")
	f.write("b.txt", "mine\n")
	f.giveBack(s)
	f.undo(s)
	f.giveBack(s)
	if after := f.git("-C", f.repo, "for-each-ref") + f.git("-C", f.repo, "reflog", "--all"); after != before {
		t.Errorf("refs and reflogs became\n%s, they were\n%s", after, before)
	}
	if got := f.git("-C", f.repo, "stash", "list"); got != "" {
		t.Errorf("stash: %q", got)
	}
	if got := f.read("a.txt"); !strings.HasPrefix(got, "ONE\n") || !strings.HasSuffix(got, "THREE\n") || f.read("b.txt") != "mine\n" {
		t.Errorf("a.txt: %q", got)
	}
}

func TestDiscardTakesBothEndsOfARenameAndNothingElse(t *testing.T) {
	for _, named := range []string{"a.txt", "moved", "moved/to.txt"} {
		f := newFixture(t)
		s := f.open(OpenOptions{})
		f.run(s, "mkdir moved; git mv a.txt moved/to.txt; echo n > n.txt; printf x > \"$(printf 'na\\357ve')\"")
		gone, err := s.Discard(context.Background(), []string{named})
		if err != nil || len(gone) != 1 || gone[0].Path != "moved/to.txt" || gone[0].OldPath != "a.txt" {
			t.Errorf("discarding %s threw away %+v (%v)", named, gone, err)
		}
		if gone, err = s.Discard(context.Background(), []string{"na\xefve"}); err != nil || len(gone) != 1 {
			t.Errorf("a name that is not UTF-8: %+v (%v)", gone, err)
		}
		r := f.giveBack(s)
		if !r.Applied || len(r.Files) != 1 || r.Files[0].Path != "n.txt" || !strings.HasPrefix(f.read("a.txt"), "one\n") {
			t.Errorf("return: %+v", r)
		}
	}
}
