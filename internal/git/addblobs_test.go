package git

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

func blobOf(content []byte) Blob {
	return Blob{Size: int64(len(content)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }}
}

func TestAddBlobsStoresWhatGitReadsAsSound(t *testing.T) {
	noise := func(n int) []byte {
		out, rng := make([]byte, n), rand.New(rand.NewPCG(1, uint64(n)))
		for i := range out {
			out[i] = byte(rng.Uint32())
		}
		return out
	}
	contents := [][]byte{
		nil, []byte("a"), []byte("a"), []byte("fifteen bytes !"), []byte("sixteen bytes !!"), bytes.Repeat([]byte("x"), 2047), bytes.Repeat([]byte("x"), 2048),
		[]byte(strings.Repeat("text that repeats\n", 20_000)), noise(300_000), noise(wholeBlob), noise(wholeBlob + 1), noise(wholeBlob + 1),
		bytes.Repeat([]byte("large and dull "), wholeBlob/10),
	}
	for i := range 300 {
		contents = append(contents, noise(i))
	}
	for _, format := range []tree.Format{tree.SHA1, tree.SHA256} {
		t.Run(string(format), func(t *testing.T) {
			isolate(t)
			r, err := findGit(t).Init(t.Context(), filepath.Join(t.TempDir(), "o.git"), format)
			if err != nil {
				t.Fatal(err)
			}
			blobs := make([]Blob, len(contents))
			for i, c := range contents {
				blobs[i] = blobOf(c)
			}
			names, err := r.AddBlobs(t.Context(), blobs)
			if err != nil {
				t.Fatal(err)
			}
			read, err := r.Blobs(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer read.Close()
			for i, name := range names {
				if want := hashObject(format, "blob", contents[i]); name != want {
					t.Errorf("content %d is called %s, want %s", i, name, want)
				}
				if got, err := read.Get(name, -1); err != nil || !bytes.Equal(got, contents[i]) {
					t.Errorf("content %d came back as %d bytes (%v), want %d", i, len(got), err, len(contents[i]))
				}
			}
			if out, err := r.Output(t.Context(), "fsck", "--full", "--strict"); err != nil {
				t.Errorf("fsck: %v\n%s", err, out)
			}
			packs, err := filepath.Glob(filepath.Join(r.Dir, "objects", "pack", "*.pack"))
			if err != nil || len(packs) != 1 {
				t.Fatalf("packs %v, %v", packs, err)
			}
			if out, err := r.Output(t.Context(), "verify-pack", packs[0]); err != nil {
				t.Errorf("verify-pack: %v\n%s", err, out)
			}
			if out, err := r.Output(t.Context(), "index-pack", "--strict", "-o", filepath.Join(t.TempDir(), "own.idx"), packs[0]); err != nil {
				t.Errorf("index-pack: %v\n%s", err, out)
			}
		})
	}
}

// The index must be byte for byte the one that git makes of the pack.
func TestAddBlobsWritesTheIndexThatGitWouldWrite(t *testing.T) {
	isolate(t)
	r, err := findGit(t).Init(t.Context(), filepath.Join(t.TempDir(), "o.git"), tree.SHA1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.AddBlobs(t.Context(), []Blob{blobOf([]byte("one")), blobOf(nil), blobOf([]byte("three"))}); err != nil {
		t.Fatal(err)
	}
	packs, err := filepath.Glob(filepath.Join(r.Dir, "objects", "pack", "*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatalf("packs %v, %v", packs, err)
	}
	own := filepath.Join(t.TempDir(), "own.idx")
	if _, err := r.Output(t.Context(), "index-pack", "-o", own, packs[0]); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(strings.TrimSuffix(packs[0], ".pack") + ".idx")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the index is\n%x\nwant\n%x", got, want)
	}
}

func TestAddBlobsLeavesNothingBehindWhenItFails(t *testing.T) {
	isolate(t)
	r, err := findGit(t).Init(t.Context(), filepath.Join(t.TempDir(), "o.git"), tree.SHA1)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the disk is on fire")
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context //nolint:containedctx // a case of the table
		bad  Blob
		want error
	}{
		"cannot be opened":    {t.Context(), Blob{Size: 1, Open: func() (io.ReadCloser, error) { return nil, broken }}, broken},
		"too short":           {t.Context(), Blob{Size: 4, Open: blobOf([]byte("abc")).Open}, nil},
		"too long":            {t.Context(), Blob{Size: 2, Open: blobOf([]byte("abc")).Open}, nil},
		"large and too short": {t.Context(), Blob{Size: wholeBlob + 1, Open: blobOf([]byte("abc")).Open}, nil},
		"canceled":            {canceled, blobOf([]byte("x")), context.Canceled},
	} {
		blobs := []Blob{blobOf([]byte("good")), c.bad}
		for i := range 50 {
			blobs = append(blobs, blobOf(bytes.Repeat([]byte{byte(i)}, 1000)))
		}
		_, err := r.AddBlobs(c.ctx, blobs)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
		left, err := os.ReadDir(filepath.Join(r.Dir, "objects", "pack"))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, l := range left {
			names = append(names, l.Name())
		}
		if diff := cmp.Diff([]string(nil), names); diff != "" {
			t.Errorf("%s: left behind: %s", name, diff)
		}
	}
	if names, err := r.AddBlobs(t.Context(), nil); err != nil || len(names) != 0 {
		t.Errorf("nothing to store: %v, %v", names, err)
	}
}
