package workspace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestF8_AnythingCanTurnIntoAnythingAndArrivesByPlainGitAm(t *testing.T) {
	type inside = *insideGit
	file := func(in inside) { in.put("a", "a file\n") }
	folder := func(in inside) {
		in.put("a/b", "a file\n")
		in.put("a/c/d", "below\n")
	}
	linkTo := func(target string) func(inside) {
		return func(in inside) {
			if err := os.Symlink(target, filepath.Join(in.dir, "a")); err != nil {
				t.Fatal(err)
			}
		}
	}
	link, toFolder, toItself := linkTo("z.txt"), linkTo("dir"), linkTo("a")
	long := linkTo(strings.Repeat("long", 200))
	holding := func(target string) func(inside) { // a folder that holds the link that it was
		return func(in inside) {
			in.put("a/b", "a file\n")
			if err := os.Symlink(target, filepath.Join(in.dir, "a", "l")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name   string
		states []func(inside)
	}{
		{"a link becomes a folder", []func(inside){link, folder}},
		{"a link to a folder becomes a folder", []func(inside){toFolder, folder}},
		{"a link to itself becomes a folder", []func(inside){toItself, folder}},
		{"a link with a long target becomes a folder", []func(inside){long, folder}},
		{"a link moves into a folder of its name", []func(inside){link, holding("z.txt")}},
		{"a link moves out of a folder of its name", []func(inside){holding("z.txt"), link}},
		{"a link to a folder moves into a folder of its name", []func(inside){toFolder, holding("dir")}},
		{"a link to itself moves into a folder of its name", []func(inside){toItself, holding("a")}},
		{"a folder becomes a link", []func(inside){folder, link}},
		{"a file becomes a folder", []func(inside){file, folder}},
		{"a folder becomes a file", []func(inside){folder, file}},
		{"one after the other", []func(inside){link, folder, toFolder, folder, file, folder, link, file}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := newInside(t, "z.txt", "z\n", "dir/b", "x\n", "dir/l", "l\n", "dir/c/d", "d\n", "b", "b\n")
			for i, become := range c.states {
				if err := os.RemoveAll(filepath.Join(in.dir, "a")); err != nil {
					t.Fatal(err)
				}
				become(in)
				if i+1 < len(c.states) || i%2 == 0 { // else it is not committed
					in.commit("Becomes another\n")
				}
			}
			_, meta, _ := in.check(in.request())
			if len(meta.Warnings) > 0 {
				t.Errorf("warnings: %q", meta.Warnings)
			}
		})
	}
}

func TestF7_ALinkThatBecomesAFolderGoesInAMessageOfItsOwnBeforeTheCommit(t *testing.T) {
	in := newInside(t, "z.txt", "z\n")
	if err := os.Symlink("a", filepath.Join(in.dir, "a")); err != nil {
		t.Fatal(err)
	}
	in.commit("A link to itself\n")
	if err := os.Remove(filepath.Join(in.dir, "a")); err != nil {
		t.Fatal(err)
	}
	in.put("a/b", "b\n")
	in.commit("A folder\n")
	m, meta, clone := in.check(in.request())
	same(t, "subjects", []string{"A link to itself", waySubject, "A folder"}, subjects(in, clone, meta))
	same(t, "messages", 3, m.Commits)
	same(t, "authors", "glue\n"+in.git("log", "-1", "--format=%an")+"\n", in.runIn(clone, "log", "-2", "--reverse", "--format=%an"))
}
