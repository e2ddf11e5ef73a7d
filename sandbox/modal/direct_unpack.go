package modal

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"glue-lsp/internal/pack"
	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// blobs are the contents of a bundle, taken out on this side.
type blobs struct {
	format tree.Format
	file   *os.File
	at     map[string]extent // by object id
}

type extent struct{ offset, size int64 }

// fillByFiles takes the bundle apart here and sends the files.
func (d *direct) fillByFiles(ctx context.Context, req sandbox.PopulateRequest) error {
	const op = "populate"
	if req.OverClone {
		return refuse(sandbox.Unsupported, op, d.info.Root, "there is no git in the sandbox, and so no clone to go over")
	}
	f, err := d.spool(op)
	if err != nil {
		return err
	}
	defer drop(f)
	b := &blobs{format: req.Format, file: f, at: map[string]extent{}}
	if err := b.read(&told{r: req.Bundle, total: req.Size, tell: req.Progress}, req.Commit); err != nil {
		return err
	}
	for _, e := range req.Entries {
		if badPath(e.Path) != "" {
			return badBundle(fmt.Errorf("%q is no path of a tree", clip(e.Path, 200)))
		}
		if at, ok := b.at[e.Hash]; !ok || at.size != e.Size {
			return badBundle(fmt.Errorf("the content of %q is not in it", clip(e.Path, 200)))
		}
	}
	if req.KeepIgnored {
		err = d.clearForKept(ctx, op, req)
	} else {
		_, err = d.sh(ctx, op, d.info.Root, script{name: "unpack.sh", args: []string{d.info.Root, ""}})
	}
	if err != nil {
		return err
	}
	if len(req.Entries) == 0 {
		return nil
	}
	if d.has.tar {
		return d.sendTar(ctx, op, req.Entries, b)
	}
	return d.sendFiles(ctx, op, req.Entries, b)
}

// told tells how far a bundle was read, but not its end: that is when the files are there.
type told struct {
	r           io.Reader
	done, total int64
	tell        func(done, total int64)
}

func (t *told) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.done += int64(n)
	if n > 0 && t.tell != nil && t.done < t.total {
		t.tell(t.done, t.total)
	}
	return n, err
}

// read takes all blobs out of a bundle, and checks that commit is in it.
func (b *blobs) read(r io.Reader, commit string) error {
	in := bufio.NewReaderSize(r, 64<<10)
	header, err := agent.ReadBundleHeader(in)
	if err := whole(header, err, b.format); err != nil {
		return err
	}
	s, err := pack.NewStream(in, b.format, nil)
	if err != nil {
		return badBundle(err)
	}
	out := bufio.NewWriterSize(b.file, 256<<10)
	offset, found := int64(0), false
	for {
		kind, size, err := s.Next()
		switch {
		case errors.Is(err, io.EOF):
			if _, err := s.Finish(); err != nil {
				return badBundle(err)
			}
			if !found {
				return badBundle(fmt.Errorf("the commit %s is not in it", commit))
			}
			return out.Flush()
		case errors.Is(err, pack.ErrDelta):
			return &sandbox.Error{
				Kind: sandbox.Unsupported, Op: "populate", Err: err,
				Message: "the bundle holds deltas, which only git can unpack, and there is no git in the sandbox",
				Hint:    "use an image with git, or send no history",
			}
		case err != nil:
			return badBundle(err)
		}
		sum := pack.NewHash(b.format, kind, size)
		to := io.Writer(sum)
		if kind == pack.Blob {
			to = io.MultiWriter(sum, out)
		}
		if _, err := io.Copy(to, s); err != nil {
			return badBundle(err)
		}
		if _, err := s.End(); err != nil {
			return badBundle(err)
		}
		name := pack.Sum(sum)
		id := name.Hex(b.format)
		switch kind {
		case pack.Blob:
			b.at[id] = extent{offset, size}
			offset += size
		case pack.Commit:
			found = found || id == commit
		}
	}
}

func (b *blobs) content(e tree.Entry) *io.SectionReader {
	at := b.at[e.Hash]
	return io.NewSectionReader(b.file, at.offset, at.size)
}

// sendTar sends all files as one. GNU's form carries names of any bytes, and busybox
// reads it, too.
func (d *direct) sendTar(ctx context.Context, op string, entries []tree.Entry, b *blobs) error {
	f, err := d.spool(op)
	if err != nil {
		return err
	}
	defer drop(f)
	out := bufio.NewWriterSize(f, 256<<10)
	if err := writeTar(out, entries, b); err != nil {
		return &sandbox.Error{Kind: sandbox.Unavailable, Op: op, Path: f.Name(), Message: err.Error(), Err: err}
	}
	const there = "/tmp/glue-bootstrap.tar"
	if err := d.call(ctx, op, "", "fs/upload", map[string]any{"path": there, "localPath": f.Name()}, nil); err != nil {
		return err
	}
	_, err = d.sh(ctx, op, d.info.Root, script{name: "unpack.sh", args: []string{d.info.Root, there}})
	return err
}

func writeTar(out *bufio.Writer, entries []tree.Entry, b *blobs) error {
	w := tar.NewWriter(out)
	for _, e := range entries {
		h := &tar.Header{Format: tar.FormatGNU, Name: "./" + e.Path, Typeflag: tar.TypeReg, Mode: 0o644, Size: e.Size, ModTime: time.Now().Truncate(time.Second)}
		switch e.Mode {
		case tree.Executable:
			h.Mode = 0o755
		case tree.Symlink:
			target, err := io.ReadAll(b.content(e))
			if err != nil {
				return err
			}
			h.Typeflag, h.Mode, h.Size, h.Linkname = tar.TypeSymlink, 0o777, 0, string(target)
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if h.Size > 0 {
			if _, err := io.Copy(w, b.content(e)); err != nil {
				return err
			}
		}
	}
	return errors.Join(w.Close(), out.Flush())
}

// sendFiles writes the files one by one, for an image without tar.
func (d *direct) sendFiles(ctx context.Context, op string, entries []tree.Entry, b *blobs) error {
	writes := make([]sandbox.TreeWrite, len(entries))
	for i, e := range entries {
		writes[i] = sandbox.TreeWrite{Expect: tree.Entry{Path: e.Path}, New: e, Open: func() (io.ReadCloser, error) {
			return io.NopCloser(b.content(e)), nil
		}}
	}
	results, err := d.writeAll(ctx, op, b.format, writes)
	if err != nil {
		return err
	}
	for _, r := range results {
		if !r.Written {
			return refuse(sandbox.Unavailable, op, r.Path, r.Err)
		}
	}
	return nil
}
