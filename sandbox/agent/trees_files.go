package agent

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// filesWriter writes the files of a tree into an empty root, as their contents go by.
// It is for that alone: everything is new, so that a file is made in its place, and
// no path of the tree may lead through another, so that no link is followed.
type filesWriter struct {
	root    string
	format  tree.Format
	sorted  []tree.Entry
	waiting map[string][]tree.Entry // by hash
	made    map[string]bool         // folders
}

func newFilesWriter(root string, w populateWish) (*filesWriter, error) {
	f := &filesWriter{
		root: root, format: w.format, sorted: slices.Clone(w.entries),
		waiting: make(map[string][]tree.Entry, len(w.entries)), made: map[string]bool{"": true},
	}
	slices.SortFunc(f.sorted, func(a, b tree.Entry) int { return strings.Compare(a.Path, b.Path) })
	folders := map[string]bool{}
	for _, e := range f.sorted {
		if err := tree.CheckPath(e.Path); err != nil {
			return nil, refuse(sandbox.InvalidParams, "populate", e.Path, cause(err))
		}
		f.waiting[e.Hash] = append(f.waiting[e.Hash], e)
		for dir := parent(e.Path); dir != "" && !folders[dir]; dir = parent(dir) {
			folders[dir] = true
		}
	}
	for i, e := range f.sorted {
		if folders[e.Path] || i > 0 && f.sorted[i-1].Path == e.Path {
			return nil, refuse(sandbox.InvalidParams, "populate", e.Path, "the tree has two things of this name")
		}
	}
	return f, nil
}

// blob writes a content to each path that has it.
func (f *filesWriter) blob(size int64, content io.Reader) error {
	c, err := tree.SpoolContent(content, tree.Regular, size, f.format)
	if err != nil {
		return err
	}
	defer c.Close()
	hash := c.Entry().Hash
	for _, e := range f.waiting[hash] {
		if err := f.create(e, c.Reader()); err != nil {
			return fileError("populate", e.Path, err)
		}
	}
	delete(f.waiting, hash)
	return nil
}

func (f *filesWriter) create(e tree.Entry, content io.Reader) error {
	if err := f.folder(parent(e.Path)); err != nil {
		return err
	}
	name := filepath.Join(f.root, e.Path)
	switch e.Mode {
	case tree.Symlink:
		target, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		return os.Symlink(string(target), name)
	case tree.Regular:
		return createFile(name, 0o666, content)
	case tree.Executable:
		return createFile(name, 0o777, content)
	}
	return fmt.Errorf("%o is not a mode of a file", e.Mode)
}

func (f *filesWriter) folder(dir string) error {
	if f.made[dir] {
		return nil
	}
	if err := f.folder(parent(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(f.root, dir), 0o777); err != nil {
		return err
	}
	f.made[dir] = true
	return nil
}

// complete reports a file whose content never came.
func (f *filesWriter) complete() error {
	for _, entries := range f.waiting {
		return badBundle(fmt.Errorf("the content of %q is not in it", entries[0].Path))
	}
	return nil
}
