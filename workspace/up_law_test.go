package workspace

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"glue-lsp/internal/lawtest"
	"glue-lsp/internal/tree"
)

// fresh empties the host's folder and makes it a repository again.
func (h *host) fresh() {
	h.Helper()
	if err := os.RemoveAll(h.dir); err != nil {
		h.Fatal(err)
	}
	h.mkdir("")
	h.run("init", "-q", "-b", "main")
}

// addAll is the tree that plain git makes of some files of the folder, in a repository that
// knows nothing else.
func (h *host) addAll(paths []string) string {
	h.Helper()
	clean := filepath.Join(filepath.Dir(h.dir), "clean")
	if err := os.RemoveAll(clean); err != nil {
		h.Fatal(err)
	}
	if err := os.Mkdir(clean, 0o755); err != nil {
		h.Fatal(err)
	}
	h.runIn(clean, "init", "-q")
	for _, path := range paths {
		from, to := h.path(path), filepath.Join(clean, path)
		info, err := os.Lstat(from)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o755)
		}
		if err == nil && info.Mode()&os.ModeSymlink != 0 {
			var target string
			if target, err = os.Readlink(from); err == nil {
				err = os.Symlink(target, to)
			}
		} else if err == nil {
			var content []byte
			if content, err = os.ReadFile(from); err == nil {
				err = os.WriteFile(to, content, info.Mode().Perm())
			}
		}
		if err != nil {
			h.Fatal(err)
		}
	}
	h.runIn(clean, "add", "-A", "-f")
	return strings.TrimSpace(h.runIn(clean, "write-tree"))
}

// listed are the paths that a git command prints with -z.
func (h *host) listed(args ...string) []string {
	h.Helper()
	return strings.FieldsFunc(h.run(args...), func(r rune) bool { return r == 0 })
}

func TestLaw_ASnapshotOfAnyTreeIsWhatGitAddMakesOfIt(t *testing.T) {
	h := newHost(t)
	lawtest.Check(t, 60, 0, func(rt *rapid.T) {
		h.fresh()
		lawtest.Grow(rt, h.dir, 25)
		w, s := h.open(), h.store()
		snap := h.snap(w, s)
		out := skippedPaths(snap)
		for path, why := range out {
			if tree.CheckPath(path) == nil && why != tree.Secret {
				rt.Errorf("%q is left out: %s", path, why)
			}
		}
		var want []string
		for _, path := range lawtest.Read(t, h.dir).Paths() {
			if _, ok := out[path]; !ok {
				want = append(want, path)
			}
		}
		var got []string
		for _, e := range snap.Entries {
			got = append(got, e.Path)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("-on disk +in the snapshot\n%s", diff)
		}
		if id := h.addAll(want); id != snap.Tree {
			rt.Fatalf("the snapshot is tree %s, git makes %s", snap.Tree, id)
		}
		if again := h.snap(w, s); again.Tree != snap.Tree {
			rt.Fatalf("a second snapshot is another tree")
		}
	})
}

var (
	lawFolders  = []string{"", "d/", "d/e/", "out/", "out/deep/", "v/"}
	lawFiles    = []string{"a.txt", "b.log", "keep.log", "c.tmp", "x.o", "n ame", "Z"}
	lawPatterns = []string{
		"*.log", "!keep.log", "/a.txt", "out/", "out/*", "!out/deep/", "d/**", "**/x.o", "*.tmp", "n\\ ame", "n ame", "e", "/d/e", "v/*.o", "!a.txt", "[az].*", "Z", "# Z", "\\!x", "deep/",
	}
)

func lawRules(t *rapid.T, what string, most int) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(lawPatterns), 0, most).Draw(t, what), "\n") + "\n"
}

