package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// manyPacks is how many small packs gather before they become one. Every command
	// looks at each of them: a thousand cost it some 20 ms.
	manyPacks = 128
	// smallPack bounds what is written again, in bytes.
	smallPack = 8 << 20
)

// consolidate makes one pack of the small ones if there are many. Unlike git's own
// gc it loses nothing: every object of theirs is in the new one, reachable or not.
// While another command runs it leaves everything as it is, for the next time.
func (r *Repo) consolidate(ctx context.Context) error {
	small, err := r.smallPacks()
	if err != nil || len(small) < manyPacks || !r.packs.TryLock() {
		return err
	}
	defer r.packs.Unlock()
	dir := filepath.Join(r.Dir, "objects", "pack")
	var made strings.Builder
	err = r.Git.run(ctx, r.place(), Cmd{
		Args:  []string{"pack-objects", "--quiet", "--stdin-packs", filepath.Join(dir, "pack")},
		Stdin: strings.NewReader(strings.Join(small, "\n") + "\n"), Stdout: &made,
	})
	if err != nil {
		return fmt.Errorf("make one pack of %d: %w", len(small), err)
	}
	// The new one is there for good before an old one goes.
	if err := syncPath(dir); err != nil {
		return err
	}
	kept := "pack-" + strings.TrimSpace(made.String()) + ".pack"
	for _, name := range small {
		if name == kept {
			continue
		}
		base := filepath.Join(dir, strings.TrimSuffix(name, ".pack"))
		for _, ending := range []string{".idx", ".rev", ".pack"} {
			if err := os.Remove(base + ending); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return syncPath(dir)
}

// smallPacks names the packs that are worth joining.
func (r *Repo) smallPacks() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(r.Dir, "objects", "pack"))
	if err != nil {
		return nil, err
	}
	var small []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "pack-") || !strings.HasSuffix(e.Name(), ".pack") {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if info.Size() < smallPack {
			small = append(small, e.Name())
		}
	}
	return small, nil
}
