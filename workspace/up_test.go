package workspace

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// box is a model of a sandbox: its files, as contents shows them, and what both
// sides agreed on.
type box struct {
	testing.TB
	store  *Store
	files  map[string]string
	agreed string
	made   map[string]map[string]string // trees that are in the store, by id
}

func (b *box) tree() string { return b.make(b.files) }

// make stores a tree, once.
func (b *box) make(files map[string]string) string {
	b.Helper()
	var entries []tree.Entry
	for path, text := range files {
		entries = append(entries, fileOf(b.store.Repo.Format, path, text).entry)
	}
	id, err := git.TreeID(b.store.Repo.Format, sorted(entries))
	if err != nil {
		b.Fatal(err)
	}
	if b.made[id] == nil {
		if got := makeTree(b, b.store, files); got != id {
			b.Fatalf("git makes %s of a tree that should be %s", got, id)
		}
		if b.made == nil {
			b.made = map[string]map[string]string{}
		}
		b.made[id] = maps.Clone(files)
	}
	return id
}

// read gives a tree's files.
func (b *box) read(id string) map[string]string {
	if files := b.made[id]; files != nil {
		return files
	}
	return contents(b, b.store, id)
}

func (b *box) plan(host string) *Up {
	b.Helper()
	up, err := b.store.PlanUp(context.Background(), b.agreed, host, b.tree())
	if err != nil {
		b.Fatal(err)
	}
	return up
}

// apply does what an agent does with a plan: it writes where it still finds what the
// plan expects, and tells the host.
func (b *box) apply(up *Up) {
	b.Helper()
	if len(up.Writes) == 0 {
		return
	}
	blobs, err := b.store.Repo.Blobs(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	defer blobs.Close() //nolint:errcheck // only read
	have := map[string]tree.Entry{}
	for path, text := range b.files {
		have[path] = fileOf(b.store.Repo.Format, path, text).entry
	}
	var taken []tree.Entry
	for _, w := range up.Writes {
		path := w.New.Path
		if w.Expect.Path != path || w.Host.Path != path {
			b.Fatalf("one write of several paths: %+v", w)
		}
		if !have[path].Same(w.Expect) {
			b.Fatalf("%s: the plan expects %+v, the sandbox holds %+v", path, w.Expect, have[path])
		}
		switch {
		case w.New.Same(w.Expect):
		case !w.New.Exists():
			delete(b.files, path)
		default:
			text, err := blobs.Get(w.New.Hash, -1)
			if err != nil {
				b.Fatalf("%s: what is to be written is not in the store: %v", path, err)
			}
			b.files[path] = map[tree.Mode]string{tree.Executable: "*", tree.Symlink: "-> "}[w.New.Mode] + string(text)
		}
		taken = append(taken, w.Host)
	}
	if b.agreed, err = b.store.Advance(context.Background(), b.agreed, taken); err != nil {
		b.Fatal(err)
	}
}

func lines(n int, change ...string) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("line %d", i)
	}
	for i := 0; i+1 < len(change); i += 2 {
		var at int
		fmt.Sscan(change[i], &at) //nolint:errcheck // the test's own number
		out[at] = change[i+1]
	}
	return strings.Join(out, "\n") + "\n"
}

