package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"glue-lsp/internal/tree"
)

// The kinds of a MergeConflict.
const (
	ConflictContent      = "content"      // both sides changed the same lines
	ConflictAddAdd       = "addAdd"       // both sides added the path, differently
	ConflictModifyDelete = "modifyDelete" // one side changed it, the other deleted it
	ConflictRename       = "rename"       // a rename on one side meets something on the other
	ConflictBinary       = "binary"       // both sides changed it, and it is not text
	ConflictType         = "type"         // a file on one side, a folder or link on the other
)

// MergeConflict is one path, or the paths of one rename, that did not merge.
type MergeConflict struct {
	// Paths are every path that the conflict is about, sorted: those that one of
	// the three trees really has, never names that git made up.
	Paths  []string
	Kind   string
	Detail string
	// Stages are base, ours and theirs, each under the path that it has in its own
	// tree; Absent where that tree has nothing. Sizes are not filled in.
	Stages [3]tree.Entry
}

// MergeResult is what three trees merge to. Every path of a conflict holds in Tree
// what it holds in ours, or nothing if ours has nothing there.
type MergeResult struct {
	Tree      string
	Conflicts []MergeConflict // sorted by first path
}

// Merge merges three trees ("" is the empty one) by `git merge-tree --write-tree`
// on commits that are made up for it. Renames are followed, renames of folders are
// not. Bytes are merged as they are: no attribute of any tree counts and no line
// end is touched.
func (r *Repo) Merge(ctx context.Context, base, ours, theirs string) (MergeResult, error) {
	for _, id := range []*string{&base, &ours, &theirs} {
		if *id == "" {
			*id = r.emptyTree()
		}
		if err := r.checkID(*id); err != nil {
			return MergeResult{}, fmt.Errorf("merge: %w", err)
		}
	}
	switch {
	case ours == theirs, base == theirs:
		return MergeResult{Tree: ours}, nil
	case base == ours:
		return MergeResult{Tree: theirs}, nil
	}
	m := &merger{repo: r, base: base, ours: ours, theirs: theirs}
	result, err := m.merge(ctx)
	if err != nil {
		return MergeResult{}, fmt.Errorf("merge: %w", err)
	}
	return result, nil
}

// merger is one merge. It works in an object folder of its own, so that what the
// merge leaves behind (versions with markers in them) never gets into the store.
type merger struct {
	repo               *Repo
	base, ours, theirs string
	objects            string
}

func (m *merger) merge(ctx context.Context) (MergeResult, error) {
	dir, err := m.repo.makeQuarantine()
	if err != nil {
		return MergeResult{}, err
	}
	defer os.RemoveAll(dir)
	m.objects = dir
	result, err := m.attempt(ctx, true)
	var confused *renameError
	if errors.As(err, &confused) || outOfMemory(err) {
		// Without renames every conflict is about one path, which it names itself, and only
		// files that both sides changed are read.
		result, err = m.attempt(ctx, false)
	}
	if err != nil {
		return MergeResult{}, err
	}
	return result, m.keep(ctx, result.Tree)
}

// attempt merges, and settles conflicts if there are any.
func (m *merger) attempt(ctx context.Context, renames bool) (MergeResult, error) {
	raw, err := m.mergeTree(ctx, renames)
	if err != nil || len(raw.messages) == 0 && len(raw.stages) == 0 {
		return MergeResult{Tree: raw.tree}, err
	}
	var ours, theirs []DiffEntry
	var oursErr, theirsErr error
	var both sync.WaitGroup
	both.Go(func() { ours, oursErr = m.repo.diffRaw(ctx, m.base, m.ours, renames) })
	both.Go(func() { theirs, theirsErr = m.repo.diffRaw(ctx, m.base, m.theirs, renames) })
	both.Wait()
	if err := errors.Join(oursErr, theirsErr); err != nil {
		return MergeResult{}, err
	}
	s := settle(raw, newSide(ours), newSide(theirs))
	id, err := m.repo.update(ctx, raw.tree, s.changes, m.env()...)
	if err != nil {
		return MergeResult{}, err
	}
	return MergeResult{Tree: id, Conflicts: s.conflicts}, m.check(ctx, id, s)
}

