package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"glue-lsp/internal/tree"
	"glue-lsp/workspace"
)

// ReturnOptions say what comes back and how.
type ReturnOptions struct {
	Apply           bool   // false only prepares the edit
	Mode            string // edits, disk or branch; "" is the setting's
	Paths, Confirm  []string
	Resolutions     []workspace.Resolution
	AllowMassDelete bool
	Branch          string // of mode branch; default glue/<id>
	Commits         bool   // mode branch: the sandbox's commits one by one
}

// Return is what came back, or would.
type Return struct {
	Mbox        *workspace.Mbox
	Files       []workspace.Change
	Edit        *workspace.Edit
	Applied     bool
	Disk        []workspace.Change
	Declined    []workspace.Change
	Conflicts   []workspace.Conflict
	Skipped     []Skipped
	Branch      string
	Unavailable *Unavailable
	Terminated  bool // by Close: the sandbox has ended

	// Of the last round: how many files came back, whether some of it was refused, and
	// whether some of it is still to come.
	taken         int
	refused, open bool
}

// Unavailable says why what is returned is not the sandbox's latest. Recovered is the
// checkpoint that is returned instead.
type Unavailable struct {
	Reason, Message string
	Recovered       *CheckpointInfo
}

// Return brings what the sandbox changed back, as an edit for the editor and writes to
// disk for what an edit cannot carry. The session goes on as it was.
func (s *Session) Return(ctx context.Context, o ReturnOptions, p Progress) (*Return, error) {
	ctx, done, err := s.takeTurn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	release, err := s.claim()
	if err != nil {
		return nil, err
	}
	defer release()
	out, err := s.giveBack(ctx, o, p)
	if isCanceled(err) && s.wasInterrupted() {
		err = &Error{
			Kind: "unavailable", Op: "return", Session: s.ID(), Message: "the server is shutting down; the changes are kept as session " + s.ID(),
			Hint: "return them later: glue/session/return, or glue-lsp sessions apply " + s.ID(), Err: err,
		}
	}
	return out, err
}

// giveBack is Return; the caller holds returning.
func (s *Session) giveBack(ctx context.Context, o ReturnOptions, p Progress) (*Return, error) {
	if o.Mode == "" {
		o.Mode = s.opts.ReturnMode
	}
	if o.Mode == "" {
		o.Mode = "edits"
	}
	if s.editor == nil && o.Mode == "edits" {
		o.Mode = "disk"
	}
	out := &Return{}
	p.say("taking a checkpoint", 0)
	if err := s.lastState(ctx, out); err != nil {
		return nil, err
	}
	if st := s.snapshotState(); st.State == Ready {
		s.setState(Returning)
		defer s.setState(Ready)
	}
	p.say("merging", 20)
	if err := s.openWorkspaceLocked(ctx); err != nil {
		return nil, err
	}
	// A buffer may change between the plan and the edit; its edit is then refused, and
	// merged and sent again.
	var so sum
	for range 3 {
		again, err := s.roundTrip(ctx, o, out, p)
		so.add(out)
		if err != nil {
			return out, err
		}
		if !again {
			break
		}
	}
	so.report(out)
	s.m.announce(s)
	return out, nil
}

// sum is what several rounds of one return brought: each knows only what was left.
type sum struct {
	files, disk []workspace.Change
	edit        *workspace.Edit
	taken       int
	refused     bool
}

func (t *sum) add(r *Return) {
	t.files, t.disk = addChanges(t.files, r.Files), addChanges(t.disk, r.Disk)
	if r.Edit != nil {
		t.edit = r.Edit
	}
	t.taken += r.taken
	t.refused = t.refused || r.refused
}

func (t *sum) report(r *Return) {
	r.Files, r.Disk, r.Edit = t.files, t.disk, t.edit
	for _, c := range r.Conflicts { // what became one in a later round did not come back
		is := func(f workspace.Change) bool { return f.Path == c.Path }
		r.Files, r.Disk = slices.DeleteFunc(r.Files, is), slices.DeleteFunc(r.Disk, is)
	}
	if r.Branch == "" {
		r.Applied = t.taken > 0 && !t.refused && !r.open
	}
}

// addChanges lays newer changes over older ones of the same paths.
func addChanges(old, newer []workspace.Change) []workspace.Change {
	out := slices.DeleteFunc(slices.Clone(old), func(c workspace.Change) bool {
		return slices.ContainsFunc(newer, func(n workspace.Change) bool { return n.Path == c.Path })
	})
	return append(out, newer...)
}

