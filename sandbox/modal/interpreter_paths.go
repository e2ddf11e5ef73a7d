package modal

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// paths finds programs along a PATH, none of them in a working tree: what lies there
// others may have put there.
type paths struct {
	dirs    []string
	avoided []string // entries of PATH that are left out
	home    string
	roots   []string // working trees, with and without their links resolved
}

func newPaths(environ, roots []string) *paths {
	p := &paths{home: lookup(environ, "HOME")}
	for _, root := range roots {
		if root = filepath.Clean(root); filepath.IsAbs(root) {
			p.roots = append(p.roots, root)
			if real, err := filepath.EvalSymlinks(root); err == nil && real != root {
				p.roots = append(p.roots, real)
			}
		}
	}
	for _, dir := range filepath.SplitList(lookup(environ, "PATH")) {
		switch {
		case slices.Contains(p.dirs, dir) || slices.Contains(p.avoided, dir) || dir == "":
		case !filepath.IsAbs(dir), p.within(dir) != "":
			p.avoided = append(p.avoided, dir)
		default:
			p.dirs = append(p.dirs, dir)
		}
	}
	return p
}

// lookup is the last value of a variable, as a program would see it.
func lookup(environ []string, name string) string {
	for _, kv := range slices.Backward(environ) {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// within gives the working tree that path lies in, by its name or behind its links; "" is
// none.
func (p *paths) within(path string) string {
	spelled := []string{filepath.Clean(path)}
	// The folder's links and the file's are looked at apart: a virtual environment's
	// interpreter is itself a link to the one that it was made from.
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		spelled = append(spelled, filepath.Join(dir, filepath.Base(path)))
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		spelled = append(spelled, real)
	}
	for _, root := range p.roots {
		for _, s := range spelled {
			if s == root || strings.HasPrefix(s, strings.TrimSuffix(root, "/")+"/") {
				return root
			}
		}
	}
	return ""
}

// all are the programs of that name along PATH.
func (p *paths) all(name string) []string {
	var out []string
	for _, dir := range p.dirs {
		if path := filepath.Join(dir, name); executable(path) && p.within(path) == "" {
			out = append(out, path)
		}
	}
	return out
}

// program finds what a setting names: an absolute path, one that begins with ~/, or a name
// to look for on PATH.
func (p *paths) program(name string) (string, error) {
	if rest, ok := strings.CutPrefix(name, "~/"); ok && p.home != "" {
		name = filepath.Join(p.home, rest)
	}
	switch {
	case filepath.IsAbs(name):
		return name, usable(name)
	case strings.ContainsRune(name, '/'):
		return "", fmt.Errorf("%s is not an absolute path", name)
	}
	if found := p.all(name); len(found) > 0 {
		return found[0], nil
	}
	return "", fmt.Errorf("there is no program %s on PATH", name)
}

// modalCommand is program for the modal command. An editor that was not started from a
// shell often has a PATH without the folder where uv and pipx put commands.
func (p *paths) modalCommand(name string) (string, error) {
	path, err := p.program(name)
	if err != nil && name == defaultCLI && filepath.IsAbs(p.home) {
		if own := filepath.Join(p.home, ".local", "bin", name); executable(own) && p.within(own) == "" {
			return own, nil
		}
	}
	return path, err
}

func executable(path string) bool { return usable(path) == nil }

func usable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		if pe, ok := err.(*fs.PathError); ok { //nolint:errorlint // os.Stat gives nothing else
			err = pe.Err
		}
		return fmt.Errorf("%s: %w", path, err)
	case info.IsDir():
		return fmt.Errorf("%s is a folder", path)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("%s is not executable", path)
	}
	return nil
}

// identity is alike for two names of one interpreter in one environment. The name's folder
// counts too: it decides which packages the interpreter has.
func identity(path string) string {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return path
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return path
	}
	return dir + "\x00" + real
}
