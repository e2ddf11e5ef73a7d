package sandbox

// Kind is a failure's kind, by the names of the contract.
type Kind string

// The kinds that a sandbox reports. Stale is internal: the caller repeats.
const (
	FileNotFound       Kind = "fileNotFound"
	FileExists         Kind = "fileExists"
	NotADirectory      Kind = "notADirectory"
	IsADirectory       Kind = "isADirectory"
	DirectoryNotEmpty  Kind = "directoryNotEmpty"
	PermissionDenied   Kind = "permissionDenied"
	NoSpace            Kind = "noSpace"
	TooLarge           Kind = "tooLarge"
	Unsupported        Kind = "unsupported"
	ExecutorDead       Kind = "executorDead"
	RuntimeUnavailable Kind = "runtimeUnavailable"
	NotAuthenticated   Kind = "notAuthenticated"
	NoSuchExec         Kind = "noSuchExec"
	Conflict           Kind = "conflict"
	Timeout            Kind = "timeout"
	InvalidParams      Kind = "invalidParams"
	Unavailable        Kind = "unavailable"
	Stale              Kind = "stale"
	// NeedsConfirmation: a person must say yes first.
	NeedsConfirmation Kind = "needsConfirmation"
)

// Error is a failed operation: what failed (Op), on what (Path), why (Message), and
// what the person can do (Hint).
type Error struct {
	Kind    Kind
	Op      string
	Path    string
	Message string
	Hint    string
	Err     error
}

func (e *Error) Error() string {
	s := e.Op
	if e.Path != "" {
		s += " " + e.Path
	}
	return s + ": " + e.Message
}

func (e *Error) Unwrap() error { return e.Err }
