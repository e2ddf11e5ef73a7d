package workspace

import (
	"context"
	"errors"
	"slices"

	"glue-lsp/internal/git"
)

// RemoteTips finds the remotes that have HEAD, or a commit below it, nearest first, without
// asking them: see [git.Repo.RemoteTips].
func (s *Store) RemoteTips(ctx context.Context, src *git.Source) ([]git.RemoteTip, error) {
	return s.Repo.RemoteTips(ctx, src)
}

// Commit makes the commit of a snapshot as Base does, and no bundle of it.
func (s *Store) Commit(ctx context.Context, snap *Snapshot, branch string) (Base, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	commit, _, err := s.baseCommit(ctx, snap, git.History{}, branch)
	if err != nil {
		return Base{}, storeError("make the commit of the tree", s.Repo.Dir, err)
	}
	return Base{Commit: commit}, nil
}

// Below names every object that base's tree holds, for Part.
func (s *Store) Below(ctx context.Context, base Base) ([]string, error) {
	ids, err := s.Repo.Below(ctx, base.Commit)
	if err != nil {
		return nil, storeError("list what the tree holds", s.Repo.Dir, err)
	}
	return ids, nil
}

// Part writes a bundle of a commit that Base or Commit made, for a repository that has the
// rest: besides the commit it holds only the given objects. The refs and max are as Base's.
func (s *Store) Part(ctx context.Context, base Base, branch string, objects []string, bundleFile string, max int64) (Base, error) {
	const op = "make the bundle of what the remote does not have"
	refs := map[string]string{refBase: base.Commit}
	if branch != "" {
		refs["refs/heads/"+branch] = base.Commit
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out, err := newBundleFile(bundleFile, base.Commit, max)
	if err != nil {
		return Base{}, storeError(op, bundleFile, err)
	}
	defer out.drop()
	err = out.failure(s.Repo.PartBundle(ctx, out, refs, append([]string{base.Commit}, slices.Clone(objects)...)))
	if err == nil {
		base.BundleSize, err = out.keep(bundleFile, false)
	}
	var tooLarge *TooLargeError
	if errors.As(err, &tooLarge) {
		return Base{}, tooLarge
	}
	if err != nil {
		return Base{}, storeError(op, bundleFile, err)
	}
	base.BundlePath, base.Lengths = bundleFile, nil
	return base, nil
}
