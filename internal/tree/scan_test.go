//go:build linux || darwin

package tree_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"glue-lsp/internal/tree"
)

func TestAScanIsWhatGitWouldCommit(t *testing.T) {
	for _, format := range []tree.Format{tree.SHA1, tree.SHA256} {
		t.Run(string(format), func(t *testing.T) {
			repo := t.TempDir()
			git(t, repo, "", "init", "-q", "--object-format="+string(format))
			putAll(t, repo, "a", "a.b", "a-b/x", "a/../b/c", "b/d/e", "b-", "b0", "z/\xff\xfe", "z/n\nl", "caf\u00e9/x", " lead", "-dash")
			put(t, repo, "empty", "")
			put(t, repo, "large", strings.Repeat("0123456789", 70_000))
			put(t, repo, "exact", strings.Repeat("x", 256<<10))
			chmod(t, repo, "a-b/x", 0o755)
			chmod(t, repo, "b-", 0o655) // the owner's bit decides
			symlink(t, repo, "a", "link")
			symlink(t, repo, "no/where", "dangling")
			symlink(t, repo, "b", "folder-link")
			symlink(t, repo, "\xff", "z/odd")
			mkdir(t, repo, "void/deep")

			got := scan(t, repo, tree.ScanOptions{Format: format}, nil)
			if diff := cmp.Diff(gitEntries(t, repo), got.Entries); diff != "" {
				t.Errorf("git has (-), the scan has (+):\n%s", diff)
			}
			if len(got.Skipped) > 0 {
				t.Errorf("skipped %v", got.Skipped)
			}
			listed := scan(t, repo, tree.ScanOptions{Format: format, Paths: pathsOf(got.Entries)}, nil)
			if diff := cmp.Diff(got, listed); diff != "" {
				t.Errorf("a walk (-) and a list (+) differ:\n%s", diff)
			}
		})
	}
}

// gitEntries is what git makes of the working tree.
func gitEntries(t *testing.T, repo string) []tree.Entry {
	t.Helper()
	git(t, repo, "", "-c", "core.fileMode=true", "add", "-A")
	var all []tree.Entry
	for line := range strings.SplitSeq(strings.TrimSuffix(git(t, repo, "", "ls-tree", "-r", "-l", "-z", "--full-tree",
		strings.TrimSpace(git(t, repo, "", "write-tree"))), "\x00"), "\x00") {
		meta, path, _ := strings.Cut(line, "\t")
		f := strings.Fields(meta)
		mode, err := strconv.ParseUint(f[0], 8, 32)
		if err != nil {
			t.Fatal(err)
		}
		size, err := strconv.ParseInt(f[3], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tree.Entry{Path: path, Mode: tree.Mode(mode), Hash: f[2], Size: size})
	}
	return all
}

func TestEntriesAreSortedByPathBytesWhateverTheNames(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		root, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		names := rapid.SampledFrom([]string{"a", "a.", "a-", "a0", "ab", "b", "a b", "\xff", "é", "!", "~"})
		for range rapid.IntRange(1, 20).Draw(rt, "files") {
			parts := rapid.SliceOfN(names, 1, 4).Draw(rt, "path")
			dir := filepath.Join(append([]string{root}, parts[:len(parts)-1]...)...)
			if os.MkdirAll(dir, 0o755) == nil {
				_ = os.WriteFile(filepath.Join(dir, parts[len(parts)-1]), nil, 0o644) // fails over a folder
			}
		}
		var want []string
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				want = append(want, strings.TrimPrefix(path, root+"/"))
			}
			return err
		})
		slices.Sort(want)
		if diff := cmp.Diff(want, pathsOf(scan(t, root, tree.ScanOptions{}, nil).Entries)); diff != "" {
			rt.Errorf("on disk (-), scanned (+):\n%s", diff)
		}
	})
}

