package session

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glue-lsp/internal/gittest"
	"glue-lsp/internal/modaltest"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/modal"
)

// onModal gives a fixture the emulator of Modal. change may change the runtime's settings.
func (f *fixture) onModal(change func(*modal.Options)) *modal.Runtime {
	f.Helper()
	f.manager()
	o := modal.Options{
		Home: f.home, Python: modaltest.Python(f), App: "tests", DeleteOnClose: true, Transport: "agent", Timeout: 10 * time.Minute,
		Environ: append(os.Environ(), modaltest.Shared(f).Environ()...), Log: f.Logf,
	}
	if change != nil {
		change(&o)
	}
	rt := modal.New(o)
	f.m.o.Runtimes = map[string]sandbox.Runtime{"local": rt}
	m := f.m
	f.Cleanup(func() {
		// Before the runtime ends; the fixture's own call has nothing left to do then.
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := m.Shutdown(ctx); err != nil {
			f.Errorf("shutdown: %v", err)
		}
		if err := rt.Close(ctx); err != nil {
			f.Errorf("ending the sidecar: %v", err)
		}
	})
	return rt
}

// inModal compares the tree in a sandbox with the editor's.
func (f *fixture) inModal(s *Session) {
	f.Helper()
	script := `cd "$1" && find . -path ./.git -prune -o ! -type d -print0 | sort -z | while IFS= read -r -d '' each; do
if [ -L "$each" ]; then printf '%s -> %s\n' "$each" "$(readlink "$each")"; else printf '%s %s %s\n' "$(test -x "$each" && echo x)" "$(sha256sum <"$each")" "$each"; fi; done`
	listed, err := exec.Command("bash", "-c", script, "bash", f.repo).Output()
	if err != nil {
		f.Fatal(err)
	}
	want := string(listed)
	got := string(f.run(s, "set -- /workspace; "+script).Stdout)
	if got != want {
		f.Errorf("the tree inside is\n%.3000s\nthe editor's is\n%.3000s", got, want)
	}
	status := f.output(s, "git status --porcelain; git rev-list --count --all; git remote; git config user.email; git fsck --full; git rev-parse --is-shallow-repository")
	if status != "1\nsandbox@glue.invalid\nfalse" {
		f.Errorf("git inside says %q", status)
	}
}

// eachTransport runs a test by the agent and without one.
func eachTransport(t *testing.T, test func(f *fixture, use func(*modal.Options))) {
	for _, transport := range []string{"agent", "direct"} {
		t.Run(transport, func(t *testing.T) {
			test(newFixture(t), func(o *modal.Options) { o.Transport = transport })
		})
	}
}

func TestL5_W1_ATreeGoesToModalAsABundleThatStaysAndTheImageIsRecorded(t *testing.T) {
	eachTransport(t, bundleToModal)
}

func bundleToModal(f *fixture, use func(*modal.Options)) {
	t := f.T
	f.write("a.txt", "uncommitted\r\n")
	f.write("untracked \xff.bin", noise(1, mebi))
	f.onModal(use)
	s := f.open(OpenOptions{})
	f.inModal(s)
	info := s.Info()
	if info.Bootstrap.Strategy != "bundle" || info.Bootstrap.Bytes < mebi || info.Bootstrap.Took <= 0 || len(info.Warnings) > 0 {
		t.Errorf("it went up by %+v, warnings %q", info.Bootstrap, info.Warnings)
	}
	if !strings.HasPrefix(info.Image, "im-") {
		t.Errorf("L5: the image is not recorded: %q", info.Image)
	}
	got := f.output(s, "cd /tmp && stat -c %s glue-bootstrap.bundle && git clone -q glue-bootstrap.bundle taken && cat taken/a.txt")
	if want := "\nuncommitted"; !strings.HasSuffix(got, want) {
		t.Errorf("the bundle gives %q", got)
	}
	f.run(s, "echo inside >made.txt")
	f.giveBack(s)
	if f.read("made.txt") != "inside\n" {
		t.Error("nothing came back")
	}
}

func TestT4_W3_ATreeOverTheCapIsClonedInModalAndTheRestLiesOverIt(t *testing.T) {
	eachTransport(t, cloneInModal)
}

func cloneInModal(f *fixture, use func(*modal.Options)) {
	t := f.T
	server := f.largeTree(gittest.Options{})
	f.onModal(use)
	s := f.open(OpenOptions{BundleMaxBytes: mebi})
	f.inModal(s)
	if b := s.Info().Bootstrap; b.Strategy != "clone" || b.Bytes > 200<<10 || server.Requests() == 0 {
		t.Errorf("it went up by %+v, with %d requests to the remote; warnings %q", b, server.Requests(), s.Info().Warnings)
	}
	if got := f.output(s, "test -s /tmp/glue-bootstrap.bundle && echo there"); got != "there" {
		t.Error("what lies over the clone is not where bundles are")
	}
}

