package sandboxtest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/sandbox"
)

// awkward are names that a shell would take apart.
var awkward = []string{
	"plain", "two words", "it's", `a "quoted" name`, "$(touch gone)", "`touch gone`", "-rf", "--", "*", "?",
	"new\nline", "tab\t", "back\\slash", "#", "~", "a;b", "&", "äöü", "\xff\xfe not UTF-8", "…", " leading", "trailing ",
}

// adapterTests are the file and command contract of the sandbox adapters that other
// products put in front of Modal: exec through bash with cwd, env and timeoutMs, both
// output streams drained; stat, readdir, exists, mkdir, rm; files as text and bytes.
var adapterTests = []test{
	{"exec runs through bash with cwd, env and timeoutMs and drains both output streams", func(t *testing.T, b *box) {
		r := b.run(t, sandbox.ExecRequest{
			Command: `[[ -n $BASH_VERSION ]] && echo "$PWD|$GREETING"; echo oops >&2; exit 7`,
			Cwd:     b.dir, Env: map[string]string{"GREETING": "it's $HOME"}, Timeout: 59_999 * time.Millisecond,
		})
		if r.ExitCode != 7 || r.out != b.dir+"|it's $HOME\n" || r.err != "oops\n" || r.TimedOut {
			t.Errorf("got %+v", r)
		}
	}},
	{"exec drains two full streams at once", func(t *testing.T, b *box) {
		const n = 1 << 20
		r := b.run(t, sandbox.ExecRequest{Command: `head -c 1048576 /dev/zero & head -c 1048576 /dev/zero >&2; wait`})
		if len(r.out) != n || len(r.err) != n || r.ExitCode != 0 {
			t.Errorf("%d and %d bytes of %d, status %d", len(r.out), len(r.err), n, r.ExitCode)
		}
	}},
	{"a command is one argument, whatever it holds", func(t *testing.T, b *box) {
		if got := b.sh(t, "printf '%s' 'it'\\''s' \"$(printf '\\n.')\""); got != "it's\n." {
			t.Errorf("got %q", got)
		}
	}},
	{"stat tells files from directories, with size and time", func(t *testing.T, b *box) {
		before := time.Now().Add(-time.Hour)
		b.write(t, b.at("f"), "12345")
		f, d := b.stat(t, b.at("f")), b.stat(t, b.dir)
		if f.Type != "file" || f.Size != 5 || f.IsSymlink || f.ModTime.Before(before) {
			t.Errorf("the file is %+v", f)
		}
		if d.Type != "directory" || d.IsSymlink {
			t.Errorf("the directory is %+v", d)
		}
	}},
	{"readdir gives every name as it is", func(t *testing.T, b *box) {
		for _, name := range awkward {
			b.write(t, b.at(name), name)
		}
		want := append([]string(nil), awkward...)
		sortBytes(want)
		if diff := cmp.Diff(want, b.names(t, b.dir)); diff != "" {
			t.Error(diff)
		}
	}},
	{"exists never fails", func(t *testing.T, b *box) {
		b.write(t, b.at("f"), "")
		for name, want := range map[string]bool{"f": true, ".": true, "none": false, "f/below": false, "none/below": false} {
			if got := b.exists(t, b.at(name)); got != want {
				t.Errorf("%s: %v", name, got)
			}
		}
	}},
	{"mkdir makes parents when recursive, and only then", func(t *testing.T, b *box) {
		wantKind(t, b.sb.Mkdir(within(t), b.at("a/b"), false), sandbox.FileNotFound)
		if err := b.sb.Mkdir(within(t), b.at("a/b/c"), true); err != nil {
			t.Fatal(err)
		}
		if err := b.sb.Mkdir(within(t), b.at("a/b/c"), true); err != nil {
			t.Errorf("a second time: %v", err)
		}
		wantKind(t, b.sb.Mkdir(within(t), b.at("a"), false), sandbox.FileExists)
		if !b.exists(t, b.at("a/b/c")) {
			t.Error("it is not there")
		}
	}},
	{"rm has the recursive and force flags of rm", func(t *testing.T, b *box) {
		ctx := within(t)
		b.write(t, b.at("d/f"), "x")
		wantKind(t, b.sb.Remove(ctx, b.at("none"), false, false), sandbox.FileNotFound)
		if err := b.sb.Remove(ctx, b.at("none"), false, true); err != nil {
			t.Errorf("force does not forgive: %v", err)
		}
		wantKind(t, b.sb.Remove(ctx, b.at("d"), false, true), sandbox.IsADirectory)
		if !b.exists(t, b.at("d/f")) {
			t.Fatal("a refused removal removed something")
		}
		if err := b.sb.Remove(ctx, b.at("d"), true, false); err != nil {
			t.Error(err)
		}
		if b.exists(t, b.at("d")) {
			t.Error("it is still there")
		}
	}},
	{"X11: mkdir, files and rm take any name as an argument", func(t *testing.T, b *box) {
		for _, name := range awkward {
			if err := b.sb.Mkdir(within(t), b.at("d/"+name), true); err != nil {
				t.Fatalf("mkdir %q: %v", name, err)
			}
			b.write(t, b.at("d/"+name+"/"+name), name)
			if got := b.read(t, b.at("d/"+name+"/"+name)); got != name {
				t.Errorf("%q holds %q", name, got)
			}
			if err := b.sb.Remove(within(t), b.at("d/"+name), true, false); err != nil {
				t.Errorf("rm %q: %v", name, err)
			}
		}
		if got := b.names(t, b.dir); len(got) != 1 || got[0] != "d" {
			t.Errorf("something ran: %q", got)
		}
	}},
	{"files are read and written as text", func(t *testing.T, b *box) {
		const text = "\ufeffGrüße\r\nzweite Zeile ohne Ende"
		b.write(t, b.at("text"), text)
		if got := b.read(t, b.at("text")); got != text {
			t.Errorf("got %q", got)
		}
	}},
	{"F5: files are read and written as bytes", func(t *testing.T, b *box) {
		all := make([]byte, 256*33)
		for i := range all {
			all[i] = byte(i)
		}
		b.write(t, b.at("bytes"), string(all))
		if got := b.read(t, b.at("bytes")); got != string(all) {
			t.Error("the bytes changed")
		}
		if got := b.sh(t, "wc -c < bytes"); strings.TrimSpace(got) != "8448" {
			t.Errorf("a command sees %s bytes", got)
		}
	}},
	{"relative paths start at cwd by default", func(t *testing.T, b *box) {
		name := "relative to cwd"
		b.write(t, name, "x")
		defer func() {
			if err := b.sb.Remove(within(t), name, false, false); err != nil {
				t.Error(err)
			}
		}()
		cwd := b.sb.Info().Cwd
		if got := b.read(t, cwd+"/"+name); got != "x" {
			t.Errorf("got %q", got)
		}
		r := b.run(t, sandbox.ExecRequest{Argv: []string{"cat", name}, Cwd: cwd})
		if r.out != "x" {
			t.Errorf("a command sees %q", r.out)
		}
		var dot bytes.Buffer
		for _, p := range []string{"", ".", "./.", cwd} {
			if info := b.stat(t, p); info.Type != "directory" {
				dot.WriteString(p + " ")
			}
		}
		if dot.Len() > 0 {
			t.Errorf("not the cwd: %s", dot.String())
		}
	}},
}
