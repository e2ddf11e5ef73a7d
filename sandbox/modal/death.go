package modal

import (
	"errors"
	"time"

	"glue-lsp/sandbox"
)

// ending is what the sidecar tells of a sandbox's end.
type ending struct {
	SandboxID string `json:"sandboxId"`
	Reason    string `json:"reason"`
	Message   string `json:"message"`
}

// The reasons for which a sandbox ends.
const (
	endedByCap     = "cap"        // its time was over
	endedOutside   = "terminated" // somebody ended it in Modal
	endedItself    = "exited"     // its first process did
	endedElsewhere = "lost"       // it was not there any more when it was asked for
)

const (
	hintKept = "open the session again; what it had changed until its last checkpoint is kept"
	hintCap  = "raise modal.sandbox_timeout_seconds for longer work; what it had changed until its last checkpoint is kept"
)

// death is the error that every call on the sandbox answers with from then on.
func (e ending) death() *sandbox.Error {
	out := &sandbox.Error{Kind: sandbox.ExecutorDead, Op: "sandbox", Message: plain(e.Message), Hint: hintKept}
	switch {
	case e.Reason == endedByCap:
		// The words also stand where no hint is shown: with what a return could not bring.
		out.Message, out.Hint = "the sandbox reached the end of its time: raise modal.sandbox_timeout_seconds for longer work", hintCap
	case e.Message != "":
	case e.Reason == endedOutside:
		out.Message = "the sandbox was ended from outside"
	default:
		out.Message = "the sandbox has ended"
	}
	return out
}

// vanished says what became of a sandbox that was not there any more when it was joined
// again: nobody was there to see its end.
func (s state) vanished(seen *sandbox.Error) *sandbox.Error {
	if !s.ExpiresAt.IsZero() && !time.Now().Before(s.ExpiresAt) {
		return ending{Reason: endedByCap}.death()
	}
	return ending{Reason: endedElsewhere, Message: seen.Message + ": its sidecar was told to end, its time was over (modal.sandbox_timeout_seconds), or it was ended in Modal"}.death()
}

// messageOf is an error's text without the operation, for one that has its own.
func messageOf(err error) string {
	var e *sandbox.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}
