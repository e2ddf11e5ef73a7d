package workspace

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glue-lsp/internal/git"
)

// inside is a sandbox with a git of its own, cloned from a session's bundle.
type insideGit struct {
	*host
	dir  string // its working tree
	s    *Store
	out  string // the session's folder on the host
	base Base
	snap *Snapshot
}

func newInside(t testing.TB, files ...string) *insideGit {
	t.Helper()
	return newInsideOf(newRepo(t, files...))
}

func newInsideOf(h *host) *insideGit {
	h.Helper()
	in := &insideGit{host: h, dir: filepath.Join(h.TempDir(), "w"), s: h.store(), out: h.TempDir()}
	in.snap = h.snap(h.open(), in.s)
	bundle := filepath.Join(in.out, "base.bundle")
	var err error
	if in.base, err = in.s.Base(context.Background(), in.snap, "main", bundle); err != nil {
		h.Fatal(err)
	}
	h.runIn(in.out, "clone", "-q", "-n", "-b", "main", bundle, in.dir)
	attributes := "* -text !eol -ident -filter !working-tree-encoding\n"
	if err := os.WriteFile(filepath.Join(in.dir, ".git/info/attributes"), []byte(attributes), 0o600); err != nil {
		h.Fatal(err)
	}
	in.git("checkout", "-q", "main")
	return in
}

func (in *insideGit) git(args ...string) string {
	in.Helper()
	return strings.TrimSpace(in.runIn(in.dir, append([]string{"-c", "user.name=Dev", "-c", "user.email=dev@example.org"}, args...)...))
}

func (in *insideGit) put(name, content string) {
	in.Helper()
	file := filepath.Join(in.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		in.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		in.Fatal(err)
	}
}

// commit commits everything with a message that git does not touch.
func (in *insideGit) commit(message string, more ...string) string {
	in.Helper()
	in.git("add", "-A", "-f")
	file := filepath.Join(in.TempDir(), "message")
	if err := os.WriteFile(file, []byte(message), 0o600); err != nil {
		in.Fatal(err)
	}
	in.git(append([]string{"commit", "-q", "--allow-empty", "--allow-empty-message", "--cleanup=verbatim", "-F", file}, more...)...)
	return in.git("rev-parse", "HEAD")
}

// request brings the sandbox's objects to the host, as a checkpoint does.
func (in *insideGit) request(refs ...string) MboxRequest {
	in.Helper()
	index := "GIT_INDEX_FILE=" + filepath.Join(in.TempDir(), "index")
	all := func(args ...string) string {
		cmd := append([]string{"-c", "alias.x=!" + index + " git", "x"}, args...)
		return in.git(cmd...)
	}
	all("add", "-A", "-f")
	treeID := all("write-tree")
	final := in.git("commit-tree", "-p", "HEAD", "-m", "x", treeID)
	in.git("update-ref", "refs/x/final", final)
	bundle := filepath.Join(in.TempDir(), "back.bundle")
	in.git(append([]string{"bundle", "create", "-q", bundle, "HEAD", "refs/x/final"}, refs...)...)
	f, err := os.Open(bundle)
	if err != nil {
		in.Fatal(err)
	}
	defer f.Close()
	if err := in.s.Repo.Ingest(context.Background(), f, git.Limits{}); err != nil {
		in.Fatal(err)
	}
	r := MboxRequest{
		BaseTree: in.snap.Tree, BaseCommit: in.base.Commit, Agreed: in.snap.Tree, Theirs: treeID, Head: in.git("rev-parse", "HEAD"), Dir: in.out,
		Meta: Meta{RuntimeID: "r1", SandboxID: "sb-1", BootstrapSHA: in.base.Commit, RuntimeCwd: "/workspace", CapturedAt: time.Unix(1_700_000_000, 0).UTC()},
	}
	for _, ref := range refs {
		if r.Refs == nil {
			r.Refs = map[string]string{}
		}
		r.Refs[ref] = in.git("rev-parse", ref)
	}
	return r
}

func (in *insideGit) mbox(r MboxRequest) (*Mbox, Meta) {
	in.Helper()
	m, err := in.s.Mbox(context.Background(), r)
	if err != nil {
		in.Fatal(err)
	}
	if m == nil {
		return nil, Meta{}
	}
	var meta Meta
	b, err := os.ReadFile(filepath.Join(r.Dir, MetaFile))
	if err != nil {
		in.Fatal(err)
	}
	if err := json.Unmarshal(b, &meta); err != nil {
		in.Fatal(err)
	}
	return m, meta
}

