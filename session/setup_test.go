package session

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
	"glue-lsp/workspace"
)

// setUps reads how often a session's setup ran, inside and in ignored space.
func setUps(f *fixture, s *Session) string {
	f.Helper()
	return string(f.run(s, "cat .setup-log 2>/dev/null; true").Stdout)
}

func setupFixture(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t)
	f.write(".gitignore", ".setup-log\nnode_modules/\n")
	f.write("sub/package-lock.json", "1\n")
	return f
}

func TestF30_SetupRunsBeforeTheFirstCommandAndAgainWhenALockFileChanged(t *testing.T) {
	f := setupFixture(t)
	s := f.open(OpenOptions{Setup: []string{"cat sub/package-lock.json >> .setup-log", "echo second >> .setup-log"}})
	if got := setUps(f, s); got != "1\nsecond\n" {
		t.Fatalf("before the first command: %q", got)
	}
	f.write("a.txt", "edited\n")
	if got := setUps(f, s); got != "1\nsecond\n" {
		t.Errorf("after another edit: %q", got)
	}
	f.write("sub/package-lock.json", "2\n")
	if got := setUps(f, s); got != "1\nsecond\n2\nsecond\n" {
		t.Errorf("after a lock file changed: %q", got)
	}
	// What a command changed it had in its own hands.
	f.run(s, "echo 3 > sub/package-lock.json")
	if _, err := s.Return(context.Background(), ReturnOptions{Apply: true, Mode: workspace.ModeDisk, Confirm: []string{"sub/package-lock.json"}}, nil); err != nil {
		t.Fatal(err)
	}
	if got := setUps(f, s); got != "1\nsecond\n2\nsecond\n" || f.read("sub/package-lock.json") != "3\n" {
		t.Errorf("after a command changed it: %q, lock file %q", got, f.read("sub/package-lock.json"))
	}
}

func TestF30_CommandsThatStartTogetherWaitForOneSetup(t *testing.T) {
	f := setupFixture(t)
	s := f.open(OpenOptions{Setup: []string{"sleep 0.2; echo ran >> .setup-log"}})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			e, err := s.Start(context.Background(), ExecOptions{Command: "cat .setup-log"})
			if err != nil {
				t.Error(err)
				return
			}
			if out, err := e.Wait(context.Background()); err != nil || string(out.Stdout) != "ran\n" {
				t.Errorf("got %q, %v", out.Stdout, err)
			}
		})
	}
	wg.Wait()
}

func TestF30_AFailingSetupIsSaidAndStopsNoCommand(t *testing.T) {
	f := setupFixture(t)
	s := f.open(OpenOptions{Setup: []string{"printf 'first\\n\\033[1mno such\\npackage\\n' >&2; echo x >> .setup-log; exit 3", "echo never >> .setup-log"}})
	out := f.run(s, "echo fine")
	if string(out.Stdout) != "fine\n" || !strings.Contains(out.SetupFailure, "exit status 3: first | [1mno such | package") {
		t.Errorf("got %q, %q", out.Stdout, out.SetupFailure)
	}
	warnings := strings.Join(s.Info().Warnings, "\n")
	if !strings.Contains(warnings, out.SetupFailure) {
		t.Errorf("the warnings are %q", warnings)
	}
	_, log, _ := strings.Cut(strings.TrimSuffix(out.SetupFailure, ")"), "all of its output is in ")
	if b, err := os.ReadFile(log); err != nil || !strings.HasPrefix(string(b), "first\n") || filepath.Dir(log) != filepath.Join(s.Dir(), "exec") {
		t.Errorf("its log %s holds %q, %v", log, b, err)
	}
	// It is not tried again with every command.
	if again := f.run(s, "cat .setup-log"); string(again.Stdout) != "x\n" || again.SetupFailure != "" {
		t.Errorf("got %q, %q", again.Stdout, again.SetupFailure)
	}
}

func TestF30_ACancelledSetupStartsNoCommandAndRunsAgain(t *testing.T) {
	f := setupFixture(t)
	s := f.open(OpenOptions{Setup: []string{"echo begun >> .setup-log; test -e go || sleep 60"}})
	ctx, cancel := context.WithCancel(context.Background())
	started := make(chan error, 1)
	go func() {
		_, err := s.Start(ctx, ExecOptions{Command: "touch ran"})
		started <- err
	}()
	eventually(t, func() bool {
		log, _ := os.ReadFile(filepath.Join(f.home, "trees", s.ID(), "w", ".setup-log"))
		return string(log) == "begun\n"
	})
	cancel()
	if err := <-started; !isCanceled(err) {
		t.Fatalf("got %v", err)
	}
	f.write("go", "")
	if got := setUps(f, s); got != "begun\nbegun\n" {
		t.Errorf("got %q", got)
	}
	if out := f.run(s, "ls"); strings.Contains(string(out.Stdout), "ran") {
		t.Error("the command ran though it was cancelled")
	}
}

// eventually waits for what other processes do.
func eventually(t *testing.T, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); !is(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it never came")
		}
	}
}

func TestF30_WhatSetupChangesIsAChangeLikeAnyOther(t *testing.T) {
	f := setupFixture(t)
	s := f.open(OpenOptions{Setup: []string{"echo generated > generated.txt"}})
	f.run(s, "true")
	if _, err := s.Checkpoint(context.Background()); err != nil {
		t.Fatal(err)
	}
	d, err := s.Diff(context.Background(), "")
	if err != nil || len(d.Files) != 1 || d.Files[0].Path != "generated.txt" {
		t.Errorf("got %+v, %v", d.Files, err)
	}
}

func TestSetupKeysNameCommandsAndLockFiles(t *testing.T) {
	lock := []tree.Entry{{Path: "a/yarn.lock", Hash: "1"}, {Path: "b.txt", Hash: "2"}}
	same := []tree.Entry{{Path: "a/yarn.lock", Hash: "1"}, {Path: "b.txt", Hash: "3"}}
	other := []tree.Entry{{Path: "a/yarn.lock", Hash: "4"}}
	key := setupKey([]string{"x", "y"}, lock)
	if key != setupKey([]string{"x", "y"}, same) {
		t.Error("another file changes the key")
	}
	for name, k := range map[string]string{
		"a lock file": setupKey([]string{"x", "y"}, other), "a command": setupKey([]string{"x", "z"}, lock), "the commands' split": setupKey([]string{"x\n1 y"}, lock),
	} {
		if k == key {
			t.Errorf("%s does not change the key", name)
		}
	}
}

func TestLockFilesAreKnownByName(t *testing.T) {
	for name, want := range map[string]bool{
		"package-lock.json": true, "a/b/pnpm-lock.yaml": true, "requirements-dev.txt": true, "requirements.txt": true, "Cargo.lock": true, "go.sum": true,
		"package.json": false, "go.mod": false, "lock": false, "": false, "my-requirements.md": false,
	} {
		if isLockFile(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

func TestF30_FoldersAreLentByTheirLastNames(t *testing.T) {
	patterns := []string{"node_modules", "vendor/bundle", "*.egg-info", "/tmp/", "", "[", "target"}
	want := []string{"node_modules", "a/node_modules", "vendor/bundle", "x/vendor/bundle", "x.egg-info", "src/y.egg-info", "tmp", "target"}
	var got []string
	for _, dir := range append([]string{"vendor", "bundle", "node_modules2", "secrets", ".env", "a/b"}, want...) {
		if namesFolder(patterns, dir) {
			got = append(got, dir)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
