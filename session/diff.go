package session

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
	"glue-lsp/workspace"
)

// maxPatch bounds the patch that a diff answers with, in bytes.
const maxPatch = 8 << 20

// Diff is what the sandbox changed since both sides agreed: every file, and a unified
// patch of the text files among them.
type Diff struct {
	Files []workspace.Change
	Patch string
}

// Diff shows what would come back; path narrows it to one file or folder of the root.
func (s *Session) Diff(ctx context.Context, path string) (Diff, error) {
	if _, err := s.sandbox("diff"); err == nil {
		// A checkpoint first, so that what is shown is what the sandbox holds now.
		if err := s.check.take(ctx); err != nil && !isDead(err) {
			return Diff{}, err
		}
	}
	s.trees.Lock()
	defer s.trees.Unlock()
	// The working tree may have moved or be gone; it is not needed.
	st := s.snapshotState()
	offered, err := s.offered(ctx, &st)
	if err != nil {
		return Diff{}, err
	}
	all, err := s.store.Changes(ctx, st.Subdir, st.Agreed, offered)
	if err != nil {
		return Diff{}, err
	}
	d := Diff{Files: []workspace.Change{}}
	for _, c := range all {
		if within(c.Path, path) || c.OldPath != "" && within(c.OldPath, path) {
			d.Files = append(d.Files, c)
		}
	}
	if path == "" || filepath.IsLocal(path) {
		d.Patch, err = s.store.Patch(ctx, st.Agreed, offered, path, maxPatch)
	}
	return d, err
}

// offered is the sandbox's tree without what was refused or thrown away: those paths
// are as both sides agreed.
func (s *Session) offered(ctx context.Context, st *state) (string, error) {
	if len(st.Declined) == 0 || st.Agreed == st.Theirs {
		return st.Theirs, nil
	}
	diff, err := s.store.Repo.Diff(ctx, st.Agreed, st.Theirs, false)
	if err != nil {
		return "", err
	}
	var put, removed []git.Change
	for _, d := range diff {
		path := cmp.Or(d.New.Path, d.Old.Path)
		if no, ok := st.Declined[path]; !ok || !no.Same(d.New) {
			continue
		}
		e := d.Old
		e.Path = path
		if e.Exists() {
			put = append(put, git.Change{Entry: e})
		} else {
			removed = append(removed, git.Change{Entry: e})
		}
	}
	// Removals first, so that a file can take the place of a folder.
	return s.store.Repo.Update(ctx, st.Theirs, append(removed, put...))
}

// within reports whether path is dir or lies below it; every path lies below "".
func within(path, dir string) bool {
	return dir == "" || path == dir || len(path) > len(dir) && path[:len(dir)] == dir && path[len(dir)] == '/'
}

// maxVersion bounds a file that is shown as a document, in bytes.
const maxVersion = 64 << 20

// FileVersion is what one side has at a path.
type FileVersion struct {
	Content []byte // of a symbolic link: where it points
	Perm    uint32 // permission bits, those that git keeps
	Link    bool   // a symbolic link
}

// Version gives one side's version of a path relative to the root: the sandbox's
// ("sandbox") or the one that both sides agreed on ("base"). A path that is not there is
// an error of kind fileNotFound.
func (s *Session) Version(ctx context.Context, side, path string) (FileVersion, error) {
	st := s.snapshotState()
	id := st.Agreed
	if side == "sandbox" {
		id = st.Theirs
	}
	var entry tree.Entry
	if filepath.IsLocal(path) {
		var err error
		if entry, err = s.store.Repo.Lookup(ctx, id, path); err != nil {
			return FileVersion{}, err
		}
	}
	if !entry.Exists() {
		return FileVersion{}, &Error{
			Kind: "fileNotFound", Op: "show the " + side + " version", Path: path, Session: s.ID(),
			Message: fmt.Sprintf("%s is not in the %s version", path, side),
		}
	}
	blobs, err := s.store.Repo.Blobs(ctx)
	if err != nil {
		return FileVersion{}, err
	}
	defer blobs.Close()
	content, err := blobs.Get(entry.Hash, maxVersion)
	if err != nil {
		return FileVersion{}, err
	}
	return FileVersion{Content: content, Perm: uint32(entry.Mode) & 0o777, Link: entry.Mode == tree.Symlink}, nil
}
