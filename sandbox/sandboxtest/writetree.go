package sandboxtest

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// write is a write of the host's; a want that does not exist removes.
func (h *host) write(expect, want tree.Entry, content string) sandbox.TreeWrite {
	return sandbox.TreeWrite{Expect: expect, New: want, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	}}
}

// wrote brings the view up to date with what the host itself wrote.
func (v *view) wrote(results []sandbox.TreeResult) {
	for _, r := range results {
		switch {
		case !r.Written:
		case r.Found.Exists():
			v.entries[r.Path] = r.Found
		default:
			delete(v.entries, r.Path)
		}
	}
}

func (b *box) writeTree(t *testing.T, writes ...sandbox.TreeWrite) map[string]sandbox.TreeResult {
	t.Helper()
	results, err := b.sb.WriteTree(within(t), writes)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]sandbox.TreeResult{}
	for i, r := range results {
		if r.Path != writes[i].New.Path {
			t.Errorf("result %d is of %q, the write of %q", i, r.Path, writes[i].New.Path)
		}
		if r.Written != (r.Err == "") {
			t.Errorf("%+v: written and a reason, or neither", r)
		}
		out[r.Path] = r
	}
	return out
}

func writeTreeTests(caps Caps) []test {
	if !caps.Trees {
		return refusedTrees("writing a tree", func(t *testing.T, sb sandbox.Sandbox) error {
			_, err := sb.WriteTree(within(t), []sandbox.TreeWrite{{New: tree.Entry{Path: "x"}, Expect: tree.Entry{Path: "x"}}})
			return err
		})
	}
	absent := func(path string) tree.Entry { return tree.Entry{Path: path} }
	return []test{
		{"files are made, replaced and removed, and the next capture does not tell them", func(t *testing.T, b *box) {
			h, v := b.filled(t)
			made := h.entry("a/new/\xff", tree.Executable, "#!/bin/sh\n")
			replaced := h.entry("readme.md", tree.Regular, "replaced\r\n")
			link := h.entry("link", tree.Symlink, "empty")
			got := b.writeTree(t,
				h.write(absent(made.Path), made, "#!/bin/sh\n"), h.write(v.entries["readme.md"], replaced, "replaced\r\n"),
				h.write(v.entries["link"], link, "empty"), h.write(v.entries["build/out"], absent("build/out"), ""))
			want := map[string]sandbox.TreeResult{
				made.Path: {Path: made.Path, Written: true, Found: made}, "readme.md": {Path: "readme.md", Written: true, Found: replaced},
				"link": {Path: "link", Written: true, Found: link}, "build/out": {Path: "build/out", Written: true, Found: absent("build/out")},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			root := b.sb.Info().Root
			if r := b.read(t, root+"/readme.md"); r != "replaced\r\n" || !b.exists(t, root+"/"+made.Path) || b.exists(t, root+"/build") {
				t.Errorf("the tree holds %q", r)
			}
			for _, r := range got {
				v.wrote([]sandbox.TreeResult{r})
			}
			if told, _ := v.capture(t, b); len(told) != 0 {
				t.Errorf("told: %v", told)
			}
			b.inRoot(t, "printf x >> readme.md")
			if told, _ := v.capture(t, b); len(told) != 1 || told["readme.md"] != "replaced\r\nx" {
				t.Errorf("after a command changed it: %v", told)
			}
		}},
		{"what changed inside meanwhile is left alone and named", func(t *testing.T, b *box) {
			h, v := b.filled(t)
			b.inRoot(t, "printf mine > readme.md; printf mine > new; rm empty")
			got := b.writeTree(t,
				h.write(v.entries["readme.md"], h.entry("readme.md", tree.Regular, "host"), "host"),
				h.write(absent("new"), h.entry("new", tree.Regular, "host"), "host"),
				h.write(v.entries["empty"], h.entry("empty", tree.Regular, "host"), "host"),
				h.write(v.entries["bin"], h.entry("bin", tree.Regular, "host"), "host"))
			mine := h.entry("", tree.Regular, "mine")
			for path, found := range map[string]tree.Entry{"readme.md": mine, "new": mine, "empty": {}} {
				if r := got[path]; r.Written || !r.Found.Same(found) || r.Found.Path != path {
					t.Errorf("%s: %+v", path, r)
				}
			}
			if !got["bin"].Written {
				t.Errorf("the one beside: %+v", got["bin"])
			}
			if content := b.inRoot(t, "cat readme.md new bin; [ ! -e empty ]"); content != "minemine"+"host" {
				t.Errorf("the tree holds %q", content)
			}
			for _, r := range got {
				v.wrote([]sandbox.TreeResult{r})
			}
			told1, _ := v.capture(t, b)
			if diff := cmp.Diff(told{"readme.md": "mine", "new": "mine", "empty": "deleted"}, told1); diff != "" {
				t.Error(diff)
			}
		}},
		{"a write that is repeated counts as written", func(t *testing.T, b *box) {
			h, v := b.filled(t)
			w := h.write(v.entries["readme.md"], h.entry("readme.md", tree.Regular, "host"), "host")
			gone := h.write(v.entries["empty"], absent("empty"), "")
			for range 2 {
				for path, r := range b.writeTree(t, w, gone) {
					if !r.Written {
						t.Errorf("%s: %+v", path, r)
					}
				}
			}
		}},
		{"a file takes a folder's place in one go, and the other way round", func(t *testing.T, b *box) {
			h, v := b.filled(t)
			got := b.writeTree(t,
				h.write(absent("build"), h.entry("build", tree.Regular, "file"), "file"),
				h.write(absent("empty/in"), h.entry("empty/in", tree.Regular, "in"), "in"),
				h.write(v.entries["build/out"], absent("build/out"), ""),
				h.write(v.entries["empty"], absent("empty"), ""))
			for path, r := range got {
				if !r.Written {
					t.Errorf("%s: %+v", path, r)
				}
			}
			if content := b.inRoot(t, "cat build empty/in"); content != "filein" {
				t.Errorf("got %q", content)
			}
		}},
		{"X4, X12: nothing is written through a link, outside the root, or into a repository", func(t *testing.T, b *box) {
			h, _ := b.filled(t)
			b.inRoot(t, `rm -rf ../outside; mkdir -p dir/real; ln -s real dir/linked; ln -s .git gitlink; mkdir -p .git; ln -s /tmp away`)
			paths := []string{"dir/linked/x", "gitlink/config2", "away/glue-escape", "../escape", "/tmp/glue-escape", ".git/hooks/x", ".GIT/x", "dir/../x", "dir//x", "x\x00y", ""}
			var writes []sandbox.TreeWrite
			for _, p := range paths {
				writes = append(writes, h.write(absent(p), h.entry(p, tree.Regular, "evil"), "evil"))
			}
			for path, r := range b.writeTree(t, writes...) {
				if r.Written {
					t.Errorf("%q was written", path)
				}
			}
			if got := b.inRoot(t, `ls dir/real; ls /tmp/glue-escape ../escape .git/config2 .git/hooks/x .GIT 2>/dev/null; true`); got != "" {
				t.Errorf("made: %s", got)
			}
		}},
		{"a content that is not what was announced, or cannot be read, is that file's failure alone", func(t *testing.T, b *box) {
			h, v := b.filled(t)
			lie := h.write(v.entries["readme.md"], h.entry("readme.md", tree.Regular, "host"), "tsoh")
			short := h.write(v.entries["bin"], h.entry("bin", tree.Regular, "longer than it is"), "short")
			long := h.write(v.entries["run.sh"], h.entry("run.sh", tree.Regular, "short"), strings.Repeat("longer than it is", 100_000))
			fails := h.write(v.entries["ident.txt"], h.entry("ident.txt", tree.Regular, "host"), "")
			fails.Open = func() (io.ReadCloser, error) { return nil, errors.New("gone on the host") }
			breaks := h.write(v.entries["kept.log"], h.entry("kept.log", tree.Regular, "host"), "")
			breaks.Open = func() (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(strings.NewReader("ho"), failing{})), nil
			}
			good := h.write(v.entries["empty"], h.entry("empty", tree.Regular, "good"), "good")
			for path, r := range b.writeTree(t, lie, short, long, fails, breaks, good) {
				if r.Written != (path == "empty") {
					t.Errorf("%s: %+v", path, r)
				}
				if path != "empty" && !r.Found.Same(v.entries[path]) {
					t.Errorf("%s: found %+v", path, r.Found)
				}
			}
			if told, _ := v.capture(t, b); len(told) != 0 {
				t.Errorf("the tree changed: %v", told)
			}
		}},
		{"a large file is written whole", func(t *testing.T, b *box) {
			h, _ := b.filled(t)
			content := strings.Repeat("0123456789abcdef\n", 500_000)
			got := b.writeTree(t, h.write(absent("big"), h.entry("big", tree.Regular, content), content))
			if !got["big"].Written {
				t.Fatalf("got %+v", got["big"])
			}
			if b.read(t, b.sb.Info().Root+"/big") != content {
				t.Error("it changed on the way")
			}
		}},
		{"a thousand files are one call", func(t *testing.T, b *box) {
			h, v := b.filled(t)
			var writes []sandbox.TreeWrite
			for i := range 1000 {
				name := "many/" + strings.Repeat("x", i%50) + string(rune('a'+i%26)) + strings.Repeat("y", i/26)
				writes = append(writes, h.write(absent(name), h.entry(name, tree.Regular, name), name))
			}
			results, err := b.sb.WriteTree(within(t), writes)
			if err != nil || len(results) != 1000 {
				t.Fatalf("%d results: %v", len(results), err)
			}
			v.wrote(results)
			if told, _ := v.capture(t, b); len(told) != 0 {
				t.Errorf("%d are told", len(told))
			}
		}},
		{"no writes are no call", func(t *testing.T, b *box) {
			if got, err := b.sb.WriteTree(within(t), nil); err != nil || len(got) != 0 {
				t.Errorf("%v, %v", got, err)
			}
		}},
	}
}
