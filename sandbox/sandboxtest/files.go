package sandboxtest

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"testing"
	"time"

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
			{Name: ".hidden", Type: "file"}, {Name: "B", Type: "directory"}, {Name: "C", Type: "file"}, {Name: "a", Type: "file"},
			{Name: "gone", Type: "other", IsSymlink: true}, {Name: "link-dir", Type: "directory", IsSymlink: true},
			{Name: "link-file", Type: "file", IsSymlink: true}, {Name: "pipe", Type: "other"},
			{Name: "ä", Type: "file"}, {Name: "\xff", Type: "file"},
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
		b.sh(t, `for i in $(seq 1 5000); do : > "f$i"; done`)
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
			{"there", true, true, ""}, {"there", true, false, sandbox.FileExists}, {"there", false, true, ""},
			{"none", false, true, sandbox.FileNotFound}, {"none", false, false, sandbox.FileNotFound}, {"new", true, false, ""},
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

func (failing) Read([]byte) (int, error) { return 0, fmt.Errorf("the disk on the host is gone") }

var removeTests = []test{
	{"a directory needs recursive even when it is empty", func(t *testing.T, b *box) {
		b.sh(t, "mkdir d")
		wantKind(t, b.sb.Remove(within(t), b.at("d"), false, false), sandbox.IsADirectory)
		if err := b.sb.Remove(within(t), b.at("d"), true, false); err != nil {
			t.Error(err)
		}
	}},
	{"a link goes, and not what it leads to", func(t *testing.T, b *box) {
		b.sh(t, "mkdir d; touch d/f; ln -s d link; mkdir in; ln -s ../d in/link")
		if err := b.sb.Remove(within(t), b.at("link"), false, false); err != nil {
			t.Error(err)
		}
		if err := b.sb.Remove(within(t), b.at("in"), true, false); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"d"}, b.names(t, b.dir)); diff != "" || !b.exists(t, b.at("d/f")) {
			t.Errorf("left: %s", diff)
		}
	}},
	{"force forgives what is missing and nothing else", func(t *testing.T, b *box) {
		b.sh(t, "mkdir d; touch f")
		for _, name := range []string{"none", "none/below", "f/below"} {
			if err := b.sb.Remove(within(t), b.at(name), false, true); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		wantKind(t, b.sb.Remove(within(t), b.at("f/below"), false, false), sandbox.NotADirectory)
		wantKind(t, b.sb.Remove(within(t), b.at("d"), false, true), sandbox.IsADirectory)
	}},
	{"the workspace, what holds it, and / are never removed", func(t *testing.T, b *box) {
		info := b.sb.Info()
		for _, p := range []string{"/", "", ".", info.Root, info.Cwd, info.Root + "/", path.Dir(info.Root), "/.."} {
			wantKind(t, b.sb.Remove(within(t), p, true, true), sandbox.Unsupported)
		}
		if !b.exists(t, b.dir) {
			t.Error("something went away")
		}
	}},
	{"a deep directory goes at once", func(t *testing.T, b *box) {
		b.sh(t, `for i in $(seq 30); do mkdir -p "d/$i/a/b/c"; touch "d/$i/a/b/c/"{1..20}; done`)
		if err := b.sb.Remove(within(t), b.at("d"), true, false); err != nil || b.exists(t, b.at("d")) {
			t.Errorf("left: %v", err)
		}
	}},
}

