package tree_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"glue-lsp/internal/tree"
)

// asOrdinaryUser calls f without root's right to pass over modes; dir becomes that user's.
func asOrdinaryUser(t *testing.T, dir string, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	const nobody = 65534
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(name, nobody, nobody))
	})
	// What t.TempDir makes around it can be entered by its owner only.
	if err := errors.Join(err, os.Chmod(filepath.Dir(dir), 0o711)); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with this, see setfsuid(2)
		if err := unix.Setfsuid(nobody); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

func TestX12_WhatASandboxLeavesIsRemovedByAnOrdinaryUser(t *testing.T) {
	base, outside := t.TempDir(), t.TempDir()
	dir := filepath.Join(base, "left")
	work := filepath.Join(dir, "lent", "0.0", "work", "work") // an overlay's, of mode 000
	locked := filepath.Join(dir, "w", "locked")
	for _, d := range []string{work, filepath.Join(locked, "deep")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(dir, "w", "link")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(outside, 0o555), os.Chmod(work, 0), os.Chmod(locked, 0o555)); err != nil {
		t.Fatal(err)
	}
	asOrdinaryUser(t, base, func() {
		if err := os.RemoveAll(dir); err == nil {
			t.Error("nothing keeps it from being removed: this test shows nothing")
		}
		if err := tree.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	if info, err := os.Stat(outside); err != nil || info.Mode().Perm() != 0o555 {
		t.Errorf("where a link led: %v %v", info, err)
	}
}
