package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"glue-lsp/internal/tree"
)

// FileList is which files belong to a working tree.
type FileList struct {
	// Paths go up: tracked ones, ignored or not, and untracked ones that are not
	// ignored; those of nested repositories and submodules by the rules of each.
	// Relative to the root, sorted, once each. A tracked path may be gone from the
	// disk, or be a folder there. What a sparse checkout or a skip-worktree bit
	// leaves out is in only if it is on the disk all the same.
	Paths []string
	// Elsewhere are tracked paths that the user's git keeps out of the working tree on
	// purpose (a sparse checkout, a skip-worktree bit), sorted; one that ends in a slash
	// stands for all below it. That they are not on the disk says nothing about them.
	Elsewhere []string
	// Untracked are those of Paths that no index names, sorted.
	Untracked []string
	// Ignored are untracked paths that an ignore rule leaves out, sorted; a folder
	// of which nothing goes up is named with a slash at its end, and nothing in it.
	Ignored []string
	// IgnoreFiles are the sources of rules that were in force, lowest precedence
	// first: the user's global excludes, info/exclude, .gitignore files.
	IgnoreFiles []tree.IgnoreFile
	// Skipped are folders that could not be read.
	Skipped []tree.Skipped
}

// maxNesting bounds repositories in repositories.
const maxNesting = 16

// ListFiles asks git which files belong to src. It works on a copy of the user's
// index in dir, a private folder that is made if need be and can be used again, by
// one call at a time; nothing of the repository's configuration counts but what
// src took from it by name.
func (g *Git) ListFiles(ctx context.Context, src *Source, dir string) (FileList, error) {
	if src.Bare {
		return FileList{}, fmt.Errorf("list files of %s: a bare repository has none; open a folder with a working tree", src.GitDir)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return FileList{}, err
	}
	l := &lister{git: g, outer: src.outer}
	if err := l.list(ctx, src, src.Root, "", dir, 0); err != nil {
		return FileList{}, fmt.Errorf("list files of %s: %w", src.Root, err)
	}
	slices.Sort(l.out.Paths)
	l.out.Paths = slices.Compact(l.out.Paths)
	slices.Sort(l.out.Untracked)
	slices.Sort(l.out.Elsewhere)
	l.addIgnoreFiles(src.Root)
	l.out.Ignored = withoutInner(l.out.Ignored)
	return l.out, nil
}

// lister gathers the files of a repository and of those inside it.
type lister struct {
	git   *Git
	outer userConfig
	out   FileList
	dirs  int // private folders handed out for nested repositories
	off   []offDisk
}

// offDisk is a tracked .gitignore that is not checked out, while its folder is there:
// git takes its rules from the index.
type offDisk struct{ path, hash string }

