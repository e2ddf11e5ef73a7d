package git

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

func TestInspectFindsNothingWhereThereIsNothing(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := realTemp(t)
	for _, name := range []string{"plain", "empty/.git"} { // an empty .git is none
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		src, err := g.Inspect(t.Context(), filepath.Join(dir, strings.TrimSuffix(name, "/.git")))
		if src != nil || err != nil {
			t.Errorf("%s: %+v, %v", name, src, err)
		}
	}
	if _, err := g.Inspect(t.Context(), filepath.Join(dir, "not there")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there gives %v", err)
	}
}

func TestT1_ASubfolderBelongsToItsRepository(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := userRepo(t, map[string]string{"sub/deep/a": "1"})
	src := inspect(t, g, filepath.Join(dir, "sub", "deep"))
	want := &Source{
		Root: dir, GitDir: filepath.Join(dir, ".git"), CommonDir: filepath.Join(dir, ".git"), Format: tree.SHA1,
		Head: git(t, dir, "rev-parse", "HEAD"), Branch: "main", Remotes: map[string]string{},
		FileMode: true, Symlinks: true,
	}
	if d := cmp.Diff(want, src, cmp.FilterPath(unexported, cmp.Ignore())); d != "" {
		t.Error(d)
	}
}

func unexported(p cmp.Path) bool {
	field, ok := p.Last().(cmp.StructField)
	return ok && field.Name()[0] >= 'a'
}

