package git

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"glue-lsp/internal/tree"
)

func wantPaths(t *testing.T, got FileList, want ...string) {
	t.Helper()
	slices.Sort(want)
	if d := cmp.Diff(want, got.Paths); d != "" {
		t.Errorf("paths: %s", d)
	}
}

func TestF10_TrackedFilesGoUpThoughIgnoredAndIgnoredOnesDoNot(t *testing.T) {
	isolate(t)
	dir := userRepo(t, map[string]string{"kept.log": "1", "sub/a": "1"})
	writeFiles(t, dir, map[string]string{
		".gitignore": "*.log\n/build/\n", "new.log": "1", "new": "1", "sub/new": "1",
		"build/x": "1", "build/y/z": "1", "sub/.gitignore": "*.tmp\n!keep.tmp\n", "sub/x.tmp": "1", "sub/keep.tmp": "1",
	})
	list := listFiles(t, findGit(t), dir)
	wantPaths(t, list, ".gitignore", "kept.log", "new", "sub/.gitignore", "sub/a", "sub/keep.tmp", "sub/new")
	if d := cmp.Diff([]string{"build/", "new.log", "sub/x.tmp"}, list.Ignored); d != "" {
		t.Errorf("ignored: %s", d)
	}
	if d := cmp.Diff([]string{".gitignore", "new", "sub/.gitignore", "sub/keep.tmp", "sub/new"}, list.Untracked); d != "" {
		t.Errorf("untracked: %s", d)
	}
}

func TestEveryRuleThatWasInForceIsHandedOut(t *testing.T) {
	home := isolate(t)
	writeFiles(t, home, map[string]string{".config/git/ignore": "*.global\n"})
	dir := userRepo(t, map[string]string{".gitignore": "/out/\n*.o\n", "sub/.gitignore": "x\n"})
	writeFiles(t, dir, map[string]string{
		".git/info/exclude": "*.mine\n",
		".cache/.gitignore": "*\n", ".cache/data": "1", // as tools write it: it excludes itself
		"deep/tool/.gitignore": "*\n", "deep/tool/data": "1",
		"out/.gitignore": "!*\n", "a.global": "1", "a.mine": "1", "a.o": "1", "a": "1",
	})
	if err := os.MkdirAll(filepath.Join(dir, "linked"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../a", filepath.Join(dir, "linked", ".gitignore")); err != nil {
		t.Fatal(err)
	}
	list := listFiles(t, findGit(t), dir)
	wantPaths(t, list, ".gitignore", "a", "linked/.gitignore", "sub/.gitignore")
	want := []tree.IgnoreFile{
		{Dir: "", Content: []byte("*.global\n")},
		{Dir: "", Content: []byte("*.mine\n")},
		{Dir: "", Content: []byte("/out/\n*.o\n")},
		{Dir: "sub", Content: []byte("x\n")},
		{Dir: ".cache", Content: []byte("*\n")},
		{Dir: "deep/tool", Content: []byte("*\n")},
	}
	if d := cmp.Diff(want, list.IgnoreFiles); d != "" {
		t.Error(d)
	}
}

func TestX2_TextOfAFileThatTheRepositoryPointsToIsNotPassedOn(t *testing.T) {
	home := isolate(t)
	writeFiles(t, home, map[string]string{".ssh/id_rsa": "*.secret\n"})
	dir := userRepo(t, map[string]string{"a": "1"})
	git(t, dir, "config", "core.excludesFile", "~/.ssh/id_rsa")
	if err := os.Remove(filepath.Join(dir, ".git/info/exclude")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(home, ".ssh/id_rsa"), filepath.Join(dir, ".git/info/exclude")); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, map[string]string{"b.secret": "1"})
	list := listFiles(t, findGit(t), dir)
	wantPaths(t, list, "a")
	if len(list.IgnoreFiles) > 0 {
		t.Errorf("rules from outside are passed on: %q", list.IgnoreFiles)
	}
}

func TestX2_APipeForAConfigurationFileHoldsNothingUp(t *testing.T) {
	home := isolate(t)
	dir := userRepo(t, map[string]string{"a": "1"})
	pipe := filepath.Join(home, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "config", "core.excludesFile", pipe)
	wantPaths(t, listFiles(t, findGit(t), dir), "a")
}

