package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// SetRef points a ref at a commit, durably; an empty commit removes the ref. The
// name is a full one, e.g. refs/glue/base.
func (r *Repo) SetRef(ctx context.Context, name, commit string) error {
	if err := checkRef(name); err != nil {
		return err
	}
	args := []string{"update-ref", "--no-deref", "-d", "--", name}
	if commit != "" {
		if err := r.checkID(commit); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
		args = []string{"update-ref", "--no-deref", "--", name, commit}
	}
	if err := r.Run(ctx, Cmd{Args: args}); err != nil {
		return fmt.Errorf("set %s: %w", name, err)
	}
	err := syncDirsUp(r.Dir, filepath.Join(r.Dir, filepath.FromSlash(name)))
	if commit == "" && errors.Is(err, os.ErrNotExist) {
		return nil // git removed the folder along with the last ref in it
	}
	if err != nil {
		return fmt.Errorf("set %s: %w", name, err)
	}
	return nil
}

// SetRefs points refs at commits, all or none, durably, by one process.
func (r *Repo) SetRefs(ctx context.Context, refs map[string]string) error {
	if len(refs) == 0 {
		return nil
	}
	var in bytes.Buffer
	dirs := map[string]bool{}
	for name, commit := range refs {
		if err := checkRef(name); err != nil {
			return err
		}
		if err := r.checkID(commit); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
		fmt.Fprintf(&in, "update %s\x00%s\x00\x00", name, commit)
		dirs[filepath.Dir(filepath.Join(r.Dir, filepath.FromSlash(name)))] = true
	}
	if err := r.Run(ctx, Cmd{Args: []string{"update-ref", "--no-deref", "--stdin", "-z"}, Stdin: &in}); err != nil {
		return fmt.Errorf("set %d refs: %w", len(refs), err)
	}
	for dir := range dirs {
		if err := syncDirsUp(r.Dir, filepath.Join(dir, "x")); err != nil {
			return fmt.Errorf("set %d refs: %w", len(refs), err)
		}
	}
	return nil
}

// Ref gives what a ref points at, "" if there is no such ref.
func (r *Repo) Ref(ctx context.Context, name string) (string, error) {
	if err := checkRef(name); err != nil {
		return "", err
	}
	out, err := r.Output(ctx, "for-each-ref", "--format=%(refname) %(objectname)", "--", name)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	// The pattern also matches names below it.
	for line := range strings.Lines(string(out)) {
		if ref, id, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ref == name {
			return id, nil
		}
	}
	return "", nil
}

// checkRef refuses names that are not plain refs, so that none is taken for an
// option or for a revision expression. It is a little stricter than
// git-check-ref-format(1).
func checkRef(name string) error {
	bad := !strings.HasPrefix(name, "refs/") ||
		strings.HasSuffix(name, "/") || strings.HasSuffix(name, ".") ||
		strings.Contains(name, "..") || strings.Contains(name, "//") || strings.Contains(name, "@{") ||
		strings.ContainsFunc(name, func(c rune) bool {
			return c <= ' ' || c == 0x7f || strings.ContainsRune(`~^:?*[\`, c)
		})
	for part := range strings.SplitSeq(name, "/") {
		bad = bad || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	if bad {
		return fmt.Errorf("%q is not the full name of a ref", name)
	}
	return nil
}
