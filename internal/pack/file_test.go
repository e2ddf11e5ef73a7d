package pack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

// run runs git with nothing of this machine's configuration.
func run(t testing.TB, dir string, stdin io.Reader, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdin = dir, stdin
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v: %s (these tests need git)", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// stored makes a pack of contents with the index that AppendIndex writes, in a
// repository, and gives what its files are called without their endings.
func stored(t testing.TB, f tree.Format, contents ...string) (repo, base string) {
	t.Helper()
	repo = t.TempDir()
	run(t, repo, nil, "init", "-q", "--bare", "--template=", "--object-format="+string(f))
	var raw bytes.Buffer
	raw.Write(AppendHead(nil, len(contents)))
	var objects []Object
	for _, c := range contents {
		raw.Write(object(t, byte(Blob), len(c), c))
	}
	h := newHash(f)
	h.Write(raw.Bytes())
	sum := h.Sum(nil)
	raw.Write(sum)
	s, err := NewStream(bytes.NewReader(raw.Bytes()), f, nil)
	if err != nil {
		t.Fatal(err)
	}
	namer := NewNamer(f)
	for range contents {
		kind, _, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(s)
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.End()
		if err != nil {
			t.Fatal(err)
		}
		o.Name = namer.Name(kind, content)
		objects = append(objects, o)
	}
	base = filepath.Join(repo, "objects", "pack", fmt.Sprintf("pack-%x", sum))
	for ending, data := range map[string][]byte{".pack": raw.Bytes(), ".idx": AppendIndex(nil, f, objects, sum)} {
		if err := os.WriteFile(base+ending, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return repo, base
}

func someContents() []string {
	out := []string{"", "one", strings.Repeat("long ", 100_000)}
	for i := range 600 {
		out = append(out, fmt.Sprint("content ", i))
	}
	return out
}

func TestTheIndexIsByteForByteTheOneThatGitWrites(t *testing.T) {
	for _, f := range []tree.Format{tree.SHA1, tree.SHA256} {
		repo, base := stored(t, f, someContents()...)
		run(t, repo, nil, "verify-pack", base+".pack")
		run(t, repo, nil, "fsck", "--full", "--strict")
		other := filepath.Join(t.TempDir(), "git.idx")
		run(t, repo, nil, "index-pack", "-o", other, base+".pack")
		want, err := os.ReadFile(other)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(base + ".idx")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, git's has %d, and they differ", f, len(got), len(want))
		}
	}
}

// The second table is for packs that no test makes; git reads what is in it.
func TestOffsetsBeyondTwoGiBHaveATableOfTheirOwn(t *testing.T) {
	namer := NewNamer(tree.SHA1)
	var objects []Object
	for i, offset := range []int64{12, 1<<31 - 1, 1 << 31, 5 << 32} {
		objects = append(objects, Object{Name: namer.Name(Blob, []byte{byte(i)}), Offset: offset, CRC: uint32(i)})
	}
	want := map[string]int64{}
	for _, o := range objects {
		want[o.Name.Hex(tree.SHA1)] = o.Offset
	}
	index := AppendIndex(nil, tree.SHA1, objects, make([]byte, 20))
	got := map[string]int64{}
	for line := range strings.Lines(run(t, t.TempDir(), bytes.NewReader(index), "show-index")) {
		var offset int64
		var name, crc string
		if _, err := fmt.Sscan(line, &offset, &name, &crc); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		got[name] = offset
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryObjectOfAPackIsFoundAndNoOther(t *testing.T) {
	for _, f := range []tree.Format{tree.SHA1, tree.SHA256} {
		contents := someContents()
		_, base := stored(t, f, contents...)
		p, err := Open(base, f)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close() //nolint:errcheck // only read
		if err := p.Verify(); err != nil {
			t.Error(err)
		}
		var d Decoder
		var lengths int64
		for _, want := range contents {
			name := NewNamer(f).Name(Blob, []byte(want))
			e, ok := p.Find(name)
			if !ok || !e.Whole() {
				t.Fatalf("%s: %.20q is not found", f, want)
			}
			lengths += e.Length
			kind, got, err := e.Content(&d, 1<<20)
			if kind != Blob || string(got) != want || err != nil {
				t.Fatalf("%s: %.20q came back as %.20q (%v)", f, want, got, err)
			}
			if _, ok := p.Find(NewNamer(f).Name(Blob, []byte("not "+want))); ok {
				t.Errorf("%s: what is not there is found", f)
			}
		}
		if want := p.Size() - headLen - int64(nameLen(f)); lengths != want {
			t.Errorf("%s: the objects have %d bytes in all, the pack %d", f, lengths, want)
		}
		e, _ := p.Find(NewNamer(f).Name(Blob, []byte(contents[2])))
		if _, _, err := e.Content(&d, 10); err == nil {
			t.Errorf("%s: a content over the limit is read", f)
		}
	}
}

func TestDamageIsNoticedWhereverItIs(t *testing.T) {
	contents := []string{"one", "two", strings.Repeat("three", 1000)}
	_, base := stored(t, tree.SHA1, contents...)
	for _, ending := range []string{".pack", ".idx"} {
		good, err := os.ReadFile(base + ending)
		if err != nil {
			t.Fatal(err)
		}
		check := func(what string, bad []byte) {
			t.Helper()
			if err := os.WriteFile(base+ending, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			p, err := Open(base, tree.SHA1)
			if err == nil {
				err = errors.Join(p.Verify(), p.Close())
			}
			var damaged *DamagedError
			if !errors.As(err, &damaged) {
				t.Errorf("%s %s: %v", ending, what, err)
			}
		}
		for at := 0; at < len(good); at += 3 {
			bad := bytes.Clone(good)
			bad[at] ^= 1
			check(fmt.Sprint("changed at ", at), bad)
		}
		for _, n := range []int{0, 1, 11, 12, len(good) / 2, len(good) - 1} {
			check(fmt.Sprint("cut to ", n), good[:n])
		}
		check("longer", append(bytes.Clone(good), 0))
		if err := os.WriteFile(base+ending, good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	_, base := stored(f, tree.SHA1, "one", "two")
	index, err := os.ReadFile(base + ".idx")
	if err != nil {
		f.Fatal(err)
	}
	body := index[:len(index)-20]
	f.Add(body)
	f.Fuzz(func(t *testing.T, in []byte) {
		h := newHash(tree.SHA1)
		h.Write(in) // so that what is behind the checksum is reached
		base := filepath.Join(t.TempDir(), "x")
		for ending, data := range map[string][]byte{".pack": []byte("PACK"), ".idx": h.Sum(bytes.Clone(in))} {
			if err := os.WriteFile(base+ending, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		p, err := Open(base, tree.SHA1)
		if err != nil {
			return
		}
		defer p.Close() //nolint:errcheck // only read
		p.Find(Name{})
		_ = p.Verify()
	})
}

func TestADecoderTakesWhatAStreamTakes(t *testing.T) {
	blob := object(t, 3, 3, "one")
	var d Decoder
	for what, raw := range map[string][]byte{
		"shorter than it says": object(t, 3, 4, "one"),
		"longer than it says":  object(t, 3, 2, "one"),
		"longer than nothing":  object(t, 3, 0, "one"),
		"cut":                  blob[:len(blob)-1],
		"followed by more":     append(bytes.Clone(blob), 0),
		"not compressed":       {3<<4 | 3, 'o', 'n', 'e'},
		"of type 0":            {3},
		"nothing":              nil,
	} {
		_, _, err := d.Start(raw)
		if err == nil {
			_, err = io.ReadAll(&d)
		}
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	for _, want := range []string{"one", "", strings.Repeat("long", 100_000)} {
		kind, size, err := d.Start(object(t, 3, len(want), want))
		got, rerr := io.ReadAll(&d)
		if kind != Blob || size != int64(len(want)) || string(got) != want || errors.Join(err, rerr) != nil {
			t.Errorf("%.10q: %s of %d, %.10q (%v %v)", want, kind, size, got, err, rerr)
		}
	}
	if _, _, err := d.Start(object(t, refDelta, 3, "one")); !errors.Is(err, ErrDelta) {
		t.Errorf("a delta: %v", err)
	}
}
