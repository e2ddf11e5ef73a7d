package git

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glue-lsp/internal/tree"
)

func TestPublishMakesARefOfACommitOfTheStoreOnTheUsersOwn(t *testing.T) {
	for _, format := range []tree.Format{tree.SHA1, tree.SHA256} {
		t.Run(string(format), func(t *testing.T) {
			isolate(t)
			g := findGit(t)
			dir := userRepo(t, map[string]string{"a": "a\n", "big": strings.Repeat("big\n", 1000)}, "--object-format="+string(format))
			src := inspect(t, g, dir)
			r := newStore(t, g, format)
			id := makeTree(t, r, map[string]string{"a": "A\n", "big": strings.Repeat("big\n", 1000)})
			commit := makeCommit(t, r, id, src.Head)
			if err := r.Publish(t.Context(), src, "refs/heads/back", commit); err != nil {
				t.Fatal(err)
			}
			if got := git(t, dir, "log", "--format=%H %P", "-1", "back"); got != commit+" "+src.Head {
				t.Errorf("the branch is at %s", got)
			}
			if got := git(t, dir, "show", "back:a"); got != "A" {
				t.Errorf("a holds %q", got)
			}
			if _, err := os.Stat(filepath.Join(dir, ".git/logs/refs/heads/back")); err == nil {
				t.Error("a reflog was written")
			}
			packs, err := filepath.Glob(filepath.Join(dir, ".git/objects/pack/*.pack"))
			if err != nil || len(packs) != 1 {
				t.Fatalf("packs: %v %v", packs, err)
			}
			if list := git(t, dir, "verify-pack", "-v", strings.TrimSuffix(packs[0], ".pack")+".idx"); strings.Count(list, " blob ") != 1 {
				t.Errorf("what the user's repository has was copied again:\n%s", list)
			}
			git(t, dir, "fsck", "--strict")

			var exists *RefExistsError
			if err := r.Publish(t.Context(), src, "refs/heads/back", commit); !errors.As(err, &exists) {
				t.Errorf("a branch that exists was made again: %v", err)
			}
		})
	}
}

func TestPublishIntoAShallowRepository(t *testing.T) {
	isolate(t)
	g := findGit(t)
	full := userRepo(t, map[string]string{"a": "a\n"})
	for _, message := range []string{"second", "third"} {
		git(t, full, "commit", "-q", "--allow-empty", "-m", message)
	}
	dir := filepath.Join(realTemp(t), "shallow")
	git(t, full, "clone", "-q", "--depth=1", "file://"+full, dir)
	src := inspect(t, g, dir)
	r := newStore(t, g, tree.SHA1)
	commit := makeCommit(t, r, makeTree(t, r, map[string]string{"a": "A\n"}), src.Head)
	if err := r.Publish(t.Context(), src, "refs/heads/back", commit); err != nil {
		t.Fatal(err)
	}
	if got := git(t, dir, "show", "back:a"); got != "A" {
		t.Errorf("a holds %q", got)
	}
}

func TestPublishRefusesWhatIsNoBranch(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := userRepo(t, map[string]string{"a": "a\n"})
	src := inspect(t, g, dir)
	r := newStore(t, g, tree.SHA1)
	commit := makeCommit(t, r, makeTree(t, r, map[string]string{"a": "A\n"}))
	for _, ref := range []string{"", "back", "refs/remotes/x", "refs/heads/", "refs/heads/-x", "refs/heads/a..b", "refs/heads/x.lock", "refs/heads/HEAD", "../refs/heads/x"} {
		var exists *RefExistsError
		if err := r.Publish(t.Context(), src, ref, commit); !errors.As(err, &exists) {
			t.Errorf("%q: %v", ref, err)
		}
	}
	if err := r.Publish(t.Context(), src, "refs/heads/x", "main"); err == nil {
		t.Error("a name counts as a commit")
	}
}

func TestTreeInReadsACommitOfTheUsersRepository(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := userRepo(t, map[string]string{"a": "a\n"})
	src := inspect(t, g, dir)
	r := newStore(t, g, tree.SHA1)
	got, err := r.TreeIn(t.Context(), src, src.Head)
	if want := git(t, dir, "rev-parse", "HEAD^{tree}"); err != nil || got != want {
		t.Errorf("the tree is %q, want %q (%v)", got, want, err)
	}
	if got, err := r.TreeIn(t.Context(), src, ""); got != "" || err != nil {
		t.Errorf("no commit has the tree %q (%v)", got, err)
	}
}
