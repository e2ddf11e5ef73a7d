package modal

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// capturedTexts is what a capture tells, as text by path.
func capturedTexts(t *testing.T, d *direct, req sandbox.CaptureRequest) (map[string]string, sandbox.CaptureResult) {
	t.Helper()
	got := map[string]string{}
	r, err := d.Capture(within(t), req, func(c sandbox.Captured) error {
		if c.Content == nil {
			got[c.Entry.Path] = "deleted"
			return nil
		}
		b, err := io.ReadAll(c.Content)
		got[c.Entry.Path] = string(b)
		if tree.HashBytes(tree.SHA1, b) != c.Entry.Hash {
			t.Errorf("%q: the content is not that of its entry", c.Entry.Path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, r
}

// Images differ in what their programs can do. Without any of it the tree is the same.
func TestF19_TreesNeedNoMoreThanAShellAndItsUsualPrograms(t *testing.T) {
	for name, change := range map[string]func(*equipment){
		"without GNU's find and stat": func(e *equipment) { e.gnuFind, e.fine = false, false },
		"without git and tar":         func(e *equipment) { e.git, e.tar, e.hasher = false, false, "sum" },
		"with git alone to hash":      func(e *equipment) { e.hasher = "git" },
	} {
		t.Run(name, func(t *testing.T) {
			d := openDirect(t, nil)
			change(&d.has)
			files := map[string]string{"a": "1", "dir/b": "2\r\n", "dir/\xff new\nline": "3", "-x": "", "big": strings.Repeat("0123456789", 40_000)}
			var writes []sandbox.TreeWrite
			for path, text := range files {
				writes = append(writes, write(path, "", text))
			}
			results, err := d.WriteTree(within(t), writes)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				if !r.Written {
					t.Errorf("%+v", r)
				}
			}
			got, r := capturedTexts(t, d, sandbox.CaptureRequest{Format: tree.SHA1, Entries: []tree.Entry{}})
			if diff := cmp.Diff(files, got); diff != "" {
				t.Error(diff)
			}
			if out, res := printed(t, d, sandbox.ExecRequest{Command: "printf changed > a; rm dir/b; ln -s a link; mkfifo pipe; chmod 755 -- -x", Cwd: d.Info().Root}); res.ExitCode != 0 {
				t.Fatal(out)
			}
			got, r = capturedTexts(t, d, sandbox.CaptureRequest{Base: r.Token, Format: tree.SHA1})
			if diff := cmp.Diff(map[string]string{"a": "changed", "dir/b": "deleted", "link": "a", "-x": ""}, got); diff != "" {
				t.Error(diff)
			}
			if len(r.Skipped) != 1 || r.Skipped[0].Path != "pipe" || r.Skipped[0].Reason != tree.Special {
				t.Errorf("skipped: %+v", r.Skipped)
			}
			results, err = d.WriteTree(within(t), []sandbox.TreeWrite{write("a", "1", "mine"), write("a", "changed", "mine too"), write("link", "", "x")})
			if err != nil {
				t.Fatal(err)
			}
			if results[0].Written || !results[1].Written || results[2].Written || results[2].Found.Mode != tree.Symlink {
				t.Errorf("got %+v", results)
			}
		})
	}
}

func write(path, was, text string) sandbox.TreeWrite {
	entry := func(s string) tree.Entry {
		return tree.Entry{Path: path, Mode: tree.Regular, Hash: tree.HashBytes(tree.SHA1, []byte(s)), Size: int64(len(s))}
	}
	w := sandbox.TreeWrite{Expect: tree.Entry{Path: path}, New: entry(text), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
	if was != "" {
		w.Expect = entry(was)
	}
	return w
}

func TestAnIgnoredFolderIsListedOnceAndNotLost(t *testing.T) {
	d := openDirect(t, nil)
	root := d.Info().Root
	if out, r := printed(t, d, sandbox.ExecRequest{Command: "mkdir -p cache/deep; touch cache/deep/x keep", Cwd: root}); r.ExitCode != 0 {
		t.Fatal(out)
	}
	ignore := []tree.IgnoreFile{{Content: []byte("cache/\n")}}
	got, r := capturedTexts(t, d, sandbox.CaptureRequest{Format: tree.SHA1, Ignore: ignore})
	if diff := cmp.Diff(map[string]string{"keep": ""}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"cache"}, d.trees.prunes); diff != "" {
		t.Error(diff)
	}
	// The pattern is for folders: a file of that name is part of the tree.
	printed(t, d, sandbox.ExecRequest{Command: "rm -r cache; printf file > cache", Cwd: root})
	got, r = capturedTexts(t, d, sandbox.CaptureRequest{Base: r.Token, Format: tree.SHA1})
	if diff := cmp.Diff(map[string]string{"cache": "file"}, got); diff != "" {
		t.Error(diff)
	}
	printed(t, d, sandbox.ExecRequest{Command: "rm cache; mkdir cache; printf in > cache/in", Cwd: root})
	got, r = capturedTexts(t, d, sandbox.CaptureRequest{Base: r.Token, Format: tree.SHA1})
	if diff := cmp.Diff(map[string]string{"cache": "deleted"}, got); diff != "" {
		t.Error(diff)
	}
	got, _ = capturedTexts(t, d, sandbox.CaptureRequest{Base: r.Token, Format: tree.SHA1, Ignore: []tree.IgnoreFile{}})
	if diff := cmp.Diff(map[string]string{"cache/in": "in"}, got); diff != "" {
		t.Errorf("without the rule: %s", diff)
	}
}

func TestAListingThatIsCutOffIsNoEmptyTree(t *testing.T) {
	whole := "now 1700000000.5\x00\x00d 755 1 2 1.5 1.5 .\x00\x00f 644 3 4 1600000000.25 1600000000.5 ./a b\x00\x00l 777 1 5 1 1 ./l\x00to\x00end 0\x00\x00"
	read := func(text string) ([]string, error) {
		var paths []string
		_, err := readListing(bufio.NewReader(strings.NewReader(text)), true, "word", func(e listed) error {
			paths = append(paths, e.path+">"+e.target)
			return nil
		})
		return paths, err
	}
	got, err := read(whole)
	if diff := cmp.Diff([]string{">", "a b>", "l>to"}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for i := range len(whole) {
		if _, err := read(whole[:i]); err == nil {
			t.Errorf("cut after %d bytes it is taken for whole", i)
		}
	}
	for _, bad := range []string{"end 137\x00\x00", "f 9 3 4 1 1 ./a\x00\x00end 0\x00\x00", "f 644 -3 4 1 1 ./a\x00\x00end 0\x00\x00"} {
		if _, err := read("now 1\x00\x00" + bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestStatsTellNamesWithLineEndsApart(t *testing.T) {
	const word = "0123456789abcdef"
	text := word + " l 81a4 3 1600000000.250000000 /a\nb\n" + word + " f 81a4 3 1600000000.250000000 /a\nb\n" +
		word + " l a1ff 9 1 /link\n" + word + " t /link\n" + word + " v to\nthere\n" + word + " notADirectory /f/x\n"
	s := readStats(text, word)
	info, err := s.of("stat", "/a\nb")
	if err != nil || info.Type != "file" || info.Size != 3 || info.ModTime.UnixNano() != 1_600_000_000_250_000_000 {
		t.Errorf("got %+v, %v", info, err)
	}
	if info, err = s.of("stat", "/link"); err != nil || info.Target != "to\nthere" || info.Type != "other" || !info.IsSymlink {
		t.Errorf("got %+v, %v", info, err)
	}
	_, err = s.of("stat", "/f/x")
	wantError(t, err, sandbox.NotADirectory, "/f/x")
	_, err = s.of("stat", "/unheard of")
	wantError(t, err, sandbox.FileNotFound, "unheard")
}

func TestWhatProgramsComplainOfHasItsKind(t *testing.T) {
	for text, want := range map[string]sandbox.Kind{
		"mkdir: cannot create directory 'a': Permission denied": sandbox.PermissionDenied,
		"cat: write error: No space left on device":             sandbox.NoSpace,
		"mv: cannot move: Disk quota exceeded":                  sandbox.NoSpace,
		"touch: setting times of 'x': Read-only file system":    sandbox.PermissionDenied,
		"sh: can't create x: File name too long":                sandbox.InvalidParams,
		"rm: cannot remove 'm': Device or resource busy":        sandbox.Conflict,
		"something else": sandbox.Unavailable,
		"":               sandbox.Unavailable,
	} {
		err := complaint("op", "/p", 1, text)
		if !kindIs(err, want) || strings.HasSuffix(err.Error(), ": ") {
			t.Errorf("%q: %v", text, err)
		}
	}
	wantError(t, complaint("op", "/p", scriptRefused, "noise\nglue!fileExists!\n"), sandbox.FileExists, "already")
	wantError(t, complaint("op", "/p", 127, "sh: 5: find: not found"), sandbox.Unsupported, "find")
}

func TestArgumentsOfScriptsArriveWhateverTheyHold(t *testing.T) {
	short := script{name: "mkdir.sh", args: []string{"/a b", "1"}}
	argv, head, err := short.line()
	if err != nil || head != "" || argv[len(argv)-2] != "/a b" {
		t.Errorf("%q %q %v", argv, head, err)
	}
	d := openDirect(t, nil)
	name := d.Info().Root + "/" + strings.Repeat("it's \xff\n", 20)
	if err := d.Mkdir(within(t), name, true); err != nil {
		t.Fatal(err)
	}
	if n, err := d.WriteFile(within(t), name+"/\xfe", strings.NewReader("with content"), sandbox.WriteOptions{Create: true}); err != nil || n != 12 {
		t.Errorf("%d, %v", n, err)
	}
	list, err := d.ReadDir(within(t), name)
	if err != nil || len(list) != 1 || list[0].Name != "\xfe" {
		t.Errorf("%+v, %v", list, err)
	}
}

func FuzzListing(f *testing.F) {
	f.Add([]byte("now 1\x00\x00f 644 3 4 1 1 ./a\x00\x00end 0\x00\x00"), true)
	f.Add([]byte("w now 1\nw 81a4 3 4 1 1 ./a\nw end 0\n"), false)
	f.Fuzz(func(t *testing.T, b []byte, gnu bool) {
		_, err := readListing(bufio.NewReader(bytes.NewReader(b)), gnu, "w", func(e listed) error {
			if e.sum == "" && e.stamp.size < 0 {
				t.Errorf("a size of %d", e.stamp.size)
			}
			return nil
		})
		if err == nil && !bytes.Contains(b, []byte("end ")) {
			t.Error("a listing without an end is taken for whole")
		}
	})
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("w before 81a4 1 2 3 4\nw content xw after 81a4 1 2 3 4\nw end\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		name := filepath.Join(t.TempDir(), "frames")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		in := &frames{f: file, word: []byte("w "), size: int64(len(b))}
		for range 10 {
			_, content, _, err := in.next()
			if err != nil {
				return
			}
			if content.Size() < 0 || content.Size() > int64(len(b)) {
				t.Fatalf("a content of %d bytes in %d", content.Size(), len(b))
			}
		}
	})
}

func TestCommitsThatCannotBeReadAreRefused(t *testing.T) {
	d := &direct{held: &held{}}
	for _, text := range []string{"ref nonsense refs/heads/x\n", "tip 12 HEAD\n", "boundary -xyz\n", "format md5\npack\n", "head --all\n"} {
		name := filepath.Join(t.TempDir(), "commits")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		out := &sandbox.Commits{Refs: map[string]string{}}
		if err := d.readCommits(file, sandbox.CommitsRequest{}, out); err == nil {
			t.Errorf("%q is taken: %+v", text, out)
		}
		file.Close()
	}
}

func TestWhatALoginShellHasOtherThanACommand(t *testing.T) {
	plain := []string{"PATH=/image/bin:/bin", "HOME=/root", "A=1"}
	login := []string{"PATH=/bin:/profile/bin", "HOME=/root", "A=2", "B=x=y", "_=/bin/env", "SHLVL=1"}
	got := differing(plain, agent.MergeLogin(plain, login))
	want := map[string]string{"PATH": "/image/bin:/bin:/profile/bin", "A": "2", "B": "x=y"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
