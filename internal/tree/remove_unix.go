//go:build linux || darwin

package tree

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Remove deletes path if it still holds expect, and then parents that became empty.
// Otherwise a *ChangedError. The file is moved aside before the last look at it, so
// that one which somebody puts there meanwhile is not deleted.
func (r *Root) Remove(path string, expect Entry, f Format) error {
	if err := f.check(); err != nil {
		return err
	}
	err := r.within(path, func(dir int, name string) error {
		return writing{dir: dir, path: path, name: name, format: f, token: r.tempToken()}.remove(expect)
	})
	if errors.Is(err, fs.ErrNotExist) {
		if !expect.Exists() {
			return nil
		}
		return &ChangedError{Path: path, Found: Entry{Path: path}}
	}
	if err != nil || !expect.Exists() {
		return err
	}
	root, err := r.hold()
	if err != nil {
		return err
	}
	defer r.mu.RUnlock()
	parent, _ := splitPath(path)
	r.removed(path, parent)
	r.prune(root, ancestors(parent))
	return nil
}

func (w writing) remove(expect Entry) error {
	now, _, err := current(w.dir, w.name, w.path, w.format)
	if err != nil {
		return err
	}
	if !now.Same(expect) {
		return &ChangedError{Path: w.path, Found: now}
	}
	if !now.Exists() {
		return nil
	}
	aside := w.temporary()
	if err := renameNew(w.dir, w.name, aside); err != nil {
		if errors.Is(err, unix.ENOENT) {
			return w.changed()
		}
		return removeError(w.path, err)
	}
	was, st, err := current(w.dir, aside, w.path, w.format)
	if err == nil && was.Same(expect) && !st.isDir() {
		if err := unix.Unlinkat(w.dir, aside, 0); err != nil {
			return removeError(w.path, err)
		}
		return nil
	}
	if err := renameNew(w.dir, aside, w.name); err != nil {
		// Neither version is thrown away.
		return errors.Join(fmt.Errorf("remove %s: it changed, and what was there is now called %s: %w",
			show(w.path), aside, err), w.changed())
	}
	return w.changed()
}

// ancestors lists dir and the folders above it below the root, the highest first.
func ancestors(dir string) []string {
	var all []string
	for at := range len(dir) {
		if dir[at] == '/' {
			all = append(all, dir[:at])
		}
	}
	if dir != "" {
		all = append(all, dir)
	}
	return all
}

// prune removes the folders, each holding the next, from the last on as long as they
// are empty. One that cannot be removed is no failure: it holds something, or is
// somebody's to keep.
func (r *Root) prune(root int, dirs []string) {
	r.foldersMu.Lock()
	defer r.foldersMu.Unlock()
	c := cursor{root: root}
	defer c.close()
	for i := len(dirs) - 1; i >= 0; i-- {
		parent, name := splitPath(dirs[i])
		dir, err := c.enter(parent)
		if err != nil || unix.Unlinkat(dir, name, unix.AT_REMOVEDIR) != nil {
			return
		}
		r.removed(dirs[i], parent)
	}
}

func removeError(path string, err error) error {
	return fmt.Errorf("remove %s: %w", show(path), err)
}