func TestAFolderReachedThroughALinkKeepsItsName(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := userRepo(t, map[string]string{"sub/a": "1"})
	link := filepath.Join(realTemp(t), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if src := inspect(t, g, filepath.Join(link, "sub")); src.Root != link {
		t.Errorf("the root is %s, the editor calls it %s", src.Root, link)
	}
	into := filepath.Join(realTemp(t), "into")
	if err := os.Symlink(filepath.Join(dir, "sub"), into); err != nil {
		t.Fatal(err)
	}
	if src := inspect(t, g, into); src.Root != dir {
		t.Errorf("the root is %s, want %s", src.Root, dir)
	}
}

func TestT2_AWorktreeHasItsOwnHeadAndIndex(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := userRepo(t, map[string]string{"a": "1", "b": "2"})
	tree := filepath.Join(realTemp(t), "tree")
	git(t, dir, "worktree", "add", "-q", "-b", "other", tree)
	git(t, tree, "rm", "-q", "--cached", "b")
	git(t, tree, "commit", "-q", "-m", "second")
	if err := os.Remove(filepath.Join(tree, "b")); err != nil {
		t.Fatal(err)
	}
	src := inspect(t, g, tree)
	if src.Root != tree || src.Branch != "other" || src.Head != git(t, tree, "rev-parse", "HEAD") || src.CommonDir != filepath.Join(dir, ".git") {
		t.Errorf("the worktree is read as %+v", src)
	}
	if d := cmp.Diff([]string{"a"}, listFiles(t, g, tree).Paths); d != "" {
		t.Error(d)
	}
}

func TestT6_ABareRepositoryIsSaidToBeOne(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := realTemp(t)
	git(t, dir, "init", "-q", "--bare")
	src := inspect(t, g, dir)
	if !src.Bare || src.Root != "" {
		t.Errorf("the bare repository is read as %+v", src)
	}
	if _, err := g.ListFiles(t.Context(), src, t.TempDir()); err == nil || !strings.Contains(err.Error(), "bare repository") {
		t.Errorf("its files are refused with %v", err)
	}
	work := userRepo(t, nil)
	if src := inspect(t, g, filepath.Join(work, ".git", "refs")); !src.Bare {
		t.Errorf("the inside of a git folder is read as %+v", src)
	}
	git(t, work, "config", "core.bare", "true")
	if src := inspect(t, g, work); !src.Bare {
		t.Errorf("a repository that says it is bare is read as %+v", src)
	}
}

func TestW5_UnbornAndDetachedHeadsAreRead(t *testing.T) {
	isolate(t)
	g := findGit(t)
	unborn := realTemp(t)
	git(t, unborn, "init", "-q", "-b", "fresh/one")
	if src := inspect(t, g, unborn); src.Head != "" || src.Branch != "fresh/one" {
		t.Errorf("an unborn branch is read as %q at %q", src.Branch, src.Head)
	}
	dir := userRepo(t, map[string]string{"a": "1"})
	head := git(t, dir, "rev-parse", "HEAD")
	git(t, dir, "checkout", "-q", "--detach")
	if src := inspect(t, g, dir); src.Head != head || src.Branch != "" {
		t.Errorf("a detached HEAD is read as %q at %q", src.Branch, src.Head)
	}
	git(t, dir, "checkout", "-q", "main")
	git(t, dir, "pack-refs", "--all")
	if src := inspect(t, g, dir); src.Head != head || src.Branch != "main" {
		t.Errorf("a packed branch is read as %q at %q", src.Branch, src.Head)
	}
	git(t, dir, "symbolic-ref", "refs/heads/alias", "refs/heads/main")
	git(t, dir, "symbolic-ref", "HEAD", "refs/heads/alias")
	if src := inspect(t, g, dir); src.Head != head {
		t.Errorf("a symbolic ref is read as %q", src.Head)
	}
}

func TestW6_TheStashIsCounted(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := userRepo(t, map[string]string{"a": "1"})
	if src := inspect(t, g, dir); src.Stashes != 0 {
		t.Errorf("%d stashes are counted where there is none", src.Stashes)
	}
	for _, content := range []string{"2", "3"} {
		writeFiles(t, dir, map[string]string{"a": content})
		git(t, dir, "stash", "-q")
	}
	if src := inspect(t, g, dir); src.Stashes != 2 {
		t.Errorf("%d stashes are counted, want 2", src.Stashes)
	}
}

func TestX10_RemotesComeWithoutCredentials(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := userRepo(t, nil)
	remotes := map[string][2]string{
		"token":    {"https://ghp_secret@github.com/o/r.git", "https://github.com/o/r.git"},
		"password": {"https://me:pa%ss@host:8443/r", "https://host:8443/r"},
		"at":       {"https://me:p@ss@host/r", "https://host/r"},
		"query":    {"https://host/r?private_token=secret#x", "https://host/r"},
		"ssh":      {"ssh://git:secret@host:22/r", "ssh://git@host:22/r"},
		"scp":      {"git@host:o/r.git", "git@host:o/r.git"},
		"path":     {"/srv/r@x.git", "/srv/r@x.git"},
		"a.b c":    {"https://host/x@y", "https://host/x@y"},
	}
	want := map[string]string{}
	for name, urls := range remotes {
		git(t, dir, "config", "remote."+name+".url", urls[0])
		git(t, dir, "config", "--add", "remote."+name+".url", "https://second@host")
		want[name] = urls[1]
	}
	if d := cmp.Diff(want, inspect(t, g, dir).Remotes); d != "" {
		t.Error(d)
	}
}

func TestF29_SHA256AndWorktreeConfigurationAreRead(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := userRepo(t, map[string]string{"a": "1"}, "--object-format=sha256")
	git(t, dir, "config", "extensions.worktreeConfig", "true")
	git(t, dir, "config", "--worktree", "core.fileMode", "false")
	src := inspect(t, g, dir)
	if src.Format != tree.SHA256 || len(src.Head) != 64 || src.FileMode {
		t.Errorf("the repository is read as %+v", src)
	}
	if d := cmp.Diff([]string{"a"}, listFiles(t, g, dir).Paths); d != "" {
		t.Error(d)
	}
}

func TestF29_ShallowAndPartialClonesAreSaidToBeSuch(t *testing.T) {
	isolate(t)
	g := findGit(t)
	origin := userRepo(t, map[string]string{"a": "1"})
	git(t, origin, "config", "uploadpack.allowFilter", "true")
	git(t, origin, "commit", "-q", "--allow-empty", "-m", "second")
	clone := filepath.Join(realTemp(t), "clone")
	git(t, origin, "clone", "-q", "--depth=1", "--filter=blob:none", "file://"+origin, clone)
	src := inspect(t, g, clone)
	if !src.Shallow || !src.Partial {
		t.Errorf("the clone is read as shallow %v, partial %v", src.Shallow, src.Partial)
	}
}

func TestADamagedRepositoryIsAnErrorThatSaysSo(t *testing.T) {
	isolate(t)
	g := findGit(t)
	for name, damage := range map[string]func(dir string) error{
		"HEAD is gone":      func(d string) error { return os.Remove(d + "/.git/HEAD") },
		"HEAD is rubbish":   func(d string) error { return os.WriteFile(d+"/.git/HEAD", []byte("what?\n"), 0o644) },
		"HEAD leaves":       func(d string) error { return os.WriteFile(d+"/.git/HEAD", []byte("ref: refs/../../x\n"), 0o644) },
		"branch is rubbish": func(d string) error { return os.WriteFile(d+"/.git/refs/heads/main", []byte("zzz\n"), 0o644) },
		"no objects":        func(d string) error { return os.RemoveAll(d + "/.git/objects") },
		"broken config":     func(d string) error { return os.WriteFile(d+"/.git/config", []byte("[core\nx"), 0o644) },
		"gitfile to nowhere": func(d string) error {
			return errors.Join(os.RemoveAll(d+"/.git"), os.WriteFile(d+"/.git", []byte("gitdir: nowhere\n"), 0o644))
		},
		"gitfile is rubbish": func(d string) error {
			return errors.Join(os.RemoveAll(d+"/.git"), os.WriteFile(d+"/.git", []byte("hello\n"), 0o644))
		},
	} {
		dir := userRepo(t, map[string]string{"a": "1"})
		if err := damage(dir); err != nil {
			t.Fatal(err)
		}
		src, err := g.Inspect(t.Context(), dir)
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) {
			t.Errorf("%s: %+v, %v", name, src, err)
		}
	}
	dir := userRepo(t, map[string]string{"a": "1"})
	writeFiles(t, dir, map[string]string{".git/index": "DIRC rubbish"})
	if _, err := g.ListFiles(t.Context(), inspect(t, g, dir), t.TempDir()); err == nil || !strings.Contains(err.Error(), "index") {
		t.Errorf("a damaged index gives %v", err)
	}
}

