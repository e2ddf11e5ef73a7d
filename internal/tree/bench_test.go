//go:build linux || darwin

package tree_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"glue-lsp/internal/tree"
)

// BenchmarkScan measures a walk and a listed scan, with and without a warm cache.
func BenchmarkScan(b *testing.B) {
	for _, files := range []int{3_000, 100_000} {
		root := b.TempDir()
		paths := growTree(b, root, files)
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