// mergeTree runs the command.
func (m *merger) mergeTree(ctx context.Context, renames bool) (rawMerge, error) {
	commits, err := m.commits()
	if err != nil {
		return rawMerge{}, err
	}
	out, err := m.repo.outputFrom(ctx, nil, m.env(),
		"-c", "core.fsync=none", "-c", "merge.directoryRenames=false", "-c", "merge.conflictStyle=merge",
		"-c", "merge.renameLimit="+strconv.Itoa(renameLimit), "-c", "merge.renames="+strconv.FormatBool(renames),
		"merge-tree", "--write-tree", "-z", "--messages", commits[0], commits[1])
	var failed *Error
	if errors.As(err, &failed) && failed.Code == 1 && failed.Err == nil && len(out) > 0 {
		err = nil // there are conflicts (git-merge-tree(1), EXIT STATUS)
	}
	if err != nil {
		return rawMerge{}, err
	}
	return parseMerge(string(out))
}

// commits makes ours and theirs commits with base's as their only parent: the
// command that takes a base by name came with git 2.40, trees for it with 2.45.
func (m *merger) commits() ([2]string, error) {
	var ids [2]string
	spec := CommitSpec{Tree: m.base}
	base, err := writeLoose(m.objects, m.repo.Format, "commit", spec.encode())
	if err != nil {
		return ids, err
	}
	for i, id := range []string{m.ours, m.theirs} {
		spec := CommitSpec{Tree: id, Parents: []string{base}}
		if ids[i], err = writeLoose(m.objects, m.repo.Format, "commit", spec.encode()); err != nil {
			return ids, err
		}
	}
	return ids, nil
}

// env makes new objects go to the merge's own folder.
func (m *merger) env() []string { return quarantine(m.objects, m.repo.Dir) }

// keep moves what the result consists of into the store, durably, as one pack.
func (m *merger) keep(ctx context.Context, id string) error {
	if id == m.ours || id == m.theirs || id == m.base {
		return nil
	}
	pack := filepath.Join(m.repo.Dir, "objects", "pack")
	_, err := m.repo.outputFrom(ctx, []byte(id+"\n^"+m.ours+"\n^"+m.theirs+"\n"), m.env(),
		"pack-objects", "--quiet", "--revs", "--non-empty", filepath.Join(pack, "pack"))
	if err != nil {
		return err
	}
	return syncPath(pack)
}

// check holds the settled tree against what it must be: conflicting paths as in
// ours, and no path in it that theirs does not have.
func (m *merger) check(ctx context.Context, id string, s settled) error {
	changed, err := m.diff(ctx, m.ours, id)
	if err != nil {
		return err
	}
	for _, d := range changed {
		path := d.New.Path
		if s.inConflict[path] {
			return &renameError{path: path}
		}
		if d.New.Exists() && !d.Old.Exists() && !s.theirs.at(path, s.ours).Exists() {
			return &renameError{path: path}
		}
	}
	return nil
}

func (m *merger) diff(ctx context.Context, from, to string) ([]DiffEntry, error) {
	return m.repo.diffRaw(ctx, from, to, false, m.env()...)
}

// renameError says that a merge put something where it cannot be explained.
type renameError struct{ path string }

func (e *renameError) Error() string {
	return fmt.Sprintf("git put a conflict's version at %q", e.path)
}

// rawMerge is what merge-tree printed.
type rawMerge struct {
	tree     string
	stages   []string // paths of conflicting entries, as git names them
	messages []mergeMessage
}

type mergeMessage struct {
	kind  string // e.g. "CONFLICT (contents)", a stable name
	paths []string
}

// parseMerge reads the output with -z (git-merge-tree(1), OUTPUT): the tree, then
// "<mode> <hash> <stage>\t<path>" for each conflicting entry, an empty record, and
// messages of a count, that many paths, a type and a text.
func parseMerge(out string) (rawMerge, error) {
	bad := fmt.Errorf("merge-tree printed %.200q", out)
	records := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	m := rawMerge{tree: strings.TrimSpace(records[0])}
	if !hexID.MatchString(m.tree) {
		return m, bad
	}
	records = records[1:]
	for len(records) > 0 && records[0] != "" {
		_, path, ok := strings.Cut(records[0], "\t")
		if !ok {
			return m, bad
		}
		m.stages = append(m.stages, path)
		records = records[1:]
	}
	if len(records) > 0 {
		records = records[1:]
	}
	for len(records) > 0 {
		n, err := strconv.Atoi(strings.TrimSpace(records[0]))
		if err != nil || n < 0 || n > len(records)-3 {
			return m, bad
		}
		msg := mergeMessage{paths: records[1 : n+1], kind: records[n+1]}
		if strings.HasPrefix(msg.kind, "CONFLICT") {
			m.messages = append(m.messages, msg)
		}
		records = records[n+3:]
	}
	return m, nil
}
