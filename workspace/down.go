package workspace

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// How a return reaches the host.
const (
	ModeEdits  = "edits"  // the editor edits what it keeps exactly, Apply writes the rest
	ModeDisk   = "disk"   // Apply writes everything
	ModeBranch = "branch" // nothing is written; the merged tree becomes a branch
)

// DownRequest asks what a return would do.
type DownRequest struct {
	Agreed   string    // tree that both sides last agreed on
	Host     *Snapshot // as the editor shows it now
	Theirs   string    // the sandbox's tree
	Declined map[string]tree.Entry

	Caps *ClientCaps // nil: no editor, everything goes to disk
	Mode string      // one of the Mode constants, "" is ModeEdits

	Paths           []string // only these files, and those below these folders (nil: all); names them, so that what was refused is offered again
	Confirm         []string // what the person said yes to, files or folders; "." is everything
	Resolutions     []Resolution
	AllowMassDelete bool
	MaxFiles        int    // limit of closed files in an edit; 0 is 100
	Platform        string // of the sandbox, as in GOOS/GOARCH; "" is the host's own

	// Restore is for taking a return back: what comes is the host's own, so nothing is
	// left out of it for what it could do.
	Restore bool
	Perms   map[string]fs.FileMode // that files had which it brings back, see [Workspace.UnusualPerms]
}

// What settles a conflict.
const (
	ChooseMine    = "mine"    // the host stays as it is, and the sandbox's version counts as seen
	ChooseTheirs  = "theirs"  // the sandbox's version
	ChooseContent = "content" // the given bytes
)

// Resolution settles one conflict. One path settles all paths of a conflict that
// have no resolution of their own.
type Resolution struct {
	Path    string
	Choice  string // one of the Choose constants
	Content []byte // of ChooseContent
}

// Down is what a return would do.
type Down struct {
	// Changes are what comes back, by edit or disk, and what would once it is confirmed:
	// that is in Skipped too, with the reason.
	Changes     []Change
	Edit        *Edit    // for the editor, nil when there is nothing for it
	Disk        []Write  // for Apply
	DiskChanges []Change // what Disk writes
	Conflicts   []Conflict
	Skipped     []tree.Skipped
	Declined    []Change          // refused before, with the same content
	Targets     map[string]Target // what each path must hold afterwards, by path
	Merged      string            // tree that the host holds once all of it was taken
	Mass        bool              // deletes so much that it needs AllowMassDelete; then nothing is planned
}

// Target is what a path holds when it was taken, and what becomes agreed then. When
// Was and Want are the same nothing needs to be written: both sides came to hold
// alike, or a person decided for the host's version.
type Target struct {
	Was    tree.Entry  // host before
	Want   tree.Entry  // host after
	Theirs tree.Entry  // the sandbox's, which becomes agreed
	Edit   *TextChange // what the editor is asked to change at the path, nil for all else
}

// PlanDown says what bringing the sandbox's tree back would do to the host. It writes
// nothing but objects in the store.
func (w *Workspace) PlanDown(ctx context.Context, s *Store, r DownRequest) (*Down, error) {
	p := &planner{w: w, s: s, r: r, down: &Down{Targets: map[string]Target{}}, texts: map[string]*TextChange{}}
	if r.Mode == "" {
		p.r.Mode = ModeEdits
	}
	const op = "plan the return"
	for _, c := range r.Resolutions {
		if c.Choice != ChooseMine && c.Choice != ChooseTheirs && c.Choice != ChooseContent {
			return nil, &Error{Kind: "unsupported", Op: op, Path: c.Path, Message: fmt.Sprintf("%q settles no conflict", c.Choice), Hint: "choose mine, theirs or content"}
		}
	}
	if err := p.plan(ctx); err != nil {
		return nil, storeError(op, w.Root(), err)
	}
	return p.down, nil
}

// planner holds one plan while it is made.
type planner struct {
	w    *Workspace
	s    *Store
	r    DownRequest
	down *Down

	merged    string                // tree, resolutions included
	pieces    []*piece              // what the merge changes on the host, sorted by path
	theirs    map[string]tree.Entry // the sandbox's entries that differ from merged, by path
	conflicts map[string]bool       // unsettled paths
	removed   map[string]bool       // paths that pieces remove
	folders   map[string]bool       // folders above those, see emptied
	folded    map[string]bool       // the same without case, see foldedRemovals
	foldsCase bool                  // the host takes names that differ only in case for one
	contents  *blobSource
	root      *tree.Root
	texts     map[string]*TextChange // that the edit makes, by path
	later     map[string]bool        // of a return that is taken back: what the host changed since
}

// piece is what is taken or left out as a whole: one file, or both ends of a rename.
type piece struct {
	Change
	out     bool // left out of the plan
	there   bool // the disk holds it already
	tangled bool // a file and a folder change places, so the order of writes matters
}

func (p *planner) plan(ctx context.Context) error {
	if err := p.merge(ctx); err != nil {
		return err
	}
	if p.r.Restore {
		var err error
		if p.later, err = p.s.Differences(ctx, p.r.Agreed, p.r.Host.Tree); err != nil {
			return err
		}
	}
	if err := p.compare(ctx); err != nil {
		return err
	}
	var err error
	if p.contents, err = openContents(ctx, p.s); err != nil {
		return err
	}
	defer p.contents.close()
	if p.root, err = tree.OpenRoot(p.w.Root()); err != nil {
		return err
	}
	defer p.root.Close() //nolint:errcheck // only looked at

	if err := p.leaveOut(ctx); err != nil {
		return err
	}
	p.judgeDeletions()
	if p.down.Mass && !p.r.AllowMassDelete && !p.r.Restore {
		p.down.Changes, p.down.Targets, p.down.Merged = p.listed(), map[string]Target{}, p.r.Host.Tree
		p.sort()
		return nil
	}
	if err := p.assign(); err != nil {
		return err
	}
	p.down.Changes = p.listed()
	if p.r.Mode == ModeBranch {
		p.down.Targets = map[string]Target{} // the host's files stay as they are
	} else {
		p.setTargets()
	}
	p.sort()
	return p.finishMerged(ctx)
}

