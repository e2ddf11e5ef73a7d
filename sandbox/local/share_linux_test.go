package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/sandbox"
)

// lend makes a spec lend folders of a host's root.
func lend(root string, paths ...string) func(*sandbox.Spec) {
	return func(s *sandbox.Spec) {
		s.HostRoot = root
		s.Lend = func(context.Context) ([]string, error) { return paths, nil }
	}
}

// dependencies lays a folder of dependencies as package managers do.
func dependencies(t *testing.T) (root string) {
	t.Helper()
	root = filepath.Join(t.TempDir(), "proj")
	put(t, filepath.Join(root, "node_modules", "dep", "index.js"), "original\n")
	put(t, filepath.Join(root, "node_modules", "dep", "other.js"), "other\n")
	put(t, filepath.Join(root, "node_modules", "old", "x"), "x\n")
	if err := os.Symlink("../dep/index.js", filepath.Join(root, "node_modules", "old", "link")); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(root, "packages", "a", "node_modules", "nested"), "nested\n")
	return root
}

// spoil is everything that a command can do to what it was lent.
const spoil = `cd node_modules &&
cat dep/index.js old/link packages 2>/dev/null
echo changed > dep/index.js && echo more >> dep/other.js && rm old/x && mv old gone && mkdir fresh && echo new > fresh/f &&
chmod 000 dep/other.js && ln dep/index.js dep/hard && echo through > dep/hard && ln -s /etc/hostname out && touch -d @1 dep &&
rm -r gone && : > gone && cd .. && echo changed > packages/a/node_modules/nested && cat node_modules/dep/index.js packages/a/node_modules/nested`

func TestF30_WhatACommandDoesToLentFoldersNeverReachesTheHost(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			root := dependencies(t)
			before := listing(t, root)
			box := open(t, Options{Isolation: isolation}, lend(root, "node_modules", "packages/a/node_modules"))
			for _, l := range box.Info().Lent {
				if l.How == "" || l.Problem != "" || (isolation == Bubblewrap) != (l.How == sandbox.LentOverlay) {
					t.Errorf("lent as %+v", l)
				}
			}
			if out, errs, status := run(t, box, sandbox.ExecRequest{Command: spoil}); status != 0 || out != "original\noriginal\nthrough\nchanged\n" {
				t.Errorf("status %d: %q %s", status, out, errs)
			}
			if diff := cmp.Diff(before, listing(t, root)); diff != "" {
				t.Errorf("the host's files changed:\n%s", diff)
			}
			if _, _, status := run(t, box, sandbox.ExecRequest{Command: "rm -rf node_modules/* node_modules/.[!.]*; ls -A node_modules | grep -q ."}); status == 0 {
				t.Error("what was lent cannot be emptied")
			}
			if diff := cmp.Diff(before, listing(t, root)); diff != "" {
				t.Errorf("the host's files changed:\n%s", diff)
			}
			// Everything that it wrote can be removed by whoever removes the session.
			if err := box.Close(testContext(t)); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Dir(box.tree(t))); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(before, listing(t, root)); diff != "" {
				t.Errorf("removing the session changed the host's files:\n%s", diff)
			}
		})
	}
}

func TestF30_OverlaysWorkWithoutTheRightsOfRoot(t *testing.T) {
	root := dependencies(t)
	before := listing(t, root)
	r := New(Options{Isolation: Bubblewrap, Home: t.TempDir()})
	p := planFor(t, r, lend(root, "node_modules", "packages/a/node_modules"))
	p.ownUsers = true
	box, err := p.startLending(testContext(t), &r.lends)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close(context.Background()) })
	for _, l := range box.Info().Lent {
		if l.How != sandbox.LentOverlay {
			t.Errorf("lent as %+v", l)
		}
	}
	if out, errs, status := run(t, box, sandbox.ExecRequest{Command: spoil}); status != 0 || out != "original\noriginal\nthrough\nchanged\n" {
		t.Errorf("status %d: %q %s", status, out, errs)
	}
	if out := sh(t, box, "grep -E '^Cap(Eff|Prm|Amb)' /proc/self/status | grep -v 0000000000000000; true"); out != "" {
		t.Errorf("commands have capabilities: %s", out)
	}
	if diff := cmp.Diff(before, listing(t, root)); diff != "" {
		t.Errorf("the host's files changed:\n%s", diff)
	}
}

