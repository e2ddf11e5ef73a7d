package tree_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"glue-lsp/internal/tree"
)

func TestIgnoreRulesMatchAsTheManualSays(t *testing.T) {
	for _, c := range []struct {
		rules, path   string
		isDir, ignore bool
	}{
		{"*.o", "a.o", false, true},
		{"*.o", "sub/deep/a.o", false, true},
		{"/a", "a", false, true},
		{"/a", "sub/a", false, false},
		{"doc/*.txt", "doc/a.txt", false, true},
		{"doc/*.txt", "doc/sub/a.txt", false, false},
		{"doc/*.txt", "x/doc/a.txt", false, false},
		{"doc/**/a", "doc/a", false, true},
		{"doc/**/a", "doc/x/y/a", false, true},
		{"**/a/b", "x/a/b", false, true},
		{"abc/**", "abc/x/y", false, true},
		{"abc/**", "abc", true, false},
		{"build/", "build", true, true},
		{"build/", "build", false, false},
		{"build/", "build/x", false, true},
		{"*\n!keep", "keep", false, false},
		{"build\n!build/keep", "build/keep", false, true}, // a parent is ignored
		{"build/*\n!build/keep", "build/keep", false, false},
		{"!a\na", "a", false, true},
		{"a\n!a", "a", false, false},
		{"# a comment", "# a comment", false, false},
		{`\#a`, "#a", false, true},
		{`\!a`, "!a", false, true},
		{"a ", "a", false, true},
		{`a\ `, "a ", false, true},
		{"a\r\n", "a", false, true},
		{"\ufeffa", "a", false, true},
		{"a[!b]c", "a/c", false, false},
		{"/x/a[!b]c", "x/a/c", false, false},
		{"/x/a[.-0]c", "x/a/c", false, false},
		{"/x/a?c", "x/a/c", false, false},
		{"foo**/bar", "foox/bar", false, true},
		{"a\\", "a", false, false},
		{"[", "[", false, false},
		{"\xff*", "\xff\xfe", false, true},
		{"/", "a", false, false},
		{"", "a", false, false},
	} {
		m := tree.NewMatcher([]tree.IgnoreFile{{Content: []byte(c.rules)}}, false)
		if got := m.Ignored(c.path, c.isDir); got != c.ignore {
			t.Errorf("rules %q, path %q (folder: %v): ignored %v, want %v", c.rules, c.path, c.isDir, got, c.ignore)
		}
	}
}

func TestIgnoreFilesOfDeeperFoldersAndLaterFilesTakePrecedence(t *testing.T) {
	m := tree.NewMatcher([]tree.IgnoreFile{
		{Dir: "sub", Content: []byte("!a\n/c\n")},
		{Dir: "", Content: []byte("a\nb\n")},
		{Dir: "", Content: []byte("!b\n")},
	}, false)
	for path, want := range map[string]bool{"a": true, "b": false, "sub/a": false, "sub/c": true, "c": false, "sub/x/c": false, "": false} {
		if got := m.Ignored(path, false); got != want {
			t.Errorf("%q: ignored %v, want %v", path, got, want)
		}
	}
}

func TestIgnoreCaseFoldsLetters(t *testing.T) {
	for _, rules := range []string{"README", "*.MD\nReadMe", "r[E]*\nreadme", "/ReadMe"} {
		m := tree.NewMatcher([]tree.IgnoreFile{{Content: []byte(rules)}}, true)
		if !m.Ignored("readME", false) {
			t.Errorf("rules %q do not match readME", rules)
		}
	}
}

func TestAnEmptyMatcherIgnoresNothing(t *testing.T) {
	if tree.NewMatcher(nil, false).Ignored("a/b", true) {
		t.Error("a/b is ignored without a rule")
	}
}

func TestHostilePatternsEnd(t *testing.T) {
	rules := strings.Repeat("a*", 200) + "b\n" + strings.Repeat("**/a", 100) + "/b\n/x/" + strings.Repeat("a**/*", 60) + "b\n"
	m := tree.NewMatcher([]tree.IgnoreFile{{Content: []byte(rules)}}, false)
	for _, path := range []string{strings.Repeat("a", 4000), strings.Repeat("a/", 400) + "a", "x/" + strings.Repeat("a/", 400) + "a"} {
		if m.Ignored(path, false) {
			t.Errorf("a path of %d bytes is ignored", len(path))
		}
	}
}

func TestAMatcherMayBeUsedByMany(t *testing.T) {
	m := tree.NewMatcher([]tree.IgnoreFile{{Content: []byte("*.o\n")}, {Dir: "d3", Content: []byte("x*\n")}}, false)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 500 {
				path := fmt.Sprintf("d%d/sub%d/x", i%7, i)
				if got, want := m.Ignored(path, false), i%7 == 3; got != want {
					t.Errorf("%s: ignored %v, want %v", path, got, want)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkMatcher(b *testing.B) {
	var rules strings.Builder
	for i := range 10 {
		fmt.Fprintf(&rules, "*.ext%d\nname%d\n/top%d/*.x\nbuild%d/\na%d/**/b\n", i, i, i, i, i)
	}
	paths := make([]string, 0, 100_000)
	for i := range 100_000 {
		paths = append(paths, fmt.Sprintf("area%02d/part%03d/file%05d.txt", i/25/64, i/25%64, i%25))
	}
	for b.Loop() {
		m := tree.NewMatcher([]tree.IgnoreFile{{Content: []byte(rules.String())}}, false)
		for _, path := range paths {
			if m.Ignored(path, false) {
				b.Fatal(path)
			}
		}
	}
}
