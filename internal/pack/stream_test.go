package pack

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1" //nolint:gosec // git's object ids, not a matter of secrecy
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

// object is one object as a pack holds it, with a size that need not be true.
func object(t testing.TB, kind byte, size int, content string) []byte {
	t.Helper()
	out := bytes.NewBuffer(AppendHeader(nil, Kind(kind), int64(size)))
	z := zlib.NewWriter(out)
	if _, err := z.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// packOf is a pack of objects without its checksum; sealed adds that.
func packOf(objects ...[]byte) []byte {
	b := append([]byte("PACK"), 0, 0, 0, 2)
	b = binary.BigEndian.AppendUint32(b, uint32(len(objects)))
	return append(b, bytes.Join(objects, nil)...)
}

func sealed(pack []byte) []byte {
	sum := sha1.Sum(pack) //nolint:gosec // see above
	return append(pack, sum[:]...)
}

// readAll gives every object's kind and content, and where it lies.
func readAll(r io.Reader, sink io.Writer) (contents []string, objects []Object, sum []byte, err error) {
	s, err := NewStream(r, tree.SHA1, sink)
	if err != nil {
		return nil, nil, nil, err
	}
	for {
		kind, size, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return contents, objects, nil, err
		}
		content, err := io.ReadAll(s)
		if err != nil {
			return contents, objects, nil, err
		}
		if int64(len(content)) != size {
			return contents, objects, nil, errors.New("the size is wrong")
		}
		o, err := s.End()
		if err != nil {
			return contents, objects, nil, err
		}
		o.Name = NewNamer(tree.SHA1).Name(kind, content)
		contents, objects = append(contents, kind.String()+" "+string(content)), append(objects, o)
	}
	sum, err = s.Finish()
	return contents, objects, sum, err
}

func TestAPackIsReadToItsEndHoweverItArrives(t *testing.T) {
	long := strings.Repeat("long ", 10_000)
	raw := sealed(packOf(object(t, 1, 6, "commit"), object(t, 3, 0, ""), object(t, 2, 4, "tree"),
		object(t, 3, len(long), long), object(t, 4, 3, "tag")))
	for name, arrives := range map[string]func(io.Reader) io.Reader{
		"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "in halves": iotest.HalfReader, "end with data": iotest.DataErrReader,
	} {
		var kept bytes.Buffer
		contents, objects, sum, err := readAll(arrives(bytes.NewReader(raw)), &kept)
		if diff := cmp.Diff([]string{"commit commit", "blob ", "tree tree", "blob " + long, "tag tag"}, contents); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
		if !bytes.Equal(kept.Bytes(), raw) {
			t.Errorf("%s: %d bytes were passed on, want %d", name, kept.Len(), len(raw))
		}
		if !bytes.Equal(sum, raw[len(raw)-sha1.Size:]) {
			t.Errorf("%s: the checksum is %x", name, sum)
		}
		for i, o := range objects[1:] {
			if o.Offset <= objects[i].Offset {
				t.Errorf("%s: object %d lies at %d, the one before at %d", name, i+1, o.Offset, objects[i].Offset)
			}
		}
	}
}

func TestAPackThatIsWrongIsAnError(t *testing.T) {
	blob := object(t, 3, 3, "one")
	for what, raw := range map[string][]byte{
		"shorter than it says":   packOf(object(t, 3, 4, "one")),
		"longer than it says":    packOf(object(t, 3, 2, "one")),
		"longer than nothing":    packOf(object(t, 3, 0, "one")),
		"cut":                    packOf(blob, blob)[:len(packOf(blob))+4],
		"not compressed":         packOf([]byte{3<<4 | 3, 'o', 'n', 'e'}),
		"a wrong checksum":       packOf(append(blob[:len(blob)-1:len(blob)-1], blob[len(blob)-1]^1)),
		"of type 0":              packOf([]byte{3}),
		"of type 5":              packOf([]byte{5<<4 | 3}),
		"a size without end":     packOf(bytes.Repeat([]byte{0xb0}, 30)),
		"no pack":                []byte("KCAP00000000"),
		"version 9":              append([]byte("PACK"), 0, 0, 0, 9, 0, 0, 0, 0),
		"nothing":                nil,
		"the pack's sum missing": packOf(blob),
		"the pack's sum wrong":   append(packOf(blob), make([]byte, sha1.Size)...),
		"of more than there is":  sealed(append(packOf()[:8], append([]byte{0xff, 0xff, 0xff, 0xff}, blob...)...)),
	} {
		if contents, _, _, err := readAll(bytes.NewReader(raw), nil); err == nil {
			t.Errorf("%s: no error, and %q", what, contents)
		}
	}
	for _, kind := range []byte{ofsDelta, refDelta} {
		if _, _, _, err := readAll(bytes.NewReader(packOf(blob, object(t, kind, 3, "one"))), nil); !errors.Is(err, ErrDelta) {
			t.Errorf("a delta: %v", err)
		}
	}
	full := errors.New("the disk is full")
	if _, _, _, err := readAll(bytes.NewReader(sealed(packOf(blob))), failing{full}); !errors.Is(err, full) {
		t.Errorf("a sink that fails: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestAfterADeltaTheRestStillReachesTheSink(t *testing.T) {
	raw := sealed(packOf(object(t, 3, 3, "one"), object(t, refDelta, 3, "two"), object(t, 3, 5, "three")))
	var kept bytes.Buffer
	s, err := NewStream(iotest.OneByteReader(bytes.NewReader(raw)), tree.SHA1, &kept)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		if _, _, err = s.Next(); err == nil {
			_, err = s.End()
		}
	}
	if !errors.Is(err, ErrDelta) {
		t.Fatal(err)
	}
	if err := s.Drain(); err != nil || !bytes.Equal(kept.Bytes(), raw) {
		t.Errorf("%d bytes of %d were passed on (%v)", kept.Len(), len(raw), err)
	}
}

func FuzzStream(f *testing.F) {
	f.Add(packOf(object(f, 3, 3, "one"), object(f, 2, 4, "tree")))
	f.Add(packOf(object(f, 3, 99, "one")))
	f.Add(sealed(packOf(object(f, 1, 3, "one"))))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := NewStream(bytes.NewReader(in), tree.SHA1, nil)
		for err == nil {
			var size, n int64
			if _, size, err = s.Next(); err != nil {
				return
			}
			n, err = io.Copy(io.Discard, io.LimitReader(s, 1<<20))
			if n > size {
				t.Fatalf("%d bytes of %d", n, size)
			}
			if err == nil && n < 1<<20 {
				_, err = s.End()
			}
		}
	})
}
