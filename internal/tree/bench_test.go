//go:build linux || darwin

package tree_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"glue-lsp/internal/tree"
)

// BenchmarkScan measures a walk and a listed scan, with and without a warm cache,
// beside the floor: the bare stat calls.
func BenchmarkScan(b *testing.B) {
	for _, files := range []int{3_000, 100_000} {
		root := b.TempDir()
		paths := growTree(b, root, files)
		b.Run(fmt.Sprintf("floor/%d", files), func(b *testing.B) {
			for b.Loop() {
				lstatAll(b, root, paths)
			}
		})
		for _, listed := range []bool{false, true} {
			opts := tree.ScanOptions{Format: tree.SHA1}
			how := "walk"
			if listed {
				opts.Paths, how = paths, "list"
			}
			b.Run(fmt.Sprintf("%s/%d/cold", how, files), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					scanAll(b, root, opts, nil, files)
				}
			})
			b.Run(fmt.Sprintf("%s/%d/warm", how, files), func(b *testing.B) {
				b.ReportAllocs()
				cache := tree.NewCache()
				scanAll(b, root, opts, cache, files)
				for b.Loop() {
					scanAll(b, root, opts, cache, files)
				}
			})
		}
	}
}

// lstatAll is what no scan can do without: one call for each file, on two processors.
func lstatAll(b *testing.B, root string, paths []string) {
	b.Helper()
	var all sync.WaitGroup
	for half := range 2 {
		all.Go(func() {
			var st unix.Stat_t
			for _, path := range paths[half*len(paths)/2 : (half+1)*len(paths)/2] {
				if err := unix.Lstat(root+"/"+path, &st); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func scanAll(b *testing.B, root string, opts tree.ScanOptions, cache *tree.Cache, want int) {
	b.Helper()
	got, err := tree.Scan(context.Background(), root, opts, cache)
	if err != nil {
		b.Fatal(err)
	}
	if len(got.Entries) != want || len(got.Skipped) > 0 {
		b.Fatalf("%d entries, want %d; skipped %v", len(got.Entries), want, got.Skipped)
	}
}

// growTree makes files of about a kilobyte, 25 in each folder, and gives their paths
// in order.
func growTree(tb testing.TB, root string, files int) []string {
	tb.Helper()
	content := make([]byte, 1024)
	paths := make([]string, 0, files)
	for i := range files {
		dir := fmt.Sprintf("area%02d/part%03d", i/25/64, i/25%64)
		path := fmt.Sprintf("%s/file%03d.txt", dir, i%25)
		if i%25 == 0 {
			if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
				tb.Fatal(err)
			}
		}
		copy(content, path)
		if err := os.WriteFile(filepath.Join(root, path), content, 0o644); err != nil {
			tb.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// BenchmarkScanRules walks as the sandbox's side does: with rules and known files.
func BenchmarkScanRules(b *testing.B) {
	const files = 100_000
	root := b.TempDir()
	tracked := map[string]bool{}
	for _, path := range growTree(b, root, files) {
		tracked[path] = true
	}
	put(b, root, "node_modules/x/y", "ignored")
	cache := tree.NewCache()
	scanAll(b, root, tree.ScanOptions{Format: tree.SHA1, Paths: slices.Collect(maps.Keys(tracked))}, cache, files)
	for b.Loop() {
		m := tree.NewMatcher([]tree.IgnoreFile{{Content: []byte("node_modules/\n*.o\n/build\n")}}, false)
		scanAll(b, root, tree.ScanOptions{Format: tree.SHA1, Ignored: m.Ignored, Tracked: tracked}, cache, files)
	}
}

func BenchmarkCacheFile(b *testing.B) {
	const files = 100_000
	root := b.TempDir()
	growTree(b, root, files)
	file := filepath.Join(b.TempDir(), "cache")
	cache := tree.NewCache()
	scanAll(b, root, tree.ScanOptions{Format: tree.SHA1}, cache, files)
	if err := cache.Save(file); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := tree.LoadCache(file); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRootWrite replaces small files, each by temporary file and rename.
func BenchmarkRootWrite(b *testing.B) {
	root := b.TempDir()
	paths := growTree(b, root, 1000)
	r := openRoot(b, root)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		writeFile(b, r, paths[i%len(paths)], tree.Regular, paths[i%7])
	}
}
