package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// populateWish is a populate as the daemon sees it.
type populateWish struct {
	view, commit, branch, token string
	format                      tree.Format
	entries                     []tree.Entry
}

// populate fills the root from a bundle. What an image holds there is moved aside, and
// never taken for ours. After a failure the root is empty again.
func (t *trees) populate(ctx context.Context, w populateWish, bundle io.Reader) error {
	const op = "populate"
	if err := t.enter(ctx); err != nil {
		return err
	}
	defer t.leave()
	if t.populated {
		return refuse(sandbox.Conflict, op, t.root, "the workspace has been filled already")
	}
	if w.format == "" {
		w.format = tree.SHA1
	}
	if err := t.emptyRoot(); err != nil {
		return err
	}
	if err := t.fill(ctx, w, bundle); err != nil {
		t.clearRoot()
		return fileError(op, t.root, err)
	}
	t.format = w.format
	if w.token == "" {
		w.token = newID() // "" is the name of nothing at all
	}
	t.ledger.adopt(w.view, w.token, w.entries)
	t.populated = true
	return nil
}

// emptyRoot makes sure that the root is an empty folder.
func (t *trees) emptyRoot() error {
	const op = "populate"
	if err := os.MkdirAll(t.root, newDirMode); err != nil {
		return fileError(op, t.root, err)
	}
	list, err := os.ReadDir(t.root)
	if err != nil {
		return fileError(op, t.root, err)
	}
	if len(list) == 0 {
		return nil
	}
	aside, err := os.MkdirTemp(filepath.Dir(t.root), filepath.Base(t.root)+".image-")
	for _, d := range list {
		if err != nil {
			break
		}
		err = os.Rename(filepath.Join(t.root, d.Name()), filepath.Join(aside, d.Name()))
	}
	if err != nil {
		return &sandbox.Error{
			Kind: sandbox.Conflict, Op: op, Path: t.root, Err: err,
			Message: "the sandbox's image has files in the workspace folder, which cannot be moved aside: " + reason(err),
			Hint:    "use an image in which the folder is empty",
		}
	}
	return nil
}

func (t *trees) clearRoot() {
	list, err := os.ReadDir(t.root)
	if err != nil {
		return
	}
	for _, d := range list {
		_ = os.RemoveAll(filepath.Join(t.root, d.Name()))
	}
}

// fill unpacks the bundle. The files are written by the agent while git, if there is
// one, takes in the same bytes; where the pack has deltas, git writes the files.
func (t *trees) fill(ctx context.Context, w populateWish, bundle io.Reader) error {
	in := bufio.NewReaderSize(bundle, 256<<10)
	header, err := readBundleHeader(in)
	switch {
	case err != nil:
		return badBundle(err)
	case header.format != w.format:
		return badBundle(fmt.Errorf("its object format is %s, not %s", header.format, w.format))
	case len(header.prerequisites) > 0:
		return badBundle(errors.New("it needs commits that an empty workspace does not have"))
	}
	var repo *newRepo
	pack := in
	if t.git != "" {
		if repo, err = t.startRepo(ctx, w); err != nil {
			return err
		}
		defer repo.abandon()
		pack = bufio.NewReaderSize(io.TeeReader(in, repo.pack), 256<<10)
	}
	files, err := newFilesWriter(t.root, w)
	if err != nil {
		return err
	}
	err = readPack(pack, files.blob)
	deltas := errors.Is(err, errDelta)
	switch {
	case deltas && repo == nil:
		return &sandbox.Error{
			Kind: sandbox.Unsupported, Op: "populate", Path: t.root, Err: err,
			Message: "the bundle holds deltas, which only git can unpack, and there is no git in the sandbox",
			Hint:    "use an image with git, or send no history",
		}
	case err != nil && !deltas:
		return repo.explain(err)
	}
	// The checksum at the pack's end, and after deltas all the rest, is for git.
	if _, err := io.Copy(io.Discard, pack); err != nil {
		return repo.explain(err)
	}
	if repo == nil {
		return files.complete()
	}
	if err := repo.finish(ctx, header, w); err != nil {
		return err
	}
	if deltas || files.complete() != nil {
		return t.gitRun(ctx, nil, nil, "reset", "--hard", "--quiet", w.commit)
	}
	return writeIndex(filepath.Join(t.root, ".git", "index"), t.root, w.format, files.sorted)
}

func badBundle(err error) error {
	return &sandbox.Error{Kind: sandbox.InvalidParams, Op: "populate", Message: "the bundle cannot be used: " + err.Error(), Err: err}
}

var errIsDir = errors.New("it is a directory")

// readSmall reads a file that is only ever small.
func readSmall(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errIsDir
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("it is not a file")}
	}
	return io.ReadAll(io.LimitReader(file, 1<<20))
}
