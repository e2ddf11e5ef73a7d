package workspace

import (
	"crypto/sha1" //nolint:gosec // git's object ids, not a matter of secrecy
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"sort"
	"strconv"
	"strings"

	"glue-lsp/internal/tree"
)

// treeID computes the id that git gives a tree of the entries, which are sorted by
// path bytes. With it a snapshot that changed nothing needs no git at all, and one
// that did can be checked against what was read.
func treeID(f tree.Format, entries []tree.Entry) (string, error) {
	t := treeHasher{format: f}
	id, err := t.folder("", entries)
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(id), nil
}

type treeHasher struct{ format tree.Format }

// item is one name of a tree object.
type item struct {
	name string
	mode string
	id   []byte
}

// folder hashes the tree object of the folder prefix ("" or ending in a slash), of
// which entries are all that lies below.
func (t treeHasher) folder(prefix string, entries []tree.Entry) ([]byte, error) {
	var items []item
	size := 0
	for i := 0; i < len(entries); {
		name := entries[i].Path[len(prefix):]
		it := item{name: name, mode: strconv.FormatUint(uint64(entries[i].Mode), 8)}
		var err error
		if slash := strings.IndexByte(name, '/'); slash >= 0 {
			sub := prefix + name[:slash+1]
			n := sort.Search(len(entries)-i, func(k int) bool { return !strings.HasPrefix(entries[i+k].Path, sub) })
			it.name, it.mode = name[:slash], "40000"
			it.id, err = t.folder(sub, entries[i:i+n])
			i += n
		} else {
			it.id, err = hex.DecodeString(entries[i].Hash)
			i++
		}
		if err != nil {
			return nil, fmt.Errorf("%s%s: %w", prefix, it.name, err)
		}
		items = append(items, it)
		size += len(it.mode) + 1 + len(it.name) + 1 + len(it.id)
	}
	// Git orders a folder as if its name ended in a slash.
	sort.Slice(items, func(a, b int) bool { return items[a].key() < items[b].key() })
	h := t.newHash()
	fmt.Fprintf(h, "tree %d\x00", size)
	for _, it := range items {
		fmt.Fprintf(h, "%s %s\x00", it.mode, it.name)
		h.Write(it.id)
	}
	return h.Sum(nil), nil
}

func (it item) key() string {
	if it.mode == "40000" {
		return it.name + "/"
	}
	return it.name
}

func (t treeHasher) newHash() hash.Hash {
	if t.format == tree.SHA256 {
		return sha256.New()
	}
	return sha1.New() //nolint:gosec // see above
}