func TestAPlanUpMergesHostAndSandboxPathByPath(t *testing.T) {
	type files = map[string]string
	for _, c := range []struct {
		name                 string
		agreed, host, inside files
		want                 files    // in the sandbox afterwards
		conflicts            []string // "path kind"
		deletes              int
	}{
		{name: "nothing", agreed: files{"a": "1"}, host: files{"a": "1"}, inside: files{"a": "1"}, want: files{"a": "1"}},
		{name: "only the host changed", agreed: files{"a": "1", "b": "1", "c": "1"}, host: files{"a": "2", "c": "*1", "d": "-> a"}, inside: files{"a": "1", "b": "1", "c": "1"}, want: files{"a": "2", "c": "*1", "d": "-> a"}, deletes: 1},
		{name: "only the sandbox changed", agreed: files{"a": "1", "b": "1"}, host: files{"a": "1", "b": "1"}, inside: files{"a": "2", "c": "1"}, want: files{"a": "2", "c": "1"}},
		{name: "different paths", agreed: files{"a": "1", "b": "1"}, host: files{"a": "2", "b": "1"}, inside: files{"a": "1", "b": "2"}, want: files{"a": "2", "b": "2"}},
		{name: "the same change", agreed: files{"a": "1", "gone": "1"}, host: files{"a": "2", "new": "n"}, inside: files{"a": "2", "new": "n"}, want: files{"a": "2", "new": "n"}},
		{name: "different lines", agreed: files{"a": lines(9)}, host: files{"a": lines(9, "0", "host")}, inside: files{"a": lines(9, "8", "box")}, want: files{"a": lines(9, "0", "host", "8", "box")}},
		{name: "the same line", agreed: files{"a": lines(9), "b": "1"}, host: files{"a": lines(9, "4", "host"), "b": "2"}, inside: files{"a": lines(9, "4", "box"), "b": "1"}, want: files{"a": lines(9, "4", "box"), "b": "2"}, conflicts: []string{"a content"}},
		{name: "both added", agreed: files{"x": "1"}, host: files{"x": "1", "a": "host"}, inside: files{"x": "1", "a": "box"}, want: files{"x": "1", "a": "box"}, conflicts: []string{"a addAdd"}},
		{name: "host deleted, sandbox changed", agreed: files{"a": lines(9), "x": "1"}, host: files{"x": "1"}, inside: files{"a": lines(9, "1", "box"), "x": "1"}, want: files{"a": lines(9, "1", "box"), "x": "1"}, conflicts: []string{"a modifyDelete"}},
		{name: "host changed, sandbox deleted", agreed: files{"a": lines(9), "x": "1"}, host: files{"a": lines(9, "1", "host"), "x": "1"}, inside: files{"x": "1"}, want: files{"x": "1"}, conflicts: []string{"a modifyDelete"}},
		{name: "mode here, content there", agreed: files{"a": "1"}, host: files{"a": "*1"}, inside: files{"a": "2"}, want: files{"a": "*2"}},
		{name: "binary", agreed: files{"a": "\x001"}, host: files{"a": "\x002"}, inside: files{"a": "\x003"}, want: files{"a": "\x003"}, conflicts: []string{"a binary"}},
		{name: "the sandbox moved what the host changed", agreed: files{"a": lines(20)}, host: files{"a": lines(20, "0", "host")}, inside: files{"b": lines(20)}, want: files{"b": lines(20, "0", "host")}},
		{name: "the host moved what the sandbox changed", agreed: files{"a": lines(20)}, host: files{"b": lines(20)}, inside: files{"a": lines(20, "0", "box")}, want: files{"b": lines(20, "0", "box")}, deletes: 1},
		{name: "a file becomes a folder", agreed: files{"a": "1"}, host: files{"a/b": "2"}, inside: files{"a": "1"}, want: files{"a/b": "2"}, deletes: 1},
		{name: "a folder becomes a file", agreed: files{"a/b": "1", "a/c": "1"}, host: files{"a": "2"}, inside: files{"a/b": "1", "a/c": "1"}, want: files{"a": "2"}, deletes: 2},
		{
			name: "the sandbox moved what the host changed to where there is a conflict", agreed: files{"a": lines(20), "d/x": "1"},
			host: files{"a": lines(20, "3", "host"), "d/x": "2"}, inside: files{"d": lines(20)}, want: files{"d": lines(20)},
			conflicts: []string{"a type", "d type", "d/x type"},
		},
		{
			name: "the host moved what the sandbox changed to where there is a conflict", agreed: files{"a": lines(20), "d/x": "1"},
			host: files{"d": lines(20)}, inside: files{"a": lines(20, "3", "box"), "d/x": "2"}, want: files{"a": lines(20, "3", "box"), "d/x": "2"},
			conflicts: []string{"a type", "d type", "d/x type"},
		},
		{name: "CRLF", agreed: files{"a": "1\r\n2\r\n3\r\n4\r\n5\r\n"}, host: files{"a": "H\r\n2\r\n3\r\n4\r\n5\r\n"}, inside: files{"a": "1\r\n2\r\n3\r\n4\r\nB\r\n"}, want: files{"a": "H\r\n2\r\n3\r\n4\r\nB\r\n"}},
		{name: "names that differ in case", agreed: files{"a": "1"}, host: files{"a": "1", "A": "host"}, inside: files{"a": "1", "á": "box"}, want: files{"a": "1", "A": "host", "á": "box"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			s := h.store()
			b := &box{TB: t, store: s, files: maps.Clone(c.inside), agreed: makeTree(t, s, c.agreed)}
			host := makeTree(t, s, c.host)
			up := b.plan(host)
			b.apply(up)
			if diff := cmp.Diff(c.want, b.files); diff != "" {
				t.Errorf("the sandbox (-want +got):\n%s", diff)
			}
			var conflicts []string
			for _, conflict := range up.Conflicts {
				conflicts = append(conflicts, conflict.Path+" "+conflict.Kind)
				if conflict.Detail == "" {
					t.Errorf("%s: the conflict has no words for a person", conflict.Path)
				}
			}
			if diff := cmp.Diff(c.conflicts, conflicts); diff != "" {
				t.Errorf("conflicts (-want +got):\n%s", diff)
			}
			if up.Deletes != c.deletes {
				t.Errorf("deletes %d, want %d", up.Deletes, c.deletes)
			}
			again := b.plan(host)
			if len(again.Writes) != 0 || len(again.Conflicts) != len(up.Conflicts) {
				t.Errorf("planned again: %+v", again)
			}
			agreed := contents(t, s, b.agreed)
			for path, text := range c.host {
				if !slices.ContainsFunc(up.Conflicts, func(c Conflict) bool { return c.Path == path }) && agreed[path] != text {
					t.Errorf("agreed on %s: %q, want the host's %q", path, agreed[path], text)
				}
			}
		})
	}
}

