package local

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/sandbox"
)

// goTool names the missing tool instead of passing without it.
func goTool(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Fatal("go is not on the PATH; this test needs it")
	}
}

// onlyHere lays a module that exists in no proxy but the machine's own download cache.
func onlyHere(t *testing.T, home string) {
	t.Helper()
	mods := filepath.Join(home, "go", "pkg", "mod", "cache", "download", "example.com", "only", "!here", "@v")
	put(t, filepath.Join(mods, "list"), "v1.0.0\n")
	put(t, filepath.Join(mods, "v1.0.0.info"), `{"Version":"v1.0.0"}`)
	put(t, filepath.Join(mods, "v1.0.0.mod"), "module example.com/only/Here\n")
	zipModule(t, filepath.Join(mods, "v1.0.0.zip"), "example.com/only/Here@v1.0.0/", map[string]string{
		"go.mod": "module example.com/only/Here\n", "here.go": "package here\n\nconst Word = \"from the machine\"\n",
	})
}

func TestF30_GoModulesOfTheMachineAreUsedAndTheirCacheStaysPrivate(t *testing.T) {
	goTool(t)
	home, environ := userHome(t, nil)
	onlyHere(t, home)
	environ = append(environ, "PATH="+os.Getenv("PATH"), "GOPROXY=off", "GOSUMDB=off", "GOTOOLCHAIN=local")
	box := open(t, Options{Isolation: Bubblewrap, Environ: environ}, func(s *sandbox.Spec) { s.Network, s.LendCaches = "none", true })
	tree := box.tree(t)
	put(t, filepath.Join(tree, "go.mod"), "module m\n\ngo 1.21\n\nrequire example.com/only/Here v1.0.0\n")
	put(t, filepath.Join(tree, "m.go"), "package m\n\nimport _ \"example.com/only/Here\"\n")
	out, errs, status := run(t, box, sandbox.ExecRequest{Command: `go mod tidy && cat "$(go list -m -f '{{.Dir}}' example.com/only/Here)/here.go"`})
	if status != 0 || !strings.Contains(out, "from the machine") {
		t.Fatalf("status %d: %s%s", status, out, errs)
	}
	// Everything that it wrote can be removed by whoever removes the session.
	if err := os.RemoveAll(filepath.Dir(tree)); err != nil {
		t.Error(err)
	}
}

func TestF30_CachesLastFromOneSandboxToTheNext(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			caches := t.TempDir()
			shared := func(s *sandbox.Spec) { s.CacheDir = caches }
			first := open(t, Options{Isolation: isolation}, shared)
			if out, errs, status := run(t, first, sandbox.ExecRequest{Command: `mkdir -p ~/.cache/tool && echo kept > ~/.cache/tool/x && echo "$GOMODCACHE" > ~/.cache/tool/y`}); status != 0 {
				t.Fatalf("status %d: %s%s", status, out, errs)
			}
			if err := first.Close(testContext(t)); err != nil {
				t.Fatal(err)
			}
			next := open(t, Options{Isolation: isolation}, shared)
			if out, _, _ := run(t, next, sandbox.ExecRequest{Command: `cat ~/.cache/tool/x; grep -c /.cache/go-mod ~/.cache/tool/y`}); out != "kept\n1\n" {
				t.Errorf("the next sandbox finds %q", out)
			}
			other := open(t, Options{Isolation: isolation}, nil)
			if out, _, _ := run(t, other, sandbox.ExecRequest{Command: `ls ~/.cache/tool 2>&1`}); strings.Contains(out, "x\n") {
				t.Errorf("a sandbox without that folder finds %q", out)
			}
		})
	}
}

func TestX10_TheModuleProxyOfTheMachineIsReadAsData(t *testing.T) {
	home, goroot := t.TempDir(), t.TempDir()
	put(t, filepath.Join(goroot, "bin", "go"), "not a program")
	path := "PATH=" + filepath.Join(goroot, "bin")
	if got := goProxy([]string{path, "HOME=" + home}); got != "direct" {
		t.Errorf("with nothing said: %q", got)
	}
	put(t, filepath.Join(goroot, "go.env"), "GOSUMDB=off\nGOPROXY=https://mirror.example,direct\n")
	if got := goProxy([]string{path, "HOME=" + home}); got != "https://mirror.example,direct" {
		t.Errorf("from go.env: %q", got)
	}
	put(t, filepath.Join(home, ".config", "go", "env"), "GOPROXY=https://mine.example\n")
	if got := goProxy([]string{path, "HOME=" + home}); got != "https://mine.example" {
		t.Errorf("from the user's file: %q", got)
	}
	if got := goProxy([]string{path, "HOME=" + home, "GOENV=off"}); got != "https://mirror.example,direct" {
		t.Errorf("without the user's file: %q", got)
	}
	env := append([]string{path, "HOME=" + home}, "GOPROXY=https://me:token@proxy.example")
	if got := goVariables(env, insideMods); strings.Contains(strings.Join(got, " "), "token") {
		t.Errorf("a token goes in: %q", got)
	}
}