func TestT5_SparseCheckoutLeavesOutWhatIsNotOnDisk(t *testing.T) {
	isolate(t)
	g := findGit(t)
	for _, index := range []string{"--no-sparse-index", "--sparse-index"} {
		dir := userRepo(t, map[string]string{"in/a": "1", "out/b": "2", "out/deep/c": "3", "top": "4"})
		git(t, dir, "sparse-checkout", "set", "--cone", index, "in")
		wantPaths(t, listFiles(t, g, dir), "in/a", "top")
		writeFiles(t, dir, map[string]string{"out/b": "here all the same", "out/new": "1"})
		wantPaths(t, listFiles(t, g, dir), "in/a", "out/b", "out/new", "top")
	}
	dir := userRepo(t, map[string]string{"in/a": "1", "out/b": "2"})
	git(t, dir, "sparse-checkout", "set", "--no-cone", "/in/", "!/out/")
	wantPaths(t, listFiles(t, g, dir), "in/a")
}

func TestASkipWorktreeFileGoesUpIfItIsThere(t *testing.T) {
	isolate(t)
	dir := userRepo(t, map[string]string{"gone": "1", "mine": "1"})
	git(t, dir, "update-index", "--skip-worktree", "gone", "mine")
	writeFiles(t, dir, map[string]string{"mine": "changed"})
	if err := os.Remove(filepath.Join(dir, "gone")); err != nil {
		t.Fatal(err)
	}
	wantPaths(t, listFiles(t, findGit(t), dir), "mine")
}