func TestF25_ASyncWithAConflictRevertsNothingLater(t *testing.T) {
	h := newHost(t)
	s := h.store()
	start := map[string]string{"a": lines(5), "b": "1\n"}
	b := &box{TB: t, store: s, files: maps.Clone(start), agreed: makeTree(t, s, start)}

	b.files["a"] = lines(5, "2", "box")
	host := maps.Clone(start)
	host["a"] = lines(5, "2", "host")
	b.apply(b.plan(makeTree(t, s, host)))
	host["b"] = "2\n"
	up := b.plan(makeTree(t, s, host))
	b.apply(up)
	if diff := cmp.Diff(map[string]string{"a": lines(5, "2", "box"), "b": "2\n"}, b.files); diff != "" {
		t.Errorf("the sandbox (-want +got):\n%s", diff)
	}
	if len(up.Conflicts) != 1 || up.Conflicts[0].Path != "a" {
		t.Errorf("conflicts %+v, want a still", up.Conflicts)
	}
	// The person takes the sandbox's version over by hand: no conflict any more.
	host["a"] = lines(5, "2", "box")
	up = b.plan(makeTree(t, s, host))
	b.apply(up)
	if len(up.Conflicts) != 0 || b.files["a"] != lines(5, "2", "box") {
		t.Errorf("conflicts %+v, a %q", up.Conflicts, b.files["a"])
	}
	if diff := cmp.Diff(host, contents(t, s, b.agreed)); diff != "" {
		t.Errorf("agreed (-want +got):\n%s", diff)
	}
}

