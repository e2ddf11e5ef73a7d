package sandboxtest

import (
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/sandbox"
)

var fileTests = []test{
	{"stat follows a link for type, size and time, and says that it is one", func(t *testing.T, b *box) {
		b.sh(t, `printf 12345 > file; mkdir dir; ln -s file to-file; ln -s dir to-dir; ln -s none dangling; ln -s loop loop; touch -d @1600000000 file`)
		got := map[string]sandbox.FileInfo{}
		for _, name := range []string{"to-file", "to-dir", "dangling", "loop"} {
			info := b.stat(t, b.at(name))
			got[name] = sandbox.FileInfo{Type: info.Type, IsSymlink: info.IsSymlink, Target: info.Target}
		}
		want := map[string]sandbox.FileInfo{
			"to-file": {Type: "file", IsSymlink: true, Target: "file"}, "to-dir": {Type: "directory", IsSymlink: true, Target: "dir"},
			"dangling": {Type: "other", IsSymlink: true, Target: "none"}, "loop": {Type: "other", IsSymlink: true, Target: "loop"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if info := b.stat(t, b.at("to-file")); info.Size != 5 || info.ModTime.Unix() != 1_600_000_000 {
			t.Errorf("not the target's size and time: %+v", info)
		}
	}},
	{"stat gives the permission bits", func(t *testing.T, b *box) {
		b.sh(t, `touch f x; chmod 640 f; chmod 755 x`)
		for name, mode := range map[string]fs.FileMode{"f": 0o640, "x": 0o755} {
			if info := b.stat(t, b.at(name)); info.Mode != mode {
				t.Errorf("%s: %o, not %o", name, info.Mode, mode)
			}
		}
	}},
	{"what is neither file nor directory has type other", func(t *testing.T, b *box) {
		b.sh(t, "mkfifo pipe")
		if info := b.stat(t, b.at("pipe")); info.Type != "other" || info.IsSymlink {
			t.Errorf("got %+v", info)
		}
	}},
	{"a path that is not there is fileNotFound, one through a file notADirectory", func(t *testing.T, b *box) {
		b.write(t, b.at("f"), "")
		_, err := b.sb.Stat(within(t), b.at("none"))
		wantKind(t, err, sandbox.FileNotFound)
		if err != nil && !strings.Contains(err.Error(), "none") {
			t.Errorf("the error does not name the path: %v", err)
		}
		_, err = b.sb.Stat(within(t), b.at("f/below"))
		wantKind(t, err, sandbox.NotADirectory)
	}},
	{"a path with a NUL byte is invalidParams everywhere", func(t *testing.T, b *box) {
		ctx, bad := within(t), b.at("a\x00b")
		_, errStat := b.sb.Stat(ctx, bad)
		_, errDir := b.sb.ReadDir(ctx, bad)
		_, _, errRead := b.sb.ReadFile(ctx, bad, 0, -1)
		_, errWrite := b.sb.WriteFile(ctx, bad, strings.NewReader("x"), sandbox.WriteOptions{Create: true, Overwrite: true})
		for _, err := range []error{
			errStat, errDir, errRead, errWrite, b.sb.Mkdir(ctx, bad, true), b.sb.Remove(ctx, bad, true, true),
			b.sb.Rename(ctx, bad, b.at("x"), true), b.sb.Copy(ctx, b.at("x"), bad, true),
		} {
			wantKind(t, err, sandbox.InvalidParams)
		}
		if got := b.names(t, b.dir); len(got) != 0 {
			t.Errorf("something was made: %q", got)
		}
	}},
	{"paths are normalised by their text, .. stops at /, and ~ is a name", func(t *testing.T, b *box) {
		b.write(t, b.at("~/x"), "tilde")
		b.write(t, b.at("y"), "y")
		for _, p := range []string{"none/../y", "./y", "y/", "~/../y", "//y", "y/."} {
			if got := b.read(t, b.dir+"/"+p); got != "y" {
				t.Errorf("%s: %q", p, got)
			}
		}
		if got := b.read(t, strings.Repeat("/..", 30)+b.at("~/x")); got != "tilde" {
			t.Errorf("from above the root: %q", got)
		}
		if info := b.stat(t, "/../.."); info.Type != "directory" {
			t.Errorf("/ is %+v", info)
		}
	}},
	{"statMany answers for each path in order", func(t *testing.T, b *box) {
		b.write(t, b.at("f"), "123")
		paths := []string{b.at("f"), b.at("none"), b.dir, b.at("f/x"), "a\x00b", b.at("\xff none")}
		got, err := b.sb.StatMany(within(t), paths)
		if err != nil || len(got) != len(paths) {
			t.Fatalf("%d results: %v", len(got), err)
		}
		if got[0].Err != nil || got[0].Info.Size != 3 || got[2].Err != nil || got[2].Info.Type != "directory" {
			t.Errorf("got %+v", got)
		}
		for i, kind := range map[int]sandbox.Kind{1: sandbox.FileNotFound, 3: sandbox.NotADirectory, 4: sandbox.InvalidParams, 5: sandbox.FileNotFound} {
			wantKind(t, got[i].Err, kind)
		}
	}},
	{"statMany takes thousands of paths, and none", func(t *testing.T, b *box) {
		paths := make([]string, 2500)
		for i := range paths {
			paths[i] = b.at(fmt.Sprint("none ", i))
		}
		paths[2499] = b.dir
		got, err := b.sb.StatMany(within(t), paths)
		if err != nil || len(got) != len(paths) || got[2499].Err != nil || got[2498].Err == nil {
			t.Errorf("%d results: %v", len(got), err)
		}
		if got, err := b.sb.StatMany(within(t), nil); err != nil || len(got) != 0 {
			t.Errorf("of nothing: %v, %v", got, err)
		}
	}},
	{"a directory is listed with types, sorted by the bytes of its names", func(t *testing.T, b *box) {
		b.sh(t, `mkdir B; touch a C; ln -s B link-dir; ln -s a link-file; ln -s none gone; mkfifo pipe; touch $'\xff' $'\xc3\xa4' .hidden`)
		got, err := b.sb.ReadDir(within(t), b.dir)
		if err != nil {
			t.Fatal(err)
		}
		want := []sandbox.DirEntry{
			{Name: ".hidden", Type: "file"},
			{Name: "B", Type: "directory"},
			{Name: "C", Type: "file"},
			{Name: "a", Type: "file"},
			{Name: "gone", Type: "other", IsSymlink: true},
			{Name: "link-dir", Type: "directory", IsSymlink: true},
			{Name: "link-file", Type: "file", IsSymlink: true},
			{Name: "pipe", Type: "other"},
			{Name: "ä", Type: "file"},
			{Name: "\xff", Type: "file"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}},
	{"listing a file is notADirectory, an empty directory is empty", func(t *testing.T, b *box) {
		b.write(t, b.at("f"), "")
		_, err := b.sb.ReadDir(within(t), b.at("f"))
		wantKind(t, err, sandbox.NotADirectory)
		_, err = b.sb.ReadDir(within(t), b.at("none"))
		wantKind(t, err, sandbox.FileNotFound)
		b.sh(t, "mkdir d")
		if got := b.names(t, b.at("d")); len(got) != 0 {
			t.Errorf("got %q", got)
		}
	}},
	{"a directory of thousands is listed whole", func(t *testing.T, b *box) {
		b.sh(t, `seq -f f%.0f 5000 | xargs touch`)
		if got := b.names(t, b.dir); len(got) != 5000 {
			t.Errorf("%d names", len(got))
		}
	}},
	{"part of a file is read by offset and length", func(t *testing.T, b *box) {
		b.write(t, b.at("f"), "0123456789")
		for _, x := range []struct {
			offset, length int64
			want           string
		}{{0, 4, "0123"}, {3, 4, "3456"}, {8, 100, "89"}, {4, -1, "456789"}, {10, -1, ""}, {99, 5, ""}, {0, 0, ""}} {
			r, size, err := b.sb.ReadFile(within(t), b.at("f"), x.offset, x.length)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			r.Close()
			if string(got) != x.want || size != 10 || err != nil {
				t.Errorf("%d, %d: %q of %d: %v", x.offset, x.length, got, size, err)
			}
		}
		_, _, err := b.sb.ReadFile(within(t), b.at("f"), -1, 5)
		wantKind(t, err, sandbox.InvalidParams)
	}},
	{"reading a directory, a pipe or nothing says which", func(t *testing.T, b *box) {
		b.sh(t, "mkdir d; mkfifo pipe")
		for name, kind := range map[string]sandbox.Kind{"d": sandbox.IsADirectory, "pipe": sandbox.Unsupported, "none": sandbox.FileNotFound} {
			_, _, err := b.sb.ReadFile(within(t), b.at(name), 0, -1)
			wantKind(t, err, kind)
		}
	}},
	{"a large file goes in and comes back whole", func(t *testing.T, b *box) {
		const size = 20 << 20
		n, err := b.sb.WriteFile(within(t), b.at("big"), io.LimitReader(&counting{}, size), sandbox.WriteOptions{Create: true})
		if err != nil || n != size {
			t.Fatalf("%d bytes: %v", n, err)
		}
		r, total, err := b.sb.ReadFile(within(t), b.at("big"), 0, -1)
		if err != nil || total != size {
			t.Fatalf("%d bytes: %v", total, err)
		}
		defer r.Close()
		if err := sameBytes(r, io.LimitReader(&counting{}, size)); err != nil {
			t.Error(err)
		}
	}},
	{"a reader that is closed early disturbs nothing", func(t *testing.T, b *box) {
		b.sh(t, "head -c 8388608 /dev/zero > big")
		for range 3 {
			r, _, err := b.sb.ReadFile(within(t), b.at("big"), 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
			r.Close()
		}
		if !b.exists(t, b.at("big")) {
			t.Error("it is gone")
		}
	}},
}

// counting is an endless content that repeats at no power of two.
type counting struct{ at int }

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c.at % 251)
		c.at++
	}
	return len(p), nil
}

func sameBytes(a, b io.Reader) error {
	x, errA := io.ReadAll(a)
	y, errB := io.ReadAll(b)
	switch {
	case errA != nil:
		return errA
	case errB != nil:
		return errB
	case len(x) != len(y):
		return fmt.Errorf("%d bytes, not %d", len(x), len(y))
	}
	for i := range x {
		if x[i] != y[i] {
			return fmt.Errorf("byte %d is %d, not %d", i, x[i], y[i])
		}
	}
	return nil
}
