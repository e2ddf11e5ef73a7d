package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"glue-lsp/internal/tree"
)

// Write is one change of the person's tree.
type Write struct {
	Path   string     // relative to the root
	Expect tree.Entry // what the path must hold, Absent for nothing
	New    tree.Entry // what it will hold, Absent to remove it
	Open   func() (io.ReadCloser, error)
	Perm   fs.FileMode // of a file that is made; 0 is the default
}

// ApplyError says what became of each file when a return could not be written. All
// files hold what they held before, but for those in Lost.
type ApplyError struct {
	Failed map[string]error // by path: why it could not be written
	Undone []string         // written, and then put back
	Lost   map[string]error // written, and could not be put back: why
}

func (e *ApplyError) Error() string {
	var parts []string
	for _, path := range sortedKeys(e.Failed) {
		parts = append(parts, reason(path, e.Failed[path]))
	}
	text := strings.Join(parts, "; ")
	switch n := len(e.Undone); {
	case len(e.Lost) > 0:
	case n == 0:
		text += "; no file was changed"
	case n == 1:
		text += "; 1 file that was written before it was put back"
	default:
		text += fmt.Sprintf("; %d files that were written before it were put back", n)
	}
	for _, path := range sortedKeys(e.Lost) {
		text += "; what was written stays at " + reason(path, e.Lost[path])
	}
	return text
}

// Unwrap gives the reasons, for errors.As.
func (e *ApplyError) Unwrap() []error {
	var out []error
	for _, path := range sortedKeys(e.Failed) {
		out = append(out, e.Failed[path])
	}
	return out
}

// reason names a path once, whether or not the error names it too.
func reason(path string, err error) string {
	if strings.Contains(err.Error(), path) {
		return err.Error()
	}
	return show(path) + ": " + err.Error()
}

// Check is the one predicate for writing the person's tree: the path lies inside, no
// folder above it is a link, it is not under .git in any spelling, and it still holds
// what expect says. The error is an [*Error] of kind permissionDenied (the path may
// never be written) or conflict (it holds something else now).
func (w *Workspace) Check(path string, expect tree.Entry) error {
	const op = "check"
	if err := tree.CheckPath(path); err != nil {
		return writeError(op, path, err)
	}
	root, err := tree.OpenRoot(w.Root())
	if err != nil {
		return writeError(op, path, err)
	}
	defer root.Close() //nolint:errcheck // only looked at
	if err := checkIn(root, path, expect, w.format(expect)); err != nil {
		return writeError(op, path, err)
	}
	return nil
}

func checkIn(root *tree.Root, path string, expect tree.Entry, f tree.Format) error {
	found, err := root.Lookup(path, f)
	if err != nil {
		return err
	}
	if !found.Same(expect) {
		return &tree.ChangedError{Path: path, Found: found}
	}
	return nil
}

// format tells by an entry's hash, or else by the repository, how to hash.
func (w *Workspace) format(entries ...tree.Entry) tree.Format {
	for _, e := range entries {
		switch len(e.Hash) {
		case 40:
			return tree.SHA1
		case 64:
			return tree.SHA256
		}
	}
	if src := w.Source(); src != nil && src.Format != "" {
		return src.Format
	}
	return tree.SHA1
}

// Apply is the one way to write the person's tree. It writes all or nothing: every
// path is checked before the first is touched, what they held is kept aside, and a
// failure puts it back where the path still holds what was written. A path that
// already holds its New is left alone. The order of writes does not matter; removals
// come first.
//
// The error is an [*Error] whose kind tells the first reason (conflict,
// permissionDenied, noSpace, unavailable) around an [*ApplyError] with the report by
// file.
func (w *Workspace) Apply(ctx context.Context, writes []Write) error {
	if len(writes) == 0 {
		return nil
	}
	const op = "write the returned files"
	if err := w.recover(); err != nil {
		return err
	}
	root, err := tree.OpenRoot(w.Root())
	if err != nil {
		return writeError(op, w.Root(), err)
	}
	defer root.Close() //nolint:errcheck // what was written is synced below
	j := &journal{root: root, dir: w.Root()}
	defer j.close()

	writes = slices.Clone(writes)
	slices.SortStableFunc(writes, func(a, b Write) int { return removalsFirst(at(a.Path, a.New), at(b.Path, b.New)) })
	steps, failed := w.prepare(ctx, j, writes)
	if len(failed) > 0 {
		return applyError(op, &ApplyError{Failed: failed})
	}
	record, err := w.record(root, steps)
	if err != nil {
		return writeError(op, w.Root(), err)
	}
	j.record = record
	for _, s := range steps {
		err := ctx.Err()
		if err == nil {
			err = j.do(s)
		}
		if err != nil {
			j.claim(s)
			return applyError(op, j.undo(s.Path, err))
		}
	}
	if err := root.Sync(); err != nil {
		return applyError(op, j.undo(w.Root(), err))
	}
	if err := record.settle(); err != nil {
		return applyError(op, j.undo(w.Root(), err))
	}
	return nil
}

