package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/gittest"
	"glue-lsp/sandbox"
)

// noise is content that no compression makes smaller.
func noise(seed uint64, size int) string {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = r.Read(b)
	return string(b)
}

const mebi = 1 << 20

// largeTree gives the repository 3 MiB of files that a remote has too, and then work that
// it has not: a commit that was not pushed, uncommitted edits, staged and untracked files,
// a mode, a link, names and contents that are no UTF-8.
func (f *fixture) largeTree(o gittest.Options) *gittest.Server {
	f.Helper()
	for i := range uint64(3) {
		f.write(fmt.Sprintf("data/%d.bin", i), noise(i, mebi))
	}
	f.commit("the data")
	dir := f.TempDir()
	gittest.Publish(f, f.repo, dir, "repo.git")
	server := gittest.Serve(f, dir, o)
	f.git("-C", f.repo, "remote", "add", "origin", "file://"+filepath.Join(dir, "repo.git"))
	f.git("-C", f.repo, "fetch", "-q", "origin")
	f.git("-C", f.repo, "remote", "set-url", "origin", server.URL+"/repo.git")

	f.write("dir/d.txt", "not pushed\n")
	f.commit("not pushed")
	f.write("a.txt", "uncommitted \xff\r\n")
	f.write("staged.txt", "staged\n")
	f.git("-C", f.repo, "add", "staged.txt")
	f.write("untracked/ü \xfe.bin", noise(9, 100<<10))
	f.write("run.sh", "#!/bin/sh\n")
	if err := errors.Join(
		os.Chmod(filepath.Join(f.repo, "run.sh"), 0o755), os.Symlink("../a.txt", filepath.Join(f.repo, "dir", "link")),
		os.Remove(filepath.Join(f.repo, "b.txt")),
	); err != nil {
		f.Fatal(err)
	}
	return server
}

func (f *fixture) commit(message string) {
	f.Helper()
	f.git("-C", f.repo, "add", "-A")
	f.git("-C", f.repo, "-c", "user.name=P", "-c", "user.email=p@example.com", "commit", "-qm", message)
}

// treeOf lists what a tree holds besides its repository: kind, mode, content.
func (f *fixture) treeOf(root string) map[string]string {
	f.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Name() == ".git" {
			return filepath.SkipDir
		}
		rel, _ := filepath.Rel(root, name)
		info, err := d.Info()
		switch {
		case err != nil || d.IsDir():
			return err
		case info.Mode().Type() == os.ModeSymlink:
			out[rel], err = os.Readlink(name)
			return err
		}
		b, err := os.ReadFile(name)
		out[rel] = fmt.Sprint(info.Mode().Perm()&0o100 != 0, " ", string(b))
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	return out
}

// isInside checks that the sandbox has exactly the editor's tree, as one commit.
func (f *fixture) isInside(rt *distantRuntime, s *Session) {
	f.Helper()
	if diff := cmp.Diff(f.treeOf(f.repo), f.treeOf(rt.newest().dir)); diff != "" {
		f.Errorf("the tree inside (-editor's +sandbox's):\n%.2000s", diff)
	}
	got := f.output(s, "git status --porcelain; git rev-list --count --all; git branch --show-current; git remote; git config user.email; git fsck --full; git rev-parse --is-shallow-repository")
	if want := "1\nmain\nsandbox@glue.invalid\nfalse"; got != want {
		f.Errorf("git inside says %q, want %q", got, want)
	}
}

func TestW3_ATreeOverTheCapComesFromItsRemoteAndTheRestFromHereByteForByte(t *testing.T) {
	f := newFixture(t)
	server := f.largeTree(gittest.Options{})
	rt := f.distant(mebi)
	s := f.open(OpenOptions{})
	info := s.Info()
	if info.Bootstrap.Strategy != "clone" || info.Bootstrap.Bytes == 0 || info.Bootstrap.Bytes > 200<<10 {
		t.Errorf("it went up by %+v", info.Bootstrap)
	}
	if len(info.Warnings) > 0 {
		t.Errorf("warnings: %q", info.Warnings)
	}
	if server.Requests() == 0 || len(rt.clones) != 1 {
		t.Errorf("%d requests came to the remote, %d clones were asked for", server.Requests(), len(rt.clones))
	}
	f.isInside(rt, s)
	f.run(s, "echo inside > made.txt; echo more >> dir/d.txt; git add made.txt; git commit -qm 'made inside'")
	f.giveBack(s)
	if f.read("made.txt") != "inside\n" || f.read("dir/d.txt") != "not pushed\nmore\n" || f.read("a.txt") != "uncommitted \xff\r\n" {
		t.Errorf("came back: %q, %q, %q", f.read("made.txt"), f.read("dir/d.txt"), f.read("a.txt"))
	}
}

