package sandboxtest

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/sandbox"
)

var writeTests = []test{
	{"writing makes the parents that are missing", func(t *testing.T, b *box) {
		b.write(t, b.at("a/b/c"), "x")
		if got := b.read(t, b.at("a/b/c")); got != "x" {
			t.Errorf("got %q", got)
		}
	}},
	{"create and overwrite decide what may happen", func(t *testing.T, b *box) {
		b.write(t, b.at("there"), "old")
		for _, x := range []struct {
			name              string
			create, overwrite bool
			want              sandbox.Kind
		}{
			{"there", true, true, ""},
			{"there", true, false, sandbox.FileExists},
			{"there", false, true, ""},
			{"none", false, true, sandbox.FileNotFound},
			{"none", false, false, sandbox.FileNotFound},
			{"new", true, false, ""},
		} {
			_, err := b.sb.WriteFile(within(t), b.at(x.name), strings.NewReader("new"), sandbox.WriteOptions{Create: x.create, Overwrite: x.overwrite})
			if x.want != "" {
				wantKind(t, err, x.want)
			} else if err != nil {
				t.Errorf("%+v: %v", x, err)
			}
		}
		if diff := cmp.Diff([]string{"new", "there"}, b.names(t, b.dir)); diff != "" {
			t.Error(diff)
		}
	}},
	{"a mode is set, a replaced file's is kept, a new file's is 0644", func(t *testing.T, b *box) {
		mode := func(name string, m *fs.FileMode) fs.FileMode {
			if _, err := b.sb.WriteFile(within(t), b.at(name), strings.NewReader("x"), sandbox.WriteOptions{Mode: m, Create: true, Overwrite: true}); err != nil {
				t.Fatal(err)
			}
			return b.stat(t, b.at(name)).Mode
		}
		exec := fs.FileMode(0o750)
		got := []fs.FileMode{mode("f", nil), mode("x", &exec), mode("x", nil)}
		if diff := cmp.Diff([]fs.FileMode{0o644, 0o750, 0o750}, got); diff != "" {
			t.Error(diff)
		}
	}},
	{"writing through a link changes its target and keeps the link", func(t *testing.T, b *box) {
		b.sh(t, "mkdir d; echo old > d/file; ln -s d/file link; ln -s d/new dangling")
		b.write(t, b.at("link"), "new")
		b.write(t, b.at("dangling"), "made")
		if got := b.read(t, b.at("d/file")) + b.read(t, b.at("d/new")); got != "newmade" {
			t.Errorf("got %q", got)
		}
		if !b.stat(t, b.at("link")).IsSymlink || !b.stat(t, b.at("dangling")).IsSymlink {
			t.Error("a link was replaced")
		}
	}},
	{"a reader never sees half of a file, and nothing is left lying around", func(t *testing.T, b *box) {
		b.write(t, b.at("f"), "old")
		pr, pw := io.Pipe()
		done := make(chan error, 1)
		go func() {
			_, err := b.sb.WriteFile(within(t), b.at("f"), pr, sandbox.WriteOptions{Create: true, Overwrite: true})
			done <- err
		}()
		if _, err := pw.Write([]byte(strings.Repeat("new", 100_000))); err != nil {
			t.Fatal(err)
		}
		if got := b.read(t, b.at("f")); got != "old" {
			t.Errorf("while it is written it holds %d bytes", len(got))
		}
		pw.Close()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := b.read(t, b.at("f")); got != strings.Repeat("new", 100_000) {
			t.Errorf("afterwards it holds %d bytes", len(got))
		}
		if got := b.names(t, b.dir); len(got) != 1 {
			t.Errorf("left: %q", got)
		}
	}},
	{"a content that cannot be read to its end changes nothing", func(t *testing.T, b *box) {
		b.write(t, b.at("f"), "old")
		broken := io.MultiReader(strings.NewReader(strings.Repeat("new", 300_000)), failing{})
		if _, err := b.sb.WriteFile(within(t), b.at("f"), broken, sandbox.WriteOptions{Create: true, Overwrite: true}); err == nil {
			t.Error("no error")
		}
		if got := b.read(t, b.at("f")); got != "old" {
			t.Errorf("it holds %d bytes", len(got))
		}
		until(t, "what was written is taken away", func() bool { return len(b.names(t, b.dir)) == 1 })
	}},
	{"a directory or a pipe is not overwritten", func(t *testing.T, b *box) {
		b.sh(t, "mkdir d; mkfifo pipe; echo x > f")
		for name, kind := range map[string]sandbox.Kind{"d": sandbox.IsADirectory, "pipe": sandbox.Unsupported, "f/below": sandbox.NotADirectory} {
			_, err := b.sb.WriteFile(within(t), b.at(name), strings.NewReader("x"), sandbox.WriteOptions{Create: true, Overwrite: true})
			wantKind(t, err, kind)
		}
	}},
	{"a refusal comes although there is more content than fits on the way", func(t *testing.T, b *box) {
		b.sh(t, "mkdir d")
		_, err := b.sb.WriteFile(within(t), b.at("d"), io.LimitReader(&counting{}, 64<<20), sandbox.WriteOptions{Create: true, Overwrite: true})
		wantKind(t, err, sandbox.IsADirectory)
	}},
	{"names as long as the system allows can be written", func(t *testing.T, b *box) {
		long := strings.Repeat("n", 255)
		b.write(t, b.at(long), "x")
		if got := b.read(t, b.at(long)); got != "x" {
			t.Errorf("got %q", got)
		}
		_, err := b.sb.WriteFile(within(t), b.at(long+"n"), strings.NewReader("x"), sandbox.WriteOptions{Create: true})
		wantKind(t, err, sandbox.InvalidParams)
	}},
	{"making a directory where a file is says so", func(t *testing.T, b *box) {
		b.write(t, b.at("f"), "")
		wantKind(t, b.sb.Mkdir(within(t), b.at("f"), true), sandbox.FileExists)
		wantKind(t, b.sb.Mkdir(within(t), b.at("f"), false), sandbox.FileExists)
		wantKind(t, b.sb.Mkdir(within(t), b.at("f/below"), true), sandbox.NotADirectory)
	}},
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the disk on the host is gone") }
