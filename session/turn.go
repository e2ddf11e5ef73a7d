package session

import (
	"context"
	"errors"
	"sync"
)

// turn is a lock whose waiting ends with a context. The zero value is free.
type turn struct {
	once sync.Once
	held chan struct{}
}

func (t *turn) take(ctx context.Context) error {
	t.once.Do(func() { t.held = make(chan struct{}, 1) })
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case t.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *turn) give() { <-t.held }

// takeTurn waits until no other return, undo, discard or closing is under way. The context
// that it gives ends when done is called, or when the session is told to end.
func (s *Session) takeTurn(ctx context.Context) (_ context.Context, done func(), err error) {
	if err := s.returning.take(ctx); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	s.interrupt = cancel
	if s.interrupted {
		cancel()
	}
	s.mu.Unlock()
	return ctx, func() {
		s.mu.Lock()
		s.interrupt = nil
		s.mu.Unlock()
		cancel()
		s.returning.give()
	}, nil
}

// begin is how everything starts that changes what a session holds for the host: it
// takes the turn, and keeps other processes out of a session that has ended. Its error is
// errMoved where another object has the session by now.
func (s *Session) begin(ctx context.Context) (_ context.Context, done func(), err error) {
	ctx, give, err := s.takeTurn(ctx)
	if err != nil {
		return nil, nil, err
	}
	if s.hasEnded() { // while this waited
		give()
		return nil, nil, s.moved()
	}
	release, err := s.claim(ctx)
	if err != nil {
		give()
		return nil, nil, err
	}
	return ctx, func() { release(); give() }, nil
}

// errMoved says that the session is another object by now: its end makes an open one an
// ended one, and resuming an ended one an open one.
var errMoved = errors.New("the session has moved")

func (s *Session) moved() error {
	return &Error{
		Kind: Busy, Session: s.ID(), Message: "session " + s.ID() + " is being opened or ended", Hint: "try again in a moment", Err: errMoved,
	}
}

// maxMoves bounds how often an operation follows its session.
const maxMoves = 4

// following does something to a session, whichever object it is by then.
func following[T any](ctx context.Context, s *Session, do func(s *Session) (T, error)) (out T, err error) {
	for range maxMoves {
		if out, err = do(s); !errors.Is(err, errMoved) {
			return out, err
		}
		now, findErr := s.m.Find(ctx, s.ID())
		if findErr != nil {
			return out, findErr
		}
		s = now
	}
	return out, err
}

// whyEnded says of a return that was cut short that it was the session's end which did.
func (s *Session) whyEnded(op string, err error) error {
	if !isCanceled(err) || !s.wasInterrupted() {
		return err
	}
	return &Error{
		Kind: "unavailable", Op: op, Session: s.ID(), Message: "the server is shutting down; the changes are kept as session " + s.ID(),
		Hint: "return them later: glue/session/return, or glue-lsp sessions apply " + s.ID(), Err: err,
	}
}

func (s *Session) wasInterrupted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.interrupted
}

// lastTurn takes the turn for good: what holds it, such as a return that waits for an
// editor that never answers, is interrupted, and so is whoever waits for it. Whatever
// they were in the middle of is finished or undone.
func (s *Session) lastTurn(ctx context.Context) (done func(), err error) {
	s.mu.Lock()
	s.interrupted = true
	if s.interrupt != nil {
		s.interrupt()
	}
	s.mu.Unlock()
	if err := s.returning.take(ctx); err != nil {
		return nil, err
	}
	return s.returning.give, nil
}
