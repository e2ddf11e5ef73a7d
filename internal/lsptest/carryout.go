package lsptest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.lsp.dev/uri"
)

// carryOut makes the changes and names the files touched. Like VS Code, it looks at all
// versions first, makes runs of text changes wholly or not at all, and stops where
// something fails, with what was done before left done.
func (e *Editor) carryOut(changes []documentChange) (done []string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(changes) == 0 {
		return nil, errors.New("there is nothing in the edit")
	}
	for _, c := range changes {
		if err := e.checkVersion(c.TextDocument); err != nil {
			return nil, err
		}
	}
	wasClean := map[string]bool{}
	for len(changes) > 0 {
		texts := 0
		for texts < len(changes) && changes[texts].Kind == "" {
			texts++
		}
		if texts > 0 {
			files, err := e.changeTexts(changes[:texts], wasClean)
			done = append(done, files...)
			if err != nil {
				return done, err
			}
			changes = changes[texts:]
			continue
		}
		file, err := e.operate(changes[0])
		if err != nil {
			return done, err
		}
		done = append(done, file)
		changes = changes[1:]
	}
	if e.saveClean {
		err = e.saveFiles(wasClean)
	}
	slices.Sort(done)
	return slices.Compact(done), err
}

func (e *Editor) checkVersion(f *versionedFile) error {
	if f == nil || f.Version == nil {
		return nil
	}
	path, err := e.pathOf(f.URI)
	if err != nil {
		return err
	}
	if b := e.buffers[path]; b != nil && b.version != *f.Version {
		return fmt.Errorf("%s is at version %d, the edit is for %d", e.name(path), b.version, *f.Version)
	}
	return nil
}

// changeTexts changes texts, of which files that are not open are opened, hidden. What was
// without unsaved changes before is put into wasClean.
func (e *Editor) changeTexts(changes []documentChange, wasClean map[string]bool) ([]string, error) {
	edits := map[string][]textEdit{}
	for _, c := range changes {
		path, err := e.pathOf(c.TextDocument.URI)
		if err != nil {
			return nil, err
		}
		edits[path] = append(edits[path], c.Edits...)
	}
	paths := slices.Sorted(maps.Keys(edits))
	planned := map[string][]replacement{}
	for _, path := range paths {
		text, err := e.textOf(path)
		if err != nil {
			return nil, err
		}
		for _, t := range edits[path] {
			planned[path] = append(planned[path], replacement{
				offsetAt(text, t.Range.Start, e.encoding), offsetAt(text, t.Range.End, e.encoding), t.NewText,
			})
		}
		if _, err := replace(text, planned[path]); err != nil {
			return nil, fmt.Errorf("%s: %w", e.name(path), err)
		}
	}
	var done []string
	for _, path := range paths {
		b := e.buffers[path]
		if _, seen := wasClean[path]; !seen {
			wasClean[path] = b == nil || !b.dirty
		}
		if b == nil {
			var err error
			if b, err = e.load(path); err != nil {
				return done, err
			}
			b.hidden = true
		}
		if err := e.edit(path, b, planned[path]); err != nil {
			return done, err
		}
		done = append(done, e.name(path))
	}
	return done, nil
}

// textOf is a file's text as its buffer is, or would be.
func (e *Editor) textOf(path string) (string, error) {
	if b := e.buffers[path]; b != nil {
		return b.text, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if isBinary(data) {
		return "", fmt.Errorf("%s is binary", e.name(path))
	}
	var b buffer
	b.read(data, e.profile)
	return b.text, nil
}

// operate creates, renames or deletes. The unsaved text of a buffer in the way is lost, as
// it is in VS Code.
func (e *Editor) operate(c documentChange) (string, error) {
	var o operationOptions
	if c.Options != nil {
		o = *c.Options
	}
	path, err := e.pathOf(c.target())
	if err != nil {
		return "", err
	}
	_, statErr := os.Lstat(path)
	exists := statErr == nil
	switch c.Kind {
	case "create":
		if exists && !o.Overwrite {
			return e.name(path), inTheWay(path, o)
		}
		e.forget(path)
		return e.name(path), writeNew(path)
	case "rename":
		if exists && !o.Overwrite {
			return e.name(path), inTheWay(path, o)
		}
		from, err := e.pathOf(c.OldURI)
		if err != nil {
			return "", err
		}
		return e.name(path), e.rename(from, path)
	case "delete":
		if !exists && o.IgnoreIfNotExists {
			return e.name(path), nil
		}
		e.forget(path)
		if o.Recursive && exists {
			return e.name(path), os.RemoveAll(path)
		}
		return e.name(path), os.Remove(path)
	}
	return "", fmt.Errorf("no such file operation: %q", c.Kind)
}

func inTheWay(path string, o operationOptions) error {
	if o.IgnoreIfExists {
		return nil
	}
	return fmt.Errorf("%s: %w", path, fs.ErrExist)
}

func writeNew(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, nil, 0o644)
}

// rename moves a file or folder, with the buffers in it.
func (e *Editor) rename(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	e.forget(to)
	if err := os.Rename(from, to); err != nil {
		return err
	}
	for path, b := range e.buffers {
		rest, below := strings.CutPrefix(path, from)
		if !below || rest != "" && rest[0] != filepath.Separator {
			continue
		}
		e.drop(path)
		b.version = 1
		e.buffers[to+rest] = b
		e.didOpen(to+rest, b)
	}
	return nil
}

// forget closes a buffer, or those below a folder, without saving.
func (e *Editor) forget(path string) {
	for open := range e.buffers {
		if open == path || strings.HasPrefix(open, path+string(filepath.Separator)) {
			e.drop(open)
		}
	}
}

// saveFiles saves the changed files that were clean before, and closes what nobody sees.
func (e *Editor) saveFiles(wasClean map[string]bool) error {
	for _, path := range slices.Sorted(maps.Keys(wasClean)) {
		b := e.buffers[path]
		if b == nil || !wasClean[path] {
			continue
		}
		if err := e.save(path, b); err != nil {
			return err
		}
		if b.hidden {
			e.drop(path)
		}
	}
	return nil
}

// pathOf is the file that a URI from the server names.
func (e *Editor) pathOf(u string) (string, error) {
	parsed, err := uri.ParseStrict(u)
	if err != nil {
		return "", err
	}
	if parsed.Scheme() != "file" {
		return "", fmt.Errorf("%s is not a file", u)
	}
	return parsed.FsPath(), nil
}