// am applies an mbox in a clone at the base commit, as a person would, and gives the
// clone. The clone's own repository has no attributes of ours.
func (in *insideGit) am(m *Mbox, meta Meta, options ...string) string {
	in.Helper()
	clone := filepath.Join(in.TempDir(), "clone")
	in.runIn(in.out, "init", "-q", clone)
	in.runIn(clone, "fetch", "-q", filepath.Join(in.out, BundleFile), "refs/glue/return/*:refs/glue/*")
	in.runIn(clone, "checkout", "-q", meta.BaseSHA)
	in.runIn(clone, append(append([]string{"am", "-q"}, options...), m.Path)...)
	return clone
}

var exactOptions = []string{"-k", "--keep-cr", "--empty=keep", "--patch-format=mboxrd"}

// check applies an mbox in both promised ways and compares the trees.
func (in *insideGit) check(r MboxRequest) (m *Mbox, meta Meta, exact string) {
	in.Helper()
	m, meta = in.mbox(r)
	if m == nil {
		in.Fatal("there is no mbox")
	}
	if !meta.Verified || m.Truncated {
		in.Errorf("the mbox is not whole and verified: %+v", meta)
	}
	for _, options := range [][]string{nil, exactOptions} {
		exact = in.am(m, meta, options...)
		got := strings.TrimSpace(in.runIn(exact, "rev-parse", "HEAD^{tree}"))
		if got != r.Theirs {
			in.Errorf("git am %v gives another tree than the sandbox has:\n%s", options, in.runIn(exact, "diff", "--stat", got))
		}
	}
	return m, meta, exact
}

func subjects(in *insideGit, clone string, meta Meta) []string {
	return strings.Split(strings.TrimSpace(in.runIn(clone, "log", "--reverse", "--format=%s", meta.BaseSHA+"..HEAD")), "\n")
}

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

func TestF8_AwkwardMessagesSurviveAndNeverChangeTheTree(t *testing.T) {
	messages := []string{
		"[feat] x\n", "[PATCH 3/7] y\n", "Re: z\n", "Empty commit\n",
		"Body like a patch\n\ndiff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-a\n+evil\n",
		"Separators\n\nbefore\n---\nafter\n--- \nIndex: foo\n-- \nsig\n",
		"Headers in the body\n\nFrom: Evil <evil@example.org>\nSubject: other\nDate: today\n\nrest\n",
		"Transfer\n\nContent-Transfer-Encoding: base64\n\nrest\n",
		"From the start\n\nFrom here on\n>From there\nFrom 1234567890123456789012345678901234567890 Mon Sep 17 00:00:00 2001\n",
		"Two lines\nof subject\n\nbody\n", "Ünïcödé — ☃ " + strings.Repeat("é", 90) + "\n\nbödy\n", "=?UTF-8?q?not_encoded?=\n", "with\ttab\n",
		"Latin \xe9\n\nbody \xff\n", "CR in body\n\nline\r\nother\r\n", "  leading space\n", "trailing   \n\n\n\n\nbody\n", "\n\nnothing first\n", "", "-- \n", "---\n\n---\n",
	}
	in := newInside(t, "a.txt", "a\n")
	ids := map[string]string{}
	for i, message := range messages {
		if i != 3 { // the empty commit
			in.put("n.txt", strings.Repeat("x\n", i+1))
		}
		id := in.commit(message)
		_, ids[id], _ = strings.Cut(in.runIn(in.dir, "cat-file", "commit", id), "\n\n") // git takes "Latin \xe9" for Latin-1
	}
	m, meta, clone := in.check(in.request())
	same(t, "messages", len(messages), m.Commits)

	originals := map[string]string{}
	for _, lost := range meta.Messages {
		originals[lost.Commit] = lost.Original
		if lost.Base64 {
			b, err := base64.StdEncoding.DecodeString(lost.Original)
			if err != nil {
				t.Fatal(err)
			}
			originals[lost.Commit] = string(b)
		}
	}
	made := strings.Fields(in.runIn(clone, "rev-list", "--reverse", meta.BaseSHA+"..HEAD"))
	source := strings.Fields(in.git("rev-list", "--reverse", in.base.Commit+"..HEAD"))
	if len(made) != len(source) {
		t.Fatalf("%d commits were made of %d: %+v\n%s", len(made), len(source), meta, in.runIn(clone, "log", "--format=%s"))
	}
	for i, id := range source {
		want := ids[id]
		_, got, _ := strings.Cut(in.runIn(clone, "cat-file", "commit", made[i]), "\n\n")
		if kept, lost := originals[id]; lost {
			same(t, "kept in the meta file", want, kept)
		} else {
			same(t, "message", want, got)
		}
		if author := in.runIn(clone, "log", "-1", "--format=%an <%ae>", made[i]); author != "P <p@example.org>\n" {
			t.Errorf("%q: the author became %s", want, author)
		}
		same(t, "tree", in.git("rev-parse", id+"^{tree}"), strings.TrimSpace(in.runIn(clone, "rev-parse", made[i]+"^{tree}")))
	}
	if _, lost := originals[source[0]]; lost {
		t.Error("[feat] x did not survive by itself")
	}
}

