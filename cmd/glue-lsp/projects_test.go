package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/lsptest"
)

// project is somebody else's project, as scripts/install-projects fetched it, and how its
// tests are run by hand.
type project struct {
	name string
	// install does what its developers do after cloning.
	install func(p *person)
	ignore  string
	file    string // of tests
	test    string // one of them, as a lens names it
	passing string // the text of a passing assertion in it, and
	failing string // what makes it fail
	runOne  string // by hand, in the project's folder
	runFile string
	// verdict finds what counts in the output.
	verdict *regexp.Regexp
	also    []string // settings besides that of no network
}

func projects() []project {
	others := []string{"GLUE_LOCAL_ISOLATION=landlock", "GLUE_LOCAL_ISOLATION=none"}
	return []project{
		{
			name: "go", file: "format_test.go", test: "TestListFormatFuncSingle", ignore: "*.log\n",
			passing: "`1 error occurred:", failing: "`2 error occurred:",
			runOne: "go test -run '^TestListFormatFuncSingle$' .", runFile: "go test .",
			verdict: regexp.MustCompile(`(?m)^(?:ok|FAIL)\t\S+|^--- FAIL: \S+|_test.go:\d+: .*`),
		},
		{
			name: "python", file: "tests/test_arguments.py", test: "test_nargs_star", ignore: "__pycache__/\n.pytest_cache/\n",
			install: func(p *person) {
				wheels := filepath.Join(projectsFolder(p), "python-wheels")
				// Made in its own folder, since it remembers where that is; the project itself
				// is installed by reference to its sources.
				p.host(p.repo, "python3", "-m", "venv", "--without-pip", ".venv")
				// The interpreter itself: a version manager's launcher changes things after pip.
				python := strings.TrimSpace(p.host(p.repo, "python3", "-c", "import sys; print(sys.executable)"))
				p.host(p.repo, python, "-m", "pip", "--python", ".venv/bin/python", "-q", "install", "--no-index", "--find-links", wheels, "pytest", "flit-core")
				p.host(p.repo, python, "-m", "pip", "--python", ".venv/bin/python", "-q", "install", "--no-index", "--no-build-isolation", "--no-deps", "-e", ".")
				p.host(p.repo, "sh", "-c", "echo '*' > .venv/.gitignore") // as newer versions of venv do
			},
			passing: `["src=foo.txt|bar.txt", "dst=dir"]`, failing: `["src=foo.txt", "dst=dir"]`,
			runOne: ".venv/bin/pytest tests/test_arguments.py::test_nargs_star", runFile: ".venv/bin/pytest tests/test_arguments.py",
			also:    others,
			verdict: regexp.MustCompile(`\d+ (?:passed|failed)|FAILED \S+|platform linux.*`),
		},
		{
			name: "node", file: "test/all.test.js", test: "with no headers should return socket address", ignore: "node_modules/\n",
			passing: "proxyaddr.all(req), ['127.0.0.1'])", failing: "proxyaddr.all(req), ['127.0.0.2'])",
			runOne:  "node --test --test-name-pattern='with no headers should return socket address' test/all.test.js",
			runFile: "node --test test/all.test.js",
			also:    others,
			verdict: regexp.MustCompile(`(?m)^. (?:tests|pass|fail) \d+$`),
		},
	}
}

// TestF30_RealProjectsTestsRunInsideAsOutside presses code lenses in projects
// whose dependencies lie in folders that git ignores, with no setting and no network.
func TestF30_RealProjectsTestsRunInsideAsOutside(t *testing.T) {
	if testing.Short() {
		t.Skip("compiling and installing takes long")
	}
	for _, x := range projects() {
		t.Run(x.name, func(t *testing.T) {
			repo := x.lay(t)
			for _, env := range append([]string{"GLUE_LOCAL_NETWORK=none"}, x.also...) {
				t.Run(env, func(t *testing.T) { x.press(t, repo, env) })
			}
		})
	}
}

// lay makes a repository of the project, installs what it needs and leaves work in it that
// is not committed.
func (x project) lay(t *testing.T) *person {
	t.Helper()
	p := &person{T: t, repo: filepath.Join(t.TempDir(), "a project")}
	p.host("", "cp", "-r", filepath.Join(projectsFolder(p), x.name), p.repo)
	p.write(".gitignore", x.ignore)
	p.host(p.repo, "git", "init", "-q", "-b", "main")
	p.host(p.repo, "git", "add", "-A")
	p.host(p.repo, "git", "-c", "user.name=P", "-c", "user.email=p@example.com", "commit", "-qm", "as released")
	if x.install != nil {
		x.install(p)
	}
	p.write("notes.txt", "not committed\n")
	if got := p.host(p.repo, "git", "status", "--porcelain"); got != "?? notes.txt\n" {
		t.Fatalf("git shows %q", got)
	}
	return p
}