// lastState brings the known sandbox tree up to date, or falls back to the last
// checkpoint and says so.
func (s *Session) lastState(ctx context.Context, out *Return) error {
	_, err := s.sandbox("return")
	if err == nil {
		err = s.check.take(ctx)
	}
	st := s.snapshotState()
	switch {
	case err == nil, s.ended && st.State == Closed:
		return nil
	case isCanceled(err):
		return err
	case isDead(err) || st.Lost != nil:
		msg := "the sandbox is gone"
		if st.Lost != nil {
			msg = st.Lost.Message
		}
		at := st.Checkpoint
		out.Unavailable = &Unavailable{
			Reason:    "executorDead",
			Message:   fmt.Sprintf("%s; what it changed after checkpoint %d could not be captured", msg, at.Seq),
			Recovered: &at,
		}
		return nil
	default:
		return err
	}
}

func (s *Session) setState(state_ string) {
	s.update(func(st *state) {
		if st.State == Ready || st.State == Returning {
			st.State = state_
		}
	})
	s.m.announce(s)
}

func (s *Session) openWorkspaceLocked(ctx context.Context) error {
	s.trees.Lock()
	defer s.trees.Unlock()
	return s.openWorkspace(ctx)
}

// roundTrip plans, applies and reads back once. again says that something changed in
// between and is worth another round.
func (s *Session) roundTrip(ctx context.Context, o ReturnOptions, out *Return, p Progress) (again bool, err error) {
	plan, st, err := s.plan(ctx, o)
	if err != nil {
		return false, err
	}
	out.taken, out.refused, out.open = 0, false, false
	out.Files, out.Conflicts = plan.Changes, plan.Conflicts
	out.Edit, out.Disk = plan.Edit, plan.DiskChanges
	out.Declined, out.Skipped = plan.Declined, skippedOf(plan.Skipped)
	if plan.Mass && !o.AllowMassDelete {
		return false, &Error{
			Kind: NeedsConfirmation, Op: "return", Session: s.ID(),
			Message: fmt.Sprintf("the sandbox deleted more than half of the %d files; nothing was changed here", st.Base.Files),
			Hint:    "look at glue/session/diff; if it is what you want, return with allowMassDelete: true",
		}
	}
	if out.Mbox == nil && !onlyRefused(o, plan) {
		p.say("writing the mbox", 40)
		if out.Mbox, err = s.writeMbox(ctx, st); err != nil {
			if ctx.Err() != nil {
				return false, ctx.Err()
			}
			// The files themselves come back all the same.
			s.warn("the mbox could not be written: %v", err)
		}
	}
	switch {
	case !o.Apply:
		return false, nil
	case o.Mode == "branch":
		return false, s.toBranch(ctx, o, plan, out)
	case plan.Edit == nil && len(plan.Disk) == 0:
		return false, s.settled(ctx, st, plan, settlement{})
	}
	p.say("waiting for the editor", 60)
	return s.apply(ctx, st, plan, out)
}

// onlyRefused reports whether nothing is left of the sandbox's changes but what a
// person refused or threw away.
func onlyRefused(o ReturnOptions, plan *workspace.Down) bool {
	return o.Paths == nil && len(plan.Declined) > 0 && len(plan.Changes)+len(plan.Conflicts)+len(plan.Skipped) == 0
}

// plan merges and says what would come back. Only here is the sandbox's tree held
// still; a person may then take any time to decide.
func (s *Session) plan(ctx context.Context, o ReturnOptions) (*workspace.Down, state, error) {
	s.trees.Lock()
	defer s.trees.Unlock()
	st := s.snapshotState()
	docs, err := s.documents(ctx)
	if err != nil {
		return nil, st, err
	}
	snap, err := s.ws.Snapshot(ctx, s.store, docs)
	if err != nil {
		return nil, st, err
	}
	req := workspace.DownRequest{
		Agreed: st.Agreed, Host: snap, Theirs: st.Theirs, Declined: st.Declined, Mode: o.Mode,
		Paths: o.Paths, Confirm: o.Confirm, Resolutions: o.Resolutions, AllowMassDelete: o.AllowMassDelete,
	}
	if s.editor != nil {
		if caps := s.editor.Caps(); !o.Apply || !caps.NoEdits {
			req.Caps = &caps
		}
	}
	plan, err := s.ws.PlanDown(ctx, s.store, req)
	return plan, st, err
}

// settlement is what a person took and what they refused.
type settlement struct {
	accepted map[string]workspace.Target
	declined map[string]tree.Entry
}

