package agent

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"glue-lsp/internal/pack"
	"glue-lsp/internal/tree"
)

// identity lets commits inside work where nobody set a name up. It belongs to the
// repository alone; GIT_AUTHOR_NAME and its kin go before it.
const identity = "[user]\n\tname = glue sandbox\n\temail = sandbox@glue.invalid\n"

// newRepo is a repository that takes in a pack.
type newRepo struct {
	t      *trees
	dir    string
	format tree.Format
	pack   *os.File // the pack's bytes, under a name that git takes for unfinished
}

// startRepo makes an empty repository, and a file for its pack.
func (t *trees) startRepo(ctx context.Context, w populateWish) (*newRepo, error) {
	args := []string{"init", "--quiet", "--template="}
	if w.format != tree.SHA1 {
		args = append(args, "--object-format="+string(w.format))
	}
	if err := t.gitRun(ctx, nil, nil, args...); err != nil {
		return nil, err
	}
	r := &newRepo{t: t, dir: filepath.Join(t.root, ".git"), format: w.format}
	if err := r.configure(); err != nil {
		return nil, err
	}
	packs := filepath.Join(r.dir, "objects", "pack")
	if err := os.MkdirAll(packs, newDirMode); err != nil {
		return nil, err
	}
	var err error
	r.pack, err = os.CreateTemp(packs, "tmp_pack_")
	return r, err
}

func (r *newRepo) configure() error {
	if err := os.MkdirAll(filepath.Join(r.dir, "info"), newDirMode); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(r.dir, "info", "attributes"), []byte(noConversions), newFileMode); err != nil {
		return err
	}
	config, err := os.OpenFile(filepath.Join(r.dir, "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = config.WriteString(identity)
	return errors.Join(err, config.Close())
}

// keep makes the pack part of the repository by an index of our own: each object was
// decoded and hashed on its way, which is all that git would do once more. commit has
// to be one of them.
func (r *newRepo) keep(found map[pack.Kind][]pack.Object, commit string, sum []byte) error {
	name, err := pack.ParseName(commit)
	if err != nil || !slices.ContainsFunc(found[pack.Commit], func(o pack.Object) bool { return o.Name == name }) {
		return missingCommit(commit)
	}
	var objects []pack.Object
	for _, list := range found {
		objects = append(objects, list...)
	}
	index := pack.AppendIndex(nil, r.format, objects, sum)
	if twice, ok := pack.Duplicate(objects); ok {
		return badBundle(fmt.Errorf("it holds the object %s twice", twice.Hex(r.format)))
	}
	base := filepath.Join(filepath.Dir(r.pack.Name()), "pack-"+hex.EncodeToString(sum))
	err = errors.Join(r.pack.Chmod(packMode), r.pack.Close())
	if err == nil {
		err = os.Rename(r.pack.Name(), base+".pack")
	}
	if err == nil {
		err = os.WriteFile(base+".idx", index, packMode) // last: with it git sees the pack
	}
	r.pack = nil
	return err
}

// packMode is that of a pack's files, which never change.
const packMode = 0o444

// giveToGit makes git take in the pack, for one that has deltas.
func (r *newRepo) giveToGit(ctx context.Context, commit string) error {
	if _, err := r.pack.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := r.t.gitRun(ctx, r.pack, nil, "index-pack", "--stdin"); err != nil {
		return err
	}
	// Resolving the commit says plainly what is wrong if it is not there.
	if err := r.t.gitRun(ctx, nil, nil, "rev-parse", "--quiet", "--verify", commit+"^{commit}"); err != nil {
		return missingCommit(commit)
	}
	return nil
}

func missingCommit(commit string) error {
	return badBundle(fmt.Errorf("the commit %s is not in it", commit))
}

// point makes the refs.
func (r *newRepo) point(ctx context.Context, h bundleHeader, w populateWish) error {
	if len(w.shallow) > 0 {
		if err := os.WriteFile(filepath.Join(r.dir, "shallow"), []byte(strings.Join(w.shallow, "\n")+"\n"), newFileMode); err != nil {
			return err
		}
	}
	var refs strings.Builder
	head := w.commit + "\n"
	if w.branch != "" {
		head = "ref: refs/heads/" + w.branch + "\n"
		fmt.Fprintf(&refs, "create refs/heads/%s %s\n", w.branch, w.commit)
	}
	for _, ref := range h.refs {
		if strings.HasPrefix(ref.name, "refs/tags/") {
			fmt.Fprintf(&refs, "create %s %s\n", ref.name, ref.id)
		}
	}
	if refs.Len() > 0 {
		if err := r.t.gitRun(ctx, strings.NewReader(refs.String()), nil, "update-ref", "--stdin"); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(r.dir, "HEAD"), []byte(head), newFileMode)
}

// close removes the pack's file if it did not become part of the repository.
func (r *newRepo) close() {
	if r.pack == nil {
		return
	}
	_ = r.pack.Close()
	_ = os.Remove(r.pack.Name())
	r.pack = nil
}
