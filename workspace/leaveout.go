package workspace

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// The reasons, besides those of the tree package, for which a change does not come
// back. All but LeavesRoot and Nested are settled by confirming the path.
const (
	ActsOnOpen    tree.Reason = "acts on open"                 // see [ActsByItself]
	OutsideFolder tree.Reason = "outside the workspace folder" // but inside the repository
	OtherPlatform tree.Reason = "lock file of another platform"
	LeavesRoot    tree.Reason = "link leaves the root"
	Nested        tree.Reason = "nested repository"
	InTheWay      tree.Reason = "in the way" // a file where a folder is needed, or the other way round
)

// lockFiles are written by package managers which resolve for the platform they run
// on. Those that resolve for all platforms (Cargo.lock, go.sum, poetry.lock, uv.lock)
// are not in the list.
var lockFiles = []string{
	"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb",
	"pipfile.lock", "pdm.lock", "conda-lock.yml", "pixi.lock", "gemfile.lock", "podfile.lock", "packages.lock.json",
	"conan.lock", "composer.lock", "package.resolved", "pubspec.lock", "mix.lock", "rebar.lock", "flake.lock",
}

// leaveOut decides for every piece whether it comes back. What does not is named with
// its reason: as skipped, declined or conflicting.
func (p *planner) leaveOut(ctx context.Context) error {
	named := newSelection(p.r.Paths)
	confirmed := newSelection(p.r.Confirm)
	links, err := p.links()
	if err != nil {
		return err
	}
	p.foldsCase = p.w.ignoresCase()
	p.tangle()
	for _, u := range p.pieces {
		if err := ctx.Err(); err != nil {
			return err
		}
		u.Acts = moreUrgent(u.Acts, links.acts(u.paths()))
		if p.r.Paths != nil && !named.has(u.paths()) {
			u.out = true
			continue
		}
		if err := p.leaveOutPiece(u, named, confirmed, links); err != nil {
			return err
		}
	}
	p.nameCollisions()
	p.keepFoldersApart()
	return nil
}

func (p *planner) leaveOutPiece(u *piece, named, confirmed selection, links *linkMap) error {
	yes := confirmed.has(u.paths())
	switch {
	case p.declined(u) && !yes && !named.has(u.paths()):
		u.out = true
		p.down.Declined = append(p.down.Declined, u.Change)
	case p.refusesPath(u), p.refusesKind(u):
	case !p.r.Restore && links.escapes(u):
		p.skip(u, LeavesRoot, "it points to "+show(links.target(u.Path)))
	case u.Acts != nil && u.Acts.When == OnOpen && !yes:
		p.skip(u, ActsOnOpen, u.Acts.Why)
	case u.Outside && !yes && !named.has(u.paths()):
		p.skip(u, OutsideFolder, "only "+p.w.Subdir()+" was opened; name the path to bring it back")
	case p.foreignLock(u) && !yes && !named.has(u.paths()):
		p.skip(u, OtherPlatform, "it was written on "+p.r.Platform+" and may not fit "+hostPlatform())
	case p.r.Mode == ModeBranch: // nothing is written, so nothing on disk is in the way
	case p.unsaved(u):
	default:
		return p.checkDisk(u)
	}
	return nil
}

// listed are the changes that a person sees: those that are planned, and those that
// only wait for a yes.
func (p *planner) listed() []Change {
	waiting := map[string]bool{}
	for _, s := range p.down.Skipped {
		if s.Reason == ActsOnOpen || s.Reason == OutsideFolder || s.Reason == OtherPlatform {
			waiting[s.Path] = true
		}
	}
	var out []Change
	for _, u := range p.pieces {
		if !u.out || waiting[u.Path] {
			out = append(out, u.Change)
		}
	}
	return out
}

func (p *planner) skip(u *piece, why tree.Reason, detail string) {
	u.out = true
	p.down.Skipped = append(p.down.Skipped, tree.Skipped{Path: u.Path, Reason: why, Detail: detail})
}

// refuse leaves a piece out as a conflict, unless the person decided for the host's
// version of it.
func (p *planner) refuse(u *piece, kind, detail string) {
	u.out = true
	if !p.chose(u, ChooseMine) {
		p.conflict(u.Path, kind, detail)
		p.down.Conflicts[len(p.down.Conflicts)-1].Held = true
		return
	}
	for _, m := range u.moves() {
		p.target(m.path, m.was, m.was, p.theirsAt(m.path, m.want))
	}
}

