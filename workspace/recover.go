package workspace

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"glue-lsp/internal/tree"
)

const recoverOp = "put back an interrupted return"

// unsettledDir, in a record's folder, is where contents are kept that nothing else holds.
const unsettledDir = "unsettled"

// Notes gives what there is to say to the person about what an earlier process left, each
// once.
func (w *Workspace) Notes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	notes := w.notes
	w.notes = nil
	return notes
}

func (w *Workspace) note(notes []string) {
	w.mu.Lock()
	w.notes = append(w.notes, notes...)
	w.mu.Unlock()
}

// recoverLater is recover at a moment when a failure must not keep a person from
// working; the next Apply tries again, and fails if it cannot.
func (w *Workspace) recoverLater() {
	if err := w.recover(); err != nil {
		w.note([]string{err.Error()})
	}
}

// putBack undoes an Apply that was killed: each path that holds what was written gets
// back what it held, one that somebody has changed since is left alone and named, and
// temporary files go. It can itself be killed at any point, and is then begun anew.
func putBack(root *tree.Root, rootDir, dir string) (notes []string, err error) {
	lock := flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600))
	if ok, err := lock.TryLock(); err != nil || !ok {
		return nil, ignoreGoneRecord(err) // its process lives, or another puts it back just now
	}
	defer lock.Close()
	b, err := os.ReadFile(filepath.Join(dir, intentFile))
	if errors.Is(err, fs.ErrNotExist) {
		// It had not begun, or was done.
		if _, err := os.Lstat(filepath.Join(dir, unsettledDir)); err == nil {
			return nil, nil
		}
		return nil, os.RemoveAll(dir)
	}
	if err != nil {
		return nil, err
	}
	var in intent
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", filepath.Join(dir, intentFile), err)
	}
	if in.Version != intentVersion || in.Root != rootDir {
		return nil, fmt.Errorf("%s is of another version of glue-lsp, or of another folder (%s)", filepath.Join(dir, intentFile), in.Root)
	}
	kept, err := os.Open(filepath.Join(dir, keptFile))
	if err != nil {
		return nil, err
	}
	defer kept.Close()
	r := &restoring{root: root, dir: dir, kept: kept, in: in, j: &journal{root: root, dir: rootDir}}
	defer r.j.close()
	if err := r.all(); err != nil {
		return r.notes, err
	}
	if err := root.Sync(); err != nil {
		return r.notes, err
	}
	root.UseToken("")
	if err := endIntent(dir); err != nil {
		return r.notes, err
	}
	if r.unsettled == 0 {
		err = os.RemoveAll(dir)
	}
	if r.undone > 0 {
		r.notes = append(r.notes, fmt.Sprintf("an earlier return was interrupted; %d %s put back as before it: return again", r.undone, were(r.undone)))
	}
	return r.notes, err
}

func ignoreGoneRecord(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func were(n int) string {
	if n == 1 {
		return "file was"
	}
	return "files were"
}

// restoring is the undoing of one record.
type restoring struct {
	root      *tree.Root
	dir       string
	kept      *os.File
	in        intent
	j         *journal
	undone    int
	unsettled int
	notes     []string
}

func (r *restoring) all() error {
	r.root.UseToken(r.in.Token + undoSuffix)
	for i := len(r.in.Steps) - 1; i >= 0; i-- {
		s := r.in.Steps[i]
		path := string(s.Path)
		if err := tree.CheckPath(path); err != nil {
			return err
		}
		save := func(c *tree.Content) error {
			r.notes = append(r.notes, fmt.Sprintf("an earlier return was interrupted at %s; a version of it that is neither the old nor the new one is in %s",
				show(path), filepath.Join(r.dir, unsettledDir)))
			return r.save(path, c.Reader())
		}
		if err := r.root.Leftover(path, r.in.Token+undoSuffix, s.Will, s.Was, s.Format, save); err != nil {
			return err
		}
		if err := r.root.Leftover(path, r.in.Token, s.Was, s.Will, s.Format, save); err != nil {
			return err
		}
		if err := r.step(path, s); err != nil {
			return err
		}
	}
	return nil
}

// step takes one step back.
func (r *restoring) step(path string, s intentStep) error {
	found, err := r.root.Lookup(path, s.Format)
	var refused *tree.PathError
	switch {
	case errors.As(err, &refused) && !s.Was.Exists():
		return nil // something else stands where its folder would be: it is not there
	case err != nil && refused == nil:
		return err
	case err == nil && found.Same(s.Was):
		return nil
	case err == nil && found.Same(s.Will):
		r.undone++
		return r.takeBack(path, s)
	}
	if !s.Was.Exists() {
		return nil // a new file that somebody changed: theirs
	}
	r.notes = append(r.notes, fmt.Sprintf("an earlier return was interrupted at %s, which was changed since; what it held before is in %s",
		show(path), filepath.Join(r.dir, unsettledDir)))
	return r.save(path, r.content(s))
}

func (r *restoring) content(s intentStep) io.Reader {
	return io.NewSectionReader(r.kept, s.At, s.Was.Size)
}

func (r *restoring) takeBack(path string, s intentStep) error {
	if !s.Was.Exists() {
		return r.root.Remove(path, s.Will, s.Format)
	}
	if err := r.root.Write(path, s.Will, s.Was.Mode, r.content(s), s.Format); err != nil {
		return err
	}
	if isLink(s.Was) || s.Will.Exists() && !isLink(s.Will) {
		return nil // what replaces a file keeps its permissions
	}
	if _, err := r.j.permissions(path); err != nil {
		return err
	}
	return r.j.restore(path, fs.FileMode(s.Perm))
}

// save keeps a content that nothing else may hold, under a name that tells its path.
func (r *restoring) save(path string, content io.Reader) error {
	r.unsettled++
	dir := filepath.Join(r.dir, unsettledDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	base := filepath.Base(path)
	f, err := os.CreateTemp(dir, "*-"+base[max(0, len(base)-100):]) // its end says of what kind it is
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Sync(), f.Close())
}
