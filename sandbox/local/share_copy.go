package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"glue-lsp/sandbox"
)

// Bounds of copying. A copy by reference takes no room, but time for each file.
const (
	copyMaxBytes = 1 << 30
	copyMaxFiles = 300_000
)

const shareHint = "name commands in the setting setup that put it there"

// copier copies lent folders of one sandbox.
type copier struct {
	// from and to are the host's root and the sandbox's, when what is copied must no longer
	// lead to the first: a script of a virtual environment would change the host's. With
	// to "" nothing is led elsewhere.
	from, to string
	room     *int64 // bytes that may be copied, for all folders together
	progress func(message string)
	clone    func(dst, src *os.File) error // nil is the system's

	byReference atomic.Bool
	files, size int64
	slots       chan struct{}
}

// copy makes l.at what the host's folder is, and says how. After an error nothing is there.
func (c *copier) copy(ctx context.Context, l loan) (how string, err error) {
	src, err := openFolder(l.root, l.path)
	if err != nil {
		return "", err
	}
	defer src.Close()
	if c.to != "" && fixedInPlace(src) {
		return "", fmt.Errorf("it holds a conda environment, which works only where it was made, and overlays do not work here; %s", shareHint)
	}
	first, err := c.measure(ctx, src)
	if err != nil {
		return "", err
	}
	if c.files > copyMaxFiles {
		return "", fmt.Errorf("it holds more than %d files, and overlays do not work here; %s", copyMaxFiles, shareHint)
	}
	if err := os.MkdirAll(l.at, 0o700); err != nil {
		return "", err
	}
	dst, err := os.OpenRoot(l.at)
	if err != nil {
		return "", err
	}
	defer dst.Close()
	if c.clone == nil {
		c.clone = cloneFile
	}
	c.byReference.Store(first == "" || c.try(src, dst, first) == nil)
	how = sandbox.LentClone
	if !c.byReference.Load() {
		if how = sandbox.LentCopy; c.size > *c.room {
			return "", errors.Join(
				fmt.Errorf("it holds %d MiB, more than the %d MiB that are copied in all, and neither overlays nor copies by reference work here; %s", c.size>>20, int64(copyMaxBytes)>>20, shareHint),
				os.RemoveAll(l.at),
			)
		}
		*c.room -= c.size
	}
	if c.progress != nil && c.files > 1000 {
		c.progress(fmt.Sprintf("copying %s: %d files, %d MiB", l.path, c.files, c.size>>20))
	}
	c.slots = make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	err = c.folder(ctx, src, dst)
	if err == nil && c.to != "" {
		err = relocate(dst, c.from, c.to)
	}
	if info, statErr := src.Stat("."); err == nil && statErr == nil {
		err = errors.Join(os.Chtimes(l.at, info.ModTime(), info.ModTime()), os.Chmod(l.at, info.Mode().Perm()))
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(l.at))
	}
	return how, nil
}

// openFolder opens a folder below root, through no link.
func openFolder(root, path string) (*os.Root, error) {
	top, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer top.Close()
	for part := filepath.FromSlash(path); part != "."; part = filepath.Dir(part) {
		info, err := top.Lstat(part)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			return nil, fmt.Errorf("%s is not a folder but a %s", part, typeName(info.Mode()))
		}
	}
	return top.OpenRoot(filepath.FromSlash(path))
}

func typeName(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "link"
	case m.IsRegular():
		return "file"
	}
	return "special file"
}

// measure counts what is to be copied, and names a file of it.
func (c *copier) measure(ctx context.Context, src *os.Root) (first string, err error) {
	err = fs.WalkDir(src.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil || d.IsDir():
			return nil //nolint:nilerr // what cannot be read is left out
		case c.files > copyMaxFiles:
			return fs.SkipAll
		}
		c.files++
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			c.size += info.Size()
			if first == "" && info.Size() > 0 && info.Mode().Perm()&0o400 != 0 {
				first = name
			}
		}
		return nil
	})
	return first, err
}

// try copies one file by reference, to see whether that works between the two folders.
func (c *copier) try(src, dst *os.Root, name string) error {
	in, err := src.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	const probe = ".glue-probe"
	out, err := dst.OpenFile(probe, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	return errors.Join(c.clone(out, in), dst.Remove(probe))
}

// folder copies what is in a folder. It leaves out what cannot be read, and what is
// neither file, folder nor link.
func (c *copier) folder(ctx context.Context, src, dst *os.Root) error {
	list, err := readDir(src)
	if err != nil {
		return nil //nolint:nilerr // as unreadable inside as outside
	}
	var below group
	for _, d := range list {
		if ctx.Err() != nil {
			break
		}
		name := d.Name()
		info, err := d.Info()
		if err != nil {
			continue
		}
		switch {
		case info.IsDir():
			if err := dst.Mkdir(name, 0o700); err != nil {
				return errors.Join(err, below.Wait())
			}
			into := func() error { return c.into(ctx, src, dst, name, info) }
			select {
			case c.slots <- struct{}{}:
				below.Go(func() error {
					defer func() { <-c.slots }()
					return into()
				})
			default:
				err = into()
			}
		case info.Mode()&fs.ModeSymlink != 0:
			err = c.link(src, dst, name)
		case info.Mode().IsRegular():
			err = c.file(src, dst, name, info)
		}
		if err != nil {
			return errors.Join(err, below.Wait())
		}
	}
	return errors.Join(below.Wait(), ctx.Err())
}

// group is goroutines of which every error counts.
type group struct {
	wg   sync.WaitGroup
	mu   sync.Mutex
	errs []error
}

func (g *group) Go(f func() error) {
	g.wg.Go(func() {
		if err := f(); err != nil {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.errs = append(g.errs, err)
		}
	})
}

func (g *group) Wait() error {
	g.wg.Wait()
	return errors.Join(g.errs...)
}

func readDir(dir *os.Root) ([]fs.DirEntry, error) {
	f, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

func (c *copier) into(ctx context.Context, src, dst *os.Root, name string, info fs.FileInfo) error {
	from, err := src.OpenRoot(name)
	if err != nil {
		return nil //nolint:nilerr // gone, or unreadable
	}
	defer from.Close()
	to, err := dst.OpenRoot(name)
	if err != nil {
		return err
	}
	defer to.Close()
	if err := c.folder(ctx, from, to); err != nil {
		return err
	}
	return alike(dst, name, info)
}

// alike gives a copy its mode and time, which tools compare with what they noted.
func alike(dst *os.Root, name string, info fs.FileInfo) error {
	return errors.Join(dst.Chtimes(name, info.ModTime(), info.ModTime()), dst.Chmod(name, info.Mode().Perm()))
}

func (c *copier) link(src, dst *os.Root, name string) error {
	target, err := src.Readlink(name)
	if err != nil {
		return nil //nolint:nilerr // gone
	}
	if c.to != "" && within(c.from, target) {
		target = c.to + strings.TrimPrefix(target, c.from)
	}
	return dst.Symlink(target, name)
}

func (c *copier) file(src, dst *os.Root, name string, info fs.FileInfo) error {
	in, err := src.Open(name)
	if err != nil {
		return nil //nolint:nilerr // gone, or unreadable
	}
	defer in.Close()
	out, err := dst.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if !c.byReference.Load() || c.clone(out, in) != nil {
		_, err = io.Copy(out, in)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	return alike(dst, name, info)
}
