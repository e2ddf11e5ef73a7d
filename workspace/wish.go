package workspace

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"glue-lsp/internal/tree"
)

// wish is what a person's include and exclude patterns say.
type wish struct {
	include, exclude *tree.Matcher
	patterns         []string // of include, without the negated ones
	excluded         []string
	byName           []*tree.Matcher // one for each pattern of include that names files
	secrets          *secretFinder
}

func newWish(o Options, ignoreCase bool) *wish {
	matcher := func(patterns ...string) *tree.Matcher {
		return tree.NewMatcher([]tree.IgnoreFile{{Content: rules(patterns)}}, ignoreCase)
	}
	w := &wish{include: matcher(o.Include...), exclude: matcher(o.Exclude...), excluded: o.Exclude, secrets: newSecretFinder()}
	for _, p := range o.Include {
		if strings.HasPrefix(p, "!") {
			continue
		}
		w.patterns = append(w.patterns, p)
		if name := path.Base(p); strings.Trim(name, "*?/.") != "" {
			w.byName = append(w.byName, matcher(p))
		}
	}
	return w
}

func rules(patterns []string) []byte {
	if len(patterns) == 0 {
		return nil
	}
	return []byte(strings.Join(patterns, "\n") + "\n")
}

func (w *wish) excludeRules() []byte { return rules(w.excluded) }

func (w *wish) includes(p string) bool { return w.include.Ignored(p, false) }
func (w *wish) excludes(p string) bool { return w.exclude.Ignored(p, false) }

// names reports whether a pattern of include means this very file, and not a folder
// around it or everything in one.
func (w *wish) names(p string) bool {
	dir := ""
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		dir = p[:i]
	}
	for _, m := range w.byName {
		if m.Ignored(p, false) && !m.Ignored(dir, true) {
			return true
		}
	}
	return false
}

// reachesInto reports whether a pattern could match below an ignored folder (which
// it does not match itself). A plain name is not looked for there: dependency folders
// are large. `**/` in front, or the folder's own name, says otherwise.
func (w *wish) reachesInto(dir string) bool {
	for _, p := range w.patterns {
		p = strings.TrimPrefix(p, "/")
		if strings.HasPrefix(p, "**/") {
			return true
		}
		literal := p
		if i := strings.IndexAny(p, `*?[\`); i >= 0 {
			literal = p[:i]
		}
		if strings.HasPrefix(literal, dir) || literal != p && strings.HasPrefix(dir, literal) && strings.Contains(p, "/") {
			return true
		}
	}
	return false
}

// include adds the ignored files that the person asked for.
func (w *Workspace) include(ctx context.Context, l *listing) error {
	if len(l.wish.patterns) == 0 {
		return nil
	}
	var found []string
	for _, p := range l.ignored {
		switch {
		case !strings.HasSuffix(p, "/"):
			if l.wish.includes(p) {
				found = append(found, p)
			}
		case l.wish.include.Ignored(p, true) || l.wish.reachesInto(p):
			inside, err := w.includeBelow(ctx, l, strings.TrimSuffix(p, "/"))
			if err != nil {
				return err
			}
			found = append(found, inside...)
		}
	}
	for _, p := range found {
		// What was let through by a folder's name may still be a secret.
		if why := w.secret(l, p); why != "" {
			l.skipped = append(l.skipped, tree.Skipped{Path: p, Reason: tree.Secret, Detail: why})
			continue
		}
		l.paths = append(l.paths, p)
	}
	slices.Sort(l.paths)
	l.paths = slices.Compact(l.paths)
	return nil
}

// includeBelow finds the wanted files below an ignored folder.
func (w *Workspace) includeBelow(ctx context.Context, l *listing, dir string) ([]string, error) {
	var found []string
	top := filepath.Join(w.root, filepath.FromSlash(dir))
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, _ := within(w.root, name) // always inside: the walk follows no link
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				l.skipped = append(l.skipped, tree.Skipped{Path: rel, Reason: tree.Unreadable, Detail: err.Error()})
			}
			return nil //nolint:nilerr // named above; the others are still wanted
		}
		switch {
		case strings.EqualFold(d.Name(), ".git"):
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.IsDir():
			l.stamps.watch(name)
		case l.wish.includes(rel):
			found = append(found, rel)
		}
		return nil
	})
	return found, err
}

// secretHead is how much of a file is searched for a token.
const secretHead = 64 << 10

// readHead reads the beginning of a regular file, at most max bytes.
func readHead(name string, max int64) ([]byte, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fs.ErrInvalid
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return io.ReadAll(io.LimitReader(f, max))
}
