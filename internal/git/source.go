package git

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"glue-lsp/internal/tree"
)

// Source is what the user's repository says of itself, read as data.
type Source struct {
	Root      string // of the working tree; "" when Bare
	GitDir    string // this worktree's git folder
	CommonDir string // shared by worktrees; GitDir where there is one only
	Format    tree.Format

	Head    string            // commit, "" when unborn
	Branch  string            // short name, "" when detached
	Remotes map[string]string // name → URL without credentials
	Remote  string            // of Remotes: HEAD's branch's own, else origin, else the first
	Stashes int
	Bare    bool
	Shallow bool // history is cut off
	Partial bool // objects may be missing until they are fetched

	IgnoreCase        bool
	FileMode          bool
	Symlinks          bool
	PrecomposeUnicode bool
	Sparse            bool
	SparseCone        bool
	ExcludesFile      string // the user's global excludes, "" if there are none

	// ownExcludes: the repository's own configuration names ExcludesFile. It may be
	// any file of the user's, so its text is never passed on.
	ownExcludes bool
	outer       userConfig
}

// Inspect finds the repository that folder belongs to, the way git would: upwards,
// through .git files, worktrees and submodules. (nil, nil) when there is none. A
// bare repository, or the inside of a git folder, gives a Source with Bare set and
// no Root. Errors are a *CorruptError, an *UnsupportedError, or what the file
// system said. Nothing in the repository is written or run.
func (g *Git) Inspect(ctx context.Context, folder string) (*Source, error) {
	f, err := discover(folder)
	if err != nil {
		return nil, fmt.Errorf("look for a git repository at %s: %w", folder, err)
	}
	if f.gitDir == "" {
		return nil, nil
	}
	s, err := g.inspectFound(ctx, f, nil)
	if err != nil {
		return nil, fmt.Errorf("read the git repository of %s: %w", folder, err)
	}
	return s, nil
}

// inspectFound reads a repository that discover found. outer is what a repository
// around it has read of the user's configuration already.
func (g *Git) inspectFound(ctx context.Context, f found, outer userConfig) (*Source, error) {
	s := &Source{Root: f.root, GitDir: f.gitDir, CommonDir: f.commonDir, Bare: f.root == ""}
	head, err := readHead(f)
	if err != nil {
		return nil, err
	}
	s.Branch = head.branch
	if s.outer = outer; outer == nil {
		if s.outer, err = g.outerConfig(ctx, f, s.Branch); err != nil {
			return nil, err
		}
	}
	own := &configReader{git: g, gitDir: f.gitDir, branch: s.Branch}
	if err := own.read(ctx, filepath.Join(f.commonDir, "config"), true, 0); err != nil {
		return nil, configError(f, err)
	}
	if own.values.flag("extensions.worktreeconfig", false) {
		if err := own.read(ctx, filepath.Join(f.gitDir, "config.worktree"), true, 0); err != nil {
			return nil, configError(f, err)
		}
	}
	if err := s.useConfig(own.values); err != nil {
		return nil, err
	}
	if s.Head, err = head.resolve(f, s.Format); err != nil {
		return nil, err
	}
	if s.Stashes, err = countStashes(f); err != nil {
		return nil, err
	}
	s.Shallow = exists(filepath.Join(f.commonDir, "shallow"))
	return s, nil
}

// configError turns git's complaint about the repository's own files into a
// statement about the repository.
func configError(f found, err error) error {
	var failed *Error
	if errors.As(err, &failed) && failed.Err == nil {
		return &CorruptError{Path: f.gitDir, Why: err.Error()}
	}
	return err
}

