package agent

import (
	"context"
	"errors"

	"glue-lsp/sandbox"
)

// fileError makes a [*sandbox.Error] of a failed file operation by the one table in
// errors.go. A context's error stays what it is.
func fileError(op, path string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return asError(op, path, err)
}

func refuse(kind sandbox.Kind, op, path, message string) error {
	return &sandbox.Error{Kind: kind, Op: op, Path: path, Message: message}
}
