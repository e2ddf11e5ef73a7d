package session

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

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
	MaxBytes        int64  // of the mbox; 0 is what the session was opened with

	// Before, when not nil, is told what is about to be applied, before any of it is.
	Before func(*Return)
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
	return following(ctx, s, func(s *Session) (*Return, error) { return s.returnOnce(ctx, o, p) })
}

func (s *Session) returnOnce(ctx context.Context, o ReturnOptions, p Progress) (*Return, error) {
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if s.isUnclaimed() && o.Apply {
		// All that anybody wants of it is what it holds.
		out, err := s.close(ctx, &o, p)
		return out, s.whyEnded("return", err)
	}
	out, err := s.giveBack(ctx, o, p)
	return out, s.whyEnded("return", err)
}

// rounds is how often a return merges anew because something was typed, saved or
// refused in between.
const rounds = 4

// giveBack is Return; the caller has the turn.
func (s *Session) giveBack(ctx context.Context, o ReturnOptions, p Progress) (*Return, error) {
	o.Mode = s.modeOf(o.Mode)
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
	r := &returning{o: o, out: out, progress: p, receipt: receipt{mode: o.Mode, prior: s.snapshotState().LastReturn, settles: len(o.Resolutions) > 0}}
	var so sum
	for range rounds {
		again, err := s.roundTrip(ctx, r)
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

// modeOf is how a return reaches the host: as it was asked, else as the settings say.
func (s *Session) modeOf(asked string) string {
	mode := cmp.Or(asked, s.opts.ReturnMode, workspace.ModeEdits)
	if s.editor == nil && mode == workspace.ModeEdits {
		return workspace.ModeDisk
	}
	return mode
}

// returning is one return while it is under way.
type returning struct {
	o        ReturnOptions
	out      *Return
	progress Progress
	receipt  receipt
	noEdits  bool // the editor turned out to be unable: only the disk is left
	told     bool // o.Before was called
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
// checkpoint and says so. A connection that may come back is an error: what the sandbox
// holds is still to be had.
func (s *Session) lastState(ctx context.Context, out *Return) error {
	_, err := s.sandbox("return")
	if err == nil {
		err = s.check.take(ctx)
	}
	if isDead(err) || kindOfError(err) == Lost {
		s.awaitRecovery(ctx)
	}
	st := s.snapshotState()
	switch {
	case err == nil, s.ended && st.State == Closed:
		return nil
	case isCanceled(err):
		return err
	case st.Lost != nil || s.sandboxEnded():
		at := st.Checkpoint
		out.Unavailable = &Unavailable{Reason: "executorDead", Message: st.lostText(), Recovered: &at}
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
func (s *Session) roundTrip(ctx context.Context, r *returning) (again bool, err error) {
	o, out := r.o, r.out
	plan, err := s.plan(ctx, r)
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
			Message: fmt.Sprintf("the sandbox deleted more than half of the %d files; nothing was changed here", plan.host.Files),
			Hint:    "look at glue/session/diff; if it is what you want, return with allowMassDelete: true",
		}
	}
	if out.Mbox == nil && !onlyRefused(o, plan.Down) {
		r.progress.say("writing the mbox", 40)
		if out.Mbox, err = s.writeMbox(ctx, plan.state, o.MaxBytes); err != nil {
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
	case o.Mode == workspace.ModeBranch:
		return false, s.toBranch(ctx, o, plan.Down, out)
	case plan.Edit == nil && len(plan.Disk) == 0:
		return false, s.settled(ctx, plan, settlement{}, &r.receipt)
	}
	if o.Before != nil && !r.told {
		o.Before(out)
		r.told = true
	}
	return s.apply(ctx, plan, r)
}

// onlyRefused reports whether nothing is left of the sandbox's changes but what a
// person refused or threw away.
func onlyRefused(o ReturnOptions, plan *workspace.Down) bool {
	return o.Paths == nil && len(plan.Declined) > 0 && len(plan.Changes)+len(plan.Conflicts)+len(plan.Skipped) == 0
}

// planned is a plan with what it was made from.
type planned struct {
	*workspace.Down
	state state // as it was then
	host  *workspace.Snapshot
}

// plan merges and says what would come back. Only here is the sandbox's tree held
// still; a person may then take any time to decide.
func (s *Session) plan(ctx context.Context, r *returning) (*planned, error) {
	s.trees.Lock()
	defer s.trees.Unlock()
	st := s.snapshotState()
	return s.planFrom(ctx, st, workspace.DownRequest{
		Agreed: st.Agreed, Theirs: st.Theirs, Declined: st.Declined, Mode: r.o.Mode,
		Paths: r.o.Paths, Confirm: r.o.Confirm, Resolutions: r.o.Resolutions, AllowMassDelete: r.o.AllowMassDelete,
	}, r.o.Apply, r.noEdits)
}

// planFrom adds the host as it is now to a request, and plans. An edit that is only
// shown may hold what the editor would not apply. The caller holds trees.
func (s *Session) planFrom(ctx context.Context, st state, req workspace.DownRequest, apply, noEdits bool) (*planned, error) {
	docs, err := s.documents(ctx)
	if err != nil {
		return nil, err
	}
	if req.Host, err = s.ws.Snapshot(ctx, s.store, docs); err != nil {
		return nil, err
	}
	if s.editor != nil && !noEdits {
		if caps := s.editor.Caps(); !apply || !caps.NoEdits {
			caps.OpenOnly = caps.OpenOnly || req.Restore // what is taken back shall be so on disk
			req.Caps = &caps
		}
	}
	plan, err := s.ws.PlanDown(ctx, s.store, req)
	if err != nil {
		return nil, err
	}
	return &planned{Down: plan, state: st, host: req.Host}, nil
}

// apply carries the plan out and settles what came of it.
func (s *Session) apply(ctx context.Context, plan *planned, r *returning) (again bool, err error) {
	perms := s.ws.UnusualPerms(plan.Targets)
	if r.receipt.perms == nil {
		r.receipt.perms = perms
	} else {
		maps.Copy(r.receipt.perms, perms)
	}
	came, err := s.carryOut(ctx, "Changes from the sandbox", plan, r.progress)
	if err != nil {
		return false, err
	}
	// What has happened is recorded, also when nobody waits for it any more.
	ctx = context.WithoutCancel(ctx)
	r.noEdits = r.noEdits || came.unable
	out := r.out
	out.taken, out.refused, out.open = len(came.accepted), len(came.declined) > 0, came.left
	for _, c := range plan.Changes {
		if _, ok := came.declined[c.Path]; ok {
			out.Declined = append(out.Declined, c)
		}
	}
	if err := s.settled(ctx, plan, came.settlement, &r.receipt); err != nil {
		return false, err
	}
	s.sayLFS("came back as content, which git makes pointers of when they are added", s.ws.KeptByLFS(plan.host, plan.Changes))
	if came.complaint != "" && !came.again {
		s.warn("%s", came.complaint)
	}
	return came.again, came.err
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
	s.update(func(st *state) { st.LastReturn = &lastReturn{At: s.m.o.Now(), Branch: out.Branch} })
	return s.save(true)
}

// writeMbox writes runtime.mbox, its meta file and the bundle into the session's folder.
// At most maxBytes go into the mbox; 0 is what the session was opened with.
func (s *Session) writeMbox(ctx context.Context, st state, maxBytes int64) (*workspace.Mbox, error) {
	if st.Agreed == st.Theirs && st.Head == "" {
		return nil, nil
	}
	limit := cmp.Or(maxBytes, s.opts.ReturnMaxBytes, defaultReturnMax)
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
