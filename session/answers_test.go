package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/workspace"
)

// withPerson is a session in front of which somebody sits, with some changes inside.
func withPerson(t *testing.T, commands string) (*fixture, *person, *Session) {
	t.Helper()
	f := newFixture(t)
	e := newPerson(t)
	s := f.open(OpenOptions{Editor: e})
	f.run(s, commands)
	return f, e, s
}

func warned(s *Session, text string) bool {
	return strings.Contains(strings.Join(s.Info().Warnings, "\n"), text)
}

func TestF25_AnEditorThatSaysYesAndDoesNothingHasRefusedNothing(t *testing.T) {
	f, e, s := withPerson(t, "echo box > b.txt")
	e.before = func(*workspace.Edit) (bool, string, error, bool) { return true, "", nil, true }
	if r := f.giveBack(s); r.Applied || len(r.Declined) > 0 || f.read("b.txt") != "b\n" {
		t.Errorf("return: %+v", r)
	}
	if !warned(s, "files are as they were") {
		t.Errorf("nobody is told: %q", s.Info().Warnings)
	}
	e.before = nil
	if r := f.giveBack(s); !r.Applied || f.read("b.txt") != "box\n" {
		t.Errorf("offered again: %+v", r)
	}
}

func TestF25_ARefusedFileOrHunkIsNotOfferedTwiceAndNothingIsReverted(t *testing.T) {
	f, e, s := withPerson(t, "sed -i 's/one/ONE/; s/three/THREE/' a.txt; echo box > b.txt; echo n > n.txt")
	e.want = func(path string, edit int) bool {
		return strings.HasSuffix(path, "n.txt") || strings.HasSuffix(path, "a.txt") && edit == 1
	}
	r := f.giveBack(s)
	var declined []string
	for _, c := range r.Declined {
		declined = append(declined, c.Path)
	}
	if diff := cmp.Diff([]string{"a.txt", "b.txt"}, declined); diff != "" || r.Applied {
		t.Errorf("declined (-want +got):\n%s%+v", diff, r)
	}
	if e.asked() != 1 {
		t.Errorf("the editor was asked %d times", e.asked())
	}
	e.want = nil
	if r := f.giveBack(s); len(r.Files) > 0 || len(r.Conflicts) > 0 || r.Applied || e.asked() != 1 {
		t.Errorf("offered twice: %+v", r)
	}
	// Neither side loses what it has, also once more was typed and synced.
	f.write("a.txt", strings.Replace(f.read("a.txt"), "5", "five", 1))
	if got := string(f.run(s, "cat a.txt b.txt").Stdout); got != "ONE\n2\n3\n4\nfive\ntwo\n7\n8\n9\n10\nTHREE\nbox\n" {
		t.Errorf("inside: %q", got)
	}
	if got := f.read("a.txt"); got != "one\n2\n3\n4\nfive\ntwo\n7\n8\n9\n10\nTHREE\n" {
		t.Errorf("a.txt: %q", got)
	}
	// What was accepted and then taken back by hand does not return either.
	f.write("n.txt", "mine\n")
	if r := f.giveBack(s); len(r.Conflicts) > 0 || len(r.Files) > 0 || e.asked() != 1 || f.read("n.txt") != "mine\n" {
		t.Errorf("after a change by hand: %+v", r)
	}
}

