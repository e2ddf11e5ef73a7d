package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// How much content a plan holds in memory until it is applied: what is larger, or
// comes later, is read from the store again when it is written.
const (
	holdFile = 4 << 20
	holdAll  = 64 << 20
)

// blobSource reads blobs of a store while a plan is made.
type blobSource struct {
	ctx   context.Context //nolint:containedctx // outlives the plan: see open
	s     *Store
	blobs *git.Blobs
	held  int64
}

func openContents(ctx context.Context, s *Store) (*blobSource, error) {
	blobs, err := s.Repo.Blobs(ctx)
	if err != nil {
		return nil, err
	}
	return &blobSource{ctx: context.WithoutCancel(ctx), s: s, blobs: blobs}, nil
}

func (c *blobSource) close() { _ = c.blobs.Close() }

// get gives a blob of at most max bytes. It is not ok when the blob is larger.
func (c *blobSource) get(hash string, max int64) (content []byte, ok bool, err error) {
	content, err = c.blobs.Get(hash, max)
	var large *git.TooLargeError
	if errors.As(err, &large) {
		return nil, false, nil
	}
	return content, err == nil, err
}

// open gives a function that reads a blob after the plan was made.
func (c *blobSource) open(e tree.Entry) (func() (io.ReadCloser, error), error) {
	if c.held < holdAll {
		content, ok, err := c.get(e.Hash, holdFile)
		if err != nil {
			return nil, err
		}
		if ok {
			c.held += int64(len(content))
			return openBytes(content), nil
		}
	}
	ctx, s := c.ctx, c.s
	return func() (io.ReadCloser, error) {
		blobs, err := s.Repo.Blobs(ctx)
		if err != nil {
			return nil, err
		}
		r, _, err := blobs.Open(e.Hash)
		if err != nil {
			return nil, errors.Join(err, blobs.Close())
		}
		return &lastingBlob{ReadCloser: r, blobs: blobs}, nil
	}, nil
}

// lastingBlob ends the process that a blob is read from together with the reading.
type lastingBlob struct {
	io.ReadCloser
	blobs *git.Blobs
}

func (b *lastingBlob) Close() error {
	return errors.Join(b.ReadCloser.Close(), b.blobs.Close())
}

func openBytes(content []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
}

// lookupDirectly is how many paths are looked up by name; for more, listing the whole
// tree is cheaper, and no command line grows too long.
const lookupDirectly = 100

// Entries gives what a tree holds at some paths, without sizes; those without a file are
// not in the map.
func (s *Store) Entries(ctx context.Context, id string, paths []string) (map[string]tree.Entry, error) {
	found, err := s.entriesAt(ctx, id, paths)
	if err != nil {
		return nil, storeError("look into a tree", s.Repo.Dir, err)
	}
	return found, nil
}

// Differences are the paths at which two trees differ.
func (s *Store) Differences(ctx context.Context, from, to string) (map[string]bool, error) {
	changes, err := s.changes(ctx, from, to)
	if err != nil {
		return nil, storeError("compare two trees", s.Repo.Dir, err)
	}
	out := make(map[string]bool, len(changes))
	for path := range changes {
		out[path] = true
	}
	return out, nil
}

// entriesAt gives what a tree holds at some paths, without sizes; those without a file
// are not in the map.
func (s *Store) entriesAt(ctx context.Context, id string, paths []string) (map[string]tree.Entry, error) {
	found := map[string]tree.Entry{}
	if len(paths) == 0 {
		return found, nil
	}
	if len(paths) > lookupDirectly {
		all, err := s.Repo.ReadTree(ctx, id)
		for _, e := range all {
			found[e.Path] = e
		}
		return found, err
	}
	args := append([]string{"ls-tree", "-r", "-z", "--full-tree", id, "--"}, paths...)
	out, err := s.Repo.Output(ctx, args...)
	if err != nil {
		return nil, err
	}
	for len(out) > 0 {
		var record []byte
		record, out = cutNUL(out)
		head, name, _ := strings.Cut(string(record), "\t") // <mode> blob <hash>
		fields := strings.Fields(head)
		if len(fields) != 3 || fields[1] != "blob" {
			continue
		}
		mode, err := strconv.ParseUint(fields[0], 8, 32)
		if err != nil {
			return nil, fmt.Errorf("git printed %q for an entry", record)
		}
		found[name] = tree.Entry{Path: name, Mode: tree.Mode(mode), Hash: fields[2]}
	}
	return found, nil
}
