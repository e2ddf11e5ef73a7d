package workspace

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// The names that a store keeps. Objects that none of them reaches may go when the
// store is packed.
const (
	refBase   = "refs/glue/base"   // the first snapshot, as it went up
	refAgreed = "refs/glue/agreed" // what both sides last agreed on
)

// Store is a session's own object store with the names it keeps. Everything that a
// session needs later lies in it, so that the person's repository may be packed,
// moved or deleted meanwhile. It is safe for concurrent use.
type Store struct {
	Repo *git.Repo

	now func() time.Time

	mu    sync.Mutex
	blobs map[string]bool // contents that are in the store; nil until they were listed
	last  *Snapshot       // the latest one that was taken into this store
}

// CreateStore makes an empty store in dir, a folder of the session's own.
func CreateStore(ctx context.Context, g *git.Git, dir string, f tree.Format) (*Store, error) {
	repo, err := g.Init(ctx, dir, f)
	if err != nil {
		return nil, storeError("create the session's store", dir, err)
	}
	return &Store{Repo: repo, now: time.Now, blobs: map[string]bool{}}, nil
}

// OpenStore opens a store that [CreateStore] made.
func OpenStore(ctx context.Context, g *git.Git, dir string) (*Store, error) {
	repo, err := g.Open(ctx, dir)
	if err != nil {
		return nil, storeError("open the session's store", dir, err)
	}
	return &Store{Repo: repo, now: time.Now}, nil
}

// Agreed gives the tree that [Store.Advance] recorded last, "" before the first.
func (s *Store) Agreed(ctx context.Context) (string, error) {
	return s.treeOf(ctx, refAgreed)
}

func (s *Store) treeOf(ctx context.Context, ref string) (string, error) {
	commit, err := s.Repo.Ref(ctx, ref)
	if err != nil || commit == "" {
		return "", err
	}
	out, err := s.Repo.Output(ctx, "rev-parse", "--verify", "--end-of-options", commit+"^{tree}")
	if err != nil {
		return "", err
	}
	return string(bytes.TrimSpace(out)), nil
}

// keep makes ref name a commit of the tree, durably, and gives the commit.
func (s *Store) keep(ctx context.Context, ref, treeID, message string) (string, error) {
	who := git.Signature{Name: "glue", Email: "glue@localhost", When: s.now()}
	commit, err := s.Repo.Commit(ctx, git.CommitSpec{Tree: treeID, Author: who, Committer: who, Message: []byte(message)})
	if err != nil {
		return "", err
	}
	return commit, s.Repo.SetRef(ctx, ref, commit)
}

// holds reports whether the store has a blob. The caller holds s.mu and has called
// list.
func (s *Store) holds(hash string) bool { return s.blobs[hash] }

// list makes known what the store has, once. The caller holds s.mu.
func (s *Store) list(ctx context.Context) error {
	if s.blobs != nil {
		return nil
	}
	blobs, err := listBlobs(ctx, s.Repo)
	if err == nil {
		s.blobs = blobs
	}
	return err
}

// listBlobs names every blob of a store.
func listBlobs(ctx context.Context, repo *git.Repo) (map[string]bool, error) {
	out, err := repo.Output(ctx, "cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objecttype) %(objectname)")
	if err != nil {
		return nil, err
	}
	blobs := map[string]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		if hash, ok := bytes.CutPrefix(lines.Bytes(), []byte("blob ")); ok {
			blobs[string(hash)] = true
		}
	}
	return blobs, nil
}

// storeError says what failed on a store, with a kind for the reasons that a person
// can remove.
func storeError(op, dir string, err error) error {
	e := &Error{Kind: "unavailable", Op: op, Path: dir, Err: err}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Kind, e.Message, e.Hint = "noSpace", "the disk is full", "free some space and try again"
	case errors.Is(err, fs.ErrPermission):
		e.Kind, e.Message, e.Hint = "permissionDenied", "no permission", fmt.Sprintf("make %s writable for user %d", dir, os.Getuid())
	case errors.Is(err, fs.ErrNotExist):
		e.Kind, e.Message = "fileNotFound", "it is gone"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return e
}
