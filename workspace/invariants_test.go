package workspace

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/git"
)

// wayUp is all that the way up can do to a repository.
func wayUp(t *testing.T, h *host) {
	t.Helper()
	w, s := h.open(), h.store()
	h.write("edited.txt", "edited\n")
	snap := h.snap(w, s, h.buffer("a.txt", "unsaved\n"), h.buffer("fresh.txt", "fresh\n"))
	past, why, err := s.TakeHistory(context.Background(), w.Source(), git.WholeHistory, 0)
	if err != nil || why != "" {
		t.Fatal(err, why)
	}
	if _, err := s.Base(context.Background(), snap, past, "main", filepath.Join(t.TempDir(), "bundle"), 0); err != nil {
		t.Fatal(err)
	}
	h.write("another.txt", "more\n")
	h.snap(w, s)
}

func TestInvariant1_ASnapshotWritesNothingIntoTheRepository(t *testing.T) {
	for name, shape := range map[string]func(h *host){
		"plain":           func(*host) {},
		"stale index":     func(h *host) { h.remove("b.txt"); h.write("a.txt", "a\n") },
		"split index":     func(h *host) { h.run("update-index", "--split-index") },
		"untracked cache": func(h *host) { h.run("update-index", "--untracked-cache") },
		"merge under way": func(h *host) {
			h.run("checkout", "-q", "-b", "side")
			h.write("a.txt", "side\n")
			h.run("commit", "-q", "-am", "side")
			h.run("checkout", "-q", "main")
			h.write("a.txt", "main\n")
			h.run("commit", "-q", "-am", "main")
			h.run("merge", "-q", "-s", "ours", "--no-commit", "side")
		},
		"unborn": func(h *host) { h.remove(".git"); h.run("init", "-q") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newRepo(t, "a.txt", "a\n", "b.txt", "b\n")
			shape(h)
			before := fingerprint(t, h.path(".git"))
			wayUp(t, h)
			if diff := cmp.Diff(before, fingerprint(t, h.path(".git"))); diff != "" {
				t.Errorf("what changed in .git (-before +after):\n%s", diff)
			}
		})
	}
}

func TestX2_AHostileRepositoryRunsNothingOnTheWayUp(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n", ".gitattributes", "* filter=evil diff=evil merge=evil\n")
	canary := filepath.Join(t.TempDir(), "canary")
	run := "sh -c 'touch " + canary + "'"
	for key, value := range map[string]string{
		"core.fsmonitor": run, "core.pager": run, "core.editor": run, "core.sshCommand": run, "core.askPass": run, "core.gitProxy": run,
		"filter.evil.clean": run, "filter.evil.smudge": run, "filter.evil.process": run, "filter.evil.required": "true",
		"diff.evil.command": run, "diff.evil.textconv": run, "diff.external": run, "merge.evil.driver": run,
		"credential.helper": "!" + run, "uploadpack.packObjectsHook": run, "core.alternateRefsCommand": run, "gpg.program": run,
	} {
		h.run("config", key, value)
	}
	hooks := h.path("hooks")
	h.run("config", "core.hooksPath", hooks)
	for _, dir := range []string{hooks, h.path(".git/hooks")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"post-index-change", "post-checkout", "pre-commit", "reference-transaction", "fsmonitor-watchman", "pre-auto-gc", "post-commit"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\ntouch "+canary+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Remove(canary); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	wayUp(t, h)
	if _, err := os.Stat(canary); err == nil {
		t.Error("a program that the repository names was run")
	}
}

func TestF11_ThePersonsGitConfigurationChangesNothing(t *testing.T) {
	h := newRepo(t, "crlf.txt", "a\r\n", "lf.txt", "a\n")
	config := filepath.Join(filepath.Dir(h.dir), ".gitconfig")
	text := "[commit]\n\tgpgSign = true\n[core]\n\tautocrlf = true\n\teol = crlf\n\tsafecrlf = true\n\thooksPath = /nowhere\n[init]\n\ttemplateDir = /nowhere\n\tdefaultObjectFormat = sha256\n[user]\n\tuseConfigOnly = true\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", filepath.Dir(config))
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("GIT_CONFIG_GLOBAL", config)
	t.Setenv("GIT_DIR", "/nowhere")
	t.Setenv("GIT_INDEX_FILE", "/nowhere")
	w, s := h.open(), h.store()
	snap := h.snap(w, s)
	if diff := cmp.Diff(map[string]string{"crlf.txt": "a\r\n", "lf.txt": "a\n"}, contents(t, s, snap.Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	if _, err := s.Base(context.Background(), snap, git.History{}, "main", filepath.Join(t.TempDir(), "bundle"), 0); err != nil {
		t.Errorf("base: %v", err)
	}
}

func TestF23_ASessionIsWholeWhenTheRepositoryIsGone(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n", "b.txt", "b\n")
	w, s := h.open(), h.store()
	snap := h.snap(w, s)
	h.remove("")
	if diff := cmp.Diff(map[string]string{"a.txt": "a\n", "b.txt": "b\n"}, contents(t, s, snap.Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	s.Repo.Output(context.Background(), "fsck", "--full", "--strict") //nolint:errcheck // see next line
	if out, err := s.Repo.Output(context.Background(), "fsck", "--full"); err != nil {
		t.Errorf("fsck: %v\n%s", err, out)
	}
}
