package session

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glue-lsp/sandbox"
)

// notSentWarnings are a session's warnings of what did not go up.
func notSentWarnings(s *Session) []string {
	var out []string
	for _, text := range s.Info().Warnings {
		if strings.HasPrefix(text, "not sent: ") {
			out = append(out, text)
		}
	}
	return out
}

func TestW1_UnsavedTextOverAFileThatBecameBinaryIsNamedAndStaysInTheBuffer(t *testing.T) {
	f := newFixture(t)
	p := newPerson(t)
	file := filepath.Join(f.repo, "b.txt")
	p.openFile(file)
	p.typeIn(file, "b, and more\n")
	s := f.open(OpenOptions{Editor: p})
	if got := string(f.run(s, "cat b.txt").Stdout); got != "b, and more\n" {
		t.Fatalf("inside: %q", got)
	}
	f.write("b.txt", "\x00written by another program\n")
	for range 2 { // the second one says nothing new
		res, err := s.Sync(context.Background(), false, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(res.Skipped) != 1 || res.Skipped[0].Path != "b.txt" || !strings.Contains(res.Skipped[0].Reason, "unsaved text: the file on disk is not text") {
			t.Errorf("skipped: %+v", res.Skipped)
		}
	}
	if got := notSentWarnings(s); len(got) != 1 || !strings.Contains(got[0], "b.txt") {
		t.Errorf("warnings: %q", got)
	}
	if got := string(f.run(s, "cat b.txt").Stdout); got != "\x00written by another program\n" {
		t.Errorf("inside: %q, want the file as it is on disk", got)
	}
	f.run(s, "echo inside > b.txt")
	if r := f.giveBack(s); len(r.Conflicts) != 1 || r.Conflicts[0].Path != "b.txt" {
		t.Errorf("conflicts: %+v", r.Conflicts)
	}
	if got := p.buffer(file); got != "b, and more\n" {
		t.Errorf("the buffer: %q", got)
	}
	if got := f.read("b.txt"); got != "\x00written by another program\n" {
		t.Errorf("on disk: %q", got)
	}
}

func TestW4_WhatALaterSyncLeavesOutIsNamedOnceAndInBounds(t *testing.T) {
	f := newFixture(t)
	f.write(".env", "TOKEN=1\n")
	s := f.open(OpenOptions{})
	for i := range 9 {
		f.write(fmt.Sprintf("more/%d/.env", i), "TOKEN=2\n")
	}
	for range 2 {
		f.run(s, "test ! -e .env && test ! -e more/0/.env")
	}
	got := notSentWarnings(s)
	if len(got) != namedSkipped+1 || !strings.Contains(got[0], "more/0/.env") || got[namedSkipped] != "not sent: 4 more paths" {
		t.Errorf("warnings: %q", got)
	}
	f.write("more/again/.env", "TOKEN=3\n")
	f.run(s, "true")
	if got := notSentWarnings(s); len(got) != namedSkipped+2 || !strings.Contains(got[namedSkipped+1], "more/again/.env") {
		t.Errorf("warnings: %q", got)
	}
}

// hookedSandbox answers writes by its own word, where it has one.
type hookedSandbox struct {
	sandbox.Sandbox
	write func(writes []sandbox.TreeWrite) []sandbox.TreeResult // nil: the real one answers
}

func (h *hookedSandbox) WriteTree(ctx context.Context, writes []sandbox.TreeWrite) ([]sandbox.TreeResult, error) {
	if results := h.write(writes); results != nil {
		return results, nil
	}
	return h.Sandbox.WriteTree(ctx, writes)
}

func (f *fixture) hook(s *Session, write func([]sandbox.TreeWrite) []sandbox.TreeResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sb = &hookedSandbox{s.sb, write}
}

func TestU2_WhatACommandChangesWhileItIsSentIsMergedByTheSameSync(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	inside := filepath.Join(f.home, "trees", s.ID(), "w", "a.txt")
	meanwhile := []string{"one\n2\n3\n4\n5\ntwo\n7\n8\n9\n10\nTHREE, inside\n"}
	f.hook(s, func([]sandbox.TreeWrite) []sandbox.TreeResult {
		for _, text := range meanwhile {
			if err := os.WriteFile(inside, []byte(text), 0o644); err != nil {
				t.Error(err)
			}
		}
		meanwhile = nil
		return nil
	})
	f.write("a.txt", "ONE, by the person\n2\n3\n4\n5\ntwo\n7\n8\n9\n10\nthree\n")
	res, err := s.Sync(context.Background(), false, nil)
	if err != nil || res.Sent != 1 || len(res.Conflicts) > 0 {
		t.Errorf("sync: %+v %v", res, err)
	}
	if got, err := os.ReadFile(inside); err != nil || string(got) != "ONE, by the person\n2\n3\n4\n5\ntwo\n7\n8\n9\n10\nTHREE, inside\n" {
		t.Errorf("inside: %q %v", got, err)
	}
}

func TestWhatCouldNotBeSentIsNamedAndTriedAgainByEachSync(t *testing.T) {
	for name, answer := range map[string]func(sandbox.TreeWrite) []sandbox.TreeResult{
		"refused": func(w sandbox.TreeWrite) []sandbox.TreeResult {
			return []sandbox.TreeResult{{Path: w.New.Path, Found: w.Expect, Err: "no space left on device"}}
		},
		"not answered": func(sandbox.TreeWrite) []sandbox.TreeResult { return []sandbox.TreeResult{} },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			s := f.open(OpenOptions{})
			works := false
			f.hook(s, func(writes []sandbox.TreeWrite) []sandbox.TreeResult {
				if works {
					return nil
				}
				return answer(writes[0])
			})
			f.write("b.txt", "new\n")
			for range 2 {
				res, err := s.Sync(context.Background(), false, nil)
				if err != nil || res.Sent != 0 || len(res.Conflicts) != 1 || res.Conflicts[0].Path != "b.txt" {
					t.Errorf("sync: %+v %v", res, err)
				}
			}
			works = true
			if res, err := s.Sync(context.Background(), false, nil); err != nil || res.Sent != 1 || len(res.Conflicts) > 0 {
				t.Errorf("sync: %+v %v", res, err)
			}
		})
	}
}