func TestAFolderWithManyFilesIsSharedAmongWorkersAndStaysInOrder(t *testing.T) {
	root := t.TempDir()
	var want []string
	for i := range 2500 {
		path := fmt.Sprintf("big/%05d", i)
		put(t, root, path, strconv.Itoa(i))
		want = append(want, path)
		if i%500 == 0 {
			put(t, root, path+"-dir/x", "")
			want = append(want, path+"-dir/x")
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, pathsOf(scan(t, root, tree.ScanOptions{}, nil).Entries)); diff != "" {
		t.Errorf("on disk (-), scanned (+):\n%s", diff)
	}
}

func TestF12_NestedRepositoriesAreWalkedButNeverTheirGitFolders(t *testing.T) {
	root := t.TempDir()
	putAll(t, root, ".git/config", "sub/.git/HEAD", "sub/file", "sub/deep/.GIT/x", "sub/deep/y", "mod/.Git", "mod/z", ".github/w")
	got := scan(t, root, tree.ScanOptions{}, nil)
	if diff := cmp.Diff([]string{".github/w", "mod/z", "sub/deep/y", "sub/file"}, pathsOf(got.Entries)); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	if len(got.Skipped) > 0 {
		t.Errorf("skipped %v", got.Skipped)
	}
}

func TestX4_NamesThatNobodyMayWriteAreNamedAndNotRead(t *testing.T) {
	root := t.TempDir()
	putAll(t, root, "git~1/config", ".git /x", "ok", `d\.git\config`, ".g\u200cit/y")
	got := scan(t, root, tree.ScanOptions{}, nil)
	if diff := cmp.Diff([]string{"ok"}, pathsOf(got.Entries)); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	want := []string{".git : unsafe path", ".g\u200cit: unsafe path", `d\.git\config: unsafe path`, "git~1: unsafe path"}
	if diff := cmp.Diff(want, reasons(got.Skipped)); diff != "" {
		t.Errorf("skipped: want (-), got (+):\n%s", diff)
	}
}

func TestSpecialFilesAndLargeOnesAreSkippedByName(t *testing.T) {
	root := t.TempDir()
	putAll(t, root, "file")
	put(t, root, "large", strings.Repeat("x", 101))
	put(t, root, "fits", strings.Repeat("x", 100))
	if err := unix.Mkfifo(filepath.Join(root, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(root, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	want := []tree.Skipped{
		{Path: "large", Reason: tree.TooLarge, Detail: "101 bytes, the limit is 100"},
		{Path: "pipe", Reason: tree.Special, Detail: "named pipe"},
		{Path: "socket", Reason: tree.Special, Detail: "socket"},
	}
	for _, paths := range [][]string{nil, {"fits", "file", "large", "pipe", "socket"}} {
		got := scan(t, root, tree.ScanOptions{MaxFileSize: 100, Paths: paths}, nil)
		if diff := cmp.Diff([]string{"file", "fits"}, pathsOf(got.Entries)); diff != "" {
			t.Errorf("want (-), got (+):\n%s", diff)
		}
		if diff := cmp.Diff(want, got.Skipped); diff != "" {
			t.Errorf("skipped: want (-), got (+):\n%s", diff)
		}
	}
}

func TestUnreadableFilesAndFoldersAreNamed(t *testing.T) {
	root := t.TempDir()
	putAll(t, root, "ok", "secret", "closed/x")
	chmod(t, root, "secret", 0)
	chmod(t, root, "closed", 0)
	t.Cleanup(func() { chmod(t, root, "closed", 0o755) })
	chmod(t, root, "..", 0o755)
	asNobody(t, func() {
		for _, paths := range [][]string{nil, {"ok", "secret", "closed/x"}} {
			got := scan(t, root, tree.ScanOptions{Paths: paths}, nil)
			if diff := cmp.Diff([]string{"ok"}, pathsOf(got.Entries)); diff != "" {
				t.Errorf("want (-), got (+):\n%s", diff)
			}
			want := []string{"closed: unreadable", "secret: unreadable"}
			if paths != nil {
				want[0] = "closed/x: unreadable"
			}
			if diff := cmp.Diff(want, reasons(got.Skipped)); diff != "" {
				t.Errorf("skipped: want (-), got (+):\n%s", diff)
			}
		}
	})
}

// asNobody runs f without root's right to read everything.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if unix.Geteuid() != 0 {
		f()
		return
	}
	if err := syscall.Seteuid(65534); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Seteuid(0); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

func TestIgnoredFoldersAreEnteredOnlyForTrackedFiles(t *testing.T) {
	root := t.TempDir()
	putAll(t, root, "a", "a.log", "kept.log", "out/x", "out/kept/y", "out/kept/z", "dep/big/x", "sub/out/w")
	m := tree.NewMatcher([]tree.IgnoreFile{{Content: []byte("*.log\nout/\ndep\n")}}, false)
	asked := make(chan string, 100)
	got := scan(t, root, tree.ScanOptions{
		Ignored: func(path string, isDir bool) bool { asked <- path; return m.Ignored(path, isDir) },
		Tracked: map[string]bool{"kept.log": true, "out/kept/y": true, "gone/x": true},
	}, nil)
	if diff := cmp.Diff([]string{"a", "kept.log", "out/kept/y"}, pathsOf(got.Entries)); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	close(asked)
	for path := range asked {
		if strings.HasPrefix(path, "dep/") || strings.HasPrefix(path, "sub/out/") {
			t.Errorf("%s was looked at, below an ignored folder", path)
		}
	}
}

func TestAListNamesOnlyFilesThatAreThere(t *testing.T) {
	root := t.TempDir()
	putAll(t, root, "a/b", "a/c/d", "e", "f/x")
	symlink(t, root, "a", "link")
	got := scan(t, root, tree.ScanOptions{Paths: []string{
		"e", "a/c/d", "a/b", "gone", "gone/x", "e/below-a-file", "a/c", "link/b", "link", "e", "../e", "f/", ".git/config",
	}}, nil)
	if diff := cmp.Diff([]string{"a/b", "a/c/d", "e", "link"}, pathsOf(got.Entries)); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	want := []string{"../e: unsafe path", ".git/config: unsafe path", "f/: unsafe path"}
	if diff := cmp.Diff(want, reasons(got.Skipped)); diff != "" {
		t.Errorf("skipped: want (-), got (+):\n%s", diff)
	}
	if none := scan(t, root, tree.ScanOptions{Paths: []string{}}, nil); len(none.Entries) > 0 {
		t.Errorf("an empty list gave %v", none.Entries)
	}
}

func TestAScanSaysWhyItCannotBegin(t *testing.T) {
	root := t.TempDir()
	put(t, root, "file", "")
	if _, err := tree.Scan(context.Background(), filepath.Join(root, "gone"), tree.ScanOptions{Format: tree.SHA1}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing root: %v", err)
	}
	if _, err := tree.Scan(context.Background(), filepath.Join(root, "file"), tree.ScanOptions{Format: tree.SHA1}, nil); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("root is a file: %v", err)
	}
	if _, err := tree.Scan(context.Background(), root, tree.ScanOptions{Format: "md5"}, nil); err == nil || !strings.Contains(err.Error(), "md5") {
		t.Errorf("unknown format: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, paths := range [][]string{nil, {"file"}} {
		if _, err := tree.Scan(ctx, root, tree.ScanOptions{Format: tree.SHA1, Paths: paths}, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
}

func TestHashBytesIsGitsBlobHash(t *testing.T) {
	repo := t.TempDir()
	for _, format := range []tree.Format{tree.SHA1, tree.SHA256} {
		git(t, repo, "", "init", "-q", "--object-format="+string(format), string(format))
		for _, content := range []string{"", "x", "a\r\nb\x00\xff"} {
			want := strings.TrimSpace(git(t, filepath.Join(repo, string(format)), content, "hash-object", "--stdin"))
			if got := tree.HashBytes(format, []byte(content)); got != want {
				t.Errorf("%s of %q: %s, git says %s", format, content, got, want)
			}
		}
	}
}

func TestATreeDeeperThanTheLimitOfPathsIsNamedNotFollowed(t *testing.T) {
	root := t.TempDir()
	fd, err := unix.Open(root, unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	const name = "a-folder-with-a-rather-long-name-so-that-it-takes-few-of-them"
	for range 80 {
		if err := unix.Mkdirat(fd, name, 0o755); err != nil {
			t.Fatal(err)
		}
		sub, err := unix.Openat(fd, name, unix.O_DIRECTORY, 0)
		_ = unix.Close(fd)
		if err != nil {
			t.Fatal(err)
		}
		fd = sub
	}
	_ = unix.Close(fd)
	got := scan(t, root, tree.ScanOptions{}, nil)
	if len(got.Entries) != 0 || len(got.Skipped) != 1 || got.Skipped[0].Reason != tree.BadPath {
		t.Errorf("entries %v, skipped %v", pathsOf(got.Entries), reasons(got.Skipped))
	}
}

func TestAHugeFileTakesLittleMemory(t *testing.T) {
	root := t.TempDir()
	put(t, root, "huge", "")
	const size = 300 << 20
	if err := os.Truncate(filepath.Join(root, "huge"), size); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := scan(t, root, tree.ScanOptions{}, nil)
	runtime.ReadMemStats(&after)
	if len(got.Entries) != 1 || got.Entries[0].Size != size {
		t.Fatalf("entries %+v", got.Entries)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("%d bytes were allocated for a file of %d", used, size)
	}
}
