package git

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zlib"

	"glue-lsp/internal/pack"
)

// errNotWhole says that a bundle cannot be put together from packs of our own alone.
var errNotWhole = errors.New("not all objects lie whole in the store's packs")

// bundlePlan is a bundle whose objects are copied as they lie in the store.
type bundlePlan struct {
	repo  *Repo
	packs packSet
	refs  []string // "<id> <name>"
	loose map[pack.Name][]byte
	found []pack.Entry
	seen  map[*pack.File][]bool // of each pack's objects, which are in found

	decoder pack.Decoder
}

// planBundle finds every object that refs reach. It gives errNotWhole where only git
// can make the bundle: refs with a history, objects that are stored as differences.
// The caller closes the plan's packs.
func (r *Repo) planBundle(refs []string) (*bundlePlan, error) {
	packs, err := r.openPacks()
	if err != nil {
		return nil, errors.Join(errNotWhole, err) // git says better what is wrong with them
	}
	p := &bundlePlan{repo: r, packs: packs, loose: map[pack.Name][]byte{}, seen: map[*pack.File][]bool{}}
	for _, f := range packs {
		p.seen[f] = make([]bool, f.Count())
	}
	for _, ref := range refs {
		if err := p.ref(ref); err != nil {
			packs.close()
			return nil, err
		}
	}
	return p, nil
}

// ref adds what a loose ref reaches.
func (p *bundlePlan) ref(name string) error {
	if strings.HasPrefix(name, "^") {
		return errNotWhole
	}
	content, err := os.ReadFile(filepath.Join(p.repo.Dir, filepath.FromSlash(name)))
	if err != nil {
		return errNotWhole
	}
	id := strings.TrimSuffix(string(content), "\n")
	if p.repo.checkID(id) != nil {
		return errNotWhole
	}
	p.refs = append(p.refs, id+" "+name)
	commit, err := pack.ParseName(id)
	if err != nil {
		return err
	}
	kind, text, err := p.content(commit)
	if err != nil || text == nil {
		return err
	}
	root, ok := treeWithoutParents(text)
	if kind != pack.Commit || !ok {
		return errNotWhole
	}
	tree, err := pack.ParseName(root)
	if err != nil {
		return err
	}
	return p.tree(tree)
}

// treeWithoutParents gives the tree of a commit that has no parent.
func treeWithoutParents(commit []byte) (string, bool) {
	first, rest, _ := bytes.Cut(commit, []byte("\n"))
	root, ok := bytes.CutPrefix(first, []byte("tree "))
	return string(root), ok && !bytes.HasPrefix(rest, []byte("parent "))
}

// add notes an object, and tells whether it is new.
func (p *bundlePlan) add(e pack.Entry) bool {
	if p.seen[e.File][e.Place] {
		return false
	}
	p.seen[e.File][e.Place] = true
	p.found = append(p.found, e)
	return true
}

// maxTreeObject bounds a tree object or a commit, in bytes.
const maxTreeObject = 256 << 20

// content reads an object that names others, and notes where it is. It gives no content
// of one that is known already.
func (p *bundlePlan) content(name pack.Name) (pack.Kind, []byte, error) {
	if e, ok := p.packs.find(name); ok {
		if !p.add(e) {
			return 0, nil, nil
		}
		kind, content, err := e.Content(&p.decoder, maxTreeObject)
		if err != nil {
			return 0, nil, errors.Join(errNotWhole, err)
		}
		return kind, content, nil
	}
	return p.looseContent(name)
}

