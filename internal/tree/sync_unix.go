//go:build linux || darwin

package tree

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// syncers is how many fsync calls are under way at once: journaling file systems
// commit what comes together together.
const syncers = 8

// Sync makes what was written under the root since the last Sync durable (fsync of
// files and folders written). What is no longer there needs none.
func (r *Root) Sync() error {
	root, err := r.hold()
	if err != nil {
		return err
	}
	defer r.mu.RUnlock()
	files, dirs := r.takeDirty()
	err = syncAll(files, func(path string) error { return syncFile(root, path) })
	if err == nil {
		// Names only once what they name is safe.
		err = syncAll(dirs, func(path string) error { return syncFolder(root, path) })
	}
	if err != nil {
		r.putDirty(files, dirs)
	}
	return err
}

func syncAll(paths []string, one func(string) error) error {
	var (
		all  sync.WaitGroup
		errs = make([]error, syncers)
	)
	for i := range min(syncers, len(paths)) {
		all.Go(func() {
			for j := i; j < len(paths) && errs[i] == nil; j += syncers {
				errs[i] = one(paths[j])
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func syncFile(root int, path string) error {
	parent, name := splitPath(path)
	c := cursor{root: root}
	defer c.close()
	dir, err := c.enter(parent)
	if err != nil {
		return syncError(path, err)
	}
	fd, err := openFile(dir, name)
	if err != nil {
		return syncError(path, err)
	}
	return syncError(path, syncAndClose(fd))
}

func syncFolder(root int, path string) error {
	if path == "" {
		path = "."
	}
	fd, err := openBeneath(root, path)
	if err != nil {
		return syncError(path, err)
	}
	return syncError(path, syncAndClose(fd))
}

// syncAndClose leaves it to package os to know what a system needs (macOS:
// F_FULLFSYNC).
func syncAndClose(fd int) error {
	f := os.NewFile(uintptr(fd), "")
	return errors.Join(f.Sync(), f.Close())
}

// syncError forgives what is no longer there, and file systems that cannot sync a
// folder.
func syncError(path string, err error) error {
	if err == nil || gone(err) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return fmt.Errorf("sync %s: %w", show(path), err)
}

func (r *Root) wrote(path, parent string, made []string) {
	r.dirtyMu.Lock()
	defer r.dirtyMu.Unlock()
	r.files[path] = struct{}{}
	r.dirs[parent] = struct{}{}
	for _, dir := range made {
		above, _ := splitPath(dir)
		r.dirs[above] = struct{}{}
	}
}

func (r *Root) removed(path, parent string) {
	r.dirtyMu.Lock()
	defer r.dirtyMu.Unlock()
	delete(r.files, path)
	delete(r.dirs, path)
	r.dirs[parent] = struct{}{}
}

func (r *Root) takeDirty() (files, dirs []string) {
	r.dirtyMu.Lock()
	defer r.dirtyMu.Unlock()
	files, dirs = slices.Collect(maps.Keys(r.files)), slices.Collect(maps.Keys(r.dirs))
	clear(r.files)
	clear(r.dirs)
	return files, dirs
}

func (r *Root) putDirty(files, dirs []string) {
	r.dirtyMu.Lock()
	defer r.dirtyMu.Unlock()
	for _, path := range files {
		r.files[path] = struct{}{}
	}
	for _, path := range dirs {
		r.dirs[path] = struct{}{}
	}
}
