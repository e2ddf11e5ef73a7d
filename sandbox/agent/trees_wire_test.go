package agent

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zlib"
	"pgregory.net/rapid"

	"glue-lsp/internal/tree"
)

func TestEntriesTravelUnchanged(t *testing.T) {
	entry := rapid.Custom(func(t *rapid.T) tree.Entry {
		return tree.Entry{
			Path: string(rapid.SliceOfN(rapid.Byte(), 1, 60).Draw(t, "path")),
			Mode: rapid.SampledFrom([]tree.Mode{tree.Regular, tree.Executable, tree.Symlink}).Draw(t, "mode"),
			Hash: tree.HashBytes(rapid.SampledFrom([]tree.Format{tree.SHA1, tree.SHA256}).Draw(t, "format"), rapid.SliceOf(rapid.Byte()).Draw(t, "content")),
			Size: rapid.Int64Range(0, 1<<62).Draw(t, "size"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(entry).Draw(t, "entries")
		var b bytes.Buffer
		if err := writeEntries(&b, want); err != nil {
			t.Fatal(err)
		}
		got, err := readEntries(&b)
		if err != nil {
			t.Fatal(err)
		}
		if len(want)+len(got) > 0 && !cmp.Equal(want, got) {
			t.Fatal(cmp.Diff(want, got))
		}
	})
}

func TestAListOfEntriesThatIsCutIsAnError(t *testing.T) {
	var b bytes.Buffer
	if err := writeEntries(&b, []tree.Entry{{Path: "a/b", Mode: tree.Regular, Hash: tree.HashBytes(tree.SHA1, nil)}}); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < b.Len(); n++ {
		if got, err := readEntries(bytes.NewReader(b.Bytes()[:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after %d bytes: %v, %v", n, got, err)
		}
	}
}

func FuzzEntries(f *testing.F) {
	var b bytes.Buffer
	if err := writeEntries(&b, []tree.Entry{
		{Path: "a/b", Mode: tree.Regular, Hash: tree.HashBytes(tree.SHA1, nil)}, {Path: "a/c", Mode: tree.Symlink, Hash: tree.HashBytes(tree.SHA256, nil), Size: 7},
	}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{5, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := readEntries(bytes.NewReader(in))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := writeEntries(&out, got); err != nil {
			t.Fatal(err)
		}
		again, err := readEntries(&out)
		if err != nil || !cmp.Equal(got, again) {
			t.Fatalf("%v, %v", err, cmp.Diff(got, again))
		}
	})
}

func TestABundlesHeaderIsRead(t *testing.T) {
	id := strings.Repeat("ab", 20)
	for _, x := range []struct {
		what, text string
		want       bundleHeader
		fails      bool
	}{
		{"version 2", "# v2 git bundle\n-" + id + " a comment\n" + id + " refs/heads/x\n\nPACK", bundleHeader{
			format: tree.SHA1, prerequisites: []string{id}, refs: []bundleRef{{id, "refs/heads/x"}},
		}, false},
		{"version 3", "# v3 git bundle\n@object-format=sha256\n" + id + " HEAD\n\nPACK", bundleHeader{
			format: tree.SHA256, refs: []bundleRef{{id, "HEAD"}},
		}, false},
		{"an unknown capability", "# v3 git bundle\n@filter=blob:none\n\n", bundleHeader{}, true},
		{"an unknown format", "# v3 git bundle\n@object-format=md5\n\n", bundleHeader{}, true},
		{"version 4", "# v4 git bundle\n\n", bundleHeader{}, true},
		{"no end", "# v2 git bundle\n" + id + " HEAD\n", bundleHeader{}, true},
		{"no ref's name", "# v2 git bundle\n" + id + "\n\n", bundleHeader{}, true},
		{"a line without end", "# v2 git bundle\n" + strings.Repeat("x", 1<<20), bundleHeader{}, true},
		{"nothing", "", bundleHeader{}, true},
	} {
		in := bufio.NewReader(strings.NewReader(x.text))
		got, err := readBundleHeader(in)
		if x.fails {
			if err == nil {
				t.Errorf("%s: no error", x.what)
			}
			continue
		}
		if diff := cmp.Diff(x.want, got, cmp.AllowUnexported(bundleHeader{}, bundleRef{})); diff != "" || err != nil {
			t.Errorf("%s: %v %s", x.what, err, diff)
		}
		if rest, _ := io.ReadAll(in); string(rest) != "PACK" {
			t.Errorf("%s: left %q", x.what, rest)
		}
	}
}

// packObjectBytes is one object as a pack holds it.
func packObjectBytes(t testing.TB, kind byte, size int, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	first, rest := kind<<4|byte(size&15), size>>4
	for rest > 0 {
		b.WriteByte(first | 0x80)
		first, rest = byte(rest&0x7f), rest>>7
	}
	b.WriteByte(first)
	z := zlib.NewWriter(&b)
	if _, err := z.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func packBytes(objects ...[]byte) []byte {
	b := append([]byte("PACK"), 0, 0, 0, 2)
	b = binary.BigEndian.AppendUint32(b, uint32(len(objects)))
	for _, o := range objects {
		b = append(b, o...)
	}
	return b
}

func readBlobs(pack []byte) (blobs []string, rest string, err error) {
	in := bufio.NewReader(bytes.NewReader(pack))
	err = readPack(in, func(size int64, content io.Reader) error {
		b, err := io.ReadAll(content)
		if err == nil && int64(len(b)) != size {
			return errors.New("the size is wrong")
		}
		blobs = append(blobs, string(b))
		return err
	})
	left, _ := io.ReadAll(in)
	return blobs, string(left), err
}

func TestAPacksBlobsAreReadAndNothingAfterIt(t *testing.T) {
	long := strings.Repeat("long ", 10_000)
	pack := packBytes(packObjectBytes(t, 1, 6, "commit"), packObjectBytes(t, packBlob, 0, ""), packObjectBytes(t, 2, 4, "tree"),
		packObjectBytes(t, packBlob, len(long), long), packObjectBytes(t, packBlob, 3, "one"))
	blobs, rest, err := readBlobs(append(pack, "checksum"...))
	if diff := cmp.Diff([]string{"", long, "one"}, blobs); diff != "" || rest != "checksum" || err != nil {
		t.Errorf("left %q: %v %s", rest, err, diff)
	}
}

func TestAPackThatIsWrongIsAnError(t *testing.T) {
	blob := packObjectBytes(t, packBlob, 3, "one")
	for what, pack := range map[string][]byte{
		"shorter than it says": packBytes(packObjectBytes(t, packBlob, 4, "one")),
		"longer than it says":  packBytes(packObjectBytes(t, packBlob, 2, "one")),
		"longer than nothing":  packBytes(packObjectBytes(t, packBlob, 0, "one")),
		"cut":                  packBytes(blob, blob)[:len(packBytes(blob))+4],
		"not compressed":       packBytes([]byte{packBlob<<4 | 3, 'o', 'n', 'e'}),
		"a wrong checksum":     packBytes(append(blob[:len(blob)-1:len(blob)-1], blob[len(blob)-1]^1)),
		"of type 0":            packBytes([]byte{3}),
		"of type 5":            packBytes([]byte{5<<4 | 3}),
		"a size without end":   packBytes(bytes.Repeat([]byte{0xb0}, 30)),
		"no pack":              []byte("KCAP00000000"),
		"version 9":            append([]byte("PACK"), 0, 0, 0, 9, 0, 0, 0, 0),
		"nothing":              nil,
	} {
		if blobs, _, err := readBlobs(pack); err == nil {
			t.Errorf("%s: no error, and %q", what, blobs)
		}
	}
	for _, kind := range []byte{packOfsDelta, packRefDelta} {
		if _, _, err := readBlobs(packBytes(blob, packObjectBytes(t, kind, 3, "one"))); !errors.Is(err, errDelta) {
			t.Errorf("a delta: %v", err)
		}
	}
}

func FuzzPack(f *testing.F) {
	f.Add(packBytes(packObjectBytes(f, packBlob, 3, "one"), packObjectBytes(f, 2, 4, "tree")))
	f.Add(packBytes(packObjectBytes(f, packBlob, 99, "one")))
	f.Fuzz(func(t *testing.T, in []byte) {
		_ = readPack(bufio.NewReader(bytes.NewReader(in)), func(size int64, content io.Reader) error {
			n, err := io.Copy(io.Discard, io.LimitReader(content, 1<<20))
			if n > size {
				t.Fatalf("%d bytes of %d", n, size)
			}
			return err
		})
	})
}

func FuzzBundleHeader(f *testing.F) {
	f.Add("# v2 git bundle\n-abc x\nabc HEAD\n\nPACK")
	f.Add("# v3 git bundle\n@object-format=sha256\n\n")
	f.Fuzz(func(t *testing.T, in string) {
		h, err := readBundleHeader(bufio.NewReader(strings.NewReader(in)))
		if err == nil && h.format != tree.SHA1 && h.format != tree.SHA256 {
			t.Fatalf("format %q", h.format)
		}
	})
}
