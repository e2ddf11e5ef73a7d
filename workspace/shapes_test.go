package workspace

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/git"
)

func mustRead(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// wantTree compares what went up with what the files are to be.
func wantTree(t *testing.T, s *Store, snap *Snapshot, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, contents(t, s, snap.Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestF29_EveryStateOfARepositoryGoesUpAsItsFilesAreOnDisk(t *testing.T) {
	plain := map[string]string{"a.txt": "a\n", "dir/b.txt": "b\n"}
	with := func(name, content string) map[string]string {
		return map[string]string{"a.txt": "a\n", "dir/b.txt": "b\n", name: content}
	}
	diverge := func(h *host) {
		h.run("checkout", "-q", "-b", "side")
		h.write("a.txt", "side\n")
		h.run("commit", "-q", "-am", "side")
		h.run("checkout", "-q", "main")
		h.write("a.txt", "main\n")
		h.run("commit", "-q", "-am", "main")
	}
	fails := func(h *host, args ...string) {
		if out, err := h.command(h.dir, args...).CombinedOutput(); err == nil {
			h.Fatalf("git %q succeeded:\n%s", args, out)
		}
	}
	const conflict = "<<<<<<< HEAD\nmain\n=======\nside\n>>>>>>> side\n"
	for name, c := range map[string]struct {
		shape func(h *host) // may leave h.dir elsewhere
		want  map[string]string
	}{
		"intent to add":       {func(h *host) { h.write("new.txt", "new\n"); h.run("add", "-N", "new.txt") }, with("new.txt", "new\n")},
		"a staged deletion":   {func(h *host) { h.run("rm", "-q", "--cached", "a.txt") }, plain},
		"a deletion":          {func(h *host) { h.run("rm", "-q", "a.txt") }, map[string]string{"dir/b.txt": "b\n"}},
		"assumed unchanged":   {func(h *host) { h.run("update-index", "--assume-unchanged", "a.txt"); h.write("a.txt", "changed\n") }, with("a.txt", "changed\n")},
		"a skip-worktree bit": {func(h *host) { h.run("update-index", "--skip-worktree", "a.txt"); h.write("a.txt", "mine\n") }, with("a.txt", "mine\n")},
		"a merge with conflicts": {func(h *host) {
			diverge(h)
			fails(h, "merge", "-q", "side")
		}, with("a.txt", conflict)},
		"a rebase under way": {func(h *host) {
			diverge(h)
			h.run("checkout", "-q", "side")
			fails(h, "rebase", "-q", "main")
			h.write("a.txt", "settled\n")
			h.run("add", "a.txt")
		}, with("a.txt", "settled\n")},
		"index version 4":       {func(h *host) { h.run("update-index", "--index-version", "4") }, plain},
		"a split index":         {func(h *host) { h.run("update-index", "--split-index"); h.write("c", "c"); h.run("add", "c") }, with("c", "c")},
		"an untracked cache":    {func(h *host) { h.run("update-index", "--untracked-cache"); h.write("c", "c"); h.run("status") }, with("c", "c")},
		"an index of a monitor": {func(h *host) { h.run("update-index", "--fsmonitor"); h.write("a.txt", "seen\n") }, with("a.txt", "seen\n")},
		"no index":              {func(h *host) { h.remove(".git/index") }, plain},
		"an unborn branch":      {func(h *host) { h.remove(".git"); h.run("init", "-q") }, plain},
		"only a bare .git":      {func(h *host) { h.run("config", "core.worktree", h.dir) }, plain},
		"configuration per tree": {func(h *host) {
			h.run("config", "extensions.worktreeConfig", "true")
			h.run("config", "--worktree", "core.fileMode", "false")
		}, plain},
		"a linked worktree": {func(h *host) { h.elsewhere("worktree", "add", "-q", "--detach") }, plain},
		"a worktree of a bare one": {func(h *host) {
			h.elsewhere("clone", "-q", "--bare", "file://"+h.dir)
			h.elsewhere("worktree", "add", "-q")
		}, plain},
		"a separate git folder": {func(h *host) {
			h.run("init", "-q", "--separate-git-dir", filepath.Join(filepath.Dir(h.dir), "apart.git"))
		}, plain},
		"objects that are lent":      {func(h *host) { h.elsewhere("clone", "-q", "--shared", h.dir) }, plain},
		"a shallow clone":            {func(h *host) { h.elsewhere("clone", "-q", "--depth=1", "file://"+h.dir) }, plain},
		"packed away":                {func(h *host) { h.run("gc", "-q", "--prune=now") }, plain},
		"a locked index":             {func(h *host) { h.write(".git/index.lock", "") }, plain},
		"a copy without its history": {func(h *host) { h.remove(".git/objects/pack"); h.remove(".git/logs") }, plain},
	} {
		t.Run(name, func(t *testing.T) {
			h := newRepo(t, "a.txt", "a\n", "dir/b.txt", "b\n")
			c.shape(h)
			src, err := h.git.Inspect(context.Background(), h.dir)
			if err != nil {
				t.Fatal(err)
			}
			before := fingerprint(t, src.CommonDir)
			w, s := h.open(), h.store()
			snap := h.snap(w, s)
			wantTree(t, s, snap, c.want)
			if len(snap.Skipped) > 0 {
				t.Errorf("left out: %v", snap.Skipped)
			}
			past, why, err := s.TakeHistory(context.Background(), w.Source(), git.WholeHistory, 0)
			if err != nil || why != "" {
				t.Errorf("the history: %q, %v", why, err)
			}
			if _, err := s.Base(context.Background(), snap, past, w.Source().Branch, filepath.Join(t.TempDir(), "b"), 0); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(before, fingerprint(t, src.CommonDir)); diff != "" {
				t.Errorf("what changed in .git (-before +after):\n%s", diff)
			}
		})
	}
}

func TestF29_APartialCloneGoesUpWithoutANetwork(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n", "dir/b.txt", "b\n")
	h.write("a.txt", "a2\n")
	h.run("commit", "-q", "-am", "second")
	h.run("config", "uploadpack.allowFilter", "true")
	h.elsewhere("clone", "-q", "--filter=blob:none", "--sparse", "file://"+h.dir)
	asked := filepath.Join(t.TempDir(), "asked")
	h.run("config", "remote.origin.uploadpack", "touch "+asked+"; git-upload-pack")
	w, s := h.open(), h.store()
	snap := h.snap(w, s)
	wantTree(t, s, snap, map[string]string{"a.txt": "a2\n"})
	_, why, err := s.TakeHistory(context.Background(), w.Source(), git.WholeHistory, 0)
	if err != nil || !strings.Contains(why, "partial clone") {
		t.Errorf("the history: %q, %v", why, err)
	}
	if _, err := os.Stat(asked); err == nil {
		t.Error("the remote was asked")
	}
	// The check would have seen it.
	h.run("log", "-p")
	if _, err := os.Stat(asked); err != nil {
		t.Error("the remote cannot have been asked")
	}
}

func TestAGitFileThatPointsNowhereIsNamedWithItsTarget(t *testing.T) {
	h := newHost(t)
	h.write("a.txt", "a\n")
	h.write(".git", "gitdir: /none/of/this\n")
	_, err := Open(context.Background(), h.git, h.dir, Options{CacheDir: h.cache})
	var e *Error
	if !errors.As(err, &e) || e.Kind != "unavailable" || !strings.Contains(e.Error(), "/none/of/this") || e.Hint == "" {
		t.Errorf("got %v", err)
	}
}

func TestAWorkTreeThatIsElsewhereIsRefusedByName(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n")
	other := t.TempDir()
	h.run("config", "core.worktree", other)
	_, err := Open(context.Background(), h.git, h.dir, Options{CacheDir: h.cache})
	if err == nil || !strings.Contains(err.Error(), other) {
		t.Errorf("got %v", err)
	}
}

func TestT5_NarrowingASparseCheckoutDeletesNothing(t *testing.T) {
	for name, narrow := range map[string][]string{
		"cone":         {"sparse-checkout", "set", "--cone", "in"},
		"sparse index": {"sparse-checkout", "set", "--cone", "--sparse-index", "in"},
		"patterns":     {"sparse-checkout", "set", "--no-cone", "/*", "!/out/"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newRepo(t, "in/a.txt", "a\n", "out/b.txt", "b\n", "out/deep/c.txt", "c\n", "root.txt", "r\n")
			w, s := h.open(), h.store()
			all := contents(t, s, h.snap(w, s).Tree)
			h.run(narrow...)
			wantTree(t, s, h.snap(w, s), all)

			// What is deleted is deleted all the same, and what comes back counts again.
			h.remove("in/a.txt")
			delete(all, "in/a.txt")
			wantTree(t, s, h.snap(w, s), all)
			h.run("sparse-checkout", "disable")
			h.remove("out/b.txt")
			delete(all, "out/b.txt")
			wantTree(t, s, h.snap(w, s), all)

			// Another process knows of the first snapshot only by the store.
			h.run(narrow...)
			w, s = h.open(), h.reopened(s)
			wantTree(t, s, h.snap(w, s), all)
		})
	}
}

func TestF12_X2_ANestedRepositoryWithAHostileConfigurationRunsNothing(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n")
	canary := filepath.Join(t.TempDir(), "canary")
	run := "sh -c 'touch " + canary + "'"
	h.write("inner/file.txt", "x\r\n")
	h.write("inner/.gitattributes", "* text=auto filter=evil\n")
	h.runIn(h.path("inner"), "init", "-q")
	h.runIn(h.path("inner"), "add", ".gitattributes")
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("*\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{
		"core.fsmonitor": run, "filter.evil.clean": run, "filter.evil.process": run, "filter.evil.required": "true",
		"core.pager": run, "core.attributesFile": outside,
	} {
		h.runIn(h.path("inner"), "config", key, value)
	}
	config := h.path("inner/.git/config")
	if err := os.WriteFile(config, []byte(mustRead(t, config)+"[include]\n\tpath = /dev/zero\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w, s := h.open(), h.store()
	want := map[string]string{"a.txt": "a\n", "inner/file.txt": "x\r\n", "inner/.gitattributes": "* text=auto filter=evil\n"}
	wantTree(t, s, h.snap(w, s), want)
	if _, err := os.Stat(canary); err == nil {
		t.Error("a program that the repository names was run")
	}
}

func TestF12_NestedRepositoriesOfEveryKindGoUpAsFiles(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n")
	for _, dir := range []string{"bare.git", "broken", "gone", "worktree", "linked", "sub/deep"} {
		h.write(dir+"/file", dir)
	}
	h.run("init", "-q", "--bare", "bare.git")
	h.write("broken/.git/HEAD", "nonsense\n")
	h.write("gone/.git", "gitdir: ../nowhere\n")
	h.write("sub/deep/.gitignore", "*.o\n")
	h.write("sub/deep/x.o", "object")
	h.runIn(h.path("sub"), "init", "-q")
	h.runIn(h.path("sub/deep"), "init", "-q")
	h.remove("linked")
	h.run("worktree", "add", "-q", "--detach", "linked")
	w, s := h.open(), h.store()
	snap := h.snap(w, s)
	got := contents(t, s, snap.Tree)
	for name, text := range map[string]string{
		"a.txt": "a\n", "bare.git/file": "bare.git", "broken/file": "broken", "gone/file": "gone", "worktree/file": "worktree",
		"linked/a.txt": "a\n", "sub/deep/file": "sub/deep",
	} {
		if got[name] != text {
			t.Errorf("%s is %q, want %q", name, got[name], text)
		}
	}
	for name := range got {
		if strings.HasSuffix(name, ".o") || strings.Contains("/"+name+"/", "/.git/") {
			t.Errorf("%s went up", name)
		}
	}
}

func TestW7_ASubmodulesContentGoesUpAndChangesInsideComeBackByPath(t *testing.T) {
	lib := newRepo(t, "lib.c", "one\n", ".gitignore", "*.o\n")
	h := newRepo(t, "main.c", "main\n")
	h.run("-c", "protocol.file.allow=always", "submodule", "add", "-q", lib.dir, "lib")
	h.run("-c", "protocol.file.allow=always", "submodule", "add", "-q", lib.dir, "absent")
	h.run("commit", "-q", "-m", "with submodules")
	h.run("submodule", "deinit", "-q", "-f", "absent")
	h.write("lib/lib.c", "edited\n")
	h.write("lib/lib.o", "object\n")
	modules := strings.TrimSpace(mustRead(t, h.path(".gitmodules")))
	before := fingerprint(t, h.path(".git"))

	w, s := h.open(), h.store()
	snap := h.snap(w, s)
	wantTree(t, s, snap, map[string]string{
		"main.c": "main\n", ".gitmodules": modules + "\n", "lib/lib.c": "edited\n", "lib/.gitignore": "*.o\n",
	})

	tr := h.trip(w).inside("lib/lib.c", "edited\ninside\n", "lib/new.c", "new\n")
	tr.take(tr.plan())
	if got := mustRead(t, h.path("lib/lib.c")) + mustRead(t, h.path("lib/new.c")); got != "edited\ninside\nnew\n" {
		t.Errorf("the submodule has %q", got)
	}
	if diff := cmp.Diff(before, fingerprint(t, h.path(".git"))); diff != "" {
		t.Errorf("what changed in .git (-before +after):\n%s", diff)
	}
}

func TestF22_ThePersonsAttributesChangeNoByteInEitherDirection(t *testing.T) {
	const rules = "* text=auto eol=crlf ident filter=shout working-tree-encoding=UTF-16\n"
	h := newRepo(t, "a.txt", "$Id$\nb\n")
	home := filepath.Dir(h.dir)
	for name, text := range map[string]string{
		filepath.Join(home, "attributes"):     rules,
		h.path(".git/info/attributes"):        rules,
		filepath.Join(home, ".gitconfig"):     "[core]\n\tattributesFile = " + filepath.Join(home, "attributes") + "\n\tautocrlf = true\n[filter \"shout\"]\n\tclean = tr a-z A-Z\n\tsmudge = tr a-z A-Z\n\trequired = true\n",
		filepath.Join(home, ".gitattributes"): rules,
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HOME", home)
	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(home, ".gitconfig"))
	files := map[string]string{
		"a.txt": "$Id$\nb\r\nmixed\n", "lib/.gitattributes": rules, "lib/utf8.txt": "ä\n", "lib/crlf.txt": "1\r\n", "lib/bin": "\x00\xff$Id$\r\n",
	}
	for name, text := range files {
		h.write(name, text)
	}
	w, s := h.open(), h.store()
	snap := h.snap(w, s)
	wantTree(t, s, snap, files)

	files["a.txt"], files["lib/utf8.txt"], files["lib/crlf.txt"], files["lib/new"] = "$Id$\nb\r\nmixed\r\nmore\n", "ä\n$Id: x $\n", "1\r\n2\r\n", "n\r\n"
	tr := h.trip(w)
	tr.theirs = files
	tr.take(tr.plan())
	for name, text := range files {
		if got := mustRead(t, h.path(name)); got != text {
			t.Errorf("%s came back as %q, want %q", name, got, text)
		}
	}
}
