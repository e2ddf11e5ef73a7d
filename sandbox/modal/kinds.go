package modal

import (
	"errors"

	"glue-lsp/sandbox"
)

// kindIs reports an error of a kind.
func kindIs(err error, kind sandbox.Kind) bool {
	var e *sandbox.Error
	return errors.As(err, &e) && e.Kind == kind
}
