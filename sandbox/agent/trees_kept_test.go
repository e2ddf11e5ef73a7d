package agent

import (
	"errors"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

func TestF14_WhatStaysOfAFormerTreeIsDecidedByTheRulesAndTheNewOne(t *testing.T) {
	entries := []tree.Entry{{Path: "src/a.c"}, {Path: "src/kept.o"}, {Path: "was-file/x"}, {Path: "was-folder"}, {Path: "deps/vendored"}, {Path: "led/x"}, {Path: "hollow/x"}}
	ignore := []tree.IgnoreFile{{Content: []byte("*.o\n/deps\n/went-up\n/logs/\n/.git-like\n")}, {Dir: "sub", Content: []byte("!back.o\n")}}
	gone := []string{"went-up/key", "b.o", "deps/former/key", "old/c"}
	for name, x := range map[string]struct {
		there     []string // folders end in a slash
		overClone bool
		want      []string
	}{
		"an empty root":                          {},
		"ignored files and folders stay":         {there: []string{"a.o", "deps/lib/x.js", "deps/empty/", "src/x.o", "logs/1"}},
		"other files go":                         {there: []string{"x", "src/gone.c", "src/a.o"}, want: []string{"src/gone.c", "x"}},
		"files of the new tree are written anew": {there: []string{"src/a.c", "src/kept.o", "deps/vendored"}, want: []string{"deps/vendored", "src/a.c", "src/kept.o"}},
		"files that went up go":                  {there: []string{"b.o", "went-up/key", "went-up/made", "deps/former/key"}, want: []string{"b.o", "deps/former", "went-up/key"}},
		"a folder of only these goes":            {there: []string{"went-up/key"}, want: []string{"went-up"}},
		"a folder where a file went up stays":    {there: []string{"b.o/made"}},
		"folders that were emptied go as one":    {there: []string{"old/c", "old/d/e", "old/d/f/"}, want: []string{"old"}},
		"but for those of the new tree":          {there: []string{"hollow/"}},
		"of which no file holds the place":       {there: []string{"was-file", "was-folder/made.o", "led"}, want: []string{"led", "was-file", "was-folder"}},
		"one ignored file keeps its folders":     {there: []string{"old/d/e.o", "old/d/f", "old/g"}, want: []string{"old/d/f", "old/g"}},
		"a rule for folders is for no file":      {there: []string{"logs"}, want: []string{"logs"}},
		"rules of folders count there":           {there: []string{"sub/back.o", "sub/x.o"}, want: []string{"sub/back.o"}},
		"the repository goes":                    {there: []string{".git/HEAD", "deps/.git/HEAD"}, want: []string{".git"}},
		"unless a clone just left it":            {there: []string{".git/HEAD", "x"}, overClone: true, want: []string{"x"}},
		"a link to a repository goes as well":    {there: []string{".git"}, want: []string{".git"}},
		"names are any bytes":                    {there: []string{"\xff\n/-rf.o", "\xff\n/ ", "deps/\xfe"}, want: []string{"\xff\n/ "}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := NewKept(entries, ignore, gone, x.overClone).Going(listingOf(x.there))
			slices.Sort(got)
			if diff := cmp.Diff(x.want, got); diff != "" || err != nil {
				t.Errorf("%v; goes (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestOfAFolderThatStaysWholeNothingIsAsked(t *testing.T) {
	k := NewKept([]tree.Entry{{Path: "src/a.c"}}, []tree.IgnoreFile{{Content: []byte("node_modules/\n")}}, []string{"src/node_modules/went/up"}, false)
	list := listingOf([]string{"node_modules/a/b", ".git/objects/x", "src/node_modules/went/up", "src/node_modules/made/x", "src/deep/node_modules/c", "old/x"})
	var asked []string
	going, err := k.Going(func(dir string) ([]KeptChild, error) {
		if dir != "" && !k.Opens(dir) {
			t.Errorf("%q was not said to open", dir)
		}
		asked = append(asked, dir)
		return list(dir)
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(asked)
	slices.Sort(going)
	if diff := cmp.Diff([]string{"", "old", "src", "src/deep", "src/node_modules", "src/node_modules/went"}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{".git", "old", "src/node_modules/went"}, going); diff != "" {
		t.Errorf("goes (-want +got):\n%s", diff)
	}
}

func TestAFolderThatCannotBeReadIsNotTakenForEmpty(t *testing.T) {
	broken := errors.New("cannot be read")
	list := listingOf([]string{"b/c", "d"})
	_, err := NewKept(nil, nil, nil, false).Going(func(dir string) ([]KeptChild, error) {
		if dir == "b" {
			return nil, broken
		}
		return list(dir)
	})
	if !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}

// listingOf makes a root of files, and of folders, which end in a slash.
func listingOf(paths []string) func(dir string) ([]KeptChild, error) {
	folders := map[string][]KeptChild{}
	for _, p := range paths {
		for isDir := strings.HasSuffix(p, "/"); p != ""; p, isDir = parent(p), true {
			p = strings.TrimSuffix(p, "/")
			c := KeptChild{Name: path.Base(p), IsDir: isDir}
			if !slices.Contains(folders[parent(p)], c) {
				folders[parent(p)] = append(folders[parent(p)], c)
			}
		}
	}
	return func(dir string) ([]KeptChild, error) { return folders[dir], nil }
}
