package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"

	"glue-lsp/internal/git"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/local"
	"glue-lsp/workspace"
)

// treeGoals are the goals of one tree's rows.
type treeGoals struct{ bundle, restored string }

// measureTrees measures reading the small tree into a bundle and restoring it, beside
// tar with zstd on the same files.
func (b *bench) measureTrees() error {
	return b.treeRows(b.small, 5, treeGoals{bundle: "≤ 300 ms, ≤ 10 MB", restored: "≤ 400 ms"})
}

// measureManyTrees is the same with the large tree.
func (b *bench) measureManyTrees() error {
	return b.treeRows(b.large, 1, treeGoals{bundle: "linear", restored: "linear"})
}

func (b *bench) treeRows(t *repo, runs int, goal treeGoals) error {
	dir, err := t.make()
	if err != nil {
		return err
	}
	g, err := git.Find(b.ctx)
	if err != nil {
		return err
	}
	archive := filepath.Join(b.work, t.name+".tar.zst")
	floor, err := median(runs, func() error { return pack(dir, archive) })
	if err != nil {
		return err
	}
	var size int64
	run := 0
	here, err := median(runs, func() error {
		run++
		var err error
		size, err = b.snapshot(g, dir, filepath.Join(b.work, fmt.Sprintf("%s-snap%d", t.name, run)))
		return err
	})
	if err != nil {
		return err
	}
	st, err := os.Stat(archive)
	if err != nil {
		return err
	}
	b.add(row{
		what: t.what + ", 100 edited: snapshot and bundle, cold", floor: "tar and zstd -3 of the same files",
		text: fmt.Sprintf("%s, %.1f MB | %s, %.1f MB | %.1f×, %.2f× the bytes", short(floor), float64(st.Size())/1e6, short(here), float64(size)/1e6, here.Seconds()/floor.Seconds(), float64(size)/float64(st.Size())),
		goal: goal.bundle,
	})
	run = 0
	floor, err = median(runs, func() error {
		run++
		return unpack(archive, filepath.Join(b.work, fmt.Sprintf("%s-untar%d", t.name, run)))
	})
	if err != nil {
		return err
	}
	bundle := filepath.Join(b.work, t.name+"-snap1", "bundle")
	run = 0
	here, err = median(runs, func() error {
		run++
		return restore(bundle, filepath.Join(b.work, fmt.Sprintf("%s-restored%d", t.name, run)))
	})
	if err != nil {
		return err
	}
	b.add(row{what: "the same restored by plain `git` from the bundle", floor: "untar of the same files", base: floor, here: here, goal: "–"})
	for _, warm := range []bool{false, true} {
		parts, err := b.openParts(g, dir, filepath.Join(b.work, t.name+"-parts"), b.openLocal)
		if err != nil {
			return err
		}
		if !warm {
			b.add(row{what: "the same restored in the sandbox, repository included", floor: "untar of the same files", base: floor, here: parts.filling, goal: goal.restored})
		}
		what := "an open's parts"
		if warm {
			what += ", warm"
		}
		b.add(row{what: what, floor: "–", goal: "–", text: parts.cells()})
	}
	return nil
}

// openParts are the parts of a session's open.
type openParts struct{ reading, bundling, starting, filling time.Duration }

func (p openParts) cells() string {
	return fmt.Sprintf("– | reading %s, bundling %s, sandbox %s, filling it %s | –", short(p.reading), short(p.bundling), short(p.starting), short(p.filling))
}

// openParts opens a session's parts one by one, to show where its time goes. The second
// time what the first one kept is of use.
func (b *bench) openParts(g *git.Git, dir, to string, open func(to string) (sandbox.Sandbox, error)) (p openParts, err error) {
	w, err := workspace.Open(b.ctx, g, dir, workspace.Options{CacheDir: filepath.Join(to, "cache")})
	if err != nil {
		return p, err
	}
	to, err = os.MkdirTemp(to, "session-")
	if err != nil {
		return p, err
	}
	s, err := workspace.CreateStore(b.ctx, g, filepath.Join(to, "objects.git"), w.Source().Format)
	if err != nil {
		return p, err
	}
	at := time.Now()
	lap := func() time.Duration {
		d := time.Since(at)
		at = time.Now()
		return d
	}
	snap, err := w.Snapshot(b.ctx, s, nil)
	if err != nil {
		return p, err
	}
	p.reading = lap()
	base, err := s.Base(b.ctx, snap, git.History{}, "main", filepath.Join(to, "bundle"), 0)
	if err != nil {
		return p, err
	}
	p.bundling = lap()
	box, err := open(to)
	if err != nil {
		return p, err
	}
	p.starting = lap()
	f, err := os.Open(base.BundlePath)
	if err != nil {
		return p, err
	}
	defer f.Close()
	err = box.Populate(b.ctx, sandbox.PopulateRequest{
		Bundle: f, BundlePath: base.BundlePath, Size: base.BundleSize, Lengths: base.Lengths, Commit: base.Commit, Branch: "main", Format: w.Source().Format, Entries: snap.Entries, Token: "bench",
	})
	p.filling = lap()
	return p, errors.Join(err, box.Close(b.ctx))
}

func (b *bench) openLocal(to string) (sandbox.Sandbox, error) {
	return local.New(local.Options{AgentPath: b.server, Home: to, Environ: os.Environ()}).Open(b.ctx, sandbox.Spec{
		Session: "parts", Dir: to, TreeDir: filepath.Join(to, "tree"),
	})
}

func (b *bench) snapshot(g *git.Git, dir, to string) (int64, error) {
	w, err := workspace.Open(b.ctx, g, dir, workspace.Options{CacheDir: filepath.Join(to, "cache")})
	if err != nil {
		return 0, err
	}
	s, err := workspace.CreateStore(b.ctx, g, filepath.Join(to, "objects.git"), w.Source().Format)
	if err != nil {
		return 0, err
	}
	snap, err := w.Snapshot(b.ctx, s, nil)
	if err != nil {
		return 0, err
	}
	base, err := s.Base(b.ctx, snap, git.History{}, "main", filepath.Join(to, "bundle"), 0)
	return base.BundleSize, err
}

func restore(bundle, to string) error {
	if err := gitIn(filepath.Dir(bundle), "init", "-q", to); err != nil {
		return err
	}
	if err := gitIn(to, "fetch", "-q", bundle, "refs/*:refs/bundle/*"); err != nil {
		return err
	}
	return gitIn(to, "checkout", "-q", "FETCH_HEAD")
}

func pack(dir, to string) (err error) {
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	z, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(3)))
	if err != nil {
		return err
	}
	w := tar.NewWriter(z)
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() == ".git" {
			if d != nil && d.Name() == ".git" {
				return fs.SkipDir
			}
			return err
		}
		if !d.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: p[len(dir)+1:], Mode: 0o644, Size: int64(len(content))}); err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	for _, c := range []io.Closer{w, z, f} {
		if closeErr := c.Close(); err == nil {
			err = closeErr
		}
	}
	return err
}

func unpack(archive, to string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		return err
	}
	defer z.Close()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.Join(to, h.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := os.WriteFile(name, content, 0o644); err != nil {
			return err
		}
	}
}
