package sandboxtest

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// refusedTrees holds a runtime without trees to saying so.
func refusedTrees(what string, call func(t *testing.T, sb sandbox.Sandbox) error) []test {
	return []test{{what + " is refused as unsupported", func(t *testing.T, b *box) {
		wantKind(t, call(t, b.sb), sandbox.Unsupported)
	}}}
}

func populateTests(caps Caps) []test {
	if !caps.Trees {
		return refusedTrees("populate", func(t *testing.T, sb sandbox.Sandbox) error {
			return sb.Populate(within(t), sandbox.PopulateRequest{Bundle: strings.NewReader("")})
		})
	}
	tests := []test{
		{"a tree arrives byte for byte, modes and links included", func(t *testing.T, b *box) {
			h, _ := b.filled(t)
			if diff := cmp.Diff(h.files(t), b.files(t)); diff != "" {
				t.Errorf("-host +sandbox\n%s", diff)
			}
		}},
		{"progress goes up to the whole", func(t *testing.T, b *box) {
			h := example(t, tree.SHA1)
			req := h.request()
			var last, total int64
			req.Progress = func(done, of int64) {
				if done < last {
					t.Errorf("it went back from %d to %d", last, done)
				}
				last, total = done, of
			}
			if err := b.sb.Populate(within(t), req); err != nil {
				t.Fatal(err)
			}
			if last != req.Size || total != req.Size {
				t.Errorf("it ended at %d of %d, not %d", last, total, req.Size)
			}
		}},
		{"an empty tree is fine", func(t *testing.T, b *box) {
			h := newHost(t, tree.SHA1, func(*host) {})
			if err := b.sb.Populate(within(t), h.request()); err != nil {
				t.Fatal(err)
			}
			if got := b.files(t); len(got) != 0 {
				t.Errorf("got %v", got)
			}
		}},
		{"a bundle that is none is refused, and what came is taken back", func(t *testing.T, b *box) {
			h := example(t, tree.SHA1)
			for what, bundle := range map[string]string{
				"text": "this is no bundle\n", "nothing": "", "half": string(h.bundle[:len(h.bundle)/2]),
				"garbage": string(h.bundle[:len(h.bundle)-60]) + strings.Repeat("x", 60),
			} {
				req := h.request()
				req.Bundle = strings.NewReader(bundle)
				if err := b.sb.Populate(within(t), req); err == nil {
					t.Fatalf("%s: no error", what)
				}
				if got := b.names(t, b.sb.Info().Root); len(got) != 0 {
					t.Errorf("%s left %q", what, got)
				}
			}
			if err := b.sb.Populate(within(t), h.request()); err != nil {
				t.Errorf("a good one after these: %v", err)
			}
		}},
		{"a tree is filled once", func(t *testing.T, b *box) {
			h, _ := b.filled(t)
			wantKind(t, b.sb.Populate(within(t), h.request()), sandbox.Conflict)
			if got := b.read(t, b.sb.Info().Root+"/readme.md"); got != "hello\n" {
				t.Errorf("it changed: %q", got)
			}
		}},
		{"F14: a repository that the image holds there is not taken for ours", func(t *testing.T, b *box) {
			root := b.sb.Info().Root
			b.write(t, root+"/of the image", "x")
			b.write(t, root+"/.git/HEAD", "ref: refs/heads/theirs\n")
			b.write(t, root+"/.git/config", "[core]\n\tbare = true\n")
			h := example(t, tree.SHA1)
			err := b.sb.Populate(within(t), h.request())
			if err != nil {
				// What cannot be moved aside, such as a mount, is refused and stays.
				wantKind(t, err, sandbox.Conflict)
				if got := b.read(t, root+"/of the image"); got != "x" {
					t.Errorf("the image's file holds %q", got)
				}
				return
			}
			if diff := cmp.Diff(h.files(t), b.files(t)); diff != "" {
				t.Errorf("-host +sandbox\n%s", diff)
			}
			if !b.caps.Git {
				return
			}
			if got := b.read(t, root+"/.git/HEAD"); got != "ref: refs/heads/work\n" {
				t.Errorf("HEAD is %q", got)
			}
		}},
	}
	tests = append(tests, keptTests...)
	if caps.Git {
		return append(tests, gitTests...)
	}
	return append(tests, test{"F19: without git a pack with deltas is refused by name", func(t *testing.T, b *box) {
		h := withHistory(t)
		err := b.sb.Populate(within(t), h.request())
		wantKind(t, err, sandbox.Unsupported)
		if err != nil && !strings.Contains(err.Error(), "git") {
			t.Errorf("it does not say what is missing: %v", err)
		}
	}})
}

