package git

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

func TestBundlesCarryRefsAndWhatTheyHold(t *testing.T) {
	isolate(t)
	g := findGit(t)
	for _, f := range formats {
		from, to := newStore(t, g, f), newStore(t, g, f)
		files := map[string]string{"a": "1", "d/b": strings.Repeat("2", 1000)}
		base := makeCommit(t, from, makeTree(t, from, files))
		second := makeTree(t, from, map[string]string{"a": "2"})
		next := makeCommit(t, from, second, base)
		for name, id := range map[string]string{"refs/glue/base": base, "refs/glue/next": next} {
			if err := from.SetRef(t.Context(), name, id); err != nil {
				t.Fatal(err)
			}
		}
		// The second bundle is thin: it takes the first for granted.
		var thin bytes.Buffer
		if err := from.Bundle(t.Context(), &thin, "refs/glue/next", "^refs/glue/base"); err != nil {
			t.Fatal(err)
		}
		var missing *NoObjectError
		if err := to.Ingest(t.Context(), bytes.NewReader(thin.Bytes()), IngestLimits); !errors.As(err, &missing) || missing.Hash != base {
			t.Errorf("a bundle whose base is not here gives %v", err)
		}
		if d := cmp.Diff(map[string]string{"refs/glue/base": base}, transfer(t, from, to, "refs/glue/base")); d != "" {
			t.Error(d)
		}
		refs, err := to.IngestBundle(t.Context(), iotest.OneByteReader(&thin), IngestLimits)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(map[string]string{"refs/glue/next": next}, refs); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(regular(map[string]string{"a": "2"}), contents(t, to, second)); d != "" {
			t.Error(d)
		}
		if got, err := to.Ref(t.Context(), "refs/glue/next"); got != "" || err != nil {
			t.Errorf("taking a bundle in has set a ref: %s, %v", got, err)
		}
		if d := leftovers(t, to); len(d) > 0 {
			t.Errorf("left behind: %q", d)
		}
	}
	r := newStore(t, g, tree.SHA1)
	for _, refs := range [][]string{nil, {"--all"}, {"HEAD"}, {"refs/glue/none"}} {
		if err := r.Bundle(t.Context(), io.Discard, refs...); err == nil {
			t.Errorf("a bundle of %q is made", refs)
		}
	}
}

// packObject is one entry of a pack made by hand.
type packObject struct {
	kind    int    // 1 commit, 2 tree, 3 blob, 7 delta of base
	content []byte // as it is compressed
	size    int    // announced; 0: the content's
	base    string // of a delta
}

// makePack writes a pack (gitformat-pack(5)).
func makePack(t testing.TB, objects ...packObject) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("PACK")
	for _, n := range []uint32{2, uint32(len(objects))} {
		if err := binary.Write(&b, binary.BigEndian, n); err != nil {
			t.Fatal(err)
		}
	}
	z := zlib.NewWriter(io.Discard)
	for _, o := range objects {
		size := o.size
		if size == 0 {
			size = len(o.content)
		}
		c := byte(o.kind<<4 | size&15)
		for size >>= 4; size > 0; size >>= 7 {
			b.WriteByte(c | 0x80)
			c = byte(size & 0x7f)
		}
		b.WriteByte(c)
		if o.base != "" {
			id, err := hex.DecodeString(o.base)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(id)
		}
		z.Reset(&b)
		if _, err := z.Write(o.content); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha1.Sum(b.Bytes())
	return append(b.Bytes(), sum[:]...)
}

// deltaBomb makes a delta of a megabyte's blob that grows to n megabytes.
func deltaBomb(n int) (base []byte, delta []byte) {
	base = make([]byte, 1<<20)
	delta = binary.AppendUvarint(nil, uint64(len(base)))
	delta = binary.AppendUvarint(delta, uint64(n*len(base)))
	for range n {
		delta = append(delta, 0x80|0x40, 0x10) // copy 0x100000 bytes from 0
	}
	return base, delta
}

