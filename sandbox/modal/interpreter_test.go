package modal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glue-lsp/sandbox"
)

// pythons is a machine's set of interpreters and launchers, for the search alone.
type pythons struct {
	testing.TB
	dir string
}

func newPythons(t testing.TB) *pythons {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &pythons{TB: t, dir: dir}
}

// at is a path on that machine.
func (p *pythons) at(name string) string { return filepath.Join(p.dir, filepath.FromSlash(name)) }

// script writes an executable file. @ in its text is the machine's root.
func (p *pythons) script(name, text string) string {
	p.Helper()
	return p.write(name, strings.ReplaceAll(text, "@", p.dir), 0o755)
}

func (p *pythons) write(name, text string, mode os.FileMode) string {
	p.Helper()
	file := p.at(name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		p.Fatal(err)
	}
	return file
}

// python is an interpreter that answers what it is told, and counts how often in a file
// of its name with .runs after it.
func (p *pythons) python(name string, said pythonAnswer) string {
	p.Helper()
	file := p.at(name)
	if said.Executable == "" {
		said.Executable = file
	}
	b, err := json.Marshal(said)
	if err != nil {
		p.Fatal(err)
	}
	return p.script(name, fmt.Sprintf("#!/bin/sh\necho \"$1 $PWD\" >> '%s.runs'\necho noise\nprintf '%%s\\n' '%s%s'\n", file, answerMark, b))
}

func (p *pythons) runs(name string) int {
	p.Helper()
	b, err := os.ReadFile(p.at(name) + ".runs")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.Fatal(err)
	}
	return strings.Count(string(b), "\n")
}

func (p *pythons) link(name, to string) string {
	p.Helper()
	file := p.at(name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		p.Fatal(err)
	}
	if err := os.Symlink(to, file); err != nil {
		p.Fatal(err)
	}
	return file
}

// options looks along folders of this machine only.
func (p *pythons) options(path ...string) Options {
	for i, dir := range path {
		if !filepath.IsAbs(dir) && !strings.HasPrefix(dir, ".") {
			path[i] = p.at(dir)
		}
	}
	return Options{Environ: []string{"PATH=" + strings.Join(path, ":"), "HOME=" + p.at("home")}}
}

var suits = pythonAnswer{Version: []int{3, 12, 1}, Modal: "1.6.4", Importable: true, Pip: true}

