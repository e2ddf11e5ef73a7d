package agent

import (
	"path"
	"strings"

	"glue-lsp/internal/tree"
)

// rules decide which untracked files stay out of a capture. They are the host's: a
// .gitignore that a command wrote inside has no say.
type rules struct {
	ignore  *tree.Matcher
	include *tree.Matcher
	below   [][]string // components of the include patterns that hold a folder
}

func (r *rules) setIgnore(files []tree.IgnoreFile) {
	r.ignore = tree.NewMatcher(files, false)
}

func (r *rules) setInclude(patterns []string) {
	r.include, r.below = nil, nil
	if len(patterns) == 0 {
		return
	}
	r.include = tree.NewMatcher([]tree.IgnoreFile{{Content: []byte(strings.Join(patterns, "\n") + "\n")}}, false)
	for _, p := range patterns {
		p = strings.Trim(strings.TrimPrefix(p, "/"), " ")
		if parts := strings.Split(strings.TrimSuffix(p, "/"), "/"); len(parts) > 1 {
			r.below = append(r.below, parts)
		}
	}
}

// ignored is what [tree.ScanOptions] asks, from several goroutines.
func (r *rules) ignored(p string, isDir bool) bool {
	if isTemp(path.Base(p)) {
		return true
	}
	if r.ignore == nil || !r.ignore.Ignored(p, isDir) {
		return false
	}
	if r.include == nil {
		return true
	}
	return !r.included(p, isDir) && (!isDir || !r.leadsToIncluded(p))
}

// included reports whether an include pattern names p or a folder above it.
func (r *rules) included(p string, isDir bool) bool {
	for ; p != ""; p, isDir = parent(p), true {
		if r.include.Ignored(p, isDir) {
			return true
		}
	}
	return false
}

// leadsToIncluded reports whether something below dir may be named by a pattern.
// Patterns without a folder are looked for only where the scan goes anyway.
func (r *rules) leadsToIncluded(dir string) bool {
	names := strings.Split(dir, "/")
	for _, parts := range r.below {
		if leadsTo(names, parts) {
			return true
		}
	}
	return false
}

func leadsTo(names, parts []string) bool {
	for i, part := range parts {
		if part == "**" || i == len(names) {
			return true
		}
		if ok, err := path.Match(part, names[i]); err != nil || !ok {
			return false
		}
	}
	return false
}

func parent(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}
