package git

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cloned makes a repository with two commits, its clone and the clone's id of HEAD.
func cloned(t *testing.T, args ...string) (origin, clone string) {
	t.Helper()
	origin = userRepo(t, map[string]string{"f": "1\n"})
	writeFiles(t, origin, map[string]string{"f": "2\n"})
	git(t, origin, "commit", "-q", "-a", "-m", "second")
	clone = filepath.Join(realTemp(t), "clone")
	git(t, origin, append(append([]string{"clone", "-q"}, args...), "file://"+origin, clone)...)
	return origin, clone
}

func tips(t *testing.T, dir string) []RemoteTip {
	t.Helper()
	g := findGit(t)
	src := inspect(t, g, dir)
	got, err := newStore(t, g, src.Format).RemoteTips(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestT4_OfSeveralRemotesTheOneThatHasTheCommitIsFound(t *testing.T) {
	isolate(t)
	origin, clone := cloned(t)
	head := git(t, clone, "rev-parse", "HEAD")
	// A fork that is behind, one with nothing in common, and one that was never fetched.
	behind := filepath.Join(realTemp(t), "behind.git")
	git(t, origin, "clone", "-q", "--bare", ".", behind)
	git(t, behind, "update-ref", "refs/heads/main", head+"~1")
	other := userRepo(t, map[string]string{"g": "another project\n"})
	git(t, other, "commit", "-q", "--amend", "-m", "unrelated")
	git(t, clone, "remote", "rename", "origin", "upstream")
	for name, url := range map[string]string{"a-fork": behind, "b-other": other, "c-new": "https://example.com/new.git"} {
		git(t, clone, "remote", "add", name, url)
		if name != "c-new" {
			git(t, clone, "fetch", "-q", name)
		}
	}
	want := []RemoteTip{
		{Remote: "upstream", Commit: head, Ref: "refs/heads/main"},
		{Remote: "a-fork", Commit: git(t, clone, "rev-parse", "HEAD~1"), Ahead: 1, Ref: "refs/heads/main"},
	}
	if diff := cmp.Diff(want, tips(t, clone)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheNearestCommitThatARemoteHasIsFound(t *testing.T) {
	isolate(t)
	for name, c := range map[string]struct {
		clone   []string
		prepare func(t *testing.T, clone string)
		commit  string
		ahead   int
		ref     string
	}{
		"pushed":          {commit: "HEAD", ref: "refs/heads/main"},
		"packed refs":     {commit: "HEAD", ref: "refs/heads/main", prepare: func(t *testing.T, c string) { git(t, c, "pack-refs", "--all") }},
		"a shallow clone": {clone: []string{"--depth=1"}, commit: "HEAD", ref: "refs/heads/main"},
		"unpushed commits": {commit: "HEAD~2", ahead: 2, ref: "refs/heads/main", prepare: func(t *testing.T, c string) {
			git(t, c, "commit", "-q", "--allow-empty", "-m", "one")
			git(t, c, "commit", "-q", "--allow-empty", "-m", "two")
		}},
		"a detached HEAD below a branch": {commit: "HEAD", ref: "refs/heads/main", prepare: func(t *testing.T, c string) {
			git(t, c, "checkout", "-q", "--detach", "HEAD~1")
		}},
		"a merge of unpushed work": {commit: "origin/main", ahead: 2, ref: "refs/heads/main", prepare: func(t *testing.T, c string) {
			git(t, c, "checkout", "-q", "-b", "side", "HEAD~1")
			git(t, c, "commit", "-q", "--allow-empty", "-m", "aside")
			git(t, c, "merge", "-q", "--no-ff", "-m", "merge", "main")
		}},
		"a partial clone": {clone: []string{"--filter=blob:none", "--no-checkout"}, commit: "HEAD", ref: "refs/heads/main"},
	} {
		t.Run(name, func(t *testing.T) {
			origin, clone := cloned(t, c.clone...)
			if strings.Contains(name, "partial") {
				git(t, origin, "config", "uploadpack.allowFilter", "true")
			}
			if c.prepare != nil {
				c.prepare(t, clone)
			}
			want := []RemoteTip{{Remote: "origin", Commit: git(t, clone, "rev-parse", c.commit), Ahead: c.ahead, Ref: c.ref}}
			if diff := cmp.Diff(want, tips(t, clone)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestX2_LookingForARemoteRunsNothingOfTheRepositorysConfiguration(t *testing.T) {
	isolate(t)
	_, clone := cloned(t)
	ran := filepath.Join(t.TempDir(), "ran")
	for _, key := range []string{"core.sshCommand", "core.fsmonitor", "remote.origin.uploadpack", "credential.helper"} {
		git(t, clone, "config", key, "!touch "+ran)
	}
	git(t, clone, "config", "core.hooksPath", ".")
	if got := tips(t, clone); len(got) != 1 {
		t.Errorf("%d remotes were found, not 1", len(got))
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a program that the configuration names was run")
	}
}

func TestPublicURLs(t *testing.T) {
	for remote, want := range map[string]string{
		"https://github.com/a/b.git":               "https://github.com/a/b.git",
		"https://user:secret@example.com:8443/a/b": "https://example.com:8443/a/b",
		"https://example.com/a?private_token=s":    "https://example.com/a",
		"http://127.0.0.1:8080/repo.git":           "http://127.0.0.1:8080/repo.git",
		"HTTPS://example.com/a":                    "https://example.com/a",
		"git@github.com:a/b.git":                   "https://github.com/a/b.git",
		"github.com:a/b.git":                       "https://github.com/a/b.git",
		"git@example.com:/srv/a.git":               "https://example.com/srv/a.git",
		"ssh://git@example.com:2222/a/b":           "https://example.com/a/b",
		"ssh://git@ssh.github.com:443/a/b.git":     "https://github.com/a/b.git",
		"git+ssh://git@example.com/a":              "https://example.com/a",
		"git://example.com:9418/a.git":             "https://example.com/a.git",
		"[git@example.com]:a/b":                    "https://example.com/a/b",
		"/srv/git/a.git":                           "",
		"../a.git":                                 "",
		"./a:b":                                    "",
		"C:/a.git":                                 "",
		"file:///srv/a.git":                        "",
		"gh:a/b":                                   "",
		"ext::sh -c touch% /tmp/x":                 "",
		"ssh://-oProxyCommand=touch/a":             "",
		"https://-x.example.com/a":                 "",
		"https:///a":                               "",
		"git@-oProxyCommand=x.y:a":                 "",
		"transport::https://example.com/a":         "",
		"":                                         "",
	} {
		got, why := PublicURL(remote)
		if got != want {
			t.Errorf("PublicURL(%q) = %q, want %q", remote, got, want)
		}
		if got == "" && why == "" {
			t.Errorf("PublicURL(%q) does not say why there is none", remote)
		}
		if strings.Contains(got+why, "secret") {
			t.Errorf("PublicURL(%q) gives a password away: %q, %q", remote, got, why)
		}
	}
}

func TestA6_AnAddressByWhichSSHIsNotUsedSaysSo(t *testing.T) {
	if _, why := PublicURL("git@github.com:a/b.git"); !strings.Contains(why, "22") {
		t.Errorf("it does not name the port: %q", why)
	}
	if _, why := PublicURL("https://github.com/a/b.git"); why != "" {
		t.Errorf("nothing was changed, and it says %q", why)
	}
}

func TestAPartOfABundleCompletesARepositoryThatHasTheRest(t *testing.T) {
	isolate(t)
	g := findGit(t)
	origin := userRepo(t, map[string]string{"a": "1\n", "d/b": "2\n"})
	has := strings.Fields(git(t, origin, "rev-list", "--objects", "--no-object-names", "HEAD"))
	r := newStore(t, g, "sha1")
	base := update(t, r, "", write("a", "1\n", 0o100644), write("d/b", "3\n", 0o100644), write("new", "4\n", 0o100755))
	commit, err := r.Commit(t.Context(), CommitSpec{Tree: base, Message: []byte("snapshot\n")})
	if err != nil {
		t.Fatal(err)
	}
	below, err := r.Below(t.Context(), commit)
	if err != nil {
		t.Fatal(err)
	}
	if len(below) != 5 { // two trees, three files
		t.Errorf("%d objects are below the commit: %v", len(below), below)
	}
	objects := []string{commit}
	for _, id := range below {
		if !strings.Contains(strings.Join(has, " "), id) {
			objects = append(objects, id)
		}
	}
	file := filepath.Join(t.TempDir(), "part.bundle")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := r.PartBundle(t.Context(), out, map[string]string{"refs/glue/base": commit}, objects); err != nil {
		t.Fatal(err)
	}
	git(t, origin, "fetch", "-q", file, "refs/glue/base:refs/heads/taken")
	if got := git(t, origin, "show", "taken:d/b") + git(t, origin, "show", "taken:a"); got != "31" {
		t.Errorf("the files are %q", got)
	}
	if len(objects) != 5 { // the commit, two trees, two files
		t.Errorf("%d objects went, not 5", len(objects))
	}
}
