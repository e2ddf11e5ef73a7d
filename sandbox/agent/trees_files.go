package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"glue-lsp/internal/pack"
	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// filesWriter writes the files of a tree into an empty root, as their contents go by.
// It is for that alone: everything is new, so that a file is made in its place, and
// no path of the tree may lead through another, so that no link is followed.
type filesWriter struct {
	root   string
	sorted []tree.Entry // by path
	names  []pack.Name  // the contents' names, in that order
	byName []uint32     // places in sorted, in the order of names
	stats  []indexStat  // of the files that were made; by place in sorted
	made   []bool
	// isThere reports whether a folder of the root may be there already.
	isThere func(dir string) bool
}

func newFilesWriter(root string, entries []tree.Entry, isThere func(dir string) bool) (*filesWriter, error) {
	f := &filesWriter{
		root: root, isThere: isThere, sorted: entries, names: make([]pack.Name, len(entries)), byName: make([]uint32, len(entries)),
		stats: make([]indexStat, len(entries)), made: make([]bool, len(entries)),
	}
	byPath := func(a, b tree.Entry) int { return strings.Compare(a.Path, b.Path) }
	if !slices.IsSortedFunc(f.sorted, byPath) {
		f.sorted = slices.SortedFunc(slices.Values(entries), byPath)
	}
	for i, e := range f.sorted {
		if err := tree.CheckPath(e.Path); err != nil {
			return nil, refuse(sandbox.InvalidParams, "populate", e.Path, cause(err))
		}
		var err error
		if f.names[i], err = pack.ParseName(e.Hash); err != nil {
			return nil, refuse(sandbox.InvalidParams, "populate", e.Path, err.Error())
		}
		f.byName[i] = uint32(i)
	}
	slices.SortFunc(f.byName, func(a, b uint32) int { return bytes.Compare(f.names[a][:], f.names[b][:]) })
	return f, nil
}

// makeFolders makes every folder of the tree.
func (f *filesWriter) makeFolders() error {
	made := map[string]bool{"": true}
	var folder func(dir string) error
	folder = func(dir string) error {
		if made[dir] {
			return nil
		}
		if err := folder(parent(dir)); err != nil {
			return err
		}
		made[dir] = true
		err := os.Mkdir(filepath.Join(f.root, dir), 0o777)
		if errors.Is(err, fs.ErrExist) && f.isThere(dir) {
			return nil
		}
		return err
	}
	last := ""
	for _, e := range f.sorted {
		dir := parent(e.Path)
		if dir == last {
			continue
		}
		last = dir
		if err := folder(dir); err != nil {
			return fileError("populate", dir, err)
		}
	}
	for i, e := range f.sorted {
		if made[e.Path] || i > 0 && f.sorted[i-1].Path == e.Path {
			return refuse(sandbox.InvalidParams, "populate", e.Path, "the tree has two things of this name")
		}
	}
	return nil
}

// withContent gives the places of the entries that have a content.
func (f *filesWriter) withContent(name pack.Name) []uint32 {
	compare := func(i uint32, name pack.Name) int { return bytes.Compare(f.names[i][:], name[:]) }
	from, _ := slices.BinarySearchFunc(f.byName, name, compare)
	to := from
	for to < len(f.byName) && f.names[f.byName[to]] == name {
		to++
	}
	return f.byName[from:to]
}

// blob writes a content to each path that has it. Several may be written at once, if
// their names differ.
func (f *filesWriter) blob(name pack.Name, content func() io.Reader) error {
	for _, i := range f.withContent(name) {
		var err error
		if f.stats[i], err = f.create(f.sorted[i], content()); err != nil {
			return fileError("populate", f.sorted[i].Path, err)
		}
		f.made[i] = true
	}
	return nil
}

func (f *filesWriter) create(e tree.Entry, content io.Reader) (indexStat, error) {
	name := filepath.Join(f.root, e.Path)
	switch e.Mode {
	case tree.Symlink:
		target, err := io.ReadAll(content)
		if err != nil {
			return indexStat{}, err
		}
		if err := os.Symlink(string(target), name); err != nil {
			return indexStat{}, err
		}
		return linkStat(name)
	case tree.Regular:
		return createFile(name, 0o666, content)
	case tree.Executable:
		return createFile(name, 0o777, content)
	}
	return indexStat{}, fmt.Errorf("%o is not a mode of a file", e.Mode)
}

// complete reports a file whose content never came.
func (f *filesWriter) complete() error {
	if i := slices.Index(f.made, false); i >= 0 {
		return badBundle(fmt.Errorf("the content of %q is not in it", f.sorted[i].Path))
	}
	return nil
}
