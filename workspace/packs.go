package workspace

import (
	"context"
	"path/filepath"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// packCache is where the packs lie that new stores of this workspace begin with. It is
// beside what sandboxes see of the cache folder, not in it.
func (w *Workspace) packCache(f tree.Format) *git.PackCache {
	return &git.PackCache{Dir: filepath.Join(w.opts.CacheDir, "packs", string(f))}
}

// ForgetPacks removes what is kept to make the next store quicker. It is for when a
// sandbox says that what it got is not what it was told.
func (w *Workspace) ForgetPacks() {
	for _, f := range []tree.Format{tree.SHA1, tree.SHA256} {
		w.packCache(f).Forget()
	}
}

// borrow gives a store that is still empty what earlier ones held of a tree. What
// cannot be had is read and stored anew.
func (w *Workspace) borrow(ctx context.Context, s *Store, entries []tree.Entry) (lend func(), err error) {
	unlock, err := w.lockCache(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	cache := w.packCache(s.Repo.Format)
	err = cache.Borrow(ctx, s.Repo, entries, func(hash string) { s.blobs[hash] = true })
	if err != nil && ctx.Err() != nil {
		return nil, err
	}
	return func() {
		if unlock, err := w.lockCache(ctx); err == nil {
			defer unlock()
			_ = cache.Lend(s.Repo) // the store is whole without it
		}
	}, nil
}
