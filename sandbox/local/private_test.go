package local

import (
	"os"
	"path/filepath"
	"testing"
)

func TestX12_WhatCommandsLeftInHomeAndCachesLeadsTheHostNowhere(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	victim := filepath.Join(outside, "victim")
	if err := os.WriteFile(victim, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"up": outside, "file": victim, "nowhere": filepath.Join(outside, "new"), "loop": "loop", "cache": outside} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := openPrivate(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range []string{"up/victim", "up/new/deep", "file", "nowhere", "nowhere/x", "loop/x", "../escape", "fresh/link"} {
		if err := f.link(name, "/target"); err != nil {
			t.Errorf("%s holds the session up: %v", name, err)
		}
	}
	if got, err := os.Readlink(filepath.Join(dir, "fresh", "link")); err != nil || got != "/target" {
		t.Errorf("an ordinary one: %q %v", got, err)
	}
	for _, name := range []string{"cache", "nowhere", "file", "made"} {
		if err := f.folder(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || !info.IsDir() {
			t.Errorf("%s is no folder of its own: %v", name, err)
		}
	}
	entries, err := os.ReadDir(outside)
	if err != nil || len(entries) != 1 {
		t.Errorf("outside there is %v, %v", entries, err)
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != "theirs" {
		t.Errorf("%q %v", b, err)
	}
}
