package sandboxtest

import (
	"path"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/sandbox"
)

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
