package git

import (
	"fmt"
	"path/filepath"

	"glue-lsp/internal/pack"
)

// packSet is the packs of a store, opened to read objects as they lie there.
type packSet []*pack.File

// openPacks opens what packs the store has now.
func (r *Repo) openPacks() (packSet, error) {
	dir := filepath.Join(r.Dir, "objects", "pack")
	bases, err := pack.Bases(dir)
	if err != nil {
		return nil, err
	}
	var set packSet
	for _, base := range bases {
		f, err := pack.Open(filepath.Join(dir, base), r.Format)
		if err != nil {
			set.close()
			return nil, fmt.Errorf("read the store's packs: %w", err)
		}
		set = append(set, f)
	}
	return set, nil
}

func (s packSet) close() {
	for _, f := range s {
		_ = f.Close()
	}
}

func (s packSet) find(name pack.Name) (pack.Entry, bool) {
	for _, f := range s {
		if e, ok := f.Find(name); ok {
			return e, true
		}
	}
	return pack.Entry{}, false
}

// has reports whether an object of that id is in one of the packs.
func (s packSet) has(id string) bool {
	name, err := pack.ParseName(id)
	if err != nil {
		return false
	}
	_, ok := s.find(name)
	return ok
}
