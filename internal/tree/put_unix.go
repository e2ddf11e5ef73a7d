//go:build linux || darwin

package tree

import (
	"context"
	"errors"
	"io/fs"
)

// Put records that path under root now has e's content (just written). The file is
// read once to see that it does, since by its stat data a change made right after
// the write could not be told; a *ChangedError says that it holds something else. A
// file that is too young to be remembered is forgotten instead. Absent forgets too.
func (c *Cache) Put(root string, e Entry) error {
	r, err := OpenRoot(root)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // only read
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(e.Path)
	f := formatFor(e.Hash)
	if c.known.format != f && len(c.known.records) == 0 {
		c.known.format = f
	}
	if !e.Exists() || c.known.format != f {
		return nil
	}
	err = r.within(e.Path, func(dir int, name string) error {
		found, err := newReader(f, c.now).look(context.Background(), dir, name, nil, nil)
		now := Entry{Path: e.Path, Mode: found.mode, Hash: found.hash, Size: found.size}
		switch {
		case err != nil:
			return explain(e.Path, found, err)
		case !now.Same(e):
			return &ChangedError{Path: e.Path, Found: now}
		}
		if found.firm {
			c.learn([]*record{{path: e.Path, stat: found.stat, hash: found.hash, seen: c.known.round}})
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return &ChangedError{Path: e.Path, Found: Entry{Path: e.Path}}
	}
	return err
}

// formatFor tells a hash's format by its length.
func formatFor(hash string) Format {
	if len(hash) == SHA256.hexLen() {
		return SHA256
	}
	return SHA1
}
