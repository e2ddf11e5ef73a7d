package git

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

// pastRepo makes a repository with n commits, the tag v<i> on each even one, an
// annotated one on the first, and one on a branch that HEAD does not reach.
func pastRepo(t *testing.T, n int, initArgs ...string) string {
	t.Helper()
	dir := userRepo(t, map[string]string{"f": "0\n"}, initArgs...)
	git(t, dir, "tag", "-a", "-m", "annotated", "first")
	git(t, dir, "checkout", "-q", "-b", "side")
	git(t, dir, "commit", "-q", "--allow-empty", "-m", "aside")
	git(t, dir, "tag", "aside")
	git(t, dir, "checkout", "-q", "main")
	for i := 1; i < n; i++ {
		writeFiles(t, dir, map[string]string{"f": fmt.Sprint(i, "\n")})
		git(t, dir, "commit", "-q", "-a", "-m", fmt.Sprint("commit ", i))
		if i%2 == 0 {
			git(t, dir, "tag", fmt.Sprint("v", i))
		}
	}
	return dir
}

// inStore runs a command in a store.
func inStore(t *testing.T, r *Repo, args ...string) string {
	t.Helper()
	out, err := r.Output(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestTheHistoryBelowHeadIsCopiedWithTheTagsThatPointIntoIt(t *testing.T) {
	isolate(t)
	g := findGit(t)
	for name, c := range map[string]struct {
		format  tree.Format
		prepare func(dir string) string
		depth   int
		commits string
		tags    string
		cut     int
	}{
		"whole":     {depth: WholeHistory, commits: "6", tags: "refs/tags/first refs/tags/v2 refs/tags/v4"},
		"cut":       {depth: 3, commits: "3", tags: "refs/tags/v4", cut: 1},
		"deep":      {depth: 100, commits: "6", tags: "refs/tags/first refs/tags/v2 refs/tags/v4"},
		"head only": {depth: 1, commits: "1", cut: 1},
		"SHA-256":   {format: tree.SHA256, depth: WholeHistory, commits: "6", tags: "refs/tags/first refs/tags/v2 refs/tags/v4"},
		"packed refs and objects": {depth: WholeHistory, commits: "6", tags: "refs/tags/first refs/tags/v2 refs/tags/v4", prepare: func(dir string) string {
			git(t, dir, "gc", "-q", "--prune=now")
			return dir
		}},
		"objects that are borrowed": {depth: WholeHistory, commits: "6", tags: "refs/tags/first refs/tags/v2 refs/tags/v4", prepare: func(dir string) string {
			clone := filepath.Join(realTemp(t), "clone")
			git(t, dir, "clone", "-q", "--shared", dir, clone)
			return clone
		}},
		"a shallow clone": {depth: WholeHistory, commits: "4", tags: "refs/tags/v2 refs/tags/v4", cut: 1, prepare: func(dir string) string {
			clone := filepath.Join(realTemp(t), "clone")
			git(t, dir, "clone", "-q", "--depth=4", "file://"+dir, clone)
			return clone
		}},
		"a shallow clone cut further": {depth: 2, commits: "2", tags: "refs/tags/v4", cut: 1, prepare: func(dir string) string {
			clone := filepath.Join(realTemp(t), "clone")
			git(t, dir, "clone", "-q", "--depth=4", "file://"+dir, clone)
			return clone
		}},
		"a worktree": {depth: WholeHistory, commits: "6", tags: "refs/tags/first refs/tags/v2 refs/tags/v4", prepare: func(dir string) string {
			linked := filepath.Join(realTemp(t), "linked")
			git(t, dir, "worktree", "add", "-q", "--detach", linked)
			return linked
		}},
		"a tag that is broken": {depth: WholeHistory, commits: "6", tags: "refs/tags/first refs/tags/v2 refs/tags/v4", prepare: func(dir string) string {
			writeFiles(t, dir, map[string]string{
				".git/refs/tags/gone":  strings.Repeat("ab", 20) + "\n",
				".git/refs/tags/words": "not an id\n",
				".git/refs/tags/-x..y": strings.Repeat("ab", 20) + "\n",
			})
			return dir
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var args []string
			if c.format == tree.SHA256 {
				args = []string{"--object-format=sha256"}
			}
			dir := pastRepo(t, 6, args...)
			if c.prepare != nil {
				dir = c.prepare(dir)
			}
			src := inspect(t, g, dir)
			before := fingerprint(t, src.CommonDir)
			r := newStore(t, g, src.Format)
			h, err := r.CopyHistory(t.Context(), src, c.depth, 0)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(before, fingerprint(t, src.CommonDir)); d != "" {
				t.Errorf("the user's repository changed:\n%s", d)
			}
			if h.Head != src.Head || h.Bytes == 0 || len(h.Cut) != c.cut {
				t.Errorf("got %+v", h)
			}
			if got := inStore(t, r, "rev-list", "--count", "refs/glue/history"); got != c.commits {
				t.Errorf("%s commits were copied, want %s", got, c.commits)
			}
			if got := strings.ReplaceAll(inStore(t, r, "for-each-ref", "--format=%(refname)", "refs/tags"), "\n", " "); got != c.tags {
				t.Errorf("the tags are %q, want %q", got, c.tags)
			}
			// Everything is in the store itself.
			inStore(t, r, "fsck", "--connectivity-only", "--no-dangling")
			if d := leftovers(t, r); len(d) > 0 {
				t.Errorf("left behind: %q", d)
			}
		})
	}
}

func TestF23_ACopiedHistoryIsWholeWhenTheRepositoryIsGone(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := pastRepo(t, 4)
	r := newStore(t, g, tree.SHA1)
	if _, err := r.CopyHistory(t.Context(), inspect(t, g, dir), WholeHistory, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if got := inStore(t, r, "log", "--format=%s", "refs/glue/history"); got != "commit 3\ncommit 2\ncommit 1\nfirst" {
		t.Errorf("got %q", got)
	}
	inStore(t, r, "fsck", "--full", "--no-dangling")
}

func TestAHistoryOverItsLimitLeavesNothingBehind(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := pastRepo(t, 6)
	r := newStore(t, g, tree.SHA1)
	_, err := r.CopyHistory(t.Context(), inspect(t, g, dir), WholeHistory, 300)
	var limit *LimitError
	if !errors.As(err, &limit) || limit.What != LimitFile {
		t.Errorf("got %v", err)
	}
	if got := objects(t, r); len(got) > 0 {
		t.Errorf("the store holds %q", got)
	}
	if d := leftovers(t, r); len(d) > 0 {
		t.Errorf("left behind: %q", d)
	}
	if ref, err := r.Ref(t.Context(), RefHistory); ref != "" || err != nil {
		t.Errorf("got %q, %v", ref, err)
	}
}

func TestF29_APartialCloneHasNoNetworkAskedForItsHistory(t *testing.T) {
	isolate(t)
	g := findGit(t)
	far := pastRepo(t, 4)
	git(t, far, "config", "uploadpack.allowFilter", "true")
	git(t, far, "config", "uploadpack.allowAnySHA1InWant", "true")
	for _, filter := range []string{"blob:none", "tree:0"} {
		near := filepath.Join(realTemp(t), "near")
		git(t, far, "clone", "-q", "--filter="+filter, "file://"+far, near)
		asked, check := canary(t)
		git(t, near, "config", "remote.origin.uploadpack", asked)
		git(t, near, "config", "core.sshCommand", asked)
		src := inspect(t, g, near)
		if !src.Partial {
			t.Fatal("the clone is not a partial one")
		}
		r := newStore(t, g, tree.SHA1)
		_, err := r.CopyHistory(t.Context(), src, WholeHistory, 0)
		var incomplete *IncompleteError
		if !errors.As(err, &incomplete) || !incomplete.Partial {
			t.Errorf("%s: got %v", filter, err)
		}
		if got := objects(t, r); len(got) > 0 {
			t.Errorf("%s: the store holds %q", filter, got)
		}
		// As deep as everything is here, it goes up.
		if h, err := r.CopyHistory(t.Context(), src, 1, 0); err != nil || h.Head != src.Head {
			t.Errorf("%s: got %+v, %v", filter, h, err)
		}
		check()
	}
}

func TestAnUnbornBranchHasNoHistory(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := realTemp(t)
	git(t, dir, "init", "-q")
	r := newStore(t, g, tree.SHA1)
	h, err := r.CopyHistory(t.Context(), inspect(t, g, dir), WholeHistory, 0)
	if err != nil || h.Head != "" {
		t.Errorf("got %+v, %v", h, err)
	}
}
