package modaltest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// PythonVariable names another interpreter for tests than the one that make installs.
const PythonVariable = "GLUE_TEST_PYTHON"

// Python gives an interpreter that has Modal's SDK.
func Python(t testing.TB) string {
	t.Helper()
	if named := os.Getenv(PythonVariable); named != "" {
		if _, err := os.Stat(named); err != nil {
			t.Fatalf("%s: %v", PythonVariable, err)
		}
		return named
	}
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	python := filepath.Join(root, ".tools", "python", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		t.Fatalf("Python with Modal's SDK is not installed at %s: run make python, or set %s", python, PythonVariable)
	}
	return python
}

// moduleRoot is the folder of this module's sources.
func moduleRoot() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	root := filepath.Dir(filepath.Dir(filepath.Dir(file)))
	if !ok || !filepath.IsAbs(file) {
		// Built with -trimpath: tests run in their package's folder.
		dir, err := os.Getwd()
		if err != nil {
			return "", err
		}
		for root = dir; ; root = filepath.Dir(root) {
			if _, err := os.Stat(filepath.Join(root, "modalemu", "go.mod")); err == nil {
				return root, nil
			}
			if root == filepath.Dir(root) {
				return "", fmt.Errorf("%s is not in the sources of this module", dir)
			}
		}
	}
	return root, nil
}

// emulator gives the emulator's program, built from its sources as they are. Test
// processes that come at once build it once.
func emulator() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	program := filepath.Join(root, "bin", "modalemu")
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		return "", err
	}
	lock := flock.New(program + ".lock")
	if err := lock.Lock(); err != nil {
		return "", fmt.Errorf("wait for others that build the emulator of Modal: %w", err)
	}
	defer lock.Unlock() //nolint:errcheck // it ends with the process
	sources := filepath.Join(root, "modalemu")
	current, err := newerThanAll(program, sources)
	if err != nil || current {
		return program, err
	}
	if _, err := exec.LookPath("go"); err != nil {
		return "", fmt.Errorf("the emulator of Modal has to be built, and go is not installed: %w", err)
	}
	// One that runs keeps its file.
	made := program + ".new"
	build := exec.Command("go", "build", "-o", made, ".")
	build.Dir, build.Env = sources, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the emulator of Modal: %w\n%s", err, out)
	}
	return program, os.Rename(made, program)
}

// newerThanAll reports whether a file was written after every source in a folder.
func newerThanAll(file, dir string) (bool, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var newest time.Time
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		source, err := d.Info()
		if err == nil && source.ModTime().After(newest) {
			newest = source.ModTime()
		}
		return err
	})
	return info.ModTime().After(newest), err
}
