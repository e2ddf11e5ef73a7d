package workspace

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// refBase names the first snapshot, as it went up.
const refBase = "refs/glue/base"

// hostFile, in the store's folder, holds the id of the latest snapshot's tree.
const hostFile = "glue-host"

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

// lastHost gives the tree of the latest snapshot that this or another process took,
// nil when there is none that can be read.
func (s *Store) lastHost(ctx context.Context) *Snapshot {
	id, err := os.ReadFile(filepath.Join(s.Repo.Dir, hostFile))
	if err != nil {
		return nil
	}
	entries, err := s.Repo.ReadTree(ctx, string(id))
	if err != nil {
		return nil // not written to its end: as good as none
	}
	return &Snapshot{Tree: string(id), Entries: entries}
}

// saveHost records the latest snapshot.
func (s *Store) saveHost(snap *Snapshot) error {
	return os.WriteFile(filepath.Join(s.Repo.Dir, hostFile), []byte(snap.Tree), 0o600)
}

// keep makes ref name a commit of the tree, durably, and gives the commit.
func (s *Store) keep(ctx context.Context, ref, treeID string, parents []string, message string) (string, error) {
	who := git.Signature{Name: "glue", Email: "glue@localhost", When: s.now()}
	commit, err := s.Repo.Commit(ctx, git.CommitSpec{Tree: treeID, Parents: parents, Author: who, Committer: who, Message: []byte(message)})
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
	var limit *git.LimitError
	switch {
	case errors.As(err, &limit) && (limit.What == git.LimitWall || limit.What == git.LimitCPU):
		e.Kind, e.Message, e.Hint = "timeout", limit.Error(), "try again when the machine is less busy, or leave large files out"
	case errors.As(err, &limit):
		e.Kind, e.Message, e.Hint = "tooLarge", limit.Error(), "leave large files out: delete them in the sandbox, or name them in .gitignore or exclude"
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