// tree is the sandbox's workspace on the host.
func (s *running) tree(t testing.TB) string {
	t.Helper()
	return filepath.Join(filepath.Dir(filepath.Dir(s.state.Socket)), "w")
}

func TestToolsAreTheSameInsideAsOutside(t *testing.T) {
	for _, isolation := range isolations {
		r := New(Options{Isolation: isolation})
		for _, c := range r.Checks(testContext(t), sandbox.Spec{}) {
			if c.Name == "" || c.Status == "fail" {
				t.Errorf("%s: %+v", isolation, c)
			}
			for _, tool := range comparedTools() {
				if c.Name == tool.name && c.Status != "ok" {
					t.Errorf("%s: %+v", isolation, c)
				}
			}
		}
	}
}

func TestF30_DoctorSaysWhatDiffers(t *testing.T) {
	old, newer, elsewhere := found{"/usr/bin/node", "v1", ""}, found{"/usr/bin/node", "v2", ""}, found{"/opt/bin/node", "v1", ""}
	for _, tt := range []struct {
		name            string
		outside, inside found
		want            sandbox.Check
	}{
		{"node", old, old, sandbox.Check{Name: "node", Status: "ok", Detail: "v1 (/usr/bin/node)"}},
		{"node", found{}, found{}, sandbox.Check{Name: "node", Status: "ok", Detail: "neither here nor in the sandbox"}},
		{"git", found{}, found{}, sandbox.Check{Name: "git", Status: "fail", Detail: "neither here nor in the sandbox", Hint: "install git (2.38 or later)"}},
		{"node", found{}, old, sandbox.Check{Name: "node", Status: "ok", Detail: "v1 (/usr/bin/node) in the sandbox, not here"}},
		{"node", elsewhere, old, sandbox.Check{Name: "node", Status: "ok", Detail: "v1 (/usr/bin/node), here /opt/bin/node"}},
		{"node", found{path: "/w/.venv/bin/node"}, old, sandbox.Check{Name: "node", Status: "ok", Detail: "v1 (/usr/bin/node)"}},
		{"node", old, found{}, sandbox.Check{
			Name: "node", Status: "warn", Detail: "v1 (/usr/bin/node) here, not in the sandbox",
			Hint: "it is probably installed in a folder that sandboxes are not shown; a folder that PATH names is shown",
		}},
		{"node", old, found{path: "/usr/bin/node", fails: "exit status 127: no library"}, sandbox.Check{
			Name: "node", Status: "warn", Detail: "v1 (/usr/bin/node) works here, and not in the sandbox: exit status 127: no library",
			Hint: "what it needs is probably in a folder that sandboxes are not shown",
		}},
		{"node", old, newer, sandbox.Check{
			Name: "node", Status: "warn", Detail: "v2 (/usr/bin/node) in the sandbox, but v1 (/usr/bin/node) here",
			Hint: "commands may behave differently; look at PATH in your shell's profile",
		}},
	} {
		if diff := cmp.Diff(tt.want, compare(tt.name, tt.outside, tt.inside)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestDoctorNamesAMissingBubblewrapAndWhatFollows(t *testing.T) {
	checks := New(Options{Environ: []string{"PATH=" + t.TempDir(), "HOME=" + t.TempDir()}}).Checks(testContext(t), sandbox.Spec{})
	find := func(name string) sandbox.Check {
		for _, c := range checks {
			if c.Name == name {
				return c
			}
		}
		t.Fatalf("no check %q in %+v", name, checks)
		return sandbox.Check{}
	}
	if c := find("bubblewrap"); c.Status != "warn" || c.Hint != installHint {
		t.Errorf("got %+v", c)
	}
	if c := find("landlock"); c.Status != "ok" || !strings.HasPrefix(c.Detail, "version ") {
		t.Errorf("got %+v", c)
	}
	if c := find("local isolation"); c.Status != "ok" || !strings.HasPrefix(c.Detail, "landlock: bubblewrap is not installed") {
		t.Errorf("got %+v", c)
	}
	if c := find("git"); c.Status != "fail" {
		t.Errorf("got %+v", c)
	}
	if c := find("shell in the sandbox"); c.Status != "fail" || !strings.Contains(c.Detail, "neither bash nor sh") {
		t.Errorf("got %+v", c)
	}
}

// zipModule writes a module's zip as "Module zip files" in go.dev/ref/mod says.
func zipModule(t *testing.T, path, prefix string, files map[string]string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := zip.NewWriter(f)
	for name, content := range files {
		e, err := w.Create(prefix + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
