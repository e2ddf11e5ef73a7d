package sandboxtest

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

func commitTests(caps Caps) []test {
	if !caps.Trees {
		return refusedTrees("asking for commits", func(t *testing.T, sb sandbox.Sandbox) error {
			_, err := sb.Commits(within(t), sandbox.CommitsRequest{})
			return err
		})
	}
	if !caps.Git {
		return []test{{"F19: without git there are no commits, and no problem", func(t *testing.T, b *box) {
			h, _ := b.filled(t)
			got := b.commits(t, h, "")
			if got.HasGit || got.Problem != "" || got.Bundle != nil || len(got.Refs) != 0 {
				t.Errorf("got %+v", got)
			}
		}}}
	}
	return []test{
		{"a fresh repository has no commit that the host does not know", func(t *testing.T, b *box) {
			h, _ := b.filled(t)
			got := b.commits(t, h, "")
			if !got.HasGit || got.Head != h.commit || got.Branch != "work" || got.Refs["refs/heads/work"] != h.commit || got.Problem != "" {
				t.Errorf("got %+v", got)
			}
		}},
		{"nothing moved since a fingerprint is told as that", func(t *testing.T, b *box) {
			h, _ := b.filled(t)
			first := b.commits(t, h, "")
			b.inRoot(t, "echo more >> readme.md; git status >/dev/null; git add readme.md")
			if again := b.commits(t, h, first.Fingerprint); !again.Unchanged || again.Fingerprint != first.Fingerprint {
				t.Errorf("got %+v", again)
			}
			last := first.Fingerprint
			for _, command := range []string{
				"git commit -q -m x", "git branch other", "git tag t", "echo y >> readme.md; git stash -q", "echo z >> readme.md; git stash -q",
				"git checkout -q --detach", "git pack-refs --all", "git branch -f other HEAD~1",
			} {
				b.inRoot(t, command)
				if got := b.commits(t, h, last); got.Unchanged {
					t.Errorf("%q went unseen", command)
				} else {
					last = got.Fingerprint
				}
			}
		}},
		{"S7: commits come with author, date and message", func(t *testing.T, b *box) {
			h, _ := b.filled(t)
			b.inRoot(t, `export GIT_AUTHOR_NAME='Ä. Author' GIT_AUTHOR_EMAIL=a@b GIT_AUTHOR_DATE='@1600000000 +0200'
				echo 1 >> readme.md; git commit -q -a -m "[feat] one" -m "From here"; git commit -q --allow-empty -m two`)
			b.brought(t, h, "")
			got := h.git(t, "log", "--format=%an|%ae|%ad|%s|%b", "--date=raw", h.commit+".."+b.head(t))
			if want := "Ä. Author|a@b|1600000000 +0200|two|\nÄ. Author|a@b|1600000000 +0200|[feat] one|From here"; strings.TrimSpace(strings.ReplaceAll(got, "\n\n", "\n")) != want {
				t.Errorf("got %q", got)
			}
		}},
		{"F7: merges, an amended base, other branches, tags, every stash and detached heads are all there", func(t *testing.T, b *box) {
			h, _ := b.filled(t)
			b.inRoot(t, `set -e
				git checkout -q -b side; echo s > side; git add side; git commit -q -m side
				git checkout -q work; echo w > w; git add w; git commit -q -m w; git merge -q --no-edit side
				git checkout -q -b amended "$(git rev-list --max-parents=0 HEAD)"; git commit -q --amend -m "another base"
				git tag -a -m annotated v1; git checkout -q work
				echo 1 >> readme.md; git stash -q; echo 2 >> readme.md; git stash -q; echo 3 > untracked; git stash -q -u
				git worktree add -q --detach "${TMPDIR:-/tmp}/glue-worktree-$$"; cd "${TMPDIR:-/tmp}/glue-worktree-$$"; git commit -q --allow-empty -m "in a worktree"
				cd - >/dev/null; git checkout -q --detach; git commit -q --allow-empty -m detached`)
			want := strings.Fields(b.inRoot(t, `git rev-parse HEAD work side amended v1 stash@{0} stash@{1} stash@{2} stash@{0}^3; git worktree list --porcelain | sed -n 's/^HEAD //p'; rm -rf "${TMPDIR:-/tmp}"/glue-worktree-*`))
			got := b.brought(t, h, "")
			if got.Branch != "" || got.Head != want[0] {
				t.Errorf("HEAD is %q on %q", got.Head, got.Branch)
			}
			for _, id := range want {
				h.git(t, "cat-file", "-e", id)
			}
			for _, name := range []string{"refs/heads/work", "refs/heads/side", "refs/heads/amended", "refs/tags/v1", "refs/stash"} {
				if !slices.Contains(want, got.Refs[name]) {
					t.Errorf("%s is %q", name, got.Refs[name])
				}
			}
		}},
		{"F7: a commit that was amended or undone is there by a name of its own", func(t *testing.T, b *box) {
			h, _ := b.filled(t)
			first := b.commits(t, h, "")
			undone := strings.TrimSpace(b.inRoot(t, `set -e
				echo 1 >> readme.md; git commit -q -a -m under; git commit -q --allow-empty -m undone; git rev-parse HEAD; git reset -q --hard HEAD~2`))
			got := b.brought(t, h, first.Fingerprint)
			if h.git(t, "log", "-1", "--format=%s", undone+"~1") != "under" || got.Head != h.commit {
				t.Errorf("got %+v", got)
			}
			var names []string
			for name, id := range got.Refs {
				if id == undone {
					names = append(names, name)
				}
			}
			if len(names) != 1 || len(got.Refs) != 2 {
				t.Errorf("the refs are %v", got.Refs)
			}
			b.inRoot(t, `git reflog expire --expire=now --all; git gc -q --prune=now`)
			if again := b.commits(t, h, ""); len(again.Refs) != 1 {
				t.Errorf("the refs are %v", again.Refs)
			}
		}},
		{"a tag that the host knows is nothing new", func(t *testing.T, b *box) {
			h, _ := b.filled(t)
			tag := strings.TrimSpace(b.inRoot(t, "git tag -a -m t v1; git rev-parse v1"))
			got, err := b.sb.Commits(within(t), sandbox.CommitsRequest{Known: []string{h.commit, tag}})
			if err != nil {
				t.Fatal(err)
			}
			if got.Bundle != nil {
				got.Bundle.Close()
				t.Error("there is a bundle")
			}
		}},
		{"what the host knows is not sent again", func(t *testing.T, b *box) {
			h, _ := b.filled(t)
			b.inRoot(t, `head -c 3000000 /dev/urandom > big; git add big; git commit -q -m big`)
			first := b.brought(t, h, "")
			b.inRoot(t, `echo 1 >> readme.md; git commit -q -a -m small`)
			second, err := b.sb.Commits(within(t), sandbox.CommitsRequest{
				Known: []string{h.commit, first.Head, strings.Repeat("ab", 20), "nonsense", "--all"}, Fingerprint: first.Fingerprint,
			})
			if err != nil {
				t.Fatal(err)
			}
			if n := h.unbundle(t, second); n > 100_000 || n == 0 {
				t.Errorf("the second bundle has %d bytes", n)
			}
			h.git(t, "cat-file", "-e", second.Head)
		}},
		{"F24: a new repository inside is sent whole", func(t *testing.T, b *box) {
			h, _ := b.filled(t)
			b.inRoot(t, `rm -rf .git .gitattributes; git init -q -b fresh; git add -A; git -c user.name=x -c user.email=x@y commit -q -m new`)
			got := b.brought(t, h, "")
			if got.Branch != "fresh" || h.git(t, "rev-list", "--count", got.Head) != "1" {
				t.Errorf("got %+v", got)
			}
		}},
		{"an unborn branch is no problem", func(t *testing.T, b *box) {
			h, _ := b.filled(t)
			b.inRoot(t, `rm -rf .git; git init -q -b fresh`)
			if got := b.commits(t, h, ""); got.Head != "" || got.Branch != "fresh" || got.Problem != "" || len(got.Refs) != 0 {
				t.Errorf("got %+v", got)
			}
		}},
		{"a repository that is gone or broken is a problem in words, not an error", func(t *testing.T, b *box) {
			h, _ := b.filled(t)
			for _, command := range []string{"rm -rf .git/objects/pack/*; echo x >> readme.md", "printf garbage > .git/HEAD", "rm -rf .git", "printf 'gitdir: /none' > .git"} {
				b.inRoot(t, command)
				got := b.commits(t, h, "")
				if got.Problem == "" || got.HasGit == (command == "rm -rf .git") {
					t.Errorf("after %q: %+v", command, got)
				}
			}
		}},
		{"X2: a repository's own settings and hooks run nothing when it is read", func(t *testing.T, b *box) {
			h, _ := b.filled(t)
			b.inRoot(t, `echo 1 >> readme.md; git commit -q -a -m one
				hooks="${TMPDIR:-/tmp}/glue-hooks"; mkdir -p "$hooks"; rm -f ~/glue-hook-ran
				printf '#!/bin/sh\ntouch %s/glue-hook-ran\n' "$HOME" > "$hooks/glue-hook"; chmod +x "$hooks/glue-hook"
				for hook in post-checkout reference-transaction; do cp "$hooks/glue-hook" "$hooks/$hook"; done
				git config core.fsmonitor "$hooks/glue-hook"; git config core.hooksPath "$hooks"; git config core.pager "$hooks/glue-hook"; git config core.sshCommand "$hooks/glue-hook"`)
			b.brought(t, h, "")
			if strings.TrimSpace(b.inRoot(t, "ls ~/glue-hook-ran 2>/dev/null || true")) != "" {
				t.Error("something ran")
			}
		}},
		{"F29: SHA-256 commits come as well", func(t *testing.T, b *box) {
			h := example(t, tree.SHA256)
			if err := b.sb.Populate(within(t), h.request()); err != nil {
				t.Fatal(err)
			}
			b.inRoot(t, `echo 1 >> readme.md; git commit -q -a -m one`)
			if got := b.brought(t, h, ""); len(got.Head) != 64 {
				t.Errorf("HEAD is %q", got.Head)
			}
		}},
	}
}

