package modal

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"glue-lsp/sandbox"
)

// Files of an image without a shell: by the SDK's own calls, of which each costs several
// round trips, and which name no file whose name is not UTF-8.

// plainPath refuses what the SDK cannot name.
func (d *direct) plainPath(op, p string) (string, error) {
	at, err := d.resolve(op, p)
	if err == nil && !utf8.ValidString(at) {
		return "", refuse(sandbox.Unsupported, op, at, "a name that is not UTF-8 needs a shell (sh) in the image where there is no agent")
	}
	return at, err
}

func (d *direct) plainCall(ctx context.Context, op, p, method string, params map[string]any) error {
	at, err := d.plainPath(op, p)
	if err != nil {
		return err
	}
	params["path"] = at
	return d.call(ctx, op, at, method, params, nil)
}

// plainStats describes those of the paths whose result has no error yet, some at a time.
func (d *direct) plainStats(ctx context.Context, paths []string, out []sandbox.StatResult) {
	const atOnce = 8
	var all sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i, p := range paths {
		if out[i].Err != nil {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			out[i].Info, out[i].Err = d.plainStat(ctx, "stat", p)
		})
	}
	all.Wait()
}

func (d *direct) plainStat(ctx context.Context, op, p string) (sandbox.FileInfo, error) {
	at, err := d.plainPath(op, p)
	if err != nil {
		return sandbox.FileInfo{}, err
	}
	var r struct {
		Type           string
		IsSymbolicLink bool
		Size           int64
		MTime          float64
		Mode           uint32
		Target         string
	}
	if err := d.call(ctx, op, at, "fs/stat", map[string]any{"path": at}, &r); err != nil {
		return sandbox.FileInfo{}, err
	}
	return sandbox.FileInfo{
		Type: r.Type, IsSymlink: r.IsSymbolicLink, Size: r.Size, ModTime: time.UnixMicro(int64(r.MTime * 1000)), Mode: permissions(r.Mode), Target: r.Target,
	}, nil
}

func (d *direct) plainReadDir(ctx context.Context, op, p string) ([]sandbox.DirEntry, error) {
	at, err := d.plainPath(op, p)
	if err != nil {
		return nil, err
	}
	var r struct {
		Entries []struct {
			Name, Type     string
			IsSymbolicLink bool
		}
	}
	if err := d.call(ctx, op, at, "fs/readDirectory", map[string]any{"path": at}, &r); err != nil {
		return nil, err
	}
	out := make([]sandbox.DirEntry, len(r.Entries))
	for i, e := range r.Entries {
		out[i] = sandbox.DirEntry{Name: e.Name, Type: e.Type, IsSymlink: e.IsSymbolicLink}
	}
	slices.SortFunc(out, func(a, b sandbox.DirEntry) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (d *direct) plainRead(ctx context.Context, f *os.File, op, p string, offset, length int64) (io.Reader, int64, error) {
	info, err := d.plainStat(ctx, op, p)
	switch {
	case err != nil:
		return nil, 0, err
	case info.Type == "directory":
		return nil, 0, refuse(sandbox.IsADirectory, op, p, meaning[sandbox.IsADirectory])
	case info.Type != "file":
		return nil, 0, refuse(sandbox.Unsupported, op, p, meaning[sandbox.Unsupported])
	}
	// The SDK puts another file in its place, under the same name.
	if err := d.plainCall(ctx, op, p, "fs/download", map[string]any{"localPath": f.Name()}); err != nil {
		return nil, 0, err
	}
	content, err := os.Open(f.Name())
	if err != nil {
		return nil, 0, &sandbox.Error{Kind: sandbox.Unavailable, Op: op, Path: p, Message: err.Error(), Err: err}
	}
	size := info.Size
	if now, err := content.Stat(); err == nil {
		size = now.Size()
	}
	if length < 0 {
		length = size
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(content, min(offset, size), length), content}, size, nil
}

// plainMayWrite applies the rules of create and overwrite.
func (d *direct) plainMayWrite(ctx context.Context, op, p string, opts sandbox.WriteOptions) error {
	info, err := d.plainStat(ctx, op, p)
	switch {
	case kindIs(err, sandbox.FileNotFound) && opts.Create:
		return nil
	case err != nil:
		return err
	case info.Type == "directory":
		return refuse(sandbox.IsADirectory, op, p, meaning[sandbox.IsADirectory])
	case info.Type != "file":
		return refuse(sandbox.Unsupported, op, p, meaning[sandbox.Unsupported])
	case !opts.Create && !opts.Overwrite:
		return refuse(sandbox.FileNotFound, op, p, "it may be neither made nor replaced")
	case !opts.Overwrite:
		return refuse(sandbox.FileExists, op, p, meaning[sandbox.FileExists])
	}
	return nil
}

func (d *direct) plainWrite(ctx context.Context, op, p, local string, opts sandbox.WriteOptions) error {
	if opts.Mode != nil {
		return refuse(sandbox.Unsupported, op, p, "a file's mode can be set only with a shell (sh) in the image, where there is no agent")
	}
	if err := d.plainMayWrite(ctx, op, p, opts); err != nil {
		return err
	}
	return d.plainCall(ctx, op, p, "fs/upload", map[string]any{"localPath": local})
}

func (d *direct) plainRemove(ctx context.Context, op, p string, recursive, force bool) error {
	at, err := d.plainPath(op, p)
	if err != nil {
		return err
	}
	for _, keep := range []string{d.info.Root, d.info.Cwd} {
		if at == "/" || keep == at || strings.HasPrefix(keep, at+"/") {
			return refuse(sandbox.Unsupported, op, at, "the workspace and what holds it stay where they are")
		}
	}
	return d.call(ctx, op, at, "fs/delete", map[string]any{"path": at, "recursive": recursive, "force": force}, nil)
}