// list adds what belongs to the folder root, which is known as prefix in the whole
// ("" or ending in a slash). Without src the folder is no repository, and every
// file counts that its .gitignore files do not exclude.
func (l *lister) list(ctx context.Context, src *Source, root, prefix, dir string, depth int) error {
	if err := mirror(src, dir); err != nil {
		return err
	}
	excludes := ""
	if src != nil {
		excludes = src.ExcludesFile
	}
	at := place{gitDir: dir, workTree: root, workDir: root, env: []string{"GIT_INDEX_FILE=" + filepath.Join(dir, "index")}}
	var files, ignored bytes.Buffer
	var warnings string
	var filesErr, ignoredErr error
	// -c counts more than the environment's settings (git(1), -c).
	excludesArg := []string{"-c", "core.excludesFile=" + excludes, "ls-files", "-z", "--others", "--exclude-standard"}
	var both sync.WaitGroup
	both.Go(func() {
		filesErr = l.git.run(ctx, at, Cmd{Args: slices.Concat(excludesArg, []string{"--cached", "--stage", "--sparse", "-t"}), Stdout: &files, warnings: &warnings})
	})
	both.Go(func() {
		ignoredErr = l.git.run(ctx, at, Cmd{Args: slices.Concat(excludesArg, []string{"--ignored", "--directory"}), Stdout: &ignored})
	})
	both.Wait()
	if err := errors.Join(filesErr, ignoredErr); err != nil {
		return err
	}
	l.addUnreadable(prefix, warnings)
	l.addOuterRules(src, prefix, depth)
	l.off = nil
	inner, err := l.addFiles(files.String(), root, prefix)
	if err != nil {
		return err
	}
	if err := l.addOffDisk(ctx, src, at.gitDir); err != nil {
		return err
	}
	for path := range strings.SplitSeq(strings.TrimSuffix(ignored.String(), "\x00"), "\x00") {
		if path != "" {
			l.out.Ignored = append(l.out.Ignored, prefix+path)
		}
	}
	for _, path := range inner {
		if err := l.listNested(ctx, filepath.Join(root, filepath.FromSlash(path)), prefix+path+"/", dir, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// addFiles reads what ls-files printed: "<tag> <mode> <hash> <stage>\t<path>" for
// tracked paths (with a slash at its end a folder that a sparse index names as one),
// "? <path>" for others, where a nested repository ends in a slash.
// It gives the folders of nested repositories and submodules.
func (l *lister) addFiles(out, root, prefix string) (inner []string, err error) {
	for record := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		if record == "" {
			continue
		}
		if path, ok := strings.CutPrefix(record, "? "); ok {
			if path, ok = strings.CutSuffix(path, "/"); ok {
				inner = append(inner, path)
			} else {
				l.out.Paths = append(l.out.Paths, prefix+path)
				l.out.Untracked = append(l.out.Untracked, prefix+path)
			}
			continue
		}
		head, path, ok := strings.Cut(record, "\t")
		f := strings.Fields(head)
		if !ok || len(f) != 4 {
			return nil, fmt.Errorf("ls-files printed %q", record)
		}
		onDisk := true
		if f[1] == "040000" {
			onDisk = false // git names its files when it is on the disk
		} else if f[0] == "S" || f[1] == "160000" {
			_, err := os.Lstat(filepath.Join(root, filepath.FromSlash(path)))
			onDisk = err == nil
		}
		switch {
		case !onDisk && f[0] == "S":
			l.out.Elsewhere = append(l.out.Elsewhere, prefix+path)
			if name := strings.TrimSuffix(path, ".gitignore"); name != path && (name == "" || strings.HasSuffix(name, "/")) && isFolder(filepath.Join(root, filepath.FromSlash(name))) {
				l.off = append(l.off, offDisk{prefix + path, f[2]})
			}
		case !onDisk:
		case f[1] == "160000":
			inner = append(inner, path)
		default:
			l.out.Paths = append(l.out.Paths, prefix+path)
		}
	}
	return inner, nil
}

// listNested adds a nested repository or a submodule by its own rules. One that is
// damaged, or a submodule's folder without a repository, counts as a folder.
func (l *lister) listNested(ctx context.Context, root, prefix, dir string, depth int) error {
	name := strings.TrimSuffix(prefix, "/")
	info, err := os.Lstat(root)
	if err != nil || !info.IsDir() {
		// A file or a link where the index has a submodule: it goes up as what it is.
		if err == nil {
			l.out.Paths = append(l.out.Paths, name)
		}
		return nil
	}
	if depth > maxNesting {
		l.out.Skipped = append(l.out.Skipped, tree.Skipped{Path: name, Reason: tree.Unreadable, Detail: "repositories are nested too deep"})
		return nil
	}
	var src *Source
	if f, err := discoverAt(root); err == nil && f.root != "" {
		if src, err = l.git.inspectFound(ctx, f, l.outer); err != nil || src.Bare {
			src = nil
		}
	}
	l.dirs++
	private := filepath.Join(dir, "nested-"+strconv.Itoa(l.dirs))
	if src != nil {
		err := l.list(ctx, src, root, prefix, private, depth)
		var failed *Error
		if !errors.As(err, &failed) || failed.Err != nil {
			return err
		}
		// git found its index damaged: its files still belong to the user.
	}
	return l.list(ctx, nil, root, prefix, private, depth)
}

// addUnreadable notes the folders that git could not enter; their files would be
// missing without a word.
func (l *lister) addUnreadable(prefix, warnings string) {
	const says = "warning: could not open directory '"
	for _, rest := range strings.Split(warnings, says)[1:] {
		folder, detail := rest, "its name is too long to be told"
		if end := strings.LastIndex(rest, "': "); end >= 0 {
			folder = rest[:end]
			detail, _, _ = strings.Cut(plain(rest[end+3:]), "\n")
		} else if cut := strings.LastIndexByte(rest, '/'); cut > 0 {
			// git's words end where its buffer does, within a path that is as long.
			folder, detail = rest[:cut], "folders in it are nested too deep"
		}
		l.out.Skipped = append(l.out.Skipped, tree.Skipped{
			Path: prefix + strings.TrimSuffix(folder, "/"), Reason: tree.Unreadable, Detail: detail,
		})
	}
}

// withoutInner sorts paths and drops those below a folder that is named itself.
func withoutInner(paths []string) []string {
	slices.Sort(paths)
	kept := paths[:0]
	folder := ""
	for _, p := range paths {
		if folder != "" && strings.HasPrefix(p, folder) {
			continue
		}
		if strings.HasSuffix(p, "/") {
			folder = p
		}
		kept = append(kept, p)
	}
	return kept
}