func TestA5_WhereARemoteRefusesModalTheWholeTreeGoesUp(t *testing.T) {
	eachTransport(t, wholeToModal)
}

func wholeToModal(f *fixture, use func(*modal.Options)) {
	t := f.T
	server := f.largeTree(gittest.Options{Login: true})
	f.onModal(use)
	s := f.open(OpenOptions{BundleMaxBytes: mebi})
	f.inModal(s)
	w := strings.Join(s.Info().Warnings, "\n")
	if b := s.Info().Bootstrap; b.Strategy != "bundle" || !strings.HasPrefix(w, "fetching from "+server.URL) || !strings.Contains(w, "could not read Username") {
		t.Errorf("it went up by %+v, warnings %q", b, w)
	}
}

func TestF30_L5_WhatSetupMadeInModalIsKeptAsASnapshot(t *testing.T) {
	eachTransport(t, snapshotInModal)
}

func snapshotInModal(f *fixture, use func(*modal.Options)) {
	t := f.T
	f.write(".gitignore", "deps/\n")
	f.write("package-lock.json", "1\n")
	f.commit("with a lock file")
	rt := f.onModal(func(o *modal.Options) {
		use(o)
		o.Env = map[string]string{"HANDED_IN": "sesame"}
	})
	// Outside the tree too, and counted where it was made.
	o := OpenOptions{Setup: []string{"echo ran >>/opt/runs; mkdir -p deps; cp package-lock.json deps/made"}}
	s := f.open(o)
	if got := f.output(s, "cat deps/made /opt/runs"); got != "1\nran" {
		t.Fatalf("the first session has %q", got)
	}
	f.run(s, "echo of the first session >left.txt")
	first := s.Info().Image
	f.end(s)
	f.write("a.txt", "edited since\n")
	s = f.open(o)
	if got := f.output(s, "cat deps/made /opt/runs a.txt; git status --porcelain; ls; ls -d /workspace*"); got != "1\nran\nedited since\na.txt\nb.txt\ndeps\ndir\npackage-lock.json\n/workspace" {
		t.Errorf("the second session has %q", got)
	}
	if image := s.Info().Image; image == first || image == "" {
		t.Errorf("L5: the image of both sessions is %q", image)
	}
	f.end(s)
	// Somebody deleted the snapshot.
	kept := filepath.Join(f.home, "cache", cacheName(f.repo), keptFile)
	if err := os.WriteFile(kept, []byte(strings.Replace(f.kept(kept), "im-", "im-0", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s = f.open(o)
	if w := strings.Join(s.Info().Warnings, "\n"); !strings.Contains(w, "cannot be used any more") {
		t.Errorf("the warnings are %q", w)
	}
	if got := f.output(s, "cat deps/made /opt/runs"); got != "1\nran" {
		t.Errorf("the third session has %q", got)
	}
	if strings.Contains(f.kept(kept)+rt.ImageKey()[:0], "sesame") {
		t.Error("what was noted of the snapshot holds a value of the environment")
	}
}

func TestF30_T4_WhatSetupMadeInModalIsThereUnderATreeThatIsCloned(t *testing.T) {
	eachTransport(t, snapshotUnderAClone)
}

func snapshotUnderAClone(f *fixture, use func(*modal.Options)) {
	t := f.T
	server := f.largeTree(gittest.Options{})
	f.write(".gitignore", "deps/\n")
	f.write("gone.txt", "of the first session\n")
	f.onModal(use)
	o := OpenOptions{BundleMaxBytes: mebi, Setup: []string{"echo ran >>/opt/runs; mkdir -p deps; echo made >deps/made"}}
	s := f.open(o)
	f.run(s, "echo of the first session >left.txt")
	f.end(s)
	if err := os.Remove(filepath.Join(f.repo, "gone.txt")); err != nil {
		t.Fatal(err)
	}
	before := server.Requests()
	s = f.open(o)
	if b := s.Info().Bootstrap; b.Strategy != "clone" || server.Requests() == before {
		t.Errorf("it went up by %+v; warnings %q", b, s.Info().Warnings)
	}
	if got := f.output(s, "cat deps/made /opt/runs; ls gone.txt left.txt 2>/dev/null; rm -r deps"); got != "made\nran" {
		t.Errorf("the second session has %q", got)
	}
	f.inModal(s)
}

func TestF19_F30_WhatSetupMadeIsKeptInAnImageWithoutGitToo(t *testing.T) {
	f := newFixture(t)
	f.write(".gitignore", "deps/\n")
	f.write("gone.txt", "of the first session\n")
	f.onModal(func(o *modal.Options) { o.Transport, o.Image = "direct", "registry/glue-without-git" })
	o := OpenOptions{Setup: []string{"echo ran >>/opt/runs; mkdir -p deps; echo made >deps/made"}}
	s := f.open(o)
	f.run(s, "true")
	f.end(s)
	if err := os.Remove(filepath.Join(f.repo, "gone.txt")); err != nil {
		t.Fatal(err)
	}
	f.write("a.txt", "edited since\n")
	s = f.open(o)
	if got := f.output(s, "cat deps/made /opt/runs a.txt; ls gone.txt 2>/dev/null; ls /tmp/glue-bootstrap.* 2>/dev/null; ls -d /workspace*"); got != "made\nran\nedited since\n/workspace" {
		t.Errorf("the second session has %q", got)
	}
	if got := f.giveBack(s); len(got.Files) > 0 {
		t.Errorf("what was kept comes back as a change: %+v", got.Files)
	}
}

func (f *fixture) kept(file string) string {
	f.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		f.Fatal(err)
	}
	return string(b)
}

func TestF14_ARepositoryThatAnImageInModalHoldsIsNotTakenForOurs(t *testing.T) {
	f := newFixture(t)
	rt := f.onModal(nil)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	sb, err := rt.Open(ctx, sandbox.Spec{Session: "image", Dir: t.TempDir(), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	made, err := sb.Start(ctx, sandbox.ExecRequest{Argv: []string{"sh", "-c", `cd /workspace && git init -q && git remote add origin https://user:sesame@example.com/x &&
git config core.hooksPath /tmp/hooks && echo theirs >a.txt && echo theirs >theirs.txt && git add . && git -c user.name=T -c user.email=t@example.com commit -qm theirs`}})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := made.Wait(ctx, nil); err != nil || r.ExitCode != 0 {
		t.Fatalf("%+v %v", r, err)
	}
	image, err := sb.(sandbox.Keeper).Keep(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := sb.Close(ctx); err != nil {
		t.Fatal(err)
	}
	f.onModal(func(o *modal.Options) { o.Image = image })
	s := f.open(OpenOptions{})
	f.inModal(s)
	if got := f.output(s, "git config core.hooksPath; git log --format=%s"); got != "Tree as the editor shows it" {
		t.Errorf("git inside says %q", got)
	}
	if s.Info().Image != image {
		t.Errorf("L5: the image is %q, not %q", s.Info().Image, image)
	}
}

func TestF19_ImagesInModalWithoutAptGitOrShellWorkOrSayWhatIsMissing(t *testing.T) {
	for image, says := range map[string]string{
		"alpine:3.20":                     "",
		"gcr.io/distroless/static:latest": "git could not be added",
	} {
		t.Run(image, func(t *testing.T) {
			f := newFixture(t)
			f.write("a.txt", "uncommitted\n")
			f.onModal(func(o *modal.Options) { o.Image, o.Transport = image, "auto" })
			s, err := f.m.Open(context.Background(), OpenOptions{Folder: f.repo}, nil)
			if err != nil {
				// What is missing is said.
				if !strings.Contains(err.Error(), "shell") {
					t.Fatal(err)
				}
				return
			}
			if w := strings.Join(s.Info().Warnings, "\n"); !strings.Contains(w, says) {
				t.Errorf("the warnings are %q", w)
			}
			e, err := s.Start(context.Background(), ExecOptions{Argv: []string{"cat", "a.txt"}, Sync: true})
			if err != nil {
				t.Fatal(err)
			}
			if out, err := e.Wait(context.Background()); err != nil || string(out.Stdout) != "uncommitted\n" {
				t.Errorf("%q %v", out.Stdout, err)
			}
		})
	}
}

func TestAnImageThatModalCannotBuildIsSaidWithWhatWasPrintedLast(t *testing.T) {
	f := newFixture(t)
	f.onModal(func(o *modal.Options) { o.Image = "this-image-does-not-build:1" })
	_, err := f.m.Open(context.Background(), OpenOptions{Folder: f.repo}, nil)
	if err == nil || !strings.Contains(err.Error(), "Unable to locate package") {
		t.Fatalf("got %v", err)
	}
	if list, _ := os.ReadDir(filepath.Join(f.home, "sessions")); len(list) > 0 {
		t.Errorf("a session is left: %v", list)
	}
}

func TestU4_WithoutAnAgentTooFilesThatStayInsideAreKeptAsAnImage(t *testing.T) {
	f := newFixture(t)
	f.onModal(func(o *modal.Options) { o.Transport = "direct" })
	s := f.open(OpenOptions{})
	f.run(s, "truncate -s 2G hole.bin; echo small >small.txt")
	f.end(s)
	if told := strings.Join(s.Info().Warnings, "\n"); !strings.Contains(told, "hole.bin; all its files are kept in Modal as image im-") {
		t.Errorf("told %q", told)
	}
	if st, err := readState(s.Dir()); err != nil || st.Stays || st.Running {
		t.Errorf("on disk: %+v %v", st, err)
	}
}
