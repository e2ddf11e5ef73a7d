package agent

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/pack"
	"glue-lsp/internal/tree"
)

// measure gives the lengths of the objects in a bundle's pack.
func measure(t testing.TB, h hostTree) []int64 {
	t.Helper()
	in := bufio.NewReader(bytes.NewReader(h.bundle))
	if _, err := readBundleHeader(in); err != nil {
		t.Fatal(err)
	}
	s, err := pack.NewStream(in, h.format, nil)
	if err != nil {
		t.Fatal(err)
	}
	var starts []int64
	for {
		_, _, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.End()
		if err != nil {
			t.Fatal(err)
		}
		starts = append(starts, o.Offset)
	}
	end := int64(len(h.bundle)-bytes.Index(h.bundle, []byte("\n\nPACK"))-2) - int64(len(h.commit)/2)
	lengths := make([]int64, len(starts))
	for i, at := range append(starts[1:], end) {
		lengths[i] = at - starts[i]
	}
	return lengths
}

// bigTree has many files, and some that are too large to be held.
func bigTree(t testing.TB, format tree.Format) hostTree {
	return makeTree(t, format, func(dir string) {
		for i := range 300 {
			put(t, dir, fmt.Sprintf("d%d/e%d/f%d", i%7, i%3, i), strings.Repeat(fmt.Sprintln(i), i))
		}
		put(t, dir, "twice/a", "same")
		put(t, dir, "twice/b", "same")
		put(t, dir, "dull", strings.Repeat("x", 3*holdWhole))
		noise := make([]byte, 2*holdWhole)
		for i, x := 0, uint32(1); i < len(noise); i++ {
			x = x*1664525 + 1013904223
			noise[i] = byte(x >> 24)
		}
		put(t, dir, "noise", string(noise))
	})
}

func TestTheAgentsOwnPackIsSoundHoweverItIsUnpacked(t *testing.T) {
	for _, format := range []tree.Format{tree.SHA1, tree.SHA256} {
		h := bigTree(t, format)
		for name, lengths := range map[string][]int64{"by one": nil, "by several": measure(t, h)} {
			t.Run(fmt.Sprint(format, " ", name), func(t *testing.T) {
				root := t.TempDir()
				req := h.request()
				req.Lengths = lengths
				if err := inProcess(t, root).Populate(testContext(t), req); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(h.entries, scanned(t, root, format)); diff != "" {
					t.Errorf("the tree (-host +sandbox):\n%s", diff)
				}
				packs, err := filepath.Glob(filepath.Join(root, ".git", "objects", "pack", "*"))
				if err != nil || len(packs) != 2 {
					t.Fatalf("beside the pack lie %q, %v", packs, err)
				}
				base := strings.TrimSuffix(packs[0], ".idx")
				hostGit(t, root, "", "verify-pack", base+".pack")
				hostGit(t, root, "", "fsck", "--strict", "--no-dangling")
				other := filepath.Join(t.TempDir(), "git.idx")
				hostGit(t, root, "", "index-pack", "-o", other, base+".pack")
				want, err := os.ReadFile(other)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := os.ReadFile(base + ".idx"); err != nil || !bytes.Equal(got, want) {
					t.Errorf("the index is not the one that git writes (%v)", err)
				}
				if s := hostGit(t, root, "", "diff-files", "--name-only"); s != "" {
					t.Errorf("the index does not know these files:\n%s", s)
				}
			})
		}
	}
}

func TestWhatABundleHoldsIsNotBelievedUnseen(t *testing.T) {
	h := smallTree(t, tree.SHA1)
	lengths := measure(t, h)
	shifted := append([]int64{lengths[0] + 1, lengths[1] - 1}, lengths[2:]...)
	flipped := bytes.Clone(h.bundle)
	flipped[len(flipped)-1] ^= 1 // of the pack's checksum
	broken := bytes.Clone(h.bundle)
	broken[len(broken)-40] ^= 1 // of an object
	other := strings.Repeat("0", 40)
	for name, c := range map[string]struct {
		bundle  []byte
		lengths []int64
		commit  string
	}{
		"lengths that are shifted":   {h.bundle, shifted, h.commit},
		"lengths of nothing":         {h.bundle, make([]int64, len(lengths)), h.commit},
		"a length beyond the end":    {h.bundle, []int64{int64(len(h.bundle)) + 1}, h.commit},
		"another checksum":           {flipped, nil, h.commit},
		"another checksum, measured": {flipped, lengths, h.commit},
		"a broken object":            {broken, nil, h.commit},
		"a broken object, measured":  {broken, lengths, h.commit},
		"another commit":             {h.bundle, lengths, other},
		"cut":                        {h.bundle[:len(h.bundle)-50], lengths, h.commit},
	} {
		root := t.TempDir()
		req := h.request()
		req.Bundle, req.Lengths, req.Commit = bytes.NewReader(c.bundle), c.lengths, c.commit
		if err := inProcess(t, root).Populate(testContext(t), req); err == nil {
			t.Errorf("%s: no error", name)
		}
		left, err := os.ReadDir(root)
		if err != nil || len(left) > 0 {
			t.Errorf("%s: left behind %v, %v", name, left, err)
		}
	}
	// Too few are no lie: the rest is decoded as it comes.
	req := h.request()
	req.Lengths = lengths[:2]
	if err := inProcess(t, t.TempDir()).Populate(testContext(t), req); err != nil {
		t.Error(err)
	}
}

func TestLengthsTravelUnchanged(t *testing.T) {
	for _, want := range [][]int64{nil, {0}, {1, 127, 128, 1 << 40}} {
		var b bytes.Buffer
		if err := writeLengths(&b, want); err != nil {
			t.Fatal(err)
		}
		if got, err := readLengths(&b); err != nil || !cmp.Equal(want, got) {
			t.Errorf("%v came back as %v (%v)", want, got, err)
		}
	}
	for _, bad := range [][]byte{{0x80}, bytes.Repeat([]byte{0xff}, 20), {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}} {
		if got, err := readLengths(bytes.NewReader(bad)); err == nil {
			t.Errorf("%x is read as %v", bad, got)
		}
	}
}