// chose reports whether a resolution of one of the piece's paths is such.
func (p *planner) chose(u *piece, choice string) bool {
	return slices.ContainsFunc(p.r.Resolutions, func(r Resolution) bool {
		return r.Choice == choice && slices.Contains(u.paths(), r.Path)
	})
}

// refusesPath leaves out what could never be written.
func (p *planner) refusesPath(u *piece) bool {
	for _, path := range u.paths() {
		if err := tree.CheckPath(path); err != nil {
			why := err.Error()
			var refused *tree.PathError
			if errors.As(err, &refused) {
				why = refused.Why
			}
			p.skip(u, tree.BadPath, why)
			return true
		}
	}
	return false
}

// refusesKind leaves out what is neither file nor link: a commit of another
// repository.
func (p *planner) refusesKind(u *piece) bool {
	for _, m := range u.moves() {
		for _, e := range []tree.Entry{m.was, m.want} {
			switch e.Mode {
			case tree.Absent, tree.Regular, tree.Executable, tree.Symlink:
			default:
				p.skip(u, Nested, "a commit of another repository cannot come back as a file")
				return true
			}
		}
	}
	return false
}

// declined reports whether a person refused this very content.
func (p *planner) declined(u *piece) bool {
	for _, m := range u.moves() {
		refused, ok := p.r.Declined[m.path]
		if ok && refused.Same(p.theirsAt(m.path, m.want)) {
			return true
		}
	}
	return false
}

func (p *planner) foreignLock(u *piece) bool {
	if p.r.Platform == "" || p.r.Platform == hostPlatform() || u.Status == StatusDeleted {
		return false
	}
	names := strings.Split(foldName(u.Path), "/")
	return slices.Contains(lockFiles, names[len(names)-1])
}

func hostPlatform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// unsaved judges a piece by the buffers that are open on its files. Text that was not
// saved is only ever edited, never deleted, renamed or overwritten. It reports
// whether the piece is judged.
func (p *planner) unsaved(u *piece) bool {
	for _, m := range u.moves() {
		if p.r.Host.Astray[m.path] {
			p.refuse(u, "type", "it is a link that points nowhere, and has unsaved text in the editor: save it and return again")
			return true
		}
		doc, open := p.r.Host.Docs[m.path]
		if !open || !doc.Changed || p.r.Restore && p.r.Caps != nil && p.r.Mode == ModeEdits && !p.later[m.path] {
			continue // of a return that is taken back, an editor that did not save holds only what that brought
		}
		const first = "it has unsaved text in the editor: save it and return again"
		switch {
		case u.Status == StatusDeleted:
			p.refuse(u, "modifyDelete", "the sandbox deleted it, but "+first)
		case u.Status == StatusRenamed:
			p.refuse(u, "rename", "the sandbox renamed "+show(u.OldPath)+" to "+show(u.Path)+", but "+first)
		case !u.Old.Exists():
			p.refuse(u, "addAdd", "the sandbox added it too, and "+first)
		case u.Status == StatusType || u.Old.Mode != u.New.Mode:
			p.refuse(u, "type", "the sandbox changed what kind of file it is, but "+first)
		case p.r.Caps == nil || p.r.Mode == ModeDisk:
			p.refuse(u, "content", first)
		default:
			continue
		}
		return true
	}
	return false
}

