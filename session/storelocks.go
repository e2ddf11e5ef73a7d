package session

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// storeLockAge is how old the lock of a dead owner's git must be: one that the owner's
// death did not end is done with its files by then.
const storeLockAge = 2 * time.Second

// clearStoreLocks deletes the lock files that a git which was killed left in a session's
// objects: with them no checkpoint could be kept any more. The caller has the session's
// lock, so that nobody else begins to write there.
func clearStoreLocks(ctx context.Context, store string) error {
	var left []string
	err := filepath.WalkDir(store, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil //nolint:nilerr // it is gone by now, or nothing that git could use either
		case d.IsDir() && name == filepath.Join(store, "objects"):
			return fs.SkipDir
		case d.Type().IsRegular() && strings.HasSuffix(name, ".lock"): // no ref is named so: git-check-ref-format(1)
			left = append(left, name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range left {
		if err := clearStoreLock(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func clearStoreLock(ctx context.Context, name string) error {
	for {
		info, err := os.Lstat(name)
		if err != nil {
			return nil //nolint:nilerr // its git went on after all
		}
		if age := time.Since(info.ModTime()); age >= storeLockAge || age < 0 {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPause):
		}
	}
	if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}
