//go:build linux || darwin

package tree

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ReadContent reads the file or link at path under root without following links.
// The error is a *PathError for a path that may not be read or holds something
// else than a file, an *UnstableError for one that kept changing, fs.ErrNotExist
// for one that is not there.
func ReadContent(root, path string, f Format) (*Content, error) {
	r, err := OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // only read
	return r.Content(path, f)
}

// Content is [ReadContent] under the root.
func (r *Root) Content(path string, f Format) (*Content, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	var content *Content
	err := r.within(path, func(dir int, name string) error {
		s := spool{}
		found, err := newReader(f, time.Now).look(context.Background(), dir, name, nil, &s)
		err = explain(path, found, err)
		if err != nil {
			return errors.Join(err, s.discard())
		}
		content = s.content(Entry{Path: path, Mode: found.mode, Hash: found.hash, Size: found.size})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return content, nil
}

// explain turns the outcome of a look into an error that names the path; a folder or
// a special file is one too.
func explain(path string, f found, err error) error {
	switch {
	case errors.Is(err, errChanged):
		return &UnstableError{Path: path}
	case err != nil:
		return readError(path, err)
	case f.mode == Absent:
		return &PathError{Path: path, Why: "it is a " + f.stat.kindName() + ", not a file or a link"}
	}
	return nil
}

func readError(path string, err error) error {
	return fmt.Errorf("read %s: %w", show(path), err)
}
