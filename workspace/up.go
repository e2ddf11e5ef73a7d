package workspace

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// Conflict is a path that host and sandbox changed differently. Kind is content,
// addAdd, modifyDelete, rename, binary or type; Detail is for people.
type Conflict struct {
	Path   string `json:"path"`
	Kind   string `json:"kind"`
	Detail string `json:"detail"`
	// Held says that the host's version does not matter, but that something is in the way
	// of writing it, such as unsaved text; Detail says what to do.
	Held bool `json:"held,omitzero"`
}

// Up is what one sync sends into the sandbox.
type Up struct {
	Writes    []UpWrite // removals first, so that folders and files can take each other's place
	Conflicts []Conflict
	Deletes   int  // how many files it removes
	Mass      bool // see [massDelete]
}

// UpWrite is one path of an [Up]. When New is the Same as Expect, there is nothing to
// write: both sides came to hold alike, or the host's change is in the sandbox's
// content already, and only what is agreed moves.
type UpWrite struct {
	Expect tree.Entry // what the sandbox holds now
	New    tree.Entry // what it will hold; the content is in the store
	Host   tree.Entry // what the host holds, which becomes agreed once New was written
	// Last says that one side moved the file and the other changed it: that change is in
	// what other writes bring, so that this one has to wait until all of those are done.
	Last bool
}

// PlanUp merges the host's tree towards the sandbox's (base agreed, ours host). A
// path on which they conflict is named and left out of the writes. Applying the
// writes, and advancing agreed by each write's Host, makes the next plan empty but
// for the conflicts.
func (s *Store) PlanUp(ctx context.Context, agreed, host, theirs string) (*Up, error) {
	const op = "plan the sync"
	if host == agreed {
		return &Up{}, nil
	}
	mine, err := s.changes(ctx, agreed, host)
	if err != nil {
		return nil, storeError(op, s.Repo.Dir, err)
	}
	var sandbox sides
	if theirs != agreed {
		if sandbox, err = s.changes(ctx, agreed, theirs); err != nil {
			return nil, storeError(op, s.Repo.Dir, err)
		}
	}

	up := &Up{}
	alike := mine.takeAlike(sandbox)
	for path, c := range alike {
		up.add(UpWrite{Expect: at(path, c.New), New: at(path, c.New), Host: at(path, c.New)})
	}
	if mine.apart(sandbox) {
		for path, c := range mine {
			up.add(UpWrite{Expect: at(path, c.Old), New: at(path, c.New), Host: at(path, c.New)})
		}
	} else {
		// What both did is as good as agreed on, so that it is nothing to merge about.
		base, err := s.Advance(ctx, agreed, alike.news())
		if err == nil {
			err = s.mergeUp(ctx, up, mine, sandbox, base, host, theirs)
		}
		if err != nil {
			return nil, storeError(op, s.Repo.Dir, err)
		}
	}
	return up, s.finish(ctx, up, agreed)
}

// mergeUp lets git merge what both sides changed.
func (s *Store) mergeUp(ctx context.Context, up *Up, mine, sandbox sides, base, host, theirs string) error {
	merged, err := s.Repo.Merge(ctx, base, host, theirs)
	if err != nil {
		return err
	}
	// What the merge makes of the sandbox's tree, and every path that the host changed.
	send, err := s.changes(ctx, theirs, merged.Tree)
	if err != nil {
		return err
	}
	for path, c := range mine {
		if _, ok := send[path]; ok {
			continue
		}
		now := c.Old
		if o, ok := sandbox[path]; ok {
			now = o.New
		}
		send[path] = git.DiffEntry{Old: now, New: now}
	}
	conflicts := conflictSet{}
	for _, c := range merged.Conflicts {
		for _, path := range c.Paths {
			conflicts.add(path, c.Kind, c.Detail)
		}
	}
	for path, c := range send {
		other, changed := sandbox[path]
		if _, ok := mine[path]; !ok && changed && other.New.Exists() && !c.New.Exists() {
			// Whatever the merge says: what only the sandbox changed stays.
			conflicts.add(path, git.ConflictType, "the host has something else in its way")
		}
	}
	// Each of these can find what the others have to look at again.
	for before := -1; before < len(conflicts); {
		before = len(conflicts)
		conflicts.follow(mine, sandbox, send)
		conflicts.follow(sandbox, mine, send)
		conflicts.spread(send)
	}
	for path, c := range send {
		if _, ok := conflicts[path]; ok {
			continue
		}
		own, ok := mine[path]
		if !ok { // a file that git moved the host's change to
			own.New = c.Old
			if o, ok := sandbox[path]; ok {
				own.New = o.Old
			}
		}
		other, both := sandbox[path]
		moved := ok && both && !c.New.Exists() && own.New.Exists() != other.New.Exists() && !send.below(path)
		up.add(UpWrite{Expect: at(path, c.Old), New: at(path, c.New), Host: at(path, own.New), Last: moved})
	}
	up.Conflicts = slices.Collect(maps.Values(conflicts))
	return nil
}

// below reports whether something comes to lie below a path, which must be gone first.
func (s sides) below(path string) bool {
	for other, c := range s {
		if c.New.Exists() && strings.HasPrefix(other, path+"/") {
			return true
		}
	}
	return false
}

// conflictSet holds one conflict for each path.
type conflictSet map[string]Conflict

