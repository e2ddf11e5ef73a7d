package git

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"glue-lsp/internal/tree"
)

// maxRulesFile bounds a file of ignore rules, as git's own limit does not.
const maxRulesFile = 16 << 20

// mirror makes dir a git folder in which git sees the user's repository as far as
// listing files needs it: its index and its own ignore rules, by copy, and the
// named settings. Without src it stands for a repository without a history.
func mirror(src *Source, dir string) error {
	if src == nil {
		src = &Source{Format: tree.SHA1, FileMode: true, Symlinks: true, GitDir: os.DevNull, CommonDir: os.DevNull}
	}
	files := gitDirFiles(src.Format, []setting{
		{"core.bare", "false"},
		{"core.fileMode", strconv.FormatBool(src.FileMode)},
		{"core.ignoreCase", strconv.FormatBool(src.IgnoreCase)},
		{"core.symlinks", strconv.FormatBool(src.Symlinks)},
		{"core.precomposeUnicode", strconv.FormatBool(src.PrecomposeUnicode)},
		{"core.sparseCheckout", strconv.FormatBool(src.Sparse)},
		{"core.sparseCheckoutCone", strconv.FormatBool(src.SparseCone)},
	})
	for i := range files {
		if files[i].name != "info/exclude" {
			continue
		}
		rules, err := readRules(filepath.Join(src.CommonDir, "info", "exclude"))
		if err != nil {
			return err
		}
		files[i].content = rules
	}
	if src.Sparse {
		patterns, err := readRules(filepath.Join(src.GitDir, "info", "sparse-checkout"))
		if err != nil {
			return err
		}
		files = append(files, gitDirFile{"info/sparse-checkout", patterns})
	}
	if err := makeGitDir(dir, files); err != nil {
		return fmt.Errorf("prepare %s: %w", dir, err)
	}
	if err := mirrorIndex(src, dir); err != nil {
		return fmt.Errorf("copy the index: %w", err)
	}
	return nil
}

// mirrorIndex copies the index, and the parts that a split index shares.
func mirrorIndex(src *Source, dir string) error {
	index, err := readIndex(filepath.Join(src.GitDir, "index"))
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(dir, "index"), index); err != nil {
		return err
	}
	shared, err := filepath.Glob(filepath.Join(escapeGlob(src.GitDir), "sharedindex.*"))
	if err != nil {
		return err
	}
	for _, name := range shared {
		// Copied, not linked: git touches the shared part when it reads one.
		part, err := readIndex(name)
		if err != nil {
			return err
		}
		if err := replaceFile(filepath.Join(dir, filepath.Base(name)), part); err != nil {
			return err
		}
	}
	// Git reads the user's objects where the disk lacks what it needs: the folders of a
	// sparse index are named by their trees, and a .gitignore that is not checked out is
	// in force all the same. What is missing there is fetched from nowhere.
	var alternates []byte
	if src.CommonDir != os.DevNull {
		alternates = []byte(quotePath(filepath.Join(src.CommonDir, "objects")) + "\n")
	}
	return replaceFile(filepath.Join(dir, "objects", "info", "alternates"), alternates)
}

// readIndex reads an index at one moment: git replaces it by renaming. No index is
// an empty one.
func readIndex(name string) ([]byte, error) {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) || err != nil && isNotDir(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s is not a regular file", name))
	}
	return io.ReadAll(f)
}

// replaceFile writes a file of the private folder; no content removes it.
func replaceFile(name string, content []byte) error {
	if len(content) == 0 {
		if err := os.Remove(name); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	return os.WriteFile(name, content, 0o600)
}

// readRules reads a file of rules; none is as good as an empty one.
func readRules(name string) ([]byte, error) {
	rules, err := readSmall(name, maxRulesFile)
	if errors.Is(err, os.ErrNotExist) || err != nil && isNotDir(err) {
		return nil, nil
	}
	return rules, err
}

func escapeGlob(path string) string {
	var b bytes.Buffer
	for i := range len(path) {
		if c := path[i]; c == '*' || c == '?' || c == '[' || c == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(path[i])
	}
	return b.String()
}
