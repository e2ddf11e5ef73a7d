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
	"slices"
	"strings"

	"glue-lsp/internal/pack"
	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// populateWish is a populate as the daemon sees it.
type populateWish struct {
	view, commit, branch, token string
	format                      tree.Format
	shallow                     []string // see gitrepository-layout(5)
	entries                     []tree.Entry
	lengths                     []int64 // of the objects in the pack, nil if not known

	overClone   bool // the bundle holds what a clone did not bring
	keepIgnored bool // what the root holds at ignored paths stays
	ignore      []tree.IgnoreFile
	gone        []tree.Entry // their paths do not stay
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
	var err error
	switch {
	case w.keepIgnored:
		err = t.clearForKept(w)
	case w.overClone: // the root holds what the clone left
	default:
		err = t.makeRoom()
	}
	if err != nil {
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
	t.wishes.knows([]string{w.commit})
	t.populated = true
	return nil
}

// emptyRoot makes sure that the root is an empty folder, but for what is lent.
func (t *trees) emptyRoot() error {
	const op = "populate"
	if err := os.MkdirAll(t.root, newDirMode); err != nil {
		return fileError(op, t.root, err)
	}
	list, err := t.strangers("")
	if err != nil {
		return fileError(op, t.root, err)
	}
	if len(list) == 0 {
		return nil
	}
	aside, err := os.MkdirTemp(filepath.Dir(t.root), filepath.Base(t.root)+".image-")
	for i, name := range list {
		if err != nil {
			break
		}
		err = os.Rename(filepath.Join(t.root, name), filepath.Join(aside, fmt.Sprintf("%d-%s", i, filepath.Base(name))))
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

// clearRoot is for after a failure. What a volume holds is nobody's to remove.
func (t *trees) clearRoot() {
	list, err := t.strangers("")
	if err != nil {
		return
	}
	for _, name := range list {
		if at := filepath.Join(t.root, name); mountBelow(at) == "" {
			_ = os.RemoveAll(at)
		}
	}
}

// strangers lists what is in a folder of the root and neither lent nor on the way to
// something lent.
func (t *trees) strangers(dir string) ([]string, error) {
	list, err := os.ReadDir(filepath.Join(t.root, dir))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, d := range list {
		name := filepath.Join(dir, d.Name())
		switch {
		case slices.Contains(t.lent, name):
		case d.IsDir() && t.leadsToLent(name):
			below, err := t.strangers(name)
			if err != nil {
				return nil, err
			}
			out = append(out, below...)
		default:
			out = append(out, name)
		}
	}
	return out, nil
}

func (t *trees) leadsToLent(dir string) bool {
	return slices.ContainsFunc(t.lent, func(lent string) bool { return strings.HasPrefix(lent, dir+"/") })
}

// fill unpacks the bundle: the agent writes the files and, where there is git, keeps the
// pack with an index of its own. Only a pack with deltas is left to git.
func (t *trees) fill(ctx context.Context, w populateWish, bundle io.Reader) error {
	in := bufio.NewReaderSize(bundle, 64<<10)
	header, err := readBundleHeader(in)
	switch {
	case err != nil:
		return badBundle(err)
	case header.format != w.format:
		return badBundle(fmt.Errorf("its object format is %s, not %s", header.format, w.format))
	case len(header.prerequisites) > 0:
		return badBundle(errors.New("it needs commits that an empty workspace does not have"))
	}
	if w.overClone {
		return t.fillOverClone(ctx, w, header, in)
	}
	isThere := t.leadsToLent
	if w.keepIgnored {
		isThere = t.isFolder
	}
	files, err := newFilesWriter(t.root, w.entries, isThere)
	if err != nil {
		return err
	}
	var sink io.Writer
	var repo *newRepo
	if t.git != "" {
		if repo, err = t.startRepo(ctx, w); err != nil {
			return err
		}
		defer repo.close()
		sink = repo.pack
	}
	if err := files.makeFolders(); err != nil {
		return err
	}
	s, err := pack.NewStream(in, w.format, sink)
	if err != nil {
		return badBundle(err)
	}
	found, err := files.unpack(ctx, s, w)
	if errors.Is(err, pack.ErrDelta) {
		return t.fillByGit(ctx, repo, header, w, s)
	}
	if err != nil {
		return err
	}
	sum, err := s.Finish()
	if err != nil {
		return badBundle(err)
	}
	// A host that has sent more than the pack learns of it by the stream's end.
	if err := s.Drain(); err != nil {
		return err
	}
	if repo == nil {
		return files.complete()
	}
	if err := repo.keep(found, w.commit, sum); err != nil {
		return err
	}
	if err := repo.point(ctx, header, w); err != nil {
		return err
	}
	if files.complete() != nil {
		return t.checkout(ctx, w)
	}
	return writeIndex(filepath.Join(t.root, ".git", "index"), w.format, files.sorted, files.names, files.stats)
}

// fillByGit unpacks a pack of which some objects are deltas.
func (t *trees) fillByGit(ctx context.Context, repo *newRepo, header bundleHeader, w populateWish, s *pack.Stream) error {
	if repo == nil {
		return &sandbox.Error{
			Kind: sandbox.Unsupported, Op: "populate", Path: t.root, Err: pack.ErrDelta,
			Message: "the bundle holds deltas, which only git can unpack, and there is no git in the sandbox",
			Hint:    "use an image with git, or send no history",
		}
	}
	if err := s.Drain(); err != nil {
		return err
	}
	if err := repo.giveToGit(ctx, w.commit); err != nil {
		return err
	}
	if err := repo.point(ctx, header, w); err != nil {
		return err
	}
	return t.checkout(ctx, w)
}

// checkout makes git write the files.
func (t *trees) checkout(ctx context.Context, w populateWish) error {
	return t.gitRun(ctx, nil, nil, "reset", "--hard", "--quiet", w.commit)
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
