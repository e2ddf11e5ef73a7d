package handlers

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
	"syscall"

	"glue-lsp/config"
	"glue-lsp/internal/wire"
	"glue-lsp/sandbox"
	"glue-lsp/session"
	"glue-lsp/workspace"
)

// failure is the data of a RequestFailed error.
type failure struct {
	Kind       string `json:"kind" doc:"one of the kinds below"`
	Operation  string `json:"operation" doc:"what was being done"`
	Path       string `json:"path,omitzero"`
	PathBytes  string `json:"pathBytes,omitzero"`
	Session    string `json:"session,omitzero"`
	Hint       string `json:"hint,omitzero" doc:"what a person can do about it"`
	Checkpoint int    `json:"checkpoint,omitzero" doc:"the newest checkpoint that is safe on the host"`
}

// The kinds that this package gives to errors which carry none.
const (
	kindUnavailable = "unavailable"
	kindUnsupported = "unsupported"
	kindTooLarge    = "tooLarge"
	kindNoSession   = session.NoSuchSession
	kindAmbiguous   = session.AmbiguousSession
)

// errorKind is one kind of failure with its meaning, for the documentation.
type errorKind struct{ name, meaning string }

// errorKinds lists every kind that a client can meet.
func errorKinds() []errorKind {
	return []errorKind{
		{"fileNotFound", "there is nothing at the path"},
		{"fileExists", "something is there already and may not be replaced"},
		{"notADirectory", "the path, or a parent of it, is not a folder"},
		{"isADirectory", "the path is a folder"},
		{"directoryNotEmpty", "the folder holds something"},
		{"permissionDenied", "the operating system refuses"},
		{"noSpace", "the disk or a quota is full"},
		{"tooLarge", "over a limit; the hint says which"},
		{"unsupported", "this runtime, client or kind of file cannot do it"},
		{"noSuchSession", "no session of that name, or none at all"},
		{"ambiguousSession", "several sessions are open and none was named"},
		{"sessionBusy", "another process or operation holds the session"},
		{"sessionLost", "the session's sandbox is gone; its last checkpoint is kept"},
		{"executorDead", "the sandbox ended while the request was under way"},
		{"runtimeUnavailable", "the runtime cannot be started"},
		{"notAuthenticated", "the runtime refuses the credentials, or there are none"},
		{"untrusted", "the workspace is not trusted to do this"},
		{"noSuchExec", "no command of that name is known"},
		{"conflict", "both sides changed it"},
		{"needsConfirmation", "a person must say yes first; the hint says how"},
		{"unavailable", "it cannot be done now; the message says why"},
		{"timeout", "it took longer than allowed"},
	}
}

// toWireError is the one place where a failure becomes an LSP error. operation is used
// where the error names none.
func toWireError(ctx context.Context, operation string, err error) error {
	if err == nil {
		return nil
	}
	if p, ok := errors.AsType[*paramError](err); ok {
		return &wire.Error{Code: wire.InvalidParams, Message: p.Error(), Data: map[string]string{"field": p.Field}}
	}
	if w, ok := errors.AsType[*wire.Error](err); ok {
		return w
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return &wire.Error{Code: wire.RequestCancelled, Message: operation + " was cancelled"}
	}
	f := describe(err)
	if f.Kind == string(sandbox.InvalidParams) {
		return &wire.Error{Code: wire.InvalidParams, Message: withoutCredentials(err.Error())}
	}
	if f.Operation == "" {
		f.Operation = operation
	}
	f.Path, f.PathBytes = showPath(f.Path)
	f.Hint = withoutCredentials(f.Hint)
	message, _ := showPath(err.Error())
	return &wire.Error{Code: wire.RequestFailed, Message: withoutCredentials(message), Data: f}
}

// describe collects what the chain of errors says, the outermost word first.
func describe(err error) failure {
	var f failure
	for e := err; e != nil; e = errors.Unwrap(e) {
		switch x := e.(type) { //nolint:errorlint // every link of the chain is looked at by itself
		case *session.Error:
			f.fill(x.Kind, x.Op, x.Path, x.Session, x.Hint)
			f.Checkpoint = max(f.Checkpoint, x.Checkpoint)
		case *sandbox.Error:
			f.fill(string(x.Kind), x.Op, x.Path, "", x.Hint)
		case *workspace.Error:
			f.fill(x.Kind, x.Op, x.Path, "", x.Hint)
		case *config.Error:
			f.fill(kindUnavailable, "read the settings", "", "", "correct "+x.Key+" ("+x.Origin+")")
		case *fs.PathError:
			f.fill("", x.Op, x.Path, "", "")
		}
	}
	switch f.Kind {
	case "":
		f.Kind = kindOf(err)
	case string(sandbox.Stale):
		f.Kind = kindUnavailable
	}
	return f
}

func (f *failure) fill(kind, op, path, sessionID, hint string) {
	set := func(to *string, v string) {
		if *to == "" {
			*to = v
		}
	}
	set(&f.Kind, kind)
	set(&f.Operation, op)
	set(&f.Path, path)
	set(&f.Session, sessionID)
	set(&f.Hint, hint)
}

// kindOf maps the errors of the standard library; what nobody knows is unavailable.
func kindOf(err error) string {
	for _, k := range []struct {
		is   error
		kind sandbox.Kind
	}{
		{context.DeadlineExceeded, sandbox.Timeout},
		{syscall.ENOTDIR, sandbox.NotADirectory},
		{syscall.EISDIR, sandbox.IsADirectory},
		{syscall.ENOTEMPTY, sandbox.DirectoryNotEmpty},
		{syscall.ENOSPC, sandbox.NoSpace},
		{syscall.EDQUOT, sandbox.NoSpace},
		{syscall.EFBIG, sandbox.TooLarge},
		{fs.ErrNotExist, sandbox.FileNotFound},
		{fs.ErrExist, sandbox.FileExists},
		{fs.ErrPermission, sandbox.PermissionDenied},
		{errors.ErrUnsupported, sandbox.Unsupported},
	} {
		if errors.Is(err, k.is) {
			return string(k.kind)
		}
	}
	return kindUnavailable
}

// credentialsInURL is the user information of a URL (RFC 3986 section 3.2.1).
var credentialsInURL = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s/@]+@`)

// withoutCredentials is the last line of defence against a secret in a message.
func withoutCredentials(s string) string {
	return credentialsInURL.ReplaceAllString(s, "${1}***@")
}

// messageOf is what a person reads of an error that reaches them as a message.
func messageOf(err error) string {
	text, _ := showPath(withoutCredentials(err.Error()))
	if hint := describe(err).Hint; hint != "" {
		text += " (" + withoutCredentials(hint) + ")"
	}
	return text
}
