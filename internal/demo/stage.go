package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// stage stands in for a test where the fake editor wants one: it prints, and ends the
// program at the first failure.
type stage struct {
	testing.TB // only for the methods that the fake editor does not use
	work       string
	cleanups   []func()
	ctx        context.Context
	cancel     context.CancelFunc
	step       int
}

func newStage(work string) *stage {
	s := &stage{work: work}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

func (s *stage) end() {
	s.cancel()
	for i := len(s.cleanups) - 1; i >= 0; i-- {
		s.cleanups[i]()
	}
	s.cleanups = nil
	if err := os.RemoveAll(s.work); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func (s *stage) title(text string) {
	s.step++
	fmt.Printf("\n%d. %s\n", s.step, text)
}

func (s *stage) say(format string, args ...any) {
	for line := range strings.Lines(fmt.Sprintf(format, args...)) {
		fmt.Print("   ", strings.TrimRight(line, "\n"), "\n")
	}
}

func (s *stage) check(ok bool, format string, args ...any) {
	if !ok {
		s.Fatalf("not so: "+format, args...)
	}
}

// run runs a program of the host and gives its output.
func (s *stage) run(name string, args ...string) string {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func (s *stage) Helper()                           {}
func (s *stage) Name() string                      { return "demo" }
func (s *stage) Failed() bool                      { return false }
func (s *stage) Context() context.Context          { return s.ctx }
func (s *stage) Cleanup(f func())                  { s.cleanups = append(s.cleanups, f) }
func (s *stage) Log(args ...any)                   { fmt.Fprintln(os.Stderr, args...) }
func (s *stage) Logf(format string, args ...any)   { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (s *stage) Error(args ...any)                 { s.Fatal(args...) }
func (s *stage) Errorf(format string, args ...any) { s.Fatalf(format, args...) }
func (s *stage) Fatal(args ...any)                 { s.Fatalf("%s", fmt.Sprint(args...)) }
func (s *stage) Fatalf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "\nThe demo failed: "+format+"\n", args...)
	s.end()
	os.Exit(1)
}

func (s *stage) TempDir() string {
	dir, err := os.MkdirTemp(s.work, "tmp-")
	if err != nil {
		s.Fatal(err)
	}
	return dir
}
