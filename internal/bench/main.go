// Command bench measures glue-lsp against floors in the same run and writes the table
// of docs/benchmarks.md. Absolute times differ between machines; the ratio to the floor
// and the goal are what to look at. It judges nothing and never fails for being slow.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"glue-lsp/sandbox/agent"
)

// row is one line of the table.
type row struct {
	what  string
	floor string // what the floor is
	base  time.Duration
	here  time.Duration
	goal  string
	text  string // instead of durations
}

type bench struct {
	ctx    context.Context
	server string // path of the binary
	modal  modalPrograms
	work   string // private folder of this run
	fs     string // the kind of file system that work is on
	rows   []row

	small, large *repo
}

func main() {
	if agent.IsAgent(os.Args) {
		os.Exit(agent.Main(os.Args[2:], os.Stdin, os.Stdout))
	}
	server := flag.String("server", "bin/glue-lsp", "the binary to measure")
	var programs modalPrograms
	flag.StringVar(&programs.emulator, "modalemu", "bin/modalemu", "the emulator of Modal")
	flag.StringVar(&programs.python, "python", ".tools/python/bin/python", "a Python with Modal's SDK")
	out := flag.String("out", "", "write the page to this file as well")
	only := flag.String("only", "", "only sections whose name contains this")
	network := flag.String("network", "", "be the network before this address, until the end of input, and nothing else")
	flag.Parse()
	if *network != "" {
		if err := beNetwork(*network); err != nil {
			log.Fatal(err)
		}
		return
	}
	abs, err := filepath.Abs(*server)
	if err == nil {
		programs.python, err = filepath.Abs(programs.python)
	}
	if err != nil {
		log.Fatal(err)
	}
	work, err := os.MkdirTemp("", "glue-bench-")
	if err != nil {
		log.Fatal(err)
	}
	b := &bench{ctx: context.Background(), server: abs, modal: programs, work: work, fs: fileSystem(work)}
	b.small = &repo{dir: filepath.Join(work, "small-tree"), name: "small", what: "2,800 files, 30 MB", files: 2800, size: 30 * mebibyte}
	b.large = &repo{dir: filepath.Join(work, "large-tree"), name: "large", what: "100,000 files, 100 MB", files: 100_000, size: 100 * mebibyte}
	err = b.run(*only)
	if rmErr := os.RemoveAll(work); err == nil {
		err = rmErr
	}
	if err != nil {
		log.Fatal(err)
	}
	page := b.page()
	fmt.Print(page)
	if *out != "" && *only == "" {
		if err := os.WriteFile(*out, []byte(page), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

func (b *bench) run(only string) error {
	for _, s := range []struct {
		name string
		f    func() error
	}{
		{"server", b.measureServer},
		{"exec", b.measureExec},
		{"trees", b.measureTrees},
		{"session", b.measureSession},
		{"modal", b.measureModal},
		{"many-trees", b.measureManyTrees},
		{"many-session", b.measureLarge},
	} {
		if only != "" && !strings.Contains(s.name, only) {
			continue
		}
		fmt.Fprintf(os.Stderr, "measuring %s\n", s.name)
		if err := s.f(); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func (b *bench) add(r row) {
	b.rows = append(b.rows, r)
	fmt.Fprintf(os.Stderr, "  %-52s %s\n", r.what, r.cells())
}

func (r row) cells() string {
	if r.text != "" {
		return r.text
	}
	ratio := "–"
	if r.base > 0 {
		ratio = fmt.Sprintf("%.1f×", float64(r.here)/float64(r.base))
	}
	base := "–"
	if r.base > 0 {
		base = short(r.base)
	}
	return fmt.Sprintf("%s | %s | %s", base, short(r.here), ratio)
}

func (b *bench) page() string {
	var s strings.Builder
	s.WriteString("# Benchmarks\n\nMade by `make bench`: both sides of each row in one run, medians. Ratios travel between\nmachines, absolute times do not.\n\n")
	fmt.Fprintf(&s, "%d cores, %s/%s, %s; files on %s (TMPDIR chooses).\n\n", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), b.fs)
	s.WriteString("| what | floor is | floor | here | ratio | goal |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, r := range b.rows {
		fmt.Fprintf(&s, "| %s | %s | %s | %s |\n", r.what, r.floor, r.cells(), r.goal)
	}
	s.WriteString(notes)
	return s.String()
}

const notes = "\n" +
	"The open is spent on bytes, not on waiting: each file is read, hashed and deflated once on the\n" +
	"host, and inflated and hashed once in the sandbox, by the agent, which writes the files and the\n" +
	"index of the pack. A warm open deflates only what changed since an earlier one: the packs of that\n" +
	"are linked into the new store. Both sides share this machine's cores. A small request costs waking\n" +
	"a thread in each of two processes, as the floor does. The clients that measure it and the output\n" +
	"only count frames, and still take their part of the cores.\n"

// fileSystem names the kind that a folder lies on, as stat(1) does.
func fileSystem(dir string) string {
	out, err := exec.Command("stat", "-f", "-c", "%T", dir).Output()
	if err != nil {
		return "an unknown file system"
	}
	return strings.TrimSpace(string(out))
}

func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%.0f µs", float64(d)/float64(time.Microsecond))
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// median runs f n times, after one run that does not count, and gives the middle time.
func median(n int, f func() error) (time.Duration, error) {
	if err := f(); err != nil {
		return 0, err
	}
	times := make([]time.Duration, n)
	for i := range times {
		start := time.Now()
		if err := f(); err != nil {
			return 0, err
		}
		times[i] = time.Since(start)
	}
	slices.Sort(times)
	return times[n/2], nil
}