func TestF25_WhatWasThrownAwayStaysSoWhenLaterEditsAreMergedIntoIt(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.run(s, "sed -i s/one/ONE/ a.txt; rm b.txt")
	if _, err := s.Discard(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	f.write("a.txt", strings.Replace(f.read("a.txt"), "three", "THREE", 1))
	if got := string(f.run(s, "cat a.txt").Stdout); !strings.HasPrefix(got, "ONE\n") || !strings.HasSuffix(got, "THREE\n") {
		t.Fatalf("inside: %q", got)
	}
	if r := f.giveBack(s); len(r.Files) > 0 || !strings.HasPrefix(f.read("a.txt"), "one\n") || f.read("b.txt") != "b\n" {
		t.Errorf("return: %+v", r)
	}
	if left := f.waiting(s); len(left) > 0 {
		t.Errorf("%v are offered", left)
	}
	// What the sandbox does to it next is a new offer.
	f.run(s, "sed -i s/two/TWO/ a.txt")
	if diff := cmp.Diff([]string{"a.txt"}, f.waiting(s)); diff != "" {
		t.Errorf("offered (-want +got):\n%s", diff)
	}
}

func TestAnEditorThatFailsIsNotAskedAgainAndClosedFilesGoToDisk(t *testing.T) {
	f, e, s := withPerson(t, "echo box > b.txt; sed -i s/one/ONE/ a.txt; echo n > n.txt")
	e.typeIn(filepath.Join(f.repo, "a.txt"), f.read("a.txt")+"typed\n")
	e.before = func(*workspace.Edit) (bool, string, error, bool) {
		return false, "", fmt.Errorf("%w: not implemented", ErrUnable), true
	}
	r := f.giveBack(s)
	if f.read("b.txt") != "box\n" || f.read("n.txt") != "n\n" || e.asked() != 1 {
		t.Errorf("asked %d times: %+v", e.asked(), r)
	}
	if len(r.Conflicts) != 1 || r.Conflicts[0].Path != "a.txt" || !strings.HasPrefix(f.read("a.txt"), "one\n") {
		t.Errorf("the file with unsaved text: %+v", r.Conflicts)
	}
}

func TestABufferThatChangesInBetweenIsMergedAndSentAgain(t *testing.T) {
	f, e, s := withPerson(t, "sed -i s/one/ONE/ a.txt; printf '\\0\\7' > dir/c.bin; rm b.txt")
	file := filepath.Join(f.repo, "a.txt")
	e.typeIn(file, f.read("a.txt")+"typed\n")
	e.before = func(*workspace.Edit) (bool, string, error, bool) {
		if e.asked() == 1 {
			e.typeIn(file, e.buffer(file)+"and more\n")
		}
		return false, "", nil, false
	}
	r := f.giveBack(s)
	if !r.Applied || e.asked() != 2 || len(r.Files) != 3 {
		t.Errorf("asked %d times: %+v", e.asked(), r)
	}
	if got, want := e.buffer(file), "ONE\n2\n3\n4\n5\ntwo\n7\n8\n9\n10\nthree\ntyped\nand more\n"; got != want {
		t.Errorf("the buffer holds %q, want %q", got, want)
	}
	if f.read("dir/c.bin") != "\x00\a" {
		t.Error("what goes to disk was not written")
	}
}

func TestAVersionThatMovedWithoutAChangeIsAskedAgain(t *testing.T) {
	f, e, s := withPerson(t, "sed -i s/one/ONE/ a.txt")
	file := filepath.Join(f.repo, "a.txt")
	e.typeIn(file, f.read("a.txt")+"typed\n")
	e.before = func(*workspace.Edit) (bool, string, error, bool) {
		if e.asked() == 1 {
			e.typeIn(file, e.buffer(file)) // typed and taken back
		}
		return false, "", nil, false
	}
	if r := f.giveBack(s); !r.Applied || e.asked() != 2 {
		t.Errorf("asked %d times: %+v", e.asked(), r)
	}
}

func TestUnsavedTextThatAppearsWhileThePersonDecidesIsNotOverwritten(t *testing.T) {
	f, e, s := withPerson(t, "sed -i s/one/ONE/ a.txt; printf 'x\\r\\n' > b.txt; printf '\\0\\7' > dir/c.bin")
	file := filepath.Join(f.repo, "b.txt") // changes its line ends, so it goes to disk
	e.before = func(*workspace.Edit) (bool, string, error, bool) {
		if e.asked() == 1 {
			e.typeIn(file, "b\ntyped\n")
		}
		return false, "", nil, false
	}
	r := f.giveBack(s)
	if f.read("b.txt") != "b\n" || e.buffer(file) != "b\ntyped\n" {
		t.Errorf("b.txt holds %q, its buffer %q", f.read("b.txt"), e.buffer(file))
	}
	if len(r.Conflicts) != 1 || r.Conflicts[0].Path != "b.txt" || r.Applied && len(r.Conflicts) == 0 {
		t.Errorf("return: %+v", r)
	}
	if f.read("dir/c.bin") != "\x00\a" || !strings.HasPrefix(f.read("a.txt"), "ONE\n") {
		t.Error("the rest did not come back")
	}
}

func TestALateAnswerIsReconciled(t *testing.T) {
	f, e, s := withPerson(t, "echo box > b.txt")
	var late *workspace.Edit
	e.before = func(edit *workspace.Edit) (bool, string, error, bool) {
		late = edit
		return false, "the editor did not answer within 1m0s", nil, true
	}
	if r := f.giveBack(s); r.Applied || len(r.Declined) > 0 {
		t.Errorf("return: %+v", r)
	}
	for _, c := range late.Texts {
		e.change(c) // it does it after all
	}
	if r := f.giveBack(s); e.asked() != 1 || len(r.Files) > 0 || len(r.Conflicts) > 0 || f.read("b.txt") != "box\n" {
		t.Errorf("asked %d times: %+v", e.asked(), r)
	}
	if left := f.waiting(s); len(left) > 0 {
		t.Errorf("%v are still offered", left)
	}
}

func TestAnEditThatFailsHalfWayIsReadBackFileByFile(t *testing.T) {
	f, e, s := withPerson(t, "echo box > b.txt; echo n > n.txt")
	e.before = func(edit *workspace.Edit) (bool, string, error, bool) {
		if e.asked() > 1 {
			return false, "", nil, false
		}
		for _, op := range edit.Ops {
			e.operate(op)
		}
		return false, "", nil, true
	}
	f.giveBack(s)
	if r := f.giveBack(s); !r.Applied || f.read("n.txt") != "n\n" || f.read("b.txt") != "box\n" {
		t.Errorf("return: %+v; n.txt %q", r, f.read("n.txt"))
	}
}

var trailing = regexp.MustCompile(`(?m)[ \t]+$`)

func TestWhiteSpaceThatSavingTrimsIsNeitherAConflictNorOfferedForEver(t *testing.T) {
	f, e, s := withPerson(t, `printf 'one   \n2\n3\n4\n5\nTWO\t\n7\n8\n9\n10\nthree' > a.txt; printf 'b  \n' > b.txt; echo n > n.txt`)
	e.save = func(text []byte) []byte {
		return append(bytes.TrimRight(trailing.ReplaceAll(text, nil), "\n"), '\n')
	}
	r := f.giveBack(s)
	if len(r.Conflicts) > 0 || e.asked() != 1 {
		t.Errorf("asked %d times: %+v", e.asked(), r)
	}
	if got := f.read("a.txt"); got != "one\n2\n3\n4\n5\nTWO\n7\n8\n9\n10\nthree\n" {
		t.Errorf("a.txt: %q", got)
	}
	if r := f.giveBack(s); len(r.Files) > 0 || len(r.Conflicts) > 0 || e.asked() != 1 {
		t.Errorf("offered again: %+v", r)
	}
	// What the person has now goes up like any other edit of theirs.
	if got := string(f.run(s, "head -1 a.txt").Stdout); got != "one\n" {
		t.Errorf("inside: %q", got)
	}
	before := f.read("n.txt")
	e.save = nil
	if r := f.undo(s); !r.Applied || len(r.Conflicts) > 0 || before == "" || !strings.Contains(f.read("a.txt"), "two\n") {
		t.Errorf("undo: %+v\n%q", r, f.read("a.txt"))
	}
}

func TestAReturnThatIsCancelledWhileTheEditorThinksLosesNothing(t *testing.T) {
	f, e, s := withPerson(t, "echo box > b.txt")
	ctx, cancel := context.WithCancel(context.Background())
	e.before = func(*workspace.Edit) (bool, string, error, bool) {
		cancel()
		return false, "", ctx.Err(), true
	}
	var said []string
	tell := func(message string, _ int) { said = append(said, message) }
	if _, err := s.Close(ctx, &ReturnOptions{Apply: true}, tell); !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
	if !strings.Contains(strings.Join(said, "\n"), "waiting for the editor") {
		t.Errorf("the wait is not said: %q", said)
	}
	// The session is open as before, and nothing is lost.
	if got := string(f.run(s, "cat b.txt").Stdout); got != "box\n" {
		t.Errorf("inside: %q", got)
	}
	e.before = nil
	r, err := s.Close(context.Background(), &ReturnOptions{Apply: true}, nil)
	if err != nil || !r.Applied || !r.Terminated || f.read("b.txt") != "box\n" {
		t.Errorf("close: %+v %v", r, err)
	}
}

func TestAnEditorThatDoesNotAnswerKeepsNoSessionOpenAndLosesNothing(t *testing.T) {
	f, e, s := withPerson(t, "echo box > b.txt")
	e.before = func(*workspace.Edit) (bool, string, error, bool) {
		return false, "the editor did not answer within 1m0s", nil, true
	}
	r, err := s.Close(context.Background(), &ReturnOptions{Apply: true}, nil)
	if err != nil || r.Applied || !r.Terminated || !warned(s, "did not answer") {
		t.Errorf("close: %+v %v %q", r, err, s.Info().Warnings)
	}
	list, err := f.m.List(context.Background())
	if err != nil || len(list) != 1 || list[0].Checkpoint.ChangedFiles != 1 {
		t.Errorf("list: %+v %v", list, err)
	}
	again, err := f.m.Find(context.Background(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	if r := f.giveBack(again); !r.Applied || f.read("b.txt") != "box\n" {
		t.Errorf("return: %+v", r)
	}
}
