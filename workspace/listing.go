package workspace

import (
	"context"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"glue-lsp/internal/tree"
)

// listing is which files go up. It stays true until its stamps change.
type listing struct {
	paths   []string // sorted
	ignored []string // sorted; a folder ends in a slash, and nothing in it is named
	ignore  []tree.IgnoreFile
	skipped []tree.Skipped
	// elsewhere are tracked paths that are not on the disk on purpose, sorted; a folder
	// ends in a slash.
	elsewhere []string
	special   []tree.Skipped // untracked pipes, sockets and devices, which git passes over
	matcher   *tree.Matcher
	wish      *wish
	stamps    *stamps
}

// list gives the listing, anew only if something was added or a rule changed. The
// caller holds w.mu.
func (w *Workspace) list(ctx context.Context) (*listing, error) {
	if w.files != nil && w.files.stamps.same() {
		return w.files, nil
	}
	l := &listing{stamps: newStamps(time.Now()), wish: newWish(w.opts, w.ignoreCase())}
	var untracked []string
	unlock, err := w.lockCache(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if w.source.Load() == nil {
		untracked, err = w.listFolder(ctx, l)
	} else {
		untracked, err = w.listRepository(ctx, l)
	}
	if err != nil {
		return nil, err
	}
	l.matcher = tree.NewMatcher(l.ignore, w.ignoreCase())
	if err := w.include(ctx, l); err != nil {
		return nil, err
	}
	w.leaveOut(l, untracked)
	l.nameSpecial()
	w.files = l
	return l, nil
}

func (w *Workspace) ignoreCase() bool {
	src := w.source.Load()
	return src != nil && src.IgnoreCase
}

// lockPoll is how often a lock that another process holds is tried.
const lockPoll = 5 * time.Millisecond

// lockCache keeps the folder of caches from being used twice at once: several
// sessions, also of several processes, may have the same folder open.
func (w *Workspace) lockCache(ctx context.Context) (unlock func(), err error) {
	lock := flock.New(filepath.Join(w.opts.CacheDir, "lock"), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return nil, storeError("lock the cache folder", w.opts.CacheDir, err)
	}
	return func() { lock.Close() }, nil //nolint:errcheck // closing the handle is what unlocks
}

// listRepository asks git, and gives the paths that are not tracked.
func (w *Workspace) listRepository(ctx context.Context, l *listing) ([]string, error) {
	src, err := w.git.Inspect(ctx, w.root)
	if err != nil {
		return nil, inspectError(w.root, err)
	}
	if src == nil || src.Root == "" {
		return nil, &Error{
			Kind: "unavailable", Op: "read the tree", Path: w.root,
			Message: "it was a git repository when it was opened and is none any more",
			Hint:    "open the folder again",
		}
	}
	w.source.Store(src)
	files, err := w.git.ListFiles(ctx, src, filepath.Join(w.opts.CacheDir, "git"))
	if err != nil {
		return nil, w.readError(err)
	}
	l.paths, l.ignored, l.ignore, l.skipped = files.Paths, files.Ignored, files.IgnoreFiles, files.Skipped
	l.elsewhere = files.Elsewhere
	l.stamps.watchRepository(src.GitDir, src.CommonDir)
	if src.ExcludesFile != "" {
		l.stamps.watch(src.ExcludesFile)
	}
	w.watchFolders(l, "", l.paths, l.ignored)
	return files.Untracked, nil
}

// watchFolders stamps every folder from top on in which a new file would be listed,
// and every file of rules in them. paths and ignored are what was listed there.
func (w *Workspace) watchFolders(l *listing, top string, paths, ignored []string) {
	holding := map[string]bool{}
	for _, p := range paths {
		for dir := path.Dir(p); dir != "." && !holding[dir]; dir = path.Dir(dir) {
			holding[dir] = true
		}
	}
	closed := map[string]bool{}
	for _, p := range ignored {
		if dir, ok := strings.CutSuffix(p, "/"); ok {
			closed[dir] = true
		}
	}
	var visit func(dir string)
	visit = func(dir string) {
		full := filepath.Join(w.root, filepath.FromSlash(dir))
		l.stamps.watch(full)
		names, _ := os.ReadDir(full) // the listing names those that cannot be read
		for _, n := range names {
			name := path.Join(dir, n.Name())
			switch {
			case strings.EqualFold(n.Name(), ".git"):
				if dir != top {
					w.watchNested(l, dir)
				}
			case n.Name() == ".gitignore":
				l.stamps.watch(filepath.Join(full, n.Name()))
			case n.IsDir() && (holding[name] || !closed[name]):
				visit(name)
			case n.Type()&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeDevice) != 0:
				l.special = append(l.special, tree.Skipped{Path: name, Reason: tree.Special, Detail: kindOf(n.Type())})
			}
		}
	}
	visit(top)
}

