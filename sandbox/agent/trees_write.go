package agent

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// treeWriter puts the host's files into the tree, one after another. What it wrote
// the host knows, so it goes into the ledger: the next capture does not tell it.
type treeWriter struct {
	*trees
	root   *tree.Root
	format tree.Format
	view   string // the client's
}

// startWrite takes the turn until the writer is closed.
func (t *trees) startWrite(ctx context.Context, view string, format tree.Format) (*treeWriter, error) {
	if err := t.enter(ctx); err != nil {
		return nil, err
	}
	if t.ledger.superseded(view) {
		// It was given up, and a capture since then told the host what there is.
		t.leave()
		return nil, refuse(sandbox.Stale, "writeTree", t.root, "the write comes too late")
	}
	root, err := tree.OpenRoot(t.root)
	if err != nil {
		t.leave()
		return nil, fileError("writeTree", t.root, err)
	}
	return &treeWriter{t, root, format, view}, nil
}

func (w *treeWriter) close() {
	w.root.Close()
	w.leave()
}

// write does one write, if the path still holds expect. Content is read to its end in
// any case. A path that already holds what the host wants counts as written, so that
// a write can be repeated whose answer was lost.
func (w *treeWriter) write(expect, want tree.Entry, content io.Reader) (sandbox.TreeResult, error) {
	out := sandbox.TreeResult{Path: want.Path}
	// SpoolContent reports a content of the wrong size, read reports a stream that
	// ended; only the first is about this path alone.
	body := &bodyReader{r: content}
	err := w.put(expect, want, body)
	if _, derr := copyBytes(io.Discard, body); derr != nil {
		return out, derr
	}
	var moved *tree.ChangedError
	switch {
	case err == nil:
		out.Written = true
	case errors.As(err, &moved):
		out.Found = moved.Found
		out.Written = moved.Found.Same(want)
		if !out.Written {
			out.Err = "it changed in the sandbox in the meantime"
		}
	default:
		out.Err = cause(err)
		if found, lerr := w.root.Lookup(want.Path, w.format); lerr == nil {
			out.Found = found
		}
	}
	if out.Written {
		out.Found = want
		w.ledger.wrote(w.view, want)
	}
	out.Found.Path = want.Path
	return out, nil
}

func (w *treeWriter) put(expect, want tree.Entry, content io.Reader) error {
	if !want.Exists() {
		return w.root.Remove(want.Path, expect, w.format)
	}
	c, err := tree.SpoolContent(content, want.Mode, want.Size, w.format)
	if err != nil {
		return err
	}
	defer c.Close()
	if got := c.Entry().Hash; got != want.Hash {
		return errors.New("the content that arrived is not what the host announced")
	}
	return w.root.Write(want.Path, expect, want.Mode, c.Reader(), w.format)
}

// bodyReader remembers that its end was reached, so that it is not asked twice.
type bodyReader struct {
	r    io.Reader
	done error
}

func (b *bodyReader) Read(p []byte) (int, error) {
	if b.done != nil {
		return 0, b.done
	}
	n, err := b.r.Read(p)
	b.done = err
	return n, err
}

// cause is an error's words without the path, which the answer names already.
func cause(err error) string {
	var pe *fs.PathError
	var bad *tree.PathError
	switch {
	case errors.As(err, &bad):
		return bad.Why
	case errors.As(err, &pe):
		return pe.Err.Error()
	}
	return reason(err)
}
