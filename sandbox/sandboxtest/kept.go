package sandboxtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// hardNames are names that are taken apart, or for something else, by those who do not quote.
var hardNames = []string{"\xff not UTF-8", "new\nline", "ends\n", "-rf", "--", "it's", `"quoted"`, " ", "*", `\`, "[a]", "$(a)", "tab\t"}

// keptTests are of a sandbox that was made of what an earlier one held after a setup.
var keptTests = []test{
	{"F14: of a former tree only what the rules ignore stays, without what had gone up", func(t *testing.T, b *box) {
		const rules = "/deps/\n*.o\n/out\n"
		h := newHost(t, tree.SHA1, func(h *host) {
			for name, content := range map[string]string{
				".gitignore": rules, "src/a.c": "new\n", "src/made.o": "tracked all the same\n", "now/a/folder": "x", "led/away": "x",
				"deps/vendored.txt": "tracked below an ignored folder\n", "deep/1/2/3/4/5/6/new.c": "x",
			} {
				h.put(t, name, content)
			}
		})
		stay := map[string]string{
			"src/a.o": "made", "deps/lib/x.js": "made", "deps/former/made": "made", "mixed/made.o": "made",
			"deps/dir.git/.git/HEAD": "made", "deep/1/2/3/4/5/6/7/8/made.o": "made", "deep/1/2/3/4/5/6/deps/made.o": "made",
		}
		former := map[string]string{
			"src/a.c": "old\n", "src/gone.c": "old\n", "src/made.o": "old\n", "src/b.o": "went up", "old/b/c": "old\n", "old/b/.git/HEAD": "old",
			"now": "a file\n", "deps/vendored.txt": "old\n", "deps/former/key": "went up", "deps/all/of/it": "went up",
			"deep/1/2/3/4/5/6/7/8/gone.c": "old\n", ".git/HEAD": "ref: refs/heads/theirs\n", ".git/config": "[core]\n\tbare = true\n",
		}
		gone := []string{"deps/all/of/it", "deps/former/key", "never/was/there", "old/b/c", "src/b.o"}
		for _, name := range hardNames {
			stay["deps/"+name] = "made"
			stay["mixed/in "+name+"/made.o"] = "made"
			former["mixed/"+name] = "old\n"
			former["mixed/in "+name+"/gone.c"] = "old\n"
			former["deps/former/"+name] = "went up"
			gone = append(gone, "deps/former/"+name)
		}
		b.putAll(t, stay)
		b.putAll(t, former)
		b.inRoot(t, "i=0; while [ $i -lt 4000 ]; do : >\"mixed/a name that is rather long, number $i\"; i=$((i+1)); done")
		outside := strings.TrimSpace(b.inRoot(t, `mktemp -d "${TMPDIR:-/tmp}/glue-outside-XXXXXX"`))
		b.inRoot(t, fmt.Sprintf("echo kept >'%[1]s/kept.o' && ln -s '%[1]s' out && ln -s '%[1]s' leads && ln -s '%[1]s' led && ln -s '%[1]s' deps/leads && ln -s a.c src/x.o && mkdir -p empty/er deps/empty", outside))

		req := h.request()
		req.KeepIgnored, req.Ignore, req.Gone = true, []tree.IgnoreFile{{Content: []byte(rules)}}, gone
		if err := b.sb.Populate(within(t), req); err != nil {
			t.Fatal(err)
		}
		want := h.files(t)
		for name := range stay {
			want[name] = fmt.Sprintf("%x", "made")
		}
		delete(want, "deps/dir.git/.git/HEAD") // which files does not look for
		maps.Copy(want, map[string]string{"out": "-> " + outside, "deps/leads": "-> " + outside, "src/x.o": "-> a.c"})
		if diff := cmp.Diff(want, b.files(t)); diff != "" {
			t.Errorf("-want +sandbox\n%s", diff)
		}
		left := b.inRoot(t, fmt.Sprintf("cat deps/dir.git/.git/HEAD; echo; ls -d deps/empty; ls -d empty old/b 2>/dev/null; ls '%s'; ls -d \"$PWD\".image-* 2>/dev/null; true", outside))
		if left != "made\ndeps/empty\nkept.o\n" {
			t.Errorf("besides there is %q", left)
		}
		if b.caps.Git {
			if got := b.inRoot(t, "git status --porcelain; git remote; git config core.bare; git rev-parse HEAD; git fsck --strict 2>&1"); got != "false\n"+h.commit+"\n" {
				t.Errorf("git inside says %q", got)
			}
		}
		v := newView(h, "as populated")
		v.ignore = req.Ignore
		if got, _ := v.capture(t, b); len(got) > 0 {
			t.Errorf("a capture tells of %q", slices.Sorted(maps.Keys(got)))
		}
	}},
	{"F14: a bundle that is none is refused where a former tree is left, too", func(t *testing.T, b *box) {
		b.putAll(t, map[string]string{"old.c": "old\n", "made.o": "made"})
		h := example(t, tree.SHA1)
		req := h.request()
		req.KeepIgnored, req.Ignore = true, []tree.IgnoreFile{{Content: []byte("*.o\n")}}
		req.Bundle = strings.NewReader("this is no bundle\n")
		wantKind(t, b.sb.Populate(within(t), req), sandbox.InvalidParams)
		// And a good one after it works.
		if err := b.sb.Populate(within(t), h.request()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(h.files(t), b.files(t)); diff != "" {
			t.Errorf("-host +sandbox\n%s", diff)
		}
	}},
}

// putAll makes files in the workspace's root, all at once.
func (b *box) putAll(t *testing.T, files map[string]string) {
	t.Helper()
	argv := []string{"sh", "-c", `while [ $# -gt 0 ]; do
case $1 in */*) [ -d "./${1%/*}" ] || mkdir -p -- "./${1%/*}" ;; esac
printf %s "$2" >"./$1" || exit 1
shift 2
done`, "sh"}
	for name, content := range files {
		argv = append(argv, name, content)
	}
	if r := b.run(t, sandbox.ExecRequest{Argv: argv, Cwd: b.sb.Info().Root}); r.ExitCode != 0 {
		t.Fatalf("making files: status %d, %s", r.ExitCode, r.err)
	}
}