// useConfig takes the named values. own are those of the repository's own files;
// where git itself takes a value from there alone, so does this.
func (s *Source) useConfig(own userConfig) error {
	all := append(append(userConfig{}, s.outer...), own...)
	s.Format = tree.SHA1
	if format, _, ok := own.last("extensions.objectformat"); ok {
		s.Format = tree.Format(strings.ToLower(format))
	}
	if s.Format != tree.SHA1 && s.Format != tree.SHA256 {
		return &UnsupportedError{Path: s.GitDir, What: fmt.Sprintf("its objects are in the format %q", s.Format)}
	}
	if storage, _, ok := own.last("extensions.refstorage"); ok && !strings.EqualFold(storage, "files") {
		return &UnsupportedError{Path: s.GitDir, What: fmt.Sprintf("it keeps its refs as %q; only refs in files are read (git refs migrate --ref-format=files)", storage)}
	}
	s.IgnoreCase = all.flag("core.ignorecase", false)
	s.FileMode = all.flag("core.filemode", true)
	s.Symlinks = all.flag("core.symlinks", true)
	s.PrecomposeUnicode = all.flag("core.precomposeunicode", false)
	s.Sparse = all.flag("core.sparsecheckout", false)
	s.SparseCone = all.flag("core.sparsecheckoutcone", false)
	if err := s.placeWorkTree(own); err != nil {
		return err
	}
	s.useExcludes(all)
	s.useRemotes(own)
	return nil
}

// placeWorkTree checks that the working tree is where .git was found. A
// configuration that names another one could make any folder of the user's go up.
func (s *Source) placeWorkTree(own userConfig) error {
	linked := s.GitDir != s.CommonDir // there core.bare speaks of the main one
	if own.flag("core.bare", false) && !linked {
		s.Root, s.Bare = "", true
	}
	named, _, ok := own.last("core.worktree")
	if !ok || s.Bare {
		return nil
	}
	if !filepath.IsAbs(named) {
		named = filepath.Join(s.GitDir, named)
	}
	if sameFolder(named, s.Root) || linked {
		return nil
	}
	return &UnsupportedError{Path: s.GitDir, What: fmt.Sprintf("its files are not beside it but in %s (core.worktree)", filepath.Clean(named))}
}

func sameFolder(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// useExcludes finds the user's own ignore file (gitignore(5)).
func (s *Source) useExcludes(all userConfig) {
	name, own, ok := all.last("core.excludesfile")
	if !ok {
		dir := xdgConfigHome()
		if dir == "" {
			return
		}
		name = filepath.Join(dir, "git", "ignore")
	}
	name, ok = expandHome(name)
	if !ok {
		return
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(s.Root, name)
	}
	// git would wait for ever on a pipe.
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
		s.ExcludesFile, s.ownExcludes = name, own
	}
}

func (s *Source) useRemotes(own userConfig) {
	s.Remotes = map[string]string{}
	for _, v := range own {
		name, ok := strings.CutPrefix(v.key, "remote.")
		if !ok {
			continue
		}
		if remote, ok := strings.CutSuffix(name, ".url"); ok && s.Remotes[remote] == "" {
			s.Remotes[remote] = withoutCredentials(v.value)
		}
		if strings.HasSuffix(name, ".promisor") || strings.HasSuffix(name, ".partialclonefilter") {
			s.Partial = true
		}
	}
	if _, _, ok := own.last("extensions.partialclone"); ok {
		s.Partial = true
	}
	tracked, _, _ := own.last("branch." + s.Branch + ".remote")
	for _, name := range append([]string{tracked, "origin"}, slices.Sorted(maps.Keys(s.Remotes))...) {
		if s.Remotes[name] != "" {
			s.Remote = name
			return
		}
	}
}

// withoutCredentials removes what may be secret from a remote's URL: for web
// addresses user, password, query and fragment (a token may stand in each), for
// others the password. "git@host:path" has none.
func withoutCredentials(remote string) string {
	scheme, rest, ok := strings.Cut(remote, "://")
	if !ok {
		return remote
	}
	web := strings.HasPrefix(strings.ToLower(scheme), "http")
	if web {
		rest, _, _ = strings.Cut(rest, "?")
		rest, _, _ = strings.Cut(rest, "#")
	}
	authority, path, hasPath := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		login, _, _ := strings.Cut(authority[:at], ":")
		authority = authority[at+1:]
		if !web && login != "" {
			authority = login + "@" + authority
		}
	}
	if hasPath {
		authority += "/" + path
	}
	return scheme + "://" + authority
}
