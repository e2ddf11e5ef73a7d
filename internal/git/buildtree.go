package git

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"glue-lsp/internal/pack"
	"glue-lsp/internal/tree"
)

// TreeID computes the id that git gives a tree of the entries, which are sorted by
// path bytes. With it a snapshot that changed nothing needs no git at all, and one
// that did can be checked against what was read.
func TreeID(f tree.Format, entries []tree.Entry) (string, error) {
	b := treeBuilder{format: f, namer: pack.NewNamer(f)}
	id, err := b.folder("", entries)
	if err != nil {
		return "", err
	}
	return id.Hex(f), nil
}

// treeBuilder makes the tree objects of a list of entries.
type treeBuilder struct {
	format tree.Format
	namer  *pack.Namer
	emit   func(name pack.Name, content []byte) error // nil: only names are asked for
	free   []*treeParts                               // of folders that are done
}

// treeParts is what one folder needs while it is built.
type treeParts struct {
	items   []treeItem
	content []byte
}

// treeItem is one name of a tree object.
type treeItem struct {
	name string
	mode tree.Mode
	id   pack.Name
}

const treeMode tree.Mode = 0o40000

// folder makes the tree object of the folder prefix ("" or ending in a slash), of
// which entries are all that lies below.
func (b *treeBuilder) folder(prefix string, entries []tree.Entry) (pack.Name, error) {
	parts := b.take()
	defer b.give(parts)
	for i := 0; i < len(entries); {
		name := entries[i].Path[len(prefix):]
		it := treeItem{name: name, mode: entries[i].Mode}
		var err error
		if slash := strings.IndexByte(name, '/'); slash >= 0 {
			sub := entries[i].Path[:len(prefix)+slash+1]
			n := sort.Search(len(entries)-i, func(k int) bool { return !strings.HasPrefix(entries[i+k].Path, sub) })
			it.name, it.mode = name[:slash], treeMode
			it.id, err = b.folder(sub, entries[i:i+n])
			i += n
		} else {
			it.id, err = pack.ParseName(entries[i].Hash)
			i++
		}
		if err != nil {
			return pack.Name{}, fmt.Errorf("%s%s: %w", prefix, it.name, err)
		}
		parts.items = append(parts.items, it)
	}
	slices.SortFunc(parts.items, compareItems)
	size := newHash(b.format).Size()
	for i := range parts.items {
		it := &parts.items[i]
		parts.content = strconv.AppendUint(parts.content, uint64(it.mode), 8)
		parts.content = append(parts.content, ' ')
		parts.content = append(parts.content, it.name...)
		parts.content = append(parts.content, 0)
		parts.content = append(parts.content, it.id[:size]...)
	}
	id := b.namer.Name(pack.Tree, parts.content)
	if b.emit == nil {
		return id, nil
	}
	return id, b.emit(id, parts.content)
}

func (b *treeBuilder) take() *treeParts {
	if n := len(b.free); n > 0 {
		p := b.free[n-1]
		b.free = b.free[:n-1]
		p.items, p.content = p.items[:0], p.content[:0]
		return p
	}
	return &treeParts{}
}

func (b *treeBuilder) give(p *treeParts) { b.free = append(b.free, p) }

// compareItems orders as git does: a folder as if its name ended in a slash.
func compareItems(a, b treeItem) int {
	n := min(len(a.name), len(b.name))
	if c := strings.Compare(a.name[:n], b.name[:n]); c != 0 {
		return c
	}
	return int(a.byteAt(n)) - int(b.byteAt(n))
}

func (it *treeItem) byteAt(i int) byte {
	switch {
	case i < len(it.name):
		return it.name[i]
	case it.mode == treeMode:
		return '/'
	}
	return 0
}

// isPlainTree reports whether entries, sorted by path, are the files of a tree and no
// path lies below another.
func isPlainTree(entries []tree.Entry) bool {
	for i := 1; i < len(entries); i++ {
		if entries[i-1].Path >= entries[i].Path {
			return false
		}
	}
	folders := map[string]bool{}
	last := ""
	for _, e := range entries {
		dir := e.Path[:max(0, strings.LastIndexByte(e.Path, '/'))]
		if dir == last {
			continue
		}
		last = dir
		for dir != "" && !folders[dir] {
			folders[dir] = true
			dir = dir[:max(0, strings.LastIndexByte(dir, '/'))]
		}
	}
	for _, e := range entries {
		if folders[e.Path] || !plainPath(e.Path) {
			return false
		}
	}
	return true
}

// plainPath reports whether a path has the form that a tree's paths have; fast-import
// says what is wrong with one that has not.
func plainPath(p string) bool {
	if strings.IndexByte(p, 0) >= 0 {
		return false
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." || strings.EqualFold(part, ".git") {
			return false
		}
	}
	return true
}