// press runs a test and a file by their lenses, as they are on disk and with an edit that
// is not saved, and wants what the same by hand gives.
func (x project) press(t *testing.T, p *person, env string) {
	p = &person{T: t, repo: p.repo}
	home := filepath.Join(t.TempDir(), "glue")
	e := lsptest.Start(t, serverWith(t, env, "GOPROXY=off", "GOFLAGS=-mod=readonly", "GOTOOLCHAIN=local")(t, home), lsptest.Options{Root: p.repo, Patience: 3 * time.Minute})
	e.OnMessage(func(m lsptest.Message) string { // whether to run without isolation
		if len(m.Actions) > 0 {
			return m.Actions[0]
		}
		return ""
	})
	e.Initialize(lsptest.VSCode())
	e.Open(x.file)
	original := e.Buffer(x.file)
	compare := func(what, lens, byHand string) {
		t.Helper()
		got := x.runLens(t, e, home, lens)
		want := x.byHand(t, p, byHand)
		if diff := cmp.Diff(x.summary(want), x.summary(got)); diff != "" {
			t.Errorf("%s: by hand it gives (-), by its lens (+):\n%s\nin full:\n%s", what, diff, got)
		}
	}
	compare("a test", x.test, x.runOne)
	compare("a file", "", x.runFile)
	e.Replace(x.file, x.passing, x.failing)
	got := x.runLens(t, e, home, x.test)
	e.Save(x.file)
	if want := x.byHand(t, p, x.runOne); cmp.Diff(x.summary(want), x.summary(got)) != "" || !strings.Contains(strings.ToLower(got), "fail") {
		t.Errorf("an unsaved edit that breaks the test:\n%s\nby hand:\n%s", got, want)
	}
	e.Replace(x.file, x.failing, x.passing)
	e.Save(x.file)
	if e.Buffer(x.file) != original {
		t.Fatal("the file is not as it was")
	}
	e.Call("glue/session/close", map[string]any{"return": false}, nil)
	e.Shutdown()
	if status := p.host(p.repo, "git", "status", "--porcelain"); status != "?? notes.txt\n" {
		t.Errorf("left behind:\n%s", status)
	}
}

// runLens presses the lens of a test, "" for the whole file, and gives what it printed.
func (x project) runLens(t *testing.T, e *lsptest.Editor, home, name string) string {
	t.Helper()
	type command struct {
		Command   string           `json:"command"`
		Arguments []map[string]any `json:"arguments"`
	}
	var lenses []struct{ Command command }
	e.Call("textDocument/codeLens", map[string]any{"textDocument": map[string]any{"uri": e.URI(x.file)}}, &lenses)
	press := command{Command: "glue.runFile", Arguments: []map[string]any{{"uri": e.URI(x.file)}}}
	if name != "" {
		press = command{}
		for _, l := range lenses {
			if n, _ := l.Command.Arguments[0]["name"].(string); n == name || strings.HasSuffix(n, "::"+name) {
				press = l.Command
			}
		}
		if press.Command == "" {
			t.Fatalf("%s has no lens for %q among %v", x.file, name, lenses)
		}
	}
	var started struct {
		ExecID string `json:"execId"`
	}
	e.Execute(press.Command, press.Arguments[0], &started)
	type changed struct {
		Session struct {
			Execs []struct {
				ExecID string `json:"execId"`
			} `json:"execs"`
		} `json:"session"`
	}
	e.Await(lsptest.Either(lsptest.NotifiedWhere("glue/session/changed", "with "+started.ExecID, func(c changed) bool {
		for _, x := range c.Session.Execs {
			if x.ExecID == started.ExecID {
				return true
			}
		}
		return false
	}), lsptest.Ended()))
	var result struct {
		ExitCode int `json:"exitCode"`
	}
	e.Call("glue/exec/attach", map[string]any{"execId": started.ExecID}, &result)
	found, err := filepath.Glob(filepath.Join(home, "sessions", "*", "exec", started.ExecID+".log"))
	if err != nil || len(found) != 1 {
		t.Fatalf("logs: %q, %v", found, err)
	}
	b, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s\nexit status %d\n", b, result.ExitCode)
}

func (x project) byHand(t *testing.T, p *person, command string) string {
	t.Helper()
	cmd := exec.Command("bash", "-c", command)
	cmd.Dir = p.repo
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly", "GOTOOLCHAIN=local", "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s\nexit status %d\n", out, cmd.ProcessState.ExitCode())
}

var exitStatus = regexp.MustCompile(`exit status \d+\n$`)

// summary is what of an output must be alike.
func (x project) summary(out string) []string {
	return append(x.verdict.FindAllString(out, -1), exitStatus.FindString(out))
}

// projectsFolder is where the projects are.
func projectsFolder(p *person) string {
	p.Helper()
	dir := os.Getenv("GLUE_TEST_PROJECTS")
	if dir == "" {
		dir = "../../.tools/projects"
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		p.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "python-wheels")); err != nil {
		p.Fatalf("the projects that this test runs are not there (%v); run: make projects", err)
	}
	return dir
}
