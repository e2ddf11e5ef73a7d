package git

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"glue-lsp/internal/pack"
	"glue-lsp/internal/tree"
)

// gitsTree is the id that git gives a tree of files, by its own index.
func gitsTree(t testing.TB, f tree.Format, changes []Change) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "init", "-q", "--object-format="+string(f))
	var list bytes.Buffer
	for _, c := range changes {
		content := readChange(t, c)
		id := gitWith(t, dir, content, "hash-object", "-w", "--stdin")
		list.WriteString(strings.Join([]string{modeText(c.Entry.Mode), id, "0\t" + c.Entry.Path}, " ") + "\x00")
	}
	gitWith(t, dir, list.Bytes(), "update-index", "-z", "--index-info")
	return git(t, dir, "write-tree")
}

func modeText(m tree.Mode) string {
	switch m {
	case tree.Executable:
		return "100755"
	case tree.Symlink:
		return "120000"
	}
	return "100644"
}

func readChange(t testing.TB, c Change) []byte {
	t.Helper()
	from, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close() //nolint:errcheck // only read
	var b bytes.Buffer
	if _, err := b.ReadFrom(from); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAFirstTreeIsTheOneThatGitMakes(t *testing.T) {
	isolate(t)
	g := findGit(t)
	for _, f := range formats {
		for name, changes := range map[string][]Change{
			"one file":  {write("a", "1", tree.Regular)},
			"all modes": {write("a", "1", tree.Executable), write("b", "a", tree.Symlink), write("c", "", tree.Regular)},
			// Git sorts a folder as if its name ended in a slash.
			"order":         {write("a/x", "1", tree.Regular), write("a.b", "2", tree.Regular), write("a-b", "3", tree.Regular), write("a0", "4", tree.Regular)},
			"deep":          {write("d/e/f/g", "1", tree.Regular), write("d/e/h", "2", tree.Regular), write("d.e", "3", tree.Regular), write("\xff", "4", tree.Regular), write("d/\n", "5", tree.Regular)},
			"same contents": {write("a", "1", tree.Regular), write("b/a", "1", tree.Regular), write("c/a", "1", tree.Regular)},
		} {
			r := newStore(t, g, f)
			id := update(t, r, "", changes...)
			if want := gitsTree(t, f, changes); id != want {
				t.Errorf("%s %s: the tree is %s, git's %s", f, name, id, want)
			}
			if out, err := r.Output(t.Context(), "fsck", "--full", "--strict"); err != nil {
				t.Errorf("%s %s: %v %s", f, name, err, out)
			}
			entries, err := r.ReadTree(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := TreeID(f, entries); got != id || err != nil {
				t.Errorf("%s %s: TreeID gives %s (%v), want %s", f, name, got, err, id)
			}
		}
	}
	if id, err := TreeID(tree.SHA1, nil); err != nil || id != hashObject(tree.SHA1, "tree", nil) {
		t.Errorf("of nothing: %s, %v", id, err)
	}
}

// However a tree's files are listed, a first tree is what fast-import makes of them.
func TestAFirstTreeIsTheOneThatAnUpdateMakes(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	seed := update(t, r, "", write("z", "z", tree.Regular))
	rapid.Check(t, func(rt *rapid.T) {
		part := rapid.SampledFrom([]string{"a", "b", "a.b", "a-b", ".git", "c", "", "..", "d\x01"})
		var changes []Change
		for range rapid.IntRange(1, 8).Draw(rt, "files") {
			path := strings.Join(rapid.SliceOfN(part, 1, 3).Draw(rt, "path"), "/")
			mode := rapid.SampledFrom([]tree.Mode{tree.Regular, tree.Executable, tree.Symlink}).Draw(rt, "mode")
			changes = append(changes, write(path, rapid.StringN(0, 5, 5).Draw(rt, "content"), mode))
		}
		got, err := r.Update(t.Context(), "", changes)
		want, wantErr := r.Update(t.Context(), seed, append([]Change{remove("z")}, changes...))
		if got != want || (err == nil) != (wantErr == nil) {
			rt.Fatalf("%s (%v), want %s (%v)", got, err, want, wantErr)
		}
	})
}

func TestAFirstTreeCostsNoProcess(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	r.Git = &Git{Path: filepath.Join(t.TempDir(), "no such program")}
	id := update(t, r, "", write("a/b", "1", tree.Regular), write("c", "2", tree.Regular))
	commit := makeCommit(t, r, id)
	if err := os.WriteFile(filepath.Join(r.Dir, "refs", "heads", "x"), []byte(commit+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var bundle bytes.Buffer
	if err := r.Bundle(t.Context(), &bundle, "refs/heads/x"); err != nil {
		t.Error(err)
	}
}

func TestABundleOfWholeObjectsIsOneThatGitTakes(t *testing.T) {
	isolate(t)
	g := findGit(t)
	for _, f := range formats {
		r := newStore(t, g, f)
		files := corpus(50, 3000)
		files["empty"], files["twice"], files["two/ice"] = "", "same", "same"
		id := makeTree(t, r, files)
		second := makeTree(t, r, map[string]string{"only": "here"}) // is not part of it
		commit := makeCommit(t, r, id)
		for _, ref := range []string{"refs/glue/x", "refs/heads/main"} {
			if err := r.SetRef(t.Context(), ref, commit); err != nil {
				t.Fatal(err)
			}
		}
		var bundle bytes.Buffer
		lengths, err := r.BundleMapped(t.Context(), &bundle, "refs/glue/x", "refs/heads/main")
		if err != nil || lengths == nil {
			t.Fatalf("%v, %v", lengths, err)
		}
		var total int64
		for _, n := range lengths {
			total += n
		}
		if at := bytes.Index(bundle.Bytes(), []byte("\n\nPACK")); int64(bundle.Len()-at-2) != 12+total+int64(len(commit)/2) {
			t.Errorf("%s: the lengths are %d bytes in all, the pack has %d", f, total, bundle.Len()-at-2)
		}
		to := t.TempDir()
		git(t, to, "init", "-q", "--object-format="+string(f))
		file := filepath.Join(t.TempDir(), "bundle")
		if err := os.WriteFile(file, bundle.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		git(t, to, "bundle", "verify", "-q", file)
		git(t, to, "fetch", "-q", file, "refs/*:refs/got/*")
		git(t, to, "fsck", "--full", "--strict")
		if got := git(t, to, "rev-parse", "refs/got/glue/x^{tree}", "refs/got/heads/main"); got != id+"\n"+commit {
			t.Errorf("%s: arrived as %q", f, got)
		}
		if cmd := gitCommand(t, to, "cat-file", "-e", second); cmd.Run() == nil {
			t.Errorf("%s: what no ref reaches went along", f)
		}
	}
}

func TestABundleThatNeedsGitIsLeftToGit(t *testing.T) {
	isolate(t)
	g := findGit(t)
	r := newStore(t, g, tree.SHA1)
	first := makeCommit(t, r, makeTree(t, r, map[string]string{"a": strings.Repeat("line\n", 1000)}))
	second := makeCommit(t, r, makeTree(t, r, map[string]string{"a": strings.Repeat("line\n", 1000) + "more\n"}), first)
	for ref, commit := range map[string]string{"refs/heads/one": first, "refs/heads/two": second} {
		if err := r.SetRef(t.Context(), ref, commit); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, refs ...string) {
		t.Helper()
		var bundle bytes.Buffer
		lengths, err := r.BundleMapped(t.Context(), &bundle, refs...)
		if err != nil || lengths != nil {
			t.Errorf("%s: %v, %v", what, lengths, err)
		}
		other := newStore(t, g, tree.SHA1)
		if strings.HasPrefix(refs[0], "^") {
			return
		}
		if _, err := other.IngestBundle(t.Context(), &bundle, IngestLimits); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("a history", "refs/heads/two")
	check("a prerequisite", "^refs/heads/one", "refs/heads/two")
	if _, err := r.Output(t.Context(), "repack", "-adfq", "--depth=10", "--window=10"); err != nil {
		t.Fatal(err)
	}
	check("deltas", "refs/heads/one", "refs/heads/two")
	if _, err := r.Output(t.Context(), "pack-refs", "--all"); err != nil {
		t.Fatal(err)
	}
	check("packed refs", "refs/heads/one")
}

// filesOf gives the changes that make a tree of files, and its entries.
func filesOf(f tree.Format, files map[string]string) (changes []Change, entries []tree.Entry) {
	for path, content := range files {
		c := known(f, path, content)
		changes, entries = append(changes, c), append(entries, c.Entry)
	}
	sortEntries(entries)
	return changes, entries
}

// from makes a store of files with the help of a cache, and gives how many contents
// came from there.
func from(t testing.TB, g *Git, f tree.Format, dir string, files map[string]string) (r *Repo, id string, borrowed int) {
	t.Helper()
	r = newStore(t, g, f)
	changes, entries := filesOf(f, files)
	cache := &PackCache{Dir: dir}
	held := map[string]bool{}
	if err := cache.Borrow(t.Context(), r, entries, func(hash string) { held[hash] = true }); err != nil {
		t.Fatal(err)
	}
	for i, c := range changes {
		if held[c.Entry.Hash] {
			changes[i].Open = nil
		}
	}
	id = update(t, r, "", changes...)
	if err := cache.Lend(r); err != nil {
		t.Fatal(err)
	}
	return r, id, len(held)
}

func TestAPackWhoseIndexACrashLostIsSharedAnew(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := filepath.Join(t.TempDir(), "packs")
	files := corpus(40, 2000)
	first, _, _ := from(t, g, tree.SHA1, dir, files)
	for _, base := range first.ownPacks() {
		if err := os.Remove(filepath.Join(dir, base+".idx")); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, base+".pack")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, base+".pack"), []byte("of another attempt"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := (&PackCache{Dir: dir}).Lend(first); err != nil {
		t.Fatal(err)
	}
	if _, _, n := from(t, g, tree.SHA1, dir, files); n != len(files) {
		t.Errorf("%d of %d contents came from the cache", n, len(files))
	}
}

func TestF23_AStoreIsWholeWithoutTheCacheThatItBeganWith(t *testing.T) {
	isolate(t)
	g := findGit(t)
	for _, f := range formats {
		dir := filepath.Join(t.TempDir(), "packs")
		files := corpus(40, 2000)
		_, first, n := from(t, g, f, dir, files)
		if n != 0 {
			t.Fatalf("%s: an empty cache lent %d contents", f, n)
		}
		r, again, n := from(t, g, f, dir, files)
		if again != first || n != len(files) {
			t.Errorf("%s: %d of %d contents came from the cache, the tree is %s, want %s", f, n, len(files), again, first)
		}
		files["new"] = "new"
		edited, id, n := from(t, g, f, dir, files)
		if n != len(files)-1 {
			t.Errorf("%s: %d contents came from the cache", f, n)
		}
		(&PackCache{Dir: dir}).Forget()
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		for _, r := range []*Repo{r, edited} {
			if out, err := r.Output(t.Context(), "fsck", "--full", "--strict"); err != nil {
				t.Errorf("%s: %v %s", f, err, out)
			}
		}
		if d := cmp.Diff(regular(files), contents(t, edited, id)); d != "" {
			t.Error(d)
		}
	}
}

func TestADamagedPackIsNotTakenAndIsMadeAnew(t *testing.T) {
	isolate(t)
	g := findGit(t)
	files := corpus(40, 2000)
	for name, damage := range map[string]func(t *testing.T, base string){
		"a byte of a content": func(t *testing.T, base string) { flip(t, base+".pack", 5000) },
		"a byte of the index": func(t *testing.T, base string) { flip(t, base+".idx", 2000) },
		"cut":                 func(t *testing.T, base string) { cutShort(t, base+".pack") },
		"the index cut":       func(t *testing.T, base string) { cutShort(t, base+".idx") },
		"another file": func(t *testing.T, base string) {
			replaceWith(t, base+".pack", []byte("PACK"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "packs")
			_, want, _ := from(t, g, tree.SHA1, dir, files)
			bases, err := pack.Bases(dir)
			if err != nil || len(bases) != 1 {
				t.Fatalf("%q, %v", bases, err)
			}
			damage(t, filepath.Join(dir, bases[0]))
			r, got, n := from(t, g, tree.SHA1, dir, files)
			if n != 0 || got != want {
				t.Errorf("%d contents were taken, the tree is %s, want %s", n, got, want)
			}
			if out, err := r.Output(t.Context(), "fsck", "--full", "--strict"); err != nil {
				t.Errorf("%v %s", err, out)
			}
			if _, _, n := from(t, g, tree.SHA1, dir, files); n != len(files) {
				t.Errorf("afterwards %d contents were taken", n)
			}
		})
	}
}

// A pack has more than one name; the damage is done to the cache's alone.
func replaceWith(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := errors.Join(os.Remove(name), os.WriteFile(name, content, 0o400)); err != nil {
		t.Fatal(err)
	}
}

func flip(t testing.TB, name string, at int) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 0x10
	replaceWith(t, name, b)
}

func cutShort(t testing.TB, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	replaceWith(t, name, b[:len(b)-100])
}

func TestPacksOfLittleUseLeaveTheCache(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := filepath.Join(t.TempDir(), "packs")
	files := corpus(40, 2000)
	from(t, g, tree.SHA1, dir, files)
	small := map[string]string{}
	for path, content := range files {
		if len(small) < 10 {
			small[path] = content
		}
	}
	if _, _, n := from(t, g, tree.SHA1, dir, small); n != 0 {
		t.Errorf("%d contents came from a pack of which a quarter is used", n)
	}
	if _, _, n := from(t, g, tree.SHA1, dir, small); n != len(small) {
		t.Errorf("%d contents of %d came from the new pack", n, len(small))
	}
	bases, err := pack.Bases(dir)
	if err != nil || len(bases) != 1 {
		t.Errorf("the cache holds %q, %v", bases, err)
	}
}

func TestALittleThatIsNewIsNotAddedToTheCache(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := filepath.Join(t.TempDir(), "packs")
	files := corpus(40, 2000)
	for i := range 20 {
		files["edited"] = strings.Repeat("x", i)
		from(t, g, tree.SHA1, dir, files)
	}
	bases, err := pack.Bases(dir)
	if err != nil || len(bases) != 1 {
		t.Errorf("the cache holds %d packs, %v", len(bases), err)
	}
}

func TestStoresMayBeMadeFromOneCacheAtOnce(t *testing.T) {
	isolate(t)
	g := findGit(t)
	dir := filepath.Join(t.TempDir(), "packs")
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for round := range 3 {
				files := corpus(20, 1000)
				files["own"] = strings.Repeat("x", 20_000*(worker+1)) // now and then a pack is replaced
				for path := range files {
					if (worker+round)%2 == 0 && strings.HasSuffix(path, "1") {
						delete(files, path)
					}
				}
				r := newStore(t, g, tree.SHA1)
				changes, entries := filesOf(tree.SHA1, files)
				cache := &PackCache{Dir: dir}
				held := map[string]bool{}
				err := cache.Borrow(context.Background(), r, entries, func(hash string) { held[hash] = true })
				for i, c := range changes {
					if held[c.Entry.Hash] {
						changes[i].Open = nil
					}
				}
				id, uerr := r.Update(context.Background(), "", changes)
				want, terr := TreeID(tree.SHA1, entries)
				if err := errors.Join(err, uerr, terr, cache.Lend(r)); err != nil || id != want {
					t.Errorf("worker %d round %d: %s, want %s: %v", worker, round, id, want, err)
				}
				if out, err := r.Output(context.Background(), "fsck", "--full", "--strict"); err != nil {
					t.Errorf("worker %d round %d: %v %s", worker, round, err, out)
				}
			}
		})
	}
	all.Wait()
}
