package agent

import (
	"os"
	"path"
	"path/filepath"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// Kept decides what of a root stays when the sandbox was made of an image that was kept
// after a setup: the tree of that time with its repository goes, and what the rules ignore
// stays, since that is what the setup made: but for files that went up at that time,
// whatever the rules say of them now. It reads and removes nothing itself, so that a
// runtime that has no agent inside decides by it too.
type Kept struct {
	ignore  *tree.Matcher
	files   map[string]bool // paths of the new tree
	folders map[string]bool // those above them
	gone    map[string]bool // files of the tree of that time that the new one does not have
	within  map[string]bool // folders above those
	repo    bool            // the root's repository is what a clone left, for this tree
}

// KeptChild is one thing in a folder of the root. A link is no folder.
type KeptChild struct {
	Name  string
	IsDir bool
}

// NewKept takes the new tree, what the sandbox is told of [sandbox.PopulateRequest]'s Ignore
// and Gone, and whether a clone left its repository in the root.
func NewKept(entries []tree.Entry, ignore []tree.IgnoreFile, gone []string, overClone bool) *Kept {
	k := &Kept{
		ignore: tree.NewMatcher(ignore, false), repo: overClone,
		files: map[string]bool{}, folders: map[string]bool{}, gone: map[string]bool{}, within: map[string]bool{},
	}
	for _, e := range entries {
		k.files[e.Path] = true
		foldersAbove(e.Path, k.folders)
	}
	for _, p := range gone {
		k.gone[p] = true
		foldersAbove(p, k.within)
	}
	return k
}

// foldersAbove adds the folders that a path is in.
func foldersAbove(name string, to map[string]bool) {
	for dir := parent(name); dir != "" && !to[dir]; dir = parent(dir) {
		to[dir] = true
	}
}

// Going gives the paths that go, each with all that is in it. It asks for the children of
// the root ("") and of the folders that open, each after the one that it is in.
func (k *Kept) Going(children func(dir string) ([]KeptChild, error)) ([]string, error) {
	w := keptWalk{Kept: k, children: children}
	_, err := w.look("")
	return w.going, err
}

// Opens reports whether what becomes of a folder's contents is decided one by one. All in
// any other folder shares its fate.
func (k *Kept) Opens(dir string) bool { return k.fate(dir, true) == opens }

// fate is what becomes of something in the root.
type fate int

const (
	goes fate = iota
	stays
	opens // a folder that goes if nothing stays in it, unless the new tree has it
)

func (k *Kept) fate(name string, isDir bool) fate {
	switch {
	case name == ".git" && k.repo:
		return stays
	case name == ".git" || k.files[name]:
		return goes
	case isDir && (k.folders[name] || k.within[name]):
		return opens
	case !isDir && (k.folders[name] || k.gone[name]):
		return goes
	case k.ignore.Ignored(name, isDir):
		return stays
	case isDir:
		return opens
	}
	return goes
}

type keptWalk struct {
	*Kept
	children func(dir string) ([]KeptChild, error)
	going    []string
}

// look looks through one folder and reports whether nothing in it stays.
func (w *keptWalk) look(dir string) (empty bool, err error) {
	list, err := w.children(dir)
	if err != nil {
		return false, err
	}
	empty = true
	for _, c := range list {
		name := path.Join(dir, c.Name)
		what := w.fate(name, c.IsDir)
		if what == opens {
			before := len(w.going)
			if what, err = w.opened(name); err != nil {
				return false, err
			}
			if what == goes {
				w.going = w.going[:before] // they go with it
			}
		}
		if what == goes {
			w.going = append(w.going, name)
		} else {
			empty = false
		}
	}
	return empty, nil
}

func (w *keptWalk) opened(dir string) (fate, error) {
	if empty, err := w.look(dir); !empty || w.folders[dir] {
		return stays, err
	}
	return goes, nil
}

// clearForKept takes out of the root what is not to be there.
func (t *trees) clearForKept(w populateWish) error {
	if !w.overClone {
		t.cloned = ""
	}
	gone := make([]string, len(w.gone))
	for i, e := range w.gone {
		gone[i] = e.Path
	}
	if err := os.MkdirAll(t.root, newDirMode); err != nil {
		return fileError("populate", t.root, err)
	}
	going, err := NewKept(w.entries, w.ignore, gone, w.overClone).Going(t.keptChildren)
	if at := mountAmong(t.root, going); at != "" {
		return refuse(sandbox.Conflict, "populate", at, "it is mounted in the workspace folder, and what it holds is not removed for a tree; mount it elsewhere, or where the tree's rules ignore it")
	}
	for _, name := range going {
		if err != nil {
			break
		}
		err = os.RemoveAll(filepath.Join(t.root, name))
	}
	return fileError("populate", t.root, err)
}

// mountAmong names what is mounted in the root where something would be removed: what a
// volume holds is no setup's, and no former tree's.
func mountAmong(root string, going []string) string {
	for _, at := range mountPoints() {
		if at == root || !within(root, at) {
			continue
		}
		for _, name := range going {
			if p := filepath.Join(root, name); within(p, at) || within(at, p) {
				return at
			}
		}
	}
	return ""
}

func (t *trees) keptChildren(dir string) ([]KeptChild, error) {
	list, err := os.ReadDir(filepath.Join(t.root, dir))
	out := make([]KeptChild, len(list))
	for i, d := range list {
		out[i] = KeptChild{Name: d.Name(), IsDir: d.IsDir()}
	}
	return out, err
}

// isFolder reports whether a path of the root is a folder, and no link to one.
func (t *trees) isFolder(name string) bool {
	info, err := os.Lstat(filepath.Join(t.root, name))
	return err == nil && info.IsDir()
}
