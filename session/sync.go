package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
	"glue-lsp/workspace"
)

// SyncResult says what one sync sent. Bytes is the content's size. Skipped is what of the
// editor's tree is not in the sandbox, sent now or before, and why.
type SyncResult struct {
	Sent      int
	Bytes     int64
	Conflicts []workspace.Conflict
	Skipped   []Skipped
}

// lastSync remembers what the last sync compared, so that comparing the same again
// costs nothing.
type lastSync struct {
	host, agreed, theirs string
	conflicts            []workspace.Conflict
}

// Sync sends the editor's tree, unsaved buffers included, into the sandbox. Where the
// sandbox changed the same file, both changes are merged there; where they do not
// merge, the path is a conflict and stays as it is on both sides.
func (s *Session) Sync(ctx context.Context, allowMassDelete bool, p Progress) (SyncResult, error) {
	sb, err := s.sandbox("sync")
	if err != nil {
		return SyncResult{}, err
	}
	s.claimed()
	s.trees.Lock()
	defer s.trees.Unlock()
	docs, err := s.documents(ctx)
	if err != nil {
		return SyncResult{}, err
	}
	snap, err := s.ws.Snapshot(ctx, s.store, docs)
	if err != nil {
		return SyncResult{}, err
	}
	s.ignore.current = s.withoutLent(snap.Ignore)
	out := SyncResult{Skipped: skippedOf(snap.Skipped)}
	s.noteNotSent(out.Skipped)
	// The sandbox may change a file between being asked and being written to. What it
	// then holds is known, so that one more round settles all but a constant writer.
	for round := range 3 {
		left, err := s.sendOnce(ctx, sb, snap.Tree, allowMassDelete, &out, p)
		if err != nil {
			return out, err
		}
		if len(left) == 0 {
			break
		}
		if round == 2 {
			out.Conflicts = append(out.Conflicts, left...)
		}
	}
	if out.Sent > 0 {
		if err := s.save(false); err != nil {
			return out, err
		}
	}
	for _, c := range out.Conflicts {
		s.warn("not sent, changed on both sides: %s (%s)", c.Path, c.Detail)
	}
	return out, nil
}

// noteNotSent warns of what is not sent from now on; what was left out before was named then.
func (s *Session) noteNotSent(skipped []Skipped) {
	if s.notSent == nil {
		s.notSent = map[string]bool{}
		for _, sk := range s.snapshotState().Base.Skipped {
			s.notSent[sk.Path] = true
		}
	}
	before := s.notSent
	s.notSent = make(map[string]bool, len(skipped))
	var more []Skipped
	for _, sk := range skipped {
		s.notSent[sk.Path] = true
		if !before[sk.Path] {
			more = append(more, sk)
		}
	}
	for _, sk := range more[:min(len(more), namedSkipped)] {
		s.warn("not sent: %s (%s)", sk.Path, sk.Reason)
	}
	if n := len(more) - namedSkipped; n > 0 {
		s.warn("not sent: %d more %s", n, plural(n, "path", "paths"))
	}
}

// sendOnce sends what the host changed since both sides agreed, and names what another
// round may settle, since the sandbox changed it meanwhile.
func (s *Session) sendOnce(ctx context.Context, sb sandbox.Sandbox, host string, allowMass bool, out *SyncResult, p Progress) ([]workspace.Conflict, error) {
	st := s.snapshotState()
	if host == s.last.host && st.Agreed == s.last.agreed && st.Theirs == s.last.theirs {
		out.Conflicts = s.last.conflicts
		return nil, nil
	}
	if host == st.Agreed {
		s.last = lastSync{host: host, agreed: st.Agreed, theirs: st.Theirs}
		out.Conflicts = nil
		return nil, nil
	}
	if err := s.capture(ctx, sb); err != nil {
		return nil, err
	}
	st = s.snapshotState()
	up, err := s.store.PlanUp(ctx, st.Agreed, host, st.Theirs)
	if err != nil {
		return nil, err
	}
	if up.Mass && !allowMass {
		return nil, &Error{
			Kind: NeedsConfirmation, Op: "sync", Session: s.ID(),
			Message: fmt.Sprintf("the working tree lost %d files, more than half of what the sandbox has; nothing was deleted there", up.Deletes),
			Hint:    "if that is what you want, sync with allowMassDelete: true",
		}
	}
	out.Conflicts = up.Conflicts
	sent, err := s.write(ctx, sb, up, out, p)
	if err != nil {
		return nil, err
	}
	if len(sent.left) == 0 && !sent.failed && !sent.held && len(s.undoing) == 0 {
		st = s.snapshotState()
		s.last = lastSync{host: host, agreed: st.Agreed, theirs: st.Theirs, conflicts: up.Conflicts}
	}
	return sent.left, nil
}

