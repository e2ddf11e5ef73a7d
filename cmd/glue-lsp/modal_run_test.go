package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glue-lsp/internal/modaltest"
)

// modalPerson is somebody whose sandboxes run in Modal, by nothing but the environment.
func modalPerson(t *testing.T) (*person, *modaltest.Cloud) {
	t.Helper()
	cloud := modaltest.Smoke(t)
	p := newPerson(t)
	p.env = append(cloud.Environ(), "GLUE_RUNTIME=modal", "MODAL_PYTHON="+modaltest.Python(t))
	return p, cloud
}

func TestRunInModalPassesOutputStatusAndChangesOn(t *testing.T) {
	p, cloud := modalPerson(t)
	p.write("dirty.txt", "not committed\n")
	out, errs := p.does(7, "run", "--apply=yes", "--", "sh", "-c", "uname -n; pwd; cat dirty.txt; git status --short; echo oops >&2; printf 'a\\0b' > new.bin; rm a.txt; exit 7")
	if out != "modal\n/workspace\nnot committed\n" {
		t.Errorf("standard output: %q", out)
	}
	p.sees(errs, "oops\n", "A new.bin", "D a.txt", "Applied.")
	if got := p.read("new.bin"); got != "a\x00b" {
		t.Errorf("new.bin: %q", got)
	}
	if _, err := os.Stat(filepath.Join(p.repo, "a.txt")); err == nil {
		t.Error("a.txt is still there")
	}
	for _, s := range cloud.Stats(t).Sandboxes {
		if s.Alive && s.App == "glue" {
			t.Errorf("sandbox %s goes on", s.ID)
		}
	}
}

func TestRunInModalStartsInTheFolderItWasCalledFrom(t *testing.T) {
	p, _ := modalPerson(t)
	if err := os.MkdirAll(filepath.Join(p.repo, "sub", "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.write("sub/dir/f", "x\n")
	cmd := p.glue("run", "--apply=no", "--", "sh", "-c", "pwd; ls")
	cmd.Dir = filepath.Join(p.repo, "sub", "dir")
	out, err := cmd.Output()
	if err != nil || string(out) != "/workspace/sub/dir\nf\n" {
		t.Errorf("got %q %v", out, err)
	}
}

func TestF18_RunInModalWithoutPythonSaysWhatToDo(t *testing.T) {
	p, _ := modalPerson(t)
	p.env = append(p.env, "MODAL_PYTHON=/no/such/python")
	_, errs := p.does(exitFailure, "run", "--", "true")
	p.sees(errs, "/no/such/python")
	if strings.Contains(errs, "goroutine") {
		t.Errorf("it crashed: %s", errs)
	}
}
