package session

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"glue-lsp/internal/lawtest"
)

// TestLaw_AnyTreeGoesUpAndComesBackAsItIs takes trees of any names, modes and links up to
// a real agent, changes them there, and brings them back: both ways every byte is there,
// or its path is named.
func TestLaw_AnyTreeGoesUpAndComesBackAsItIs(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	base := lawDir(t)
	lawtest.Check(t, 15, 0, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(base, "t")
		if err != nil {
			t.Fatal(err)
		}
		w := newBareWorld(t, rt, dir)
		defer w.end()
		w.git(dir, "init", "-q", "-b", "main", w.repo)
		lawtest.Grow(rt, w.repo, 20)
		w.openSession()
		out := map[string]bool{}
		for _, s := range w.s.Info().Base.Skipped {
			out[s.Path] = true
		}
		alike(w, "the person", w.disk(), "the sandbox", w.sandboxFiles(), func(path string) bool { return out[path] })

		for _, path := range w.sandboxFiles().Paths() {
			if rapid.IntRange(0, 2).Draw(rt, "change") > 0 {
				continue
			}
			name := w.it.Path(path)
			switch rapid.IntRange(0, 3).Draw(rt, "how") {
			case 0:
				_ = os.Remove(name)
			case 1:
				_ = os.Rename(name, filepath.Join(filepath.Dir(name), lawtest.WildName(rt)))
			case 2:
				// Never through a link, which may lead to a file of this machine.
				if info, err := os.Lstat(name); err == nil && info.Mode().IsRegular() {
					_ = os.Chmod(name, 0o755)
				}
			default:
				_ = os.Remove(name)
				_ = os.WriteFile(name, rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(rt, "new content"), 0o644)
			}
		}
		lawtest.Grow(rt, w.it.Dir, 12)
		before := w.disk()
		r, err := w.s.Return(context.Background(), ReturnOptions{Apply: true, Mode: "disk", Confirm: []string{"."}, AllowMassDelete: true}, nil)
		w.fine("return", err)
		no := named(r)
		warnings := w.s.Info().Warnings
		alike(w, "the sandbox", w.sandboxFiles(), "the person", w.disk(), func(path string) bool {
			said := slices.ContainsFunc(warnings, func(text string) bool { return containsPath(text, path) })
			return out[path] && before[path] == w.disk()[path] || no.has(path) || said
		})
		if r.Mbox != nil && !r.Mbox.Truncated {
			w.mboxApplies(w.s, r)
		}
	})
}

// alike holds that two folders hold the same but for paths that are named, and for the
// former names of what was renamed to such a path.
func alike(w *lawWorld, nameA string, a lawtest.Files, nameB string, b lawtest.Files, named func(path string) bool) {
	moved := func(path string) bool {
		_, there := a[path]
		return !there && slices.ContainsFunc(a.Paths(), func(to string) bool { return a[to] == b[path] && named(to) })
	}
	for _, path := range lawtest.Differing(a, b) {
		if !named(path) && !moved(path) {
			w.Fatalf("not alike, and nothing says so:\n%s", lawtest.Show(nameA, a, nameB, b, []string{path}))
		}
	}
}
