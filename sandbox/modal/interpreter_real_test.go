package modal

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glue-lsp/internal/modaltest"
)

// trap fills a folder with modules that a careless start of Python imports. Whichever is,
// leaves the file that it returns.
func trap(t *testing.T, dir string) (sprung string) {
	t.Helper()
	sprung = filepath.Join(t.TempDir(), "sprung")
	code := "open(" + pythonString(sprung) + ", 'a').write(__name__ + '\\n')\n"
	for _, name := range []string{"json", "modal", "site", "sitecustomize", "usercustomize", "importlib", "os", "sysconfig", "asyncio", "glue_sidecar", "typing"} {
		if err := os.WriteFile(filepath.Join(dir, name+".py"), []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ".python-version"), []byte("2.7.18\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return sprung
}

func pythonString(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

func TestX3_AskingAnInterpreterImportsNothingOfTheWorkspace(t *testing.T) {
	dir := t.TempDir()
	sprung := trap(t, dir)
	t.Chdir(dir)
	environ := append(os.Environ(), "PYTHONPATH="+dir, "PYTHONSTARTUP="+filepath.Join(dir, "json.py"), "PYTHONHOME="+dir, "PYTHONUSERBASE=.", "PYTHONINSPECT=1", "PYTHONPLATLIBDIR=.")

	// The trap works: Python started as anybody would is caught.
	careless := exec.Command(modaltest.Python(t), "-c", "import json")
	careless.Env = append(os.Environ(), "PYTHONPATH="+dir)
	_ = careless.Run()
	if _, err := os.Stat(sprung); err != nil {
		t.Fatalf("the trap does not work: %v", err)
	}
	if err := os.Remove(sprung); err != nil {
		t.Fatal(err)
	}

	got := find(t, Options{Python: modaltest.Python(t), Environ: environ, Avoid: []string{dir}})
	if got.sdk == "" {
		t.Errorf("got %+v", got)
	}
	if b, err := os.ReadFile(sprung); err == nil {
		t.Errorf("imported from the workspace: %s", b)
	}
}

func TestThePersonsOwnPackagesCountButNotInAVirtualEnvironment(t *testing.T) {
	python := modaltest.Python(t)
	home := t.TempDir()
	said, err := probe(within(t), python, []string{"HOME=" + home})
	if err != nil {
		t.Fatal(err)
	}
	if !said.Venv {
		t.Fatalf("%s is no virtual environment: %+v", python, said)
	}
	// The one that the environment was made from sees the person's packages.
	out, err := exec.Command(python, "-I", "-c", "import os, sys; print(os.path.realpath(sys.executable)); print('%d.%d' % sys.version_info[:2])").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(out))
	packages := filepath.Join(home, ".local", "lib", "python"+lines[1], "site-packages")
	for name, text := range map[string]string{
		"modal/__init__.py":               "raise SystemExit('it is looked at, and not imported')\n",
		"modal-1.99.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: modal\nVersion: 1.99.0\n",
	} {
		file := filepath.Join(packages, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	environ := []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	own := find(t, Options{Python: lines[0], Environ: environ})
	if own.sdk != "1.99.0" {
		t.Errorf("%s found modal %s, want the person's own 1.99.0", lines[0], own.sdk)
	}
	if venv := find(t, Options{Python: python, Environ: environ}); venv.sdk == "1.99.0" {
		t.Errorf("the virtual environment %s took the person's own package", python)
	}
	base := find(t, Options{Python: lines[0], Environ: slices.Concat([]string{"HOME=" + t.TempDir(), "PYTHONUSERBASE=" + filepath.Join(home, ".local")})})
	if base.sdk != "1.99.0" {
		t.Errorf("with PYTHONUSERBASE it found modal %s", base.sdk)
	}
}

func TestAnInterpreterGetsNoTokens(t *testing.T) {
	p := newPythons(t)
	p.script("python3", "#!/bin/sh\n/usr/bin/env > @/seen\nexit 1\n")
	o := p.options(p.dir)
	o.Environ = append(o.Environ, "MODAL_TOKEN_ID=ak-marked", "MODAL_TOKEN_SECRET=as-marked", "HTTPS_PROXY=http://proxy:1")
	refused(t, o)
	b, err := os.ReadFile(p.at("seen"))
	if err != nil {
		t.Fatal(err)
	}
	if seen := string(b); strings.Contains(seen, "marked") || !strings.Contains(seen, "HTTPS_PROXY") {
		t.Errorf("it was started with:\n%s", seen)
	}
}
