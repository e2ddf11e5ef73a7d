package session

import (
	"context"
	"errors"
	"time"

	"glue-lsp/internal/tree"
	"glue-lsp/workspace"
)

// ErrUnable is what an [Editor] answers that failed to do an edit, as opposed to one whose
// person said no, or that was behind: it is not asked again.
var ErrUnable = errors.New("the editor cannot do this edit")

// ErrBehind is what an [Editor] answers that did something else first: what the edit was
// made from may have changed, so it is made anew.
var ErrBehind = errors.New("the editor was busy with an earlier edit")

// outcome is what came of carrying a plan out.
type outcome struct {
	settlement
	again     bool   // something changed in between: merge that and try again
	left      bool   // something did not come about that nobody refused
	unable    bool   // the editor cannot do such an edit
	complaint string // what to tell if it stays so
	err       error  // of writing to disk
}

// The editor's answer and what it did reach the server one after the other, mostly in
// this order; some editors tell of a change a moment after they said that it is done.
const (
	lookAgain = 10
	lookLong  = 1000 // where telling waits for a pause in typing
	lookEvery = 30 * time.Millisecond
)

// carryOut hands the edit to the editor, writes the rest, and believes only what it
// reads back: an answer is a hint. An error says that nobody waits any more.
func (s *Session) carryOut(ctx context.Context, label string, plan *planned, p Progress) (outcome, error) {
	var came outcome
	stale, err := s.movedOn(ctx, plan, func(string) bool { return true })
	if err != nil {
		return came, err
	}
	if stale {
		came.again, came.left = true, true
		return came, nil
	}
	applied := true
	if plan.Edit != nil {
		p.say("waiting for the editor to apply the changes (cancel to keep them in the sandbox)", 60)
		var reason string
		applied, reason, err = s.editor.ApplyEdit(ctx, label, plan.Edit)
		if isCanceled(err) {
			return came, err
		}
		if err != nil {
			applied, reason = false, err.Error()
			came.unable, came.again = errors.Is(err, ErrUnable), errors.Is(err, ErrBehind)
		}
		if !applied {
			came.complaint = "the editor did not apply the changes" + because(reason)
		}
	}
	// What has happened is read back, also when nobody waits for it any more.
	waited := ctx
	ctx = context.WithoutCancel(ctx)
	unwritten := len(plan.Disk) > 0
	// What the person refused in the editor is not written behind their back.
	if applied && unwritten {
		p.say("writing files", 80)
		came.again, came.err = s.writeDisk(ctx, plan)
		unwritten = came.again || came.err != nil
	}
	verdicts, err := s.lookAt(ctx, waited, plan, applied && plan.Edit != nil)
	if err != nil {
		return came, err
	}
	stale, err = s.movedOn(ctx, plan, func(path string) bool { return !applied && plan.Targets[path].Edit != nil })
	if err != nil {
		return came, err
	}
	came.again = came.again || stale
	came.judge(plan, verdicts, applied, unwritten)
	// An editor that cannot is not asked again: what it does not have open goes to disk.
	came.again = came.again || came.unable && came.left
	return came, nil
}

// movedOn reports whether the buffers of planned paths are other than when the plan was
// made: an edit of them would be refused whole, and a file that is written or deleted
// under unsaved text would cost that text.
func (s *Session) movedOn(ctx context.Context, plan *planned, of func(path string) bool) (bool, error) {
	docs, err := s.documents(ctx)
	if err != nil {
		return false, err
	}
	open := s.ws.Open(docs)
	for path, target := range plan.Targets {
		if target.Was.Same(target.Want) || !of(path) {
			continue
		}
		was, wasOpen := plan.host.Docs[path]
		is, isOpen := open[path]
		switch {
		case !wasOpen && !isOpen:
		case wasOpen && isOpen && is.Version == was.Version && is.Changed == was.Changed:
		case !wasOpen && !is.Changed: // just opened, as it is on disk
		default:
			return true, nil
		}
	}
	return false, nil
}

// writeDisk writes what the editor does not. again says that somebody was at a file
// since the plan was made: nothing was written, and the next round merges that.
func (s *Session) writeDisk(ctx context.Context, plan *planned) (again bool, err error) {
	writes := map[string]bool{}
	for _, w := range plan.Disk {
		writes[w.Path] = true
	}
	again, err = s.movedOn(ctx, plan, func(path string) bool { return writes[path] })
	if again || err != nil {
		return again, err
	}
	err = s.ws.Apply(ctx, plan.Disk)
	s.tellNotes()
	if isConflict(err) {
		return true, nil
	}
	return false, err
}

// lookAt reads back until all is as planned; patient is for an editor that says so. A long
// look ends with waited.
func (s *Session) lookAt(ctx, waited context.Context, plan *planned, patient bool) ([]workspace.Verdict, error) {
	for try := 0; ; try++ {
		docs, err := s.documents(ctx)
		if err != nil {
			return nil, err
		}
		verdicts, err := s.ws.ReadBack(ctx, s.store, plan.Targets, docs)
		if err != nil || !patient || allTaken(verdicts) {
			return verdicts, err
		}
		if try >= lookAgain && (try >= lookLong || !s.editor.Caps().TellsLate || s.told(plan, docs)) {
			return verdicts, nil
		}
		if try < lookAgain {
			<-time.After(lookEvery)
			continue
		}
		select {
		case <-time.After(lookEvery):
		case <-waited.Done():
			return verdicts, nil
		case <-s.m.stopped:
			return verdicts, nil
		}
	}
}

// told reports whether the editor has told of a change of every open document that it
// was to edit.
func (s *Session) told(plan *planned, docs []workspace.Document) bool {
	open := s.ws.Open(docs)
	for path, target := range plan.Targets {
		was, wasOpen := plan.host.Docs[path]
		if is, isOpen := open[path]; target.Edit != nil && wasOpen && isOpen && is.Version == was.Version {
			return false
		}
	}
	return true
}

func allTaken(verdicts []workspace.Verdict) bool {
	for _, v := range verdicts {
		if v.Outcome != workspace.Taken {
			return false
		}
	}
	return true
}

// judge sorts what was read back. Only an editor that did a part of the edit shows by it
// that a person left out the rest; one that did nothing may have failed in silence, and
// what it was asked is offered again.
func (o *outcome) judge(plan *planned, verdicts []workspace.Verdict, applied, unwritten bool) {
	onDisk := map[string]bool{}
	for _, w := range plan.Disk {
		onDisk[w.Path] = true
	}
	o.accepted, o.partly, o.declined = map[string]workspace.Verdict{}, map[string]workspace.Verdict{}, map[string]tree.Entry{}
	chosen := false
	for _, v := range verdicts {
		target := plan.Targets[v.Path]
		if !target.Was.Same(target.Want) && !onDisk[v.Path] {
			chosen = chosen || v.Outcome == workspace.Taken || v.Outcome == workspace.Partly
		}
	}
	for _, v := range verdicts {
		target := plan.Targets[v.Path]
		switch {
		case v.Outcome == workspace.Taken:
			o.accepted[v.Path] = v
		case target.Was.Same(target.Want): // nothing was to come about
		case v.Outcome == workspace.Changed:
			o.again, o.left = true, true
		case onDisk[v.Path]:
			o.left = true
		case !applied || !chosen:
			o.left = true
			if o.complaint == "" && !unwritten {
				o.complaint = "the editor said that it applied the changes, but the files are as they were; return them with mode: disk"
			}
		default:
			o.declined[v.Path] = target.Theirs
			if v.Outcome == workspace.Partly {
				o.partly[v.Path] = v
			}
		}
	}
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