func TestWhatCannotBeUsedIsNamed(t *testing.T) {
	isolate(t)
	g := findGit(t)
	for name, config := range map[string][]string{
		"refs in tables":  {"extensions.refStorage", "reftable"},
		"unknown objects": {"extensions.objectFormat", "sha3"},
		"files elsewhere": {"core.worktree", "/"},
	} {
		dir := userRepo(t, nil)
		git(t, dir, append([]string{"config", "--file", ".git/config"}, config...)...)
		_, err := g.Inspect(t.Context(), dir)
		var unsupported *UnsupportedError
		if !errors.As(err, &unsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheUsersExcludesAreFoundAsGitFindsThem(t *testing.T) {
	home := isolate(t)
	g := findGit(t)
	dir := userRepo(t, map[string]string{"a": "1"})
	set := func(config string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	writeFiles(t, home, map[string]string{
		".config/git/ignore": "*.xdg\n", "mine": "*.mine\n", "other": "*.other\n",
		"extra": "[core]\n\texcludesFile = ~/other\n",
	})
	writeFiles(t, dir, map[string]string{".git/local-excludes": "*.local\n"})
	for _, c := range []struct{ config, want string }{
		{"", ".config/git/ignore"},
		{"[core]\n\texcludesFile = ~/mine\n", "mine"},
		{"[core]\n\texcludesfile = \"" + home + "/mine\" # mine\n", "mine"},
		{"[core]\n\texcludesFile = ~/mine\n[include]\n\tpath = extra\n", "other"},
		{"[include]\n\tpath = ~/extra\n[core]\n\texcludesFile = ~/mine\n", "mine"},
		{"[core]\n\texcludesFile = ~/mine\n[includeIf \"gitdir:" + dir + "/\"]\n\tpath = extra\n", "other"},
		{"[core]\n\texcludesFile = ~/mine\n[includeIf \"gitdir:/elsewhere/\"]\n\tpath = extra\n", "mine"},
		{"[core]\n\texcludesFile = ~/mine\n[includeIf \"gitdir/i:" + strings.ToUpper(dir) + "/**\"]\n\tpath = extra\n", "other"},
		{"[core]\n\texcludesFile = ~/mine\n[includeIf \"onbranch:ma*\"]\n\tpath = extra\n", "other"},
		{"[core]\n\texcludesFile = ~/mine\n[includeIf \"onbranch:ma/\"]\n\tpath = extra\n", "mine"},
		{"[core]\n\texcludesFile = ~/not-there\n", ""},
	} {
		set(c.config)
		want := c.want
		if want != "" {
			want = filepath.Join(home, want)
		}
		if got := inspect(t, g, dir).ExcludesFile; got != want {
			t.Errorf("with %q the excludes are %q, want %q", c.config, got, want)
		}
	}
	set("[core]\n\texcludesFile = ~/mine\n[include]\n\tpath = .gitconfig\n")
	if _, err := g.Inspect(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "nested too deep") {
		t.Errorf("a configuration that includes itself gives %v", err)
	}
}

func TestT4_OfSeveralRemotesTheBranchesOwnIsTaken(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := userRepo(t, nil)
	want := func(name string) {
		t.Helper()
		if got := inspect(t, g, dir).Remote; got != name {
			t.Errorf("the remote is %q, want %q", got, name)
		}
	}
	want("")
	git(t, dir, "remote", "add", "zeta", "https://example.com/z")
	want("zeta")
	git(t, dir, "remote", "add", "alpha", "https://example.com/a")
	want("alpha")
	git(t, dir, "remote", "add", "origin", "https://example.com/o")
	want("origin")
	git(t, dir, "config", "branch.main.remote", "zeta")
	want("zeta")
	git(t, dir, "config", "branch.main.remote", "gone")
	want("origin")
	git(t, dir, "checkout", "-q", "--detach")
	want("origin")
}