func TestU1_EmptyingTheTreeIsAMassDeletion(t *testing.T) {
	h := newHost(t)
	s := h.store()
	many := map[string]string{}
	for i := range 120 {
		many[fmt.Sprintf("f%03d", i)] = "x"
	}
	without := func(n int) map[string]string {
		out := maps.Clone(many)
		for i := range n {
			delete(out, fmt.Sprintf("f%03d", i))
		}
		return out
	}
	for _, c := range []struct {
		deletes int
		mass    bool
	}{{50, false}, {60, false}, {61, true}, {120, true}} {
		b := &box{TB: t, store: s, files: maps.Clone(many), agreed: makeTree(t, s, many)}
		if up := b.plan(makeTree(t, s, without(c.deletes))); up.Deletes != c.deletes || up.Mass != c.mass {
			t.Errorf("%d of 120: deletes %d, mass %v; want %v", c.deletes, up.Deletes, up.Mass, c.mass)
		}
	}
	few := map[string]string{}
	for i := range 50 {
		few[fmt.Sprintf("f%03d", i)] = "x"
	}
	b := &box{TB: t, store: s, files: maps.Clone(few), agreed: makeTree(t, s, few)}
	if up := b.plan(makeTree(t, s, nil)); up.Mass {
		t.Error("50 files are few enough to need no yes")
	}
}