func TestX7_ADeltaThatGrowsWithoutBoundIsStopped(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	base, delta := deltaBomb(1024)
	bomb := makePack(t, packObject{kind: 3, content: base}, packObject{kind: 7, content: delta, base: tree.HashBytes(tree.SHA1, base)})
	if len(bomb) > 16<<10 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	limits := IngestLimits
	limits.Memory = 512 << 20
	err := r.Ingest(t.Context(), bytes.NewReader(bomb), limits)
	var limit *LimitError
	if !errors.As(err, &limit) || limit.What != LimitMemory {
		t.Errorf("the bomb gives %v", err)
	}
	if left := append(objects(t, r), leftovers(t, r)...); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestX7_APackWithoutEndIsStopped(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	noise := make([]byte, 4<<20)
	for i, seed := 0, uint32(1); i < len(noise); i++ {
		seed = seed*1664525 + 1013904223
		noise[i] = byte(seed >> 24)
	}
	limits := IngestLimits
	limits.File = 1 << 20
	err := r.Ingest(t.Context(), bytes.NewReader(makePack(t, packObject{kind: 3, content: noise})), limits)
	var limit *LimitError
	if !errors.As(err, &limit) || limit.What != LimitFile {
		t.Errorf("a large pack gives %v", err)
	}
	if left := append(objects(t, r), leftovers(t, r)...); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestX7_ATreeOfMoreFilesThanThereAreIsStopped(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	blob := packObject{kind: 3, content: []byte("x")}
	pack := []packObject{blob}
	id := tree.HashBytes(tree.SHA1, blob.content)
	mode := "100644"
	for range 12 { // ten to the twelfth files
		raw, err := hex.DecodeString(id)
		if err != nil {
			t.Fatal(err)
		}
		var content []byte
		for i := range 10 {
			content = append(content, fmt.Sprintf("%s %d\x00%s", mode, i, raw)...)
		}
		pack = append(pack, packObject{kind: 2, content: content})
		id, mode = hashObject(tree.SHA1, "tree", content), "40000"
	}
	if err := r.Ingest(t.Context(), bytes.NewReader(makePack(t, pack...)), IngestLimits); err != nil {
		t.Fatal(err)
	}
	var limit *LimitError
	if _, err := r.readTree(t.Context(), id, 1000); !errors.As(err, &limit) || limit.What != LimitEntries {
		t.Errorf("reading the tree gives %v", err)
	}
	wide := makeTree(t, r, corpus(300, 1))
	if _, err := r.diffTrees(t.Context(), "", wide, diffOptions{most: 200}); !errors.As(err, &limit) || limit.What != LimitEntries {
		t.Errorf("comparing a tree gives %v", err)
	}
}

func TestX4_TreesThatNoFileSystemShouldSeeAreRefused(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	blob := []byte("x")
	raw, err := hex.DecodeString(tree.HashBytes(tree.SHA1, blob))
	if err != nil {
		t.Fatal(err)
	}
	for name, entries := range map[string][]string{
		"up":            {"100644 .."},
		"here":          {"100644 ."},
		"git":           {"100644 .git"},
		"git in caps":   {"100644 .GIT"},
		"git by HFS":    {"100644 .g\u200cit"},
		"git by NTFS":   {"100644 git~1"},
		"a slash":       {"100644 a/b"},
		"no name":       {"100644 "},
		"twice":         {"100644 a", "100644 a"},
		"out of order":  {"100644 b", "100644 a"},
		"absent object": nil,
	} {
		var content []byte
		for _, e := range entries {
			content = append(content, e+"\x00"+string(raw)...)
		}
		if entries == nil {
			content = []byte("100644 a\x00" + strings.Repeat("\x11", 20))
		}
		before := len(objects(t, r))
		err := r.Ingest(t.Context(), bytes.NewReader(makePack(t, packObject{kind: 3, content: blob}, packObject{kind: 2, content: content})), IngestLimits)
		var limit *LimitError
		if err == nil || errors.As(err, &limit) {
			t.Errorf("%s: %v", name, err)
		}
		if left := leftovers(t, r); len(left) > 0 || len(objects(t, r)) != before {
			t.Errorf("%s: left behind: %q", name, left)
		}
	}
}

func TestACommitThatIsSpeltOddlyIsTakenAllTheSame(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	id := makeTree(t, r, map[string]string{".gitmodules": "[submodule \"../x\"]\n\turl = -x\n", "a": "1"})
	for _, who := range []string{"Nobody <> 0 +0000", " <x> 00 +0000", "A <a> 99999999999999999999 +9999", "A<a> 1 +0000", "A <a 1 +0000"} {
		commit := []byte("tree " + id + "\nauthor " + who + "\ncommitter " + who + "\n\nx")
		if err := r.Ingest(t.Context(), bytes.NewReader(makePack(t, packObject{kind: 1, content: commit})), IngestLimits); err != nil {
			t.Errorf("%q: %v", who, err)
		}
	}
	other := newStore(t, r.Git, tree.SHA1)
	if err := r.SetRef(t.Context(), "refs/glue/x", makeCommit(t, r, id)); err != nil {
		t.Fatal(err)
	}
	transfer(t, r, other, "refs/glue/x")
}

func TestWhatIsNoBundleIsRefusedAndLeavesNothing(t *testing.T) {
	isolate(t)
	g := findGit(t)
	r, from := newStore(t, g, tree.SHA1), newStore(t, g, tree.SHA1)
	commit := makeCommit(t, from, makeTree(t, from, map[string]string{"a": "1"}))
	if err := from.SetRef(t.Context(), "refs/glue/x", commit); err != nil {
		t.Fatal(err)
	}
	var bundle bytes.Buffer
	if err := from.Bundle(t.Context(), &bundle, "refs/glue/x"); err != nil {
		t.Fatal(err)
	}
	good := bundle.String()
	for name, in := range map[string]string{
		"nothing":              "",
		"text":                 "hello\n",
		"text without end":     "hello",
		"cut in the header":    good[:30],
		"cut in the pack":      good[:len(good)-30],
		"a changed byte":       good[:len(good)-40] + "?" + good[len(good)-39:],
		"another version":      strings.Replace(good, "v2", "v9", 1),
		"a capability of v2":   strings.Replace(good, "\n", "\n@filter=blob:none\n", 1),
		"a filter":             strings.Replace(strings.Replace(good, "\n", "\n@filter=blob:none\n", 1), "v2", "v3", 1),
		"another format":       strings.Replace(strings.Replace(good, "\n", "\n@object-format=sha256\n", 1), "v2", "v3", 1),
		"a ref that leaves":    strings.Replace(good, "refs/glue/x", "refs/../../x", 1),
		"a ref like an option": strings.Replace(good, "refs/glue/x", "--upload-pack=x", 1),
		"a ref of nothing":     strings.Replace(good, commit, strings.Repeat("1", 40), 1),
		"a long line":          "# v2 git bundle\n" + strings.Repeat("x", 1<<20),
		"a pack's first word":  "PACK",
	} {
		refs, err := r.IngestBundle(t.Context(), strings.NewReader(in), IngestLimits)
		if err == nil || len(refs) > 0 {
			t.Errorf("%s: %v, %v", name, refs, err)
		}
		if left := append(objects(t, r), leftovers(t, r)...); len(left) > 0 {
			t.Fatalf("%s: left behind: %q", name, left)
		}
	}
	failing := errors.New("the line was cut")
	err := r.Ingest(t.Context(), io.MultiReader(strings.NewReader(good[:len(good)-30]), iotest.ErrReader(failing)), IngestLimits)
	if err == nil {
		t.Error("a stream that breaks is taken in")
	}
}

func FuzzReadBundleHeader(f *testing.F) {
	id := strings.Repeat("a", 40)
	for _, seed := range []string{
		"PACK", "# v2 git bundle\n\n", "# v2 git bundle\n-" + id + " x\n" + id + " refs/heads/x\n\nPACK",
		"# v3 git bundle\n@object-format=sha256\n" + id + " HEAD\n\n", "# v2", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := readBundleHeader(bufio.NewReader(bytes.NewReader(in)))
		if err != nil {
			return
		}
		for name, id := range h.refs {
			if name != "HEAD" && checkRef(name) != nil || !hexID.MatchString(id) {
				t.Errorf("%q is taken for the ref of %q", name, id)
			}
		}
		for _, id := range h.needs {
			if !hexID.MatchString(id) {
				t.Errorf("%q is taken for a commit", id)
			}
		}
	})
}
