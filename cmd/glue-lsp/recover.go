package main

import (
	"context"
	"fmt"
	"io"

	"glue-lsp/session"
)

// tellRunning says which sessions go on without a server, since commands run in them.
func tellRunning(w io.Writer, found []session.Info) {
	for _, i := range found {
		if len(i.Execs) == 0 {
			continue
		}
		fmt.Fprintf(w, "glue-lsp: %q still runs in session %s, whose server died; it goes on for a few minutes: open %s in the editor to take it up again\n",
			oneLine(i.Execs[0].Command), i.ID, oneLine(i.Folder))
	}
}

// sweep ends sandboxes in the cloud that run for nobody, and says so.
func sweep(ctx context.Context, w io.Writer, m *session.Manager, dry bool) {
	swept, err := m.Sweep(ctx, dry)
	for _, one := range swept {
		verb := "goes on"
		switch {
		case one.Ended:
			verb = "was ended"
		case dry && !one.Stays:
			verb = "would be ended"
		}
		fmt.Fprintf(w, "glue-lsp: sandbox %s %s: %s\n", oneLine(one.ID), verb, oneLine(one.Why))
	}
	if err != nil {
		fmt.Fprintf(w, "glue-lsp: %s\n", oneLine(err.Error()))
	}
}

// tellLeft says in one line what a server that died left of this folder.
func tellLeft(ctx context.Context, w io.Writer, m *session.Manager, folder string) {
	found, err := m.List(ctx)
	if err != nil {
		return // it was not asked for
	}
	n, newest := 0, ""
	for _, i := range found {
		if i.Folder == folder && i.Waiting {
			if n == 0 {
				newest = i.ID
			}
			n++
		}
	}
	switch n {
	case 0:
	case 1:
		fmt.Fprintf(w, "glue-lsp: session %s of this folder ended without its editor and holds changes: glue-lsp sessions show %s\n", newest, newest)
	default:
		fmt.Fprintf(w, "glue-lsp: %d sessions of this folder ended without their editor and hold changes: glue-lsp sessions list\n", n)
	}
}
