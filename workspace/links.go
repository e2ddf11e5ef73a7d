package workspace

import (
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"glue-lsp/internal/tree"
)

const (
	maxLinkTarget = 4096 // bytes; PATH_MAX of limits.h
	maxLinkHops   = 40   // MAXSYMLINKS of Linux; more is a loop
)

// linkMap holds the links of the tree that a plan leads to, with their targets.
type linkMap struct {
	targets map[string]string // by path
	acting  []actingLink
}

// actingLink is a link by whose name its target acts by itself.
type actingLink struct{ name, real string }

// links reads the links of the host and of the changes laid over it.
func (p *planner) links() (*linkMap, error) {
	entries := map[string]tree.Entry{}
	for _, e := range p.r.Host.Entries {
		if isLink(e) {
			entries[e.Path] = e
		}
	}
	for _, u := range p.pieces {
		for _, m := range u.moves() {
			delete(entries, m.path)
			if isLink(m.want) {
				entries[m.path] = m.want
			}
		}
	}
	l := &linkMap{targets: make(map[string]string, len(entries))}
	for name, e := range entries {
		target, ok, err := p.contents.get(e.Hash, maxLinkTarget)
		if err != nil {
			return nil, err
		}
		if !ok {
			target = []byte("/") // no system makes such a link; it is refused like one that leaves
		}
		l.targets[name] = string(target)
	}
	for name := range entries {
		real, inside := l.resolve(name)
		if inside && real != name {
			l.acting = append(l.acting, actingLink{name: name, real: real})
		}
	}
	return l, nil
}

func (l *linkMap) target(path string) string { return l.targets[path] }

// escapes reports whether a piece makes a link that leads out of the root, or into
// a repository's own folder.
func (l *linkMap) escapes(u *piece) bool {
	if !isLink(u.New) {
		return false
	}
	real, inside := l.resolve(u.Path)
	return !inside || real != "" && tree.CheckPath(real) != nil
}

// resolve follows a path through the links as the system would (path_resolution(7)).
// It is not inside when it leaves the root or never ends.
func (l *linkMap) resolve(name string) (real string, inside bool) {
	var at []string
	rest := strings.Split(name, "/")
	for hops := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(at) == 0 {
				return "", false
			}
			at = at[:len(at)-1]
			continue
		}
		here := path.Join(append(at[:len(at):len(at)], part)...)
		target, link := l.targets[here]
		if !link {
			at = append(at, part)
			continue
		}
		if hops++; hops > maxLinkHops || target == "" || target[0] == '/' || strings.IndexByte(target, 0) >= 0 {
			return "", false
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return strings.Join(at, "/"), true
}

// acts finds what a file does by itself under the name that a link gives it.
func (l *linkMap) acts(paths []string) *Acts {
	var found *Acts
	for _, p := range paths {
		for _, link := range l.acting {
			if p == link.real {
				found = moreUrgent(found, ActsByItself(link.name))
			} else if rest, ok := strings.CutPrefix(p, link.real+"/"); ok || link.real == "" {
				found = moreUrgent(found, ActsByItself(path.Join(link.name, rest)))
			}
		}
	}
	return found
}

// show gives a path as a person may see it: quoted when it could upset a terminal or
// hide something.
func show(p string) string {
	if utf8.ValidString(p) && p != "" && !strings.ContainsFunc(p, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return p
	}
	return strconv.Quote(p)
}
