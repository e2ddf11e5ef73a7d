//go:build linux || darwin

package tree

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Not every kernel or file system has what is used first; the other way must give
// the same answers.
func TestX12_BothWaysToOpenAFolderRefuseLinks(t *testing.T) {
	root := t.TempDir()
	write(t, root, "dir/deep/f", "x")
	for _, link := range []struct{ target, name string }{{"dir", "link"}, {"deep", "dir/same"}, {"/", "away"}, {"gone", "dangling"}} {
		if err := os.Symlink(link.target, filepath.Join(root, link.name)); err != nil {
			t.Fatal(err)
		}
	}
	fd, err := openRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for path, ok := range map[string]bool{
		"dir": true, "dir/deep": true, "link": false, "link/deep": false, "dir/same": false, "away": false, "away/tmp": false,
		"dangling": false, "dir/deep/f": false, "gone": false, "dir/gone/x": false,
	} {
		for name, open := range map[string]func(int, string) (int, error){"at once": openBeneath, "step by step": walkBeneath} {
			got, err := open(fd, path)
			if (err == nil) != ok || err != nil && !gone(err) {
				t.Errorf("%s %s: %v, want success %v", name, path, err, ok)
			}
			if err == nil {
				_ = unix.Close(got)
			}
		}
	}
}

func TestReplacingInTwoStepsLooksOnceMore(t *testing.T) {
	root := t.TempDir()
	fd, err := openRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	w := writing{dir: fd, path: "f", name: "f", format: SHA1}
	expect := Entry{Mode: Regular, Hash: HashBytes(SHA1, []byte("seen"))}
	write(t, root, "f", "seen")
	write(t, root, "temp", "ours")
	if err := w.replaceInTwoSteps("temp", expect); err != nil {
		t.Error(err)
	}
	write(t, root, "temp", "ours again")
	var changed *ChangedError
	if err := w.replaceInTwoSteps("temp", expect); !errors.As(err, &changed) {
		t.Errorf("error %v, want a *ChangedError", err)
	}
	if b, err := os.ReadFile(filepath.Join(root, "f")); err != nil || string(b) != "ours" {
		t.Errorf("f holds %q, %v", b, err)
	}
}

func TestBothWaysToGiveANewNameRefuseATakenOne(t *testing.T) {
	for name, rename := range map[string]func(int, string, string) error{"at once": renameNew, "by a link": linkNew} {
		root := t.TempDir()
		fd, err := openRoot(root)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		write(t, root, "file", "mine")
		write(t, root, "taken", "theirs")
		if err := errors.Join(os.Symlink("no/where", root+"/link"), os.Symlink("gone", root+"/dangling")); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			from, to string
			want     error
		}{
			{"file", "taken", unix.EEXIST},
			{"file", "dangling", unix.EEXIST},
			{"link", "taken", unix.EEXIST},
			{"gone", "new", unix.ENOENT},
			{"file", "new", nil},
			{"link", "newlink", nil},
		} {
			if err := rename(fd, c.from, c.to); !errors.Is(err, c.want) {
				t.Errorf("%s, %s to %s: %v, want %v", name, c.from, c.to, err, c.want)
			}
		}
		left, err := os.ReadDir(root)
		if err != nil || len(left) != 4 {
			t.Errorf("%s: left %v, %v", name, left, err)
		}
		if target, err := os.Readlink(root + "/newlink"); err != nil || target != "no/where" {
			t.Errorf("%s: the link leads to %q, %v", name, target, err)
		}
	}
}

func TestACursorIsWhereItWasSentWhateverCameBefore(t *testing.T) {
	root := t.TempDir()
	dirs := []string{"", "a", "a/b", "a/b/c", "ab", "a/bc", "b", "b/a"}
	for _, d := range dirs {
		write(t, root, filepath.Join(d, "here"), d)
	}
	fd, err := openRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	c := cursor{root: fd}
	defer c.close()
	for _, from := range append(dirs, "gone", "a/gone/x", "here") {
		for _, to := range dirs {
			if _, err := c.enter(from); err != nil && !gone(err) {
				t.Fatal(err)
			}
			at, err := c.enter(to)
			if err != nil {
				t.Fatalf("from %q to %q: %v", from, to, err)
			}
			if got := readHere(t, at); got != to {
				t.Errorf("from %q to %q: in %q", from, to, got)
			}
		}
	}
}

// readHere tells a folder by the file in it that holds its path.
func readHere(t *testing.T, dir int) string {
	t.Helper()
	fd, err := openFile(dir, "here")
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "here")
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
