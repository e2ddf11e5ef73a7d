// Package plain tests the pages on editors that have no extension of ours: each takes the
// configuration out of its page as it is written there, starts the real editor in a
// terminal, and does the main job with keys, by code actions and commands alone. Start at
// mainjob_test.go; an editor's keys are in the file of its name.
package plain

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"glue-lsp/internal/editortest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		if err := os.RemoveAll(built.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

var built struct {
	sync.Once
	dir string
	err error
}

// serverFolder gives a folder with the program glue-lsp, to be put on PATH. It is built
// from the sources as they are, unless GLUE_TEST_SERVER names one that is there already.
func serverFolder(t *testing.T) string {
	t.Helper()
	if named := os.Getenv("GLUE_TEST_SERVER"); named != "" {
		if _, err := os.Stat(named); err != nil || filepath.Base(named) != "glue-lsp" {
			t.Fatalf("GLUE_TEST_SERVER should be the path of a program glue-lsp, and is %s: %v", named, err)
		}
		return filepath.Dir(named)
	}
	built.Do(func() {
		editortest.DependOnSources(t, filepath.Join("..", ".."), "docs/editors")
		if built.dir, built.err = os.MkdirTemp("", "glue-plain-"); built.err != nil {
			return
		}
		build := exec.Command("scripts/build", filepath.Join(built.dir, "glue-lsp"), "test")
		build.Dir = filepath.Join("..", "..")
		if out, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build glue-lsp: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}

// editorProgram gives the program of an editor that scripts/install-editors installed.
func editorProgram(t *testing.T, name, program string) string {
	t.Helper()
	dir := os.Getenv("GLUE_TEST_EDITORS")
	if dir == "" {
		var err error
		if dir, err = filepath.Abs("../../.tools/editors"); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, name, "bin", program)
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("the editor %s is not installed: run scripts/install-editors %s (%v)", name, dir, err)
	}
	return file
}
