package session

import (
	"context"
	"maps"

	"glue-lsp/internal/tree"
	"glue-lsp/workspace"
)

// settlement is what a person took and what they refused.
type settlement struct {
	accepted map[string]workspace.Verdict // read back as taken
	partly   map[string]workspace.Verdict // some of whose edits were taken
	declined map[string]tree.Entry        // the sandbox's content that was refused
}

// settled moves what both sides agree on: for what was read back as taken, and for what
// the plan found settled without a write. A path whose agreed content moved since the
// plan was made is left to the next round.
func (s *Session) settled(ctx context.Context, plan *planned, got settlement, r *receipt) error {
	s.trees.Lock()
	defer s.trees.Unlock()
	now := s.snapshotState()
	moved := map[string]bool{}
	if now.Agreed != plan.state.Agreed {
		diff, err := s.store.Repo.Diff(ctx, plan.state.Agreed, now.Agreed, false)
		if err != nil {
			return err
		}
		for _, d := range diff {
			moved[d.Old.Path], moved[d.New.Path] = true, true
		}
	}
	var entries []tree.Entry
	for path, target := range plan.Targets {
		_, accepted := got.accepted[path]
		if (accepted || target.Was.Same(target.Want)) && !moved[path] {
			e := target.Theirs
			e.Path = path
			entries = append(entries, e)
		}
	}
	if err := s.advance(ctx, entries, nil); err != nil {
		return err
	}
	if err := s.writeReceipt(ctx, r, plan, got, now.Agreed, entries); err != nil {
		return err
	}
	return s.recordDeclined(ctx, func(declined map[string]tree.Entry) {
		for _, e := range entries {
			delete(declined, e.Path)
		}
		maps.Copy(declined, got.declined)
	})
}

// recordDeclined changes the list of refused contents and all that depends on it, and
// makes it durable.
func (s *Session) recordDeclined(ctx context.Context, change func(map[string]tree.Entry)) error {
	s.update(func(st *state) {
		// A new map: whoever reads a copy of the state must not see this one change.
		declined := map[string]tree.Entry{}
		maps.Copy(declined, st.Declined)
		change(declined)
		st.Declined = declined
	})
	st := s.snapshotState()
	count, err := s.countChanged(ctx, &st)
	if err != nil {
		return err
	}
	s.update(func(st *state) {
		st.Checkpoint.ChangedFiles = count
		st.Counted = [2]string{st.Agreed, st.Theirs}
	})
	return s.save(true)
}
