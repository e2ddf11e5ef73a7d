package git

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"glue-lsp/internal/tree"
)

// side is what one side changed since the base, by path.
type side struct {
	now  map[string]tree.Entry // what it has at each path that it changed
	was  map[string]tree.Entry // what the base has there
	to   map[string]string     // renames: old path → new
	from map[string]string     // renames: new path → old
}

func newSide(changes []DiffEntry) side {
	s := side{
		now: map[string]tree.Entry{}, was: map[string]tree.Entry{},
		to: map[string]string{}, from: map[string]string{},
	}
	for _, c := range changes {
		s.now[c.New.Path], s.was[c.Old.Path] = c.New, c.Old
		if !c.Renamed {
			continue
		}
		s.to[c.Old.Path], s.from[c.New.Path] = c.New.Path, c.Old.Path
		s.now[c.Old.Path] = tree.Entry{Path: c.Old.Path}
		s.was[c.New.Path] = tree.Entry{Path: c.New.Path}
	}
	return s
}

// at gives this side's entry of a path that either side changed.
func (s side) at(path string, other side) tree.Entry {
	if e, ok := s.now[path]; ok {
		return e
	}
	if e, ok := other.was[path]; ok {
		return e
	}
	return tree.Entry{Path: path}
}

// base gives the base's entry of a path that either side changed.
func (s side) base(path string, other side) tree.Entry {
	if e, ok := s.was[path]; ok {
		return e
	}
	if e, ok := other.was[path]; ok {
		return e
	}
	return tree.Entry{Path: path}
}

// known reports whether a path is one that a side really changed; git also names
// paths that it made up ("d~theirs").
func (s side) known(path string) bool {
	_, ok := s.now[path]
	return ok
}

// settled is what to do about the conflicts of a merge.
type settled struct {
	ours, theirs side
	conflicts    []MergeConflict
	changes      []Change // make of git's tree one that holds ours at every conflict
	inConflict   map[string]bool
	staged       map[string]bool // paths at which git has entries in conflict
}

// settle finds which paths each conflict is really about. Paths hang together when
// git names them in one message, when a rename links them, and when one lies where
// another must be a file.
func settle(raw rawMerge, ours, theirs side) settled {
	s := settled{ours: ours, theirs: theirs, inConflict: map[string]bool{}, staged: map[string]bool{}}
	groups := newGroups()
	kinds := map[string][]string{} // by path
	for _, p := range raw.stages {
		s.staged[p] = true
		groups.add(p)
	}
	for _, m := range raw.messages {
		for _, p := range m.paths {
			groups.join(m.paths[0], p)
			kinds[p] = append(kinds[p], m.kind)
		}
	}
	s.link(groups)
	for _, members := range groups.all() {
		var paths, found []string
		for _, p := range members {
			found = append(found, kinds[p]...)
			s.changes = append(s.changes, Change{Entry: tree.Entry{Path: p}})
			if !ours.known(p) && !theirs.known(p) {
				continue
			}
			paths = append(paths, p)
			s.inConflict[p] = true
			if e := ours.at(p, theirs); e.Exists() {
				s.changes = append(s.changes, Change{Entry: e})
			}
		}
		if len(paths) > 0 {
			s.conflicts = append(s.conflicts, s.describe(paths, found))
		}
	}
	slices.SortFunc(s.conflicts, func(a, b MergeConflict) int { return cmp.Compare(a.Paths[0], b.Paths[0]) })
	return s
}

// link adds to each group what its paths pull in, until nothing is added.
func (s settled) link(groups *groups) {
	theirPaths := slices.Sorted(maps.Keys(s.theirs.now))
	for queue := groups.members(); len(queue) > 0; {
		p := queue[0]
		queue = queue[1:]
		pull := func(q string) {
			if groups.join(p, q) {
				queue = append(queue, q)
			}
		}
		for _, renames := range []map[string]string{s.ours.to, s.ours.from, s.theirs.to, s.theirs.from} {
			if q, ok := renames[p]; ok {
				pull(q)
			}
		}
		if !s.ours.at(p, s.theirs).Exists() {
			continue
		}
		// Ours puts a file here. What theirs has below it or above it must go.
		below, _ := slices.BinarySearch(theirPaths, p+"/")
		for _, q := range theirPaths[below:] {
			if !strings.HasPrefix(q, p+"/") {
				break
			}
			if s.theirs.now[q].Exists() {
				pull(q)
			}
		}
		for i, c := range []byte(p) {
			if c == '/' && s.theirs.now[p[:i]].Exists() {
				pull(p[:i])
			}
		}
	}
}

