package agent

import (
	"os"
	"path"
	"path/filepath"

	"glue-lsp/internal/tree"
)

// keptClearing takes out of a root what is not to be there, when the sandbox was made of an
// image that was kept after a setup: the tree of that time with its repository goes, and
// what the rules ignore stays, since that is what the setup made: but for files that went up at
// that time, whatever the rules say of them now.
type keptClearing struct {
	t       *trees
	ignore  *tree.Matcher
	files   map[string]bool // paths of the new tree
	folders map[string]bool // those above them
	gone    map[string]bool // files of the tree of that time that the new one does not have
	within  map[string]bool // folders above those
	repo    bool            // the root's repository is what a clone left, for this tree
}

func (t *trees) clearForKept(w populateWish) error {
	k := keptClearing{t: t, ignore: tree.NewMatcher(w.ignore, false), files: map[string]bool{}, folders: map[string]bool{}, gone: map[string]bool{}, within: map[string]bool{}, repo: w.overClone}
	if !w.overClone {
		t.cloned = ""
	}
	for _, e := range w.entries {
		k.files[e.Path] = true
		foldersAbove(e.Path, k.folders)
	}
	for _, e := range w.gone {
		k.gone[e.Path] = true
		foldersAbove(e.Path, k.within)
	}
	if err := os.MkdirAll(t.root, newDirMode); err != nil {
		return fileError("populate", t.root, err)
	}
	_, err := k.clear("")
	return fileError("populate", t.root, err)
}

// foldersAbove adds the folders that a path is in.
func foldersAbove(name string, to map[string]bool) {
	for dir := parent(name); dir != "" && !to[dir]; dir = parent(dir) {
		to[dir] = true
	}
}

// clear clears one folder and reports whether nothing is left in it. No link is followed:
// what is one counts as a file.
func (k *keptClearing) clear(dir string) (empty bool, err error) {
	list, err := os.ReadDir(filepath.Join(k.t.root, dir))
	if err != nil {
		return false, err
	}
	empty = true
	for _, d := range list {
		name := path.Join(dir, d.Name())
		stays, err := k.stays(name, d.IsDir())
		if err != nil {
			return false, err
		}
		if stays {
			empty = false
			continue
		}
		if err := os.RemoveAll(filepath.Join(k.t.root, name)); err != nil {
			return false, err
		}
	}
	return empty, nil
}

func (k *keptClearing) stays(name string, isDir bool) (bool, error) {
	switch {
	case name == ".git" && k.repo:
		return true, nil
	case name == ".git" || k.files[name]:
		return false, nil
	case !isDir && k.gone[name]:
		return false, nil
	case !isDir:
		return !k.folders[name] && k.ignore.Ignored(name, false), nil
	case k.folders[name]:
		_, err := k.clear(name)
		return true, err
	case !k.within[name] && k.ignore.Ignored(name, true):
		return true, nil
	}
	empty, err := k.clear(name)
	return !empty, err
}

// isFolder reports whether a path of the root is a folder, and no link to one.
func (t *trees) isFolder(name string) bool {
	info, err := os.Lstat(filepath.Join(t.root, name))
	return err == nil && info.IsDir()
}
