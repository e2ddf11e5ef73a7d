package local

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/sandbox"
)

func TestF30_PrivateModulesOfTheMachineAreUsedWithoutAnyProxy(t *testing.T) {
	goTool(t)
	for _, isolation := range isolations {
		for how, env := range map[string][]string{
			"variable":       {"GOPRIVATE=example.com/only/*"},
			"other variable": {"GONOPROXY=example.com/*", "GONOSUMDB=example.com"},
			"file":           nil,
		} {
			t.Run(isolation+"/"+how, func(t *testing.T) {
				home, environ := userHome(t, nil)
				onlyHere(t, home)
				if env == nil {
					put(t, filepath.Join(home, ".config", "go", "env"), "GOPRIVATE=example.com/only\n")
				}
				// A proxy that would serve it shows that go asks none.
				environ = append(append(environ, env...), "PATH="+os.Getenv("PATH"), "GOPROXY=http://127.0.0.1:1", "GOTOOLCHAIN=local", "GOVCS=*:off")
				caches, before := t.TempDir(), listing(t, filepath.Join(home, "go"))
				for range 2 { // what the first left does not confuse the next
					box := open(t, Options{Isolation: isolation, Environ: environ}, func(s *sandbox.Spec) { s.LendCaches, s.CacheDir = true, caches })
					tree := box.tree(t)
					put(t, filepath.Join(tree, "go.mod"), "module m\n\ngo 1.21\n\nrequire example.com/only/Here v1.0.0\n")
					put(t, filepath.Join(tree, "m.go"), "package m\n\nimport _ \"example.com/only/Here\"\n")
					out, errs, status := run(t, box, sandbox.ExecRequest{
						Command: `go mod tidy && go build ./... && cat "$(go list -m -f '{{.Dir}}' example.com/only/Here)/here.go" && go env GONOPROXY`,
					})
					if status != 0 || !strings.Contains(out, "from the machine") || !strings.Contains(out, "example.com") {
						t.Fatalf("status %d: %s%s", status, out, errs)
					}
				}
				if diff := cmp.Diff(before, listing(t, filepath.Join(home, "go"))); diff != "" {
					t.Errorf("the machine's modules changed:\n%s", diff)
				}
			})
		}
	}
}

func TestX10_SettingsOfGoInAFileCountInside(t *testing.T) {
	home := t.TempDir()
	put(t, filepath.Join(home, ".config", "go", "env"), strings.Join([]string{
		"GOPRIVATE=corp.example", "GONOSUMDB=corp.example", "GOSUMDB=https://me:TOKEN@sum.example", "GOTOOLCHAIN=local", "GOINSECURE=corp.example",
		"GOFLAGS=-mod=mod", "GOAUTH=TOKEN", "CC=TOKEN",
	}, "\n"))
	want := []string{
		"GOPRIVATE=corp.example", "GONOSUMDB=corp.example", "GOINSECURE=corp.example", "GOTOOLCHAIN=go1.2.3", "GOFLAGS=-mod=mod -modcacherw",
	}
	if diff := cmp.Diff(want, goVariables([]string{"HOME=" + home, "GOTOOLCHAIN=go1.2.3"}, "")); diff != "" {
		t.Error(diff)
	}
	other := t.TempDir()
	put(t, filepath.Join(other, "go", "env"), "GOPRIVATE=other.example\n")
	for name, env := range map[string]string{"GOENV": "GOENV=" + filepath.Join(other, "go", "env"), "XDG_CONFIG_HOME": "XDG_CONFIG_HOME=" + other} {
		if got := goVariables([]string{"HOME=" + home, env}, ""); !slices.Contains(got, "GOPRIVATE=other.example") {
			t.Errorf("with %s: %q", name, got)
		}
	}
}

func TestPrivateModulesAreThoseThatAPatternNames(t *testing.T) {
	dir := t.TempDir()
	for _, module := range []string{"git.corp.example/a/b", "github.com/!me/x", "github.com/!me/x/v2", "github.com/!me/xy", "github.com/other/z"} {
		put(t, filepath.Join(dir, module, "@v", "v1.0.0.zip"), "zip")
		put(t, filepath.Join(dir, module, "@v", "v1.0.0.lock"), "")
		put(t, filepath.Join(dir, module, "@v", "list"), "")
	}
	a, x, x2, xy := "git.corp.example/a/b/@v/v1.0.0.zip", "github.com/!me/x/@v/v1.0.0.zip", "github.com/!me/x/v2/@v/v1.0.0.zip", "github.com/!me/xy/@v/v1.0.0.zip"
	for _, tt := range []struct {
		name, pattern string
		want          []string
	}{
		{"GOPRIVATE", "*.corp.example", []string{a}},
		{"GOPRIVATE", "github.com/Me/x", []string{x, x2}},
		{"GOPRIVATE", "github.com/Me/*, github.com/Me/x/", []string{x, x2, xy}},
		{"GONOPROXY", "*.corp.example/a,none", []string{a}},
		{"GOPRIVATE", "", nil},
		{"GOPRIVATE", "[,../..,/,none", nil},
		{"GONOSUMDB", "*", nil},
	} {
		got := privateModules(dir, goSettings([]string{"GOENV=off", tt.name + "=" + tt.pattern}))
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s=%s: %s", tt.name, tt.pattern, diff)
		}
	}
	both := goSettings([]string{"GOENV=off", "GOPRIVATE=*", "GONOPROXY=none"})
	if got := privateModules(dir, both); got != nil {
		t.Errorf("GONOPROXY=none leaves %q", got)
	}
}
