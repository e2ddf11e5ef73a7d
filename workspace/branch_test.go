package workspace

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBranchTouchesNothingButObjectsAndTheRef(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n", "b.txt", "b\n")
	hook := filepath.Join(h.dir, ".git/hooks/reference-transaction")
	if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hook, []byte("#!/bin/sh\ntouch \"$GIT_DIR/hook-ran\" \"$PWD/hook-ran\"\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	h.run("config", "core.logAllRefUpdates", "always")
	h.write("b.txt", "dirty\n")
	tr := h.trip(h.open()).inside("a.txt", "A\n")
	d := tr.plan(func(r *DownRequest) { r.Mode = ModeBranch })
	head := h.run("rev-parse", "HEAD")
	before := fingerprint(t, h.dir)
	ref, err := tr.w.Branch(context.Background(), tr.s, "glue/s1", d.Merged, "From the sandbox\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "ref", "refs/heads/glue/s1", ref)
	after := fingerprint(t, h.dir)
	for name := range after {
		if before[name] == after[name] || strings.HasPrefix(name, ".git/objects/") {
			continue
		}
		if name != ".git/refs/heads/glue" && name != ".git/refs/heads/glue/s1" {
			t.Errorf("%s was written", name)
		}
	}
	same(t, "its parent", head, h.run("rev-parse", ref+"^"))
	same(t, "its files", "A\ndirty\n", h.run("show", ref+":a.txt")+h.run("show", ref+":b.txt"))
	same(t, "its message", "From the sandbox\n\n", h.run("log", "-1", "--format=%B", ref))
	h.run("fsck", "--strict", "--connectivity-only")
}

func TestBranchRefusesWhatIsThere(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n")
	h.run("branch", "taken")
	h.run("branch", "deep/er")
	tr := h.trip(h.open()).inside("a.txt", "A\n")
	d := tr.plan(func(r *DownRequest) { r.Mode = ModeBranch })
	for _, name := range []string{"taken", "deep", "deep/er/est", "taken/x", "main", "a..b", "-x", "x.lock", "a b", "", "HEAD", "x~1", "../x"} {
		before := h.run("for-each-ref")
		_, err := tr.w.Branch(context.Background(), tr.s, name, d.Merged, "m\n", nil)
		var failed *Error
		if !errors.As(err, &failed) || failed.Kind != "conflict" || failed.Hint == "" {
			t.Errorf("%q: %v", name, err)
		}
		same(t, "refs", before, h.run("for-each-ref"))
	}
}

func TestBranchWithoutARepository(t *testing.T) {
	h := newHost(t)
	h.write("a.txt", "a\n")
	tr := h.trip(h.open())
	_, err := tr.w.Branch(context.Background(), tr.s, "x", tr.agreed, "m\n", nil)
	var failed *Error
	if !errors.As(err, &failed) || failed.Kind != "unsupported" {
		t.Errorf("%v", err)
	}
}

func TestBranchOfAWorktreeAndOfAnUnbornBranch(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n")
	linked := filepath.Join(filepath.Dir(h.dir), "linked")
	h.run("worktree", "add", "-q", "-b", "side", linked)
	tr := h.trip(h.openAt(linked)).inside("a.txt", "A\n")
	d := tr.plan(func(r *DownRequest) { r.Mode = ModeBranch })
	if _, err := tr.w.Branch(context.Background(), tr.s, "back", d.Merged, "m\n", nil); err != nil {
		t.Fatal(err)
	}
	same(t, "a.txt", "A\n", h.run("show", "back:a.txt"))

	h = newHost(t)
	h.run("init", "-q", "-b", "main")
	h.write("a.txt", "a\n")
	tr = h.trip(h.open())
	if _, err := tr.w.Branch(context.Background(), tr.s, "back", tr.agreed, "m\n", nil); err != nil {
		t.Fatal(err)
	}
	same(t, "a.txt of the unborn", "a\n", h.run("show", "back:a.txt"))
}

func TestS7_BranchReplaysTheSandboxsCommits(t *testing.T) {
	in := newInside(t, "a.txt", "1\n2\n3\n4\n5\n", "b.txt", "b\n")
	in.put("a.txt", "1\n2\n3\n4\nfive\n")
	in.commit("First inside\n", "--author=Ann <ann@example.org>", "--date=2001-02-03T04:05:06+0700")
	in.put("new.txt", "n\n")
	in.commit("Second inside\n")
	in.put("left.txt", "l\n")
	r := in.request()
	m, _ := in.mbox(r)
	in.write("a.txt", "one\n2\n3\n4\n5\n") // the person goes on meanwhile
	w := in.open()
	d, err := w.PlanDown(context.Background(), in.s, DownRequest{Agreed: r.Agreed, Host: in.host.snap(w, in.s), Theirs: r.Theirs, Mode: ModeBranch})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := w.Branch(context.Background(), in.s, "back", d.Merged, "unused\n", m.Chain)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "log", "first|P\nUncommitted changes of the working tree|glue\nFirst inside|Ann\nSecond inside|P\n"+uncommittedSubject+"|glue\n",
		in.run("log", "--reverse", "--format=%s|%an", ref))
	same(t, "first inside", "one\n2\n3\n4\nfive\n", in.run("show", ref+"~2:a.txt"))
	same(t, "host's work alone", "one\n2\n3\n4\n5\n", in.run("show", ref+"~3:a.txt"))
	same(t, "tree", d.Merged, strings.TrimSpace(in.run("rev-parse", ref+"^{tree}")))
	same(t, "date", "2001-02-03T04:05:06+07:00\n", in.run("log", "-1", "--format=%aI", ref+"~2"))
}
