package git

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"glue-lsp/internal/tree"
)

// DiffEntry is one path of a tree difference.
type DiffEntry struct {
	Old, New tree.Entry // Absent for added and deleted; paths differ for renames
	Renamed  bool
	Score    int // percent of likeness of a rename
}

// renameLimit bounds the search for renamed files that were changed as well, which
// is quadratic. Moves without a change are found beyond it.
const renameLimit = 2000

// Diff compares two trees ("" is the empty one), with renames found when asked.
// Entries are sorted by new path (the old one where nothing is new). Paths are set
// on both sides of an entry, also where a side is Absent; sizes are filled in.
func (r *Repo) Diff(ctx context.Context, from, to string, renames bool) ([]DiffEntry, error) {
	entries, err := r.diffRaw(ctx, from, to, renames)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	refs := make([]*tree.Entry, 0, 2*len(entries))
	for i := range entries {
		refs = append(refs, &entries[i].Old, &entries[i].New)
	}
	if err := r.fillSizes(ctx, refs); err != nil {
		return nil, fmt.Errorf("compare trees: %w", err)
	}
	return entries, nil
}

// diffRaw is Diff without sizes.
func (r *Repo) diffRaw(ctx context.Context, from, to string, renames bool, env ...string) ([]DiffEntry, error) {
	return r.diffTrees(ctx, from, to, diffOptions{renames: renames, most: maxEntries, env: env})
}

type diffOptions struct {
	renames bool
	most    int // entries
	env     []string
}

// diffTrees compares. Renames are looked for by reading files whole: where those are too
// large for that, they are told as removed and added.
func (r *Repo) diffTrees(ctx context.Context, from, to string, o diffOptions) ([]DiffEntry, error) {
	entries, err := r.diffTreesOnce(ctx, from, to, o)
	if o.renames && outOfMemory(err) {
		o.renames = false
		return r.diffTreesOnce(ctx, from, to, o)
	}
	return entries, err
}

func outOfMemory(err error) bool {
	var limit *LimitError
	return errors.As(err, &limit) && limit.What == LimitMemory
}

func (r *Repo) diffTreesOnce(ctx context.Context, from, to string, o diffOptions) ([]DiffEntry, error) {
	for _, id := range []*string{&from, &to} {
		if *id == "" {
			*id = r.emptyTree()
		}
		if err := r.checkID(*id); err != nil {
			return nil, fmt.Errorf("compare trees: %w", err)
		}
	}
	if from == to {
		return nil, nil
	}
	args := []string{"diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-ext-diff", "--no-textconv", "--no-color"}
	if o.renames {
		args = append(args, "-M", "-l"+strconv.Itoa(renameLimit))
	} else {
		args = append(args, "--no-renames")
	}
	p := rawParser{most: o.most}
	records := &recordWriter{max: maxRecord, each: p.record}
	err := r.Run(ctx, Cmd{Args: append(args, "--end-of-options", from, to), Stdout: records, Env: o.env})
	if err = errors.Join(records.err, err); err != nil {
		return nil, fmt.Errorf("compare trees: %w", err)
	}
	return p.entries, nil
}

// rawParser reads diff-tree's raw output with -z: ":<mode> <mode> <hash> <hash>
// <status>", then one path, or two for a rename (git-diff-tree(1), RAW OUTPUT
// FORMAT).
type rawParser struct {
	most    int // entries that are taken
	entries []DiffEntry
	cur     DiffEntry
	paths   int // still to come for cur
}

func (p *rawParser) record(b []byte) error {
	if p.paths == 0 {
		return p.header(string(b))
	}
	if p.paths == 2 || !p.cur.Renamed {
		p.cur.Old.Path = string(b)
	}
	p.cur.New.Path = string(b)
	if p.paths--; p.paths > 0 {
		return nil
	}
	if len(p.entries) == p.most {
		return &LimitError{What: LimitEntries, Max: strconv.Itoa(p.most)}
	}
	p.entries = append(p.entries, p.cur)
	return nil
}

func (p *rawParser) header(s string) error {
	f := strings.Fields(strings.TrimPrefix(s, ":"))
	if !strings.HasPrefix(s, ":") || len(f) != 5 {
		return fmt.Errorf("git printed %q for a difference", s)
	}
	p.cur = DiffEntry{}
	for i, e := range []*tree.Entry{&p.cur.Old, &p.cur.New} {
		mode, err := parseMode(f[i])
		if err != nil {
			return err
		}
		if e.Mode = mode; mode != tree.Absent {
			e.Hash = f[i+2]
		}
	}
	p.paths = 1
	if f[4][0] == 'R' {
		score, err := strconv.Atoi(f[4][1:])
		if err != nil {
			return fmt.Errorf("git printed %q for a rename", f[4])
		}
		p.cur.Renamed, p.cur.Score, p.paths = true, score, 2
	}
	return nil
}

// Sizes fills in the sizes of entries whose objects the store holds, by one
// command for all. Absent entries and gitlinks are passed over.
func (r *Repo) Sizes(ctx context.Context, entries []tree.Entry) error {
	refs := make([]*tree.Entry, len(entries))
	for i := range entries {
		refs[i] = &entries[i]
	}
	return r.fillSizes(ctx, refs)
}

func (r *Repo) fillSizes(ctx context.Context, entries []*tree.Entry) error {
	byHash := map[string][]*tree.Entry{}
	var ask strings.Builder
	for _, e := range entries {
		if !e.Exists() || e.Mode == Gitlink {
			continue
		}
		if err := r.checkID(e.Hash); err != nil {
			return err
		}
		if byHash[e.Hash] == nil {
			ask.WriteString(e.Hash + "\n")
		}
		byHash[e.Hash] = append(byHash[e.Hash], e)
	}
	if len(byHash) == 0 {
		return nil
	}
	out, err := r.outputFrom(ctx, []byte(ask.String()), nil, "cat-file", "--buffer", "--batch-check=%(objectname) %(objectsize)")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(out)) {
		hash, size, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		n, err := strconv.ParseInt(size, 10, 64)
		if err != nil {
			return &NoObjectError{Hash: hash}
		}
		for _, e := range byHash[hash] {
			e.Size = n
		}
	}
	return nil
}