// describe names a conflict. kinds are git's names of what it met there.
func (s settled) describe(paths, kinds []string) MergeConflict {
	slices.Sort(paths)
	main := s.mainPath(paths)
	c := MergeConflict{Paths: paths, Stages: s.stages(main)}
	has := func(part string) bool {
		return slices.ContainsFunc(kinds, func(k string) bool { return strings.Contains(k, part) })
	}
	base, ours, theirs := c.Stages[0], c.Stages[1], c.Stages[2]
	switch {
	case has("file/directory"), has("distinct modes"), has("submodule"), fileType(ours.Mode) != fileType(theirs.Mode) && ours.Exists() && theirs.Exists():
		c.Kind, c.Detail = ConflictType, "one side has a file here, the other a folder, a link or something else"
	case has("rename"), s.ours.from[main] != s.theirs.from[main] && s.ours.now[main].Exists() && s.theirs.now[main].Exists():
		c.Kind, c.Detail = ConflictRename, "a file was renamed on one side, and renamed, deleted or replaced on the other"
	case has("binary"):
		c.Kind, c.Detail = ConflictBinary, "both sides changed a file that is not text"
	case !ours.Exists():
		c.Kind, c.Detail = ConflictModifyDelete, "ours deleted the file, theirs changed it"
	case !theirs.Exists():
		c.Kind, c.Detail = ConflictModifyDelete, "ours changed the file, theirs deleted it"
	case !base.Exists():
		c.Kind, c.Detail = ConflictAddAdd, "both sides added the file, with different content"
	default:
		c.Kind, c.Detail = ConflictContent, "both sides changed the same part of the file"
	}
	return c
}

// at3 gives the entries of base, ours and theirs at one path.
func (s settled) at3(path string) [3]tree.Entry {
	return [3]tree.Entry{s.ours.base(path, s.theirs), s.ours.at(path, s.theirs), s.theirs.at(path, s.ours)}
}

// mainPath picks the path that a conflict is told by: one at which git has entries
// in conflict, and of those the one that most of the trees have.
func (s settled) mainPath(paths []string) string {
	best, most := paths[0], -1
	for _, p := range paths {
		n := 0
		for _, e := range s.at3(p) {
			if e.Exists() {
				n++
			}
		}
		if s.staged[p] {
			n += 3
		}
		if n > most {
			best, most = p, n
		}
	}
	return best
}

// stages gives the entry of each tree at a path, or where that tree has the file
// that a rename brought to or took from there.
func (s settled) stages(path string) [3]tree.Entry {
	stages := s.at3(path)
	origin := path
	if !stages[0].Exists() {
		if from, ok := s.ours.from[path]; ok {
			origin = from
		} else if from, ok := s.theirs.from[path]; ok {
			origin = from
		}
	}
	atOrigin := s.at3(origin)
	stages[0] = atOrigin[0]
	for i, side := range []side{s.ours, s.theirs} {
		if stages[i+1].Exists() {
			continue
		}
		stages[i+1] = atOrigin[i+1]
		if to, ok := side.to[origin]; ok {
			stages[i+1] = s.at3(to)[i+1]
		}
	}
	return stages
}

// fileType is the part of a mode that says file, link or submodule.
func fileType(m tree.Mode) tree.Mode { return m &^ 0o7777 }

// groups are disjoint sets of paths.
type groups struct{ parent map[string]string }

func newGroups() *groups { return &groups{parent: map[string]string{}} }

func (g *groups) add(p string) {
	if _, ok := g.parent[p]; !ok {
		g.parent[p] = p
	}
}

func (g *groups) root(p string) string {
	for g.parent[p] != p {
		g.parent[p] = g.parent[g.parent[p]]
		p = g.parent[p]
	}
	return p
}

// join puts two paths into one set and reports whether b is new to all sets.
func (g *groups) join(a, b string) bool {
	_, known := g.parent[b]
	g.add(a)
	g.add(b)
	g.parent[g.root(b)] = g.root(a)
	return !known
}

func (g *groups) members() []string { return slices.Sorted(maps.Keys(g.parent)) }

func (g *groups) all() [][]string {
	byRoot := map[string][]string{}
	for _, p := range g.members() {
		byRoot[g.root(p)] = append(byRoot[g.root(p)], p)
	}
	return slices.SortedFunc(maps.Values(byRoot), slices.Compare)
}
