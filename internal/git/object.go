package git

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"os"
	"path/filepath"
	"strconv"

	"glue-lsp/internal/tree"
)

func newHash(f tree.Format) hash.Hash {
	if f == tree.SHA256 {
		return sha256.New()
	}
	return sha1.New()
}

func objectHeader(kind string, size int64) []byte {
	return []byte(kind + " " + strconv.FormatInt(size, 10) + "\x00")
}

// hashObject gives the name of an object.
func hashObject(f tree.Format, kind string, content []byte) string {
	h := newHash(f)
	h.Write(objectHeader(kind, int64(len(content))))
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}

// writeLoose puts an object into an object folder that is thrown away again, and
// gives its name. Nothing is synced.
func writeLoose(dir string, f tree.Format, kind string, content []byte) (string, error) {
	id := hashObject(f, kind, content)
	var z bytes.Buffer
	w, err := zlib.NewWriterLevel(&z, zlib.NoCompression)
	if err != nil {
		return "", err
	}
	_, err = w.Write(append(objectHeader(kind, int64(len(content))), content...))
	if err := errors.Join(err, w.Close()); err != nil {
		return "", err
	}
	fan := filepath.Join(dir, id[:2])
	if err := os.MkdirAll(fan, 0o700); err != nil {
		return "", err
	}
	return id, os.WriteFile(filepath.Join(fan, id[2:]), z.Bytes(), 0o600)
}
