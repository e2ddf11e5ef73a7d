package git

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// CorruptError says that a folder looks like a repository and cannot be used as
// one.
type CorruptError struct{ Path, Why string }

func (e *CorruptError) Error() string {
	return fmt.Sprintf("the git repository at %s is damaged: %s", e.Path, e.Why)
}

// UnsupportedError says that a repository is of a kind that is not handled.
type UnsupportedError struct{ Path, What string }

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("the git repository at %s cannot be used: %s", e.Path, e.What)
}

// found is where a repository is: the folder that holds .git and what that names.
type found struct {
	root      string // "" when bare
	gitDir    string
	commonDir string
}

// discover walks up from folder to the first repository, as git does
// (gitrepository-layout(5)). The zero value means that there is none.
func discover(folder string) (found, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return found{}, err
	}
	real, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return found{}, err
	}
	for dir := real; ; dir = filepath.Dir(dir) {
		f, err := discoverAt(dir)
		if err != nil {
			return found{}, err
		}
		if f.root != "" {
			f.root = underOldName(f.root, real, folder)
		}
		if f.gitDir != "" || dir == filepath.Dir(dir) {
			return f, nil
		}
	}
}

// underOldName gives root under the name by which the caller knows it: when folder
// was reached through a link, root is expressed through the same link if it can be.
func underOldName(root, real, folder string) string {
	rel, err := filepath.Rel(root, real)
	if err != nil || real == folder {
		return root
	}
	candidate := folder
	for rest := rel; rest != "."; rest = filepath.Dir(rest) {
		candidate = filepath.Dir(candidate)
	}
	if same, err := filepath.EvalSymlinks(candidate); err == nil && same == root {
		return candidate
	}
	return root
}

// discoverAt looks at one folder only.
func discoverAt(dir string) (found, error) {
	dotGit := filepath.Join(dir, ".git")
	info, err := os.Stat(dotGit)
	switch {
	case err == nil && info.IsDir():
		if f, err := openGitDir(dotGit); err != nil || f.gitDir != "" {
			f.root = dir
			return f, err
		}
		// An empty .git is none, to git as well.
	case err == nil && info.Mode().IsRegular():
		target, err := readGitFile(dotGit)
		if err != nil {
			return found{}, err
		}
		f, err := openGitDir(target)
		if err == nil && f.gitDir == "" {
			err = &CorruptError{Path: dir, Why: fmt.Sprintf(".git names %s, which is not a git folder", target)}
		}
		f.root = dir
		return f, err
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return found{}, err
	}
	f, err := openGitDir(dir)
	var corrupt *CorruptError
	if errors.As(err, &corrupt) {
		return found{}, nil // any folder may hold something named HEAD
	}
	return f, err
}

// readGitFile reads a .git file: "gitdir: <path>", relative to the file.
func readGitFile(name string) (string, error) {
	content, err := readSmall(name, 64<<10)
	if err != nil {
		return "", err
	}
	target, ok := strings.CutPrefix(strings.TrimRight(string(content), "\r\n"), "gitdir: ")
	if !ok || target == "" || strings.ContainsRune(target, 0) {
		return "", &CorruptError{Path: filepath.Dir(name), Why: `its .git file does not say "gitdir: "`}
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(name), target)
	}
	return filepath.Clean(target), nil
}

// openGitDir tells whether dir is a git folder: it has HEAD, objects and refs, the
// last two in the common folder of its worktrees. The zero value: it is none.
func openGitDir(dir string) (found, error) {
	f := found{gitDir: dir, commonDir: dir}
	if content, err := readSmall(filepath.Join(dir, "commondir"), 64<<10); err == nil {
		f.commonDir = strings.TrimRight(string(content), "\r\n")
		if !filepath.IsAbs(f.commonDir) {
			f.commonDir = filepath.Join(dir, f.commonDir)
		}
	}
	// One that may not be looked into is no reason to take its files for a plain folder's.
	if _, err := os.Lstat(filepath.Join(dir, "HEAD")); errors.Is(err, os.ErrPermission) {
		return found{}, err
	}
	head := exists(filepath.Join(dir, "HEAD"))
	objects := exists(filepath.Join(f.commonDir, "objects"))
	refs := exists(filepath.Join(f.commonDir, "refs"))
	switch {
	case head && objects && refs:
		return f, nil
	case !head && !objects:
		return found{}, nil
	}
	var missing []string
	for name, there := range map[string]bool{"HEAD": head, "objects": objects, "refs": refs} {
		if !there {
			missing = append(missing, name)
		}
	}
	return found{}, &CorruptError{Path: dir, Why: "it has no " + strings.Join(missing, " and no ")}
}

// exists does not follow a link: HEAD may be one that points nowhere yet.
func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// readSmall reads a regular file of at most max bytes; it never waits on a pipe.
func readSmall(name string, max int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(f, max+1))
	if err == nil && n > max {
		err = fmt.Errorf("%s is larger than %d bytes", name, max)
	}
	return b.Bytes(), err
}
