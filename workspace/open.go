package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// Options for [Open].
type Options struct {
	// CacheDir is a private folder of this workspace (mode 0700) for what makes the
	// next snapshot quick: hashes by stat data, a copy of the index.
	CacheDir string
	// StateDir, shared by all workspaces of a person (mode 0700), is where Apply records
	// what it is about to change, so that a process that is killed in the middle of it
	// leaves nothing half done: the next Open or Apply puts everything back. "" is without.
	StateDir string
	// Include lets ignored files and secrets through by name, Exclude leaves files
	// out. Both are patterns as in gitignore(5), relative to the root.
	Include, Exclude []string
	// MaxFileSize in bytes leaves larger files out; zero is no limit.
	MaxFileSize int64
}

// Workspace is one working tree on the host, as the editor sees it. It is safe for
// concurrent use; snapshots are taken one after the other.
type Workspace struct {
	git    *git.Git
	source atomic.Pointer[git.Source] // nil when there is no repository
	root   string                     // absolute, links resolved
	alias  string                     // the root by the name under which the folder was opened
	subdir string
	opts   Options

	mu    sync.Mutex // guards what follows, and the folder of caches
	notes []string
	files *listing
	stats map[tree.Format]*tree.Cache
}

// Open finds the working tree that folder belongs to: a repository's, or the folder
// by itself. Errors are an [*Error] of kind fileNotFound, notADirectory,
// permissionDenied, unsupported (a bare repository) or unavailable (git is missing or
// too old).
func Open(ctx context.Context, g *git.Git, folder string, opts Options) (*Workspace, error) {
	real, err := usableFolder(folder)
	if err != nil {
		return nil, err
	}
	if g == nil {
		if g, err = git.Find(ctx); err != nil {
			return nil, gitError(err)
		}
	}
	if err := os.MkdirAll(opts.CacheDir, 0o700); err != nil {
		return nil, storeError("make the cache folder", opts.CacheDir, err)
	}
	src, err := g.Inspect(ctx, real)
	if err != nil {
		return nil, inspectError(folder, err)
	}
	w := &Workspace{git: g, root: real, alias: filepath.Clean(folder), opts: opts, stats: map[tree.Format]*tree.Cache{}}
	if src == nil {
		w.recoverLater()
		return w, nil
	}
	if src.Bare || src.Root == "" {
		return nil, &Error{
			Kind: "unsupported", Op: "open", Path: folder,
			Message: "this is a bare repository or a repository's own folder; it has no working tree",
			Hint:    "open a checkout of it instead (git clone, or git worktree add)",
		}
	}
	subdir, ok := within(src.Root, real)
	if !ok {
		return nil, &Error{
			Kind: "unsupported", Op: "open", Path: folder,
			Message: "its repository's working tree is elsewhere, at " + src.Root,
			Hint:    "open that folder instead",
		}
	}
	w.source.Store(src)
	w.root, w.subdir = src.Root, subdir
	w.alias = trimSubdir(w.alias, subdir)
	if err := w.leaveIgnored(ctx, real); err != nil {
		return nil, err
	}
	w.recoverLater()
	return w, nil
}

// leaveIgnored takes a folder by itself which its repository ignores, as packages in
// a repository of a whole home folder are: nothing of it would go up otherwise.
func (w *Workspace) leaveIgnored(ctx context.Context, folder string) error {
	if w.subdir == "" {
		return nil
	}
	ignored, err := w.ignores(ctx, w.subdir)
	if err != nil || !ignored {
		return err
	}
	w.source.Store(nil)
	w.root, w.alias, w.subdir, w.files = folder, folder, "", nil
	return nil
}

// Root is the absolute path of the tree: the repository's root, or the folder.
func (w *Workspace) Root() string { return w.root }

// Subdir is the opened folder below Root, with slashes, "" when it is Root.
func (w *Workspace) Subdir() string { return w.subdir }

// Source is what the repository said of itself when its files were last listed, nil
// when there is none.
func (w *Workspace) Source() *git.Source { return w.source.Load() }

// usableFolder gives the folder with its links resolved, if it can be read.
func usableFolder(folder string) (string, error) {
	fail := func(kind, message, hint string, err error) (string, error) {
		return "", &Error{Kind: kind, Op: "open", Path: folder, Message: message, Hint: hint, Err: err}
	}
	real, err := filepath.EvalSymlinks(folder)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err == nil {
		err = readable(real)
	}
	switch {
	case err == nil:
		return real, nil
	case errors.Is(err, fs.ErrNotExist):
		return fail("fileNotFound", "the folder does not exist (any more)", "open a folder that exists", err)
	case errors.Is(err, errNotADirectory):
		return fail("notADirectory", "this is not a folder", "open the folder that holds it", nil)
	case errors.Is(err, fs.ErrPermission):
		return fail("permissionDenied", "no permission to read the folder", fmt.Sprintf("let user %d read it (ls -ld shows its mode)", os.Getuid()), err)
	}
	return fail("unavailable", "the folder cannot be read", "", err)
}

var errNotADirectory = errors.New("not a directory")

func readable(folder string) error {
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer dir.Close() //nolint:errcheck // only read
	info, err := dir.Stat()
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errNotADirectory
	}
	if _, err := dir.Readdirnames(1); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	_, err = os.Stat(filepath.Join(folder, "."))
	return err
}

// gitError is for a git that is missing or too old.
func gitError(err error) error {
	var old *git.VersionError
	var none *git.MissingError
	hint := ""
	switch {
	case errors.As(err, &old):
		hint = "update git"
	case errors.As(err, &none):
		hint = "install git"
	}
	return &Error{Kind: "unavailable", Op: "find git", Message: err.Error(), Hint: hint, Err: err}
}

// inspectError is for a repository that git cannot read.
func inspectError(folder string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &Error{
		Kind: "unavailable", Op: "open", Path: folder,
		Message: "git cannot read the repository: " + err.Error(),
		Hint:    "see what `git status` says there",
		Err:     err,
	}
}

// trimSubdir takes the components of subdir off the end of a path, if they are there.
func trimSubdir(path, subdir string) string {
	for rest := filepath.FromSlash(subdir); rest != "" && rest != "."; rest = filepath.Dir(rest) {
		if filepath.Base(path) != filepath.Base(rest) {
			return path
		}
		path = filepath.Dir(path)
	}
	return path
}
