package workspace

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// benchHost is a repository of the given size; its contents compress like code.
func benchHost(b *testing.B, files, bytes int) *host {
	b.Helper()
	h := newHost(b)
	h.run("init", "-q", "-b", "main")
	rng := rand.New(rand.NewPCG(1, 2))
	lines := make([]string, 4000)
	for i := range lines {
		lines[i] = fmt.Sprintf("%*s%x := call%x(%x, %q)\n", rng.IntN(12), "", rng.Uint32N(1<<12), rng.Uint32N(1<<8), rng.Uint32N(1<<16), fmt.Sprint(rng.Uint32()))
	}
	for i := range files {
		text := make([]byte, 0, bytes/files+64)
		for len(text) < bytes/files {
			text = append(text, lines[rng.IntN(len(lines))]...)
		}
		name := filepath.Join(h.dir, fmt.Sprintf("d%d", i%40), fmt.Sprintf("e%d", i%7), fmt.Sprintf("f%d.go", i))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	h.run("add", "-A")
	h.run("commit", "-q", "-m", "all")
	return h
}

func benchSnapshot(b *testing.B, w *Workspace, s *Store, docs ...Document) *Snapshot {
	b.Helper()
	snap, err := w.Snapshot(context.Background(), s, docs)
	if err != nil {
		b.Fatal(err)
	}
	return snap
}

// What the very first session on a repository costs until its tree is stored.
func BenchmarkSnapshot_First(b *testing.B) {
	h := benchHost(b, 2800, 30<<20)
	for b.Loop() {
		b.StopTimer()
		h.cache = filepath.Join(b.TempDir(), "cache")
		s := h.store()
		b.StartTimer()
		benchSnapshot(b, h.open(), s)
	}
}

// A later session: the hashes are known, the contents are not in its store.
func BenchmarkSnapshot_FirstInANewSession(b *testing.B) {
	h := benchHost(b, 2800, 30<<20)
	benchSnapshot(b, h.open(), h.store())
	for b.Loop() {
		b.StopTimer()
		s := h.store()
		b.StartTimer()
		benchSnapshot(b, h.open(), s)
	}
}

func BenchmarkSnapshot_NothingChanged(b *testing.B) {
	for _, files := range []int{2800, 100_000} {
		b.Run(fmt.Sprintf("files=%d", files), func(b *testing.B) {
			h := benchHost(b, files, max(30<<20, files*100))
			w, s := h.open(), h.store()
			benchSnapshot(b, w, s)
			benchSnapshot(b, w, s)
			for b.Loop() {
				benchSnapshot(b, w, s)
			}
		})
	}
}

func BenchmarkSnapshot_OneUnsavedBuffer(b *testing.B) {
	h := benchHost(b, 2800, 30<<20)
	w, s := h.open(), h.store()
	benchSnapshot(b, w, s)
	n := 0
	for b.Loop() {
		n++
		benchSnapshot(b, w, s, h.buffer("d0/e0/f0.go", fmt.Sprintf("edit %d\n", n)))
	}
}

func BenchmarkBase(b *testing.B) {
	h := benchHost(b, 2800, 30<<20)
	w, s := h.open(), h.store()
	snap := benchSnapshot(b, w, s)
	file := filepath.Join(b.TempDir(), "base.bundle")
	for b.Loop() {
		base, err := s.Base(context.Background(), snap, git.History{}, "", file, 0)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(base.BundleSize)/1e6, "MB/bundle")
	}
}

// One edited file on its way up: the plan and what is agreed afterwards.
func BenchmarkPlanUpAndAdvance(b *testing.B) {
	h := benchHost(b, 2800, 30<<20)
	w, s := h.open(), h.store()
	agreed := benchSnapshot(b, w, s).Tree
	n := 0
	for b.Loop() {
		b.StopTimer()
		n++
		host := benchSnapshot(b, w, s, h.buffer("d0/e0/f0.go", fmt.Sprintf("edit %d\n", n))).Tree
		b.StartTimer()
		up, err := s.PlanUp(context.Background(), agreed, host, agreed)
		if err != nil {
			b.Fatal(err)
		}
		entries := make([]tree.Entry, len(up.Writes))
		for i, u := range up.Writes {
			entries[i] = u.Host
		}
		if agreed, err = s.Advance(context.Background(), agreed, entries); err != nil {
			b.Fatal(err)
		}
	}
}
