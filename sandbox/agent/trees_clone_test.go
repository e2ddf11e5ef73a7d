package agent

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/gittest"
	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// published is a tree that a remote has, and what a person made of it since.
type published struct {
	remote hostTree
	mine   hostTree
	server *gittest.Server
}

// publish gives a remote the small tree, a commit on top of it, and makes a tree of the
// host's with a change, a new file and a deletion.
func publish(t *testing.T, o gittest.Options, format tree.Format) published {
	t.Helper()
	var p published
	p.remote = smallTree(t, format)
	dir := t.TempDir()
	hostGit(t, p.remote.dir, "", "branch", "-M", "main")
	hostGit(t, p.remote.dir, "", "commit", "-q", "--allow-empty", "-m", "later than what the host has seen")
	gittest.Publish(t, p.remote.dir, dir, "repo.git")
	p.server = gittest.Serve(t, dir, o)
	p.mine = makeTree(t, format, func(dir string) {
		hostGit(t, dir, "", "fetch", "-q", p.remote.dir, "main")
		hostGit(t, dir, "", "read-tree", "FETCH_HEAD")
		hostGit(t, dir, "", "checkout-index", "-a", "-f")
		put(t, dir, "a.txt", "changed\n")
		put(t, dir, "new \xfe.bin", string(bytes.Repeat([]byte{0, 1, 2, 255}, 5000)))
		if err := os.Remove(filepath.Join(dir, "d", "crlf.txt")); err != nil {
			t.Fatal(err)
		}
	})
	return p
}

func (p published) source(t *testing.T) sandbox.CloneSource {
	return sandbox.CloneSource{URL: p.server.URL + "/repo.git", Commit: hostGit(t, p.remote.dir, "", "rev-parse", "HEAD~1"), Ref: "refs/heads/main"}
}

// objects names all that the host's tree holds.
func (p published) objects(t *testing.T) []string {
	return strings.Fields(hostGit(t, p.mine.dir, "", "rev-list", "--objects", "--no-object-names", p.mine.commit+"^{tree}"))
}

// rest makes the request that populates over a clone which has some objects.
func (p published) rest(t *testing.T, has []bool) (sandbox.PopulateRequest, int) {
	t.Helper()
	missing := []string{p.mine.commit}
	for i, id := range p.objects(t) {
		if !has[i] {
			missing = append(missing, id)
		}
	}
	packed := hostGit(t, p.mine.dir, strings.Join(missing, "\n")+"\n", "pack-objects", "--stdout", "-q") + "\n"
	head := "# v2 git bundle\n"
	if p.mine.format == tree.SHA256 {
		head = "# v3 git bundle\n@object-format=sha256\n"
	}
	req := p.mine.request()
	b := head + p.mine.commit + " refs/glue/base\n\n" + strings.TrimSuffix(packed, "\n")
	req.Bundle, req.Size, req.OverClone = strings.NewReader(b), int64(len(b)), true
	return req, len(missing)
}

func TestATreeOverACloneIsTheSameAsFromAWholeBundle(t *testing.T) {
	for name, o := range map[string]gittest.Options{"modern": {}, "old": {Old: true}, "dumb": {Dumb: true}} {
		t.Run(name, func(t *testing.T) {
			p := publish(t, o, tree.SHA1)
			_, c, root := dialed(t)
			var said []string
			got, err := c.FetchRemote(testContext(t), sandbox.CloneRequest{
				Sources: []sandbox.CloneSource{p.source(t)}, Format: tree.SHA1, Objects: p.objects(t),
				Progress: func(m string) { said = append(said, m) },
			})
			if err != nil {
				t.Fatal(err)
			}
			if got.URL != p.server.URL+"/repo.git" || len(said) == 0 {
				t.Errorf("it came from %q, and told %q", got.URL, said)
			}
			req, sent := p.rest(t, got.Has)
			if sent > 5 { // the commit, two trees, two files
				t.Errorf("%d objects went up over the clone", sent)
			}
			if err := c.Populate(testContext(t), req); err != nil {
				t.Fatal(err)
			}
			_, other, whole := dialed(t)
			if err := other.Populate(testContext(t), p.mine.request()); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{
				{"status", "--porcelain", "-b"},
				{"log", "--all", "--format=%H %D"},
				{"ls-files", "-s"},
				{"config", "--list", "--local"},
				{"for-each-ref"},
				{"rev-parse", "--is-shallow-repository"},
				{"fsck", "--full"},
				{"rev-list", "--objects", "--all"},
			} {
				if diff := cmp.Diff(hostGit(t, whole, "", args...), hostGit(t, root, "", args...)); diff != "" {
					t.Errorf("git %v (-by bundle +over clone):\n%s", args, diff)
				}
			}
			if diff := cmp.Diff(treeFiles(t, whole), treeFiles(t, root)); diff != "" {
				t.Errorf("files (-by bundle +over clone):\n%s", diff)
			}
			if _, err := os.Stat(filepath.Join(root, ".git", "FETCH_HEAD")); err == nil {
				t.Error("the repository inside names the remote")
			}
			captured, err := c.Capture(testContext(t), sandbox.CaptureRequest{Base: "t0"}, func(sandbox.Captured) error { return nil })
			if err != nil || captured.Changed != 0 {
				t.Errorf("%d paths differ from what the host knows: %v", captured.Changed, err)
			}
		})
	}
}

