package git

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"glue-lsp/internal/tree"
)

// corpus is text of the size that numbers are asked for: 2,800 files, 30 MB.
func corpus(files, size int) map[string]string {
	random := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 4000)
	for i := range words {
		words[i] = fmt.Sprintf("%x", random.Uint32N(1<<28))
	}
	out := map[string]string{}
	for i := range files {
		var b bytes.Buffer
		for b.Len() < size {
			for range 8 {
				b.WriteString(words[random.IntN(len(words))] + " ")
			}
			b.WriteByte('\n')
		}
		out[fmt.Sprintf("dir%d/sub%d/file%d.txt", i%290%17, i%290, i)] = b.String()
	}
	return out
}

// processorTime makes a benchmark also report what this process and its children
// used, which a busy machine changes less than what the clock says.
func processorTime(b *testing.B) {
	b.Helper()
	used := func() time.Duration {
		var sum time.Duration
		for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
			var u syscall.Rusage
			if err := syscall.Getrusage(who, &u); err != nil {
				b.Fatal(err)
			}
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
		return sum
	}
	start := used()
	b.Cleanup(func() { b.ReportMetric(float64((used()-start).Microseconds())/1000/float64(b.N), "cpu-ms/op") })
}

func BenchmarkUpdateOfAWholeTree(b *testing.B) {
	isolate(b)
	g := findGit(b)
	var changes []Change
	for path, content := range corpus(2800, 10700) {
		c := write(path, content, tree.Regular)
		c.Entry.Hash = tree.HashBytes(tree.SHA1, []byte(content))
		changes = append(changes, c)
	}
	processorTime(b)
	for b.Loop() {
		r := newStore(b, g, tree.SHA1)
		update(b, r, "", changes...)
	}
}

func BenchmarkUpdateOfOneFile(b *testing.B) {
	isolate(b)
	g := findGit(b)
	r := newStore(b, g, tree.SHA1)
	base := makeTree(b, r, corpus(2800, 100))
	n := 0
	processorTime(b)
	for b.Loop() {
		n++
		update(b, r, base, write("dir1/sub1/file1.txt", fmt.Sprint(n), tree.Regular))
	}
}

func BenchmarkBundle(b *testing.B) {
	isolate(b)
	r := newStore(b, findGit(b), tree.SHA1)
	if err := r.SetRef(b.Context(), "refs/glue/base", makeCommit(b, r, makeTree(b, r, corpus(2800, 10700)))); err != nil {
		b.Fatal(err)
	}
	processorTime(b)
	for b.Loop() {
		if err := r.Bundle(b.Context(), io.Discard, "refs/glue/base"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkListFiles(b *testing.B) {
	isolate(b)
	g := findGit(b)
	src := inspect(b, g, userRepo(b, corpus(3000, 100)))
	dir := filepath.Join(b.TempDir(), "private")
	processorTime(b)
	for b.Loop() {
		list, err := g.ListFiles(b.Context(), src, dir)
		if err != nil || len(list.Paths) != 3000 {
			b.Fatal(len(list.Paths), err)
		}
	}
}

func BenchmarkInspect(b *testing.B) {
	isolate(b)
	g := findGit(b)
	dir := userRepo(b, map[string]string{"a": "1"})
	processorTime(b)
	for b.Loop() {
		inspect(b, g, dir)
	}
}

func BenchmarkMerge(b *testing.B) {
	isolate(b)
	r := newStore(b, findGit(b), tree.SHA1)
	base := makeTree(b, r, corpus(2800, 100))
	ours := update(b, r, base, write("dir1/sub1/file1.txt", "ours", tree.Regular))
	theirs := update(b, r, base, write("dir2/sub2/file2.txt", "theirs", tree.Regular))
	processorTime(b)
	for b.Loop() {
		if m, err := r.Merge(b.Context(), base, ours, theirs); err != nil || len(m.Conflicts) > 0 {
			b.Fatal(m, err)
		}
	}
}

func BenchmarkReadTree(b *testing.B) {
	isolate(b)
	r := newStore(b, findGit(b), tree.SHA1)
	id := makeTree(b, r, corpus(2800, 100))
	processorTime(b)
	for b.Loop() {
		if _, err := r.ReadTree(b.Context(), id); err != nil {
			b.Fatal(err)
		}
	}
}
