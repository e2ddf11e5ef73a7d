package workspace

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestS7_EveryCommitReturnsWithAuthorDateAndMessage(t *testing.T) {
	in := newInside(t, "a.txt", "a\n", "b.txt", "b\n")
	in.put("a.txt", "A\n")
	in.commit("First change\n\nBecause of this.\nAnd that.\n", "--author=Ann Example <ann@example.org>", "--date=2001-02-03T04:05:06+0700")
	in.put("new/c.txt", "c\n")
	in.commit("Second change\n", "--author=Zoë \"Z\" O'Neil, Jr <zoe@example.org>", "--date=2024-12-31T23:59:59-0330")
	_, meta, clone := in.check(in.request())
	got := in.runIn(clone, "log", "--reverse", "--format=%an|%ae|%aI|%B", meta.BaseSHA+"..HEAD")
	same(t, "log", "Ann Example|ann@example.org|2001-02-03T04:05:06+07:00|First change\n\nBecause of this.\nAnd that.\n\n"+
		"Zoë \"Z\" O'Neil, Jr|zoe@example.org|2024-12-31T23:59:59-03:30|Second change\n\n", got)
	if len(meta.Messages) > 0 {
		t.Errorf("nothing was lost, but the meta file keeps %+v", meta.Messages)
	}
}

func TestF3_UncommittedWorkIsAMessageOfItsOwn(t *testing.T) {
	in := newInside(t, "a.txt", "a\n")
	in.put("a.txt", "committed\n")
	in.commit("A commit\n")
	in.put("a.txt", "uncommitted\n")
	in.put("untracked.txt", "u\n")
	m, meta, clone := in.check(in.request())
	same(t, "subjects", []string{"A commit", uncommittedSubject}, subjects(in, clone, meta))
	same(t, "messages", 2, m.Commits)
	same(t, "the commit's a.txt", "committed\n", in.runIn(clone, "show", "HEAD^:a.txt"))
}

