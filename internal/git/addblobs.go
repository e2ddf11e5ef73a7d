package git

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zlib"
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
)

// AddBlobs stores contents and gives their names, in the order of blobs. It does what
// feeding them to fast-import does, with all processors and a faster deflate: the
// first snapshot of a tree is little else. What was stored is durable, and visible to
// git, when it returns; after an error nothing is.
func (r *Repo) AddBlobs(ctx context.Context, blobs []Blob) ([]string, error) {
	names := make([]string, len(blobs))
	dir := filepath.Join(r.Dir, "objects", "pack")
	var done []*packFile
	err := r.packBlobs(ctx, dir, blobs, names, &done)
	for _, p := range done {
		if err == nil {
			err = p.publish(dir)
		}
		err = errors.Join(err, p.discard())
	}
	if err == nil {
		err = syncPath(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("store contents: %w", err)
	}
	return names, nil
}

// packed is a content as a pack holds it.
type packed struct {
	at   int // index in blobs
	name []byte
	data []byte // the entry, header included
	err  error
}

// packBlobs writes packs, not yet visible, and appends them to packs also when it
// fails.
func (r *Repo) packBlobs(ctx context.Context, dir string, blobs []Blob, names []string, packs *[]*packFile) error {
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan packed, 4)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer func() {
		cancel()
		for range results { // lets the workers go
		}
	}()
	var next atomic.Int64
	for range min(runtime.GOMAXPROCS(0), len(blobs)) {
		workers.Go(func() { r.deflateSome(ctx, blobs, &next, results) })
	}
	go func() { workers.Wait(); close(results) }()

	seen := map[string]bool{}
	var pack *packFile
	room := func() error {
		if pack != nil && pack.size < packLimit {
			return nil
		}
		var err error
		if pack, err = r.newPackFile(dir); err == nil {
			*packs = append(*packs, pack)
		}
		return err
	}
	for p := range results {
		if p.err != nil {
			return p.err
		}
		names[p.at] = hex.EncodeToString(p.name)
		if seen[names[p.at]] {
			continue
		}
		seen[names[p.at]] = true
		if err := room(); err != nil {
			return err
		}
		if err := pack.add(p.name, p.data); err != nil {
			return err
		}
	}
	for i, b := range blobs {
		if b.Size <= wholeBlob {
			continue
		}
		if err := errors.Join(ctx.Err(), room()); err != nil {
			return err
		}
		name, err := pack.stream(b)
		if err != nil {
			return b.failed(err)
		}
		if names[i] = hex.EncodeToString(name); seen[names[i]] {
			if err := pack.dropLast(); err != nil {
				return err
			}
		}
		seen[names[i]] = true
	}
	return ctx.Err()
}

