package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"glue-lsp/internal/pack"
	"glue-lsp/internal/tree"
)

// PackCache is a folder of packs out of which a new store of the same tree takes what
// did not change since, instead of reading and compressing it once more. A store gets
// links to the packs, so that it is whole by itself, whatever becomes of the cache.
//
// It is only ever a saving. Packs are verified when they are taken, damaged ones are
// removed, and where links cannot be made nothing is taken. Several processes may use
// one folder at once: files appear in it complete, the index last, and never change.
type PackCache struct {
	Dir string

	total int64    // bytes of the packs that were taken
	stale []string // names, without ending, of packs that are not worth keeping
}

// Borrow makes those packs part of a store of which at least half are contents of
// entries, and calls has with the contents that the store has now.
func (c *PackCache) Borrow(ctx context.Context, r *Repo, entries []tree.Entry, has func(hash string)) error {
	bases, err := pack.Bases(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for packs to share: %w", err)
	}
	files := make([]*pack.File, len(bases))
	var each sync.WaitGroup
	for i, base := range bases {
		each.Go(func() { files[i] = c.borrow(r, base) })
	}
	each.Wait()
	set := packSet(slices.DeleteFunc(files, func(f *pack.File) bool { return f == nil }))
	defer set.close()
	if err := ctx.Err(); err != nil {
		return err
	}
	worth := set.worthKeeping(entries)
	for _, f := range set {
		base := packBase(f.Path())
		if !worth[f] {
			c.stale = append(c.stale, base)
			unlinkPack(filepath.Dir(f.Path()), base)
			continue
		}
		c.total += f.Size()
	}
	if c.total == 0 {
		return nil
	}
	if err := syncPath(filepath.Join(r.Dir, "objects", "pack")); err != nil {
		return err
	}
	for _, e := range entries {
		name, err := pack.ParseName(e.Hash)
		if err != nil {
			continue
		}
		if at, ok := set.find(name); ok && worth[at.File] {
			has(e.Hash)
		}
	}
	return nil
}

// borrow links one pack into a store and opens it there. It gives nil for one that
// cannot be used; a damaged one is removed from the cache.
func (c *PackCache) borrow(r *Repo, base string) *pack.File {
	dir := filepath.Join(r.Dir, "objects", "pack")
	if linkPack(c.Dir, dir, base) != nil {
		unlinkPack(dir, base)
		return nil
	}
	f, err := pack.Open(filepath.Join(dir, base), r.Format)
	if err == nil {
		if err = f.Verify(); err == nil {
			return f
		}
		_ = f.Close()
	}
	unlinkPack(dir, base)
	var damaged *pack.DamagedError
	if errors.As(err, &damaged) {
		unlinkPack(c.Dir, base)
	}
	return nil
}

// worthKeeping tells of which packs at least half of the bytes are contents of entries.
func (s packSet) worthKeeping(entries []tree.Entry) map[*pack.File]bool {
	used := map[*pack.File]int64{}
	seen := make(map[pack.Name]struct{}, len(entries))
	for _, e := range entries {
		name, err := pack.ParseName(e.Hash)
		if err != nil {
			continue
		}
		if _, again := seen[name]; again {
			continue
		}
		seen[name] = struct{}{}
		if at, ok := s.find(name); ok {
			used[at.File] += at.Length
		}
	}
	worth := map[*pack.File]bool{}
	for f, bytes := range used {
		worth[f] = 2*bytes >= f.Size()
	}
	return worth
}

// smallShare is which part of the cache a pack must at least be as large as to be
// added: what is less is compressed again each time, so that packs do not gather.
const smallShare = 16

// Lend puts the packs that this process wrote into the store into the cache, and
// removes from it what Borrow found to be of little use. It is called when the store
// holds the tree, and no other yet.
func (c *PackCache) Lend(r *Repo) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("share packs: %w", err)
	}
	dir := filepath.Join(r.Dir, "objects", "pack")
	for _, base := range r.ownPacks() {
		info, err := os.Stat(filepath.Join(dir, base+".pack"))
		if err != nil || smallShare*info.Size() < c.total {
			continue
		}
		if err := linkPack(dir, c.Dir, base); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("share packs: %w", err)
		}
	}
	for _, base := range c.stale {
		unlinkPack(c.Dir, base)
	}
	return nil
}

// Forget removes every pack from the cache.
func (c *PackCache) Forget() {
	bases, _ := pack.Bases(c.Dir) // a folder that is not there holds none
	for _, base := range bases {
		unlinkPack(c.Dir, base)
	}
}

func packBase(path string) string {
	base := filepath.Base(path)
	return base[:len(base)-len(".pack")]
}

// linkPack gives a pack a second name. The index comes last, for with it the pack
// counts: a pack without one is what a crash left, or another process is about to
// finish, and then has the same content.
func linkPack(from, to, base string) error {
	if _, err := os.Lstat(filepath.Join(to, base+".idx")); errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(filepath.Join(to, base+".pack"))
	}
	for _, ending := range []string{".pack", ".idx"} {
		if err := os.Link(filepath.Join(from, base+ending), filepath.Join(to, base+ending)); err != nil {
			return err
		}
	}
	return nil
}

// unlinkPack removes one of a pack's names, the index first.
func unlinkPack(dir, base string) {
	for _, ending := range []string{".idx", ".pack"} {
		_ = os.Remove(filepath.Join(dir, base+ending))
	}
}
