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

func TestX7_FewBytesThatStandForGigabytesOfNamesAreRefused(t *testing.T) {
	first := tree.Entry{Path: strings.Repeat("n", maxEntryPath), Mode: tree.Regular}
	var b bytes.Buffer
	if err := writeEntries(&b, []tree.Entry{first}); err != nil {
		t.Fatal(err)
	}
	// The same name again: all of it is shared, nothing follows, a mode, no size, no hash.
	again := binary.AppendUvarint(nil, maxEntryPath)
	again = binary.AppendUvarint(append(again, 0), uint64(tree.Regular))
	again = append(again, 0, 0)
	b.Write(bytes.Repeat(again, 2*maxEntriesText/maxEntryPath))
	if b.Len() > 1<<20 {
		t.Fatalf("it takes %d bytes", b.Len())
	}
	if got, err := readEntries(&b); err == nil || !strings.Contains(err.Error(), "bytes of names") {
		t.Errorf("%d entries, %v", len(got), err)
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