func TestA5_ARemoteThatWantsALoginIsToldWhole(t *testing.T) {
	p := publish(t, gittest.Options{Login: true}, tree.SHA1)
	_, c, root := dialed(t)
	_, err := c.FetchRemote(testContext(t), sandbox.CloneRequest{Sources: []sandbox.CloneSource{p.source(t)}, Format: tree.SHA1})
	if err == nil || !strings.Contains(err.Error(), "could not read Username") || !strings.Contains(err.Error(), p.server.URL) {
		t.Fatalf("the error does not say what git said, and of which remote: %v", err)
	}
	// The whole bundle goes up then.
	if err := c.Populate(testContext(t), p.mine.request()); err != nil {
		t.Fatal(err)
	}
	if got := hostGit(t, root, "", "status", "--porcelain"); got != "" {
		t.Errorf("status says %q", got)
	}
}

func TestT4_TheNextSourceIsAskedWhereOneRefuses(t *testing.T) {
	p := publish(t, gittest.Options{}, tree.SHA256)
	_, c, _ := dialed(t)
	gone := p.source(t)
	gone.URL = p.server.URL + "/gone.git"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := p.source(t)
	closed.URL = "http://" + l.Addr().String() + "/repo.git"
	l.Close()
	req := sandbox.CloneRequest{Format: tree.SHA256, Sources: []sandbox.CloneSource{gone, closed}}
	_, err = c.FetchRemote(testContext(t), req)
	if err == nil || !strings.Contains(err.Error(), "not found") || !strings.Contains(err.Error(), "onnect") {
		t.Fatalf("the error does not name what both remotes said: %v", err)
	}
	req.Sources, req.Objects = append(req.Sources, p.source(t)), p.objects(t)
	got, err := c.FetchRemote(testContext(t), req)
	if err != nil {
		t.Fatal(err)
	}
	rest, _ := p.rest(t, got.Has)
	if err := c.Populate(testContext(t), rest); err != nil {
		t.Fatal(err)
	}
}

