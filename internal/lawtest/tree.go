package lawtest

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Kind is what a path holds.
type Kind byte

// The kinds of a [File].
const (
	Regular    Kind = '-'
	Executable Kind = 'x'
	Link       Kind = 'l'
	Special    Kind = 's'
)

// File is what lies at a path: Data is its content, or where a link points.
type File struct {
	Kind Kind
	Data string
}

func (f File) String() string { return fmt.Sprintf("%c %q", f.Kind, f.Data) }

// Files are the files of a folder, by path with slashes. Folders are in it only as the way
// to a file, as in a git tree.
type Files map[string]File

// Read looks at a folder. The repository at its top is left out, those further down are
// files like any other.
func Read(tb testing.TB, dir string) Files {
	tb.Helper()
	out := Files{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path, err := filepath.Rel(dir, name)
		switch {
		case err != nil:
			return err
		case path == ".git" && d.IsDir():
			return fs.SkipDir
		case path == ".git", d.IsDir():
			return nil
		}
		f, err := read(name)
		out[filepath.ToSlash(path)] = f
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func read(name string) (File, error) {
	info, err := os.Lstat(name)
	switch {
	case err != nil:
		return File{}, err
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(name)
		return File{Link, to}, err
	case !info.Mode().IsRegular():
		return File{Kind: Special}, nil
	}
	b, err := os.ReadFile(name)
	if info.Mode()&0o100 != 0 {
		return File{Executable, string(b)}, err
	}
	return File{Regular, string(b)}, err
}

// Paths are the paths in order.
func (fs Files) Paths() []string { return slices.Sorted(maps.Keys(fs)) }

// Without leaves paths out.
func (fs Files) Without(out func(path string) bool) Files {
	left := Files{}
	for path, f := range fs {
		if !out(path) {
			left[path] = f
		}
	}
	return left
}

// Differing are the paths at which two folders do not hold the same, in order.
func Differing(a, b Files) []string {
	var out []string
	for path, f := range a {
		if g, ok := b[path]; !ok || f != g {
			out = append(out, path)
		}
	}
	for path := range b {
		if _, ok := a[path]; !ok {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

// Show tells what two folders hold at the paths at which they differ.
func Show(nameA string, a Files, nameB string, b Files, paths []string) string {
	var out strings.Builder
	say := func(who string, fs Files, path string) {
		if f, ok := fs[path]; ok {
			fmt.Fprintf(&out, "  %s %s\n", who, f)
		} else {
			fmt.Fprintf(&out, "  %s has nothing\n", who)
		}
	}
	for _, path := range paths {
		fmt.Fprintf(&out, "%q:\n", path)
		say(nameA, a, path)
		say(nameB, b, path)
	}
	return out.String()
}

// Set is a set of marks.
type Set map[string]bool

// Add adds the marks of another set.
func (s Set) Add(other Set) { maps.Copy(s, other) }

// Minus gives the marks that are not in another set.
func (s Set) Minus(other Set) Set {
	out := Set{}
	for m := range s {
		if !other[m] {
			out[m] = true
		}
	}
	return out
}

// Sorted are the marks in order.
func (s Set) Sorted() []string { return slices.Sorted(maps.Keys(s)) }

var mark = regexp.MustCompile(`[A-Z]\d+;`)

// Marks are the marks in a text.
func Marks(text string) Set {
	out := Set{}
	for _, m := range mark.FindAllString(text, -1) {
		out[m] = true
	}
	return out
}

// Marks are the marks in all files.
func (fs Files) Marks() Set {
	out := Set{}
	for _, f := range fs {
		out.Add(Marks(f.Data))
	}
	return out
}

// Fingerprint is everything that is in a folder, times aside. Names for which out says yes
// are left out, with what is below them.
func Fingerprint(tb testing.TB, dir string, out func(path string) bool) map[string]string {
	tb.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		if out != nil && out(path) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		all[path] = info.Mode().String()
		if d.IsDir() {
			return nil
		}
		f, err := read(name)
		all[path] += fmt.Sprintf(" %x", sha256.Sum256([]byte(f.Data)))
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// Changed are the names in which two fingerprints differ.
func Changed(a, b map[string]string) []string {
	var out []string
	for name, was := range a {
		if b[name] != was {
			out = append(out, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
