package tree_test

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"glue-lsp/internal/tree"
)

func TestX12_AFolderSwappedForALinkWhileWritingIsNotFollowed(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	put(t, root, "dir/deep/kept", "")
	symlink(t, root, outside, "link")
	mkdir(t, outside, "deep")
	put(t, outside, "deep/f", "outside")
	r := openRoot(t, root)
	dir, link := filepath.Join(root, "dir"), filepath.Join(root, "link")
	content := entry("", tree.Regular, "inside")
	written := 0
	inMotion(t, 3000, func(int64) error {
		return unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE)
	}, func() {
		// Each call may fail, by name, when it meets the link; none may reach through it.
		if r.Write("dir/deep/f", tree.Entry{}, tree.Regular, strings.NewReader("inside"), tree.SHA1) == nil {
			written++
		}
		if e, err := r.Lookup("dir/deep/f", tree.SHA1); err == nil && e.Exists() && !e.Same(content) {
			t.Errorf("found %+v", e)
		}
		_ = r.Remove("dir/deep/f", content, tree.SHA1)
	})
	if written == 0 {
		t.Error("no write met the folder")
	}
	wantNames(t, outside, "deep/", "deep/f")
	if got := read(t, outside, "deep/f"); got != "outside" {
		t.Errorf("the file outside holds %q", got)
	}
}