func TestA5_NoPasswordIsAskedForAndNoProgramIsRunToGetOne(t *testing.T) {
	p := publish(t, gittest.Options{Login: true}, tree.SHA1)
	ran := filepath.Join(t.TempDir(), "ran")
	asker := filepath.Join(t.TempDir(), "ask")
	if err := os.WriteFile(asker, []byte("#!/bin/sh\necho secret; touch "+ran+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, c, _ := dialed(t, "GIT_ASKPASS="+asker, "SSH_ASKPASS="+asker, "DISPLAY=:0")
	_, err := c.FetchRemote(testContext(t), sandbox.CloneRequest{Sources: []sandbox.CloneSource{p.source(t)}, Format: tree.SHA1})
	if err == nil {
		t.Fatal("a remote that wants a login was read")
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a program was run to ask for a password")
	}
}

func TestX2_AnAddressThatRunsAProgramIsRefused(t *testing.T) {
	_, c, _ := dialed(t)
	ran := filepath.Join(t.TempDir(), "ran")
	id := strings.Repeat("a", 40)
	for _, s := range []sandbox.CloneSource{
		{URL: "ext::sh -c touch% " + ran, Commit: id},
		{URL: "--upload-pack=touch " + ran, Commit: id},
		{URL: "ssh://-oProxyCommand=touch", Commit: id},
		{URL: "file:///etc", Commit: id},
		{URL: "https://user:secret@example.com/a", Commit: id},
		{URL: "https://example.com/a", Commit: "--x"},
		{URL: "https://example.com/a", Commit: id, Ref: "refs/heads/a:refs/heads/b"},
	} {
		_, err := c.FetchRemote(testContext(t), sandbox.CloneRequest{Sources: []sandbox.CloneSource{s}, Format: tree.SHA1})
		if failedBy(err) != sandbox.InvalidParams || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a program was run")
	}
}

func TestF19_ASandboxWithoutGitSaysThatItCannotFetch(t *testing.T) {
	_, c, _ := dialed(t, "PATH="+withoutGit(t))
	s := sandbox.CloneSource{URL: "https://example.com/a", Commit: strings.Repeat("a", 40)}
	_, err := c.FetchRemote(testContext(t), sandbox.CloneRequest{Sources: []sandbox.CloneSource{s}, Format: tree.SHA1})
	if failedBy(err) != sandbox.Unsupported || !strings.Contains(err.Error(), "no git") {
		t.Errorf("the error is %v", err)
	}
}

func TestABundleThatLacksWhatTheCloneDidNotBringIsAnErrorAndAWholeOneStillFills(t *testing.T) {
	p := publish(t, gittest.Options{}, tree.SHA1)
	_, c, root := dialed(t)
	got, err := c.FetchRemote(testContext(t), sandbox.CloneRequest{Sources: []sandbox.CloneSource{p.source(t)}, Format: tree.SHA1, Objects: p.objects(t)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range got.Has {
		got.Has[i] = true
	}
	req, _ := p.rest(t, got.Has)
	if err := c.Populate(testContext(t), req); err == nil {
		t.Fatal("a tree that is not whole was taken")
	}
	if err := c.Populate(testContext(t), p.mine.request()); err != nil {
		t.Fatal(err)
	}
	if got := hostGit(t, root, "", "status", "--porcelain"); got != "" {
		t.Errorf("status says %q", got)
	}
}

func TestABundleThatWasSentAheadIsReadInside(t *testing.T) {
	h := smallTree(t, tree.SHA1)
	_, c, root := dialed(t)
	file := filepath.Join(t.TempDir(), "glue-bootstrap.bundle")
	if err := os.WriteFile(file, h.bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	req := h.request()
	req.Bundle = nil
	if err := c.PopulateFrom(testContext(t), req, file+".gone"); failedBy(err) != sandbox.FileNotFound {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := c.PopulateFrom(testContext(t), req, filepath.Dir(file)); err == nil {
		t.Error("a folder was taken for a bundle")
	}
	if err := c.PopulateFrom(testContext(t), req, file); err != nil {
		t.Fatal(err)
	}
	if got := hostGit(t, root, "", "status", "--porcelain"); got != "" {
		t.Errorf("status says %q", got)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the bundle did not stay: %v", err)
	}
}

func TestF14_WhatAnImageKeptOfATreeGoesAndWhatTheRulesIgnoreStays(t *testing.T) {
	h := makeTree(t, tree.SHA1, func(dir string) {
		put(t, dir, ".gitignore", "/deps/\n*.o\n/out\n")
		put(t, dir, "src/a.c", "new\n")
		put(t, dir, "src/made.o", "tracked all the same\n")
		put(t, dir, "now/a/folder", "x")
		put(t, dir, "deps/vendored.txt", "tracked below an ignored folder\n")
	})
	_, c, root := dialed(t)
	hostGit(t, root, "", "init", "-q", "--template=")
	hostGit(t, root, "", "remote", "add", "origin", "https://user:secret@example.com/a")
	outside := filepath.Join(t.TempDir(), "outside")
	put(t, outside, "kept.txt", "x")
	for name, content := range map[string]string{
		"src/a.c": "old\n", "src/gone.c": "old\n", "src/a.o": "made by setup\n", "src/made.o": "old\n", "old/b": "old\n",
		"deps/former/key": "went up\n", "deps/former/made": "made by setup\n", "deps/all/of/it": "went up\n", "src/b.o": "went up\n",
		"now": "a file\n", "deps/lib/x.js": "made by setup\n", "deps/vendored.txt": "old\n", "secret.txt": "of somebody\n",
	} {
		put(t, root, name, content)
	}
	for name, to := range map[string]string{"out": outside, "leads": outside, "src/x.o": "a.c"} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	req := h.request()
	req.KeepIgnored, req.Ignore = true, []tree.IgnoreFile{{Content: []byte("/deps/\n*.o\n/out\n")}}
	req.Gone = []string{"deps/all/of/it", "deps/former/key", "never/was/there", "old/b", "src/b.o"}
	if err := c.Populate(testContext(t), req); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "-c", "cd \"$1\" && find . -path ./.git -prune -o ! -type d -print | sort", "sh", root).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := "./.gitignore\n./deps/former/made\n./deps/lib/x.js\n./deps/vendored.txt\n./now/a/folder\n./out\n./src/a.c\n./src/a.o\n./src/made.o\n./src/x.o\n"
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for _, dir := range []string{root, outside} {
		matches, _ := filepath.Glob(dir + "*.image-*")
		if len(matches) > 0 {
			t.Errorf("the former tree is still there: %v", matches)
		}
	}
	if got := hostGit(t, root, "", "status", "--porcelain") + hostGit(t, root, "", "remote"); got != "" {
		t.Errorf("the repository is not ours alone: %q", got)
	}
	if _, err := os.Stat(filepath.Join(outside, "kept.txt")); err != nil {
		t.Errorf("a link was followed: %v", err)
	}
	var told []string
	_, err = c.Capture(testContext(t), sandbox.CaptureRequest{Base: "t0", Ignore: req.Ignore}, func(x sandbox.Captured) error {
		told = append(told, x.Entry.Path)
		return nil
	})
	if err != nil || len(told) > 0 {
		t.Errorf("a capture tells of %v: %v", told, err)
	}
}

// treeFiles gives the content of every file, and the target of every link, by path.
func treeFiles(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Name() == ".git":
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if to, err := os.Readlink(name); err == nil {
			out[rel] = "-> " + to
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(name)
		out[rel] = info.Mode().String() + " " + string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func failedBy(err error) sandbox.Kind {
	var e *sandbox.Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// dialed is an agent with an empty root, and a client of it.
func dialed(t *testing.T, env ...string) (context.Context, *Client, string) {
	t.Helper()
	sb := openBare(t, nil, env...).(*bare)
	t.Cleanup(func() { _ = sb.Close(context.WithoutCancel(t.Context())) })
	return testContext(t), sb.Client, sb.Root()
}
