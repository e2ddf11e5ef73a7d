package session

import (
	"context"
	"os"
	"path/filepath"
)

// Close ends the session: running commands get TERM, then KILL; a last checkpoint is
// taken; with o the changes are returned; then the sandbox ends. The session's folder
// stays, so that what was not returned still can be.
func (s *Session) Close(ctx context.Context, o *ReturnOptions, p Progress) (*Return, error) {
	s.returning.Lock()
	defer s.returning.Unlock()
	if s.ended {
		release, err := s.claim()
		if err != nil {
			return nil, err
		}
		defer release()
		return s.returnIf(ctx, o, p)
	}
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return &Return{Terminated: true}, nil
	}
	s.mu.Unlock()
	p.say("ending commands", 0)
	endErr := s.endCommands(ctx)
	if endErr != nil {
		s.m.o.Log("session %s: ending commands: %v", s.ID(), endErr)
	}
	out, err := s.returnIf(ctx, o, p)
	if err != nil {
		return out, err // the session stays open: nothing was lost, and the caller can try again
	}
	if o == nil {
		// Changes stay on disk; they must be safe before the sandbox goes.
		if err := s.lastState(ctx, out); err != nil {
			return out, err
		}
	}
	return out, s.terminate(ctx, out, p)
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
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	err := sb.Close(ctx)
	if isDead(err) {
		err = nil // it ended before it was told to
	}
	out.Terminated = err == nil
	s.wg.Wait()
	s.mu.Lock()
	s.sb = nil
	s.mu.Unlock()
	s.update(func(st *state) {
		if st.State != StateLost {
			st.State = Closed
		}
	})
	if saveErr := s.save(true); err == nil {
		err = saveErr
	}
	if out.Terminated {
		if rmErr := removeTree(filepath.Join(s.m.o.Home, "trees", s.ID())); rmErr != nil {
			s.m.o.Log("session %s: removing the sandbox's tree: %v", s.ID(), rmErr)
		}
	}
	s.release()
	s.m.mu.Lock()
	delete(s.m.open, s.ID())
	for id, e := range s.m.execs {
		if e.s == s {
			delete(s.m.execs, id)
		}
	}
	s.m.mu.Unlock()
	s.m.announce(s)
	return err
}

// removeTree deletes a sandbox's tree, also where commands took the right to do so
// away from its folders.
func removeTree(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700) // what stays locked shows in RemoveAll's error
		}
		return nil
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
