package session

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"glue-lsp/internal/tree"
	"glue-lsp/workspace"
)

// lastReturn is what undoing the last return needs: trees of the store. Before and After
// are the host's, and differ in what was taken; AgreedBefore and AgreedAfter are what
// both sides agreed on, and differ in what was agreed by it. A return onto a branch has
// the branch's name instead.
type lastReturn struct {
	At           time.Time `json:"at"`
	Mode         string    `json:"mode,omitempty"` // in which it was made, and is taken back
	Branch       string    `json:"branch,omitempty"`
	Before       string    `json:"before,omitempty"`
	After        string    `json:"after,omitempty"`
	AgreedBefore string    `json:"agreed_before,omitempty"`
	AgreedAfter  string    `json:"agreed_after,omitempty"`
	// Unsent are files that were replaced although they do not go up.
	Unsent []string `json:"unsent,omitempty"`
	// Perms are the permissions of files that it deleted, where they are unusual.
	Perms map[string]fs.FileMode `json:"perms,omitempty"`
}

// receipt collects over the rounds of one return what it did, by path.
type receipt struct {
	was, is             entries // of the host
	agreedWas, agreedIs entries
	unsent              []string
	perms               map[string]fs.FileMode
	mode                string
	// prior is the record of the return before; this one belongs to it if it settles what
	// that left open, or changes no file: to take it back alone would leave that for good.
	prior   *lastReturn
	settles bool
}

func (r *receipt) joins() bool {
	return r.prior != nil && r.prior.Branch == "" && r.prior.Mode == r.mode && (r.settles || len(r.was) == 0)
}

type entries map[string]tree.Entry

// change adds a path's entries before and after; what it was before the first change of
// a return counts.
func (was *entries) change(is *entries, path string, from, to tree.Entry) {
	if *was == nil {
		*was, *is = entries{}, entries{}
	}
	if _, known := (*was)[path]; !known {
		(*was)[path] = at(path, from)
	}
	(*is)[path] = at(path, to)
}

func (e entries) list() []tree.Entry { return slices.Collect(maps.Values(e)) }

func at(path string, e tree.Entry) tree.Entry {
	e.Path = path
	return e
}

// writeReceipt records what a round of a return did, so that it can be taken back. What
// was agreed before is the tree agreed; entries moved it. The caller holds trees and
// saves the state.
func (s *Session) writeReceipt(ctx context.Context, r *receipt, plan *planned, got settlement, agreed string, moved []tree.Entry) error {
	for _, verdicts := range []map[string]workspace.Verdict{got.accepted, got.partly} {
		for path, v := range verdicts {
			if was := plan.Targets[path].Was; !was.Same(v.Found) {
				r.was.change(&r.is, path, was, v.Found)
				if _, sent := plan.host.Entry(path); was.Exists() && !sent {
					r.unsent = append(r.unsent, path)
				}
			}
		}
	}
	before, err := s.store.Entries(ctx, agreed, paths(moved))
	if err != nil {
		return err
	}
	for _, e := range moved {
		_, wrote := r.was[e.Path]
		if target := plan.Targets[e.Path]; !wrote && target.Want.Same(target.Theirs) {
			continue // both sides had come to hold alike: nothing that this return did
		}
		r.agreedWas.change(&r.agreedIs, e.Path, before[e.Path], e)
	}
	if len(r.was)+len(r.agreedWas) == 0 {
		return nil // the return before this one is still the last that did anything
	}
	last := &lastReturn{At: s.m.o.Now(), Mode: r.mode, Unsent: r.unsent, Perms: r.perms}
	prior := lastReturn{}
	if r.joins() {
		prior = *r.prior
		last.Unsent = append(slices.Clone(prior.Unsent), r.unsent...)
		last.Perms = maps.Clone(r.perms)
		if last.Perms == nil {
			last.Perms = map[string]fs.FileMode{}
		}
		maps.Copy(last.Perms, prior.Perms)
	}
	now := s.snapshotState().Agreed
	if last.Before, last.After, err = s.receiptTrees(ctx, plan.host.Tree, prior.Before, prior.After, r.was, r.is); err != nil {
		return err
	}
	if last.AgreedBefore, last.AgreedAfter, err = s.receiptTrees(ctx, now, prior.AgreedBefore, prior.AgreedAfter, r.agreedWas, r.agreedIs); err != nil {
		return err
	}
	s.update(func(st *state) { st.LastReturn = last })
	return nil
}

