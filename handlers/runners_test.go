package handlers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"glue-lsp/config"
)

// words lets a real shell split a command.
func words(t interface {
	Helper()
	Fatal(...any)
}, command string,
) []string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `p() { for w in "$@"; do printf '%s\0' "$w"; done; }; p `+command).CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

func TestX11_NamesStayOneArgumentWhateverTheyHold(t *testing.T) {
	for _, name := range []string{
		"-rf.go", "--help", "a b", "a'b", `a"b`, "a\nb", "$(touch /tmp/x)", "`id`", "$HOME", "a;b", "a&b|c", "~", "*", "", "ä", "\xE4", "!x", "a\\b", "{file}",
	} {
		got := words(t, fill("x {file} {name} {text}", subject{file: "dir/" + name, name: name, text: name}))
		if diff := cmp.Diff([]string{"x", "./dir/" + name, name, name}, got); diff != "" {
			t.Errorf("%q: %s", name, diff)
		}
	}
	if testing.Short() {
		return
	}
	rapid.Check(t, func(t *rapid.T) {
		s := strings.ReplaceAll(string(rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "text")), "\x00", "")
		if got := words(t, "y"+quote(s)+" z"); len(got) != 2 || got[0] != "y"+s {
			t.Fatalf("%q became %q", s, got)
		}
	})
}

func TestTemplatesStandForThePartsOfAFile(t *testing.T) {
	got := fill("{file} {dir} {base} {stem} {name} {dotted} {exactly} {pattern} {other}", subject{file: "a/b.c.py", name: "T::x.y"})
	want := `./a/b.c.py ./a b.c.py b.c T::x.y T.x.y '^T::x\.y$' 'T::x\.y' {other}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for file, want := range map[string]string{"x.py": "./x.py . x.py", "/abs/-x.py": "/abs/-x.py /abs -x.py", "../up/x.py": "./../up/x.py ./../up x.py"} {
		if got := fill("{file} {dir} {base}", subject{file: file}); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
}

func TestTheUsersRunnersComeFirst(t *testing.T) {
	own := []config.Runner{
		{Language: "python", Files: "*_it.py", Run: "tox {file}", Test: "tox -k {name} {file}"},
		{Language: "haskell", Run: "runghc {file}"},
		{Run: "rm {file}"},
	}
	for _, x := range []struct{ language, file, want string }{
		{"python", "a_it.py", "tox {file}"},
		{"python", "a.py", python + "$py {file}"},
		{"haskell", "x.hs", "runghc {file}"},
		{"go", "x.go", "cd {dir} && go run ."},
		{"go", "x_test.go", "cd {dir} && go test ."},
		{"cobol", "x.cob", ""},
	} {
		r, ok := firstRunner(runners(own, x.language, x.file), runOf)
		if r.run != x.want || ok != (x.want != "") {
			t.Errorf("%s is run by %q, want %q", x.file, r.run, x.want)
		}
	}
}

func TestLanguagesAreFoundByIDNameAndInterpreter(t *testing.T) {
	for _, x := range []struct{ id, file, text, want string }{
		{"go", "x", "", "go"},
		{"typescriptreact", "x.tsx", "", "typescript"},
		{"sh", "x", "", "shellscript"},
		{"py", "x.py", "", "python"},
		{"make", "x", "", "makefile"},
		{"", "a/x.py", "", "python"},
		{"plaintext", "Makefile", "", "makefile"},
		{"", "x.mk", "", "makefile"},
		{"", "x.mjs", "", "javascript"},
		{"", "tool", "#!/usr/bin/env python3\n", "python"},
		{"", "tool", "#!/bin/sh -e\r\n", "shellscript"},
		{"", "tool", "#! /usr/bin/node\n", "javascript"},
		{"", "tool", "#!/usr/bin/env -S ruby -w\n", "ruby"},
		{"", "tool", "text", ""},
		{"haskell", "x.py", "", "haskell"},
		{"makefile-gmake", "x", "", "makefile"},
		{"python-base", "x", "", "python"},
		{"prog", "x.go", "", "go"},
	} {
		if got := languageOf(x.id, x.file, []byte(x.text)); got != x.want {
			t.Errorf("%+v: %q", x, got)
		}
	}
}

// TestPythonsTemplatesRunOneTest runs the real command: quoting and option syntax of the
// table are only as good as the programs say.
func TestPythonsTemplatesRunOneTest(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Fatalf("this test needs python3: %v", err)
	}
	dir := t.TempDir()
	src := "import unittest\nclass TestA(unittest.TestCase):\n    def test_one(self):\n        print('ran one')\n    def test_two(self):\n        print('ran two')\n"
	if err := os.MkdirAll(filepath.Join(dir, "sub dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "test_a.py"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	r, _ := firstRunner(runners(nil, "python", "test_a.py"), testOf)
	cmd := exec.Command("sh", "-c", fill(r.test, subject{file: "test_a.py", name: "TestA::test_one"})+" 2>&1")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "ran two") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestGosTemplatesRunOneTest(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"go.mod":          "module x\n\ngo 1.26\n",
		"a-dir/x_test.go": "package x\n\nimport \"testing\"\n\nfunc TestOne(t *testing.T) { println(\"ran one\") }\nfunc TestOneMore(t *testing.T) { println(\"ran more\") }\n",
	}
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, _ := firstRunner(runners(nil, "go", "x_test.go"), testOf)
	cmd := exec.Command("sh", "-c", fill(r.test, subject{file: "a-dir/x_test.go", name: "TestOne"}))
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "ran one") || strings.Contains(string(out), "ran more") {
		t.Errorf("%v\n%s", err, out)
	}
}