func TestF8_AwkwardAuthorsAndDates(t *testing.T) {
	in := newInside(t, "a.txt", "a\n")
	for _, line := range []string{
		"A (B) C <a@example.org> 1700000000 +0100", "x@y <x@example.org> 1700000000 +0000", " <> 1 +0000", "名前 <n@example.org> 4102444800 +1400",
		"Bad \xff <b\xff@example.org> 1700000000 -0000", "root <root> 0 +0000", "A. B., \"C\" \\D <d@e@f> 99999999999 +9959", "=?utf-8?q?x?= <q@example.org> 1700000000 +0530",
	} {
		head := in.git("rev-parse", "HEAD")
		blob := in.hashObject("blob", []byte(line))
		treeID := in.hashObject("tree", append([]byte("100644 who\x00"), unhex(t, blob)...))
		commit := "tree " + treeID + "\nparent " + head + "\nauthor " + line + "\ncommitter C <c@example.org> 1700000000 +0000\n\nBy " + line + "\n"
		in.git("update-ref", "HEAD", in.hashObject("commit", []byte(commit)))
	}
	in.git("reset", "-q", "--hard")
	m, meta, _ := in.check(in.request())
	same(t, "messages", 8, m.Commits)
	var kept []string
	for _, lost := range meta.Messages {
		author := lost.Author
		if lost.Base64 {
			b, err := base64.StdEncoding.DecodeString(author)
			if err != nil {
				t.Fatal(err)
			}
			author = string(b)
			if b, err = base64.StdEncoding.DecodeString(lost.Original); err != nil || !strings.Contains(string(b), "By Bad \xff") {
				t.Errorf("the original message is %q (%v)", b, err)
			}
		}
		if author != "" {
			kept = append(kept, author)
		}
	}
	same(t, "authors that the meta file keeps", []string{
		"x@y <x@example.org>", " <>", "Bad \xff <b\xff@example.org>", "root <root>", "A. B., \"C\" \\D <d@e@f>",
	}, kept)
}

func (in *insideGit) hashObject(kind string, content []byte) string {
	in.Helper()
	file := filepath.Join(in.TempDir(), "object")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		in.Fatal(err)
	}
	return in.git("hash-object", "-t", kind, "--literally", "-w", file)
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b := make([]byte, len(s)/2)
	for i := range b {
		for _, c := range s[2*i : 2*i+2] {
			b[i] = b[i]<<4 | byte(strings.IndexRune("0123456789abcdef", c))
		}
	}
	return b
}

func TestX15_FromLinesDoNotSplitTheMbox(t *testing.T) {
	in := newInside(t, "a.txt", "a\n")
	in.put("a.txt", "From nobody Mon Sep 17 00:00:00 2001\na\n")
	in.commit("One message\n\nFrom nobody Mon Sep 17 00:00:00 2001\nFrom: x\n")
	m, _, clone := in.check(in.request())
	same(t, "messages", 1, m.Commits)
	same(t, "message", "One message\n\nFrom nobody Mon Sep 17 00:00:00 2001\nFrom: x\n", strings.TrimSuffix(in.runIn(clone, "log", "-1", "--format=%B"), "\n"))
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
