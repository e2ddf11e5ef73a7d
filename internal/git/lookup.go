package git

import (
	"context"
	"fmt"
	"strings"

	"glue-lsp/internal/tree"
)

// TreeOf gives the tree of a commit that the store holds.
func (r *Repo) TreeOf(ctx context.Context, commit string) (string, error) {
	if err := r.checkID(commit); err != nil {
		return "", fmt.Errorf("find the tree: %w", err)
	}
	out, err := r.Output(ctx, "rev-parse", "--verify", "--end-of-options", commit+"^{tree}")
	if err != nil {
		return "", fmt.Errorf("find the tree of %s: %w", commit, err)
	}
	id := strings.TrimSpace(string(out))
	return id, r.checkID(id)
}

// Lookup gives one path's entry of a tree, Absent when no file is there (a folder is
// no file).
func (r *Repo) Lookup(ctx context.Context, id, path string) (tree.Entry, error) {
	absent := tree.Entry{Path: path}
	if err := r.checkID(id); err != nil {
		return absent, fmt.Errorf("look up %s: %w", path, err)
	}
	if path == "" || id == r.emptyTree() {
		return absent, nil
	}
	found := absent
	records := &recordWriter{max: maxRecord, each: func(record []byte) error {
		e, err := parseTreeRecord(record)
		if err != nil {
			return err
		}
		if e.Path == path && (e.Mode == tree.Regular || e.Mode == tree.Executable || e.Mode == tree.Symlink) {
			found = e
		}
		return nil
	}}
	err := r.Run(ctx, Cmd{
		Args: []string{"ls-tree", "-l", "-z", "--full-tree", id, "--", path}, Stdout: records,
	})
	if err == nil {
		err = records.err
	}
	if err != nil {
		return absent, fmt.Errorf("look up %s: %w", path, err)
	}
	return found, nil
}
