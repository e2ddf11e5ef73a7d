package git

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"glue-lsp/internal/tree"
)

var (
	longAgo = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	formats = []tree.Format{tree.SHA1, tree.SHA256}
)

// transfer carries refs from one store to another as a bundle.
func transfer(t testing.TB, from, to *Repo, refs ...string) map[string]string {
	t.Helper()
	var bundle bytes.Buffer
	if err := from.Bundle(t.Context(), &bundle, refs...); err != nil {
		t.Fatal(err)
	}
	named, err := to.IngestBundle(t.Context(), &bundle, IngestLimits)
	if err != nil {
		t.Fatal(err)
	}
	return named
}

func TestAStoreIsPrivateAndOpensAgain(t *testing.T) {
	isolate(t)
	g := findGit(t)
	for _, f := range formats {
		r := newStore(t, g, f)
		err := filepath.Walk(r.Dir, func(name string, info os.FileInfo, err error) error {
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s is open to others: %v", name, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		again, err := g.Open(t.Context(), r.Dir)
		if err != nil || again.Format != f {
			t.Errorf("opened again: %+v, %v", again, err)
		}
	}
	if _, err := g.Open(t.Context(), t.TempDir()); err == nil {
		t.Error("a folder without a store opens")
	}
	if _, err := g.Open(t.Context(), userRepo(t, nil)+"/.git"); err == nil {
		t.Error("a user's repository opens as a store")
	}
	if _, err := g.Init(t.Context(), t.TempDir(), "sha3"); err == nil {
		t.Error("a store of an unknown format is made")
	}
}

func TestWhatAKilledProcessLeftIsRemovedAndALivingOnesIsKept(t *testing.T) {
	isolate(t)
	g := findGit(t)
	r := newStore(t, g, tree.SHA1)
	mine, err := r.makeQuarantine()
	if err != nil {
		t.Fatal(err)
	}
	// No process has this id: it is above Linux's and macOS's limits.
	dead := filepath.Join(r.Dir, quarantinePrefix+"2000000000-1")
	if err := os.MkdirAll(dead, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Open(t.Context(), r.Dir); err != nil {
		t.Fatal(err)
	}
	if exists(dead) || !exists(mine) {
		t.Errorf("the dead one's is there: %v, mine: %v", exists(dead), exists(mine))
	}
}

func TestX11_PathsOfAnyBytesComeBack(t *testing.T) {
	isolate(t)
	g := findGit(t)
	for _, f := range formats {
		r := newStore(t, g, f)
		files := map[string]string{}
		for _, path := range []string{
			"-x", "--help", `"`, `"quoted"`, `back\slash`, `\n`, "line\nfeed", "\n", "tab\t", " lead", "trail ", "caf\xe9/\xff", "$(x)", "a/b/c/d",
			"inline", "a/:1", strings.Repeat("long", 60),
		} {
			files[path] = "content of " + path
		}
		id := makeTree(t, r, files)
		if d := cmp.Diff(regular(files), contents(t, r, id)); d != "" {
			t.Error(d)
		}
		var changes []Change
		for path := range files {
			changes = append(changes, remove(path))
		}
		if got := update(t, r, id, changes...); got != r.emptyTree() {
			t.Errorf("with every path removed the tree is %s", got)
		}
		got, err := r.Diff(t.Context(), "", id, false)
		if err != nil || len(got) != len(files) {
			t.Errorf("the difference from nothing has %d entries, want %d (%v)", len(got), len(files), err)
		}
		for _, d := range got {
			if d.New.Size != int64(len(files[d.New.Path])) {
				t.Errorf("%q has size %d in the difference", d.New.Path, d.New.Size)
			}
		}
	}
}

func TestS3_BytesModesAndLinksComeBackExactly(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	large := strings.Repeat(string(all), 3<<12)
	id := update(t, r, "",
		write("empty", "", tree.Regular), write("bytes", string(all), tree.Executable),
		write("link", "../some where\n", tree.Symlink), write("large", large, tree.Regular),
		write("commands", "\ndone\nM 100644 inline x\ndata 1\n", tree.Regular))
	want := map[string]string{
		"empty": "100644 ", "bytes": "100755 " + string(all), "link": "120000 ../some where\n", "large": "100644 " + large,
		"commands": "100644 \ndone\nM 100644 inline x\ndata 1\n",
	}
	if d := cmp.Diff(want, contents(t, r, id)); d != "" {
		t.Error(d)
	}
	entries, err := r.ReadTree(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		_, content, _ := strings.Cut(want[e.Path], " ")
		if e.Hash != tree.HashBytes(tree.SHA1, []byte(content)) {
			t.Errorf("%s: git's hash and ours differ", e.Path)
		}
	}
}

func TestUpdateReplacesFilesByFoldersAndFoldersByFiles(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	base := makeTree(t, r, map[string]string{"a": "1", "d/x": "2", "d/y": "3", "k": "4"})
	id := update(t, r, base, write("a/b", "5", tree.Regular), remove("a"), remove("d/x"), remove("d/y"), write("d", "6", tree.Regular))
	if d := cmp.Diff(regular(map[string]string{"a/b": "5", "d": "6", "k": "4"}), contents(t, r, id)); d != "" {
		t.Error(d)
	}
	// "a" is a folder now; nobody means it by removing the file.
	if got := update(t, r, id, remove("a"), remove("not there"), remove("k/below")); got != id {
		t.Errorf("removing what is not there changed the tree: %v", contents(t, r, got))
	}
	if got := update(t, r, base); got != base {
		t.Errorf("no change gives another tree: %s", got)
	}
}

func TestUpdateTakesContentThatTheStoreHasByItsName(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	base := makeTree(t, r, map[string]string{"a": "1"})
	known := tree.Entry{Path: "b", Mode: tree.Executable, Hash: tree.HashBytes(tree.SHA1, []byte("1"))}
	id := update(t, r, base, Change{Entry: known})
	if d := cmp.Diff(map[string]string{"a": "100644 1", "b": "100755 1"}, contents(t, r, id)); d != "" {
		t.Error(d)
	}
}

func TestUpdateRefusesWhatItCannotStore(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	failing := errors.New("the disk is on fire")
	short := write("a", "12345", tree.Regular)
	short.Entry.Size = 6
	long := write("a", "12345", tree.Regular)
	long.Entry.Size = 4
	for name, c := range map[string]struct {
		base   string
		change Change
		words  string
	}{
		"no such base":    {strings.Repeat("a", 40), write("a", "1", tree.Regular), ""},
		"base is no name": {"HEAD", write("a", "1", tree.Regular), "not the full name"},
		"no such blob":    {"", Change{Entry: tree.Entry{Path: "a", Mode: tree.Regular, Hash: strings.Repeat("b", 40)}}, ""},
		"blob is no name": {"", Change{Entry: tree.Entry{Path: "a", Mode: tree.Regular, Hash: "--help"}}, "not the full name"},
		"mode":            {"", Change{Entry: tree.Entry{Path: "a", Mode: 0o170000, Hash: strings.Repeat("b", 40)}}, "mode"},
		"path":            {"", write("a\x00b", "1", tree.Regular), "not a path"},
		"too short":       {"", short, "it ended after 5 bytes of 6"},
		"too long":        {"", long, "longer than 4 bytes"},
		"open fails": {"", Change{
			Entry: tree.Entry{Path: "a", Mode: tree.Regular},
			Open:  func() (io.ReadCloser, error) { return nil, failing },
		}, failing.Error()},
	} {
		id, err := r.Update(t.Context(), c.base, []Change{write("fine", "1", tree.Regular), c.change})
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %s, %v", name, id, err)
		}
	}
	if _, err := r.Update(t.Context(), "", []Change{write("fine", "1", tree.Regular)}); err != nil {
		t.Errorf("after failures: %v", err)
	}
	if out, err := r.Output(t.Context(), "for-each-ref"); err != nil || len(out) > 0 {
		t.Errorf("refs were left behind: %s %v", out, err)
	}
}

func TestCommitsSayWhoAndWhen(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	id := makeTree(t, r, map[string]string{"a": "1"})
	parent := makeCommit(t, r, id)
	message := "[feat] caf\xe9\n\ndiff --git a b\n-- \nFrom x\n"
	commit, err := r.Commit(t.Context(), CommitSpec{
		Tree: id, Parents: []string{parent},
		Author:    Signature{Name: "Ann <x>\nB", Email: "ann@\n>x", When: time.Date(2020, 1, 2, 3, 4, 5, 0, time.FixedZone("", -(3*3600+1800)))},
		Committer: Signature{When: time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC)},
		Message:   []byte(message),
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.Output(t.Context(), "cat-file", "commit", commit)
	if err != nil {
		t.Fatal(err)
	}
	want := "tree " + id + "\nparent " + parent + "\nauthor Ann x B <ann@ x> 1577946845 -0330\ncommitter  <> 0 +0000\n\n" + message
	if d := cmp.Diff(want, string(out)); d != "" {
		t.Error(d)
	}
	other := newStore(t, r.Git, tree.SHA1)
	if err := r.SetRef(t.Context(), "refs/glue/x", parent); err != nil {
		t.Fatal(err)
	}
	transfer(t, r, other, "refs/glue/x")
	if again := makeCommit(t, other, id); again != parent {
		t.Errorf("the same commit made where a pack has it is %s, want %s", again, parent)
	}
	if _, err := r.Commit(t.Context(), CommitSpec{Tree: "HEAD"}); err == nil {
		t.Error("a commit of no tree is made")
	}
}

func TestRefsAreSetReadAndRemoved(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	commit := makeCommit(t, r, makeTree(t, r, map[string]string{"a": "1"}))
	const name = "refs/glue/a/b"
	for _, want := range []string{commit, ""} {
		if err := r.SetRef(t.Context(), name, want); err != nil {
			t.Fatal(err)
		}
		if got, err := r.Ref(t.Context(), name); got != want || err != nil {
			t.Errorf("the ref is %q, want %q (%v)", got, want, err)
		}
	}
	if err := r.SetRef(t.Context(), name, commit); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Ref(t.Context(), "refs/glue/a"); got != "" || err != nil {
		t.Errorf("a folder of refs is %q, %v", got, err)
	}
	for _, bad := range []string{"HEAD", "-d", "refs/../x", "refs/a b", "refs/a..b", "refs/a^{}", "refs/x.lock", "refs/.a", "refs/a\nb", "refs/", "refs/a*", "refs/@{0}"} {
		if err := r.SetRef(t.Context(), bad, commit); err == nil {
			t.Errorf("%q is taken for a ref", bad)
		}
		if _, err := r.Ref(t.Context(), bad); err == nil {
			t.Errorf("%q is read as a ref", bad)
		}
	}
}

func TestManyRefsAreSetAtOnceOrNotAtAll(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	commit := makeCommit(t, r, makeTree(t, r, map[string]string{"a": "1"}))
	if err := r.SetRefs(t.Context(), map[string]string{"refs/glue/a": commit, "refs/glue/in/b": commit}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"refs/glue/a", "refs/glue/in/b"} {
		if got, err := r.Ref(t.Context(), name); got != commit || err != nil {
			t.Errorf("%s is %q (%v)", name, got, err)
		}
	}
	for name, refs := range map[string]map[string]string{
		"no object": {"refs/glue/c": commit, "refs/glue/d": strings.Repeat("1", 40)},
		"no id":     {"refs/glue/c": commit, "refs/glue/d": "HEAD\x00\x00delete refs/glue/a"},
		"no ref":    {"refs/glue/c": commit, "refs/glue/d\x00": commit},
	} {
		if err := r.SetRefs(t.Context(), refs); err == nil {
			t.Errorf("%s: no error", name)
		}
		if got, _ := r.Ref(t.Context(), "refs/glue/c"); got != "" {
			t.Errorf("%s: the other ref was set", name)
		}
	}
	if err := r.SetRefs(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestBlobsAreReadByManyAtOnce(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	files := map[string]string{}
	for i := range 40 {
		files[fmt.Sprint(i)] = strings.Repeat(fmt.Sprintf("%d\n", i), i*100)
	}
	makeTree(t, r, files)
	blobs, err := r.Blobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer blobs.Close()
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for _, content := range files {
				hash := tree.HashBytes(tree.SHA1, []byte(content))
				if got, err := blobs.Get(hash, -1); err != nil || string(got) != content {
					t.Errorf("Get gives %d bytes of %d, %v", len(got), len(content), err)
				}
				in, size, err := blobs.Open(hash)
				if err != nil || size != int64(len(content)) {
					t.Errorf("Open gives %d, %v", size, err)
					continue
				}
				got, err := io.ReadAll(in)
				if err != nil || string(got) != content {
					t.Errorf("reading gives %d bytes of %d, %v", len(got), len(content), err)
				}
				in.Close()
			}
		})
	}
	readers.Wait()
}

func TestABlobReaderSurvivesWhatIsNotReadToItsEnd(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	small, large := "small", strings.Repeat("large", 1<<20)
	makeTree(t, r, map[string]string{"s": small, "l": large})
	blobs, err := r.Blobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hash := func(s string) string { return tree.HashBytes(tree.SHA1, []byte(s)) }
	fine := func() {
		t.Helper()
		if got, err := blobs.Get(hash(small), 5); err != nil || string(got) != small {
			t.Fatalf("afterwards: %q, %v", got, err)
		}
	}
	for _, content := range []string{small, large} {
		_, err := blobs.Get(hash(content), 4)
		var tooLarge *TooLargeError
		if !errors.As(err, &tooLarge) || tooLarge.Size != int64(len(content)) {
			t.Errorf("%d bytes: %v", len(content), err)
		}
		fine()
		in, _, err := blobs.Open(hash(content))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Read(make([]byte, 3)); err != nil {
			t.Error(err)
		}
		in.Close()
		if _, err := in.Read(make([]byte, 3)); err == nil {
			t.Error("a closed reader reads")
		}
		fine()
	}
	var missing *NoObjectError
	if _, err := blobs.Get(strings.Repeat("a", 40), -1); !errors.As(err, &missing) {
		t.Errorf("what is not there gives %v", err)
	}
	if _, err := blobs.Get("HEAD:s\n", -1); err == nil {
		t.Error("an expression is read as an object")
	}
	fine()
	if err := blobs.Close(); err != nil {
		t.Error(err)
	}
	if _, err := blobs.Get(hash(small), -1); err == nil {
		t.Error("a closed reader reads")
	}
}

func TestDiffFindsRenamesAndModes(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	lines := strings.Repeat("some line\n", 20)
	from := makeTree(t, r, map[string]string{"old": lines, "gone": "1", "mode": "x", "same": "y"})
	to := update(t, r, from, remove("old"), write("new name", lines+"one more\n", tree.Regular), remove("gone"),
		write("mode", "x", tree.Executable), write("link", "t", tree.Symlink))
	entry := func(path string, mode tree.Mode, content string) tree.Entry {
		return tree.Entry{Path: path, Mode: mode, Hash: tree.HashBytes(tree.SHA1, []byte(content)), Size: int64(len(content))}
	}
	want := []DiffEntry{
		{Old: entry("gone", tree.Regular, "1"), New: tree.Entry{Path: "gone"}},
		{Old: tree.Entry{Path: "link"}, New: entry("link", tree.Symlink, "t")},
		{Old: entry("mode", tree.Regular, "x"), New: entry("mode", tree.Executable, "x")},
		{Old: entry("old", tree.Regular, lines), New: entry("new name", tree.Regular, lines+"one more\n"), Renamed: true, Score: 95},
	}
	got, err := r.Diff(t.Context(), from, to, true)
	if err != nil {
		t.Fatal(err)
	}
	byName := func(d DiffEntry) string { return d.New.Path }
	if d := cmp.Diff(want, got, sorted(byName)); d != "" {
		t.Error(d)
	}
	plain, err := r.Diff(t.Context(), from, to, false)
	if err != nil || len(plain) != 5 {
		t.Errorf("without renames there are %d entries, want 5 (%v)", len(plain), err)
	}
	if same, err := r.Diff(t.Context(), to, to, true); len(same) > 0 || err != nil {
		t.Errorf("a tree differs from itself: %v, %v", same, err)
	}
}

// TestUpdatesAndDifferencesAreEachOthersInverse is the law that snapshots rest on.
func TestUpdatesAndDifferencesAreEachOthersInverse(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	rapid.Check(t, func(rt *rapid.T) {
		want := map[string]string{}
		id := r.emptyTree()
		for range rapid.IntRange(1, 4).Draw(rt, "updates") {
			before, old := id, len(want)
			var changes []Change
			for path, content := range drawFiles(rt) {
				if content == "" {
					changes = append(changes, remove(path))
					delete(want, path)
					continue
				}
				changes = append(changes, write(path, content, tree.Regular))
				want[path] = "100644 " + content
			}
			var err error
			if id, err = r.Update(t.Context(), before, changes); err != nil {
				rt.Fatal(err)
			}
			diff, err := r.Diff(t.Context(), before, id, false)
			if err != nil {
				rt.Fatal(err)
			}
			for _, d := range diff {
				if !d.Old.Exists() {
					old++
				}
				if !d.New.Exists() {
					old--
				}
			}
			if old != len(want) {
				rt.Errorf("the difference leads to %d files, want %d", old, len(want))
			}
		}
		if d := cmp.Diff(want, contents(t, r, id)); d != "" {
			rt.Error(d)
		}
	})
}

// drawFiles gives paths that do not get into each other's way.
func drawFiles(rt *rapid.T) map[string]string {
	return rapid.MapOfN(
		rapid.SampledFrom([]string{"a", "b", "d/a", "d/b", "d/e/f", "x y", "\n"}),
		rapid.SampledFrom([]string{"", "1", "2\n", "3\r\n"}), 1, 5).Draw(rt, "files")
}
