package sandbox

import (
	"context"
	"time"
)

// A sandbox in the cloud goes on, and costs money, when its owner dies. What its runtime
// does about that is more than [Runtime] asks of all; these interfaces say it to callers
// that look for them.

// Ender is a Sandbox that somebody beside its owner captures and ends when the owner dies.
type Ender interface {
	// PrepareEnding says what that last capture goes by: the rules and bounds of req. Until
	// it is called nothing in the sandbox is worth a capture.
	PrepareEnding(ctx context.Context, req CaptureRequest) error
	// Captured says that all that the sandbox held when it was joined is safe here: what an
	// earlier ending wrote down is deleted. Until then it is there for Runtime.Reopen.
	Captured() error
}

// Remains is what Runtime.Reopen gives of a sandbox that is gone where its last changes
// are in a file: it can be captured, and nothing else.
type Remains interface {
	Sandbox
	// Taken says that what it holds is safe elsewhere, and deletes it. Until then it is
	// there for the next Reopen.
	Taken(ctx context.Context) error
}

// Joiner is a Runtime that can join a sandbox of which there is no record here.
type Joiner interface {
	// Join joins a running sandbox by its id alone. What is in it is as its maker left it.
	// An error is of kind ExecutorDead if there is no such sandbox or it has ended, and
	// Conflict if somebody else works in it, by name.
	Join(ctx context.Context, spec Spec, id string) (Sandbox, error)
}

// Sweeper is a Runtime whose sandboxes may be running although nothing of them is left on
// this machine.
type Sweeper interface {
	// Owned lists the running sandboxes that were made under this runtime's home on this
	// machine, never those of others.
	Owned(ctx context.Context) ([]Owned, error)
	// End ends one of them. That it has ended already is no error.
	End(ctx context.Context, id string) error
	// Scope names where Owned looks: sandboxes of another scope it does not find.
	Scope() string
	// LongestLife bounds the life of any of them.
	LongestLife() time.Duration
}

// Owned is one running sandbox of this machine's.
type Owned struct {
	ID        string
	Session   string    // its Spec.Session
	ExpiresAt time.Time // zero if that is not known
}
