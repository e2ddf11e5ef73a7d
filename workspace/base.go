package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"glue-lsp/internal/git"
)

// Base is the snapshot that a sandbox starts from.
type Base struct {
	Commit     string
	BundlePath string
	BundleSize int64 // bytes
	// Lengths are those of the objects in the bundle's pack, in its order, if they are
	// known: with them it can be unpacked by several at once.
	Lengths []int64
}

// Base makes a commit of the snapshot, so that whatever a sandbox commits on it holds
// only what was done there; names it refs/glue/base and, when branch is given,
// refs/heads/<branch>; and writes a bundle of it to bundleFile with mode 0600. The
// commit has no parent but the newest commit of past, if there is one; the bundle then
// holds that and its tags too. A bundle of more than max bytes (0: no limit) is a
// *TooLargeError.
func (s *Store) Base(ctx context.Context, snap *Snapshot, past git.History, branch, bundleFile string, max int64) (Base, error) {
	const op = "make the bundle of the tree"
	s.mu.Lock()
	defer s.mu.Unlock()

	commit, refs, err := s.baseCommit(ctx, snap, past, branch)
	if err != nil {
		return Base{}, storeError(op, s.Repo.Dir, err)
	}
	lengths, size, err := s.writeBundle(ctx, bundleFile, commit, refs, max, false)
	var tooLarge *TooLargeError
	if errors.As(err, &tooLarge) {
		return Base{}, tooLarge
	}
	if err != nil {
		return Base{}, storeError(op, bundleFile, err)
	}
	return Base{Commit: commit, BundlePath: bundleFile, BundleSize: size, Lengths: lengths}, nil
}

// baseCommit makes the commit of a snapshot and names it; refs are those to send.
func (s *Store) baseCommit(ctx context.Context, snap *Snapshot, past git.History, branch string) (commit string, refs []string, err error) {
	commit, err = s.keep(ctx, refBase, snap.Tree, nonEmpty(past.Head), "Tree as the editor shows it\n")
	if err != nil {
		return "", nil, err
	}
	refs = append([]string{refBase}, slices.Sorted(maps.Keys(past.Tags))...)
	if branch == "" {
		return commit, refs, nil
	}
	ref := "refs/heads/" + branch
	return commit, append(refs, ref), s.Repo.SetRef(ctx, ref, commit)
}

// TooLargeError says that a bundle would have more than Max bytes.
type TooLargeError struct{ Max int64 }

func (e *TooLargeError) Error() string { return fmt.Sprintf("it packs to more than %d MiB", e.Max>>20) }

// capped fails once more than left bytes are written.
type capped struct {
	to        io.Writer
	left, max int64
}

func (c *capped) Write(p []byte) (int, error) {
	if c.left -= int64(len(p)); c.left < 0 {
		return 0, &TooLargeError{Max: c.max}
	}
	return c.to.Write(p)
}

// writeBundle writes a bundle of at most max bytes, 0 is no limit, and gives its size
// and the lengths of its objects, if they are known. Unless it is to stay, it is not
// synced: it is needed until it was sent, and the store has all that it holds. head is
// what the bundle's HEAD is to be, "" is none.
func (s *Store) writeBundle(ctx context.Context, file, head string, refs []string, max int64, stays bool) (lengths []int64, size int64, err error) {
	out, err := newBundleFile(file, head, max)
	if err != nil {
		return nil, 0, err
	}
	defer out.drop()
	if lengths, err = s.Repo.BundleMapped(ctx, out, refs...); err != nil {
		return nil, 0, out.failure(err)
	}
	size, err = out.keep(file, stays)
	return lengths, size, err
}

// bundleFile is a bundle that is being written. The file is no embedded one, whose ReadFrom
// would go past the cap.
type bundleFile struct {
	file *renameio.PendingFile
	to   io.Writer
	cap  *capped // nil without a limit
}

// newBundleFile begins a file of at most max bytes; 0 is no limit. head is as for writeBundle.
func newBundleFile(file, head string, max int64) (*bundleFile, error) {
	out, err := renameio.NewPendingFile(file, renameio.WithTempDir(filepath.Dir(file)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return nil, err
	}
	b := &bundleFile{file: out, to: out}
	if max > 0 {
		b.cap = &capped{to: out, left: max, max: max}
		b.to = b.cap
	}
	if head != "" {
		b.to = &headWriter{to: b.to, commit: head}
	}
	return b, nil
}

func (b *bundleFile) Write(p []byte) (int, error) { return b.to.Write(p) }

// failure is why the writing failed: a git that cannot write any more says only that it was
// ended.
func (b *bundleFile) failure(err error) error {
	if err != nil && b.cap != nil && b.cap.left < 0 {
		return &TooLargeError{Max: b.cap.max}
	}
	return err
}

// drop removes what was not kept.
func (b *bundleFile) drop() { _ = b.file.Cleanup() }

// keep gives the file its name, and its size to the caller.
func (b *bundleFile) keep(file string, stays bool) (size int64, err error) {
	info, err := b.file.Stat()
	if err != nil {
		return 0, err
	}
	if stays {
		return info.Size(), b.file.CloseAtomicallyReplace()
	}
	return info.Size(), errors.Join(os.Rename(b.file.Name(), file), b.file.Close())
}