// commits asks without taking a bundle, which is checked to be absent.
func (b *box) commits(t *testing.T, h *host, fingerprint string) *sandbox.Commits {
	t.Helper()
	got, err := b.sb.Commits(within(t), sandbox.CommitsRequest{Known: []string{h.commit}, Fingerprint: fingerprint})
	if err != nil {
		t.Fatal(err)
	}
	if got.Bundle != nil {
		got.Bundle.Close()
		if fingerprint == "" {
			t.Error("there is a bundle, of nothing")
		}
	}
	return got
}

// brought asks, and takes the bundle into the host's repository.
func (b *box) brought(t *testing.T, h *host, fingerprint string) *sandbox.Commits {
	t.Helper()
	got, err := b.sb.Commits(within(t), sandbox.CommitsRequest{Known: []string{h.commit}, Fingerprint: fingerprint})
	if err != nil {
		t.Fatal(err)
	}
	if got.Problem != "" || got.Unchanged {
		t.Fatalf("got %+v", got)
	}
	h.unbundle(t, got)
	return got
}

// unbundle takes a bundle in, and gives its size.
func (h *host) unbundle(t *testing.T, c *sandbox.Commits) int {
	t.Helper()
	if c.Bundle == nil {
		t.Fatalf("there is no bundle: %+v", c)
	}
	defer c.Bundle.Close()
	bundle, err := io.ReadAll(c.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "bundle")
	if err := os.WriteFile(file, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	h.git(t, "bundle", "verify", file)
	h.git(t, "bundle", "unbundle", file)
	return len(bundle)
}

func (b *box) head(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(b.inRoot(t, "git rev-parse HEAD"))
}