// kindOf names what is neither file, folder nor link.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeCharDevice != 0:
		return "character device"
	}
	return "block device"
}

// nameSpecial names the special files that would have gone up as files. Those that
// are listed, because a file was there when it was tracked, the scan names.
func (l *listing) nameSpecial() {
	for _, s := range l.special {
		_, listed := slices.BinarySearch(l.paths, s.Path)
		if !listed && !l.matcher.Ignored(s.Path, false) && !l.wish.excludes(s.Path) {
			l.skipped = append(l.skipped, s)
		}
	}
}

// isElsewhere reports whether a path is missing from the disk on purpose.
func (l *listing) isElsewhere(p string) bool {
	i, found := slices.BinarySearch(l.elsewhere, p)
	if !found && i > 0 && strings.HasSuffix(l.elsewhere[i-1], "/") {
		return strings.HasPrefix(p, l.elsewhere[i-1])
	}
	return found
}

// watchNested stamps what decides in a repository inside.
func (w *Workspace) watchNested(l *listing, dir string) {
	dotGit := filepath.Join(w.root, filepath.FromSlash(dir), ".git")
	l.stamps.watch(dotGit)
	l.stamps.watchRepository(dotGit, dotGit)
	if content, err := os.ReadFile(dotGit); err == nil { // a worktree or a submodule
		gitDir := strings.TrimSpace(strings.TrimPrefix(string(content), "gitdir: "))
		if !filepath.IsAbs(gitDir) {
			gitDir = filepath.Join(filepath.Dir(dotGit), gitDir)
		}
		l.stamps.watchRepository(gitDir, gitDir)
	}
}

// leaveOut takes out what the person excluded, and secrets that nobody asked for.
func (w *Workspace) leaveOut(l *listing, untracked []string) {
	slices.Sort(untracked)
	paths := make([]string, 0, len(l.paths))
	for _, p := range l.paths {
		if l.wish.excludes(p) {
			continue
		}
		if _, ok := slices.BinarySearch(untracked, p); ok {
			if why := w.secret(l, p); why != "" {
				l.skipped = append(l.skipped, tree.Skipped{Path: p, Reason: tree.Secret, Detail: why})
				continue
			}
		}
		paths = append(paths, p)
	}
	l.paths = paths
	if rules := l.wish.excludeRules(); len(rules) > 0 {
		l.ignore = append(l.ignore, tree.IgnoreFile{Content: rules})
	}
}

// secret says what kind of secret an untracked path is by its name (and content,
// where the name alone says little), "" when it is none or was included by name.
func (w *Workspace) secret(l *listing, p string) string {
	kind := l.wish.secrets.find(p)
	if kind == nil || l.wish.names(p) {
		return ""
	}
	if kind.Holds != nil {
		full := filepath.Join(w.root, filepath.FromSlash(p))
		l.stamps.watch(full) // the next edit may put a token into it
		head, err := readHead(full, secretHead)
		if err == nil && !kind.Holds.Match(head) {
			return ""
		}
	}
	return kind.Why
}

// admits says whether a file that is not on the disk yet would go up.
func (l *listing) admits(p string) (bool, tree.Skipped) {
	if _, tracked := slices.BinarySearch(l.paths, p); tracked {
		return true, tree.Skipped{}
	}
	if l.wish.excludes(p) || l.matcher.Ignored(p, false) && !l.wish.includes(p) {
		return false, tree.Skipped{}
	}
	if kind := l.wish.secrets.find(p); kind != nil && kind.Holds == nil && !l.wish.names(p) {
		return false, tree.Skipped{Path: p, Reason: tree.Secret, Detail: kind.Why}
	}
	return true, tree.Skipped{}
}

// ignores reports whether the repository leaves out a folder as a whole.
func (w *Workspace) ignores(ctx context.Context, dir string) (bool, error) {
	l, err := w.list(ctx)
	if err != nil {
		return false, err
	}
	i, _ := slices.BinarySearch(l.paths, dir+"/")
	if i < len(l.paths) && strings.HasPrefix(l.paths[i], dir+"/") {
		return false, nil
	}
	return l.matcher.Ignored(dir, true), nil
}
