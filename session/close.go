package session

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// Close ends the session: running commands get TERM, then KILL; a last checkpoint is
// taken; with o the changes are returned; then the sandbox ends. The session's folder
// stays, so that what was not returned still can be.
func (s *Session) Close(ctx context.Context, o *ReturnOptions, p Progress) (*Return, error) {
	closed := s.hasEnded()
	out, err := following(ctx, s, func(s *Session) (*Return, error) {
		ctx, done, err := s.begin(ctx)
		if errors.Is(err, errMoved) && s.hasEnded() {
			closed = true // by somebody else; what is to be returned still is
			if o == nil {
				return &Return{}, nil
			}
		}
		if err != nil {
			return nil, err
		}
		defer done()
		return s.close(ctx, o, p)
	})
	if out != nil && closed {
		out.Terminated = true
	}
	return out, err
}

// end is Close for a server that ends: it waits for nobody's decision, and returns
// nothing. What a sandbox that died left and that could not be captured in time is left
// to a finisher.
func (s *Session) end(ctx context.Context) error {
	done, err := s.lastTurn(ctx)
	if err != nil {
		return err
	}
	defer done()
	_, err = s.close(ctx, nil, nil)
	if st := s.snapshotState(); s.hasEnded() && st.owed() && s.m.isStopped() {
		s.m.handOn(s)
	}
	return err
}

// close is Close; the caller has the turn.
func (s *Session) close(ctx context.Context, o *ReturnOptions, p Progress) (*Return, error) {
	if s.ended {
		return s.returnIf(ctx, o, p)
	}
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return &Return{Terminated: true}, nil
	}
	s.ending = true
	s.mu.Unlock()
	out, err := s.wrapUp(ctx, o, p)
	if err != nil {
		s.mu.Lock()
		s.ending = false
		s.mu.Unlock()
		return out, err // the session stays open: nothing was lost, and the caller can try again
	}
	return out, s.terminate(ctx, out, p)
}

// wrapUp ends the commands and brings what they changed to the host.
func (s *Session) wrapUp(ctx context.Context, o *ReturnOptions, p Progress) (*Return, error) {
	p.say("ending commands", 0)
	if err := s.endCommands(ctx); err != nil {
		s.m.o.Log("session %s: ending commands: %v", s.ID(), err)
	}
	out, err := s.returnIf(ctx, o, p)
	if err != nil {
		return out, err
	}
	if o == nil {
		// Changes stay on disk; they must be safe before the sandbox goes.
		err = s.lastState(ctx, out)
	}
	return out, err
}

func (s *Session) returnIf(ctx context.Context, o *ReturnOptions, p Progress) (*Return, error) {
	if o == nil {
		return &Return{}, nil
	}
	return s.giveBack(ctx, *o, p)
}

// terminate ends the sandbox and the session's own work.
func (s *Session) terminate(ctx context.Context, out *Return, p Progress) error {
	p.say("ending the sandbox", 90)
	s.mu.Lock()
	s.closing = true
	sb := s.sb
	s.mu.Unlock()
	close(s.finished)
	if out.Unavailable == nil {
		// Before the record says that nothing of the sandbox is needed any more: who comes after
		// a death from here on would end it. It has its own bound.
		s.keepLeft(ctx, sb)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	// Whoever comes after a death from here on need not look at the sandbox again.
	s.update(func(st *state) {
		st.Final = st.Final || out.Unavailable == nil || st.Recovered
		st.Stays = st.Final && (st.Stays || stays(sb))
	})
	if err := s.save(true); err != nil {
		s.m.o.Log("session %s: %v", s.ID(), err)
	}
	dead := sb.Err() != nil
	left := s.endSandbox(ctx, sb, out)
	s.waitForWork(ctx)
	s.clearTree(out)
	s.update(func(st *state) {
		switch {
		case st.State == StateLost:
		case out.Unavailable != nil && !st.Recovered:
			st.State = StateLost
			if st.Lost == nil {
				st.Lost = &LostInfo{Kind: string(sandbox.ExecutorDead), Message: out.Unavailable.Message}
			}
		default:
			st.State = Closed
		}
		// To close what was dead ends nothing that could not be ended when it died.
		st.Running = left != nil || dead && st.Running
	})
	uncaptured := out.Unavailable != nil && s.mayBeCaptured(sb)
	err := s.save(true)
	s.release()
	s.m.mu.Lock()
	delete(s.m.open, s.ID())
	s.m.forgetExecs(s)
	s.m.mu.Unlock()
	// Last: whoever finds that the session has ended looks for it in its folder.
	s.mu.Lock()
	s.sb = nil
	s.mu.Unlock()
	s.m.announce(s)
	if left != nil || uncaptured || s.snapshotState().Running {
		s.m.handOn(s)
	}
	return err
}

// waitForWork waits for the session's goroutines. One may hang for as long as whoever
// takes a command's output takes none.
func (s *Session) waitForWork(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, outputGrace)
	defer cancel()
	select {
	case <-ended:
	case <-ctx.Done():
		s.m.o.Log("session %s: a command's output is still not taken; not waiting for it", s.ID())
	}
}

// clearTree deletes the sandbox's tree, unless it may hold the only copy of something.
func (s *Session) clearTree(out *Return) {
	dir := filepath.Join(s.m.o.Home, "trees", s.ID())
	if out.Unavailable != nil && !s.snapshotState().Recovered {
		if _, err := os.Stat(dir); err == nil {
			s.warn("the sandbox ended before its last changes were captured; its files are kept in %s until the session is discarded", dir)
		}
		return
	}
	if !out.Terminated {
		return
	}
	if left := s.snapshotState().LeftInside; len(left) > 0 {
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			return // it was no tree of this machine's
		}
		s.warn("%d %s only in the sandbox, such as %s; its tree is kept in %s until the session is discarded", len(left), plural(len(left), "file is", "files are"), left[0], filepath.Join(dir, "w"))
		return
	}
	if err := removeTree(dir); err != nil {
		s.m.o.Log("session %s: removing the sandbox's tree: %v", s.ID(), err)
	}
}

// removeTree deletes a sandbox's tree.
func removeTree(dir string) error { return tree.RemoveAll(dir) }
