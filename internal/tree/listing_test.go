//go:build linux || darwin

package tree_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glue-lsp/internal/tree"
)

// listingWorld is a tree with a folder beside it for the files of its repository.
type listingWorld struct{ root, beside string }

func newListingWorld(t *testing.T) listingWorld {
	w := listingWorld{t.TempDir(), t.TempDir()}
	putAll(t, w.root, "a", "dir/b", "dir/deep/c", "out/kept/d", "out/e", "log/x.log", "sub/.git/HEAD", "sub/f")
	put(t, w.root, ".gitignore", "*.log\nout/\n")
	mkdir(t, w.root, "void/deep")
	putAll(t, w.beside, "index", "excludes")
	symlink(t, w.beside, "excludes", "excludes-link")
	return w
}

func (w listingWorld) list(t *testing.T, since time.Time) *tree.Listing {
	t.Helper()
	m := tree.NewMatcher([]tree.IgnoreFile{{Content: []byte("*.log\nout/\n")}}, false)
	l, err := tree.NewListing(context.Background(), w.root, since, tree.ListingOptions{
		Paths:   []string{"a", "dir/b", "dir/deep/c", "out/kept/d", ".gitignore", "sub/f"},
		Ignored: m.Ignored,
		Files:   []string{w.beside + "/index", w.beside + "/excludes-link", w.beside + "/none", "dir/../relative"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAListingSeesWhateverCouldChangeTheList(t *testing.T) {
	for name, change := range map[string]func(w listingWorld) error{
		"a new file":             func(w listingWorld) error { return os.WriteFile(w.root+"/dir/deep/new", nil, 0o644) },
		"a new file at the top":  func(w listingWorld) error { return os.WriteFile(w.root+"/new", nil, 0o644) },
		"one in an empty folder": func(w listingWorld) error { return os.WriteFile(w.root+"/void/deep/new", nil, 0o644) },
		"a removed file":         func(w listingWorld) error { return os.Remove(w.root + "/dir/b") },
		"a renamed file":         func(w listingWorld) error { return os.Rename(w.root+"/dir/b", w.root+"/dir/b2") },
		"a moved folder":         func(w listingWorld) error { return os.Rename(w.root+"/dir/deep", w.root+"/void/deep2") },
		"a file made a folder":   func(w listingWorld) error { return errors.Join(os.Remove(w.root+"/a"), os.Mkdir(w.root+"/a", 0o755)) },
		"a tracked ignored file": func(w listingWorld) error { return os.Remove(w.root + "/out/kept/d") },
		"changed rules":          func(w listingWorld) error { return os.WriteFile(w.root+"/.gitignore", []byte("*.log\n"), 0o644) },
		"new rules":              func(w listingWorld) error { return os.WriteFile(w.root+"/dir/.gitignore", nil, 0o644) },
		"a nested repository":    func(w listingWorld) error { return os.Mkdir(w.root+"/dir/.git", 0o755) },
		"no nested repository":   func(w listingWorld) error { return os.RemoveAll(w.root + "/sub/.git") },
		"the index":              func(w listingWorld) error { return os.WriteFile(w.beside+"/index", []byte("2"), 0o644) },
		"the index replaced": func(w listingWorld) error {
			return errors.Join(os.WriteFile(w.beside+"/i", nil, 0o644), os.Rename(w.beside+"/i", w.beside+"/index"))
		},
		"the index removed": func(w listingWorld) error { return os.Remove(w.beside + "/index") },
		"a link's target":   func(w listingWorld) error { return os.WriteFile(w.beside+"/excludes", []byte("longer now"), 0o644) },
		"a link's other target": func(w listingWorld) error {
			return errors.Join(os.Remove(w.beside+"/excludes-link"), os.Symlink("index", w.beside+"/excludes-link"))
		},
		"a file that was missing": func(w listingWorld) error { return os.WriteFile(w.beside+"/none", nil, 0o644) },
		"a relative file":         func(w listingWorld) error { return os.WriteFile(w.root+"/relative", nil, 0o644) },
		"a folder made a link": func(w listingWorld) error {
			return errors.Join(os.Rename(w.root+"/dir", w.beside+"/dir"), os.Symlink(w.beside+"/dir", w.root+"/dir"))
		},
		"no root": func(w listingWorld) error { return os.RemoveAll(w.root) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newListingWorld(t)
			l := w.list(t, time.Now().Add(time.Hour))
			if !l.Unchanged(context.Background()) {
				t.Error("changed before anything was changed")
			}
			if err := change(w); err != nil {
				t.Fatal(err)
			}
			if l.Unchanged(context.Background()) {
				t.Error("the change was not seen")
			}
		})
	}
}

func TestAListingIsNotUpsetByWhatDoesNotChangeTheList(t *testing.T) {
	for name, change := range map[string]func(w listingWorld) error{
		"a changed content": func(w listingWorld) error { return os.WriteFile(w.root+"/dir/b", []byte("changed"), 0o644) },
		"a save by rename": func(w listingWorld) error {
			return errors.Join(os.WriteFile(w.root+"/dir/b.tmp", []byte("changed"), 0o644), os.Rename(w.root+"/dir/b.tmp", w.root+"/dir/b"))
		},
		"an ignored file":                  func(w listingWorld) error { return os.WriteFile(w.root+"/dir/y.log", nil, 0o644) },
		"no ignored file":                  func(w listingWorld) error { return os.Remove(w.root + "/log/x.log") },
		"a file in an ignored folder":      func(w listingWorld) error { return os.WriteFile(w.root+"/out/new", nil, 0o644) },
		"one beside a tracked ignored one": func(w listingWorld) error { return os.WriteFile(w.root+"/out/kept/new", nil, 0o644) },
		"the repository's own files":       func(w listingWorld) error { return os.WriteFile(w.root+"/sub/.git/new", nil, 0o644) },
		"a file that came and went": func(w listingWorld) error {
			return errors.Join(os.WriteFile(w.root+"/void/new", nil, 0o644), os.Remove(w.root+"/void/new"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newListingWorld(t)
			l := w.list(t, time.Now().Add(time.Hour))
			if err := change(w); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if !l.Unchanged(context.Background()) {
					t.Error("the list is no longer taken to be right")
				}
			}
			// What it learned from reading a folder again does not hide the next change.
			put(t, w.root, "dir/later", "")
			if l.Unchanged(context.Background()) {
				t.Error("a later change was not seen")
			}
		})
	}
}

func TestAListingOfATreeThatJustChangedCannotVouch(t *testing.T) {
	w := newListingWorld(t)
	put(t, w.root, "dir/new", "")
	if w.list(t, time.Now()).Unchanged(context.Background()) {
		t.Error("a file that the list may lack was made a moment before")
	}
}

func TestAListingIsUnsureWhenCancelledOrBlind(t *testing.T) {
	w := newListingWorld(t)
	l := w.list(t, time.Now().Add(time.Hour))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if l.Unchanged(ctx) {
		t.Error("a cancelled look found everything unchanged")
	}
	if _, err := tree.NewListing(context.Background(), filepath.Join(w.root, "gone"), time.Now(), tree.ListingOptions{}); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("no root: %v", err)
	}
	if _, err := tree.NewListing(ctx, w.root, time.Now(), tree.ListingOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func BenchmarkListingUnchanged(b *testing.B) {
	root := b.TempDir()
	paths := growTree(b, root, 100_000)
	l, err := tree.NewListing(context.Background(), root, time.Now().Add(time.Hour), tree.ListingOptions{Paths: paths})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if !l.Unchanged(context.Background()) {
			b.Fatal("changed")
		}
	}
}