func TestF29_ASplitIndexIsReadWhole(t *testing.T) {
	isolate(t)
	dir := userRepo(t, map[string]string{"a": "1", "b": "2"})
	git(t, dir, "update-index", "--split-index")
	writeFiles(t, dir, map[string]string{"c.o": "3", ".git/info/exclude": "*.o\n"})
	git(t, dir, "add", "-f", "c.o")
	git(t, dir, "rm", "-q", "--cached", "a")
	if err := os.Remove(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	wantPaths(t, listFiles(t, findGit(t), dir), "b", "c.o")
}

func TestF29_EveryVersionOfTheIndexIsRead(t *testing.T) {
	isolate(t)
	g := findGit(t)
	for _, version := range []string{"2", "3", "4"} {
		dir := userRepo(t, map[string]string{"dir/a": "1", "dir/b": "2"})
		git(t, dir, "update-index", "--index-version", version)
		wantPaths(t, listFiles(t, g, dir), "dir/a", "dir/b")
	}
}

func TestUnmergedAndIntendedPathsAreListedOnce(t *testing.T) {
	isolate(t)
	dir := userRepo(t, map[string]string{"a": "1\n"})
	git(t, dir, "checkout", "-q", "-b", "other")
	writeFiles(t, dir, map[string]string{"a": "2\n"})
	git(t, dir, "commit", "-q", "-am", "other")
	git(t, dir, "checkout", "-q", "main")
	writeFiles(t, dir, map[string]string{"a": "3\n"})
	git(t, dir, "commit", "-q", "-am", "mine")
	gitFails(t, dir, "merge", "-q", "other")
	writeFiles(t, dir, map[string]string{"meant": "1"})
	git(t, dir, "add", "-N", "meant")
	wantPaths(t, listFiles(t, findGit(t), dir), "a", "meant")
}

func TestF12_NestedRepositoriesGoUpAsFilesByTheirOwnRules(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := userRepo(t, map[string]string{"a": "1", ".gitignore": "*.o\n"})
	nested := filepath.Join(dir, "nested")
	writeFiles(t, dir, map[string]string{
		"nested/f": "1", "nested/kept.o": "1", "nested/x.tmp": "1", "nested/.gitignore": "*.tmp\n",
		"nested/inner/deep": "1", "unborn/f": "1", "empty/.keep/x": "", "lost/f": "1", "lost/.git": "gitdir: nowhere\n",
	})
	for _, name := range []string{"nested", "nested/inner", "unborn"} {
		git(t, filepath.Join(dir, name), "init", "-q")
	}
	if err := os.RemoveAll(filepath.Join(dir, "empty/.keep")); err != nil {
		t.Fatal(err)
	}
	git(t, filepath.Join(dir, "empty"), "init", "-q")
	git(t, nested, "add", "f")
	git(t, nested, "commit", "-q", "-m", "inner")
	list := listFiles(t, g, dir)
	wantPaths(t, list, "a", ".gitignore", "nested/f", "nested/kept.o", "nested/.gitignore", "nested/inner/deep", "unborn/f", "lost/f")
	if !slices.Contains(list.Ignored, "nested/x.tmp") {
		t.Errorf("ignored are %q", list.Ignored)
	}
	m := tree.NewMatcher(list.IgnoreFiles, false)
	for path, want := range map[string]bool{"x.o": true, "nested/new.o": false, "nested/new.tmp": true, "nested/new": false} {
		if got := m.Ignored(path, false); got != want {
			t.Errorf("the rules handed out ignore %s: %v, want %v", path, got, want)
		}
	}
}

func TestW7_SubmodulesGoUpAsFiles(t *testing.T) {
	isolate(t)
	g := findGit(t)
	library := userRepo(t, map[string]string{"lib.c": "1", ".gitignore": "*.o\n"})
	dir := userRepo(t, map[string]string{"a": "1"})
	for _, name := range []string{"lib", "absent", "broken"} {
		git(t, dir, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", library, name)
	}
	git(t, dir, "commit", "-q", "-m", "with modules")
	git(t, dir, "submodule", "--quiet", "deinit", "-f", "absent")
	writeFiles(t, dir, map[string]string{"lib/new.c": "1", "lib/new.o": "1", "lib/lib.c": "changed"})
	if err := os.RemoveAll(filepath.Join(dir, ".git/modules/broken")); err != nil {
		t.Fatal(err)
	}
	list := listFiles(t, g, dir)
	wantPaths(t, list, ".gitmodules", "a", "lib/.gitignore", "lib/lib.c", "lib/new.c", "broken/.gitignore", "broken/lib.c")
	src := inspect(t, g, filepath.Join(dir, "lib"))
	if src.Root != filepath.Join(dir, "lib") {
		t.Errorf("the root of a submodule is %s", src.Root)
	}
}

func TestF5_NamesOfAnyBytesAreListed(t *testing.T) {
	isolate(t)
	names := []string{
		"-rf", "--", "a b", "new\nline", "tab\there", `quote"d`, `back\slash`, "$(touch x)", "*", "?", "[a]", ":(top)", "!x", "#y",
		"caf\xe9", "\xff\xfe", "ü", "u\u0308", "dir with\nfeed/-x",
	}
	files := map[string]string{}
	for _, n := range names {
		files[n] = "1"
	}
	dir := userRepo(t, files)
	writeFiles(t, dir, map[string]string{"untracked\n\xff": "1"})
	wantPaths(t, listFiles(t, findGit(t), dir), append(names, "untracked\n\xff")...)
}

func TestT7_NamesThatDifferInCaseAndLinksToNowhereAreListed(t *testing.T) {
	isolate(t)
	dir := userRepo(t, map[string]string{"a": "1", "A": "2"})
	for name, target := range map[string]string{"dangling": "nowhere", "out": "/etc", "loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	wantPaths(t, listFiles(t, findGit(t), dir), "A", "a", "dangling", "out", "loop")
}

func TestAFolderThatCannotBeReadIsNamed(t *testing.T) {
	if os.Getuid() == 0 {
		unreadableAsRoot(t)
		return
	}
	isolate(t)
	dir := userRepo(t, map[string]string{"a": "1"})
	writeFiles(t, dir, map[string]string{"shut/b": "1"})
	if err := os.Chmod(filepath.Join(dir, "shut"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "shut"), 0o700) })
	list := listFiles(t, findGit(t), dir)
	wantPaths(t, list, "a")
	want := []tree.Skipped{{Path: "shut", Reason: tree.Unreadable, Detail: "Permission denied"}}
	if d := cmp.Diff(want, list.Skipped); d != "" {
		t.Error(d)
	}
}

// unreadableAsRoot tries the reading of git's warning where no folder can be shut.
func unreadableAsRoot(t *testing.T) {
	l := &lister{}
	l.addUnreadable("sub/", "warning: could not open directory 'a'b: c/': Permission denied\nwarning: other\n")
	want := []tree.Skipped{{Path: "sub/a'b: c", Reason: tree.Unreadable, Detail: "Permission denied"}}
	if d := cmp.Diff(want, l.out.Skipped); d != "" {
		t.Error(d)
	}
}

func TestAPrivateFolderIsUsedAgain(t *testing.T) {
	isolate(t)
	g := findGit(t)
	private := filepath.Join(t.TempDir(), "private")
	dir := userRepo(t, map[string]string{"a": "1"})
	for _, name := range []string{"b", "c"} {
		writeFiles(t, dir, map[string]string{name: "1", name + ".o": "1", ".git/info/exclude": "*.o\n" + name + "\n"})
		git(t, dir, "add", "-f", name)
		if _, err := g.ListFiles(t.Context(), inspect(t, g, dir), private); err != nil {
			t.Fatal(err)
		}
	}
	git(t, dir, "rm", "-q", "--cached", "c")
	list, err := g.ListFiles(t.Context(), inspect(t, g, dir), private)
	if err != nil {
		t.Fatal(err)
	}
	wantPaths(t, list, "a", "b")
	if err := os.Remove(filepath.Join(dir, ".git/index")); err != nil {
		t.Fatal(err)
	}
	if list, err = g.ListFiles(t.Context(), inspect(t, g, dir), private); err != nil {
		t.Fatal(err)
	}
	wantPaths(t, list, "a", "b")
	if d := cmp.Diff([]string{"a", "b"}, list.Untracked); d != "" {
		t.Errorf("without an index: %s", d)
	}
}

// TestListedIsWhatGitWouldAdd holds the list against git's own view of random trees
// under random rules.
func TestListedIsWhatGitWouldAdd(t *testing.T) {
	isolate(t)
	g := findGit(t)
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "listed")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		name := rapid.SampledFrom([]string{"a", "b.o", "c", "x y"})
		files := map[string]string{}
		for range rapid.IntRange(1, 12).Draw(rt, "files") {
			path := strings.Join(rapid.SliceOfN(name, 1, 3).Draw(rt, "path"), "/d/")
			files["r/"+path] = "1"
		}
		rules := rapid.SampledFrom([]string{"*.o\n", "d/\n", "/a\n", "!b.o\n", "c\n!d/\n", "*\n", "**/d/a\n"})
		files[".gitignore"] = rules.Draw(rt, "rules")
		if rapid.Bool().Draw(rt, "inner rules") {
			files["r/.gitignore"] = rules.Draw(rt, "inner")
		}
		git(t, dir, "init", "-q")
		for path, content := range files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755); err != nil {
				return // a file is where a folder should be: not a case
			}
			if err := os.WriteFile(filepath.Join(dir, path), []byte(content), 0o644); err != nil {
				return
			}
			if rapid.IntRange(0, 3).Draw(rt, "tracked") == 0 {
				git(t, dir, "add", "-f", path)
			}
		}
		src, err := g.Inspect(t.Context(), dir)
		if err != nil {
			rt.Fatal(err)
		}
		list, err := g.ListFiles(t.Context(), src, filepath.Join(dir, ".git", "private-of-this-test"))
		if err != nil {
			rt.Fatal(err)
		}
		git(t, dir, "add", "-A")
		want := strings.Split(strings.TrimSuffix(git(t, dir, "ls-files", "-z"), "\x00"), "\x00")
		if d := cmp.Diff(want, list.Paths); d != "" && fmt.Sprint(want) != "[]" {
			rt.Error(d)
		}
	})
}

