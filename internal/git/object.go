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

// keepLoose puts an object into the store, durably, as a file of its own
// (gitformat-loose(5)), and gives its name. It costs no process.
func (r *Repo) keepLoose(kind string, content []byte) (id string, err error) {
	id = hashObject(r.Format, kind, content)
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	if _, err := w.Write(append(objectHeader(kind, int64(len(content))), content...)); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	objects := filepath.Join(r.Dir, "objects")
	name := filepath.Join(objects, id[:2], id[2:])
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return "", err
	}
	temp, err := os.CreateTemp(filepath.Dir(name), "tmp_obj_") // git's own prefix: gc clears leftovers
	if err != nil {
		return "", err
	}
	_, err = temp.Write(z.Bytes())
	err = errors.Join(err, temp.Chmod(0o400), temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), name)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(temp.Name()))
	}
	return id, syncDirsUp(objects, name)
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
