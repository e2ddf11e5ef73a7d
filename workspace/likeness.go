package workspace

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode"

	"glue-lsp/internal/tree"
)

// onDisk gives the content of a file as it is on disk, nil when it is none that an
// editor would have saved: a link, a large file, or one that just went away.
func (c *blobSource) onDisk(root *tree.Root, found tree.Entry) ([]byte, error) {
	if !found.Exists() || isLink(found) || found.Size > maxEditorFile {
		return nil, nil
	}
	file, err := root.Content(found.Path, c.s.Repo.Format)
	var changed *tree.ChangedError
	var refused *tree.PathError
	if errors.As(err, &changed) || errors.As(err, &refused) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	if !file.Entry().Same(found) {
		return nil, nil
	}
	return io.ReadAll(file.Reader())
}

// lookCloser judges a target whose path holds neither what was wanted nor what was
// there, and one that holds what was there because a save took the change away.
func (c *blobSource) lookCloser(t Target, v Verdict, content []byte) (string, error) {
	if v.Outcome == Taken || !isText(t.Want) || t.Was.Exists() && !isText(t.Was) || v.Found.Mode != t.Want.Mode {
		return v.Outcome, nil
	}
	if v.Outcome == Changed && content == nil {
		return v.Outcome, nil
	}
	want, ok, err := c.text(t.Want)
	if err != nil || !ok {
		return v.Outcome, err
	}
	was, ok, err := c.text(t.Was)
	if err != nil || !ok {
		return v.Outcome, err
	}
	if v.Outcome == Declined {
		if t.Was.Exists() && bytes.Equal(trimmed(was), trimmed(want)) {
			return Partly, nil // nothing but what editors trim was to change
		}
		return v.Outcome, nil
	}
	found, _, ok := DecodeDocument(content)
	if !ok {
		return v.Outcome, nil
	}
	switch {
	case !bytes.Equal(squeezed(was), squeezed(want)) && bytes.Equal(squeezed(found), squeezed(want)),
		bytes.Equal(trimmed(found), trimmed(want)) && bytes.Equal(withLF(found), trimmed(found)):
		return Taken, nil
	case t.Edit != nil && t.Edit.madePart(found):
		return Partly, nil
	}
	return v.Outcome, nil
}

// UnusualPerms gives the permissions of files that a plan deletes or makes links of,
// where they are not those that new files commonly have.
func (w *Workspace) UnusualPerms(targets map[string]Target) map[string]fs.FileMode {
	out := map[string]fs.FileMode{}
	for path, t := range targets {
		if !isText(t.Was) || isText(t.Want) {
			continue
		}
		info, err := os.Lstat(filepath.Join(w.Root(), filepath.FromSlash(path)))
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if perm := info.Mode().Perm(); perm != 0o644 && perm != 0o755 {
			out[path] = perm
		}
	}
	return out
}

func isText(e tree.Entry) bool { return e.Mode == tree.Regular || e.Mode == tree.Executable }

// text gives a blob's text; of an entry that is not there it is empty. It is not ok
// when the blob is no text, or too large to be an editor's.
func (c *blobSource) text(e tree.Entry) (text []byte, ok bool, err error) {
	if !e.Exists() {
		return nil, true, nil
	}
	content, ok, err := c.get(e.Hash, maxEditorFile)
	if err != nil || !ok {
		return nil, false, err
	}
	text, _, ok = DecodeDocument(content)
	return text, ok, nil
}

// trimmed is a text as editors may save it: without white space before line ends, and
// with one line end after the last line.
func trimmed(text []byte) []byte {
	lines := bytes.Split(withLF(text), []byte{'\n'})
	for i := range lines {
		lines[i] = bytes.TrimRight(lines[i], " \t")
	}
	text = bytes.TrimRight(bytes.Join(lines, []byte{'\n'}), "\n")
	if len(text) == 0 {
		return nil
	}
	return append(text, '\n')
}

// squeezed is a text without its white space, which is what formatters change.
func squeezed(text []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
}

// maxPlaces bounds at how many places a text may go on while its edits are matched.
const maxPlaces = 64

// madePart reports whether a text is what some of the edits make, and the others were
// left out: a person may take one change of a file and refuse another.
func (c *TextChange) madePart(text []byte) bool {
	if EndsOf(c.Text) == LF {
		text = withLF(text) // the buffer holds line feeds, the file its own line ends
	}
	places := map[int]bool{0: true} // where the text may go on
	last := 0
	for _, e := range c.Edits {
		next := map[int]bool{}
		kept := c.Text[last:e.Start]
		for at := range places {
			if !bytes.HasPrefix(text[at:], kept) {
				continue
			}
			at += len(kept)
			for _, either := range [][]byte{c.Text[e.Start:e.End], []byte(e.New)} {
				if bytes.HasPrefix(text[at:], either) {
					next[at+len(either)] = true
				}
			}
		}
		if len(next) == 0 || len(next) > maxPlaces {
			return false
		}
		places, last = next, e.End
	}
	for at := range places {
		if bytes.Equal(text[at:], c.Text[last:]) {
			return true
		}
	}
	return false
}
