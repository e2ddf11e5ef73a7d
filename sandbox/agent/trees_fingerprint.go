package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// fingerprint changes when a ref of the workspace's repository may have moved, and
// costs no process: it looks at HEAD, at every loose ref, at the files that hold the
// packed ones, at the logs of HEAD and the stash and at linked worktrees' HEADs (the files named in
// gitrepository-layout(5); a reftable is the files of its folder).
func (t *trees) fingerprint() string {
	h := sha256.New()
	dir, err := t.gitDir()
	if err != nil {
		fmt.Fprintf(h, "no repository: %v\n", err)
		return hex.EncodeToString(h.Sum(nil))
	}
	fmt.Fprintln(h, dir)
	common := dir
	if b, err := readSmall(filepath.Join(dir, "commondir")); err == nil {
		common = strings.TrimRight(string(b), "\n")
		if !filepath.IsAbs(common) {
			common = filepath.Join(dir, common)
		}
	}
	markContent(h, filepath.Join(dir, "HEAD"))
	markContent(h, filepath.Join(common, "config"))
	markStat(h, filepath.Join(common, "packed-refs"))
	markStat(h, filepath.Join(dir, "logs", "HEAD")) // a commit that was undone again moved nothing else
	markStat(h, filepath.Join(common, "logs", "refs", "stash"))
	markTree(h, filepath.Join(common, "refs"), markContent)
	markTree(h, filepath.Join(common, "reftable"), markStat)
	worktrees, _ := filepath.Glob(filepath.Join(globEscape(common), "worktrees", "*", "HEAD"))
	for _, head := range worktrees {
		markContent(h, head)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func markContent(h hash.Hash, name string) {
	b, err := readSmall(name)
	fmt.Fprintf(h, "%q %q %v\n", name, b, err != nil)
}

func markStat(h hash.Hash, name string) {
	info, err := os.Lstat(name)
	if err != nil {
		fmt.Fprintf(h, "%q -\n", name)
		return
	}
	fmt.Fprintf(h, "%q %d %d\n", name, info.Size(), info.ModTime().UnixNano())
}

func markTree(h hash.Hash, dir string, mark func(hash.Hash, string)) {
	// A folder that cannot be read is one that changed once it can be.
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			mark(h, name)
		}
		return nil
	})
}

func globEscape(p string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(p)
}
