package tree

import (
	"os"
	"path/filepath"
)

// RemoveAll is os.RemoveAll for what a sandbox leaves: also where commands, or an
// overlay's own bookkeeping, took the right to do so away from its folders.
func RemoveAll(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	// Through a root: what is left of a sandbox may still swap a folder for a link.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	openUp(root, ".")
	return os.RemoveAll(dir)
}

// openUp gives the owner's rights on folders back; what stays locked shows when it is
// removed.
func openUp(root *os.Root, dir string) {
	_ = root.Chmod(dir, 0o700)
	f, err := root.Open(dir)
	if err != nil {
		return
	}
	entries, _ := f.ReadDir(-1)
	_ = f.Close()
	for _, e := range entries {
		if e.IsDir() {
			openUp(root, filepath.Join(dir, e.Name()))
		}
	}
}