// TestLaw_WhatGoesUpIsWhatGitLists draws ignore rules on every level, files tracked all
// the same, sparse checkouts, and a person's own wishes, and asks git what that leaves.
func TestLaw_WhatGoesUpIsWhatGitLists(t *testing.T) {
	h := newHost(t)
	lawtest.Check(t, 60, 0, func(rt *rapid.T) {
		h.fresh()
		for _, dir := range lawFolders {
			for _, file := range lawFiles {
				if rapid.IntRange(0, 2).Draw(rt, dir+file) == 0 {
					h.write(dir+file, dir+file+"\n")
				}
			}
			if rapid.IntRange(0, 2).Draw(rt, dir+" has rules") == 0 {
				h.write(dir+".gitignore", lawRules(rt, dir+".gitignore", 4))
			}
		}
		h.write(".git/info/exclude", lawRules(rt, "info/exclude", 2))
		all := lawtest.Read(t, h.dir).Paths()
		for _, path := range all {
			if rapid.IntRange(0, 3).Draw(rt, "tracked "+path) == 0 {
				h.run("add", "-f", "--", path)
			}
		}
		h.run("commit", "-q", "--allow-empty", "-m", "some")
		if rapid.IntRange(0, 3).Draw(rt, "sparse") == 0 {
			h.sparse(rt)
		}
		for _, path := range h.listed("ls-files", "-z") {
			if rapid.IntRange(0, 8).Draw(rt, "gone "+path) == 0 {
				h.remove(path)
			}
		}
		want := map[string]bool{}
		onDisk := lawtest.Read(t, h.dir)
		for _, path := range h.listed("ls-files", "-z", "--cached", "--others", "--exclude-standard") {
			if _, ok := onDisk[path]; ok {
				want[path] = true
			}
		}
		exclude := rapid.SliceOfN(rapid.SampledFrom([]string{"*.tmp", "/d/e/", "Z", "/v/"}), 0, 2).Draw(rt, "exclude")
		var include []string
		for _, path := range onDisk.Paths() {
			if !want[path] && rapid.IntRange(0, 3).Draw(rt, "include "+path) == 0 {
				include = append(include, "/"+strings.ReplaceAll(path, " ", "\\ "))
				want[path] = true
			}
		}
		for _, path := range h.matching(exclude, slices.Sorted(maps.Keys(want))) {
			delete(want, path)
		}
		snap := h.snap(h.open(func(o *Options) { o.Include, o.Exclude = include, exclude }), h.store())
		var got []string
		for _, e := range snap.Entries {
			got = append(got, e.Path)
		}
		paths := slices.Sorted(maps.Keys(want))
		if diff := cmp.Diff(paths, got); diff != "" {
			rt.Fatalf("include %q, exclude %q: -git lists +goes up\n%s\nleft out: %v", include, exclude, diff, snap.Skipped)
		}
		if id := h.addAll(paths); id != snap.Tree {
			rt.Fatalf("the snapshot is tree %s, git makes %s", snap.Tree, id)
		}
	})
}

// sparse leaves a part of the repository out of the folder.
func (h *host) sparse(rt *rapid.T) {
	h.Helper()
	if rapid.Bool().Draw(rt, "by cone") {
		h.run("sparse-checkout", "set", "--cone", rapid.SampledFrom([]string{"d", "d/e", "out", "v"}).Draw(rt, "cone"))
		return
	}
	h.run("sparse-checkout", "set", "--no-cone", rapid.SampledFrom([]string{"*.txt", "/d/", "!/out/"}).Draw(rt, "sparse pattern"))
}

// matching are the paths that git finds patterns to match, in a repository of nothing else.
func (h *host) matching(patterns, paths []string) []string {
	h.Helper()
	if len(patterns) == 0 || len(paths) == 0 {
		return nil
	}
	dir := filepath.Join(filepath.Dir(h.dir), "patterns")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		h.Fatal(err)
	}
	h.runIn(dir, "init", "-q")
	if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte(strings.Join(patterns, "\n")+"\n"), 0o644); err != nil {
		h.Fatal(err)
	}
	cmd := exec.Command(h.git.Path, append([]string{"check-ignore", "--no-index", "--"}, paths...)...)
	cmd.Dir = dir
	listed, err := cmd.Output()
	var none *exec.ExitError
	if err != nil && !(errors.As(err, &none) && none.ExitCode() == 1) { // 1 says that none matches
		h.Fatalf("git check-ignore: %v", err)
	}
	return strings.FieldsFunc(string(listed), func(r rune) bool { return r == '\n' })
}
