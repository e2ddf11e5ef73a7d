package tree

import (
	"crypto/sha1" // git's object ids, not a matter of secrecy
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
)

// check reports an object format that git does not know.
func (f Format) check() error {
	if f == SHA1 || f == SHA256 {
		return nil
	}
	return fmt.Errorf("unknown object format %q (known: %s, %s)", string(f), SHA1, SHA256)
}

// NewHash gives the hash of a git blob of size bytes: the caller writes exactly
// that many bytes and hex-encodes the sum. A format that is not SHA256 is SHA1.
func NewHash(f Format, size int64) hash.Hash {
	h := f.newHash()
	startBlob(h, size)
	return h
}

// HashBytes gives the git blob hash of b, in lower-case hexadecimal.
func HashBytes(f Format, b []byte) string {
	h := NewHash(f, int64(len(b)))
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil))
}

func (f Format) newHash() hash.Hash {
	if f == SHA256 {
		return sha256.New()
	}
	return sha1.New()
}

// hexLen is the length of a hash in hexadecimal.
func (f Format) hexLen() int {
	if f == SHA256 {
		return 2 * sha256.Size
	}
	return 2 * sha1.Size
}

// startBlob writes a loose object's header (gitformat-loose), which is part of
// what git hashes.
func startBlob(h hash.Hash, size int64) {
	var header [32]byte
	b := append(header[:0], "blob "...)
	b = strconv.AppendInt(b, size, 10)
	h.Write(append(b, 0))
}
