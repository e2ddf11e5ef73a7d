package agent

import (
	"crypto/sha1" //nolint:gosec // what git's index format asks for
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"glue-lsp/internal/tree"
)

// writeIndex makes the repository's index say that the files under root are entries,
// which are sorted by path, so that git need not read them again. Version 2 of
// gitformat-index(5), which every git reads.
func writeIndex(file, root string, format tree.Format, entries []tree.Entry) error {
	out := make([]byte, 0, 128*len(entries)+64)
	out = append(out, "DIRC"...)
	out = binary.BigEndian.AppendUint32(out, 2)
	out = binary.BigEndian.AppendUint32(out, uint32(len(entries)))
	for _, e := range entries {
		var err error
		if out, err = appendIndexEntry(out, root, e); err != nil {
			return err
		}
	}
	sum := sha1.New() //nolint:gosec // see above
	if format == tree.SHA256 {
		sum = sha256.New()
	}
	sum.Write(out)
	return os.WriteFile(file, sum.Sum(out), 0o644)
}

func appendIndexEntry(out []byte, root string, e tree.Entry) ([]byte, error) {
	var st unix.Stat_t
	name := filepath.Join(root, e.Path)
	if err := unix.Lstat(name, &st); err != nil {
		return nil, &os.PathError{Op: "lstat", Path: name, Err: err}
	}
	id, err := hex.DecodeString(e.Hash)
	if err != nil {
		return nil, fmt.Errorf("%s: its hash is not one", e.Path)
	}
	start := len(out)
	ctime, mtime := st.Ctim, st.Mtim
	for _, v := range []uint32{
		uint32(ctime.Sec), uint32(ctime.Nsec), uint32(mtime.Sec), uint32(mtime.Nsec),
		uint32(st.Dev), uint32(st.Ino), uint32(e.Mode), st.Uid, st.Gid, uint32(st.Size),
	} {
		out = binary.BigEndian.AppendUint32(out, v)
	}
	out = append(out, id...)
	out = binary.BigEndian.AppendUint16(out, uint16(min(len(e.Path), 0xfff)))
	out = append(out, e.Path...)
	// One to eight NULs, up to a multiple of eight.
	for pad := 8 - (len(out)-start)%8; pad > 0; pad-- {
		out = append(out, 0)
	}
	return out, nil
}
