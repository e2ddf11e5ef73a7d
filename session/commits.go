package session

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"syscall"

	"glue-lsp/internal/git"
	"glue-lsp/sandbox"
)

// gitFolder stands among the files that are left inside for commits that are.
const gitFolder = ".git"

// owe notes whether commits exist only in the sandbox, so that its tree is kept for them,
// and reports whether that is new.
func (s *Session) owe(owed bool) (changed bool) {
	s.update(func(st *state) {
		at := slices.Index(st.LeftInside, gitFolder)
		changed = owed != (at >= 0)
		switch {
		case !changed:
		case owed:
			st.LeftInside = append(slices.Clone(st.LeftInside), gitFolder)
		default:
			st.LeftInside = slices.Delete(slices.Clone(st.LeftInside), at, at+1)
		}
	})
	return changed
}

// fetchCommits takes in the commits that were made inside. Some are owed when they could
// not be had, or not be kept.
func (s *Session) fetchCommits(ctx context.Context, sb sandbox.Sandbox) (changed, owed bool, err error) {
	st := s.snapshotState()
	known := []string{st.Base.Commit}
	if st.Head != "" {
		known = append(known, st.Head)
	}
	if err := s.readPastTags(ctx); err != nil {
		return false, true, err
	}
	known = slices.AppendSeq(known, maps.Keys(s.pastTags))
	c, err := sb.Commits(ctx, sandbox.CommitsRequest{Known: known, Fingerprint: st.Fingerprint})
	if err != nil {
		return false, true, err
	}
	if c.Unchanged {
		// What was refused for good stays where it is.
		return false, slices.Contains(st.LeftInside, gitFolder), nil
	}
	if c.Problem != "" {
		s.warn("commits made in the sandbox could not be read: %s", c.Problem)
		owed = c.HasGit
	}
	// Tags that went up with the history were not made inside.
	maps.DeleteFunc(c.Refs, func(_, id string) bool { return s.pastTags[id] })
	head := st.Head
	if c.Bundle != nil {
		err := s.store.Repo.Ingest(ctx, c.Bundle, git.IngestLimits)
		_ = c.Bundle.Close()
		if err != nil {
			// The files themselves are captured; only the history of them is missing.
			s.warn("commits made in the sandbox could not be taken in, and are only in its own repository: %v", err)
			if ctx.Err() == nil && !isFull(err) && !isDead(err) { // else it is worth another try
				s.update(func(st *state) { st.Fingerprint = c.Fingerprint })
			}
			return false, true, nil
		}
	}
	if c.Head != "" && c.Head != st.Base.Commit {
		head = c.Head
	}
	if err := s.keepRefs(ctx, c); err != nil {
		s.warn("commits made in the sandbox could not be kept, and are tried again; until then they are only in its own repository: %v", err)
		return false, true, nil
	}
	refs := map[string]string{}
	for name, id := range c.Refs {
		if id != head && id != st.Base.Commit {
			refs[name] = id
		}
	}
	s.update(func(st *state) { st.Fingerprint, st.Head, st.Refs = c.Fingerprint, head, refs })
	return head != st.Head || c.Bundle != nil, owed, nil
}

// readPastTags finds, once, which objects the tags are that went up with the history;
// the caller holds trees.
func (s *Session) readPastTags(ctx context.Context) error {
	if s.pastTags != nil {
		return nil
	}
	out, err := s.store.Repo.Output(ctx, "for-each-ref", "--format=%(objectname)", "refs/tags/")
	if err != nil {
		return err
	}
	s.pastTags = map[string]bool{}
	for _, id := range strings.Fields(string(out)) {
		s.pastTags[id] = true
	}
	return nil
}

// isFull reports whether git or a write of our own found no space.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || strings.Contains(err.Error(), "No space left on device")
}

// maxRefs bounds how many commits a sandbox's refs can name; what HEAD reaches does not
// need one.
const maxRefs = 10_000

// keepRefs points refs of ours at what the sandbox's refs name, so that all of it is
// in the bundle that a return writes. Ours are named by what they point at: names from
// inside may be any bytes of any length, and thousands of tags name one commit.
func (s *Session) keepRefs(ctx context.Context, c *sandbox.Commits) error {
	refs := map[string]string{}
	if c.Head != "" {
		refs["refs/glue/head"] = c.Head
	}
	base := s.snapshotState().Base.Commit
	var ids []string
	for _, id := range c.Refs {
		if id != c.Head && id != base && !s.kept[id] {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) > maxRefs {
		s.warn("the sandbox has more than %d branches and tags; some are not kept", maxRefs)
		ids = ids[:maxRefs]
	}
	for _, id := range ids {
		refs["refs/glue/inside/"+id] = id
	}
	if err := s.store.Repo.SetRefs(ctx, refs); err != nil {
		return err
	}
	if s.kept == nil {
		s.kept = map[string]bool{}
	}
	for _, id := range ids {
		s.kept[id] = true
	}
	return nil
}
