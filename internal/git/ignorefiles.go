package git

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"glue-lsp/internal/tree"
)

// addOuterRules adds the rules that stand in no .gitignore: the user's global
// excludes and the repository's info/exclude. A nested repository does not take the
// rules of the one around it; that is said by a rule that takes everything back in.
func (l *lister) addOuterRules(src *Source, prefix string, depth int) {
	dir := strings.TrimSuffix(prefix, "/")
	if depth > 0 {
		l.addRules(dir, []byte("!*\n"))
	}
	if src == nil {
		return
	}
	// What a repository's own configuration or a link in it points to is used
	// here, where it can only hide files, but not passed on.
	if src.ExcludesFile != "" && !src.ownExcludes {
		if rules, err := readRules(src.ExcludesFile); err == nil {
			l.addRules(dir, rules)
		}
	}
	exclude := filepath.Join(src.CommonDir, "info", "exclude")
	if info, err := os.Lstat(exclude); err == nil && info.Mode().IsRegular() {
		if rules, err := readRules(exclude); err == nil {
			l.addRules(dir, rules)
		}
	}
}

// addIgnoreFiles reads the .gitignore files that were in force: those that go up,
// and those that exclude themselves ("*" in the folder of a tool's cache), which git
// lists one by one.
func (l *lister) addIgnoreFiles(root string) {
	for _, p := range slices.Concat(l.out.Paths, l.out.Ignored) {
		if path.Base(p) != ".gitignore" {
			continue
		}
		file := filepath.Join(root, filepath.FromSlash(p))
		// git does not follow a link here either.
		if info, err := os.Lstat(file); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if rules, err := readRules(file); err == nil {
			dir := path.Dir(p)
			if dir == "." {
				dir = ""
			}
			l.addRules(dir, rules)
		}
	}
	slices.SortStableFunc(l.out.IgnoreFiles, func(a, b tree.IgnoreFile) int {
		return strings.Count(withSlash(a.Dir), "/") - strings.Count(withSlash(b.Dir), "/")
	})
}

// addOffDisk adds the rules that are in force from the index alone. One whose content
// is not here, as in a partial clone, is not in force to git either.
func (l *lister) addOffDisk(ctx context.Context, src *Source, dir string) error {
	if len(l.off) == 0 || src == nil {
		return nil
	}
	objects, err := (&Repo{Git: l.git, Dir: dir, Format: src.Format}).Blobs(ctx)
	if err != nil {
		return err
	}
	defer objects.Close()
	for _, o := range l.off {
		rules, err := objects.Get(o.hash, maxRulesFile)
		var missing *NoObjectError
		var large *TooLargeError
		switch {
		case errors.As(err, &missing), errors.As(err, &large):
			continue
		case err != nil:
			return err
		}
		l.addRules(strings.TrimSuffix(strings.TrimSuffix(o.path, ".gitignore"), "/"), rules)
	}
	return nil
}

func isFolder(name string) bool {
	info, err := os.Lstat(name)
	return err == nil && info.IsDir()
}

func withSlash(dir string) string {
	if dir == "" {
		return ""
	}
	return dir + "/"
}

func (l *lister) addRules(dir string, rules []byte) {
	if len(rules) > 0 {
		l.out.IgnoreFiles = append(l.out.IgnoreFiles, tree.IgnoreFile{Dir: dir, Content: rules})
	}
}