// merge merges host and sandbox, and settles conflicts as the person said.
func (p *planner) merge(ctx context.Context) error {
	p.conflicts = map[string]bool{}
	switch host := p.r.Host.Tree; {
	case p.r.Theirs == p.r.Agreed || host == p.r.Theirs:
		p.merged = host
		return nil
	case host == p.r.Agreed:
		p.merged = p.r.Theirs
		return nil
	}
	result, err := p.s.Repo.Merge(ctx, p.r.Agreed, p.r.Host.Tree, p.r.Theirs)
	if err != nil {
		return err
	}
	p.merged = result.Tree
	if len(result.Conflicts) == 0 {
		return nil
	}
	return p.resolve(ctx, result.Conflicts)
}

// compare finds what the merge changes on the host, and where the sandbox's tree
// differs from it. Paths that both sides came to hold alike become targets at once,
// so that a later change back on one side is not undone by the other's.
func (p *planner) compare(ctx context.Context) error {
	changes, err := p.s.listChanges(ctx, p.w.Subdir(), p.r.Host.Tree, p.merged)
	if err != nil {
		return err
	}
	p.removed = map[string]bool{}
	touched := map[string]bool{}
	for _, c := range changes {
		p.pieces = append(p.pieces, &piece{Change: c})
		for _, path := range c.paths() {
			touched[path] = true
		}
		if c.Status == StatusDeleted || c.Status == StatusRenamed {
			p.removed[c.Old.Path] = true
		}
	}
	apart, err := p.s.changes(ctx, p.r.Theirs, p.merged)
	if err != nil {
		return err
	}
	p.theirs = make(map[string]tree.Entry, len(apart))
	for path, d := range apart {
		p.theirs[path] = d.Old
	}
	sandbox, err := p.s.changes(ctx, p.r.Agreed, p.r.Theirs)
	if err != nil {
		return err
	}
	for path, d := range sandbox {
		if touched[path] || p.conflicts[path] {
			continue
		}
		if _, settled := p.down.Targets[path]; settled {
			continue
		}
		host := d.New
		if other, ok := apart[path]; ok {
			host = other.New
		}
		p.target(path, host, host, d.New)
	}
	return nil
}

// theirsAt gives what the sandbox holds at a path, of which the merged entry is known.
func (p *planner) theirsAt(path string, merged tree.Entry) tree.Entry {
	if e, ok := p.theirs[path]; ok {
		return at(path, e)
	}
	return at(path, merged)
}

func (p *planner) target(path string, was, want, theirs tree.Entry) {
	p.down.Targets[path] = Target{Was: at(path, was), Want: at(path, want), Theirs: at(path, theirs)}
}

func (p *planner) conflict(path, kind, detail string) {
	p.down.Conflicts = append(p.down.Conflicts, Conflict{Path: path, Kind: kind, Detail: detail})
}

// taken are the pieces that are planned.
func (p *planner) taken() []*piece {
	var out []*piece
	for _, u := range p.pieces {
		if !u.out {
			out = append(out, u)
		}
	}
	return out
}

func (p *planner) setTargets() {
	for _, u := range p.taken() {
		for _, m := range u.moves() {
			p.target(m.path, m.was, m.want, p.theirsAt(m.path, m.want))
			if text := p.texts[m.path]; text != nil {
				t := p.down.Targets[m.path]
				t.Edit = text
				p.down.Targets[m.path] = t
			}
		}
	}
}

// move is what a piece does at one path.
type move struct {
	path      string
	was, want tree.Entry
}

// moves gives what a piece does: at one path, or at both ends of a rename.
func (u *piece) moves() []move {
	if u.Status == StatusRenamed {
		return []move{
			{path: u.OldPath, was: u.Old},
			{path: u.Path, want: u.New},
		}
	}
	return []move{{path: u.Path, was: u.Old, want: u.New}}
}

func (p *planner) judgeDeletions() {
	deletes := 0
	for _, u := range p.taken() {
		if u.Status == StatusDeleted {
			deletes++
		}
	}
	p.down.Mass = massDelete(deletes, len(p.r.Host.Entries))
}

// finishMerged takes what was left out off the merged tree again.
func (p *planner) finishMerged(ctx context.Context) error {
	var changes []git.Change
	for _, u := range p.pieces {
		if !u.out {
			continue
		}
		for _, m := range u.moves() {
			changes = append(changes, git.Change{Entry: at(m.path, m.was)})
		}
	}
	p.down.Merged = p.merged
	if len(changes) == 0 {
		return nil
	}
	slices.SortFunc(changes, func(a, b git.Change) int { return removalsFirst(a.Entry, b.Entry) })
	var err error
	p.down.Merged, err = p.s.Repo.Update(ctx, p.merged, changes)
	return err
}

func (p *planner) sort() {
	d := p.down
	byPath := func(a, b Change) int { return cmp.Compare(a.Path, b.Path) }
	slices.SortFunc(d.Changes, byPath)
	slices.SortFunc(d.DiskChanges, byPath)
	slices.SortFunc(d.Declined, byPath)
	slices.SortFunc(d.Conflicts, func(a, b Conflict) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortFunc(d.Skipped, func(a, b tree.Skipped) int { return cmp.Compare(a.Path, b.Path) })
}