func TestATreeBelowTheCapAsksNoRemote(t *testing.T) {
	f := newFixture(t)
	server := f.largeTree(gittest.Options{})
	rt := f.distant(mebi)
	s := f.open(OpenOptions{BundleMaxBytes: 16 * mebi}) // the person's wish goes before the runtime's
	if b := s.Info().Bootstrap; b.Strategy != "bundle" || b.Bytes < 3*mebi || server.Requests() > 0 {
		t.Errorf("it went up by %+v with %d requests to the remote", b, server.Requests())
	}
	f.isInside(rt, s)
}

func TestA5_ARemoteThatRefusesIsToldFirstAndWholeAndAllGoesUpFromHere(t *testing.T) {
	f := newFixture(t)
	server := f.largeTree(gittest.Options{Login: true})
	// A1 to A4: what the person's git could do from here, nothing of it is needed.
	with := strings.Replace(server.URL, "://", "://person:sesame@", 1)
	f.git("-C", f.repo, "remote", "set-url", "origin", with+"/repo.git?private_token=sesame")
	rt := f.distant(mebi)
	s := f.open(OpenOptions{})
	f.isInside(rt, s)
	warnings := strings.Join(s.Info().Warnings, "\n")
	if !strings.HasPrefix(warnings, "fetching from "+server.URL+"/repo.git in the sandbox failed: fatal: could not read Username") ||
		!strings.Contains(warnings, "bundle_max_mb (1); all of it was sent") || strings.Contains(warnings, "sesame") {
		t.Errorf("the warnings are %q", warnings)
	}
	if b := s.Info().Bootstrap; b.Strategy != "bundle" || b.Bytes < 3*mebi {
		t.Errorf("it went up by %+v", b)
	}
	for _, c := range rt.clones {
		if strings.Contains(fmt.Sprint(c), "sesame") {
			t.Errorf("a password went into the sandbox: %+v", c.Sources)
		}
	}
}

func TestA1_A2_A3_A4_NoRemoteIsNeededForBytesGoUpFromHere(t *testing.T) {
	for name, c := range map[string]struct{ url, says string }{
		"A1, A6 by SSH":                           {"git@127.0.0.1:team/private.git", "port (22)"},
		"A2, A3 self-hosted, credential helper":   {"https://127.0.0.1:1/private.git", "127.0.0.1:1"},
		"A4 behind a proxy, host of the intranet": {"ssh://git@gitserver/private.git", "gitserver"},
		"a folder of this machine":                {"/srv/git/private.git", "a folder of this machine"},
		"a program":                               {"ext::touch /tmp/ran-by-glue", "a program of this machine"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.largeTree(gittest.Options{})
			f.git("-C", f.repo, "remote", "set-url", "origin", c.url)
			rt := f.distant(mebi)
			s := f.open(OpenOptions{})
			f.isInside(rt, s)
			if w := strings.Join(s.Info().Warnings, "\n"); !strings.Contains(w, c.says) || !strings.Contains(w, "all of it was sent") {
				t.Errorf("the warnings are %q", w)
			}
		})
	}
}

func TestT4_OfSeveralRemotesTheOneWithTheCommitIsAskedFirst(t *testing.T) {
	f := newFixture(t)
	server := f.largeTree(gittest.Options{})
	f.git("-C", f.repo, "remote", "rename", "origin", "upstream")
	f.git("-C", f.repo, "remote", "add", "origin", "https://127.0.0.1:1/empty.git") // never fetched
	f.git("-C", f.repo, "remote", "add", "behind", "https://127.0.0.1:1/behind.git")
	f.git("-C", f.repo, "update-ref", "refs/remotes/behind/main", "HEAD~2")
	rt := f.distant(mebi)
	s := f.open(OpenOptions{})
	f.isInside(rt, s)
	var urls []string
	for _, source := range rt.clones[0].Sources {
		urls = append(urls, source.URL)
	}
	if diff := cmp.Diff([]string{server.URL + "/repo.git", "https://127.0.0.1:1/behind.git"}, urls); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	if b := s.Info().Bootstrap; b.Strategy != "clone" {
		t.Errorf("it went up by %+v", b)
	}
}

func TestWhereNoWayIsLeftOpeningFailsWithBothReasonsAndLeavesNothing(t *testing.T) {
	f := newFixture(t)
	server := f.largeTree(gittest.Options{Login: true})
	rt := f.distant(mebi)
	_, err := f.m.Open(context.Background(), OpenOptions{Folder: f.repo, UploadMaxBytes: 2 * mebi}, nil)
	var e *Error
	if !errors.As(err, &e) || e.Kind != "tooLarge" {
		t.Fatalf("got %v", err)
	}
	if !strings.HasPrefix(e.Message, "fetching from "+server.URL) || !strings.Contains(e.Message, "2 MiB (upload_max_mb)") || !strings.Contains(e.Message, "data/") || !strings.Contains(e.Hint, "upload_max_mb") {
		t.Errorf("it says %q, %q", e.Message, e.Hint)
	}
	if _, err := os.Stat(rt.newest().dir); err == nil {
		t.Error("the sandbox's tree is still there")
	}
	if list, _ := os.ReadDir(filepath.Join(f.home, "sessions")); len(list) > 0 {
		t.Errorf("a session is left: %v", list)
	}
}

