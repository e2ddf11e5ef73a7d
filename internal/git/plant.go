package git

import (
	"context"
	"slices"

	"glue-lsp/internal/pack"
	"glue-lsp/internal/tree"
)

// plant makes a tree out of nothing but changes: contents and tree objects go into
// one pack of our own, and no git runs. It is not ok, and nothing was done, when the
// changes are not the plain list of a tree's files or name a content that is not in a
// pack of the store; then fast-import has to tell what to make of them.
func (r *Repo) plant(ctx context.Context, changes []Change) (id string, ok bool, err error) {
	entries := make([]tree.Entry, 0, len(changes))
	for _, c := range changes {
		if !storable(c.Entry) {
			return "", false, nil
		}
		entries = append(entries, c.Entry)
	}
	if !slices.IsSortedFunc(changes, byPath) {
		changes = slices.SortedFunc(slices.Values(changes), byPath)
		sortEntries(entries)
	}
	if len(entries) == 0 || !isPlainTree(entries) {
		return "", false, nil
	}
	there, err := r.openPacks()
	if err != nil {
		return "", false, err
	}
	defer there.close()
	for _, c := range changes {
		if c.Open == nil && !there.has(c.Entry.Hash) {
			return "", false, nil
		}
	}
	p := r.newPacking()
	id, err = p.plant(ctx, changes, entries, there)
	return id, true, p.end(err)
}

func byPath(a, b Change) int {
	switch {
	case a.Entry.Path < b.Entry.Path:
		return -1
	case a.Entry.Path > b.Entry.Path:
		return 1
	}
	return 0
}

func (p *packing) plant(ctx context.Context, changes []Change, entries []tree.Entry, there packSet) (string, error) {
	var blobs []Blob
	var owners []int
	for i, c := range changes {
		if c.Open != nil {
			blobs = append(blobs, Blob{Name: c.Entry.Path, Size: c.Entry.Size, Open: c.Open})
			owners = append(owners, i)
		}
	}
	names, err := p.blobs(ctx, blobs)
	if err != nil {
		return "", err
	}
	for n, i := range owners {
		got := names[n].Hex(p.repo.Format)
		if want := entries[i].Hash; want != "" && want != got {
			return "", wrongHash(changes[i], got)
		}
		entries[i].Hash = got
	}
	b := treeBuilder{format: p.repo.Format, namer: pack.NewNamer(p.repo.Format)}
	b.emit = func(name pack.Name, content []byte) error {
		if _, ok := there.find(name); ok {
			return nil
		}
		return p.object(pack.Tree, name, content)
	}
	root, err := b.folder("", entries)
	if err != nil {
		return "", err
	}
	return root.Hex(p.repo.Format), nil
}
