package git

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// RemoteTip says which commit of HEAD's past a remote was last seen to have.
type RemoteTip struct {
	Remote string // its name
	Commit string // HEAD, or the nearest commit below it
	Ahead  int    // commits of HEAD that the remote was not seen to have
	Ref    string // a ref of the remote that holds Commit, by its name there
}

const (
	remotesBelow  = "refs/remotes/"
	maxRemoteRefs = 20_000
	// maxTips bounds how many remotes are looked at.
	maxTips = 20
)

// RemoteTips finds the remotes that have HEAD's commit, or one below it, nearest first, by
// what is known of them here: refs/remotes and the user's objects, read as data. No remote
// is asked and nothing of the repository's configuration runs.
func (r *Repo) RemoteTips(ctx context.Context, src *Source) ([]RemoteTip, error) {
	if src == nil || src.Head == "" || len(src.Remotes) == 0 {
		return nil, nil
	}
	tips, err := r.remoteTips(ctx, src)
	if err != nil {
		return nil, fmt.Errorf("look for a remote that has HEAD: %w", unreadableHistory(src, err))
	}
	return tips, nil
}

func (r *Repo) remoteTips(ctx context.Context, src *Source) ([]RemoteTip, error) {
	refs, err := readRefsBelow(src, remotesBelow, maxRemoteRefs)
	if err != nil || len(refs) == 0 {
		return nil, err
	}
	view, err := r.historyView(src)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(view.Dir) //nolint:errcheck // it is cleared when the store is opened
	ends, err := readShallow(src)
	if err != nil {
		return nil, err
	}
	if err := view.writeShallow(ends); err != nil {
		return nil, err
	}
	if known, err := view.packRefs(ctx, refs); err != nil || known == 0 {
		return nil, err
	}
	var tips []RemoteTip
	for _, remote := range slices.Sorted(maps.Keys(src.Remotes))[:min(len(src.Remotes), maxTips)] {
		tip, err := view.remoteTip(ctx, src, remote)
		if err != nil {
			return nil, err
		}
		if tip.Commit != "" {
			tips = append(tips, tip)
		}
	}
	slices.SortStableFunc(tips, func(a, b RemoteTip) int {
		own := func(t RemoteTip) int {
			if t.Remote == src.Remote {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.Ahead, b.Ahead), cmp.Compare(own(a), own(b)))
	})
	return tips, nil
}

// packRefs gives a view those refs whose commits are there, and counts them: one whose
// commit is not would end the next command.
func (r *Repo) packRefs(ctx context.Context, refs map[string]string) (int, error) {
	names := slices.Sorted(maps.Keys(refs))
	var ask strings.Builder
	for _, name := range names {
		ask.WriteString(refs[name] + "^{commit}\n")
	}
	out, err := r.outputFrom(ctx, []byte(ask.String()), nil, "cat-file", "--batch-check=%(objecttype)")
	if err != nil {
		return 0, err
	}
	var packed []string
	for i, answer := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		if i < len(names) && answer == "commit" {
			packed = append(packed, refs[names[i]]+" "+names[i])
		}
	}
	return len(packed), r.writeNamed("packed-refs", packed)
}

// remoteTip finds what a remote has of HEAD's past. A view has the remote's refs.
func (r *Repo) remoteTip(ctx context.Context, src *Source, remote string) (RemoteTip, error) {
	below := remotesBelow + remote + "/"
	tip := RemoteTip{Remote: remote, Commit: src.Head}
	out, err := r.Output(ctx, "rev-list", "--boundary", src.Head, "--not", "--glob="+escapeGlob(below)+"*", "--")
	if err != nil {
		return RemoteTip{}, err
	}
	var last []string
	for line := range strings.Lines(string(out)) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "-"); ok {
			last = append(last, id)
			continue
		}
		tip.Ahead++
	}
	if tip.Ahead > 0 {
		if len(last) == 0 {
			return RemoteTip{}, nil // it shares nothing with HEAD
		}
		if tip.Commit, err = r.newest(ctx, last); err != nil {
			return RemoteTip{}, err
		}
	}
	holders, err := r.Output(ctx, "for-each-ref", "--contains="+tip.Commit, "--format=%(refname)", below)
	if err != nil {
		return RemoteTip{}, err
	}
	for line := range strings.Lines(string(holders)) {
		name := strings.TrimPrefix(strings.TrimSpace(line), below)
		if name == "HEAD" {
			continue // a link to another one, if it is the remote's own
		}
		if tip.Ref == "" || name == src.Branch {
			tip.Ref = branchesBelow + name
		}
	}
	return tip, nil
}

// newest gives the commit of several that was made last.
func (r *Repo) newest(ctx context.Context, ids []string) (string, error) {
	if len(ids) == 1 {
		return ids[0], nil
	}
	in := []byte(strings.Join(ids, "\n") + "\n")
	out, err := r.outputFrom(ctx, in, nil, "rev-list", "--no-walk=sorted", "--max-count=1", "--stdin")
	return strings.TrimSpace(string(out)), err
}
