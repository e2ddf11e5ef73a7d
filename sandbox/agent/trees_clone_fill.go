package agent

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"

	"glue-lsp/internal/pack"
	"glue-lsp/sandbox"
)

// fillOverClone fills the root from what a clone brought and a bundle with the rest. The
// repository is then as if all had come in the bundle: only what the commit reaches is in
// it, and it does not end where the clone's history was cut.
func (t *trees) fillOverClone(ctx context.Context, w populateWish, header bundleHeader, in *bufio.Reader) error {
	if t.cloned != w.format {
		return refuse(sandbox.Conflict, "populate", t.root, "nothing was cloned that the bundle could go over")
	}
	t.cloned = ""
	repo := &newRepo{t: t, dir: filepath.Join(t.root, ".git"), format: w.format}
	var err error
	if repo.pack, err = os.CreateTemp(filepath.Join(repo.dir, "objects", "pack"), "tmp_pack_"); err != nil {
		return err
	}
	defer repo.close()
	s, err := pack.NewStream(in, w.format, repo.pack)
	if err != nil {
		return badBundle(err)
	}
	if err := s.Drain(); err != nil {
		return err
	}
	if err := repo.giveToGit(ctx, w.commit); err != nil {
		return err
	}
	repo.close()
	if err := repo.point(ctx, header, w); err != nil {
		return err
	}
	if err := t.checkout(ctx, w); err != nil {
		return err
	}
	return t.forgetClone(ctx, repo)
}

// forgetClone leaves in the repository what HEAD reaches. Where that cannot be done, all
// that was fetched stays, and the cut of its history with it.
func (t *trees) forgetClone(ctx context.Context, repo *newRepo) error {
	err := t.gitRun(ctx, nil, nil, "-c", "repack.writeBitmaps=false", "repack", "-a", "-d", "-q", "-n", "--window=0")
	if err == nil && hasLoose(repo.dir) {
		err = t.gitRun(ctx, nil, nil, "prune", "--expire=now")
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		_ = os.Remove(filepath.Join(repo.dir, "shallow"))
	}
	return nil
}

// hasLoose reports whether a repository has objects that are files of their own, as
// remotes give them that serve nothing but files.
func hasLoose(dir string) bool {
	list, _ := os.ReadDir(filepath.Join(dir, "objects"))
	return slices.ContainsFunc(list, func(d os.DirEntry) bool { return len(d.Name()) == 2 })
}

// openBundle opens a bundle that was sent ahead, as a file of the sandbox.
func openBundle(name string) (io.ReadCloser, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fileError("populate", name, err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = refuse(sandbox.InvalidParams, "populate", name, "it is not a file")
	}
	if err != nil {
		file.Close()
		return nil, fileError("populate", name, err)
	}
	return file, nil
}
