package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"sync"

	"glue-lsp/internal/pack"
	"glue-lsp/internal/tree"
)

// holdWhole is the largest object, and the largest part of a pack, that is held in
// memory, in bytes; a larger object is spooled to a file.
const holdWhole = 1 << 20

// unpacked is an object on its way from the one who reads the pack to those who decode
// and name objects and write files.
type unpacked struct {
	object pack.Object
	// One of these is set: the object as it lies in the pack, or what it is.
	raw     []byte
	content *unpackedContent
}

// unpackedContent is an object's kind and content.
type unpackedContent struct {
	kind  pack.Kind
	name  pack.Name     // if it is large
	small *bytes.Buffer // if it is not
	large *tree.Content
}

func (c *unpackedContent) drop() {
	if c != nil && c.large != nil {
		_ = c.large.Close()
	}
}

// unpacking shares the work of taking a pack apart. Reading it is one goroutine's work;
// the rest is shared by others, decoding included where the objects' lengths are known.
type unpacking struct {
	files   *filesWriter
	stream  *pack.Stream
	format  tree.Format
	lengths []int64
	objects chan unpacked
	raws    chan []byte // buffers that are free
}

// unpack writes the files whose contents a pack holds, and gives all its objects, in no
// order.
func (f *filesWriter) unpack(ctx context.Context, s *pack.Stream, w populateWish) (map[pack.Kind][]pack.Object, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	workers := make([]unpacker, min(max(runtime.GOMAXPROCS(0), 2), 8))
	u := &unpacking{files: f, stream: s, format: w.format, lengths: w.lengths}
	u.objects = make(chan unpacked, 4*len(workers))
	u.raws = make(chan []byte, cap(u.objects)+len(workers))
	var all sync.WaitGroup
	for i := range workers {
		w := &workers[i]
		*w = unpacker{unpacking: u, namer: pack.NewNamer(u.format), found: map[pack.Kind][]pack.Object{}}
		all.Go(func() {
			for o := range u.objects {
				if ctx.Err() != nil {
					o.content.drop()
				} else if err := w.take(o); err != nil {
					cancel(err)
				}
			}
		})
	}
	err := u.read(ctx)
	close(u.objects)
	all.Wait()
	if failed := context.Cause(ctx); failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, err
	}
	found := workers[0].found
	for _, w := range workers[1:] {
		for kind, list := range w.found {
			found[kind] = append(found[kind], list...)
		}
	}
	return found, nil
}

// read gives each object of the pack to the workers.
func (u *unpacking) read(ctx context.Context) error {
	for i := 0; ; i++ {
		var o unpacked
		var err error
		if i < len(u.lengths) && u.lengths[i] <= holdWhole {
			var buf []byte
			select {
			case buf = <-u.raws:
			default:
			}
			o.raw, o.object, err = u.stream.Raw(buf, u.lengths[i])
		} else {
			o, err = u.next()
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case u.objects <- o:
		case <-ctx.Done():
			o.content.drop()
			return ctx.Err()
		}
	}
}

// next decodes the next object.
func (u *unpacking) next() (unpacked, error) {
	kind, size, err := u.stream.Next()
	if err != nil {
		return unpacked{}, err
	}
	content, err := spoolObject(u.stream, kind, size, u.format, new(bytes.Buffer))
	if err != nil {
		return unpacked{}, err
	}
	o, err := u.stream.End()
	if err != nil {
		content.drop()
	}
	return unpacked{object: o, content: content}, err
}

// spoolObject takes an object's content into small, or to a file if it is large.
func spoolObject(from io.Reader, kind pack.Kind, size int64, format tree.Format, small *bytes.Buffer) (*unpackedContent, error) {
	c := &unpackedContent{kind: kind}
	if size <= holdWhole {
		c.small = small
		small.Reset()
		small.Grow(int(size) + bytes.MinRead)
		_, err := small.ReadFrom(from)
		return c, err
	}
	h := pack.NewHash(format, kind, size)
	var err error
	if c.large, err = tree.SpoolContent(io.TeeReader(from, h), tree.Regular, size, format); err != nil {
		return nil, err
	}
	// What follows the content is its checksum.
	if _, err := io.Copy(io.Discard, from); err != nil {
		c.drop()
		return nil, err
	}
	c.name = pack.Sum(h)
	return c, nil
}

// unpacker is one of those who share the work.
type unpacker struct {
	*unpacking
	namer   *pack.Namer
	decoder pack.Decoder
	small   bytes.Buffer
	found   map[pack.Kind][]pack.Object
}

func (w *unpacker) take(o unpacked) error {
	if o.content == nil {
		kind, size, err := w.decoder.Start(o.raw)
		if err == nil {
			o.content, err = spoolObject(&w.decoder, kind, size, w.format, &w.small)
		}
		select {
		case w.raws <- o.raw:
		default:
		}
		if err != nil {
			return err
		}
	}
	c := o.content
	defer c.drop()
	o.object.Name = c.name
	if c.small != nil {
		o.object.Name = w.namer.Name(c.kind, c.small.Bytes())
	}
	w.found[c.kind] = append(w.found[c.kind], o.object)
	if c.kind != pack.Blob {
		return nil
	}
	return w.files.blob(o.object.Name, func() io.Reader {
		if c.large != nil {
			return c.large.Reader()
		}
		return bytes.NewReader(c.small.Bytes())
	})
}