// looseContent reads an object that is a file of its own (gitformat-loose(5)).
func (p *bundlePlan) looseContent(name pack.Name) (pack.Kind, []byte, error) {
	if p.loose[name] != nil {
		return 0, nil, nil
	}
	id := name.Hex(p.repo.Format)
	raw, err := readSmall(filepath.Join(p.repo.Dir, "objects", id[:2], id[2:]), maxTreeObject)
	if err != nil {
		return 0, nil, errNotWhole
	}
	z, err := zlib.NewReader(bytes.NewReader(raw))
	if err != nil {
		return 0, nil, errors.Join(errNotWhole, err)
	}
	all, err := io.ReadAll(io.LimitReader(z, maxTreeObject))
	if err != nil {
		return 0, nil, errors.Join(errNotWhole, err)
	}
	head, content, _ := bytes.Cut(all, []byte{0})
	for _, kind := range []pack.Kind{pack.Commit, pack.Tree} {
		if string(head) != fmt.Sprintf("%s %d", kind, len(content)) {
			continue
		}
		var out bytes.Buffer
		if err := deflate(&out, newDeflater(), kind, content); err != nil {
			return 0, nil, err
		}
		p.loose[name] = out.Bytes()
		return kind, content, nil
	}
	return 0, nil, errNotWhole
}

// tree adds a tree and all that lies below it.
func (p *bundlePlan) tree(name pack.Name) error {
	kind, content, err := p.content(name)
	if err != nil {
		return err
	}
	if content == nil {
		return nil
	}
	if kind != pack.Tree {
		return errNotWhole
	}
	size := newHash(p.repo.Format).Size()
	content = bytes.Clone(content)
	for len(content) > 0 {
		mode, rest, ok := bytes.Cut(content, []byte{' '})
		nul := bytes.IndexByte(rest, 0)
		if !ok || nul < 0 || len(rest) < nul+1+size {
			return errNotWhole
		}
		var id pack.Name
		copy(id[:], rest[nul+1:nul+1+size])
		content = rest[nul+1+size:]
		if string(mode) == "40000" {
			if err := p.tree(id); err != nil {
				return err
			}
			continue
		}
		e, ok := p.packs.find(id)
		if !ok || p.add(e) && !e.Whole() {
			return errNotWhole
		}
	}
	return nil
}

// write writes the bundle (gitformat-bundle(5)) and gives the objects' lengths.
func (p *bundlePlan) write(ctx context.Context, w io.Writer) ([]int64, error) {
	out := bufio.NewWriterSize(w, packBuffer)
	writeBundleSignature(out, p.repo.Format)
	for _, ref := range p.refs {
		fmt.Fprintln(out, ref)
	}
	fmt.Fprintln(out)
	sum := newHash(p.repo.Format)
	both := io.MultiWriter(out, sum)
	if _, err := both.Write(pack.AppendHead(nil, len(p.found)+len(p.loose))); err != nil {
		return nil, err
	}
	lengths := make([]int64, 0, len(p.found)+len(p.loose))
	for _, name := range slices.SortedFunc(maps.Keys(p.loose), func(a, b pack.Name) int { return bytes.Compare(a[:], b[:]) }) {
		lengths = append(lengths, int64(len(p.loose[name])))
		if _, err := both.Write(p.loose[name]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(p.found, asTheyLie)
	for _, e := range p.found {
		lengths = append(lengths, e.Length)
	}
	for _, run := range runs(p.found) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := run.CopyTo(both); err != nil {
			return nil, err
		}
	}
	if _, err := out.Write(sum.Sum(nil)); err != nil {
		return nil, err
	}
	return lengths, out.Flush()
}

// asTheyLie orders objects as they lie in their packs.
func asTheyLie(a, b pack.Entry) int {
	return cmp.Or(strings.Compare(a.File.Path(), b.File.Path()), cmp.Compare(a.Offset, b.Offset))
}

// runs joins neighbours.
func runs(entries []pack.Entry) []pack.Entry {
	joined := entries[:0]
	for _, e := range entries {
		if n := len(joined); n > 0 && joined[n-1].File == e.File && joined[n-1].Offset+joined[n-1].Length == e.Offset {
			joined[n-1].Length += e.Length
			continue
		}
		joined = append(joined, e)
	}
	return joined
}