var moveTests = []test{
	{"rename moves files and directories", func(t *testing.T, b *box) {
		b.sh(t, "echo 1 > f; mkdir d; echo 2 > d/g; mkdir to")
		for from, to := range map[string]string{"f": "to/f2", "d": "to/d2"} {
			if err := b.sb.Rename(within(t), b.at(from), b.at(to), false); err != nil {
				t.Error(err)
			}
		}
		if got := b.read(t, b.at("to/f2")) + b.read(t, b.at("to/d2/g")); got != "1\n2\n" || len(b.names(t, b.dir)) != 1 {
			t.Errorf("got %q, left %q", got, b.names(t, b.dir))
		}
	}},
	{"rename and copy replace only when they may", func(t *testing.T, b *box) {
		b.sh(t, "echo 1 > a; echo 2 > b; mkdir empty full; touch full/x; mkdir d")
		for _, op := range []func(from, to string, overwrite bool) error{
			func(from, to string, o bool) error { return b.sb.Copy(within(t), b.at(from), b.at(to), o) },
			func(from, to string, o bool) error { return b.sb.Rename(within(t), b.at(from), b.at(to), o) },
		} {
			wantKind(t, op("a", "b", false), sandbox.FileExists)
			wantKind(t, op("d", "full", true), sandbox.DirectoryNotEmpty)
			wantKind(t, op("a", "d", true), sandbox.IsADirectory)
			wantKind(t, op("d", "a", true), sandbox.NotADirectory)
			wantKind(t, op("none", "new", true), sandbox.FileNotFound)
			wantKind(t, op("a", "none/new", true), sandbox.FileNotFound)
			wantKind(t, op("d", "d/in/itself", true), sandbox.InvalidParams)
		}
		if got := b.read(t, b.at("b")); got != "2\n" {
			t.Fatalf("b was replaced: %q", got)
		}
		if err := b.sb.Copy(within(t), b.at("a"), b.at("b"), true); err != nil || b.read(t, b.at("b")) != "1\n" {
			t.Errorf("copy with overwrite: %v", err)
		}
		b.sh(t, "echo 3 > a")
		if err := b.sb.Rename(within(t), b.at("a"), b.at("b"), true); err != nil || b.read(t, b.at("b")) != "3\n" {
			t.Errorf("rename with overwrite: %v", err)
		}
		if diff := cmp.Diff([]string{"b", "d", "empty", "full"}, b.names(t, b.dir)); diff != "" {
			t.Error(diff)
		}
	}},
	{"copy takes modes and links along, and what is inside a directory", func(t *testing.T, b *box) {
		b.sh(t, `mkdir -p d/sub; printf x > d/run; chmod 755 d/run; printf y > d/sub/f; chmod 640 d/sub/f; chmod 750 d/sub
			ln -s sub/f d/link; ln -s /none d/dangling; printf z > d/$'n\xff'`)
		if err := b.sb.Copy(within(t), b.at("d"), b.at("e"), false); err != nil {
			t.Fatal(err)
		}
		list := `cd "$0" && find . -printf '%y %m %l %P\0' | sort -z | tr '\0' '\n'; cat run sub/f n*`
		want := b.run(t, sandbox.ExecRequest{Argv: []string{"bash", "-c", list, b.at("d")}})
		got := b.run(t, sandbox.ExecRequest{Argv: []string{"bash", "-c", list, b.at("e")}})
		if diff := cmp.Diff(want.out, got.out); diff != "" || want.ExitCode != 0 {
			t.Errorf("%s%s", want.err, diff)
		}
	}},
	{"a copy that fails leaves nothing", func(t *testing.T, b *box) {
		b.sh(t, "mkdir d; echo x > d/a; mkfifo d/pipe")
		wantKind(t, b.sb.Copy(within(t), b.at("d"), b.at("e"), false), sandbox.Unsupported)
		if diff := cmp.Diff([]string{"d"}, b.names(t, b.dir)); diff != "" {
			t.Error(diff)
		}
	}},
	{"a link is moved and copied as a link", func(t *testing.T, b *box) {
		b.sh(t, "mkdir d; ln -s d a")
		if err := b.sb.Copy(within(t), b.at("a"), b.at("b"), false); err != nil {
			t.Error(err)
		}
		if err := b.sb.Rename(within(t), b.at("a"), b.at("c"), false); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"b", "c"} {
			if info := b.stat(t, b.at(name)); !info.IsSymlink || info.Target != "d" {
				t.Errorf("%s: %+v", name, info)
			}
		}
	}},
	{"the workspace itself is not renamed", func(t *testing.T, b *box) {
		wantKind(t, b.sb.Rename(within(t), b.sb.Info().Root, b.at("x"), true), sandbox.Unsupported)
	}},
	{"a moved file keeps its time", func(t *testing.T, b *box) {
		b.sh(t, "touch -d @1500000000 f")
		if err := b.sb.Rename(within(t), b.at("f"), b.at("g"), false); err != nil {
			t.Fatal(err)
		}
		if got := b.stat(t, b.at("g")).ModTime; !got.Equal(time.Unix(1_500_000_000, 0)) {
			t.Errorf("it is %s", got)
		}
	}},
}
