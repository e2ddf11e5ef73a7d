package git

import (
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zlib"

	"glue-lsp/internal/pack"
)

// packFile is a pack that is being written under a temporary name, with what its
// index will hold.
type packFile struct {
	repo    *Repo
	file    *os.File
	size    int64
	objects []pack.Object
	made    []string // files that are not part of the store yet
	buf     []byte   // what is not in the file yet
}

// packBuffer is how much is written to a pack at once.
const packBuffer = 256 << 10

// newPackFile begins a pack. The number of objects is filled in at the end.
func (r *Repo) newPackFile(dir string) (*packFile, error) {
	f, err := os.CreateTemp(dir, "tmp_pack_") // git's own prefix: gc clears leftovers
	if err != nil {
		return nil, err
	}
	p := &packFile{repo: r, file: f, made: []string{f.Name()}, buf: make([]byte, 0, packBuffer)}
	return p, p.write(pack.AppendHead(nil, 0))
}

func (p *packFile) write(b []byte) error {
	if len(p.buf)+len(b) > cap(p.buf) {
		if err := p.flush(); err != nil {
			return err
		}
	}
	p.size += int64(len(b))
	if len(b) < cap(p.buf) {
		p.buf = append(p.buf, b...)
		return nil
	}
	_, err := p.file.Write(b)
	return err
}

func (p *packFile) flush() error {
	_, err := p.file.Write(p.buf)
	p.buf = p.buf[:0]
	return err
}

// add adds an object as it lies in a pack, header included.
func (p *packFile) add(name pack.Name, data []byte) error {
	p.objects = append(p.objects, pack.Object{Name: name, Offset: p.size, CRC: crc32.ChecksumIEEE(data)})
	return p.write(data)
}

// stream adds a content that is too large to hold.
func (p *packFile) stream(b Blob) (pack.Name, error) {
	from, err := b.Open()
	if err != nil {
		return pack.Name{}, err
	}
	defer from.Close() //nolint:errcheck // only read
	o := pack.Object{Offset: p.size}
	crc := crc32.NewIEEE()
	out := writerFunc(func(data []byte) (int, error) {
		crc.Write(data)
		return len(data), p.write(data)
	})
	if _, err := out.Write(pack.AppendHeader(nil, pack.Blob, b.Size)); err != nil {
		return o.Name, err
	}
	z, err := zlib.NewWriterLevel(out, packLevel)
	if err != nil {
		return o.Name, err
	}
	h := pack.NewHash(p.repo.Format, pack.Blob, b.Size)
	if err := errors.Join(copyExactly(io.MultiWriter(h, z), from, b.Size), z.Close()); err != nil {
		return o.Name, err
	}
	o.Name, o.CRC = pack.Sum(h), crc.Sum32()
	p.objects = append(p.objects, o)
	return o.Name, nil
}

// dropLast takes the last object back: a pack holds none twice.
func (p *packFile) dropLast() error {
	if err := p.flush(); err != nil {
		return err
	}
	last := len(p.objects) - 1
	p.size = p.objects[last].Offset
	p.objects = p.objects[:last]
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
	_, err = index.Write(pack.AppendIndex(nil, p.repo.Format, p.objects, sum))
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
	p.repo.ownMu.Lock()
	defer p.repo.ownMu.Unlock()
	p.repo.own = append(p.repo.own, filepath.Base(name))
	return nil
}

// finish writes the number of objects and the checksum, and closes the file.
func (p *packFile) finish() ([]byte, error) {
	if err := p.flush(); err != nil {
		return nil, err
	}
	if _, err := p.file.WriteAt(pack.AppendHead(nil, len(p.objects)), 0); err != nil {
		return nil, err
	}
	h := newHash(p.repo.Format)
	if _, err := io.Copy(h, io.NewSectionReader(p.file, 0, p.size)); err != nil {
		return nil, err
	}
	sum := h.Sum(nil)
	_, err := p.file.Write(sum)
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