// recover puts back what a process that was killed in the middle of Apply left half done
// in this tree.
func (w *Workspace) recover() error {
	dirs, err := w.abandoned()
	if err != nil || len(dirs) == 0 {
		return err
	}
	root, err := tree.OpenRoot(w.Root())
	if err != nil {
		return writeError(recoverOp, w.Root(), err)
	}
	defer root.Close() //nolint:errcheck // what was written is synced
	for _, dir := range dirs {
		notes, err := putBack(root, w.Root(), dir)
		w.note(notes)
		if err != nil {
			e := writeError(recoverOp, dir, err)
			e.Message = "an earlier return was interrupted, and its files could not be put back: " + e.Message
			return e
		}
	}
	return nil
}

// prepare checks every path and keeps what it holds. What already holds its new
// content is left out of the steps.
func (w *Workspace) prepare(ctx context.Context, j *journal, writes []Write) ([]*step, map[string]error) {
	failed := map[string]error{}
	seen := map[string]bool{}
	way := cleared{files: map[string]bool{}, folders: map[string]bool{}, folded: map[string]bool{}}
	var steps []*step
	for _, write := range writes {
		s := &step{Write: write, format: w.format(write.Expect, write.New)}
		err := ctx.Err()
		switch {
		case err != nil:
		case seen[write.Path]:
			err = errors.New("it is to be written twice")
		case write.New.Exists() && write.Open == nil:
			err = errors.New("its content is missing")
		default:
			err = tree.CheckPath(write.Path)
		}
		seen[write.Path] = true
		if err == nil && (write.Expect.Exists() || !way.leadsTo(write.Path)) {
			err = j.keep(s)
		}
		if !write.New.Exists() {
			way.add(write.Path)
		}
		switch {
		case err != nil:
			failed[write.Path] = err
		case !s.there:
			steps = append(steps, s)
		}
	}
	return steps, failed
}

// cleared is what one call of Apply removes before it writes: files, and the folders
// above them. What lies at a path that they clear can be looked at only after that:
// below a file, at a folder, or at a name in another case, which may be the same file.
type cleared struct{ files, folders, folded map[string]bool }

func (c cleared) add(path string) {
	c.files[path], c.folded[foldCase(path)] = true, true
	for above := range foldersAbove(path) {
		c.folders[above] = true
	}
}

func (c cleared) leadsTo(path string) bool {
	for above := range foldersAbove(path) {
		if c.files[above] {
			return true
		}
	}
	return c.folders[path] || c.folded[foldCase(path)]
}

// maxWhole is how much content, in bytes, is read before it is written, so that it is
// known to be whole; what is larger is checked after it was written.
const maxWhole = 8 << 20

// content opens what a step writes.
func (s *step) content() (io.Reader, func(), error) {
	r, err := s.Open()
	if err != nil {
		return nil, nil, fmt.Errorf("its new content cannot be read: %w", err)
	}
	closing := func() { _ = r.Close() }
	whole, err := io.ReadAll(io.LimitReader(r, maxWhole+1))
	switch {
	case err != nil:
		closing()
		return nil, nil, fmt.Errorf("its new content cannot be read: %w", err)
	case len(whole) > maxWhole:
		return io.MultiReader(bytes.NewReader(whole), r), closing, nil
	case tree.HashBytes(s.format, whole) != s.New.Hash:
		closing()
		return nil, nil, errWrongContent
	}
	return bytes.NewReader(whole), closing, nil
}

var errWrongContent = errors.New("its new content is not what was planned")

func applyError(op string, report *ApplyError) error {
	var first error
	var path string
	for _, path = range sortedKeys(report.Failed) {
		first = report.Failed[path]
		break
	}
	e := writeError(op, path, first)
	e.Path, e.Message, e.Err = "", report.Error(), report
	return e
}

// writeError gives an error in writing the person's tree a kind and a hint.
func writeError(op, path string, err error) *Error {
	e := &Error{Kind: "unavailable", Op: op, Path: path, Message: err.Error(), Err: err}
	var refused *tree.PathError
	var changed *tree.ChangedError
	switch {
	case errors.As(err, &refused):
		e.Kind, e.Message = "permissionDenied", refused.Why
	case errors.As(err, &changed):
		e.Kind, e.Hint = "conflict", "return again: the change is then merged with what the file holds now"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Kind, e.Hint = "noSpace", "free some space and return again"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		e.Kind, e.Hint = "permissionDenied", "make the file and its folder writable and return again"
	}
	return e
}