func TestAdvanceMovesSomePathsAndLeavesTheOthers(t *testing.T) {
	h := newHost(t)
	s := h.store()
	ctx := context.Background()
	agreed := makeTree(t, s, map[string]string{"a": "1", "dir/b": "1", "c": "1"})
	entries, err := s.Repo.ReadTree(ctx, makeTree(t, s, map[string]string{"a": "*2", "dir": "file"}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Advance(ctx, agreed, append(entries, tree.Entry{Path: "dir/b"}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "*2", "dir": "file", "c": "1"}, contents(t, s, got)); diff != "" {
		t.Errorf("agreed (-want +got):\n%s", diff)
	}
	if same, err := s.Advance(ctx, got, nil); same != got || err != nil {
		t.Errorf("nothing to advance: %q, %v", same, err)
	}
}

// The law of the way up: whatever both sides did, after a sync the sandbox has all
// that it had brought itself and all that the host brought, or a conflict names the
// path; what one side deleted is gone; and a second sync has nothing to do but what
// was named.
func TestLaw_HostsAndSandboxesEditsSurviveOrAreNamed(t *testing.T) {
	h := newHost(t)
	s := h.store()
	paths := []string{"a", "b", "d", "d/x", "d/y", "d/e/z", "A"}
	token := 0
	rapid.Check(t, func(rt *rapid.T) {
		path := rapid.SampledFrom(paths)
		content := func(old, label string) string {
			token++
			mark := fmt.Sprintf("<%d>", token)
			switch rapid.IntRange(0, 6).Draw(rt, label+" kind") {
			case 0:
				return "-> " + mark
			case 1:
				return "\x00" + mark
			case 2:
				return "*" + lines(12, fmt.Sprint(rapid.IntRange(0, 11).Draw(rt, label+" line")), mark)
			case 3:
				return lines(12, fmt.Sprint(rapid.IntRange(0, 11).Draw(rt, label+" line")), mark)
			default: // one line of what is there
				all := strings.Split(old, "\n")
				all[rapid.IntRange(0, len(all)-1).Draw(rt, label+" line")] = mark
				return strings.Join(all, "\n")
			}
		}
		edit := func(files map[string]string, label string) map[string]string {
			files = maps.Clone(files)
			for range rapid.IntRange(0, 4).Draw(rt, label+" edits") {
				p := path.Draw(rt, label+" path")
				switch text, ok := files[p]; rapid.IntRange(0, 4).Draw(rt, label+" what") {
				case 0:
					delete(files, p)
				case 1: // move
					if ok {
						delete(files, p)
						put(files, path.Draw(rt, label+" to"), text)
					}
				default:
					put(files, p, content(text, label))
				}
			}
			return files
		}
		start := edit(map[string]string{"a": lines(12), "d/x": lines(12, "0", "x")}, "start")
		b := &box{TB: t, store: s, files: maps.Clone(start)}
		b.agreed = b.tree()
		host := maps.Clone(start)
		for range rapid.IntRange(1, 2).Draw(rt, "rounds") {
			host = edit(host, "host")
			inside := edit(b.files, "sandbox")
			agreed := b.read(b.agreed)
			b.files = maps.Clone(inside)
			hostTree := b.make(host)
			up := b.plan(hostTree)
			b.apply(up)
			checkLaw(rt, agreed, host, inside, b.files, up)
			for _, w := range b.plan(hostTree).Writes {
				// Once its surroundings are settled, a conflict may be none any more.
				if !slices.ContainsFunc(up.Conflicts, func(c Conflict) bool { return c.Path == w.New.Path }) {
					rt.Fatalf("a second plan writes %+v", w)
				}
			}
		}
	})
}

// put adds a file, and takes away what cannot be beside it.
func put(files map[string]string, path, text string) {
	maps.DeleteFunc(files, func(p, _ string) bool { return strings.HasPrefix(p, path+"/") || strings.HasPrefix(path, p+"/") })
	files[path] = text
}

var tokens = regexp.MustCompile(`<[0-9]+>`)

// checkLaw holds a sync against the law. Each edit of the test brought a token that
// is nowhere else, so that what survived can be told.
func checkLaw(t *rapid.T, agreed, host, inside, after map[string]string, up *Up) {
	named := map[string]bool{}
	for _, c := range up.Conflicts {
		named[c.Path] = true
		if inside[c.Path] != after[c.Path] {
			t.Fatalf("%s is a conflict, and the sandbox's %q became %q", c.Path, inside[c.Path], after[c.Path])
		}
	}
	known := strings.Join(slices.Collect(maps.Values(agreed)), "\n")
	now := strings.Join(slices.Collect(maps.Values(after)), "\n")
	for path, text := range inside {
		for _, token := range tokens.FindAllString(text, -1) {
			if !strings.Contains(known, token) && !strings.Contains(now, token) {
				t.Fatalf("%s: what the sandbox brought is gone: %q", path, text)
			}
		}
	}
	for path, text := range host {
		for _, token := range tokens.FindAllString(text, -1) {
			if !strings.Contains(known, token) && !strings.Contains(now, token) && !named[path] {
				t.Fatalf("%s: what the host brought neither arrived nor is named: %q; conflicts %+v", path, text, up.Conflicts)
			}
		}
	}
	for path, text := range agreed {
		_, onHost := host[path]
		_, isInside := inside[path]
		_, isNow := after[path]
		if isNow && !named[path] && (!onHost && inside[path] == text || !isInside && host[path] == text) {
			t.Fatalf("%s was deleted on one side and is still there: %q", path, after[path])
		}
		if !isNow && !named[path] && host[path] == text && inside[path] == text && onHost && isInside {
			t.Fatalf("%s is gone, and neither side deleted it", path)
		}
	}
}

func TestAChangeIsNotLostWhereItsFileWasMovedBelowAConflict(t *testing.T) {
	h := newHost(t)
	b := &box{TB: t, store: h.store(), files: map[string]string{"b": "\x00 before", "d/x": lines(12)}}
	b.agreed = b.tree()
	host := map[string]string{"d/y": "\x00 before", "d/x": lines(12, "7", "host")}
	b.files = map[string]string{"b": "\x00 after", "d": lines(12, "2", "inside")}
	b.apply(b.plan(b.make(host)))
	if b.files["b"] != "\x00 after" {
		t.Errorf("the sandbox has %q", b.files)
	}
}