var gitTests = []test{
	{"git status is clean, on the branch, at the commit, and the repository is sound", func(t *testing.T, b *box) {
		h, _ := b.filled(t)
		got := b.inRoot(t, `git status --porcelain --ignored; git rev-parse HEAD; git symbolic-ref HEAD; git fsck --strict 2>&1; git log --oneline | wc -l`)
		if want := h.commit + "\nrefs/heads/work\n1\n"; got != want {
			t.Errorf("got %q", got)
		}
	}},
	{"F22: no attribute converts a byte, also when files are checked out again", func(t *testing.T, b *box) {
		h, _ := b.filled(t)
		b.inRoot(t, `rm -f ident.txt dir/crlf.txt bin && git checkout -q -- . && git reset -q --hard`)
		if diff := cmp.Diff(h.files(t), b.files(t)); diff != "" {
			t.Errorf("-host +sandbox\n%s", diff)
		}
	}},
	{"F13: a commit works with no identity set up", func(t *testing.T, b *box) {
		b.filled(t)
		b.inRoot(t, `echo more >> readme.md && git commit -q -a -m "from inside" && git log -1 --format=%ae | grep -q @`)
	}},
	{"no branch is a detached HEAD", func(t *testing.T, b *box) {
		h := example(t, tree.SHA1)
		req := h.request()
		req.Branch = ""
		if err := b.sb.Populate(within(t), req); err != nil {
			t.Fatal(err)
		}
		if got := b.inRoot(t, `git symbolic-ref -q HEAD; git rev-parse HEAD; git status --porcelain`); got != h.commit+"\n" {
			t.Errorf("got %q", got)
		}
	}},
	{"F29: SHA-256 repositories work the same", func(t *testing.T, b *box) {
		h := example(t, tree.SHA256)
		if err := b.sb.Populate(within(t), h.request()); err != nil {
			t.Fatal(err)
		}
		if got := b.inRoot(t, `git status --porcelain; git rev-parse HEAD; git fsck --strict 2>&1`); got != h.commit+"\n" {
			t.Errorf("got %q", got)
		}
		if diff := cmp.Diff(h.files(t), b.files(t)); diff != "" {
			t.Errorf("-host +sandbox\n%s", diff)
		}
	}},
	{"a bundle with history and deltas gives the history and its tags", func(t *testing.T, b *box) {
		h := withHistory(t)
		if err := b.sb.Populate(within(t), h.request()); err != nil {
			t.Fatal(err)
		}
		got := b.inRoot(t, `git status --porcelain; git log --oneline | wc -l; git describe --tags; git fsck --strict 2>&1`)
		if want := "30\nv1.0\n"; got != want {
			t.Errorf("got %q", got)
		}
		if diff := cmp.Diff(h.files(t), b.files(t)); diff != "" {
			t.Errorf("-host +sandbox\n%s", diff)
		}
	}},
	{"F29: a history that is cut off is told, described and packed again as one", func(t *testing.T, b *box) {
		far := newHost(t, tree.SHA1, func(h *host) {
			for i := range 5 {
				h.put(t, "f", strings.Repeat("line\n", 100+i))
				h.git(t, "add", "-A")
				h.git(t, "commit", "-q", "-m", "older")
				h.git(t, "tag", "-a", "-m", "t", fmt.Sprintf("v%d", i))
			}
		})
		h := &host{dir: filepath.Join(t.TempDir(), "near"), format: tree.SHA1}
		far.git(t, "clone", "-q", "--depth=3", "file://"+far.dir, h.dir)
		h.seal(t)
		req := h.request()
		req.Shallow = strings.Fields(h.git(t, "rev-list", "--max-parents=0", "HEAD"))
		if err := b.sb.Populate(within(t), req); err != nil {
			t.Fatal(err)
		}
		got := b.inRoot(t, "git rev-list --count HEAD; git describe; git fsck --connectivity-only 2>&1; git gc -q --prune=now; git status --porcelain; git log --format=%s -1 HEAD~1")
		if want := "3\nv4-1-g" + h.git(t, "rev-parse", "--short", "HEAD") + "\nolder\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}},
	{"a commit that is not in the bundle is refused", func(t *testing.T, b *box) {
		h := example(t, tree.SHA1)
		req := h.request()
		req.Commit = strings.Repeat("12", 20)
		wantKind(t, b.sb.Populate(within(t), req), sandbox.InvalidParams)
	}},
}

// withHistory is a project whose pack has deltas.
func withHistory(t *testing.T) *host {
	t.Helper()
	var text strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&text, "line %d of a text that hardly changes\n", i*i)
	}
	h := newHost(t, tree.SHA1, func(h *host) { h.put(t, "text", text.String()) })
	for i := range 29 {
		h.put(t, "text", text.String()+fmt.Sprintln("change", i))
		h.git(t, "commit", "-q", "-a", "-m", fmt.Sprint("change ", i))
	}
	h.git(t, "tag", "-a", "-m", "release", "v1.0")
	h.git(t, "repack", "-q", "-a", "-d", "-f")
	h.seal(t)
	return h
}