// written is what came of carrying out a plan, beside what went well.
type written struct {
	left   []workspace.Conflict // another round may settle them
	failed bool                 // something could not be written; the next sync tries again
	held   bool                 // something waits for the end of an undo
}

// leave leaves paths to another round.
func (w *written) leave(detail string, paths ...string) {
	for _, path := range paths {
		w.left = append(w.left, workspace.Conflict{Path: path, Kind: "content", Detail: detail})
	}
}

const keepsChanging = "the sandbox keeps changing this file; it was left alone"

// write carries a plan out and moves what both sides agree on for each path that was
// confirmed.
func (s *Session) write(ctx context.Context, sb sandbox.Sandbox, up *workspace.Up, out *SyncResult, p Progress) (came written, err error) {
	blobs, err := s.store.Repo.Blobs(ctx)
	if err != nil {
		return came, err
	}
	defer blobs.Close()
	var now, last []workspace.UpWrite
	for _, w := range up.Writes {
		switch _, held := s.undoing[w.Host.Path]; {
		case held:
			came.held = true
		case w.Last:
			last = append(last, w)
		default:
			now = append(now, w)
		}
	}
	t := transfer{s: s, sb: sb, blobs: blobs, out: out, progress: p, came: &came}
	if err := t.send(ctx, now); err != nil || len(last) == 0 {
		return came, err
	}
	switch {
	case len(came.left) > 0 || came.failed:
		for _, w := range last {
			came.leave("it was moved on one side and changed on the other, and its new place could not be written", w.New.Path)
		}
	case !came.held:
		err = t.send(ctx, last)
	}
	return came, err
}

// transfer is what sending a plan in parts needs.
type transfer struct {
	s        *Session
	sb       sandbox.Sandbox
	blobs    *git.Blobs
	out      *SyncResult
	progress Progress
	came     *written
}

// send writes a part of a plan, and moves what is agreed on and known by what was confirmed.
func (t *transfer) send(ctx context.Context, part []workspace.UpWrite) error {
	var agreed, theirs []tree.Entry
	var writes []sandbox.TreeWrite
	byPath := map[string]workspace.UpWrite{}
	for _, w := range part {
		if w.New.Same(w.Expect) {
			agreed = append(agreed, w.Host)
			continue
		}
		hash := w.New.Hash
		tw := sandbox.TreeWrite{Expect: w.Expect, New: w.New}
		if w.New.Exists() {
			tw.Open = func() (io.ReadCloser, error) {
				r, _, err := t.blobs.Open(hash)
				return r, err
			}
		}
		writes = append(writes, tw)
		byPath[w.New.Path] = w
	}
	if len(writes) == 0 {
		return t.s.advance(ctx, agreed, nil)
	}
	t.progress.say(fmt.Sprintf("sending %d files", len(writes)), -1)
	results, err := t.sb.WriteTree(ctx, writes)
	if isStale(err) {
		// Its tree moved on since it was captured: the next round captures again.
		t.came.leave(keepsChanging, slices.Collect(maps.Keys(byPath))...)
		return t.s.advance(ctx, agreed, nil)
	}
	if err != nil {
		return err
	}
	var failed []error
	for _, r := range results {
		w, ok := byPath[r.Path]
		if !ok {
			continue // an answer about something that was not asked, or answered already
		}
		delete(byPath, r.Path)
		switch {
		case r.Written || r.Found.Same(w.New):
			agreed, theirs = append(agreed, w.Host), append(theirs, w.New)
			t.s.stillRefused(w)
			t.out.Sent++
			t.out.Bytes += w.New.Size
			t.s.noteSent(r.Path)
		case r.Err != "" && r.Found.Same(w.Expect):
			t.came.failed = true
			failed = append(failed, fmt.Errorf("%s: %s", r.Path, r.Err))
			t.out.Conflicts = append(t.out.Conflicts, workspace.Conflict{Path: r.Path, Kind: "type", Detail: r.Err})
		default:
			t.came.leave(keepsChanging, r.Path)
		}
	}
	t.came.leave(keepsChanging, slices.Collect(maps.Keys(byPath))...) // of which nothing was said
	if err := errors.Join(failed...); err != nil {
		t.s.warn("some files could not be written in the sandbox: %v", err)
	}
	return t.s.advance(ctx, agreed, theirs)
}

// advance moves the agreed tree and the known sandbox tree by some entries.
func (s *Session) advance(ctx context.Context, agreed, theirs []tree.Entry) error {
	st := s.snapshotState()
	next := [2]string{st.Agreed, st.Theirs}
	for i, entries := range [2][]tree.Entry{agreed, theirs} {
		if len(entries) == 0 {
			continue
		}
		id, err := s.store.Advance(ctx, next[i], entries)
		if err != nil {
			return err
		}
		next[i] = id
	}
	s.update(func(st *state) { st.Agreed, st.Theirs = next[0], next[1] })
	return nil
}