func TestF4_F5_AwkwardBytesArriveByPlainGitAm(t *testing.T) {
	in := newInside(t, "crlf.txt", "a\r\nb\r\n", "mixed.txt", "a\r\nb\n", "latin.txt", "caf\xe9\n", "noeol.txt", "x", "bin", "\x00\x01", "mv.txt", strings.Repeat("crlf\r\n", 20))
	in.put("crlf.txt", "a\r\nB\r\n")
	in.put("newcrlf.txt", "n\r\nm\r\n")
	in.put("mixed.txt", "a\r\nb\nc\r\n")
	in.put("cr.txt", "a\rb\r")
	in.put("latin.txt", "caf\xe9\n\xfc\n")
	in.put("noeol.txt", "y")
	in.put("bin", "\x00\x02\r\n\xff")
	in.put("late-nul.txt", strings.Repeat("text line\n", 900)+"\x00nul\n")
	in.put("na\xefve name.txt", "x\n")
	in.put("tab\there \"quoted\".txt", "x\n")
	in.put("empty", "")
	in.put("-- dashes", "--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y\n")
	in.put("from.txt", "From me to you\n>From x\nFrom 1234567890123456789012345678901234567890 Mon Sep 17 00:00:00 2001\n")
	in.git("mv", "mv.txt", "moved.txt")
	in.put("moved.txt", strings.Repeat("crlf\r\n", 20)+"more\r\n")
	if err := os.Symlink("target\r", filepath.Join(in.dir, "link")); err != nil {
		t.Fatal(err)
	}
	in.put("run.sh", "echo\n")
	if err := os.Chmod(filepath.Join(in.dir, "run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	in.commit("Awkward bytes\n")
	in.check(in.request())
}

func TestF5_NamesMadeOfSpacesArriveByPlainGitAm(t *testing.T) {
	in := newInside(t, "a.txt", "a\n", " /gone", "", " /mode", "x\n")
	in.put(" /empty", "")
	in.put("a b/ c /d ", "")
	in.put(" / / ", "text\n")
	if err := os.Remove(filepath.Join(in.dir, " /gone")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(in.dir, " /mode"), 0o755); err != nil {
		t.Fatal(err)
	}
	in.commit("Spaces\n")
	in.check(in.request())
}

func TestF7_MergesAmendedBasesOtherBranchesAndStashesAreCapturedOrNamed(t *testing.T) {
	in := newInside(t, "a.txt", "a\n", "b.txt", "b\n")
	in.git("checkout", "-q", "-b", "side")
	in.put("side.txt", "s\n")
	side := in.commit("On the side\n")
	in.git("checkout", "-q", "main")
	in.put("a.txt", "A\n")
	in.commit("On main\n")
	in.git("merge", "-q", "--no-ff", "-m", "Merge side", "side")
	in.git("checkout", "-q", "-b", "other")
	in.put("other.txt", "o\n")
	other := in.commit("Elsewhere\n")
	in.git("checkout", "-q", "main")
	in.put("stashed.txt", "st\n")
	in.git("stash", "-q", "-u")
	stash := in.git("rev-parse", "refs/stash")
	_, meta, clone := in.check(in.request("refs/heads/other", "refs/stash"))
	same(t, "subjects", []string{"On main", "Merge side"}, subjects(in, clone, meta))
	named := strings.Join(meta.Merged, "\n")
	for _, id := range []string{side, other, stash} {
		if !strings.Contains(named, id) {
			t.Errorf("%s is not named in %q", id, named)
		}
	}
	same(t, "the bundle holds other", "o\n", in.runIn(clone, "show", other+":other.txt"))
}

func TestF7_AnAmendedBaseCommit(t *testing.T) {
	in := newInside(t, "a.txt", "a\n")
	in.put("a.txt", "amended\n")
	in.git("add", "-A")
	in.git("commit", "-q", "--amend", "-m", "Amended")
	in.put("b.txt", "b\n")
	in.commit("After\n")
	_, meta, clone := in.check(in.request())
	same(t, "subjects", []string{"Amended", "After"}, subjects(in, clone, meta))
	if len(meta.Warnings) == 0 {
		t.Error("that the base was amended is not said")
	}
}

func TestF24_AHistoryBegunAnewHidesNothing(t *testing.T) {
	in := newInside(t, "a.txt", "a\n", "b.txt", "b\n")
	if err := os.RemoveAll(filepath.Join(in.dir, ".git")); err != nil {
		t.Fatal(err)
	}
	in.git("init", "-q", "-b", "main")
	in.put("a.txt", "A\n")
	in.put(".gitignore", "*\n")
	in.commit("Begun anew\n")
	in.put("left.txt", "l\n")
	_, meta, clone := in.check(in.request())
	same(t, "subjects", []string{"Begun anew", uncommittedSubject}, subjects(in, clone, meta))
}

func TestTheMboxHoldsTheSandboxsWorkAndNotTheHosts(t *testing.T) {
	in := newInside(t, "a.txt", "1\n2\n3\n4\n5\n", "b.txt", "b\n")
	in.put("a.txt", "1\n2\n3\n4\nfive\n")
	in.commit("Sandbox work\n")
	// A sync brought the person's edits in.
	in.put("a.txt", "one\n2\n3\n4\nfive\n")
	in.put("host.txt", "host\n")
	r := in.request()
	r.Agreed = makeTree(t, in.s, map[string]string{"a.txt": "one\n2\n3\n4\n5\n", "b.txt": "b\n", "host.txt": "host\n"})
	_, meta, clone := in.check(r)
	same(t, "subjects", []string{"Sandbox work"}, subjects(in, clone, meta))
	same(t, "what it changes", "a.txt\n", in.runIn(clone, "diff", "--name-only", meta.BaseSHA, "HEAD"))
	if meta.BaseSHA == in.base.Commit {
		t.Error("base_sha is the bootstrap although a sync moved what is agreed")
	}
	same(t, "base_sha lies in the store", "commit\n", in.runIn(in.s.Repo.Dir, "cat-file", "-t", meta.BaseSHA))
}

func TestACommitThatDoesNotMergeIsFoldedIntoTheNext(t *testing.T) {
	in := newInside(t, "a.txt", "1\n", "b.txt", "b\n")
	in.put("a.txt", "sandbox\n")
	first := in.commit("Conflicts\n")
	in.put("a.txt", "1\n")
	in.put("b.txt", "B\n")
	in.commit("Does not\n")
	in.put("a.txt", "host\n")
	r := in.request()
	r.Agreed = makeTree(t, in.s, map[string]string{"a.txt": "host\n", "b.txt": "b\n"})
	_, meta, clone := in.check(r)
	same(t, "subjects", []string{"Does not"}, subjects(in, clone, meta))
	same(t, "folded", []string{first}, meta.Folded)
}

func TestCommitsThatWereReturnedAreNotReturnedAgain(t *testing.T) {
	in := newInside(t, "a.txt", "a\n", "b.txt", "b\n")
	in.put("a.txt", "A\n")
	first := in.commit("First\n")
	r := in.request()
	in.check(r)
	r.Agreed = r.Theirs
	if m, _ := in.mbox(r); m != nil {
		t.Errorf("an mbox of what was returned: %+v", m)
	}
	in.put("b.txt", "B\n")
	in.commit("Second\n")
	r = in.request()
	r.Agreed = makeTree(t, in.s, map[string]string{"a.txt": "A\n", "b.txt": "b\n"})
	_, meta, clone := in.check(r)
	same(t, "subjects", []string{"Second"}, subjects(in, clone, meta))
	same(t, "returned", []string{first}, meta.Returned)
}

func TestNothingChangedWritesNoMbox(t *testing.T) {
	in := newInside(t, "a.txt", "a\n")
	if m, _ := in.mbox(in.request()); m != nil {
		t.Errorf("an mbox of nothing: %+v", m)
	}
	if _, err := os.Stat(filepath.Join(in.out, MboxFile)); err == nil {
		t.Error("a file was written")
	}
}

func TestR2_TheMetaFileGivesTheContext(t *testing.T) {
	in := newInside(t, "a.txt", "a\n")
	in.put("a.txt", "b\n")
	r := in.request()
	r.Meta.RemoteURL, r.MaxBytes = "https://example.org/x.git", 1<<20
	m, meta := in.mbox(r)
	b, err := os.ReadFile(filepath.Join(in.out, MetaFile))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"runtime_id": "r1", "sandbox_id": "sb-1", "bootstrap_sha": in.base.Commit, "base_sha": in.base.Commit, "remote_url": "https://example.org/x.git",
		"runtime_cwd": "/workspace", "format": "mbox", "captured_at": "2023-11-14T22:13:20Z", "size_bytes": float64(m.Bytes), "truncated": false,
		"truncation_cap_bytes": float64(1 << 20), "verified": true, "commits": 1.0,
	} {
		same(t, name, want, fields[name])
	}
	info, err := os.Stat(m.Path)
	if err != nil || info.Size() != meta.SizeBytes {
		t.Errorf("the mbox has %d bytes, the meta file says %d (%v)", info.Size(), meta.SizeBytes, err)
	}
	for _, name := range []string{MboxFile, MetaFile, BundleFile} {
		info, err := os.Stat(filepath.Join(in.out, name))
		if err != nil || info.Mode().Perm() != fs.FileMode(0o600) {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
}

func TestR7_AHugePatchIsCutWithAWarningAndTheBundleKeepsAll(t *testing.T) {
	in := newInside(t, "a.txt", "a\n")
	in.put("a.txt", "small\n")
	in.commit("Small\n")
	in.put("large.txt", strings.Repeat("0123456789 abcdef\n", 20_000))
	in.commit("Large\n")
	in.put("b.txt", "b\n")
	r := in.request()
	r.MaxBytes = 64 << 10
	m, meta := in.mbox(r)
	if !m.Truncated || !meta.Truncated || len(meta.Warnings) == 0 || m.Bytes > r.MaxBytes {
		t.Errorf("%+v %+v", m, meta)
	}
	same(t, "messages", 1, m.Commits)
	clone := in.am(m, meta)
	same(t, "subjects", []string{"Small"}, subjects(in, clone, meta))
	same(t, "the bundle's final tree", r.Theirs, strings.TrimSpace(in.runIn(clone, "rev-parse", "refs/glue/final^{tree}")))
	same(t, "the bundle's head", r.Head, strings.TrimSpace(in.runIn(clone, "rev-parse", "refs/glue/head")))
}

func TestAnMboxWithoutAGitInside(t *testing.T) {
	in := newInside(t, "a.txt", "a\n")
	in.put("a.txt", "b\n")
	r := in.request()
	r.Head = ""
	_, meta, clone := in.check(r)
	same(t, "subjects", []string{uncommittedSubject}, subjects(in, clone, meta))
}

func TestManyCommitsAreVerifiedTogetherAndArriveOneByOne(t *testing.T) {
	in := newInside(t, "a.txt", "a\n", "crlf.txt", "a\r\n")
	for i := range maxBatches + 8 {
		in.put("a.txt", strings.Repeat("a\n", i+2))
		in.put("crlf.txt", strings.Repeat("a\r\n", i+2))
		in.put(fmt.Sprintf("n%d.txt", i/2), fmt.Sprintf("%d\n", i))
		in.commit(fmt.Sprintf("Commit %d\n", i))
	}
	m, _, _ := in.check(in.request())
	same(t, "messages", maxBatches+8, m.Commits)
}

func TestTreesThatAreHardToPatchArriveWhole(t *testing.T) {
	body := strings.Repeat("a line of some length\n", 20)
	in := newInside(t, "f", body, "d/x", body+"x\n", "t", body, "swap1", body+"1\n", "swap2", "\x00"+body, "m.sh", body+"m\n")
	step := func(message string, do ...string) {
		in.runIn(in.dir, do...)
		in.commit(message)
	}
	remove := func(name string) {
		if err := os.RemoveAll(filepath.Join(in.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	remove("f")
	in.put("f/inner", body)
	in.commit("A file becomes a folder that holds it\n")
	remove("d")
	in.put("d", body+"x\n")
	in.commit("A folder becomes the file that it held\n")
	remove("t")
	if err := os.Symlink("d", filepath.Join(in.dir, "t")); err != nil {
		t.Fatal(err)
	}
	in.commit("A file becomes a link\n")
	step("Two files change places\n", "mv", "swap1", "swap3")
	in.git("mv", "swap2", "swap1")
	in.git("mv", "swap3", "swap2")
	in.commit("Swapped\n")
	in.put("m.sh", body+"more\n")
	if err := os.Chmod(filepath.Join(in.dir, "m.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	step("Renamed, changed and executable\n", "mv", "m.sh", "n.sh")
	remove("n.sh")
	in.put("n.sh", "")
	in.commit("Emptied\n")
	m, meta, _ := in.check(in.request())
	same(t, "messages", 7, m.Commits)
	same(t, "folded", []string(nil), meta.Folded)
}

func TestTheNextMboxReplacesTheBundleOnlyWhenItHoldsSomethingElse(t *testing.T) {
	in := newInside(t, "a.txt", "a\n")
	in.put("a.txt", "b\n")
	r := in.request()
	in.mbox(r)
	before, err := os.Stat(filepath.Join(in.out, BundleFile))
	if err != nil {
		t.Fatal(err)
	}
	in.mbox(r)
	after, err := os.Stat(filepath.Join(in.out, BundleFile))
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) {
		t.Error("the same bundle was written again")
	}
	in.put("a.txt", "c\n")
	in.mbox(in.request())
	if after, err = os.Stat(filepath.Join(in.out, BundleFile)); err != nil || os.SameFile(before, after) {
		t.Errorf("the bundle is not the new one (%v)", err)
	}
}

func TestAMessageThatFailsItsCheckFallsBackAlone(t *testing.T) {
	in := newInside(t, "a.txt", "a\n", "b.txt", "b\n")
	in.put("a.txt", "A\n")
	first := in.commit("First\n")
	in.put("b.txt", "B\n")
	in.commit("Second\n")
	r := in.request()
	b := &mboxBuilder{s: in.s, r: r}
	b.r.MaxBytes = 1 << 20
	ctx := context.Background()
	for _, step := range []func(context.Context) error{b.chain, b.plan, b.commits} {
		if err := step(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if !b.fallBack(0) || !b.messages[0].binary || b.messages[1].binary {
		t.Fatal("the first step is not to write this message as binary patches")
	}
	if err := b.render(ctx); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b.messages[0].text), "GIT binary patch") || strings.Contains(string(b.messages[1].text), "GIT binary patch") {
		t.Errorf("the messages are:\n%s\n%s", b.messages[0].text, b.messages[1].text)
	}
	same(t, "verified", true, b.meta.Verified)

	if !b.fallBack(0) || len(b.messages) != 1 {
		t.Fatal("the second step is not to fold it into the next")
	}
	if err := b.render(ctx); err != nil {
		t.Fatal(err)
	}
	same(t, "folded", []string{first}, b.meta.Folded)
	same(t, "paths of the one that is left", 2, len(b.messages[0].paths))
	if b.fallBack(0); b.fallBack(0) {
		t.Error("the last message cannot be folded")
	}
}

func TestLongRefNamesOfTheSandboxStayApartAndFitIntoAFileName(t *testing.T) {
	long := strings.Repeat("é", 100)
	seen := map[string]bool{}
	for _, name := range []string{"a", "A", "a/b", "a_2fb", long, long + "x", long + "y", strings.Repeat("x", 250)} {
		got := refSafe(name)
		if seen[got] || len(got)+len(".lock") > 255 || strings.ContainsAny(got, "/.") {
			t.Errorf("%s: %s", name, got)
		}
		seen[got] = true
	}
}
