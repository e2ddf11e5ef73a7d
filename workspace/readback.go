package workspace

import (
	"context"
	"errors"
	"io"

	"glue-lsp/internal/tree"
)

// What became of a [Target].
const (
	Taken    = "taken"    // it holds what was wanted
	Declined = "declined" // it holds what it held before
	Changed  = "changed"  // it holds something else
)

// Verdict says what became of one target after the edit and Apply.
type Verdict struct {
	Path    string
	Outcome string     // one of the constants above
	Found   tree.Entry // what the path holds now, as it would be saved
}

// ReadBack compares disk and buffers with the targets, since an editor's answer is
// only a hint. A buffer that was changed counts over its file: it is what the person
// sees and will save. Buffers are compared without byte order mark and with uniform
// line ends, because editors hold them so. The verdicts are sorted by path.
func (w *Workspace) ReadBack(ctx context.Context, s *Store, targets map[string]Target, docs []Document) ([]Verdict, error) {
	const op = "read back what was returned"
	if len(targets) == 0 {
		return nil, nil
	}
	root, err := tree.OpenRoot(w.Root())
	if err != nil {
		return nil, storeError(op, w.Root(), err)
	}
	defer root.Close() //nolint:errcheck // only looked at
	c, err := openContents(ctx, s)
	if err != nil {
		return nil, storeError(op, w.Root(), err)
	}
	defer c.close()
	open := w.buffers(docs).docs

	out := make([]Verdict, 0, len(targets))
	for _, path := range sortedKeys(targets) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t := targets[path]
		found, err := root.Lookup(path, s.Repo.Format)
		if below := (*tree.PathError)(nil); errors.As(err, &below) && !t.Want.Exists() && insideOther(path, targets) {
			// The return put a file or a link where its folder was.
			found, err = tree.Entry{}, nil
		}
		if err != nil { // e.g. a folder or a socket took its place, or a link above it
			out = append(out, Verdict{Path: path, Outcome: Changed})
			continue
		}
		if doc, ok := open[path]; ok && doc.Changed {
			if found, err = c.inBuffer(root, doc, t, found); err != nil {
				return nil, storeError(op, path, err)
			}
		}
		out = append(out, Verdict{Path: path, Outcome: t.outcome(found), Found: at(path, found)})
	}
	return out, nil
}

// insideOther reports whether a target wants a file or a link where a folder above path
// was.
func insideOther(path string, targets map[string]Target) bool {
	for i := range len(path) {
		if path[i] == '/' && targets[path[:i]].Want.Exists() {
			return true
		}
	}
	return false
}

func (t Target) outcome(found tree.Entry) string {
	switch {
	case found.Same(t.Want):
		return Taken
	case found.Same(t.Was):
		return Declined
	}
	return Changed
}

// inBuffer gives the entry that a changed buffer will have once it is saved: that of
// the target where the text is the same, else what overlaying the file gives.
func (c *blobSource) inBuffer(root *tree.Root, doc Document, t Target, disk tree.Entry) (tree.Entry, error) {
	mode := disk.Mode
	if !disk.Exists() {
		mode = tree.Regular
		if t.Want.Exists() {
			mode = t.Want.Mode
		}
	}
	for _, e := range []tree.Entry{t.Want, t.Was} {
		if !e.Exists() || isLink(e) {
			continue
		}
		content, _, err := c.get(e.Hash, -1)
		if err != nil {
			return tree.Entry{}, err
		}
		text, _, ok := DecodeDocument(content)
		if ok && sameText(text, doc.Text) {
			e.Mode = mode
			return e, nil
		}
	}
	base := []byte(nil)
	if disk.Exists() && !isLink(disk) {
		file, err := root.Content(disk.Path, c.s.Repo.Format)
		if err != nil {
			return tree.Entry{}, err
		}
		defer file.Close() //nolint:errcheck // only read
		if base, err = io.ReadAll(file.Reader()); err != nil {
			return tree.Entry{}, err
		}
	}
	saved, err := overlay(base, doc.Text)
	if err != nil {
		saved = doc.Text // it cannot be saved in the file's form; whatever it is, it is another content
	}
	return tree.Entry{Mode: mode, Hash: tree.HashBytes(c.s.Repo.Format, saved), Size: int64(len(saved))}, nil
}