func TestWhatTheRemoteLacksCanBeTooLargeByItself(t *testing.T) {
	f := newFixture(t)
	f.largeTree(gittest.Options{})
	for i := range uint64(3) {
		f.write(fmt.Sprintf("new%d.bin", i), noise(20+i, mebi))
	}
	f.distant(mebi)
	_, err := f.m.Open(context.Background(), OpenOptions{Folder: f.repo, UploadMaxBytes: 2 * mebi}, nil)
	if err == nil || !strings.Contains(err.Error(), "is too large as well") || !strings.Contains(err.Error(), "new") {
		t.Fatalf("got %v", err)
	}
}

func TestF19_WithoutGitInsideTheWholeTreeGoesUp(t *testing.T) {
	f := newFixture(t)
	f.largeTree(gittest.Options{})
	rt := f.distant(mebi)
	rt.noClone = true
	s := f.open(OpenOptions{})
	f.isInside(rt, s)
	if w := strings.Join(s.Info().Warnings, "\n"); !strings.HasPrefix(w, "there is no git in the sandbox") {
		t.Errorf("the warnings are %q", w)
	}
}

func TestACloneThatIsNotWhatItSaidIsReplacedByTheWholeTree(t *testing.T) {
	f := newFixture(t)
	f.largeTree(gittest.Options{})
	rt := f.distant(mebi)
	rt.broken = true
	s := f.open(OpenOptions{})
	f.isInside(rt, s)
	if w := strings.Join(s.Info().Warnings, "\n"); !strings.HasPrefix(w, "the tree could not be put over what was fetched") {
		t.Errorf("the warnings are %q", w)
	}
	if b := s.Info().Bootstrap; b.Strategy != "bundle" {
		t.Errorf("it went up by %+v", b)
	}
}

func TestAFolderWithoutARepositoryOrACommitGoesUpWhole(t *testing.T) {
	for name, prepare := range map[string]func(f *fixture){
		"no repository": func(f *fixture) {
			if err := os.RemoveAll(filepath.Join(f.repo, ".git")); err != nil {
				f.Fatal(err)
			}
		},
		"no commit": func(f *fixture) { f.git("-C", f.repo, "update-ref", "-d", "HEAD") },
		"no remote": func(*fixture) {},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.write("large.bin", noise(1, 2*mebi))
			prepare(f)
			rt := f.distant(mebi)
			s := f.open(OpenOptions{})
			if diff := cmp.Diff(f.treeOf(f.repo), f.treeOf(rt.newest().dir)); diff != "" {
				t.Errorf("the tree inside (-editor's +sandbox's):\n%.2000s", diff)
			}
			if w := strings.Join(s.Info().Warnings, "\n"); !strings.Contains(w, "nothing could be fetched in the sandbox") {
				t.Errorf("the warnings are %q", w)
			}
		})
	}
}

func TestA6_DoctorSaysThatARemoteBySSHIsReadByHTTPS(t *testing.T) {
	for url, says := range map[string]string{
		"git@example.com:team/private.git":      "https://example.com/team/private.git: it is read by ssh from here, which needs keys that stay on this machine or a port (22)",
		"https://example.com/team/private.git":  "",
		"/srv/git/private.git":                  "remote origin cannot serve for that: it is a folder of this machine",
		"https://me:sesame@example.com/private": "",
	} {
		f := newFixture(t)
		f.git("-C", f.repo, "remote", "add", "origin", url)
		f.distant(mebi)
		checks, err := f.m.Doctor(context.Background(), OpenOptions{Folder: f.repo, Runtime: "local"}, false)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(checks, func(c sandbox.Check) bool { return strings.HasSuffix(c.Name, "upload cap") })
		if i < 0 {
			t.Fatalf("nothing is said of the cap: %+v", checks)
		}
		if got := checks[i].Detail; !strings.Contains(got, says) || says == "" && strings.Contains(got, "remote origin") || strings.Contains(got, "sesame") || !strings.Contains(got, "1.0 MiB (bundle_max_mb)") {
			t.Errorf("of %s it says %q", url, got)
		}
	}
}

func TestAnUploadIsToldOnlyWhereItTakesLong(t *testing.T) {
	c := &clock{now: time.Unix(1000, 0)}
	s := &Session{m: &Manager{o: Options{Now: c.time}}}
	var said []string
	tell := s.sayUpload(func(message string, percent int) { said = append(said, fmt.Sprint(percent, " ", message)) })
	for _, step := range []struct {
		after time.Duration
		done  int64
	}{{100 * time.Millisecond, mebi}, {time.Second, 10 * mebi}, {100 * time.Millisecond, 11 * mebi}, {time.Second, 20 * mebi}, {time.Second, 40 * mebi}} {
		c.pass(step.after)
		tell(step.done, 40*mebi)
	}
	want := []string{"68 sending the tree: 10.0 of 40.0 MiB", "77 sending the tree: 20.0 of 40.0 MiB", "95 sending the tree: 40.0 of 40.0 MiB"}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

var _ sandbox.Cloner = (*distantSandbox)(nil)
