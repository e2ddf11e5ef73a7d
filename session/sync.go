package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
	"glue-lsp/workspace"
)

// SyncResult says what one sync sent. Bytes is the content's size.
type SyncResult struct {
	Sent      int
	Bytes     int64
	Conflicts []workspace.Conflict
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
	var out SyncResult
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
			for _, path := range left {
				out.Conflicts = append(out.Conflicts, workspace.Conflict{
					Path: path, Kind: "content", Detail: "the sandbox keeps changing this file; it was left alone",
				})
			}
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

// sendOnce sends what the host changed since both sides agreed, and names the paths
// that the sandbox changed under it.
func (s *Session) sendOnce(ctx context.Context, sb sandbox.Sandbox, host string, allowMass bool, out *SyncResult, p Progress) ([]string, error) {
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
	up.Writes = slices.DeleteFunc(up.Writes, func(w workspace.UpWrite) bool {
		_, held := s.undoing[w.Host.Path]
		return held
	})
	left, err := s.write(ctx, sb, up, out, p)
	if err != nil {
		return nil, err
	}
	if len(left) == 0 && len(s.undoing) == 0 {
		st = s.snapshotState()
		s.last = lastSync{host: host, agreed: st.Agreed, theirs: st.Theirs, conflicts: up.Conflicts}
	}
	return left, nil
}

// write carries a plan out and moves what both sides agree on for each path that was
// confirmed.
func (s *Session) write(ctx context.Context, sb sandbox.Sandbox, up *workspace.Up, out *SyncResult, p Progress) (left []string, err error) {
	var agreed, theirs []tree.Entry
	var writes []sandbox.TreeWrite
	byPath := map[string]workspace.UpWrite{}
	blobs, err := s.store.Repo.Blobs(ctx)
	if err != nil {
		return nil, err
	}
	defer blobs.Close()
	for _, w := range up.Writes {
		if w.New.Same(w.Expect) {
			agreed = append(agreed, w.Host)
			continue
		}
		hash := w.New.Hash
		tw := sandbox.TreeWrite{Expect: w.Expect, New: w.New}
		if w.New.Exists() {
			tw.Open = func() (io.ReadCloser, error) {
				r, _, err := blobs.Open(hash)
				return r, err
			}
		}
		writes = append(writes, tw)
		byPath[w.New.Path] = w
	}
	if len(writes) > 0 {
		p.say(fmt.Sprintf("sending %d files", len(writes)), -1)
		results, err := sb.WriteTree(ctx, writes)
		if isStale(err) {
			// Its tree moved on since it was captured: the next round captures again.
			for path := range byPath {
				left = append(left, path)
			}
			return left, s.advance(ctx, agreed, nil)
		}
		if err != nil {
			return nil, err
		}
		var failed []error
		for _, r := range results {
			w, ok := byPath[r.Path]
			if !ok {
				continue // an answer about something that was not asked
			}
			switch {
			case r.Written || r.Found.Same(w.New):
				agreed, theirs = append(agreed, w.Host), append(theirs, w.New)
				s.stillRefused(w)
				out.Sent++
				out.Bytes += w.New.Size
				s.noteSent(r.Path)
			case r.Err != "":
				failed = append(failed, fmt.Errorf("%s: %s", r.Path, r.Err))
			default:
				left = append(left, r.Path)
			}
		}
		if err := errors.Join(failed...); err != nil {
			defer s.warn("some files could not be written in the sandbox: %v", err)
			for _, r := range results {
				if r.Err != "" {
					out.Conflicts = append(out.Conflicts, workspace.Conflict{Path: r.Path, Kind: "type", Detail: r.Err})
				}
			}
		}
	}
	return left, s.advance(ctx, agreed, theirs)
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
