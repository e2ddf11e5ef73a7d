package workspace

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"glue-lsp/internal/tree"
)

// step is one write with what is needed to take it back.
type step struct {
	Write
	format tree.Format
	there  bool          // the path holds New already
	kept   *tree.Content // what the path held, nil when nothing
	perm   fs.FileMode   // of a file that the path held
}

// journal carries out steps and can take them back.
type journal struct {
	root   *tree.Root
	dir    string
	record *record  // on the disk; nil without
	bits   *os.Root // for permissions only, nil until they are needed
	all    []*step  // whose kept content must be closed
	done   []*step  // in order
}

// keep checks that a step's path holds what is expected, and keeps it aside: small
// content in memory, larger in a temporary file without a name.
func (j *journal) keep(s *step) error {
	if !s.Expect.Exists() {
		found, err := j.root.Lookup(s.Path, s.format)
		if err != nil {
			return err
		}
		return s.compare(found)
	}
	content, err := j.root.Content(s.Path, s.format)
	if err != nil {
		if found, lookErr := j.root.Lookup(s.Path, s.format); lookErr == nil && !found.Exists() {
			return s.compare(found) // it is gone, or a folder
		}
		return err
	}
	s.kept = content
	j.all = append(j.all, s)
	if err := s.compare(content.Entry()); err != nil || s.there {
		return err
	}
	if !isLink(s.Expect) {
		s.perm, err = j.permissions(s.Path)
	}
	return err
}

// compare judges what a step's path holds before anything is written.
func (s *step) compare(found tree.Entry) error {
	s.there = found.Same(s.New)
	if !s.there && !found.Same(s.Expect) {
		return &tree.ChangedError{Path: s.Path, Found: found}
	}
	return nil
}

// do carries out one step.
func (j *journal) do(s *step) error {
	if !s.New.Exists() {
		if err := j.root.Remove(s.Path, s.Expect, s.format); err != nil {
			return err
		}
		j.done = append(j.done, s)
		return nil
	}
	content, done, err := s.content()
	if err != nil {
		return err
	}
	defer done()
	if err := j.root.Write(s.Path, s.Expect, s.New.Mode, content, s.format); err != nil {
		return err
	}
	j.done = append(j.done, s)
	if s.Perm != 0 && !isLink(s.New) {
		if err := j.restore(s.Path, s.Perm); err != nil {
			return err
		}
	}
	if s.New.Size <= maxWhole {
		return nil
	}
	found, err := j.root.Lookup(s.Path, s.format)
	if err != nil {
		return err
	}
	if !found.Same(s.New) {
		s.New = found // what undoing will find
		return errWrongContent
	}
	return nil
}

// claim counts a step that failed as done if it did change its path all the same.
func (j *journal) claim(s *step) {
	if len(j.done) > 0 && j.done[len(j.done)-1] == s {
		return
	}
	found, err := j.root.Lookup(s.Path, s.format)
	if err == nil && found.Same(s.New) && !s.New.Same(s.Expect) {
		j.done = append(j.done, s)
	}
}

// undo takes back what was done, last first, and reports it together with the failure.
func (j *journal) undo(path string, err error) *ApplyError {
	report := &ApplyError{Failed: map[string]error{path: err}, Lost: map[string]error{}}
	j.record.turnBack(j.root)
	for _, s := range slices.Backward(j.done) {
		if err := j.takeBack(s); err != nil {
			report.Lost[s.Path] = err
			continue
		}
		report.Undone = append(report.Undone, s.Path)
	}
	if err := j.root.Sync(); err != nil && len(report.Undone) > 0 && !errors.Is(err, fs.ErrNotExist) {
		report.Lost[path] = err
	}
	again := report.again()
	if j.record == nil || len(again) == 0 && j.record.settle() == nil {
		return report
	}
	for _, path := range again {
		report.Lost[path] = fmt.Errorf("%w (this is tried again before the next return)", report.Lost[path])
	}
	j.record.leave()
	return report
}

// again gives the lost paths that whoever finds the record is to try again: all but what
// somebody changed since, which is theirs.
func (e *ApplyError) again() []string {
	var paths []string
	for path, err := range e.Lost {
		var changed *tree.ChangedError
		if !errors.As(err, &changed) {
			paths = append(paths, path)
		}
	}
	return paths
}

func (j *journal) takeBack(s *step) error {
	if s.kept == nil {
		return j.root.Remove(s.Path, s.New, s.format)
	}
	if err := j.root.Write(s.Path, s.New, s.Expect.Mode, s.kept.Reader(), s.format); err != nil {
		return err
	}
	if isLink(s.Expect) || s.New.Exists() && !isLink(s.New) {
		return nil // what replaces a file keeps its permissions
	}
	return j.restore(s.Path, s.perm)
}

// permissions and restore go through os.Root, which stays inside; a file that was
// private must not come back readable by others.
func (j *journal) permissions(path string) (fs.FileMode, error) {
	if err := j.openBits(); err != nil {
		return 0, err
	}
	info, err := j.bits.Lstat(path)
	if err != nil {
		return 0, err
	}
	return info.Mode().Perm(), nil
}

func (j *journal) restore(path string, perm fs.FileMode) error {
	if err := j.openBits(); err != nil {
		return err
	}
	return j.bits.Chmod(path, perm)
}

func (j *journal) openBits() (err error) {
	if j.bits == nil {
		j.bits, err = os.OpenRoot(j.dir)
	}
	return err
}

func (j *journal) close() {
	if j.bits != nil {
		_ = j.bits.Close()
	}
	for _, s := range j.all {
		_ = s.kept.Close()
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