// receiptTrees are two trees that differ in what changed, and in what a joined record's
// trees differ in. What is not as that record left it was changed by somebody else in
// between, and only goes back to that.
func (s *Session) receiptTrees(ctx context.Context, base, priorBefore, priorAfter string, was, is entries) (before, after string, err error) {
	from := was
	if priorBefore == "" {
		priorBefore, priorAfter = base, base
	} else {
		names := slices.Collect(maps.Keys(was))
		first, err := s.store.Entries(ctx, priorBefore, names)
		if err != nil {
			return "", "", err
		}
		left, err := s.store.Entries(ctx, priorAfter, names)
		if err != nil {
			return "", "", err
		}
		from = maps.Clone(was)
		for _, path := range names {
			if left[path].Same(was[path]) {
				from[path] = at(path, first[path])
			}
		}
	}
	if before, err = s.store.Advance(ctx, priorBefore, from.list()); err != nil {
		return "", "", err
	}
	after, err = s.store.Advance(ctx, priorAfter, is.list())
	return before, after, err
}

func paths(list []tree.Entry) []string {
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = e.Path
	}
	return out
}

// Undo takes the last return back as a whole: by the merge of the return the other way
// round, so that what was edited since stays. What it takes back is offered again. Paths
// where later edits meet it are conflicts, which stay as they are, and a later Undo
// tries them again.
func (s *Session) Undo(ctx context.Context, p Progress) (*Return, error) {
	return following(ctx, s, func(s *Session) (*Return, error) { return s.undoOnce(ctx, p) })
}

func (s *Session) undoOnce(ctx context.Context, p Progress) (*Return, error) {
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	out, err := s.takeBack(ctx, p)
	return out, s.whyEnded("undo the return", err)
}

// takeBack is Undo; the caller has the turn.
func (s *Session) takeBack(ctx context.Context, p Progress) (*Return, error) {
	last := s.snapshotState().LastReturn
	switch {
	case last == nil:
		return nil, &Error{
			Kind: "unavailable", Op: "undo the return", Session: s.ID(), Message: "there is no return that could be taken back",
			Hint: "only what the last return of this session changed can be",
		}
	case last.Branch != "":
		return nil, &Error{
			Kind: "unsupported", Op: "undo the return", Session: s.ID(),
			Message: fmt.Sprintf("the last return made the branch %s and changed no file", last.Branch),
			Hint:    "delete the branch if you do not want it: git branch -D " + last.Branch,
		}
	}
	p.say("merging", 20)
	if err := s.openWorkspaceLocked(ctx); err != nil {
		return nil, err
	}
	u := &undoing{s: s, out: &Return{}, progress: p}
	var so sum
	for range rounds {
		again, err := u.round(ctx)
		so.add(u.out)
		if err != nil {
			return u.out, err
		}
		if !again {
			break
		}
	}
	so.report(u.out)
	s.m.announce(s)
	return u.out, nil
}

// undoing is one undo while it is under way.
type undoing struct {
	s        *Session
	out      *Return
	progress Progress
	noEdits  bool
}

// round is one merge, its edit, and what is settled by it.
func (u *undoing) round(ctx context.Context) (again bool, err error) {
	s, out := u.s, u.out
	plan, held, err := u.plan(ctx)
	if err != nil {
		return false, err
	}
	var came outcome
	// Whatever happens, the agreed tree is settled.
	defer func() {
		if settleErr := u.settle(context.WithoutCancel(ctx), plan, held, came); err == nil {
			err = settleErr
		}
	}()
	out.taken, out.refused, out.open = 0, false, false
	out.Files, out.Conflicts, out.Skipped = plan.Changes, plan.Conflicts, skippedOf(plan.Skipped)
	out.Edit, out.Disk = plan.Edit, plan.DiskChanges
	if plan.Edit == nil && len(plan.Disk) == 0 {
		return false, nil
	}
	if came, err = s.carryOut(ctx, "Take back the changes from the sandbox", plan, u.progress); err != nil {
		return false, err
	}
	u.noEdits = u.noEdits || came.unable
	out.taken, out.refused, out.open = len(came.accepted), len(came.declined) > 0, came.left
	if came.complaint != "" && !came.again {
		s.warn("%s", came.complaint)
	}
	return came.again, came.err
}

