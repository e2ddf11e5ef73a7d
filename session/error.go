package session

import (
	"context"
	"errors"

	"glue-lsp/internal/git"
	"glue-lsp/sandbox"
)

// The kinds that sessions add to those of package sandbox, by the contract's names.
const (
	NoSuchSession     = "noSuchSession"
	AmbiguousSession  = "ambiguousSession"
	Busy              = "sessionBusy"
	Lost              = "sessionLost"
	NeedsConfirmation = "needsConfirmation"
)

// Error is a failure of a session. Kind is one of the contract's kinds, Op the
// operation in the user's words, Hint what to do about it. Checkpoint is the last
// one that is safe on the host, where that matters.
type Error struct {
	Kind, Op, Path, Session, Message, Hint string
	Checkpoint                             int
	Err                                    error

	heldBy int // the process that has the session, of a session that is busy
}

func (e *Error) Error() string {
	if e.Op == "" {
		return e.Message
	}
	return e.Op + ": " + e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// gitError says what to do about a git that is missing or too old.
func gitError(op string, err error) error {
	var missing *git.MissingError
	var old *git.VersionError
	switch {
	case errors.As(err, &missing):
		return &Error{Kind: "unavailable", Op: op, Message: err.Error(), Hint: "install git 2.38 or later and try again", Err: err}
	case errors.As(err, &old):
		return &Error{Kind: "unsupported", Op: op, Message: err.Error(), Hint: "install git 2.38 or later and try again", Err: err}
	}
	return &Error{Kind: "unavailable", Op: op, Message: err.Error(), Err: err}
}

// isDead reports whether err says that the sandbox is gone.
func isDead(err error) bool {
	var e *sandbox.Error
	return errors.As(err, &e) && e.Kind == sandbox.ExecutorDead
}

func isStale(err error) bool {
	var e *sandbox.Error
	return errors.As(err, &e) && e.Kind == sandbox.Stale
}

func isCanceled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// kindOfError is the kind of a session's error, "" of any other.
func kindOfError(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// explained says what to do about a limit of git's that what a command made has reached.
func explained(op, session string, err error) error {
	var limit *git.LimitError
	if !errors.As(err, &limit) {
		return err
	}
	e := &Error{
		Kind: "tooLarge", Op: op, Session: session, Message: limit.Error(), Err: err,
		Hint: "the last checkpoint is safe; delete what is too large in the sandbox, or name it in .gitignore, and try again",
	}
	if limit.What == git.LimitWall || limit.What == git.LimitCPU {
		e.Kind, e.Hint = "timeout", "the last checkpoint is safe; try again when the machine is less busy"
	}
	return e
}
