package git

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"glue-lsp/internal/tree"
)

const ten = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"

func edited(old, changed string) string { return strings.Replace(ten, old+"\n", changed+"\n", 1) }

// conflict is what a test says of one.
type conflict struct {
	Kind   string
	Paths  string    // joined by spaces
	Stages [3]string // the path at each stage, "" where there is nothing
}

func conflictsOf(m MergeResult) []conflict {
	var out []conflict
	for _, c := range m.Conflicts {
		got := conflict{Kind: c.Kind, Paths: strings.Join(c.Paths, " ")}
		for i, e := range c.Stages {
			if e.Exists() {
				got.Stages[i] = e.Path
			}
		}
		out = append(out, got)
	}
	return out
}

func TestMerge(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	gone := remove
	reg := func(path, content string) Change { return write(path, content, tree.Regular) }
	for name, c := range map[string]struct {
		base         map[string]string
		ours, theirs []Change
		want         map[string]string // of the result
		conflicts    []conflict
	}{
		"changes of different files": {
			base: map[string]string{"a": "1", "b": "1"},
			ours: []Change{reg("a", "2")}, theirs: []Change{reg("b", "2"), reg("new/x", "3")},
			want: map[string]string{"a": "2", "b": "2", "new/x": "3"},
		},
		"changes of different lines": {
			base: map[string]string{"a": ten},
			ours: []Change{reg("a", edited("2", "two"))}, theirs: []Change{reg("a", edited("9", "nine"))},
			want: map[string]string{"a": strings.Replace(edited("2", "two"), "9", "nine", 1)},
		},
		"the same change": {
			base: map[string]string{"a": ten, "b": "1", "c": "1"},
			ours: []Change{reg("a", edited("2", "two")), gone("b"), reg("n", "1")}, theirs: []Change{reg("a", edited("2", "two")), gone("b"), reg("n", "1"), reg("c", "2")},
			want: map[string]string{"a": edited("2", "two"), "n": "1", "c": "2"},
		},
		"changes of the same line": {
			base: map[string]string{"a": ten, "b": "1"},
			ours: []Change{reg("a", edited("5", "five"))}, theirs: []Change{reg("a", edited("5", "FIVE")), reg("b", "2")},
			want:      map[string]string{"a": edited("5", "five"), "b": "2"},
			conflicts: []conflict{{ConflictContent, "a", [3]string{"a", "a", "a"}}},
		},
		"both add": {
			base: map[string]string{"k": "1"},
			ours: []Change{reg("a", "ours")}, theirs: []Change{reg("a", "theirs")},
			want:      map[string]string{"k": "1", "a": "ours"},
			conflicts: []conflict{{ConflictAddAdd, "a", [3]string{"", "a", "a"}}},
		},
		"ours deletes, theirs changes": {
			base: map[string]string{"d/a": ten, "k": "1"},
			ours: []Change{gone("d/a")}, theirs: []Change{reg("d/a", edited("5", "FIVE"))},
			want:      map[string]string{"k": "1"},
			conflicts: []conflict{{ConflictModifyDelete, "d/a", [3]string{"d/a", "", "d/a"}}},
		},
		"ours changes, theirs deletes": {
			base: map[string]string{"a": ten, "k": "1"},
			ours: []Change{reg("a", edited("5", "five"))}, theirs: []Change{gone("a")},
			want:      map[string]string{"a": edited("5", "five"), "k": "1"},
			conflicts: []conflict{{ConflictModifyDelete, "a", [3]string{"a", "a", ""}}},
		},
		"binary": {
			base: map[string]string{"a": "\x00base"},
			ours: []Change{reg("a", "\x00ours")}, theirs: []Change{reg("a", "\x00theirs")},
			want:      map[string]string{"a": "\x00ours"},
			conflicts: []conflict{{ConflictBinary, "a", [3]string{"a", "a", "a"}}},
		},
		"a rename is followed": {
			base: map[string]string{"a": ten},
			ours: []Change{gone("a"), reg("b", ten)}, theirs: []Change{reg("a", edited("5", "FIVE"))},
			want: map[string]string{"b": edited("5", "FIVE")},
		},
		"a rename by theirs is followed": {
			base: map[string]string{"a": ten},
			ours: []Change{reg("a", edited("5", "five"))}, theirs: []Change{gone("a"), reg("b", ten)},
			want: map[string]string{"b": edited("5", "five")},
		},
		"a renamed folder does not take new files along": {
			base: map[string]string{"old/a": ten, "old/b": edited("1", "b")},
			ours: []Change{gone("old/a"), gone("old/b"), reg("new/a", ten), reg("new/b", edited("1", "b"))}, theirs: []Change{reg("old/c", "c")},
			want: map[string]string{"new/a": ten, "new/b": edited("1", "b"), "old/c": "c"},
		},
		"ours renames, both change the same line": {
			base: map[string]string{"a": ten},
			ours: []Change{gone("a"), reg("b", edited("5", "five"))}, theirs: []Change{reg("a", edited("5", "FIVE"))},
			want:      map[string]string{"b": edited("5", "five")},
			conflicts: []conflict{{ConflictContent, "a b", [3]string{"a", "b", "a"}}},
		},
		"theirs renames, both change the same line": {
			base: map[string]string{"a": ten},
			ours: []Change{reg("a", edited("5", "five"))}, theirs: []Change{gone("a"), reg("b", edited("5", "FIVE"))},
			want:      map[string]string{"a": edited("5", "five")},
			conflicts: []conflict{{ConflictContent, "a b", [3]string{"a", "a", "b"}}},
		},
		"both rename, differently": {
			base: map[string]string{"a": ten},
			ours: []Change{gone("a"), reg("b", ten)}, theirs: []Change{gone("a"), reg("c", ten)},
			want:      map[string]string{"b": ten},
			conflicts: []conflict{{ConflictRename, "a b c", [3]string{"a", "b", "c"}}},
		},
		"two files renamed to one": {
			base: map[string]string{"a": ten, "b": strings.ToUpper(strings.Repeat("x y z\n", 10))},
			ours: []Change{gone("a"), reg("c", ten)}, theirs: []Change{gone("b"), reg("c", strings.ToUpper(strings.Repeat("x y z\n", 10)))},
			want:      map[string]string{"b": strings.ToUpper(strings.Repeat("x y z\n", 10)), "c": ten},
			conflicts: []conflict{{ConflictRename, "a b c", [3]string{"a", "c", "c"}}},
		},
		"ours renames, theirs deletes": {
			base: map[string]string{"a": ten, "k": "1"},
			ours: []Change{gone("a"), reg("b", edited("5", "five"))}, theirs: []Change{gone("a")},
			want:      map[string]string{"b": edited("5", "five"), "k": "1"},
			conflicts: []conflict{{ConflictRename, "a b", [3]string{"a", "b", ""}}},
		},
		"ours renames to where theirs adds": {
			base: map[string]string{"a": ten},
			ours: []Change{gone("a"), reg("b", ten)}, theirs: []Change{reg("b", "added")},
			want:      map[string]string{"b": ten},
			conflicts: []conflict{{ConflictRename, "a b", [3]string{"a", "b", "b"}}},
		},
		"a folder where theirs has a file": {
			base: map[string]string{"d": ten},
			ours: []Change{gone("d"), reg("d/x", "1")}, theirs: []Change{reg("d", edited("5", "FIVE"))},
			want:      map[string]string{"d/x": "1"},
			conflicts: []conflict{{ConflictType, "d", [3]string{"d", "", "d"}}},
		},
		"a file where theirs has a folder": {
			base: map[string]string{"d": ten, "k": "1"},
			ours: []Change{reg("d", edited("5", "five"))}, theirs: []Change{gone("d"), reg("d/x", "1"), reg("d/y/z", "2"), reg("k", "2")},
			want:      map[string]string{"d": edited("5", "five"), "k": "2"},
			conflicts: []conflict{{ConflictType, "d d/x d/y/z", [3]string{"d", "d", ""}}},
		},
		"both add, a file and a folder": {
			base: map[string]string{"k": "1"},
			ours: []Change{reg("d/x", "1")}, theirs: []Change{reg("d", "file")},
			want:      map[string]string{"d/x": "1", "k": "1"},
			conflicts: []conflict{{ConflictType, "d", [3]string{"", "", "d"}}},
		},
		"a link and a file": {
			base: map[string]string{"a": ten},
			ours: []Change{write("a", "target", tree.Symlink)}, theirs: []Change{reg("a", edited("5", "FIVE"))},
			want:      map[string]string{"a": "target"},
			conflicts: []conflict{{ConflictType, "a", [3]string{"a", "a", "a"}}},
		},
		"names like those that git makes up": {
			base: map[string]string{"d": ten, "d~theirs": "1", "d~HEAD": "2"},
			ours: []Change{gone("d"), reg("d/x", "1")}, theirs: []Change{reg("d", edited("5", "FIVE")), reg("d~HEAD", "3")},
			want:      map[string]string{"d/x": "1", "d~theirs": "1", "d~HEAD": "3"},
			conflicts: []conflict{{ConflictType, "d", [3]string{"d", "", "d"}}},
		},
		"carriage returns are bytes": {
			base: map[string]string{"a": strings.ReplaceAll(ten, "\n", "\r\n")},
			ours: []Change{reg("a", strings.ReplaceAll(edited("2", "two"), "\n", "\r\n"))}, theirs: []Change{reg("a", strings.ReplaceAll(edited("9", "nine"), "\n", "\r\n"))},
			want: map[string]string{"a": strings.ReplaceAll(strings.Replace(edited("2", "two"), "9", "nine", 1), "\n", "\r\n")},
		},
		"two conflicts": {
			base: map[string]string{"a": ten, "sub/b": ten},
			ours: []Change{reg("a", edited("5", "five")), reg("sub/b", edited("5", "five"))}, theirs: []Change{reg("a", edited("5", "FIVE")), gone("sub/b")},
			want:      map[string]string{"a": edited("5", "five"), "sub/b": edited("5", "five")},
			conflicts: []conflict{{ConflictContent, "a", [3]string{"a", "a", "a"}}, {ConflictModifyDelete, "sub/b", [3]string{"sub/b", "sub/b", ""}}},
		},
		"odd names": {
			base: map[string]string{"-a\n\"b": ten},
			ours: []Change{reg("-a\n\"b", edited("5", "five"))}, theirs: []Change{reg("-a\n\"b", edited("5", "FIVE"))},
			want:      map[string]string{"-a\n\"b": edited("5", "five")},
			conflicts: []conflict{{ConflictContent, "-a\n\"b", [3]string{"-a\n\"b", "-a\n\"b", "-a\n\"b"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			base := makeTree(t, r, c.base)
			m, err := r.Merge(t.Context(), base, update(t, r, base, c.ours...), update(t, r, base, c.theirs...))
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for path, content := range contents(t, r, m.Tree) {
				_, got[path], _ = strings.Cut(content, " ")
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("result: %s", d)
			}
			if d := cmp.Diff(c.conflicts, conflictsOf(m)); d != "" {
				t.Errorf("conflicts: %s", d)
			}
			for _, c := range m.Conflicts {
				if c.Detail == "" {
					t.Errorf("%s says nothing about itself", c.Paths)
				}
			}
		})
	}
}

func TestF22_AttributesOfATreeDecideNoMerge(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	for _, rule := range []string{"* merge=union", "* merge=ours", "* -merge", "* binary", "* -diff", "* text eol=crlf", "* conflict-marker-size=1"} {
		base := makeTree(t, r, map[string]string{"a": ten, "b": ten, ".gitattributes": rule + "\n"})
		ours := update(t, r, base, write("a", edited("5", "five"), tree.Regular), write("b", edited("2", "two"), tree.Regular))
		theirs := update(t, r, base, write("a", edited("5", "FIVE"), tree.Regular), write("b", edited("9", "nine"), tree.Regular))
		m, err := r.Merge(t.Context(), base, ours, theirs)
		if err != nil {
			t.Fatal(err)
		}
		want := []conflict{{ConflictContent, "a", [3]string{"a", "a", "a"}}}
		if d := cmp.Diff(want, conflictsOf(m)); d != "" {
			t.Errorf("with %q: %s", rule, d)
		}
		if got := contents(t, r, m.Tree)["b"]; got != "100644 "+strings.Replace(edited("2", "two"), "9", "nine", 1) {
			t.Errorf("with %q: b is %q", rule, got)
		}
	}
}

func TestAMergeLeavesOnlyItsResultInTheStore(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	base := makeTree(t, r, map[string]string{"a": ten, "b": ten})
	ours := update(t, r, base, write("a", edited("5", "five"), tree.Regular), write("b", edited("2", "two"), tree.Regular))
	theirs := update(t, r, base, write("a", edited("5", "FIVE"), tree.Regular), write("b", edited("9", "nine"), tree.Regular))
	before := objects(t, r)
	m, err := r.Merge(t.Context(), base, ours, theirs)
	if err != nil {
		t.Fatal(err)
	}
	merged := tree.HashBytes(tree.SHA1, []byte(strings.Replace(edited("2", "two"), "9", "nine", 1)))
	want := append(slices.Clone(before), m.Tree, merged)
	slices.Sort(want)
	if d := cmp.Diff(want, objects(t, r)); d != "" {
		t.Error(d)
	}
	if again, err := r.Merge(t.Context(), base, ours, theirs); err != nil || again.Tree != m.Tree {
		t.Errorf("merged again: %+v, %v", again, err)
	}
	if left := leftovers(t, r); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestNoMergeLosesWhatOursChanged is the law that the user's tree rests on: a path
// holds what one of the three trees or a clean merge says, a path in conflict holds
// ours, and where theirs changed nothing ours is kept.
func TestNoMergeLosesWhatOursChanged(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	rapid.Check(t, func(rt *rapid.T) {
		base := drawTree(rt, nil)
		ours, theirs := drawTree(rt, base), drawTree(rt, base)
		id := func(files map[string]string) string {
			var changes []Change
			for path, content := range files {
				changes = append(changes, write(path, content, tree.Regular))
			}
			id, err := r.Update(t.Context(), "", changes)
			if err != nil {
				rt.Fatal(err)
			}
			return id
		}
		m, err := r.Merge(t.Context(), id(base), id(ours), id(theirs))
		if err != nil {
			rt.Fatal(err)
		}
		got := map[string]string{}
		for path, content := range contents(t, r, m.Tree) {
			_, got[path], _ = strings.Cut(content, " ")
		}
		inConflict := map[string]bool{}
		for _, c := range m.Conflicts {
			for _, p := range c.Paths {
				inConflict[p] = true
				if got[p] != ours[p] {
					rt.Errorf("%s is in conflict and not as in ours", p)
				}
			}
		}
		for path := range got {
			if _, mine := ours[path]; !mine {
				if _, their := theirs[path]; !their {
					rt.Errorf("%s is in neither tree", path)
				}
			}
			if strings.Contains(got[path], "<<<<<<<") {
				rt.Errorf("%s has markers", path)
			}
		}
		for path, content := range ours {
			added := strings.HasPrefix(content, "new ") // not a move, which theirs may have changed
			if added && !inConflict[path] && theirs[path] == base[path] && got[path] != content {
				rt.Errorf("%s, which ours alone has, is %q", path, got[path])
			}
		}
	})
}

// drawTree draws a tree, or a variation of one with edits, moves, deletions and
// folders in the place of files.
func drawTree(rt *rapid.T, from map[string]string) map[string]string {
	paths := []string{"a", "b", "c", "d/a", "d/b", "d", "a/x", "e/f/g"}
	files := map[string]string{}
	for path, content := range from {
		files[path] = content
	}
	put := func(path, content string) {
		for other := range files {
			if strings.HasPrefix(other, path+"/") || strings.HasPrefix(path, other+"/") {
				delete(files, other)
			}
		}
		files[path] = content
	}
	if from == nil {
		for i := range rapid.IntRange(1, 5).Draw(rt, "files") {
			put(rapid.SampledFrom(paths).Draw(rt, "path"), strings.ReplaceAll(ten, "\n", fmt.Sprintf(" of %d\n", i)))
		}
		return files
	}
	for range rapid.IntRange(0, 4).Draw(rt, "edits") {
		path, to := rapid.SampledFrom(paths).Draw(rt, "path"), rapid.SampledFrom(paths).Draw(rt, "to")
		content, there := files[path]
		line := rapid.SampledFrom([]string{"2", "5", "9"}).Draw(rt, "line")
		switch what := rapid.IntRange(0, 3).Draw(rt, "what"); {
		case what == 0:
			delete(files, path)
		case what == 1 && there:
			put(path, strings.Replace(content, line+" of", line+rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "edit")+" of", 1))
		case what == 2 && there:
			delete(files, path)
			put(to, content)
		case what == 3:
			put(to, "new "+line+"\n")
		}
	}
	return files
}
