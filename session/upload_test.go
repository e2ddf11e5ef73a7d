package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glue-lsp/workspace"
)

// past gives the repository five more commits, tags and something uncommitted.
func (f *fixture) past() {
	f.Helper()
	commit := func(args ...string) {
		f.git(append([]string{"-C", f.repo, "-c", "user.name=P", "-c", "user.email=p@example.com"}, args...)...)
	}
	for i := range 5 {
		f.write("b.txt", fmt.Sprintf("b%d\n", i))
		commit("commit", "-qam", fmt.Sprintf("commit %d", i))
		commit("tag", "-a", "-m", "t", fmt.Sprintf("v1.%d", i))
	}
	f.git("-C", f.repo, "tag", "light", "HEAD~2")
	f.write("a.txt", "uncommitted\n")
}

func (f *fixture) output(s *Session, command string) string {
	f.Helper()
	return strings.TrimSpace(string(f.run(s, command).Stdout))
}

func TestHeadsHistoryGoesUpForBuildsThatAskGit(t *testing.T) {
	for _, c := range []struct {
		history, commits, tags, describe string
	}{
		{"", "1", "", "fails"},
		{"none", "1", "", "fails"},
		{"full", "7", "light v1.0 v1.1 v1.2 v1.3 v1.4", "v1.4-1"},
		{"shallow:1", "2", "v1.4", "v1.4-1"},
		{"shallow:4", "5", "light v1.1 v1.2 v1.3 v1.4", "v1.4-1"},
	} {
		t.Run(c.history, func(t *testing.T) {
			f := newFixture(t)
			f.past()
			s := f.open(OpenOptions{History: c.history})
			if w := s.Info().Warnings; len(w) > 0 {
				t.Errorf("warnings: %q", w)
			}
			got := f.output(s, "git rev-list --count HEAD; echo $(git tag); git describe 2>/dev/null | sed 's/-g.*//' | grep . || echo fails; git status --porcelain; cat a.txt")
			if want := c.commits + "\n" + c.tags + "\n" + c.describe + "\nuncommitted"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			f.output(s, "git fsck --connectivity-only && git gc -q --prune=now")

			// Only what was done inside comes back.
			f.run(s, "echo inside > b.txt && git commit -qam 'made inside' && echo later > new.txt")
			if _, err := s.Checkpoint(context.Background()); err != nil {
				t.Fatal(err)
			}
			if refs := s.snapshotState().Refs; len(refs) > 0 {
				t.Errorf("made inside are %v", refs)
			}
			f.giveBack(s)
			if f.read("b.txt") != "inside\n" || f.read("new.txt") != "later\n" || f.read("a.txt") != "uncommitted\n" {
				t.Errorf("came back: %q %q", f.read("b.txt"), f.read("a.txt"))
			}
			mbox, err := os.ReadFile(filepath.Join(s.dir, workspace.MboxFile))
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(mbox), "\nSubject: "); n != 2 || !strings.Contains(string(mbox), "made inside") || strings.Contains(string(mbox), "commit 3") {
				t.Errorf("%d messages:\n%s", n, mbox)
			}
			// The bundle is understood where the history is.
			f.git("-C", f.repo, "bundle", "verify", "-q", filepath.Join(s.dir, workspace.BundleFile))
		})
	}
}

