package workspace

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// BenchmarkReturnOf5CommitsAnd20Files is a whole return to an edit: the mbox with its
// verification and bundle, and the plan. Its neighbour is `git checkout` of the base
// and `git am` of the same mbox.
func BenchmarkReturnOf5CommitsAnd20Files(b *testing.B) {
	var files []string
	for i := range 2800 {
		files = append(files, fmt.Sprintf("pkg%02d/file%04d.go", i%50, i), strings.Repeat(fmt.Sprintf("line of file %d\n", i), 200))
	}
	in := newInside(b, files...)
	for commit := range 5 {
		for i := range 4 {
			n := 2 * (commit*400 + i*50)
			in.put(files[n], "changed\n"+files[n+1])
		}
		in.commit(fmt.Sprintf("Commit %d\n\nWith a body.\n", commit))
	}
	r := in.request()
	w := in.open()
	host := in.host.snap(w, in.s)
	ctx := context.Background()
	b.Run("mbox", func(b *testing.B) {
		for b.Loop() {
			if m, err := in.s.Mbox(ctx, r); err != nil || m.Commits != 5 {
				b.Fatal(m, err)
			}
		}
	})
	b.Run("first mbox", func(b *testing.B) {
		for b.Loop() {
			fresh := r
			fresh.Dir = b.TempDir()
			if m, err := in.s.Mbox(ctx, fresh); err != nil || m.Commits != 5 {
				b.Fatal(m, err)
			}
		}
	})
	b.Run("plan", func(b *testing.B) {
		for b.Loop() {
			d, err := w.PlanDown(ctx, in.s, DownRequest{Agreed: r.Agreed, Host: host, Theirs: r.Theirs, Caps: wholeEditor})
			if err != nil || len(d.Edit.Texts) != 20 {
				b.Fatal(d, err)
			}
		}
	})
	b.Run("git am", func(b *testing.B) {
		m, meta := in.mbox(r)
		clone := in.am(m, meta)
		for b.Loop() {
			in.runIn(clone, "checkout", "-q", meta.BaseSHA)
			in.runIn(clone, "am", "-q", m.Path)
		}
	})
}

// BenchmarkReturnOf2000FilesToDisk is the plan and Apply of a large return.
func BenchmarkReturnOf2000FilesToDisk(b *testing.B) {
	var files []string
	for i := range 2500 {
		files = append(files, fmt.Sprintf("pkg%02d/file%04d.go", i%50, i), strings.Repeat(fmt.Sprintf("line of file %d\n", i), 200))
	}
	tr := newTrip(b, files...)
	for i := range 2000 {
		tr.inside(files[2*i], "changed\n"+files[2*i+1])
	}
	theirs := makeTree(b, tr.s, tr.theirs)
	ctx := context.Background()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		r := DownRequest{Agreed: tr.agreed, Host: tr.snap(tr.w, tr.s), Theirs: theirs, Mode: ModeDisk}
		if i%2 == 1 {
			r.Agreed, r.Theirs = theirs, tr.agreed
		}
		b.StartTimer()
		d, err := tr.w.PlanDown(ctx, tr.s, r)
		if err != nil || len(d.Disk) != 2000 {
			b.Fatal(len(d.Disk), err)
		}
		if err := tr.w.Apply(ctx, d.Disk); err != nil {
			b.Fatal(err)
		}
	}
}