func (s conflictSet) add(path, kind, detail string) {
	if _, ok := s[path]; !ok {
		s[path] = Conflict{Path: path, Kind: kind, Detail: detail}
	}
}

// follow names the files that one side deleted and the other changed, where the
// merge took the deletion for a move and the change along. If something that the
// deleting side added is in conflict, it may be where the change was to go.
func (s conflictSet) follow(deleting, changing, send sides) {
	var gone []string
	for path, d := range deleting {
		c, both := changing[path]
		if !both || d.New.Exists() || !c.New.Exists() {
			continue
		}
		if merged, ok := send[path]; ok && merged.New.Exists() {
			continue
		}
		gone = append(gone, path)
	}
	target := false
	for path := range s {
		added, ok := deleting[path]
		target = target || ok && added.New.Exists() && !added.Old.Exists()
	}
	for _, path := range gone {
		if target {
			s.add(path, git.ConflictRename, "one side changed it and the other moved it to where there is a conflict")
		}
	}
}

// spread makes conflicts of the changes above and below a conflict's path: a file
// and a folder of one name cannot both be agreed on, so to advance the one would
// forget the other.
func (s conflictSet) spread(send sides) {
	for found := true; found; {
		found = false
		for path := range send {
			if _, ok := s[path]; ok {
				continue
			}
			for other := range s {
				if strings.HasPrefix(path, other+"/") || strings.HasPrefix(other, path+"/") {
					s.add(path, git.ConflictType, "a file and a folder of this name meet: "+other+" is in conflict")
					found = true
					break
				}
			}
		}
	}
}

// finish sorts a plan and judges its deletions.
func (s *Store) finish(ctx context.Context, up *Up, agreed string) error {
	slices.SortFunc(up.Writes, func(a, b UpWrite) int { return removalsFirst(a.New, b.New) })
	slices.SortFunc(up.Conflicts, func(a, b Conflict) int { return cmp.Compare(a.Path, b.Path) })
	if up.Deletes <= massFloor {
		return nil
	}
	files, err := s.Repo.ReadTree(ctx, agreed)
	if err != nil {
		return storeError("plan the sync", s.Repo.Dir, err)
	}
	up.Mass = massDelete(up.Deletes, len(files))
	return nil
}

func (u *Up) add(w UpWrite) {
	if w.Expect.Exists() && !w.New.Exists() {
		u.Deletes++
	}
	u.Writes = append(u.Writes, w)
}

// Advance gives the tree that has the entries in it (Absent removes a path) and is
// otherwise like the agreed one. Contents must be in the store. The tree is durable
// when its id is returned; which tree is agreed is for the caller to record.
func (s *Store) Advance(ctx context.Context, agreed string, entries []tree.Entry) (string, error) {
	if len(entries) == 0 {
		return agreed, nil
	}
	changes := make([]git.Change, len(entries))
	for i, e := range entries {
		changes[i] = git.Change{Entry: e}
	}
	slices.SortFunc(changes, func(a, b git.Change) int { return removalsFirst(a.Entry, b.Entry) })
	id, err := s.Repo.Update(ctx, agreed, changes)
	if err != nil {
		return "", storeError("record what both sides agreed on", s.Repo.Dir, err)
	}
	return id, nil
}

// sides is what differs between two trees, by path, renames as a deletion and an
// addition.
type sides map[string]git.DiffEntry

func (s *Store) changes(ctx context.Context, from, to string) (sides, error) {
	diff, err := s.Repo.Diff(ctx, from, to, false)
	if err != nil {
		return nil, err
	}
	out := make(sides, len(diff))
	for _, d := range diff {
		path := d.New.Path
		if !d.New.Exists() {
			path = d.Old.Path
		}
		out[path] = d
	}
	return out, nil
}

// takeAlike takes the changes out of both sets that are the same in both.
func (a sides) takeAlike(b sides) sides {
	alike := sides{}
	for path, c := range a {
		if o, both := b[path]; both && c.New.Same(o.New) {
			alike[path] = c
			delete(a, path)
			delete(b, path)
		}
	}
	return alike
}

// news gives what the changes lead to.
func (a sides) news() []tree.Entry {
	out := make([]tree.Entry, 0, len(a))
	for path, c := range a {
		out = append(out, at(path, c.New))
	}
	return out
}

// apart reports whether two sets of changes touch different paths, so that merging
// them needs no look at any content: none is in both, and none makes a file where the
// other needs a folder.
func (a sides) apart(b sides) bool {
	small, large := a, b
	if len(b) < len(a) {
		small, large = b, a
	}
	for path := range small {
		if _, both := large[path]; both {
			return false
		}
	}
	return !a.blocks(b) && !b.blocks(a)
}

// blocks reports whether a file of a lies where b needs a folder.
func (a sides) blocks(b sides) bool {
	for path, c := range b {
		if !c.New.Exists() {
			continue
		}
		for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
			if over, ok := a[path[:i]]; ok && over.New.Exists() {
				return true
			}
		}
	}
	return false
}

// removalsFirst orders entries: those that are gone, then by path.
func removalsFirst(a, b tree.Entry) int {
	if a.Exists() != b.Exists() {
		if b.Exists() {
			return -1
		}
		return 1
	}
	return cmp.Compare(a.Path, b.Path)
}

// at gives an entry its path; a missing one has none.
func at(path string, e tree.Entry) tree.Entry {
	e.Path = path
	return e
}
