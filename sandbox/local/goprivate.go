package local

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"glue-lsp/sandbox"
)

// maxPrivate bounds the files of private modules that a sandbox is led to.
const maxPrivate = 20_000

// linkPrivateModules leads the sandbox's module cache to the private modules that the
// machine's has. Go asks no proxy for them, not even one of files, and the sandbox has no
// credentials to fetch them.
func (p *plan) linkPrivateModules() error {
	from := p.goModules()
	if from == "" {
		return nil
	}
	files := privateModules(from, goSettings(p.environ))
	if len(files) == 0 {
		return nil
	}
	dir, below := p.dirs.home, "go/pkg/mod"
	if p.spec.CacheDir != "" {
		dir, below = p.spec.CacheDir, goModName
	}
	cache, err := openPrivate(dir)
	if err != nil {
		return &sandbox.Error{Kind: sandbox.Unavailable, Op: "open", Path: dir, Message: err.Error(), Err: err}
	}
	defer cache.Close()
	seen := from
	if p.isolation == Bubblewrap {
		seen = insideMods
	}
	for _, name := range files {
		at, target := path.Join(below, "cache/download", name), filepath.Join(seen, filepath.FromSlash(name))
		if old, err := cache.Readlink(at); err == nil && old != target {
			_ = cache.Remove(at) // of a sandbox that saw the machine's at another place
		}
		if err := cache.link(at, target); err != nil {
			return &sandbox.Error{Kind: sandbox.Unavailable, Op: "open", Path: dir, Message: err.Error(), Err: err}
		}
	}
	return nil
}

// privateModules lists the files of a download cache that belong to modules of which go
// asks no proxy, see "Private modules" in https://go.dev/ref/mod.
func privateModules(download string, env func(string) string) []string {
	patterns := env("GONOPROXY")
	if patterns == "" {
		patterns = env("GOPRIVATE")
	}
	var out []string
	cache := os.DirFS(download)
	for pattern := range strings.SplitSeq(patterns, ",") {
		// A pattern that is none, or leads elsewhere, matches nothing.
		found, _ := fs.Glob(cache, escapeModule(strings.TrimSuffix(strings.TrimSpace(pattern), "/")))
		for _, module := range found {
			_ = fs.WalkDir(cache, module, func(name string, d fs.DirEntry, err error) error {
				if len(out) >= maxPrivate {
					return fs.SkipAll
				}
				if err == nil && d.Type().IsRegular() && isModuleFile(name) {
					out = append(out, name)
				}
				return nil
			})
		}
	}
	slices.Sort(out)
	return slices.Compact(out) // patterns may overlap
}

// isModuleFile reports whether a file of a download cache is a version's.
func isModuleFile(name string) bool {
	return path.Base(path.Dir(name)) == "@v" && slices.Contains([]string{".info", ".mod", ".zip", ".ziphash"}, path.Ext(name))
}

// escapeModule writes a module's path as the cache names it: !a for A.
func escapeModule(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('!')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}