func TestF30_AFolderThatNoOverlayTakesIsCopied(t *testing.T) {
	root := dependencies(t)
	r := New(Options{Isolation: Bubblewrap, Home: t.TempDir()})
	p := planFor(t, r, lend(root, "node_modules", "packages/a/node_modules"))
	breakOverlay(t, p, 0)
	box, err := p.startLending(testContext(t), &r.lends)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close(context.Background()) })
	var how []string
	for _, l := range box.Info().Lent {
		how = append(how, l.How)
	}
	if how[0] == sandbox.LentOverlay || how[0] == "" || how[1] != sandbox.LentOverlay {
		t.Errorf("lent as %q", how)
	}
	if out, errs, status := run(t, box, sandbox.ExecRequest{Command: spoil}); status != 0 {
		t.Errorf("status %d: %q %s", status, out, errs)
	}
	if r.lends.refused() != "" {
		t.Error("one folder that cannot be lent is taken for all")
	}
}

func TestF30_WhereTheKernelRefusesOverlaysTheNextSandboxDoesNotTryAgain(t *testing.T) {
	root := dependencies(t)
	r := New(Options{Isolation: Bubblewrap, Home: t.TempDir()})
	p := planFor(t, r, lend(root, "node_modules", "packages/a/node_modules"))
	for _, i := range p.byOverlay() {
		breakOverlay(t, p, i)
	}
	box, err := p.startLending(testContext(t), &r.lends)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close(context.Background()) })
	if out := sh(t, box, "cat node_modules/dep/index.js"); out != "original\n" || r.lends.refused() == "" {
		t.Errorf("got %q, remembered %q", out, r.lends.refused())
	}
}

func TestX12_LentFoldersAreNotReachedThroughLinks(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			base := t.TempDir()
			put(t, filepath.Join(base, "secret", "node_modules", "key"), "SECRET")
			root := filepath.Join(base, "proj")
			put(t, filepath.Join(root, "file"), "x")
			for name, target := range map[string]string{"node_modules": "../secret/node_modules", "pkg": "../secret"} {
				if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
					t.Fatal(err)
				}
			}
			box := open(t, Options{Isolation: isolation}, lend(root, "node_modules", "pkg/node_modules", "file", "absent", "../secret"))
			for _, l := range box.Info().Lent {
				if l.How != "" || l.Problem == "" {
					t.Errorf("lent as %+v", l)
				}
			}
			if out := sh(t, box, "grep -rs SECRET . ; true"); out != "" {
				t.Errorf("found %q", out)
			}
		})
	}
}

func TestF30_ACopyIsBoundedAndSaysWhatToDo(t *testing.T) {
	root := dependencies(t)
	at := filepath.Join(t.TempDir(), "at")
	room := int64(10)
	c := copier{from: root, room: &room, clone: func(_, _ *os.File) error { return errors.ErrUnsupported }}
	how, err := c.copy(testContext(t), loan{root: root, path: "node_modules", at: at})
	if how != "" || err == nil || !strings.Contains(err.Error(), "setup") {
		t.Errorf("got %q, %v", how, err)
	}
	if _, err := os.Stat(at); err == nil {
		t.Error("a part of it is left")
	}
}

func TestF30_ACopyByReferenceTakesNoRoom(t *testing.T) {
	root := dependencies(t)
	at, room, cloned := filepath.Join(t.TempDir(), "at"), int64(0), 0
	c := copier{from: root, room: &room, clone: func(dst, src *os.File) error {
		cloned++
		_, err := dst.ReadFrom(src)
		return err
	}}
	how, err := c.copy(testContext(t), loan{root: root, path: "node_modules", at: at})
	if how != sandbox.LentClone || err != nil || cloned != 4 { // three files, and the one that was tried
		t.Errorf("got %q, %v, %d", how, err, cloned)
	}
	if diff := cmp.Diff(listing(t, filepath.Join(root, "node_modules")), listing(t, at)); diff != "" {
		t.Error(diff)
	}
}

func TestF30_AnInterruptedCopyLeavesNothing(t *testing.T) {
	root := dependencies(t)
	ctx, cancel := context.WithCancel(testContext(t))
	at, room := filepath.Join(t.TempDir(), "at"), int64(1<<20)
	c := copier{from: root, room: &room, clone: func(_, _ *os.File) error { cancel(); return errors.ErrUnsupported }}
	if _, err := c.copy(ctx, loan{root: root, path: "node_modules", at: at}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(at); err == nil {
		t.Error("a part of it is left")
	}
}

func TestF30_AVirtualEnvironmentWorksWhereverItIs(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "proj")
			venv := filepath.Join(root, ".venv")
			put(t, filepath.Join(venv, "pyvenv.cfg"), "home = /usr/bin\ncommand = "+venv+"\n")
			put(t, filepath.Join(venv, "bin", "interpreter"), "#!/bin/sh\nshift\necho \"in $(cd \"$(dirname \"$0\")/..\" && pwd -P)\"\n")
			put(t, filepath.Join(venv, "bin", "tool"), "#!"+venv+"/bin/interpreter\n")
			put(t, filepath.Join(venv, "lib", "project.pth"), root+"/src\n"+root+"-other/src\n")
			box := open(t, Options{Isolation: isolation}, lend(root, ".venv"))
			inside := box.Info().Root
			if got, want := sh(t, box, ".venv/bin/tool"), "in "+inside+"/.venv\n"; got != want {
				t.Errorf("the tool runs %q, want %q", got, want)
			}
			if got := sh(t, box, `head -1 .venv/lib/project.pth | xargs dirname | xargs readlink -f; tail -1 .venv/lib/project.pth`); got != inside+"\n"+root+"-other/src\n" {
				t.Errorf("the project is imported from %q", got)
			}
		})
	}
}