func TestU2_AChangeThatAMoveTakesAlongIsNotLostWhereItsNewPlaceIsTaken(t *testing.T) {
	lines := "1\n2\n3\n4\n5\n6\n7\n8\n"
	inside := func(s *Session, f *fixture, name string) string {
		return filepath.Join(f.home, "trees", s.ID(), "w", name)
	}
	t.Run("moved by the person, changed inside", func(t *testing.T) {
		f := newFixture(t)
		f.write("old.txt", lines)
		s := f.open(OpenOptions{})
		f.run(s, "echo made inside >> old.txt")
		f.hook(s, func([]sandbox.TreeWrite) []sandbox.TreeResult {
			if err := os.WriteFile(inside(s, f, "new.txt"), []byte("something else\n"), 0o644); err != nil {
				t.Error(err)
			}
			return nil
		})
		if err := os.Rename(filepath.Join(f.repo, "old.txt"), filepath.Join(f.repo, "new.txt")); err != nil {
			t.Fatal(err)
		}
		res, err := s.Sync(context.Background(), false, nil)
		if err != nil || len(res.Conflicts) == 0 {
			t.Errorf("sync: %+v %v", res, err)
		}
		for name, want := range map[string]string{"old.txt": lines + "made inside\n", "new.txt": "something else\n"} {
			if got, err := os.ReadFile(inside(s, f, name)); err != nil || string(got) != want {
				t.Errorf("%s inside: %q %v", name, got, err)
			}
		}
	})
	t.Run("moved inside, changed by the person", func(t *testing.T) {
		f := newFixture(t)
		f.write("old.txt", lines)
		s := f.open(OpenOptions{})
		f.run(s, "mv old.txt new.txt")
		stuck := true
		f.hook(s, func(writes []sandbox.TreeWrite) []sandbox.TreeResult {
			if !stuck {
				return nil
			}
			return []sandbox.TreeResult{{Path: writes[0].New.Path, Found: writes[0].Expect, Err: "no space left on device"}}
		})
		f.write("old.txt", lines+"typed\n")
		if res, err := s.Sync(context.Background(), false, nil); err != nil || len(res.Conflicts) == 0 {
			t.Errorf("sync: %+v %v", res, err)
		}
		stuck = false
		if res, err := s.Sync(context.Background(), false, nil); err != nil || res.Sent != 1 || len(res.Conflicts) > 0 {
			t.Errorf("sync: %+v %v", res, err)
		}
		if got, err := os.ReadFile(inside(s, f, "new.txt")); err != nil || string(got) != lines+"typed\n" {
			t.Errorf("inside: %q %v", got, err)
		}
	})
}
