package tree

import (
	"bytes"
	"slices"
	"strings"
	"sync"
)

// IgnoreFile is one file of patterns; Dir is the slash-separated folder it applies
// to, "" for the root. Later files of the same folder take precedence.
type IgnoreFile struct {
	Dir     string
	Content []byte
}

// Matcher decides by gitignore rules. Rules come from .gitignore files of one agreed
// tree plus extra patterns; the last match wins, as gitignore(5) says: files of
// deeper folders count before those above them, and below an ignored folder nothing
// can be taken back. It may be used by several goroutines.
type Matcher struct {
	files map[string][]rule // by folder; the last that matches decides
	fold  bool

	mu      sync.RWMutex
	folders map[string]*ruling
}

// ruling is what the rules say for the contents of one folder.
type ruling struct {
	ignored bool // the folder itself is, and thus all below it
	scopes  []scope
}

// scope is the rules of one folder in force; prefix is the length of its path with
// the slash, which paths are matched without.
type scope struct {
	prefix int
	rules  []rule
}

// maxRulings bounds the memory for folders that were asked about.
const maxRulings = 1 << 16

// NewMatcher makes a matcher. ignoreCase is core.ignoreCase: letters match in either
// case (ASCII only, as in git).
func NewMatcher(files []IgnoreFile, ignoreCase bool) *Matcher {
	m := &Matcher{files: map[string][]rule{}, fold: ignoreCase, folders: map[string]*ruling{}}
	for _, f := range files {
		dir := strings.Trim(f.Dir, "/")
		if dir == "." {
			dir = ""
		}
		m.files[dir] = append(m.files[dir], parseRules(f.Content, ignoreCase)...)
	}
	return m
}

// Ignored reports whether the rules leave out path, which is relative to the root
// and separated by slashes. The root itself never is.
func (m *Matcher) Ignored(path string, isDir bool) bool {
	path = strings.TrimSuffix(path, "/")
	if path == "" || len(m.files) == 0 {
		return false
	}
	parent, name := splitPath(path)
	in := m.ruling(parent)
	return in.ignored || in.ignores(path, name, isDir)
}

// ruling gives the rules for what is in the folder dir.
func (m *Matcher) ruling(dir string) *ruling {
	m.mu.RLock()
	known := m.folders[dir]
	m.mu.RUnlock()
	if known != nil {
		return known
	}
	made := m.makeRuling(dir)
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.folders) >= maxRulings {
		clear(m.folders)
	}
	m.folders[strings.Clone(dir)] = made
	return made
}

func (m *Matcher) makeRuling(dir string) *ruling {
	if dir == "" {
		return &ruling{scopes: m.withOwn(nil, "")}
	}
	parent, name := splitPath(dir)
	above := m.ruling(parent)
	if above.ignored || above.ignores(dir, name, true) {
		return &ruling{ignored: true}
	}
	return &ruling{scopes: m.withOwn(above.scopes, dir)}
}

// withOwn puts the rules of dir's own files before those from above.
func (m *Matcher) withOwn(above []scope, dir string) []scope {
	rules := m.files[dir]
	if len(rules) == 0 {
		return above
	}
	prefix := len(dir)
	if prefix > 0 {
		prefix++
	}
	return append([]scope{{prefix, rules}}, above...)
}

// ignores asks the rules from the nearest folder outwards, the last rule first.
func (r *ruling) ignores(path, name string, isDir bool) bool {
	for _, s := range r.scopes {
		for i := len(s.rules) - 1; i >= 0; i-- {
			if s.rules[i].matches(path[s.prefix:], name, isDir) {
				return !s.rules[i].negated
			}
		}
	}
	return false
}

// parseRules reads a file of patterns the way git's dir.c does: a byte order mark is
// skipped, lines end at LF or CR LF, and a NUL ends a line early.
func parseRules(content []byte, fold bool) []rule {
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	var rules []rule
	for line := range bytes.Lines(content) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		line = bytes.TrimSuffix(line, []byte("\r"))
		if i := bytes.IndexByte(line, 0); i >= 0 {
			line = line[:i]
		}
		if r, ok := parseRule(string(trimSpaces(line)), fold); ok {
			rules = append(rules, r)
		}
	}
	return slices.Clip(rules)
}

// trimSpaces drops trailing spaces that no backslash protects.
func trimSpaces(line []byte) []byte {
	end := 0 // after the last byte that stays
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ' ':
			continue
		case '\\':
			i++
		}
		end = min(i+1, len(line))
	}
	return line[:end]
}

// rule is one pattern.
type rule struct {
	negated  bool
	onlyDirs bool
	byName   bool   // without a slash: matches the last component anywhere
	fold     bool   // letters match in either case; literal and suffix are folded
	literal  string // what the path or name begins with, or is
	hasGlob  bool
	glob     glob // for what follows literal
	endsWith bool // the pattern is `*` and suffix, by name
	suffix   string
}

// parseRule reads one line; a line that can never match is no rule.
func parseRule(line string, fold bool) (rule, bool) {
	r := rule{fold: fold}
	line, r.negated = strings.CutPrefix(line, "!")
	line, r.onlyDirs = strings.CutSuffix(line, "/")
	if line == "" {
		return r, false
	}
	r.byName = strings.IndexByte(line, '/') < 0
	if !r.byName {
		// The slash at the beginning only says that the pattern is no name.
		line = strings.TrimPrefix(line, "/")
	}
	malformed := false
	special := strings.IndexAny(line, globSpecial)
	switch {
	case special < 0:
		r.literal = foldIf(line, fold)
	case r.byName && line[0] == '*' && !strings.ContainsAny(line[1:], globSpecial):
		r.endsWith, r.suffix = true, foldIf(line[1:], fold)
	case r.byName:
		r.hasGlob = true
		r.glob, malformed = compileGlob(line, false, fold)
	default:
		// git splits the pattern here as well, so that in `a**/b` the asterisks begin
		// one of their own.
		r.literal = foldIf(line[:special], fold)
		r.hasGlob = true
		r.glob, malformed = compileGlob(line[special:], true, fold)
	}
	return r, !malformed
}

// matches reports whether the rule is about the path, which is relative to the rule's
// folder and ends in name.
func (r *rule) matches(path, name string, isDir bool) bool {
	if r.onlyDirs && !isDir {
		return false
	}
	subject := path
	if r.byName {
		subject = name
	}
	switch {
	case r.endsWith:
		return len(subject) >= len(r.suffix) && r.equal(subject[len(subject)-len(r.suffix):], r.suffix)
	case !r.hasGlob:
		return r.equal(subject, r.literal)
	}
	return len(subject) >= len(r.literal) && r.equal(subject[:len(r.literal)], r.literal) &&
		r.glob.match(subject[len(r.literal):])
}

// equal compares s with a text that is folded already if the rule folds.
func (r *rule) equal(s, folded string) bool {
	if !r.fold {
		return s == folded
	}
	return len(s) == len(folded) && hasFoldedPrefix(s, folded)
}

func foldIf(s string, fold bool) string {
	if !fold {
		return s
	}
	b := []byte(s)
	for i := range b {
		b[i] = lower(b[i])
	}
	return string(b)
}