func TestF7_WhatWasDoneToTheHistoryInsideIsCapturedOrNamed(t *testing.T) {
	f := newFixture(t)
	f.past()
	s := f.open(OpenOptions{History: "full"})
	f.run(s, `set -e
		echo 1 >> b.txt; git commit -qam 'lost again'; git reset -q --hard HEAD~1
		git commit -q --amend -m 'the base, amended'
		echo 2 >> b.txt; git commit -qam 'on top'`)
	f.giveBack(s)
	meta, err := os.ReadFile(filepath.Join(s.dir, workspace.MetaFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"lost again", "was amended"} {
		if !strings.Contains(string(meta), words) {
			t.Errorf("%q is not named:\n%s", words, meta)
		}
	}
	f.git("-C", f.repo, "fetch", "-q", filepath.Join(s.dir, workspace.BundleFile), "refs/*:refs/inside/*")
	if log := f.git("-C", f.repo, "log", "--all", "--format=%s"); !strings.Contains(log, "lost again") || !strings.Contains(log, "the base, amended") {
		t.Errorf("the bundle has\n%s", log)
	}
	if f.read("b.txt") != "b4\n2\n" {
		t.Errorf("b.txt is %q", f.read("b.txt"))
	}
}

func TestABranchOfHistoryInsideDoesNotComeBackAsMadeThere(t *testing.T) {
	f := newFixture(t)
	f.past()
	s := f.open(OpenOptions{History: "full"})
	f.run(s, "git checkout -q -b old HEAD~3 && git tag mine && git checkout -q -")
	r := f.giveBack(s)
	if len(r.Files) > 0 || f.read("b.txt") != "b4\n" || f.read("a.txt") != "uncommitted\n" {
		t.Errorf("came back: %+v", r)
	}
}

func TestAHistoryThatCannotGoUpIsSaidAndTheTreeGoesUp(t *testing.T) {
	f := newFixture(t)
	f.past()
	f.write("large", f.noise(3<<20)) // in the past only
	f.git("-C", f.repo, "add", "large")
	f.git("-C", f.repo, "-c", "user.name=P", "-c", "user.email=p@example.com", "commit", "-qm", "large")
	f.git("-C", f.repo, "rm", "-q", "-f", "large")
	s := f.open(OpenOptions{History: "full", BundleMaxBytes: 1 << 20})
	w := s.Info().Warnings
	if len(w) != 1 || !strings.Contains(w[0], "history: full") || !strings.Contains(w[0], "1 MiB") {
		t.Errorf("warnings: %q", w)
	}
	if got := f.output(s, "git rev-list --count HEAD; cat a.txt"); got != "1\nuncommitted" {
		t.Errorf("got %q", got)
	}
	f.run(s, "echo inside > b.txt && git commit -qam inside")
	f.giveBack(s)
	if f.read("b.txt") != "inside\n" {
		t.Errorf("came back: %q", f.read("b.txt"))
	}
}

func TestATreeOverTheLargestUploadIsRefusedWithWhatToDo(t *testing.T) {
	f := newFixture(t)
	f.write("noise", f.noise(1<<21))
	_, err := f.m.Open(context.Background(), OpenOptions{Folder: f.repo, UploadMaxBytes: 1 << 20}, nil)
	var e *Error
	if !errors.As(err, &e) || e.Kind != "tooLarge" {
		t.Fatalf("got %v", err)
	}
	for _, words := range []string{"1 MiB", "upload_max_mb", `"noise" (2.0 MiB)`} {
		if !strings.Contains(e.Error(), words) {
			t.Errorf("%q is not in %q", words, e.Error())
		}
	}
	if !strings.Contains(e.Hint, "exclude") {
		t.Errorf("the hint is %q", e.Hint)
	}
	left, err := os.ReadDir(filepath.Join(f.home, "sessions"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	// What leaves the file out makes it go.
	f.open(OpenOptions{UploadMaxBytes: 1 << 20, Exclude: []string{"noise"}})
}

func TestU7_ATreeOverTheBundlesLimitGoesUpWholeAndThatIsSaid(t *testing.T) {
	f := newFixture(t)
	f.write("noise", f.noise(1<<21))
	s := f.open(OpenOptions{BundleMaxBytes: 1 << 20})
	if w := s.Info().Warnings; len(w) != 1 || !strings.Contains(w[0], "bundle_max_mb") {
		t.Errorf("warnings: %q", w)
	}
	if got := f.output(s, "wc -c < noise"); got != "2097152" {
		t.Errorf("got %q", got)
	}
}

func TestAHistoryOfAnUnknownMeasureIsABadParameter(t *testing.T) {
	f := newFixture(t)
	for _, h := range []string{"shallow", "shallow:0", "shallow:-1", "shallow:x", "all", "shallow:99999999999999999999"} {
		_, err := f.m.Open(context.Background(), OpenOptions{Folder: f.repo, History: h}, nil)
		var e *Error
		if !errors.As(err, &e) || e.Kind != "invalidParams" || !strings.Contains(e.Error(), "shallow:N") {
			t.Errorf("%s: got %v", h, err)
		}
	}
}

// noise is text that does not compress.
func (f *fixture) noise(n int) string {
	out := make([]byte, 0, n)
	for x := uint32(1); len(out) < n; {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		out = append(out, byte(x>>11))
	}
	return string(out)
}

func TestF21_ATreeInMotionNeverBreaksACheckpoint(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	// Each content is one letter, so that a torn one would show.
	f.run(s, `(i=0; while [ $i -lt 3000 ]; do
		for c in x y; do head -c $((i % 7 * 9000)) /dev/zero | tr '\0' $c > moving; mv moving moved 2>/dev/null; : > truncated; echo $c$c$c > truncated; done
		i=$((i+1)); done) >/dev/null 2>&1 & echo calm > still`)
	for range 8 {
		if _, err := s.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
		got := f.theirs(s)
		if got["still"] != "calm\n" {
			t.Errorf("still is %q", got["still"])
		}
		if moved := got["moved"]; moved != "" && strings.Trim(moved, moved[:1]) != "" {
			t.Errorf("a torn file was captured, %d bytes", len(moved))
		}
		if cut := got["truncated"]; cut != "" && cut != "xxx\n" && cut != "yyy\n" {
			t.Errorf("truncated is %q", cut)
		}
	}
}

// theirs is the sandbox's tree as the last checkpoint has it.
func (f *fixture) theirs(s *Session) map[string]string {
	f.Helper()
	ctx := context.Background()
	entries, err := s.store.Repo.ReadTree(ctx, s.snapshotState().Theirs)
	if err != nil {
		f.Fatal(err)
	}
	blobs, err := s.store.Repo.Blobs(ctx)
	if err != nil {
		f.Fatal(err)
	}
	defer blobs.Close()
	out := map[string]string{}
	for _, e := range entries {
		b, err := blobs.Get(e.Hash, -1)
		if err != nil {
			f.Fatal(err)
		}
		out[e.Path] = string(b)
	}
	return out
}

func TestW8_WhatBecameOfFilesOfLFSIsSaid(t *testing.T) {
	f := newFixture(t)
	f.write(".gitattributes", "*.psd filter=lfs diff=lfs merge=lfs -text\n")
	f.write("here.psd", "\x00content")
	f.write("there.psd", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
	s := f.open(OpenOptions{})
	if w := strings.Join(s.Info().Warnings, "\n"); !strings.Contains(w, "(git lfs pull): there.psd") {
		t.Errorf("warnings: %q", w)
	}
	f.run(s, "printf painted > here.psd")
	f.giveBack(s)
	if w := strings.Join(s.Info().Warnings, "\n"); !strings.Contains(w, "came back as content") {
		t.Errorf("warnings: %q", w)
	}
	if f.read("here.psd") != "painted" {
		t.Errorf("came back as %q", f.read("here.psd"))
	}
}

func TestW4_X6_IncludedFilesTravelBothWaysAndSecretsNeither(t *testing.T) {
	f := newFixture(t)
	f.write(".gitignore", "*.local\nsecrets/\nbuild/\n")
	f.write("wanted.local", "wanted\n")
	f.write("other.local", "other\n")
	f.write(".env", "PASSWORD=1\n")
	f.write(".env.production", "PASSWORD=2\n")
	f.write("secrets/key.pem", "key\n")
	f.write("secrets/plain", "plain\n")
	f.write("kept.env", "tracked\n")
	f.git("-C", f.repo, "add", "-f", "kept.env")
	f.write("named/.env.test", "by name\n")
	f.write("out.txt", "excluded\n")
	s := f.open(OpenOptions{Include: []string{"/wanted.local", "secrets/", ".env.test"}, Exclude: []string{"out.txt"}})
	got := f.output(s, "ls -A . named secrets | tr '\\n' ' '")
	want := ".git .gitignore a.txt b.txt dir kept.env named secrets wanted.local named: .env.test secrets: plain"
	if got = strings.Join(strings.Fields(strings.TrimPrefix(got, ".:")), " "); got != want {
		t.Errorf("inside are\n%s, want\n%s", got, want)
	}
	skipped := map[string]bool{}
	for _, sk := range s.Info().Base.Skipped {
		skipped[sk.Path] = strings.HasPrefix(sk.Reason, "secret")
	}
	for _, secret := range []string{".env", ".env.production", "secrets/key.pem"} {
		if !skipped[secret] {
			t.Errorf("%s is not named: %v", secret, s.Info().Base.Skipped)
		}
	}
	f.run(s, "echo inside >> wanted.local; echo inside >> kept.env; echo new > other.local; mkdir -p build; echo b > build/b; echo mine > secrets/more; rm secrets/plain")
	f.giveBack(s)
	for name, text := range map[string]string{
		"wanted.local": "wanted\ninside\n", "kept.env": "tracked\ninside\n", "other.local": "other\n", ".env": "PASSWORD=1\n",
		"secrets/key.pem": "key\n", "secrets/more": "mine\n", "out.txt": "excluded\n",
	} {
		if got := f.read(name); got != text {
			t.Errorf("%s is %q, want %q", name, got, text)
		}
	}
	for _, gone := range []string{"build/b", "secrets/plain"} {
		if _, err := os.Lstat(filepath.Join(f.repo, gone)); err == nil {
			t.Errorf("%s is there", gone)
		}
	}
}

func TestF13_F15_CommandsStartInTheFolderThatWasOpenedAndCommitWithoutAnIdentity(t *testing.T) {
	f := newFixture(t)
	f.repo = filepath.Join(f.repo, "dir")
	s := f.open(OpenOptions{})
	if got := f.output(s, "ls; git rev-parse --show-prefix"); got != "c.bin\ndir/" {
		t.Errorf("commands start in a folder with %q", got)
	}
	f.run(s, "echo x > new && git add new && git commit -qm inside && test -z \"$(git status --porcelain)\"")
	f.giveBack(s)
	if f.read("new") != "x\n" {
		t.Errorf("new is %q", f.read("new"))
	}
}

func TestW7_F12_ChangesInASubmoduleComeBackByPath(t *testing.T) {
	f := newFixture(t)
	lib := filepath.Join(t.TempDir(), "lib")
	f.git("init", "-q", lib)
	f.git("-C", lib, "-c", "user.name=P", "-c", "user.email=p@example.com", "commit", "-q", "--allow-empty", "-m", "x")
	f.git("-C", f.repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", lib, "lib")
	f.write("lib/code.c", "one\n")
	s := f.open(OpenOptions{})
	f.run(s, "git status --porcelain | grep -q . && exit 1; echo two >> lib/code.c; echo new > lib/new.c; git add -A; git commit -qm inside")
	r := f.giveBack(s)
	if f.read("lib/code.c") != "one\ntwo\n" || f.read("lib/new.c") != "new\n" || len(r.Skipped)+len(r.Conflicts) > 0 {
		t.Errorf("came back: %+v", r)
	}
	if _, err := os.Stat(filepath.Join(f.repo, "lib/.git")); err != nil {
		t.Error(err)
	}
}

func TestT5_ASparseCheckoutThatIsNarrowedMidSessionDeletesNothingInside(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.git("-C", f.repo, "sparse-checkout", "set", "--no-cone", "/*", "!/dir/")
	if got := f.output(s, "ls dir"); got != "c.bin" {
		t.Errorf("inside is %q", got)
	}
	f.run(s, "echo changed > b.txt; echo changed > dir/c.bin")
	r := f.giveBack(s)
	if f.read("b.txt") != "changed\n" || len(r.Conflicts) != 1 || r.Conflicts[0].Path != "dir/c.bin" {
		t.Errorf("came back: %+v", r.Conflicts)
	}
}
