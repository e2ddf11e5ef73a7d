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

// measureTrees measures reading a repository into a bundle and restoring it, beside tar
// with zstd on the same files.
func (b *bench) measureTrees() error {
	dir := filepath.Join(b.work, "thirty")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := makeRepo(dir, 2800, 30*mebibyte, 100); err != nil {
		return err
	}
	g, err := git.Find(b.ctx)
	if err != nil {
		return err
	}
	archive := filepath.Join(b.work, "floor.tar.zst")
	start := time.Now()
	if err := pack(dir, archive); err != nil {
		return err
	}
	floor := time.Since(start)
	var size int64
	run := 0
	here, err := median(5, func() error {
		run++
		var err error
		size, err = b.snapshot(g, dir, filepath.Join(b.work, fmt.Sprintf("snap%d", run)))
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
		what: "2,800 files, 30 MB, 100 edited: snapshot and bundle, cold", floor: "tar and zstd -3 of the same files",
		text: fmt.Sprintf("%s, %.1f MB | %s, %.1f MB | %.1f×", short(floor), float64(st.Size())/1e6, short(here), float64(size)/1e6, here.Seconds()/floor.Seconds()),
		goal: "≤ 300 ms, ≤ 10 MB",
	})
	start = time.Now()
	if err := unpack(archive, filepath.Join(b.work, "untar")); err != nil {
		return err
	}
	floor = time.Since(start)
	bundle := filepath.Join(b.work, "snap1", "bundle")
	run = 0
	here, err = median(5, func() error {
		run++
		return restore(bundle, filepath.Join(b.work, fmt.Sprintf("restored%d", run)))
	})
	if err != nil {
		return err
	}
	b.add(row{what: "the same restored by plain `git` from the bundle", floor: "untar of the same files", base: floor, here: here, goal: "–"})
	return b.openSplit(g, dir, floor)
}

// openSplit opens a session's parts one by one, to show where its time goes.
func (b *bench) openSplit(g *git.Git, dir string, untar time.Duration) error {
	to := filepath.Join(b.work, "split")
	w, err := workspace.Open(b.ctx, g, dir, workspace.Options{CacheDir: filepath.Join(to, "cache")})
	if err != nil {
		return err
	}
	s, err := workspace.CreateStore(b.ctx, g, filepath.Join(to, "objects.git"), w.Source().Format)
	if err != nil {
		return err
	}
	at := time.Now()
	lap := func() time.Duration {
		d := time.Since(at)
		at = time.Now()
		return d
	}
	snap, err := w.Snapshot(b.ctx, s, nil)
	if err != nil {
		return err
	}
	reading := lap()
	base, err := s.Base(b.ctx, snap, "main", filepath.Join(to, "bundle"))
	if err != nil {
		return err
	}
	bundling := lap()
	box, err := local.New(local.Options{AgentPath: b.server, Home: to, Environ: os.Environ()}).Open(b.ctx, sandbox.Spec{
		Session: "split", Dir: to, TreeDir: filepath.Join(to, "tree"),
	})
	if err != nil {
		return err
	}
	starting := lap()
	f, err := os.Open(filepath.Join(to, "bundle"))
	if err != nil {
		return err
	}
	defer f.Close()
	err = box.Populate(b.ctx, sandbox.PopulateRequest{
		Bundle: f, Size: base.BundleSize, Commit: base.Commit, Branch: "main", Format: w.Source().Format, Entries: snap.Entries, Token: "bench",
	})
	if err != nil {
		return err
	}
	filling := lap()
	b.add(row{what: "the same restored in the sandbox, repository included", floor: "untar of the same files", base: untar, here: filling, goal: "≤ 400 ms"})
	b.add(row{
		what: "an open's parts", floor: "–", goal: "–",
		text: fmt.Sprintf("– | reading %s, bundling %s, sandbox %s, filling it %s | –", short(reading), short(bundling), short(starting), short(filling)),
	})
	return box.Close(b.ctx)
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
	base, err := s.Base(b.ctx, snap, "main", filepath.Join(to, "bundle"))
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