// plan merges what the last return did out of the host as it is now.
//
// What both sides agree on moves back before the host does: were the session cut short
// in between, both sides still hold alike what the agreed tree says neither did, which
// costs nothing; the other way round the next sync would revert the sandbox. Until the
// undo is settled no sync touches these paths.
func (u *undoing) plan(ctx context.Context) (plan *planned, held heldBack, err error) {
	s := u.s
	s.trees.Lock()
	defer s.trees.Unlock()
	st := s.snapshotState()
	last := st.LastReturn
	plan, err = s.planFrom(ctx, st, workspace.DownRequest{
		Agreed: last.After, Theirs: last.Before, Mode: s.modeOf(last.Mode), Confirm: []string{"."}, Restore: true, Perms: last.Perms,
	}, true, u.noEdits)
	if err != nil {
		return nil, held, err
	}
	if held, err = s.heldBack(ctx, st, plan); err != nil {
		return nil, held, err
	}
	if err := s.advance(ctx, held.back.list(), nil); err != nil {
		return nil, held, err
	}
	s.undoing = held.back
	return plan, held, s.save(true)
}

// heldBack is what both sides agree on at the paths of an undo: now, and once the return
// is taken back.
type heldBack struct{ now, back entries }

// heldBack merges the return out of the agreed tree too, so that what was synced since
// stays agreed.
func (s *Session) heldBack(ctx context.Context, st state, plan *planned) (heldBack, error) {
	last := st.LastReturn
	h := heldBack{now: entries{}, back: entries{}}
	agreed, err := s.store.Differences(ctx, last.AgreedBefore, last.AgreedAfter)
	if err != nil {
		return h, err
	}
	wrote, err := s.store.Differences(ctx, last.Before, last.After)
	if err != nil {
		return h, err
	}
	var list []string
	for path := range agreed {
		_, planned := plan.Targets[path]
		if planned || !wrote[path] { // a path that is decided for the host's version has no write
			list = append(list, path)
		}
	}
	merged, err := s.store.Repo.Merge(ctx, last.AgreedAfter, st.Agreed, last.AgreedBefore)
	if err != nil {
		return h, err
	}
	from := merged.Tree
	now, err := s.store.Entries(ctx, st.Agreed, list)
	if err != nil {
		return h, err
	}
	back, err := s.store.Entries(ctx, from, list)
	if err != nil {
		return h, err
	}
	before, err := s.store.Entries(ctx, last.AgreedBefore, list)
	if err != nil {
		return h, err
	}
	apart := map[string]bool{}
	for _, c := range merged.Conflicts {
		for _, path := range c.Paths {
			apart[path] = true
		}
	}
	for _, path := range list {
		h.now[path], h.back[path] = at(path, now[path]), at(path, back[path])
		if apart[path] {
			h.back[path] = at(path, before[path])
		}
	}
	return h, nil
}

// settle leaves agreed what was taken back, puts the rest as it was, and takes what is
// done off the record.
func (u *undoing) settle(ctx context.Context, plan *planned, held heldBack, came outcome) error {
	s := u.s
	s.trees.Lock()
	defer s.trees.Unlock()
	s.undoing = nil
	last := s.snapshotState().LastReturn
	var restored []tree.Entry
	var done []string
	for path, e := range held.now {
		target, planned := plan.Targets[path]
		_, accepted := came.accepted[path]
		if !planned || accepted || target.Was.Same(target.Want) {
			done = append(done, path)
		} else {
			restored = append(restored, e)
		}
	}
	for path, target := range plan.Targets {
		_, accepted := came.accepted[path]
		if _, known := held.now[path]; !known && (accepted || target.Was.Same(target.Want)) {
			done = append(done, path)
		}
	}
	if err := s.advance(ctx, restored, nil); err != nil {
		return err
	}
	// What did not go up before the return must not do so after it was taken back.
	var unsent []string
	for _, path := range last.Unsent {
		if slices.Contains(done, path) {
			unsent = append(unsent, path)
		}
	}
	if err := s.store.Forget(ctx, unsent); err != nil {
		return err
	}
	next, err := s.without(ctx, last, done)
	if err != nil {
		return err
	}
	s.update(func(st *state) { st.LastReturn = next })
	return s.recordDeclined(ctx, func(declined map[string]tree.Entry) {
		for _, path := range done {
			delete(declined, path)
		}
	})
}

// without is a record of a return without some paths, nil when none are left.
func (s *Session) without(ctx context.Context, last *lastReturn, done []string) (*lastReturn, error) {
	next := *last
	for _, side := range []struct{ from, to *string }{{&next.Before, &next.After}, {&next.AgreedBefore, &next.AgreedAfter}} {
		was, err := s.store.Entries(ctx, *side.from, done)
		if err != nil {
			return nil, err
		}
		list := make([]tree.Entry, len(done))
		for i, path := range done {
			list[i] = at(path, was[path])
		}
		if *side.to, err = s.store.Advance(ctx, *side.to, list); err != nil {
			return nil, err
		}
	}
	if next.Before == next.After && next.AgreedBefore == next.AgreedAfter {
		return nil, nil
	}
	return &next, nil
}