// inRoot runs a command in the workspace's root.
func (b *box) inRoot(t *testing.T, command string) string {
	t.Helper()
	r := b.run(t, sandbox.ExecRequest{Command: command, Cwd: b.sb.Info().Root})
	if r.ExitCode != 0 && r.err != "" {
		t.Fatalf("%s: status %d\n%s%s", command, r.ExitCode, r.out, r.err)
	}
	return r.out
}

// files is the tree as find sees it: kind, executable or not, target and content by path.
const listFiles = `find . -name .git -prune -o ! -type d -print0 | sort -z | while IFS= read -r -d '' f; do
	if [ -L "$f" ]; then printf '%s\0-> %s\0' "$f" "$(readlink "$f")"
	elif [ -x "$f" ]; then printf '%s\0x %s\0' "$f" "$(od -An -v -tx1 "$f" | tr -d ' \n')"
	else printf '%s\0%s\0' "$f" "$(od -An -v -tx1 "$f" | tr -d ' \n')"; fi; done`

func (b *box) files(t *testing.T) map[string]string {
	t.Helper()
	r := b.run(t, sandbox.ExecRequest{Command: listFiles, Cwd: b.sb.Info().Root})
	if r.ExitCode != 0 || r.err != "" {
		t.Fatalf("listing: status %d, %s", r.ExitCode, r.err)
	}
	parts := strings.Split(r.out, "\x00")
	out := map[string]string{}
	for i := 0; i+1 < len(parts); i += 2 {
		out[strings.TrimPrefix(parts[i], "./")] = parts[i+1]
	}
	return out
}

// files is the same of the host's commit.
func (h *host) files(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, e := range h.entries {
		content := h.git(t, "cat-file", "blob", e.Hash)
		switch e.Mode {
		case tree.Symlink:
			out[e.Path] = "-> " + content
		default:
			out[e.Path] = map[bool]string{true: "x "}[e.Mode == tree.Executable] + fmt.Sprintf("%x", h.blob(t, e))
		}
	}
	return out
}

// blob reads what the host's folder holds, which is what it committed.
func (h *host) blob(t *testing.T, e tree.Entry) []byte {
	t.Helper()
	b := readFile(t, h.dir+"/"+e.Path)
	if tree.HashBytes(h.format, b) != e.Hash {
		t.Fatalf("the host's own %q was converted", e.Path)
	}
	return b
}

func sortedKeys(m told) []string { return slices.Sorted(maps.Keys(m)) }