func find(t testing.TB, o Options) interpreter {
	t.Helper()
	got, err := findInterpreter(context.Background(), o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return got
}

// refused is the error of a search that must fail.
func refused(t testing.TB, o Options) *sandbox.Error {
	t.Helper()
	got, err := findInterpreter(context.Background(), o)
	var e *sandbox.Error
	if !errors.As(err, &e) || e.Kind != sandbox.RuntimeUnavailable {
		t.Fatalf("got %+v and %v, want an error of kind %s", got, err, sandbox.RuntimeUnavailable)
	}
	return e
}

func TestTheModalCommandsInterpreterIsReadFromItsLauncher(t *testing.T) {
	for _, tc := range []struct{ name, launcher, want string }{
		{"plain", "#!@/env/bin/python3\nimport sys\n", "env/bin/python3"},
		{"a space before and arguments after", "#! @/env/bin/python3.12 -I -s\n", "env/bin/python3.12"},
		{"a tab before the argument", "#!@/env/bin/python\t-E\n", "env/bin/python"},
		{"pipx", "#!@/env/bin/python -E\n# -*- coding: utf-8 -*-\n", "env/bin/python"},
		{"line ends of Windows", "#!@/env/bin/python3\r\nimport sys\r\n", "env/bin/python3"},
		{"a version with a letter", "#!@/env/bin/python3.13t\n", "env/bin/python3.13t"},
		{"pypy", "#!@/env/bin/pypy3\n", "env/bin/pypy3"},
		{"a path with a space, which only some tools write", "#!@/with space/bin/python3 -I\n", ""},
		{"a path with a space, alone", "#!@/with space/bin/python3\n", "with space/bin/python3"},
		{"env", "#!/usr/bin/env python3\n", "path/python3"},
		{"env with a version", "#!/usr/bin/env python3.12\n", "path/python3.12"},
		{"env -S", "#!/usr/bin/env -S python3 -I -s\n", "path/python3"},
		{"env -S in one word", "#!/usr/bin/env -Spython3 -I\n", "path/python3"},
		{"env --split-string", "#!/usr/bin/env --split-string=python3 -I\n", "path/python3"},
		{"env with variables", "#!/usr/bin/env -S -i -u HOME PYTHONUTF8=1 python3\n", "path/python3"},
		{"env with a path", "#!/usr/bin/env @/env/bin/python3\n", "env/bin/python3"},
		{"uv", "#!/bin/sh\n'''exec' '@/with space/bin/python3' \"$0\" \"$@\"\n' '''\nimport sys\n", "with space/bin/python3"},
		{"pip", "#!/bin/sh\n'''exec' \"@/with space/bin/python3\" \"$0\" \"$@\"\n' '''\n", "with space/bin/python3"},
		{"pip without quotes", "#!/bin/sh\n'''exec' @/env/bin/python3 \"$0\" \"$@\"\n' '''\n", "env/bin/python3"},
		{"conda", "#!/bin/sh\n'''exec' \"@/env/bin/python3.12\" \"$0\" \"$@\" #'''\n# -*- coding: utf-8 -*-\n", "env/bin/python3.12"},
		{"a relocatable environment of uv", "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python3' \"$0\" \"$@\"\n' '''\n", "cli/python3"},
		{"a shell through env", "#!/usr/bin/env bash\nset -e\nexec \"@/env/bin/python3\" -m modal \"$@\"\n", "env/bin/python3"},
		{"a wrapper of another launcher", "#!/bin/bash -e\nexport A='x y'\nexec -a \"$0\" \"@/wrapped/modal\" \"$@\"\n", "env/bin/python3"},
		{"a quote that is escaped", "#!/bin/sh\nexec '@/it'\\''s/bin/python3' \"$@\"\n", "it's/bin/python3"},
		{"a variable in the path", "#!/bin/sh\nexec \"$PREFIX/bin/python3\" \"$@\"\n", ""},
		{"a command in the path", "#!/bin/sh\nexec `which python3` \"$@\"\n", ""},
		{"a shell script that starts nothing", "#!/bin/sh\necho executive\n", ""},
		{"another language", "#!/usr/bin/ruby\n", ""},
		{"a program", "\x7fELF\x02\x01\x01", ""},
		{"an interpreter that is gone", "#!@/gone/bin/python3\n", ""},
		{"itself", "#!/bin/sh\nexec @/cli/modal\n", ""},
		{"nothing", "#!\n", ""},
		{"empty", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPythons(t)
			for _, name := range []string{"env/bin/python", "env/bin/python3", "env/bin/python3.12", "env/bin/python3.13t", "env/bin/pypy3", "with space/bin/python3", "it's/bin/python3", "path/python3", "path/python3.12", "cli/python3"} {
				p.script(name, "")
			}
			p.script("wrapped/modal", "#!@/env/bin/python3\n")
			cli := p.script("cli/modal", tc.launcher)
			got, err := interpreterOf(cli, newPaths([]string{"PATH=" + p.at("path")}, nil))
			if tc.want == "" {
				if err == nil {
					t.Errorf("got %s, want an error", got)
				}
				return
			}
			if err != nil || got != p.at(tc.want) {
				t.Errorf("got %q (%v), want %s", got, err, p.at(tc.want))
			}
		})
	}
}

