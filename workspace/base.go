package workspace

import (
	"bufio"
	"context"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Base is the snapshot that a sandbox starts from.
type Base struct {
	Commit     string
	BundlePath string
	BundleSize int64 // bytes
}

// Base makes a commit of the snapshot that has no parent, so that whatever a sandbox
// commits on it holds only what was done there; names it refs/glue/base and, when
// branch is given, refs/heads/<branch>; and writes a bundle of it to bundleFile with
// mode 0600.
func (s *Store) Base(ctx context.Context, snap *Snapshot, branch, bundleFile string) (Base, error) {
	const op = "make the bundle of the tree"
	s.mu.Lock()
	defer s.mu.Unlock()

	commit, err := s.keep(ctx, refBase, snap.Tree, "Tree as the editor shows it\n")
	if err != nil {
		return Base{}, storeError(op, s.Repo.Dir, err)
	}
	refs := []string{refBase}
	if branch != "" {
		ref := "refs/heads/" + branch
		if err := s.Repo.SetRef(ctx, ref, commit); err != nil {
			return Base{}, storeError(op, s.Repo.Dir, err)
		}
		refs = append(refs, ref)
	}
	size, err := s.writeBundle(ctx, bundleFile, refs)
	if err != nil {
		return Base{}, storeError(op, bundleFile, err)
	}
	return Base{Commit: commit, BundlePath: bundleFile, BundleSize: size}, nil
}

func (s *Store) writeBundle(ctx context.Context, file string, refs []string) (int64, error) {
	out, err := renameio.NewPendingFile(file, renameio.WithTempDir(filepath.Dir(file)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return 0, err
	}
	defer out.Cleanup() //nolint:errcheck // nothing is left to clean once it was renamed
	buffered := bufio.NewWriterSize(out, 1<<18)
	if err := s.Repo.Bundle(ctx, buffered, refs...); err != nil {
		return 0, err
	}
	if err := buffered.Flush(); err != nil {
		return 0, err
	}
	if err := out.CloseAtomicallyReplace(); err != nil {
		return 0, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
