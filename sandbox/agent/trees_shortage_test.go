package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"glue-lsp/internal/tree"
)

func TestAFileThatThereWasNoRoomToReadIsNotCalledUnreadable(t *testing.T) {
	for err, want := range map[error]tree.Reason{
		&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}:  tree.NoRoom,
		fmt.Errorf("spool: %w", syscall.EDQUOT):                     tree.NoRoom,
		&os.PathError{Op: "open", Path: "x", Err: syscall.EMFILE}:   tree.NoRoom,
		&os.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}: tree.Unreadable,
		errors.New("input/output error"):                            tree.Unreadable,
		&tree.UnstableError{Path: "x"}:                              tree.Unstable,
	} {
		c := &captured{trees: &trees{}}
		if got := c.unreadable("x", err); got != nil {
			t.Errorf("%v ends the capture: %v", err, got)
		}
		if len(c.skipped) != 1 || c.skipped[0].Reason != want {
			t.Errorf("%v: %+v, want %s", err, c.skipped, want)
		}
	}
}
