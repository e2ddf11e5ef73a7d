package workspace

import "strings"

// Error is a failure that a person can act on. Kind is one of the kinds that
// clients know: unavailable, unsupported, conflict, permissionDenied, fileNotFound,
// notADirectory, noSpace, tooLarge, needsConfirmation. Op is what was tried, Path what
// it was tried on, Hint what to do about it.
type Error struct {
	Kind, Op, Path, Message, Hint string
	Err                           error
}

func (e *Error) Error() string {
	var b strings.Builder
	for _, part := range []string{e.Op, e.Path} {
		if part != "" {
			b.WriteString(part)
			b.WriteByte(' ')
		}
	}
	head := strings.TrimSpace(b.String())
	switch {
	case head == "":
		head = e.Message
	case e.Message != "":
		head += ": " + e.Message
	}
	if e.Err != nil && !strings.Contains(e.Message, e.Err.Error()) {
		head += ": " + e.Err.Error()
	}
	return head
}

func (e *Error) Unwrap() error { return e.Err }