func TestTheHostsPathLeadsToTheWorkspaceWhereItCan(t *testing.T) {
	home, environ := userHome(t, nil)
	for _, tt := range []struct {
		root string
		want bool
	}{
		{filepath.Join(home, "proj"), true},
		{"/srv/proj", true},
		{"/opt/proj", true},
		{"/tmp/proj", true},
		{"/dev/shm/proj", true},
		{home, false},
		{filepath.Dir(home), false},
		{"/", false},
		{"/usr", false},
		{"/opt", false},
		{"/home", false},
		{"/workspace", false},
		{"/workspace/proj", false},
		{"/proc/x", false},
		{"relative", false},
		{"/a/../b", false},
		{"", false},
	} {
		p := plan{spec: sandbox.Spec{HostRoot: tt.root}, environ: environ}
		if got := p.leadsToHostRoot(insideHome(environ)); got != tt.want {
			t.Errorf("%q: %v", tt.root, got)
		}
	}
}

func TestX6_AWorkspaceBelowAShownFolderIsSeenOnlyAsItWentUp(t *testing.T) {
	// PATH makes a folder outside of HOME visible, with what stands beside it.
	base := t.TempDir()
	if strings.HasPrefix(base, "/tmp") || strings.HasPrefix(base, "/dev") {
		base = filepath.Join("/opt", "glue-test-"+fmt.Sprint(os.Getpid()))
		if err := os.MkdirAll(base, 0o755); err != nil {
			t.Skipf("only root can lay a workspace below a shown folder: %v", err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(base) })
	}
	root := filepath.Join(base, "proj")
	put(t, filepath.Join(root, ".env"), "SECRET")
	put(t, filepath.Join(root, "bin", "tool"), "#!/bin/sh\necho host's\n")
	box := open(t, Options{Isolation: Bubblewrap, Environ: []string{"HOME=" + t.TempDir(), "PATH=" + root + "/bin:/usr/bin:/bin"}}, lend(root))
	put(t, filepath.Join(box.tree(t), "bin", "tool"), "#!/bin/sh\necho sandbox\\'s\n")
	if out := sh(t, box, "cat "+root+"/.env 2>/dev/null; tool"); out != "sandbox's\n" {
		t.Errorf("got %q", out)
	}
}

// planFor is a runtime's plan, up to its start.
func planFor(t *testing.T, r *Runtime, change func(*sandbox.Spec)) *plan {
	t.Helper()
	home, environ := userHome(t, nil)
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	return planIn(t, r, environ, change)
}

// planIn is planFor in an environment.
func planIn(t *testing.T, r *Runtime, environ []string, change func(*sandbox.Spec)) *plan {
	t.Helper()
	base := t.TempDir()
	spec := sandbox.Spec{Session: "s1", Dir: filepath.Join(base, "s"), TreeDir: filepath.Join(base, "t"), Log: t.Logf}
	change(&spec)
	choice, err := r.choose(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	d, err := makeDirs(spec.TreeDir)
	if err != nil {
		t.Fatal(err)
	}
	agentPath, err := r.agentPath()
	if err != nil {
		t.Fatal(err)
	}
	p := &plan{spec: spec, dirs: d, agentPath: agentPath, environ: environ, isolation: choice.isolation}
	if err := p.planLoans(testContext(t), true); err != nil {
		t.Fatal(err)
	}
	if err := p.bubblewrap(choice); err != nil {
		t.Fatal(err)
	}
	return p
}

// breakOverlay makes a loan's overlay one that cannot be mounted.
func breakOverlay(t *testing.T, p *plan, i int) {
	t.Helper()
	if err := os.Remove(p.overlay(i).Work); err != nil {
		t.Fatal(err)
	}
	put(t, p.overlay(i).Work, "a file in its place")
}

// listing says everything about the files of a folder that a command could change.
func listing(t *testing.T, root string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(name)
		if err != nil {
			return err
		}
		what := info.Mode().String()
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			what += " " + info.ModTime().String() + " " + string(b)
		case info.Mode()&os.ModeSymlink != 0:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			what += " -> " + target
		}
		rel, err := filepath.Rel(root, name)
		out = append(out, rel+" "+what)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}
