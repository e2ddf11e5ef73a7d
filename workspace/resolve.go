package workspace

import (
	"context"
	"slices"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// resolve applies resolutions to the merged tree, in which conflicting paths hold the
// host's version, and names the conflicts that none of them settles.
func (p *planner) resolve(ctx context.Context, conflicts []git.MergeConflict) error {
	var all []string
	for _, c := range conflicts {
		all = append(all, c.Paths...)
	}
	mine, err := p.s.entriesAt(ctx, p.r.Host.Tree, all)
	if err != nil {
		return err
	}
	theirs, err := p.s.entriesAt(ctx, p.r.Theirs, all)
	if err != nil {
		return err
	}
	chosen := map[string]Resolution{}
	for _, r := range p.r.Resolutions {
		chosen[r.Path] = r
	}
	named := newSelection(p.r.Paths)
	var changes []git.Change
	for _, c := range conflicts {
		general, settled := firstChosen(c.Paths, chosen)
		if !settled && p.refusedBefore(c.Paths, mine, theirs) {
			continue
		}
		for _, path := range c.Paths {
			if !settled {
				p.conflicts[path] = true
				if p.r.Paths == nil || named.has(c.Paths) {
					p.conflict(path, c.Kind, c.Detail)
				}
				continue
			}
			choice, own := chosen[path]
			if !own {
				choice = Resolution{Choice: general.Choice}
			}
			want := mine[path]
			switch {
			case choice.Choice == ChooseTheirs:
				want = theirs[path]
				changes = append(changes, git.Change{Entry: at(path, want)})
			case choice.Choice == ChooseContent && own:
				change := contentChange(path, choice.Content, mine[path], theirs[path], p.s.Repo.Format)
				want = change.Entry
				changes = append(changes, change)
			}
			if want.Same(mine[path]) {
				p.target(path, mine[path], mine[path], theirs[path])
			}
		}
	}
	if len(changes) == 0 {
		return nil
	}
	slices.SortFunc(changes, func(a, b git.Change) int { return removalsFirst(a.Entry, b.Entry) })
	p.merged, err = p.s.Repo.Update(ctx, p.merged, changes)
	return err
}

// refusedBefore leaves a conflict out whose version of the sandbox a person refused
// already: there is nothing to decide any more.
func (p *planner) refusedBefore(paths []string, mine, theirs map[string]tree.Entry) bool {
	named := newSelection(p.r.Paths)
	refused := slices.ContainsFunc(paths, func(path string) bool {
		no, ok := p.r.Declined[path]
		return ok && no.Same(theirs[path])
	})
	if !refused || named.has(paths) {
		return false
	}
	for _, path := range paths {
		p.conflicts[path] = true
		if was, is := mine[path], theirs[path]; !was.Same(is) {
			p.down.Declined = append(p.down.Declined, newChange(git.DiffEntry{Old: was, New: is}, p.w.Subdir()))
		}
	}
	return true
}

func firstChosen(paths []string, chosen map[string]Resolution) (Resolution, bool) {
	for _, path := range paths {
		if r, ok := chosen[path]; ok {
			return r, true
		}
	}
	return Resolution{}, false
}

// contentChange puts given bytes at a path, executable if the file was.
func contentChange(path string, content []byte, mine, theirs tree.Entry, f tree.Format) git.Change {
	mode := tree.Regular
	for _, e := range []tree.Entry{mine, theirs} {
		if e.Mode == tree.Regular || e.Mode == tree.Executable {
			mode = e.Mode
		}
	}
	e := tree.Entry{Path: path, Mode: mode, Hash: tree.HashBytes(f, content), Size: int64(len(content))}
	return git.Change{Entry: e, Open: openBytes(content)}
}