// deflateSome reads and compresses contents until none are left.
func (r *Repo) deflateSome(ctx context.Context, blobs []Blob, next *atomic.Int64, results chan<- packed) {
	z, _ := zlib.NewWriterLevel(io.Discard, zlib.BestSpeed) // fails only for an unknown level
	content := make([]byte, 0, 64<<10)
	for ctx.Err() == nil {
		i := int(next.Add(1)) - 1
		if i >= len(blobs) {
			return
		}
		if blobs[i].Size > wholeBlob {
			continue
		}
		p := packed{at: i}
		if content, p.err = readBlob(content[:0], blobs[i]); p.err != nil {
			p.err = blobs[i].failed(p.err)
		} else {
			h := newHash(r.Format)
			h.Write(objectHeader("blob", blobs[i].Size))
			h.Write(content)
			p.name = h.Sum(nil)
			out := bytes.NewBuffer(make([]byte, 0, len(content)/2+64))
			out.Write(packHeader(blobs[i].Size))
			z.Reset(out)
			_, err := z.Write(content)
			p.err = errors.Join(err, z.Close())
			p.data = out.Bytes()
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

// readBlob reads a whole content into buf.
func readBlob(buf []byte, b Blob) ([]byte, error) {
	from, err := b.Open()
	if err != nil {
		return buf, err
	}
	defer from.Close() //nolint:errcheck // only read
	out := bytes.NewBuffer(buf)
	out.Grow(int(b.Size) + bytes.MinRead)
	err = copyExactly(out, from, b.Size)
	return out.Bytes(), err
}

// packHeader is what stands before an entry's data: type blob (3) and size
// (gitformat-pack(5)).
func packHeader(size int64) []byte {
	const blob = 3
	b := byte(blob<<4) | byte(size&0x0f)
	size >>= 4
	var out []byte
	for ; size > 0; size >>= 7 {
		out = append(out, b|0x80)
		b = byte(size & 0x7f)
	}
	return append(out, b)
}

// packFile is a pack that is being written under a temporary name, with what its
// index will hold.
type packFile struct {
	repo    *Repo
	file    *os.File
	size    int64
	entries []packEntry
	made    []string // files that are not part of the store yet
}

type packEntry struct {
	name   []byte
	offset int64
	crc    uint32
}

// newPackFile begins a pack. The number of objects is filled in at the end.
func (r *Repo) newPackFile(dir string) (*packFile, error) {
	f, err := os.CreateTemp(dir, "tmp_pack_") // git's own prefix: gc clears leftovers
	if err != nil {
		return nil, err
	}
	p := &packFile{repo: r, file: f, made: []string{f.Name()}}
	return p, p.write([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x00"))
}

func (p *packFile) write(b []byte) error {
	n, err := p.file.Write(b)
	p.size += int64(n)
	return err
}

func (p *packFile) add(name, data []byte) error {
	p.entries = append(p.entries, packEntry{name: name, offset: p.size, crc: crc32.ChecksumIEEE(data)})
	return p.write(data)
}

// stream adds a content that is too large to hold.
func (p *packFile) stream(b Blob) ([]byte, error) {
	from, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer from.Close() //nolint:errcheck // only read
	e := packEntry{offset: p.size}
	crc := crc32.NewIEEE()
	out := writerFunc(func(data []byte) (int, error) {
		crc.Write(data)
		return len(data), p.write(data)
	})
	if _, err := out.Write(packHeader(b.Size)); err != nil {
		return nil, err
	}
	z, err := zlib.NewWriterLevel(out, zlib.BestSpeed)
	if err != nil {
		return nil, err
	}
	h := newHash(p.repo.Format)
	h.Write(objectHeader("blob", b.Size))
	if err := errors.Join(copyExactly(io.MultiWriter(h, z), from, b.Size), z.Close()); err != nil {
		return nil, err
	}
	e.name, e.crc = h.Sum(nil), crc.Sum32()
	p.entries = append(p.entries, e)
	return e.name, nil
}

// dropLast takes the last entry back: a pack holds no object twice.
func (p *packFile) dropLast() error {
	last := len(p.entries) - 1
	p.size = p.entries[last].offset
	p.entries = p.entries[:last]
	_, err := p.file.Seek(p.size, io.SeekStart)
	return errors.Join(err, p.file.Truncate(p.size))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// publish completes the pack and makes it part of the store, the index last: a pack
// without one does not count.
func (p *packFile) publish(dir string) error {
	sum, err := p.finish()
	if err != nil {
		return err
	}
	index, err := os.CreateTemp(dir, "tmp_idx_")
	if err != nil {
		return err
	}
	p.made = append(p.made, index.Name())
	_, err = index.Write(p.index(sum))
	if err := errors.Join(err, index.Chmod(0o400), index.Sync(), index.Close()); err != nil {
		return err
	}
	name := filepath.Join(dir, "pack-"+hex.EncodeToString(sum))
	if err := os.Rename(p.made[0], name+".pack"); err != nil {
		return err
	}
	p.made[0] = name + ".pack"
	if err := os.Rename(index.Name(), name+".idx"); err != nil {
		return err
	}
	p.made = nil
	return nil
}

// finish writes the number of objects and the checksum, and closes the file.
func (p *packFile) finish() ([]byte, error) {
	count := uint32(len(p.entries)) //nolint:gosec // of a file of at most a few GiB
	if _, err := p.file.WriteAt([]byte{byte(count >> 24), byte(count >> 16), byte(count >> 8), byte(count)}, 8); err != nil {
		return nil, err
	}
	h := newHash(p.repo.Format)
	if _, err := io.Copy(h, io.NewSectionReader(p.file, 0, p.size)); err != nil {
		return nil, err
	}
	sum := h.Sum(nil)
	err := p.write(sum)
	err = errors.Join(err, p.file.Chmod(0o400), p.file.Sync(), p.file.Close())
	p.file = nil
	return sum, err
}

// discard closes and removes what did not become part of the store.
func (p *packFile) discard() error {
	var err error
	if p.file != nil {
		err = p.file.Close()
		p.file = nil
	}
	for _, name := range p.made {
		err = errors.Join(err, os.Remove(name))
	}
	p.made = nil
	return err
}

// index is the pack's index, version 2 (gitformat-pack(5)).
func (p *packFile) index(packSum []byte) []byte {
	slices.SortFunc(p.entries, func(a, b packEntry) int { return bytes.Compare(a.name, b.name) })
	out := []byte("\xfftOc\x00\x00\x00\x02")
	at := 0
	for first := range 256 {
		for at < len(p.entries) && int(p.entries[at].name[0]) <= first {
			at++
		}
		out = binary.BigEndian.AppendUint32(out, uint32(at)) //nolint:gosec // see finish
	}
	for _, e := range p.entries {
		out = append(out, e.name...)
	}
	for _, e := range p.entries {
		out = binary.BigEndian.AppendUint32(out, e.crc)
	}
	var large []byte
	for _, e := range p.entries {
		if e.offset < 1<<31 {
			out = binary.BigEndian.AppendUint32(out, uint32(e.offset)) //nolint:gosec // checked
			continue
		}
		out = binary.BigEndian.AppendUint32(out, 1<<31|uint32(len(large)/8)) //nolint:gosec // see finish
		large = binary.BigEndian.AppendUint32(large, uint32(e.offset>>32))   //nolint:gosec // its upper half
		large = binary.BigEndian.AppendUint32(large, uint32(e.offset))       //nolint:gosec // its lower half
	}
	out = append(append(out, large...), packSum...)
	h := newHash(p.repo.Format)
	h.Write(out)
	return h.Sum(out)
}
