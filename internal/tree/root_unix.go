//go:build linux || darwin

package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Root writes under one directory and nowhere else: no parent of a written path may
// be a link, checked at the time of writing by directory handles (openat with
// O_NOFOLLOW), not by name. It holds no handle but the root's between two calls, so
// that a folder that was moved away is not written to. Calls may overlap.
type Root struct {
	name string

	mu sync.RWMutex // held shared by each call, so that Close waits for them
	fd int          // -1 once closed

	// foldersMu keeps a folder that one call has made, or found, and is about to write
	// in from being taken for an empty one by another.
	foldersMu sync.RWMutex

	tokenMu sync.Mutex
	token   string // of temporary names, see UseToken

	dirtyMu sync.Mutex
	files   map[string]struct{} // written since the last Sync
	dirs    map[string]struct{} // whose names changed since then; "" is the root
}

// OpenRoot opens dir, which may itself be reached by links.
func OpenRoot(dir string) (*Root, error) {
	fd, err := openRoot(dir)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return &Root{name: dir, fd: fd, files: map[string]struct{}{}, dirs: map[string]struct{}{}}, nil
}

// Close lets go of the folder, once calls that are under way are done.
func (r *Root) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fd < 0 {
		return os.ErrClosed
	}
	fd := r.fd
	r.fd = -1
	return unix.Close(fd)
}

// Lookup gives what is at path now (hash included), Absent if there is nothing or a
// folder. The error is a *PathError for a path that may not be written, one below a
// link or a file, and a special file; an *UnstableError for a file in motion.
func (r *Root) Lookup(path string, f Format) (Entry, error) {
	if err := f.check(); err != nil {
		return Entry{}, err
	}
	now := Entry{Path: path}
	err := r.within(path, func(dir int, name string) error {
		var err error
		now, _, err = current(dir, name, path, f)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{Path: path}, nil
	}
	return now, err
}

// current gives what name in dir holds, Absent for nothing and for a folder, which
// the stat data tell apart.
func current(dir int, name, path string, f Format) (Entry, stat, error) {
	found, err := newReader(f, time.Now).look(context.Background(), dir, name, nil, nil)
	switch {
	case errors.Is(err, unix.ENOENT), err == nil && found.stat.isDir():
		return Entry{Path: path}, found.stat, nil
	}
	if err := explain(path, found, err); err != nil {
		return Entry{}, stat{}, err
	}
	return Entry{Path: path, Mode: found.mode, Hash: found.hash, Size: found.size}, found.stat, nil
}

// within calls do with the folder that holds path, reached without following a
// link, and the path's last component. It never makes a folder.
func (r *Root) within(path string, do func(dir int, name string) error) error {
	if err := CheckPath(path); err != nil {
		return err
	}
	root, err := r.hold()
	if err != nil {
		return err
	}
	defer r.mu.RUnlock()
	parent, name := splitPath(path)
	if parent == "" {
		return do(root, name)
	}
	dir, err := openBeneath(root, parent)
	if err != nil {
		return explainParent(root, path, err)
	}
	defer unix.Close(dir) //nolint:errcheck // a handle of a folder
	return do(dir, name)
}

// hold keeps the root's handle open until r.mu.RUnlock.
func (r *Root) hold() (int, error) {
	r.mu.RLock()
	if r.fd < 0 {
		r.mu.RUnlock()
		return -1, fmt.Errorf("%s: %w", r.name, os.ErrClosed)
	}
	return r.fd, nil
}

// explainParent turns the failure to open the folder that holds path into an error
// that says which component is to blame.
func explainParent(root int, path string, err error) error {
	if errors.Is(err, unix.ENOENT) {
		return readError(path, err)
	}
	c := cursor{root: root}
	defer c.close()
	for at := range len(path) {
		if path[at] != '/' {
			continue
		}
		parent, name := splitPath(path[:at])
		dir, enterErr := c.enter(parent)
		if enterErr != nil {
			break
		}
		st, statErr := lstatAt(dir, name)
		if statErr != nil {
			break
		}
		if st.isLink() {
			return &PathError{Path: path, Why: show(path[:at]) + " is a symbolic link, which is not followed"}
		}
		if !st.isDir() {
			return &PathError{Path: path, Why: show(path[:at]) + " is not a folder"}
		}
	}
	return readError(path, err)
}