func gitFails(t testing.TB, dir string, args ...string) {
	t.Helper()
	if err := gitCommand(t, dir, args...).Run(); err == nil {
		t.Fatalf("git %s in %s did not fail", strings.Join(args, " "), dir)
	}
}

func TestT5_RulesThatAreNotCheckedOutAreInForceAllTheSame(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := userRepo(t, map[string]string{
		".gitignore": "deep/\n*.log\n", "a.txt": "1", "out/.gitignore": "*.tmp\n", "out/b.txt": "2", "gone/.gitignore": "*\n", "gone/c": "3",
	})
	git(t, dir, "sparse-checkout", "set", "--no-cone", "*.txt")
	writeFiles(t, dir, map[string]string{".git/info/exclude": "", "out/deep/secret": "x", "x.log": "x", "out/x.tmp": "x", "out/new": "1"})
	list := listFiles(t, g, dir)
	wantPaths(t, list, "a.txt", "out/b.txt", "out/new")
	got := map[string]string{}
	for _, f := range list.IgnoreFiles {
		if f.Dir != "gone" { // whether the empty folder is left is git's own business
			got[f.Dir] += string(f.Content)
		}
	}
	if d := cmp.Diff(map[string]string{"": "deep/\n*.log\n", "out": "*.tmp\n"}, got); d != "" {
		t.Errorf("the rules (-want +got):\n%s", d)
	}
}