// apply hands the edit to the editor, writes the rest, and believes only what it reads
// back. again says that something was typed in between.
func (s *Session) apply(ctx context.Context, st state, plan *workspace.Down, out *Return) (again bool, err error) {
	applied, refused := true, ""
	if plan.Edit != nil {
		applied, refused, err = s.editor.ApplyEdit(ctx, "Changes from the sandbox", plan.Edit)
		if err != nil {
			if isCanceled(err) {
				return false, err
			}
			applied, refused = false, err.Error()
		}
	}
	// What the person refused in the editor is not written behind their back.
	unwritten := map[string]bool{}
	var diskErr error
	if applied && len(plan.Disk) > 0 {
		if diskErr = s.ws.Apply(ctx, plan.Disk); diskErr != nil {
			for _, w := range plan.Disk {
				unwritten[w.Path] = true
			}
		}
		if isConflict(diskErr) {
			// A file was changed since the plan was made: the next round merges that.
			again, diskErr = true, nil
		}
	}
	docs, err := s.documents(ctx)
	if err != nil {
		return false, err
	}
	verdicts, err := s.ws.ReadBack(ctx, s.store, plan.Targets, docs)
	if err != nil {
		return false, err
	}
	got := settlement{accepted: map[string]workspace.Target{}, declined: map[string]tree.Entry{}}
	for _, v := range verdicts {
		target := plan.Targets[v.Path]
		switch {
		case v.Outcome == "taken":
			got.accepted[v.Path] = target
		case v.Outcome == "changed":
			again = true
		case unwritten[v.Path]: // nobody refused it
		case applied:
			// The editor took the edit, so this part is what a person left out of it.
			got.declined[v.Path] = target.Theirs
		}
	}
	out.taken, out.refused, out.open = len(got.accepted), len(got.declined) > 0, again || diskErr != nil
	if !applied {
		s.warn("the editor did not apply the changes%s", because(refused))
	}
	for _, c := range plan.Changes {
		if _, ok := got.declined[c.Path]; ok {
			out.Declined = append(out.Declined, c)
		}
	}
	if err := s.settled(ctx, st, plan, got); err != nil {
		return false, err
	}
	return again, diskErr
}

// isConflict reports whether a file held something else than what was to be replaced.
func isConflict(err error) bool {
	var e *workspace.Error
	return errors.As(err, &e) && e.Kind == "conflict"
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// settled moves what both sides agree on: for what was read back as taken, and for what
// the plan found settled without a write. A path whose agreed content moved since the
// plan was made is left to the next round.
func (s *Session) settled(ctx context.Context, planned state, plan *workspace.Down, got settlement) error {
	s.trees.Lock()
	defer s.trees.Unlock()
	now := s.snapshotState()
	moved := map[string]bool{}
	if now.Agreed != planned.Agreed {
		diff, err := s.store.Repo.Diff(ctx, planned.Agreed, now.Agreed, false)
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
	return s.recordDeclined(ctx, func(declined map[string]tree.Entry) {
		for p := range got.accepted {
			delete(declined, p)
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

// toBranch puts the merged tree on a branch of the user's repository, and nothing else.
func (s *Session) toBranch(ctx context.Context, o ReturnOptions, plan *workspace.Down, out *Return) error {
	if len(plan.Changes) == 0 {
		return nil
	}
	name := o.Branch
	if name == "" {
		name = "glue/" + s.ID()
	}
	var commits []string
	if o.Commits && out.Mbox != nil {
		commits = out.Mbox.Chain
	}
	ref, err := s.ws.Branch(ctx, s.store, name, plan.Merged, fmt.Sprintf("Changes from sandbox session %s", s.ID()), commits)
	if err != nil {
		return err
	}
	out.Branch, out.Applied = strings.TrimPrefix(ref, "refs/heads/"), true
	return nil
}

// writeMbox writes runtime.mbox, its meta file and the bundle into the session's folder.
func (s *Session) writeMbox(ctx context.Context, st state) (*workspace.Mbox, error) {
	if st.Agreed == st.Theirs && st.Head == "" {
		return nil, nil
	}
	limit := s.opts.ReturnMaxBytes
	if limit == 0 {
		limit = defaultReturnMax
	}
	mbox, err := s.store.Mbox(ctx, workspace.MboxRequest{
		BaseTree: st.BaseTree, BaseCommit: st.Base.Commit, Agreed: st.Agreed, Theirs: st.Theirs, Head: st.Head, Refs: st.Refs,
		Dir: s.dir, MaxBytes: limit,
		Meta: workspace.Meta{
			RuntimeID: st.Runtime, SandboxID: st.SandboxID, BootstrapSHA: st.Base.Commit, RemoteURL: st.RemoteURL,
			RuntimeCwd: st.Cwd, CapturedAt: s.m.o.Now(), Session: st.ID,
		},
	})
	if err != nil {
		return nil, err
	}
	if mbox == nil {
		return nil, nil
	}
	for _, w := range mbox.Warnings {
		s.warn("%s", w)
	}
	if mbox.Truncated {
		s.warn("the mbox was cut at %d bytes; %s holds everything", limit, filepath.Join(s.dir, "runtime.bundle"))
	}
	return mbox, nil
}

// Undo takes the last return back.
func (s *Session) Undo(context.Context) (*Return, error) {
	return nil, &Error{
		Kind: "unsupported", Op: "undo the return", Session: s.ID(),
		Message: "undoing a whole return is not available yet", Hint: "use the editor's undo, or the diff of glue-base and your files",
	}
}
