package workspace

import (
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// nameCollisions finds files that would come to lie on each other where names that
// differ only in case are one. They are conflicts: writing one would lose the other.
func (p *planner) nameCollisions() {
	if p.r.Mode == ModeBranch || !p.foldsCase {
		return
	}
	spelled := map[string]string{} // folded name of a file or folder → as it is spelled
	for _, e := range p.r.Host.Entries {
		if !p.removed[e.Path] {
			spell(spelled, e.Path)
		}
	}
	for _, u := range p.taken() {
		if u.Old.Exists() && u.Status != StatusRenamed || !u.New.Exists() {
			continue
		}
		if other, ok := collision(spelled, u.Path); ok {
			p.refuse(u, "addAdd", "its name differs from that of "+show(other)+" only in case, and this file system takes both for one")
			continue
		}
		spell(spelled, u.Path)
	}
}

// respelled reports whether the plan removes a file which the host takes for the one
// at path, so that what lies there now goes first.
func (p *planner) respelled(path string) bool {
	return p.foldsCase && !p.removed[path] && p.foldedRemovals()[foldCase(path)]
}

func (p *planner) foldedRemovals() map[string]bool {
	if p.folded == nil {
		p.folded = make(map[string]bool, len(p.removed))
		for path := range p.removed {
			p.folded[foldCase(path)] = true
		}
	}
	return p.folded
}

// spell records how a path and the folders above it are spelled.
func spell(spelled map[string]string, path string) {
	for i := len(path); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		folded := foldCase(path[:i])
		if _, known := spelled[folded]; known {
			return
		}
		spelled[folded] = path[:i]
	}
}

func collision(spelled map[string]string, path string) (string, bool) {
	for i := len(path); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		if other, ok := spelled[foldCase(path[:i])]; ok && other != path[:i] {
			return other, true
		}
	}
	return "", false
}

func foldCase(s string) string {
	return strings.Map(func(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }, s)
}

// ignoresCase reports whether the host takes names that differ only in case for one:
// git found it so when the repository was made, or the root answers to another
// spelling of its own name.
func (w *Workspace) ignoresCase() bool {
	if src := w.Source(); src != nil && src.IgnoreCase {
		return true
	}
	dir, base := filepath.Split(w.Root())
	swapped := strings.ToUpper(base)
	if swapped == base {
		swapped = strings.ToLower(base)
	}
	if swapped == base {
		return false
	}
	here, err := os.Lstat(w.Root())
	if err != nil {
		return false
	}
	other, err := os.Lstat(filepath.Join(dir, swapped))
	return err == nil && os.SameFile(here, other)
}

// tangle marks what has to happen in a certain order: removing a file and putting
// files into a folder of that name, or removing a folder's files and putting a file in
// its place.
func (p *planner) tangle() {
	files, folders := map[string]bool{}, map[string]bool{} // that have to go first
	for _, u := range p.pieces {
		if !u.New.Exists() {
			continue
		}
		for above := range foldersAbove(u.Path) {
			if p.removed[above] {
				files[above], u.tangled = true, true
			}
		}
		if p.emptied()[u.Path] {
			folders[u.Path], u.tangled = true, true
		}
		u.tangled = u.tangled || p.respelled(u.Path)
	}
	for _, u := range p.pieces {
		if !p.removed[u.Old.Path] {
			continue
		}
		u.tangled = u.tangled || files[u.Old.Path]
		for above := range foldersAbove(u.Old.Path) {
			u.tangled = u.tangled || folders[above]
		}
	}
}

// foldersAbove are the folders that a path lies in, from the innermost.
func foldersAbove(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
			if !yield(path[:i]) {
				return
			}
		}
	}
}

// needsRoom reports whether the plan removes a file where the path needs a folder.
func (p *planner) needsRoom(path string) bool {
	for above := range foldersAbove(path) {
		if p.removed[above] {
			return true
		}
	}
	return false
}

// folderAt finds what keeps a folder where a new file is to lie: a file that does not go
// up, and which the sandbox therefore could not remove, or a folder in it that is empty.
func (p *planner) folderAt(m move) (string, bool) {
	if m.was.Exists() || !m.want.Exists() {
		return "", false
	}
	top := filepath.Join(p.w.Root(), filepath.FromSlash(m.path))
	if info, err := os.Lstat(top); err != nil || !info.IsDir() {
		return "", false
	}
	var found string
	_ = filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(p.w.Root(), name)
		switch {
		case relErr != nil:
			return relErr
		case err == nil && p.removed[filepath.ToSlash(rel)]:
			return nil
		case err == nil && d.IsDir() && (name == top || !isEmptyFolder(name)):
			return nil
		}
		found = filepath.ToSlash(rel)
		return fs.SkipAll
	})
	return found, found != ""
}

func isEmptyFolder(name string) bool {
	dir, err := os.Open(name)
	if err != nil {
		return false
	}
	defer dir.Close() //nolint:errcheck // only read
	_, err = dir.Readdirnames(1)
	return errors.Is(err, io.EOF)
}

// emptied are the folders below which the plan removes files.
func (p *planner) emptied() map[string]bool {
	if p.folders == nil {
		p.folders = map[string]bool{}
		for path := range p.removed {
			for above := range foldersAbove(path) {
				p.folders[above] = true
			}
		}
	}
	return p.folders
}

// keepFoldersApart leaves out what needs room that nothing makes, because what is in
// its way stays: a removal was left out, or the file there was never in the plan.
func (p *planner) keepFoldersApart() {
	if !slices.ContainsFunc(p.pieces, func(u *piece) bool { return u.tangled }) {
		return
	}
	files := map[string]bool{} // what the host holds in the end
	for _, e := range p.r.Host.Entries {
		files[e.Path] = true
	}
	for _, u := range p.taken() {
		for _, m := range u.moves() {
			if m.want.Exists() {
				files[m.path] = true
			} else {
				delete(files, m.path)
			}
		}
	}
	for again := true; again; {
		again = false
		folders := map[string]bool{}
		for path := range files {
			for above := range foldersAbove(path) {
				if folders[above] {
					break
				}
				folders[above] = true
			}
		}
		for _, u := range p.taken() {
			if !u.New.Exists() || u.Old.Exists() && u.Status != StatusRenamed {
				continue
			}
			if other, blocked := blocking(files, folders, u.Path); blocked {
				p.skip(u, InTheWay, show(other)+" stays where it is")
				delete(files, u.Path)
				if u.Status == StatusRenamed {
					files[u.OldPath] = true
				}
				again = true
			}
		}
	}
}

// blocking finds the file that lies where path needs a folder, or the folder that
// lies where it needs a file.
func blocking(files, folders map[string]bool, path string) (string, bool) {
	if folders[path] {
		return path, true
	}
	for above := range foldersAbove(path) {
		if files[above] {
			return above, true
		}
	}
	return "", false
}
