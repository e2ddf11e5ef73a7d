package tree

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
)

// A cache file is: magic, format as one byte, records, sha256 of all that. A record
// is path, stat and hash; numbers are varints. Whatever does not read as that is an
// empty cache, so a new layout only needs a new magic.
const cacheMagic = "glue-stat-cache 1\n"

// Save writes the cache to file, by a temporary file beside it, so that a reader
// finds the old or the new one. It is not synced: what a crash leaves of it fails
// the checksum and is read as empty. Nothing is written when nothing was learned.
func (c *Cache) Save(file string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dirty {
		return nil
	}
	if err := replaceFile(file, c.known.encode()); err != nil {
		return fmt.Errorf("save the stat cache: %w", err)
	}
	c.dirty = false
	return nil
}

// LoadCache reads a cache that Save wrote. A file that is not there or is damaged
// gives an empty cache and no error. With an error, which is one of reading the
// file, the cache is empty too and can be used.
func LoadCache(file string) (*Cache, error) {
	c := NewCache()
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("load the stat cache: %w", err)
	}
	if known, ok := decodeKnowledge(data); ok {
		c.known = known
	}
	return c, nil
}

func replaceFile(file string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

func (k *knowledge) encode() []byte {
	out := make([]byte, 0, 64+len(k.records)*128)
	out = append(out, cacheMagic...)
	out = append(out, formatByte(k.format))
	out = binary.AppendUvarint(out, uint64(len(k.records)))
	for _, r := range k.records {
		out = binary.AppendUvarint(out, uint64(len(r.path)))
		out = append(out, r.path...)
		out = binary.AppendUvarint(out, r.stat.dev)
		out = binary.AppendUvarint(out, r.stat.ino)
		out = binary.AppendVarint(out, r.stat.size)
		out = binary.AppendVarint(out, r.stat.mtime)
		out = binary.AppendVarint(out, r.stat.ctime)
		out = binary.AppendUvarint(out, uint64(r.stat.mode))
		out, _ = hex.AppendDecode(out, []byte(r.hash)) // our own hash, always hexadecimal
	}
	sum := sha256.Sum256(out)
	return append(out, sum[:]...)
}

func decodeKnowledge(data []byte) (knowledge, bool) {
	none := knowledge{}
	rest, ok := bytes.CutPrefix(data, []byte(cacheMagic))
	if !ok || len(rest) < 1+sha256.Size {
		return none, false
	}
	body := data[:len(data)-sha256.Size]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], data[len(body):]) {
		return none, false
	}
	f, ok := formatOf(rest[0])
	if !ok {
		return none, false
	}
	d := decoder{rest: rest[1 : len(rest)-sha256.Size]}
	count := d.uvarint()
	// One record takes more than 20 bytes, so that a count cannot ask for more memory
	// than the file explains.
	if count > uint64(len(d.rest))/20 {
		return none, false
	}
	k := knowledge{format: f, records: make(map[string]*record, count)}
	slab := make([]record, count)
	for i := range slab {
		r := &slab[i]
		r.path = string(d.bytes(d.uvarint()))
		r.stat = stat{dev: d.uvarint(), ino: d.uvarint(), size: d.varint(), mtime: d.varint(), ctime: d.varint(), mode: d.uint32()}
		r.hash = hex.EncodeToString(d.bytes(uint64(f.hexLen() / 2)))
		k.records[r.path] = r
	}
	if d.bad || len(d.rest) > 0 {
		return none, false
	}
	return k, true
}

// decoder reads the numbers and bytes of a record; bad says that some were missing.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.bad, d.rest = true, nil
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	d.skip(n)
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	d.skip(n)
	return v
}

func (d *decoder) uint32() uint32 {
	v := d.uvarint()
	d.bad = d.bad || v > math.MaxUint32
	return uint32(v)
}

func (d *decoder) skip(n int) {
	if n <= 0 {
		d.bad, d.rest = true, nil
		return
	}
	d.rest = d.rest[n:]
}

func formatByte(f Format) byte {
	if f == SHA256 {
		return 2
	}
	return 1
}

func formatOf(b byte) (Format, bool) {
	switch b {
	case 1:
		return SHA1, true
	case 2:
		return SHA256, true
	}
	return "", false
}
