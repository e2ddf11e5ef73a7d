package workspace

import (
	"encoding/base64"
	"strings"
	"testing"
)

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

func TestX15_FromLinesDoNotSplitTheMbox(t *testing.T) {
	in := newInside(t, "a.txt", "a\n")
	in.put("a.txt", "From nobody Mon Sep 17 00:00:00 2001\na\n")
	in.commit("One message\n\nFrom nobody Mon Sep 17 00:00:00 2001\nFrom: x\n")
	m, _, clone := in.check(in.request())
	same(t, "messages", 1, m.Commits)
	same(t, "message", "One message\n\nFrom nobody Mon Sep 17 00:00:00 2001\nFrom: x\n", strings.TrimSuffix(in.runIn(clone, "log", "-1", "--format=%B"), "\n"))
}

func TestX7_HugeCommitMessagesAreNotReadIntoMemory(t *testing.T) {
	in := newInside(t, "a.txt", "a\n")
	in.put("a.txt", "b\n")
	in.commit("Huge\n\n" + strings.Repeat("0123456789abcde\n", maxMessages/16+1))
	_, meta, clone := in.check(in.request())
	same(t, "subjects", []string{uncommittedSubject}, subjects(in, clone, meta))
	if len(meta.Warnings) == 0 {
		t.Error("that the commits are not messages of their own is not said")
	}
}
