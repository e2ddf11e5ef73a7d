package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// A sandbox in the cloud is captured and ended by somebody beside this process when this
// process dies, goes on when the person said so, and must not be forgotten when it could
// not be ended.

// prepareEnding says to a sandbox that is captured without this process by what rules.
func (s *Session) prepareEnding(ctx context.Context, sb sandbox.Sandbox) error {
	e, ok := sb.(sandbox.Ender)
	if !ok {
		return nil
	}
	s.trees.Lock()
	req := sandbox.CaptureRequest{
		Ignore: s.ignore.current, Include: s.opts.Include, Format: s.store.Repo.Format,
		MaxFileSize: maxFile, MaxBytes: s.captureRoom().bytes,
	}
	s.trees.Unlock()
	if req.Ignore == nil {
		req.Ignore = []tree.IgnoreFile{}
	}
	if err := e.PrepareEnding(ctx, req); err != nil {
		return err
	}
	s.update(func(st *state) { st.Sandbox = sb.State() })
	return nil
}

// keepToken records what host and agent share by now, where the agent's own capture may be
// the next that there is: that is a difference to it. The caller holds trees.
func (s *Session) keepToken(sb sandbox.Sandbox, before *state) error {
	if _, ok := sb.(sandbox.Ender); !ok {
		return nil
	}
	now := s.snapshotState()
	if now.Token == before.Token && now.Theirs == before.Theirs {
		return nil
	}
	return s.save(false)
}

// holdsFiles reports whether a sandbox is the only place where its files are: one in the
// cloud that has not ended.
func holdsFiles(sb sandbox.Sandbox) bool {
	_, ok := sb.(sandbox.Ender)
	return ok
}

// noteCaptured says to a sandbox that is captured without this process that all it held is
// safe here by now.
func (s *Session) noteCaptured(sb sandbox.Sandbox) {
	e, ok := sb.(sandbox.Ender)
	if !ok {
		return
	}
	if err := e.Captured(); err != nil {
		s.m.o.Log("session %s: what an earlier server left is still there: %v", s.ID(), err)
	}
}

// taken says to what a dead sandbox left that all of it is safe here.
func taken(ctx context.Context, sb sandbox.Sandbox) error {
	if r, ok := sb.(sandbox.Remains); ok {
		return r.Taken(ctx)
	}
	return nil
}

// stays reports whether a sandbox is to outlive its session, because the person wants it.
func stays(sb sandbox.Sandbox) bool {
	if _, gone := sb.(sandbox.Remains); gone {
		return false
	}
	select {
	case <-sb.Done():
		return false
	default:
		return sb.Info().Stays
	}
}

// endSandbox ends the sandbox, or lets go of one that stays. An error says that it may
// still be running although it should not: then the session stays owed to whoever can end
// it, a finisher or the next start.
func (s *Session) endSandbox(ctx context.Context, sb sandbox.Sandbox, out *Return) error {
	if out.Unavailable != nil && s.mayBeCaptured(sb) {
		sb.Detach() // it may run although nothing could talk to it
		return nil
	}
	if st := s.snapshotState(); st.Stays {
		sb.Detach()
		s.warn("sandbox %s goes on%s; open a session with attach to join it", st.SandboxID, untilText(st.ExpiresAt))
		return nil
	}
	err := taken(ctx, sb)
	if closing := sb.Close(ctx); !isDead(closing) { // else it ended before it was told to
		err = errors.Join(err, closing)
	}
	out.Terminated = err == nil
	if err != nil {
		s.warn("the sandbox could not be ended, which is tried again: %v", err)
		s.m.o.Log("session %s: ending the sandbox: %v", s.ID(), err)
	}
	return err
}

// mayBeCaptured reports whether a sandbox that was lost may still hold what was not
// captured, for whoever tries it again.
func (s *Session) mayBeCaptured(sb sandbox.Sandbox) bool {
	st := s.snapshotState()
	return holdsFiles(sb) && st.owed()
}

// keepTimeout bounds the keeping of a sandbox's files as an image.
const keepTimeout = 5 * time.Minute

// keepLeft keeps what exists only in a sandbox that leaves no tree on this machine: as an
// image, or, where that fails, in the sandbox itself for as long as it may live.
func (s *Session) keepLeft(ctx context.Context, sb sandbox.Sandbox) {
	st := s.snapshotState()
	archiver, ok := sb.(sandbox.Archiver)
	if !ok && !holdsFiles(sb) || st.Stays || stays(sb) || len(st.LeftInside) == 0 || sb.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	n := len(st.LeftInside)
	what := fmt.Sprintf("%d %s only in the sandbox, such as %s", n, plural(n, "file is", "files are"), st.LeftInside[0])
	image, err := "", errors.ErrUnsupported
	if ok {
		image, err = archiver.Archive(ctx)
	}
	switch {
	case err == nil:
		s.warn("%s; all its files are kept in Modal as image %s, from which a session with modal.image set to that name starts", what, image)
	case isDead(err), kindIs(err, sandbox.FileNotFound), sb.Err() != nil:
		s.warn("%s, and went with it: %v", what, err)
	default:
		s.warn("%s, and could not be kept (%v)", what, err)
		s.update(func(st *state) { st.Stays = true })
	}
}

func untilText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return " until " + at.Local().Format(time.DateTime)
}
