package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zlib"

	"glue-lsp/internal/pack"
)

// Blob is one content for AddBlobs: Size bytes that Open gives. Name is what an
// error calls it, usually its path.
type Blob struct {
	Name string
	Size int64
	Open func() (io.ReadCloser, error)
}

const (
	// wholeBlob is the largest content, in bytes, that is held in memory as a whole.
	wholeBlob = 4 << 20
	// packLimit is how large a pack may grow before the next one is begun. Offsets
	// below 2 GiB need no second table in the index.
	packLimit = 1 << 30
	// packLevel is how hard content is compressed.
	packLevel = 6
)

// AddBlobs stores contents and gives their names, in the order of blobs. It does what
// feeding them to fast-import does, with all processors and a faster deflate: the
// first snapshot of a tree is little else. What was stored is durable, and visible to
// git, when it returns; after an error nothing is.
func (r *Repo) AddBlobs(ctx context.Context, blobs []Blob) ([]string, error) {
	p := r.newPacking()
	names, err := p.blobs(ctx, blobs)
	if err := p.end(err); err != nil {
		return nil, fmt.Errorf("store contents: %w", err)
	}
	ids := make([]string, len(names))
	for i := range names {
		ids[i] = names[i].Hex(r.Format)
	}
	return ids, nil
}

// packing writes objects into packs of their own that nobody sees until it ends.
type packing struct {
	repo  *Repo
	dir   string
	packs []*packFile
	seen  map[pack.Name]struct{}
	z     *zlib.Writer
	buf   bytes.Buffer
}

func (r *Repo) newPacking() *packing {
	return &packing{repo: r, dir: filepath.Join(r.Dir, "objects", "pack"), seen: map[pack.Name]struct{}{}}
}

// end publishes everything, durably, unless err says that something failed; then
// nothing is left. It gives err, or what failed now.
func (p *packing) end(err error) error {
	for _, f := range p.packs {
		if err == nil {
			err = f.publish(p.dir)
		}
		err = errors.Join(err, f.discard())
	}
	if err == nil && len(p.packs) > 0 {
		err = syncPath(p.dir)
	}
	return err
}

// room gives the pack that takes the next object.
func (p *packing) room() (*packFile, error) {
	if n := len(p.packs); n > 0 && p.packs[n-1].size < packLimit {
		return p.packs[n-1], nil
	}
	f, err := p.repo.newPackFile(p.dir)
	if f != nil {
		p.packs = append(p.packs, f)
	}
	return f, err
}

// add adds an object as it lies in a pack, once.
func (p *packing) add(name pack.Name, data []byte) error {
	if _, ok := p.seen[name]; ok {
		return nil
	}
	p.seen[name] = struct{}{}
	f, err := p.room()
	if err != nil {
		return err
	}
	return f.add(name, data)
}

// object adds an object that is held in memory.
func (p *packing) object(kind pack.Kind, name pack.Name, content []byte) error {
	if _, ok := p.seen[name]; ok {
		return nil
	}
	if p.z == nil {
		p.z = newDeflater()
	}
	p.buf.Reset()
	if err := deflate(&p.buf, p.z, kind, content); err != nil {
		return err
	}
	return p.add(name, p.buf.Bytes())
}

func newDeflater() *zlib.Writer {
	z, _ := zlib.NewWriterLevel(io.Discard, packLevel) // fails only for an unknown level
	return z
}

// deflate appends an object to out as it lies in a pack.
func deflate(out *bytes.Buffer, z *zlib.Writer, kind pack.Kind, content []byte) error {
	out.Write(pack.AppendHeader(out.AvailableBuffer(), kind, int64(len(content))))
	z.Reset(out)
	_, err := z.Write(content)
	return errors.Join(err, z.Close())
}

// packed is a content as a pack holds it.
type packed struct {
	at   int // index in blobs
	name pack.Name
	data *bytes.Buffer // the object, header included
	err  error
}

// blobs adds contents and names them.
func (p *packing) blobs(ctx context.Context, blobs []Blob) ([]pack.Name, error) {
	names := make([]pack.Name, len(blobs))
	if err := p.small(ctx, blobs, names); err != nil {
		return nil, err
	}
	for i, b := range blobs {
		if b.Size <= wholeBlob {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f, err := p.room()
		if err != nil {
			return nil, err
		}
		if names[i], err = f.stream(b); err != nil {
			return nil, b.failed(err)
		}
		if _, ok := p.seen[names[i]]; ok {
			if err := f.dropLast(); err != nil {
				return nil, err
			}
		}
		p.seen[names[i]] = struct{}{}
	}
	return names, ctx.Err()
}

// small adds those contents that are held in memory as a whole.
func (p *packing) small(ctx context.Context, blobs []Blob, names []pack.Name) error {
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan packed, 16)
	free := make(chan *bytes.Buffer, cap(results))
	var workers sync.WaitGroup
	defer workers.Wait()
	defer func() {
		cancel()
		for range results { // lets the workers go
		}
	}()
	var next atomic.Int64
	for range min(runtime.GOMAXPROCS(0), len(blobs)) {
		workers.Go(func() { p.repo.deflateSome(ctx, blobs, &next, results, free) })
	}
	go func() { workers.Wait(); close(results) }()
	for r := range results {
		if r.err != nil {
			return r.err
		}
		names[r.at] = r.name
		if err := p.add(r.name, r.data.Bytes()); err != nil {
			return err
		}
		select {
		case free <- r.data:
		default:
		}
	}
	return ctx.Err()
}

// deflateSome reads and compresses contents until none are left. Buffers that were
// used come back by free.
func (r *Repo) deflateSome(ctx context.Context, blobs []Blob, next *atomic.Int64, results chan<- packed, free <-chan *bytes.Buffer) {
	z, namer := newDeflater(), pack.NewNamer(r.Format)
	var content bytes.Buffer
	for ctx.Err() == nil {
		i := int(next.Add(1)) - 1
		if i >= len(blobs) {
			return
		}
		if blobs[i].Size > wholeBlob {
			continue
		}
		p := packed{at: i}
		content.Reset()
		if p.err = readBlob(&content, blobs[i]); p.err != nil {
			p.err = blobs[i].failed(p.err)
		} else {
			select {
			case p.data = <-free:
				p.data.Reset()
			default:
				p.data = new(bytes.Buffer)
			}
			p.name = namer.Name(pack.Blob, content.Bytes())
			p.err = deflate(p.data, z, pack.Blob, content.Bytes())
		}
		select {
		case results <- p:
		case <-ctx.Done():
			return
		}
	}
}

func (b Blob) failed(err error) error {
	if b.Name == "" {
		return err
	}
	return fmt.Errorf("read %s: %w", b.Name, err)
}

// readBlob reads a whole content.
func readBlob(out *bytes.Buffer, b Blob) error {
	from, err := b.Open()
	if err != nil {
		return err
	}
	defer from.Close() //nolint:errcheck // only read
	out.Grow(int(b.Size) + bytes.MinRead)
	return copyExactly(out, from, b.Size)
}