// checkDisk leaves out what [Workspace.Apply] would refuse. Files that have unsaved
// text are not on disk as the snapshot has them; of them only the folders are looked
// at.
func (p *planner) checkDisk(u *piece) error {
	for _, m := range u.moves() {
		if p.needsRoom(m.path) || p.respelled(m.path) {
			continue // what is there now goes first
		}
		found, err := p.root.Lookup(m.path, p.s.Repo.Format)
		var refused *tree.PathError
		switch {
		case errors.As(err, &refused):
			p.skip(u, tree.BadPath, refused.Why)
			return nil
		case err != nil:
			p.skip(u, tree.Unreadable, err.Error())
			return nil
		}
		if doc, open := p.r.Host.Docs[m.path]; open && doc.Changed {
			// An editor that created the file and did not save it left it empty.
			if u.Status == StatusDeleted && found.Exists() && found.Size > 0 && !found.Same(m.was) {
				p.refuse(u, "modifyDelete", "the file on disk is another than its unsaved text in the editor: save or revert that and try again")
				return nil
			}
			continue
		}
		if other, blocked := p.folderAt(m); blocked {
			p.skip(u, InTheWay, show(other)+" stays where it is")
			return nil
		}
		if found.Same(m.was) {
			continue
		}
		if found.Same(m.want) && u.Status != StatusRenamed {
			u.there = true
			continue
		}
		if took, err := p.overwrite(u, m.path, found); err != nil || took {
			if err != nil {
				return err
			}
			continue
		}
		if u.Status != StatusRenamed && p.chose(u, ChooseMine) {
			u.out = true
			p.target(m.path, found, found, p.theirsAt(m.path, m.want))
			return nil
		}
		p.refuse(u, diskConflict(m, found), "the host's file is not the one that the sandbox's change was merged with: it changed just now, or it is one that does not go up")
		return nil
	}
	return nil
}

// overwrite lets a piece replace a file of the host that the merge did not see, when
// the person chose so: by the sandbox's version, or by a content of their own. The
// file is kept in the store, so that the return can be taken back.
func (p *planner) overwrite(u *piece, path string, found tree.Entry) (bool, error) {
	if u.Status == StatusRenamed {
		return false, nil
	}
	i := slices.IndexFunc(p.r.Resolutions, func(r Resolution) bool { return r.Path == path && r.Choice != ChooseMine })
	if i < 0 {
		return false, nil
	}
	if found.Exists() {
		if err := p.keep(at(path, found)); err != nil {
			return false, err
		}
	}
	if r := p.r.Resolutions[i]; r.Choice == ChooseContent {
		if err := p.put(u, contentChange(path, r.Content, found, u.New, p.s.Repo.Format)); err != nil {
			return false, err
		}
	}
	u.Old, u.tangled = at(path, found), true // no editor's edit is made of what it did not show
	u.Status, u.there = StatusModified, found.Same(u.New)
	switch {
	case !found.Exists():
		u.Status = StatusAdded
	case !u.New.Exists():
		u.Status = StatusDeleted
	}
	return true, nil
}

// keep puts a file of the host into the store.
func (p *planner) keep(e tree.Entry) error {
	content, err := p.root.Content(e.Path, p.s.Repo.Format)
	if err != nil {
		return err
	}
	defer content.Close() //nolint:errcheck // only read
	_, err = p.s.Repo.AddBlobs(p.contents.ctx, []git.Blob{{
		Name: e.Path, Size: content.Entry().Size,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(content.Reader()), nil },
	}})
	return err
}

// put makes a content of the person's what a piece brings. What the sandbox holds
// stays what becomes agreed.
func (p *planner) put(u *piece, c git.Change) error {
	if _, known := p.theirs[u.Path]; !known {
		p.theirs[u.Path] = u.New
	}
	var err error
	if p.merged, err = p.s.Repo.Update(p.contents.ctx, p.merged, []git.Change{c}); err != nil {
		return err
	}
	u.New, u.NewMode = c.Entry, c.Entry.Mode
	return nil
}

// underText reports whether a piece's file has unsaved text in the editor.
func (p *planner) underText(u *piece) bool {
	return slices.ContainsFunc(u.paths(), func(path string) bool { return p.r.Host.Docs[path].Changed })
}

func diskConflict(m move, found tree.Entry) string {
	switch {
	case !m.was.Exists():
		return "addAdd"
	case !m.want.Exists(), !found.Exists():
		return "modifyDelete"
	}
	return "content"
}

// selection is a list of files and folders that a person named.
type selection map[string]bool

func newSelection(paths []string) selection {
	s := selection{}
	for _, path := range paths {
		s[strings.TrimSuffix(path, "/")] = true
	}
	return s
}

// has reports whether one of the paths, or a folder above it, was named.
func (s selection) has(paths []string) bool {
	for _, path := range paths {
		if s[path] {
			return true
		}
		for above := range foldersAbove(path) {
			if s[above] {
				return true
			}
		}
	}
	return s["."]
}
