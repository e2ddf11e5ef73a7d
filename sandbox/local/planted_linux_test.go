package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glue-lsp/sandbox"
)

// reopen ends a sandbox and starts another over its tree, with the same spec.
func reopen(t *testing.T, o Options, box *running, change func(*sandbox.Spec)) sandbox.Sandbox {
	t.Helper()
	if err := box.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	spec := specOf(box)
	spec.Log = t.Logf
	change(&spec)
	again, err := New(o).Reopen(testContext(t), spec, box.State())
	if err != nil {
		t.Fatalf("reopen: %v", err)
	}
	t.Cleanup(func() {
		if err := again.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return again
}

// plantingHome is a HOME of which a sandbox is shown something in every folder that
// plant replaces.
func plantingHome(t *testing.T) (home string, environ []string) {
	t.Helper()
	// Not in /tmp: a sandbox has this HOME at its own place then.
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	place, err := os.MkdirTemp(here, ".planted-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(place) })
	home = filepath.Join(place, "user")
	for name, content := range map[string]string{
		".cache/pypoetry/virtualenvs/v/bin/tool": "#!/bin/sh\n", ".cache/tools/bin/tool": "#!/bin/sh\n", ".cache/jdks/17/bin/java": "", ".cache/ca.pem": "certificate",
		".local/bin/tool": "#!/bin/sh\n", ".cargo/bin/cargo": "#!/bin/sh\n", ".cargo/env": "", ".cargo/config.toml": "[build]\n", ".config/pip/pip.conf": "",
		".pyenv/shims/x": "",
	} {
		put(t, filepath.Join(home, name), content)
	}
	return home, []string{
		"HOME=" + home, "PATH=" + home + "/.cache/tools/bin:" + home + "/.local/bin:/usr/bin:/bin", "JAVA_HOME=" + home + "/.cache/jdks/17",
		"SSL_CERT_FILE=" + home + "/.cache/ca.pem",
	}
}

// plant puts links, by each way on which a launcher may still see the host, in place of
// every folder in which something is mounted.
func plant(victim string) string {
	var lines []string
	for i, dir := range []string{".cache/pypoetry", ".cache/tools", ".cache/jdks", ".cargo", ".local", ".config", ".pyenv", ".m2", "proj"} {
		target := []string{"/oldroot" + victim, victim}[i%2]
		lines = append(lines, fmt.Sprintf(`mv ~/%[1]s ~/%[1]s.aside 2>/dev/null; ln -sn %[2]s ~/%[1]s`, dir, target))
	}
	return strings.Join(append(lines, "ln -s /oldroot"+victim+" ~/.cache/ca.pem; ln -s /oldroot"+victim+" /tmp/user; true"), "\n")
}

func TestX6_NoMountPointIsMadeThroughWhatCommandsLeft(t *testing.T) {
	home, environ := plantingHome(t)
	caches, victim := t.TempDir(), filepath.Join(home, "victim")
	put(t, filepath.Join(victim, "theirs"), "theirs")
	before := listing(t, home)
	o := Options{Isolation: Bubblewrap, Environ: environ}
	for _, root := range []string{filepath.Join(home, "proj"), filepath.Join(home, ".cache", "proj"), filepath.Join(home, ".cache")} {
		with := func(s *sandbox.Spec) { s.CacheDir, s.HostRoot = caches, root }
		unharmed := func(when string) {
			t.Helper()
			if after := listing(t, home); !slices.Equal(before, after) {
				t.Errorf("%s the host has %q, had %q", when, after, before)
			}
		}
		first := open(t, o, with)
		sh(t, first, plant(victim))
		again := reopen(t, o, first, with)
		unharmed("after a reopen")
		if out := sh(t, again, "~/.local/bin/tool && cat ~/.cargo/config.toml"); out != "[build]\n" {
			t.Errorf("reopened, the tools give %q", out)
		}
		next := open(t, o, with)
		unharmed("after the next open")
		sh(t, next, "test -L ~/.cache/pypoetry && ~/.local/bin/tool") // what was planted is there
	}
}

func TestX6_AFileInTheCachesStopsNoLaterSession(t *testing.T) {
	_, environ := plantingHome(t)
	caches := t.TempDir()
	with := func(s *sandbox.Spec) { s.CacheDir = caches }
	for _, isolation := range isolations {
		o := Options{Isolation: isolation, Environ: environ}
		first := open(t, o, with)
		sh(t, first, "cd ~/.cache && { mv pypoetry p; mv tools t; touch pypoetry tools proj; mkdir ca.pem; } 2>/dev/null; test -f tools")
		sh(t, reopen(t, o, first, with), "true")
		sh(t, open(t, o, with), "test -f ~/.cache/pypoetry")
	}
}

func TestF28_ATreeIsReopenedWherePATHNamesItsVirtualEnvironment(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			home, environ := plantingHome(t)
			root := filepath.Join(home, "proj")
			put(t, filepath.Join(root, ".venv", "bin", "tool"), "#!/bin/sh\necho host\n")
			o := Options{Isolation: isolation, Environ: append(environ, "PATH="+root+"/.venv/bin:/usr/bin:/bin")}
			with := func(s *sandbox.Spec) { s.HostRoot = root }
			first := open(t, o, with)
			sh(t, first, "mkdir -p .venv/bin && printf '#!/bin/sh\\necho inside\\n' > .venv/bin/tool && chmod +x .venv/bin/tool && touch ~/mine /tmp/mine 2>/dev/null; true")
			again := reopen(t, o, first, with)
			want := "inside\n"
			if isolation != Bubblewrap { // where the host's path is the host's
				want = "host\n"
			}
			if out := sh(t, again, "tool"); out != want {
				t.Errorf("PATH leads to %q, want %q", out, want)
			}
			if out := sh(t, again, "ls ~/mine 2>/dev/null; .venv/bin/tool"); out != "inside\n" {
				t.Errorf("got %q", out)
			}
		})
	}
}

func TestF30_ASecondAttemptWithoutOverlaysMeetsTheFirstOnesLinks(t *testing.T) {
	for _, base := range []string{"home", "/tmp"} {
		r := New(Options{Isolation: Bubblewrap, Home: t.TempDir()})
		home, environ := plantingHome(t)
		root := filepath.Join(home, "proj")
		if base == "/tmp" {
			root = filepath.Join(base, "glue-none", "proj")
		}
		p := planIn(t, r, environ, func(s *sandbox.Spec) { s.HostRoot = root })
		for range 2 { // the launcher runs as a whole, its agent is lost
			_, proc, err := p.launch()
			if err != nil {
				t.Fatal(err)
			}
			listens := func() bool { _, err := os.Lstat(p.dirs.socket()); return err == nil }
			until(t, "the launcher comes to an end", func() bool {
				select {
				case <-proc.gone:
					return true
				default:
					return listens()
				}
			})
			if !listens() {
				t.Fatalf("%s: no agent%s", base, p.complaint())
			}
			proc.kill()
			if err := os.Remove(p.dirs.socket()); err != nil {
				t.Fatal(err)
			}
		}
	}
}