func TestTheInterpreterIsLookedForInTheDocumentedOrder(t *testing.T) {
	p := newPythons(t)
	p.python("set/python", suits)
	p.python("tool/bin/python", suits)
	p.script("tool/bin/modal", "#!@/tool/bin/python\n")
	p.link("bin/modal", p.at("tool/bin/modal"))
	p.python("three/python3", suits)
	p.python("two/python", suits)
	p.link("home/.local/bin/modal", p.at("tool/bin/modal"))
	all := []string{"two", "three", "bin"}

	o := p.options(all...)
	o.Python = p.at("set/python")
	for _, step := range []struct{ want, how, without string }{
		{"set/python", "modal.python_path (MODAL_PYTHON)", ""},
		{"tool/bin/python", "the interpreter of the modal command " + p.at("bin/modal"), "bin/modal"},
		{"tool/bin/python", "the interpreter of the modal command " + p.at("home/.local/bin/modal"), "home/.local/bin/modal"},
		{"three/python3", "python3 on PATH", "three/python3"},
		{"two/python", "python on PATH", "two/python"},
	} {
		got := find(t, o)
		if got.path != p.at(step.want) || got.how != step.how || got.version != "3.12.1" || got.sdk != "1.6.4" {
			t.Errorf("got %+v, want %s by %s", got, p.at(step.want), step.how)
		}
		o.Python = ""
		if step.without != "" {
			if err := os.Remove(p.at(step.without)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if e := refused(t, o); !strings.Contains(e.Message, "no Python on PATH") || !strings.Contains(e.Hint, "install Python 3.10 or later") {
		t.Errorf("with nothing left: %v, hint %q", e, e.Hint)
	}
}

func TestAnInterpreterThatDoesNotSuitIsPassedOverUnlessItWasNamed(t *testing.T) {
	for _, tc := range []struct {
		name, why, hint string
		said            pythonAnswer
	}{
		{"old", "is Python 3.9.18, 3.10 or later is needed", "install Python 3.10 or later", pythonAnswer{Version: []int{3, 9, 18}}},
		{"ancient", "is Python 2.7.18, 3.10 or later is needed", "install Python 3.10 or later", pythonAnswer{Version: []int{2, 7, 18}}},
		{"bare", "has no package modal", "run: @/first/python3 -m pip install --user modal", pythonAnswer{Version: []int{3, 10, 0}, Pip: true}},
		{"venv", "has no package modal", "run: @/first/python3 -m pip install modal", pythonAnswer{Version: []int{3, 10, 0}, Pip: true, Venv: true}},
		{"managed", "has no package modal", "run: pipx install modal", pythonAnswer{Version: []int{3, 12, 0}, Pip: true, Managed: true}},
		{"old package", "has modal 1.5.9, 1.6 or later is needed", "run: @/first/python3 -m pip install --user --upgrade modal", pythonAnswer{Version: []int{3, 10, 0}, Pip: true, Modal: "1.5.9", Importable: true}},
		{"very old package", "has modal 0.73.1.dev2, 1.6 or later is needed", "--upgrade", pythonAnswer{Version: []int{3, 10, 0}, Pip: true, Modal: "0.73.1.dev2", Importable: true}},
		{"half a package", "has only the record of the package modal", "--upgrade", pythonAnswer{Version: []int{3, 10, 0}, Pip: true, Modal: "1.6.4"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPythons(t)
			first := p.python("first/python3", tc.said)
			hint := strings.ReplaceAll(tc.hint, "@", p.dir)
			e := refused(t, p.options("first"))
			if !strings.Contains(e.Message, first+" "+tc.why) || !strings.Contains(e.Hint, hint) {
				t.Errorf("alone:\n%s\nhint %q", e, e.Hint)
			}
			p.python("second/python3", suits)
			if got := find(t, p.options("first", "second")); got.path != p.at("second/python3") {
				t.Errorf("with a better one beside it: %+v", got)
			}
			o := p.options("second")
			o.Python = first
			if e := refused(t, o); !strings.Contains(e.Message, "modal.python_path (MODAL_PYTHON): "+first+" "+tc.why) || !strings.Contains(e.Hint, hint) {
				t.Errorf("named:\n%s\nhint %q", e, e.Hint)
			}
		})
	}
}

func TestWhatWasNamedAndCannotBeHadIsAnErrorThatNamesTheSetting(t *testing.T) {
	p := newPythons(t)
	p.python("bin/python3", suits)
	p.write("notes.txt", "", 0o644)
	p.script("broken", "#!/bin/sh\necho boom >&2\nexit 3\n")
	p.script("silent", "#!/bin/sh\n")
	p.script("other", "#!/bin/sh\necho Python 3.12\n")
	p.script("two", "#!/bin/sh\necho 'Unknown option: -I' >&2; echo 'usage: python [option] ...' >&2; exit 2\n")
	for _, tc := range []struct{ python, cli, want string }{
		{python: p.at("none"), want: "modal.python_path (MODAL_PYTHON): " + p.at("none") + ": no such file or directory"},
		{python: "venv/bin/python", want: "modal.python_path (MODAL_PYTHON): venv/bin/python is not an absolute path"},
		{python: "python9", want: "modal.python_path (MODAL_PYTHON): there is no program python9 on PATH"},
		{python: p.at("notes.txt"), want: "notes.txt is not executable"},
		{python: p.dir, want: p.dir + " is a folder"},
		{python: p.at("broken"), want: "broken does not run: boom"},
		{python: p.at("silent"), want: "silent does not run: it does not answer as a Python does"},
		{python: p.at("other"), want: "other does not run: it does not answer as a Python does"},
		{python: p.at("two"), want: "two is Python 2, 3.10 or later is needed"},
		{cli: p.at("none"), want: "modal.modal_cli (MODAL_CLI): " + p.at("none") + ": no such file or directory"},
		{cli: "modal-beta", want: "modal.modal_cli (MODAL_CLI): there is no program modal-beta on PATH"},
	} {
		t.Run(tc.want, func(t *testing.T) {
			o := p.options("bin")
			o.Python, o.CLI = tc.python, tc.cli
			if e := refused(t, o); !strings.Contains(e.Error(), tc.want) || e.Hint == "" {
				t.Errorf("got  %s (hint %q)\nwant %s", e, e.Hint, tc.want)
			}
		})
	}
	p.python("home/py/python", suits)
	o := p.options("bin")
	o.Python = "~/py/python"
	if got := find(t, o); got.path != p.at("home/py/python") {
		t.Errorf("~/py/python gives %s", got.path)
	}
}

func TestALauncherThatCannotBeReadLeadsToThePythonBesideIt(t *testing.T) {
	p := newPythons(t)
	p.script("shims/modal", "#!/usr/bin/env bash\nexec \"$ROOT/libexec/manager\" exec modal \"$@\"\n")
	real := p.python("versions/3.12/bin/python3", suits)
	said := suits
	said.Executable = real
	p.python("shims/python3", said)
	if got := find(t, p.options("shims")); got.path != real || !strings.Contains(got.how, "beside the modal command") {
		t.Errorf("got %+v, want %s, which the shim stands for", got, real)
	}
}

func TestX1_NoInterpreterAndNoModalCommandComesFromTheWorkspace(t *testing.T) {
	p := newPythons(t)
	p.python("ws/.venv/bin/python3", suits)
	p.python("ws/.venv/bin/python", suits)
	p.script("ws/.venv/bin/modal", "#!@/ws/.venv/bin/python3\n")
	if err := os.MkdirAll(p.at("ws/sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.link("linked", p.at("ws/.venv/bin"))
	p.link("files/python3", p.at("ws/.venv/bin/python3"))
	p.script("tools/modal", "#!@/ws/.venv/bin/python3\n")
	p.link("alias", p.at("ws"))
	t.Chdir(p.at("ws/sub"))
	for _, root := range []string{"ws", "alias", "ws/../ws/"} {
		o := p.options("ws/.venv/bin", "linked", "../.venv/bin", "files", "tools", ".")
		o.Avoid = []string{p.dir + "/" + root}
		e := refused(t, o)
		if !strings.Contains(e.Message, p.at("ws/.venv/bin")) || !strings.Contains(e.Hint, "modal.python_path") {
			t.Errorf("%s: %s (hint %q)", root, e, e.Hint)
		}
	}
	if n := p.runs("ws/.venv/bin/python3") + p.runs("ws/.venv/bin/python"); n > 0 {
		t.Errorf("the workspace's interpreter ran %d times", n)
	}
	o := p.options("ws/.venv/bin")
	o.Avoid, o.Python = []string{p.at("ws")}, p.at("ws/.venv/bin/python3")
	if got := find(t, o); got.path != o.Python {
		t.Errorf("the person's own setting gives %+v", got)
	}
}

func TestAnInterpreterIsAskedOnceUntilItOrItsPackageChanges(t *testing.T) {
	p := newPythons(t)
	record := p.write("lib/modal-1.6.4.dist-info/METADATA", "Version: 1.6.4\n", 0o644)
	said := suits
	said.At = filepath.Dir(record)
	p.python("bin/python3", said)
	o := p.options("bin")
	o.Home = p.at("glue")
	asked := func(want int, when string) {
		t.Helper()
		if got := find(t, o); got.sdk != "1.6.4" {
			t.Errorf("%s: %+v", when, got)
		}
		if n := p.runs("bin/python3"); n != want {
			t.Errorf("%s: it was asked %d times, want %d", when, n, want)
		}
	}
	asked(1, "at first")
	asked(1, "again")
	p.write("lib/modal-1.6.4.dist-info/METADATA", "Version: 1.6.4, installed again\n", 0o644)
	asked(2, "after the package changed")
	asked(2, "again")
	p.python("bin/python3", pythonAnswer{Version: []int{3, 12, 10}, Modal: "1.6.4", Importable: true, At: said.At})
	asked(3, "after the interpreter changed")
	o.Environ = append(o.Environ, "PYTHONUSERBASE="+p.at("elsewhere"))
	asked(4, "with another folder of the person's packages")
	p.write("glue/cache/interpreters.json", "{", 0o600)
	asked(5, "with a damaged cache")

	// What is missing is looked for each time: it may have been installed since.
	p.python("bare/python3", pythonAnswer{Version: []int{3, 12, 1}})
	o.Environ[0] = "PATH=" + p.at("bare")
	refused(t, o)
	refused(t, o)
	if n := p.runs("bare/python3"); n != 2 {
		t.Errorf("one without the package was asked %d times, want 2", n)
	}
}

func FuzzLauncher(f *testing.F) {
	f.Add("'''exec' '/a b/python' \"$0\" \"$@\"\n' '''\n")
	f.Add("exec -a \"$0\" /x/python3 \\\"")
	f.Add("exec \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python' \"$0\"")
	f.Fuzz(func(t *testing.T, script string) {
		got, err := becomes(script, "/launcher")
		if err == nil && !filepath.IsAbs(got) {
			t.Errorf("%q becomes %q", script, got)
		}
	})
}
