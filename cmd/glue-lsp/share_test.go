package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// withDependencies is a repository whose ignored folders hold what its commands need.
func withDependencies(t *testing.T) *person {
	t.Helper()
	p := newPerson(t)
	for name, content := range map[string]string{
		".gitignore": "node_modules/\nsecrets/\n.env\n", "packages/a/package.json": "{}\n",
		"node_modules/dep/index.js": "dep\n", "packages/a/node_modules/nested/index.js": "nested\n",
		".venv/.gitignore": "*\n", ".venv/pyvenv.cfg": "home = /usr/bin\n", ".venv/lib/python3.11/site-packages/one-1.dist-info/METADATA": "\n",
		"secrets/key": "SECRET\n", ".env": "SECRET\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(p.repo, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		p.write(name, content)
	}
	p.host(p.repo, "git", "add", "-A")
	p.host(p.repo, "git", "-c", "user.name=P", "-c", "user.email=p@example.com", "commit", "-qm", "second")
	return p
}

func TestF30_IgnoredDependenciesAreThereAndNoPartOfTheTree(t *testing.T) {
	for _, isolation := range []string{"bubblewrap", "landlock"} {
		t.Run(isolation, func(t *testing.T) {
			p := withDependencies(t)
			p.env = []string{"GLUE_LOCAL_ISOLATION=" + isolation}
			out, errs := p.does(0, "run", "--apply=yes", "--", "sh", "-c",
				`cat node_modules/dep/index.js packages/a/node_modules/nested/index.js; ls -d .venv; ls secrets .env 2>/dev/null; git status --porcelain
				echo changed > node_modules/dep/index.js; echo x > packages/a/node_modules/new`)
			if out != "dep\nnested\n.venv\n" {
				t.Errorf("inside there is %q", out)
			}
			if p.read("node_modules/dep/index.js") != "dep\n" || strings.Contains(errs, "node_modules") {
				t.Errorf("what it changed in them came back: %s", errs)
			}
			if left, _ := os.ReadDir(filepath.Join(p.home, "trees")); len(left) > 0 {
				t.Errorf("trees are left: %v", left)
			}
		})
	}
}

func TestF30_AnInstallInsideIsSaidToStayInside(t *testing.T) {
	p := withDependencies(t)
	_, errs := p.does(0, "run", "--apply=yes", "--", "sh", "-c", "touch node_modules/.package-lock.json; mkdir .venv/lib/python3.11/site-packages/two-2.dist-info")
	for _, dir := range []string{"node_modules", ".venv"} {
		if !strings.Contains(errs, dir+" was changed in the sandbox and does not come back") {
			t.Errorf("nothing is said of %s: %s", dir, errs)
		}
	}
	if strings.Contains(errs, "packages/a/node_modules") {
		t.Errorf("more is said: %s", errs)
	}
}

func TestF30_AnEmptyListLendsNothing(t *testing.T) {
	p := withDependencies(t)
	if err := os.MkdirAll(p.home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.home, "config.yaml"), []byte("share: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _ := p.does(0, "run", "--apply=no", "--", "sh", "-c", "ls -d node_modules .venv 2>/dev/null; true"); out != "" {
		t.Errorf("inside there is %q", out)
	}
}

func TestF30_SetupRunsForACommandLineToo(t *testing.T) {
	p := withDependencies(t)
	if err := os.MkdirAll(p.home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.home, "config.yaml"), []byte("setup:\n  - echo made > node_modules/made\n  - echo no such thing >&2; exit 4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs := p.does(0, "run", "--apply=no", "--", "cat", "node_modules/made")
	if out != "made\n" || !strings.Contains(errs, "exit status 4: no such thing") {
		t.Errorf("got %q and %s", out, errs)
	}
}

func TestF30_DoctorTellsWhatASandboxOnThisFolderWouldHave(t *testing.T) {
	p := withDependencies(t)
	outside := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.MkdirAll(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(p.repo, "node_modules", "linked")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("dep", filepath.Join(p.repo, "node_modules", "inner")); err != nil {
		t.Fatal(err)
	}
	out, _ := p.does(0, "doctor", "--json", "--runtime", "local")
	for _, want := range []string{"node_modules: lent", "packages/a/node_modules: lent", ".venv: lent", "1 lead to what a sandbox does not have: node_modules/linked", `"name": "git"`} {
		if !strings.Contains(out, want) {
			t.Errorf("doctor does not say %q:\n%s", want, out)
		}
	}
}
