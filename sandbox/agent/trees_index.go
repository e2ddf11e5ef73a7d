package agent

import (
	"crypto/sha1" //nolint:gosec // what git's index format asks for
	"crypto/sha256"
	"encoding/binary"
	"os"

	"glue-lsp/internal/pack"
	"glue-lsp/internal/tree"
)

// indexStat is what an index keeps of a file's stat data.
type indexStat struct {
	ctimeSec, ctimeNsec, mtimeSec, mtimeNsec, dev, ino, uid, gid, size uint32
}

// writeIndex makes a repository's index say that the files of a tree, sorted by path,
// are as they were when they were made, so that git need not read them again. Version
// 2 of gitformat-index(5), which every git reads.
func writeIndex(file string, format tree.Format, entries []tree.Entry, names []pack.Name, stats []indexStat) error {
	nameLen, sum := sha1.Size, sha1.New() //nolint:gosec // see above
	if format == tree.SHA256 {
		nameLen, sum = sha256.Size, sha256.New()
	}
	size := 0
	for _, e := range entries {
		size += 72 + nameLen + len(e.Path)
	}
	out := make([]byte, 0, size+64)
	out = append(out, "DIRC"...)
	out = binary.BigEndian.AppendUint32(out, 2)
	out = binary.BigEndian.AppendUint32(out, uint32(len(entries)))
	for i, e := range entries {
		out = appendIndexEntry(out, e, names[i][:nameLen], &stats[i])
	}
	sum.Write(out)
	return os.WriteFile(file, sum.Sum(out), 0o644)
}

func appendIndexEntry(out []byte, e tree.Entry, name []byte, st *indexStat) []byte {
	start := len(out)
	for _, v := range [...]uint32{
		st.ctimeSec, st.ctimeNsec, st.mtimeSec, st.mtimeNsec,
		st.dev, st.ino, uint32(e.Mode), st.uid, st.gid, st.size,
	} {
		out = binary.BigEndian.AppendUint32(out, v)
	}
	out = append(out, name...)
	out = binary.BigEndian.AppendUint16(out, uint16(min(len(e.Path), 0xfff)))
	out = append(out, e.Path...)
	// One to eight NULs, up to a multiple of eight.
	for pad := 8 - (len(out)-start)%8; pad > 0; pad-- {
		out = append(out, 0)
	}
	return out
}
