package workspace

import (
	"cmp"
	"context"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"glue-lsp/internal/tree"
)

// defaultIgnore are the rules of a folder that is no repository and so has nobody
// else's: what tools put beside the work and can make again.
const defaultIgnore = `# Dependencies
node_modules/
bower_components/
.venv/
venv/
.pnpm-store/
.yarn/cache/
.bundle/
Pods/
# Build results and caches
target/
dist/
.next/
.nuxt/
.svelte-kit/
.parcel-cache/
.turbo/
.gradle/
.dart_tool/
.terraform/
.cache/
.ccache/
.eslintcache
__pycache__/
*.py[cod]
.pytest_cache/
.mypy_cache/
.ruff_cache/
.tox/
.nox/
.ipynb_checkpoints/
*.egg-info/
.zig-cache/
zig-out/
# Of the desktop and the editor
.DS_Store
Thumbs.db
desktop.ini
*~
*.swp
.#*
# Of other version control
.hg/
.svn/
.jj/
`

// maxIgnoreFile bounds a file of rules, in bytes.
const maxIgnoreFile = 1 << 20

// folderWalk lists a folder that is no repository: by default rules and .gitignore
// files, with the repositories in it by their own.
type folderWalk struct {
	w         *Workspace
	l         *listing
	matcher   *tree.Matcher
	untracked []string
	nested    int
}

// listFolder gives the listing of a folder by itself, all of which is untracked but
// for what repositories in it track.
func (w *Workspace) listFolder(ctx context.Context, l *listing) ([]string, error) {
	l.ignore = []tree.IgnoreFile{{Content: []byte(defaultIgnore)}}
	f := &folderWalk{w: w, l: l}
	f.rules()
	if err := f.visit(ctx, ""); err != nil {
		return nil, err
	}
	slices.Sort(l.paths)
	slices.Sort(l.ignored)
	// Outer rules first, as the sandbox is to read them.
	slices.SortStableFunc(l.ignore, func(a, b tree.IgnoreFile) int {
		return cmp.Compare(strings.Count(a.Dir, "/"), strings.Count(b.Dir, "/"))
	})
	return f.untracked, nil
}

func (f *folderWalk) rules() { f.matcher = tree.NewMatcher(f.l.ignore, false) }

func (f *folderWalk) visit(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	full := filepath.Join(f.w.root, filepath.FromSlash(dir))
	f.l.stamps.watch(full)
	names, err := os.ReadDir(full)
	if err != nil {
		if dir == "" {
			return f.w.readError(err)
		}
		if !os.IsNotExist(err) {
			f.l.skipped = append(f.l.skipped, tree.Skipped{Path: dir, Reason: tree.Unreadable, Detail: err.Error()})
		}
		return nil
	}
	if f.readRules(dir, names) {
		f.rules()
	}
	for _, n := range names {
		name := path.Join(dir, n.Name())
		switch {
		case strings.EqualFold(n.Name(), ".git"):
		case f.matcher.Ignored(name, n.IsDir()):
			if n.IsDir() {
				name += "/"
			}
			f.l.ignored = append(f.l.ignored, name)
		case !n.IsDir():
			f.l.paths = append(f.l.paths, name)
			f.untracked = append(f.untracked, name)
		default:
			if err := f.enter(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// enter lists a folder inside, by git if it is a repository that git can read.
func (f *folderWalk) enter(ctx context.Context, dir string) error {
	full := filepath.Join(f.w.root, filepath.FromSlash(dir))
	if _, err := os.Lstat(filepath.Join(full, ".git")); err != nil {
		return f.visit(ctx, dir)
	}
	src, err := f.w.git.Inspect(ctx, full)
	if err != nil || src == nil || src.Root != full {
		return f.visit(ctx, dir) // a damaged one's files still go up
	}
	f.nested++
	files, err := f.w.git.ListFiles(ctx, src, filepath.Join(f.w.opts.CacheDir, "nested-"+strconv.Itoa(f.nested)))
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return f.visit(ctx, dir)
	}
	below := func(names []string) []string {
		out := make([]string, len(names))
		for i, n := range names {
			out[i] = dir + "/" + n
		}
		return out
	}
	paths := below(files.Paths)
	f.l.paths = append(f.l.paths, paths...)
	f.untracked = append(f.untracked, below(files.Untracked)...)
	f.l.ignored = append(f.l.ignored, below(files.Ignored)...)
	// The rules around a repository do not count in it.
	f.l.ignore = append(f.l.ignore, tree.IgnoreFile{Dir: dir, Content: []byte("!*\n")})
	for _, r := range files.IgnoreFiles {
		f.l.ignore = append(f.l.ignore, tree.IgnoreFile{Dir: strings.TrimSuffix(dir+"/"+r.Dir, "/"), Content: r.Content})
	}
	for _, s := range files.Skipped {
		s.Path = dir + "/" + s.Path
		f.l.skipped = append(f.l.skipped, s)
	}
	if src.ExcludesFile != "" {
		f.l.stamps.watch(src.ExcludesFile)
	}
	f.l.stamps.watchRepository(src.GitDir, src.CommonDir)
	f.w.watchFolders(f.l, dir, paths, below(files.Ignored))
	return nil
}

// readRules takes in a folder's .gitignore, if there is one.
func (f *folderWalk) readRules(dir string, names []os.DirEntry) bool {
	i, ok := slices.BinarySearchFunc(names, ".gitignore", func(d os.DirEntry, n string) int { return cmp.Compare(d.Name(), n) })
	if !ok || !names[i].Type().IsRegular() {
		return false
	}
	full := filepath.Join(f.w.root, filepath.FromSlash(dir), ".gitignore")
	f.l.stamps.watch(full)
	content, err := readHead(full, maxIgnoreFile)
	if err != nil || len(content) == 0 {
		return false
	}
	f.l.ignore = append(f.l.ignore, tree.IgnoreFile{Dir: dir, Content: content})
	return true
}
