package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glue-lsp/sandbox"
)

func lendCaches(s *sandbox.Spec) { s.LendCaches = true }

func TestF30_DownloadsOfTheMachineAreReadAndNotWritten(t *testing.T) {
	home, environ := userHome(t, map[string]string{
		".cargo/registry/cache/x.crate": "crate", ".cargo/credentials.toml": "SECRET", ".m2/repository/j.jar": "jar", ".m2/settings.xml": "SECRET",
	})
	box := open(t, Options{Isolation: Bubblewrap, Environ: environ}, lendCaches)
	if out := sh(t, box, `cat ~/.cargo/registry/cache/x.crate ~/.m2/repository/j.jar; echo new > ~/.cargo/registry/cache/y; rm ~/.m2/repository/j.jar; cat ~/.m2/settings.xml ~/.cargo/credentials.toml 2>/dev/null; true`); out != "cratejar" {
		t.Errorf("got %q", out)
	}
	if _, err := os.Stat(filepath.Join(home, ".cargo/registry/cache/y")); err == nil {
		t.Error("the host's cache was written")
	}
	if _, err := os.Stat(filepath.Join(home, ".m2/repository/j.jar")); err != nil {
		t.Error("the host's cache was emptied")
	}
}

func TestF30_DownloadsLastWhereTheMachineHasNone(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			_, environ := userHome(t, map[string]string{"x": ""})
			caches := t.TempDir()
			with := func(s *sandbox.Spec) { s.CacheDir, s.LendCaches = caches, true }
			first := open(t, Options{Isolation: isolation, Environ: environ}, with)
			sh(t, first, "mkdir -p ~/.cargo/registry/cache ~/.m2/repository && echo kept > ~/.cargo/registry/cache/x")
			if err := first.Close(testContext(t)); err != nil {
				t.Fatal(err)
			}
			next := open(t, Options{Isolation: isolation, Environ: environ}, with)
			if out := sh(t, next, "cat ~/.cargo/registry/cache/x"); out != "kept\n" {
				t.Errorf("got %q", out)
			}
		})
	}
}

// linkedHome is a HOME in which one cache is behind a link, as people have who keep it on
// a larger disk.
func linkedHome(t *testing.T) (home string, environ []string) {
	t.Helper()
	home, environ = userHome(t, map[string]string{".m2/repository/j.jar": "jar", ".gradle/caches/c": "caches"})
	elsewhere := t.TempDir()
	put(t, filepath.Join(elsewhere, "registry", "x"), "crate")
	if err := os.Symlink(elsewhere, filepath.Join(home, ".cargo")); err != nil {
		t.Fatal(err)
	}
	return home, environ
}

func TestF30_ACacheBehindALinkTakesOverlaysFromNobody(t *testing.T) {
	_, environ := linkedHome(t)
	root := dependencies(t)
	r := New(Options{Isolation: Bubblewrap, Home: t.TempDir(), Environ: environ})
	base := t.TempDir()
	spec := sandbox.Spec{Session: "s1", Dir: filepath.Join(base, "s"), TreeDir: filepath.Join(base, "t"), LendCaches: true, Log: func(format string, args ...any) {
		t.Errorf("said: "+format, args...)
	}}
	lend(root, "node_modules")(&spec)
	box, err := r.Open(testContext(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close(testContext(t)) })
	if lent := box.Info().Lent; len(lent) != 1 || lent[0].How != sandbox.LentOverlay {
		t.Errorf("lent as %+v", lent)
	}
	if out := sh(t, box, "cat ~/.m2/repository/j.jar ~/.gradle/caches/c ~/.cargo/registry/x 2>/dev/null; true"); out != "jarcaches" {
		t.Errorf("got %q", out)
	}
	if why := r.lends.refused(); why != "" {
		t.Errorf("overlays are off: %s", why)
	}
}

func TestF30_AFolderThatGoesAwayBeforeItIsLentTakesOverlaysFromNobody(t *testing.T) {
	root := dependencies(t)
	r := New(Options{Isolation: Bubblewrap, Home: t.TempDir()})
	paths := []string{"node_modules", "packages/a/node_modules"}
	p := planFor(t, r, lend(root, paths...))
	for _, path := range paths {
		if err := os.Rename(filepath.Join(root, path), filepath.Join(root, path)+".old"); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(root, path)+".old", filepath.Join(root, path)); err != nil {
			t.Fatal(err)
		}
	}
	box, err := p.startLending(testContext(t), &r.lends)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close(testContext(t)) })
	for _, l := range box.Info().Lent {
		if l.How != "" || !strings.Contains(l.Problem, "link") {
			t.Errorf("lent as %+v", l)
		}
	}
	if why := r.lends.refused(); why != "" {
		t.Errorf("overlays are off: %s", why)
	}
}

func TestX6_WhoLendsNothingLendsNoCachesEither(t *testing.T) {
	goTool(t)
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			home, environ := userHome(t, map[string]string{".m2/repository/j.jar": "SECRET", ".cargo/registry/x": "SECRET", ".cargo/git/db/x": "SECRET"})
			put(t, filepath.Join(home, "go/pkg/mod/cache/download/example.com/private/@v/v1.0.0.zip"), "SECRET")
			box := open(t, Options{Isolation: isolation, Environ: append(environ, "GOPRIVATE=example.com")}, nil)
			if out := sh(t, box, `grep -rs SECRET ~/.m2 ~/.cargo ~/go /run/glue/gomod; echo "$GOPROXY"`); strings.Contains(out, "SECRET") || strings.Contains(out, "file:") {
				t.Errorf("got %q", out)
			}
		})
	}
}

func TestX10_RepositoriesOfCargoThatNameATokenAreNotLent(t *testing.T) {
	for name, tt := range map[string]struct {
		file, content string
		want          bool
	}{
		"public":             {"db/dep-1/FETCH_HEAD", "abc\t\t'HEAD' of https://github.com/o/dep", true},
		"by key":             {"db/dep-1/FETCH_HEAD", "abc\t\t'HEAD' of ssh://git@github.com/o/dep", true},
		"fetched by token":   {"db/dep-1/FETCH_HEAD", "abc\t\t'HEAD' of https://x:TOKEN@github.com/o/dep", false},
		"token as the user":  {"db/dep-1/FETCH_HEAD", "abc\t\t'HEAD' of https://TOKEN@github.com/o/dep", false},
		"configured":         {"db/dep-1/config", "[remote \"origin\"]\n\turl = https://git:TOKEN@github.com/o/dep\n", false},
		"in a working tree":  {"checkouts/dep-1/abc/.git/config", "[remote \"origin\"]\n\turl = https://x:TOKEN@github.com/o/dep\n", false},
		"of a source's text": {"checkouts/dep-1/abc/README.md", "https://user:password@example.com", true},
	} {
		t.Run(name, func(t *testing.T) {
			_, environ := userHome(t, map[string]string{".cargo/git/" + tt.file: tt.content})
			box := open(t, Options{Isolation: Bubblewrap, Environ: environ}, lendCaches)
			if _, _, status := run(t, box, sandbox.ExecRequest{Command: "test -e ~/.cargo/git/" + tt.file}); (status == 0) != tt.want {
				t.Errorf("status %d", status)
			}
		})
	}
}
